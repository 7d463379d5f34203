//! Every setting once: its key, type, default and limits, when a change takes effect, and what it does. What checks
//! the file, the sample file and the manual rpcbind.toml(5) are made from this table.

use super::entry::Applies::{AtReload, AtRestart};
pub use super::entry::{Applies, Entry, Kind};

/// The most bytes of a path socket's path, and of an abstract name with its `@`: what `sun_path` holds.
pub(super) const SOCKET_NAME_LONGEST: usize = 107;
/// The rows that only root finds free.
pub(super) const ROWS_FOR_ROOT: i64 = 1_024;

macro_rules! entries {
    ($($name:ident = $entry:expr;)*) => {
        $(pub(super) static $name: Entry = $entry;)*
        /// The table, in the order of the manual.
        pub static ENTRIES: &[&Entry] = &[$(&$name),*];
    };
}

entries! {
    LISTEN = Entry {
        key: "listen",
        kind: Kind::List { of: "addresses", most: 64, example: "[\"192.0.2.1\", \"2001:db8::1\"]" },
        applies: AtRestart,
        flag: Some("-h"),
        about: "The IPv4 and IPv6 addresses at which UDP and TCP are served, loopback besides. Without it, every \
                address. Does not apply to inherited sockets.",
    };
    PORT = Entry {
        key: "port",
        kind: Kind::Number { default: 111, min: 0, max: 65_535 },
        applies: AtRestart,
        flag: Some("--port"),
        about: "The UDP and TCP port; 0 is any free one. With another port than 111 the unix sockets are opened only \
                where they are named.",
    };
    SOCKET = Entry {
        key: "socket",
        kind: Kind::Text { default: "/run/rpcbind.sock", longest: SOCKET_NAME_LONGEST },
        applies: AtRestart,
        flag: Some("--socket"),
        about: "The path of the unix socket; empty: none.",
    };
    ABSTRACT_SOCKET = Entry {
        key: "abstract-socket",
        kind: Kind::Text { default: "@/run/rpcbind.sock", longest: SOCKET_NAME_LONGEST },
        applies: AtRestart,
        flag: Some("--abstract-socket"),
        about: "The name of the abstract unix socket, which begins with @; empty: none.",
    };
    OPEN_MISSING = Entry {
        key: "open-missing",
        kind: Kind::Switch { default: false },
        applies: AtRestart,
        flag: Some("--open-missing"),
        about: "Under socket activation, open the UDP and TCP sockets that were not passed.",
    };
    ALLOW_PARTIAL = Entry {
        key: "allow-partial",
        kind: Kind::Switch { default: false },
        applies: AtRestart,
        flag: Some("--allow-partial"),
        about: "Run although a socket cannot be opened.",
    };
    USER = Entry {
        key: "user",
        kind: Kind::OptionalNumber { min: 1, max: 4_294_967_294, example: "65533" },
        applies: AtRestart,
        flag: None,
        about: "The uid that the daemon runs as once its sockets are open, where no user is called _rpc, rpc or \
                daemon; where there is one, it runs as the first of these.",
    };
    STATE_DIRECTORY = Entry {
        key: "state-directory",
        kind: Kind::Text { default: "/run/rpcbind", longest: 4_095 },
        applies: AtRestart,
        flag: None,
        about: "The directory in which registrations are kept between two runs.",
    };
    LOG_CONNECTIONS = Entry {
        key: "log-connections",
        kind: Kind::Switch { default: false },
        applies: AtReload,
        flag: Some("-l"),
        about: "Log each call over UDP and TCP.",
    };
    INSECURE = Entry {
        key: "insecure",
        kind: Kind::Switch { default: false },
        applies: AtReload,
        flag: Some("-i"),
        about: "Let callers on any host register and unregister programs over TCP.",
    };
    STRICT_HOSTS = Entry {
        key: "strict-hosts",
        kind: Kind::Switch { default: false },
        applies: AtReload,
        flag: None,
        about: "Refuse to start, and keep the older rules, when a rule in /etc/hosts.allow or /etc/hosts.deny cannot \
                do what it says: names in it are never looked up, commands never run.",
    };
    NAT = Entry {
        key: "nat",
        kind: Kind::Choice { default: "auto", of: &["auto", "off"] },
        applies: AtReload,
        flag: None,
        about: "With auto, GETADDR believes a client that says which address it used, when that is none of this \
                host's: the address in front of a NAT.",
    };
    DUMP_FROM = Entry {
        key: "dump-from",
        kind: Kind::List { of: "prefixes", most: 1_024, example: "[\"192.0.2.0/24\", \"2001:db8::/32\"]" },
        applies: AtReload,
        flag: None,
        about: "Who may list all registrations (DUMP), besides this host. Comes after the access rules. Without it, \
                everybody over TCP.",
    };
    JUDGE_EVERY = Entry {
        key: "judge-every-seconds",
        kind: Kind::Number { default: 30, min: 1, max: 3_600 },
        applies: AtReload,
        flag: None,
        about: "The seconds between two looks at whether the services of this host that are registered still have \
                their sockets. A reload changes it after the next look.",
    };
    EXPIRE_DEAD = Entry {
        key: "expire-dead-seconds",
        kind: Kind::OptionalNumber { min: 1, max: 31_536_000, example: "86400" },
        applies: AtReload,
        flag: None,
        about: "Remove a registration whose service has had no socket for so many seconds. Without it, such a \
                registration stays until it is replaced or removed.",
    };
    REMOTE_CALLS = Entry {
        key: "remote-calls",
        kind: Kind::Switch { default: false },
        applies: AtRestart,
        flag: Some("-r"),
        about: "Call services of this host over UDP for others (CALLIT, BCAST, INDIRECT), as clients want that look \
                for a server by broadcast. The services see the calls come from this host. Results that are longer \
                than the request reach callers over UDP on other hosts only as udp-full says.",
    };
    REMOTE_CALL_ALLOW = Entry {
        key: "remote-call-allow",
        kind: Kind::List {
            of: "programs, each alone or with /procedure",
            most: 256,
            example: "[\"*/0\", \"100004/1\", \"100004/2\", \"100026/1\", \"0x20000000-0xffffffff\"]",
        },
        applies: AtReload,
        flag: None,
        about: "What is called for others: programs by number, range, name in /etc/rpc, or * for all, and procedures \
                by number. Without it, what the example says: NULL of all, DOMAIN and DOMAIN_NONACK of ypserv, WHOAMI \
                of bootparam, and programs that are not well known. Never called, whatever is listed: the port mapper \
                itself, and but for NULL nfs, nfs_acl, rquotad, yppasswdd, ypupdated, ypxfrd, keyserv, MNT and UMNT of \
                mountd, SETDOM of ypbind, MATCH, FIRST, NEXT and ALL of ypserv.",
    };
    REMOTE_CALL_CREDENTIALS = Entry {
        key: "remote-call-credentials",
        kind: Kind::Choice { default: "none", of: &["none", "caller"] },
        applies: AtReload,
        flag: None,
        about: "Who the services are told that calls: nobody, or whoever the caller says it is. Anybody can say root, \
                and the services see it come from this host.",
    };
    REMOTE_CALL_SECONDS = Entry {
        key: "remote-call-seconds",
        kind: Kind::Number { default: 10, min: 1, max: 60 },
        applies: AtReload,
        flag: None,
        about: "How long a service that is called for others may take to answer.",
    };
    ROWS = Entry {
        key: "limits.rows",
        kind: Kind::Number { default: 16_384, min: 2_048, max: 16_384 },
        applies: AtRestart,
        flag: None,
        about: "Registrations in all. Of these, 1024 are for root only.",
    };
    ROWS_PER_USER = Entry {
        key: "limits.rows-per-user",
        kind: Kind::Number { default: 256, min: 1, max: 16_384 - ROWS_FOR_ROOT },
        applies: AtRestart,
        flag: None,
        about: "Registrations of one user other than root.",
    };
    TCP_CONNECTIONS = Entry {
        key: "limits.tcp-connections",
        kind: Kind::Number { default: 12_288, min: 16, max: 12_288 },
        applies: AtRestart,
        flag: None,
        about: "TCP connections at a time; fewer where the limit of descriptors asks for it.",
    };
    UNIX_CONNECTIONS = Entry {
        key: "limits.unix-connections",
        kind: Kind::Number { default: 4_096, min: 16, max: 4_096 },
        applies: AtRestart,
        flag: None,
        about: "Unix connections at a time; fewer where the limit of descriptors asks for it. Some are for root only.",
    };
    UNIX_CONNECTIONS_PER_USER = Entry {
        key: "limits.unix-connections-per-user",
        kind: Kind::Number { default: 1_024, min: 1, max: 1_024 },
        applies: AtRestart,
        flag: None,
        about: "Unix connections of one user other than root.",
    };
    REPLIES_PER_SECOND = Entry {
        key: "limits.replies-per-second",
        kind: Kind::Number { default: 200, min: 1, max: 1_000_000 },
        applies: AtReload,
        flag: None,
        about: "Replies a second over UDP to all callers of one IPv4 /24 or IPv6 /56 together; what comes beyond is \
                not answered, and clients send again after seconds. Raise it for a cluster that calls from behind one \
                NAT address. This host itself and TCP have no such limit.",
    };
    REPLIES_BURST = Entry {
        key: "limits.replies-burst",
        kind: Kind::Number { default: 1_000, min: 1, max: 1_000_000 },
        applies: AtReload,
        flag: None,
        about: "Replies that such a prefix may have at once after a rest.",
    };
    ERRORS_PER_SECOND = Entry {
        key: "limits.errors-per-second",
        kind: Kind::Number { default: 5, min: 1, max: 1_000_000 },
        applies: AtReload,
        flag: None,
        about: "Replies a second to such a prefix that are errors and refusals. They count as replies, too.",
    };
    ERRORS_BURST = Entry {
        key: "limits.errors-burst",
        kind: Kind::Number { default: 20, min: 1, max: 1_000_000 },
        applies: AtReload,
        flag: None,
        about: "Errors and refusals that such a prefix may have at once after a rest.",
    };
    REMOTE_CALLS_MAX = Entry {
        key: "limits.remote-calls",
        kind: Kind::Number { default: 1_024, min: 16, max: 16_384 },
        applies: AtRestart,
        flag: None,
        about: "Remote calls under way at a time. At the limit the oldest of whoever has most of them ends as if it \
                had not been answered, for somebody who has fewer; otherwise the new one is refused.",
    };
    REMOTE_CALLS_PER_SOURCE = Entry {
        key: "limits.remote-calls-per-source",
        kind: Kind::Number { default: 64, min: 1, max: 16_384 },
        applies: AtRestart,
        flag: None,
        about: "Remote calls under way for the callers of one IPv4 /24 or IPv6 /56 together, over UDP and over TCP \
                each, and for one user on the unix sockets. At the limit their oldest ends as if it had not been \
                answered; when many end like that at once, the new one is refused.",
    };
    NETID = Entry {
        key: "netid",
        kind: Kind::Tables { most: 64 },
        applies: AtRestart,
        flag: None,
        about: "A netid that services may register besides the built-in ones: udp, tcp, udp6, tcp6, local, unix, \
                rawip, ticlts, ticots, ticotsord, sctp, sctp6, dccp, dccp6, rdma and rdma6.",
    };
    NETID_NAME = Entry {
        key: "netid[].name",
        kind: Kind::Required { of: "text", example: "\"vsock\"" },
        applies: AtRestart,
        flag: None,
        about: "Its name, at most 32 bytes.",
    };
    NETID_SEMANTICS = Entry {
        key: "netid[].semantics",
        kind: Kind::RequiredChoice { of: &["clts", "cots", "cots_ord", "raw"] },
        applies: AtRestart,
        flag: None,
        about: "Its semantics, as GETADDRLIST gives them.",
    };
    NETID_FAMILY = Entry {
        key: "netid[].family",
        kind: Kind::RequiredChoice { of: &["inet", "inet6", "loopback"] },
        applies: AtRestart,
        flag: None,
        about: "The family of its addresses.",
    };
    NETID_PROTOCOL = Entry {
        key: "netid[].protocol",
        kind: Kind::Text { default: "-", longest: 32 },
        applies: AtRestart,
        flag: None,
        about: "The name of its protocol.",
    };
    ACCESS = Entry {
        key: "access",
        kind: Kind::Tables { most: 1_024 },
        applies: AtReload,
        flag: None,
        about: "A rule about calls over UDP and TCP. The first rule that fits a call decides; a call that none fits is \
                allowed. What is allowed still has to pass all other checks.",
    };
    ACCESS_ACTION = Entry {
        key: "access[].action",
        kind: Kind::RequiredChoice { of: &["allow", "deny"] },
        applies: AtReload,
        flag: None,
        about: "What becomes of the call.",
    };
    ACCESS_FROM = Entry {
        key: "access[].from",
        kind: Kind::List { of: "prefixes", most: 1_024, example: "[\"198.51.100.0/24\"]" },
        applies: AtReload,
        flag: None,
        about: "The callers; without it, all.",
    };
    ACCESS_PROCEDURES = Entry {
        key: "access[].procedures",
        kind: Kind::List {
            of: "of null, lookup, dump, set, unset, remote-call, statistics",
            most: 7,
            example: "[\"lookup\", \"dump\"]",
        },
        applies: AtReload,
        flag: None,
        about: "What is called: null is NULL, GETTIME and the conversions of addresses; lookup is GETPORT, GETADDR, \
                GETVERSADDR and GETADDRLIST; remote-call is CALLIT, BCAST and INDIRECT; statistics is GETSTAT. \
                Without it, everything.",
    };
    ACCESS_PROGRAMS = Entry {
        key: "access[].programs",
        kind: Kind::List { of: "programs", most: 256, example: "[\"nfs\", 100005, \"0x20000000-0x3fffffff\"]" },
        applies: AtReload,
        flag: None,
        about: "The programs that a call names, by number, range or name in /etc/rpc. Without it, all, and calls that \
                name none.",
    };
    GRANT = Entry {
        key: "grant",
        kind: Kind::Tables { most: 256 },
        applies: AtReload,
        flag: None,
        about: "A user that may register reserved programs and ports.",
    };
    GRANT_USER = Entry {
        key: "grant[].user",
        kind: Kind::Required { of: "a user's name or number", example: "\"nobody\"" },
        applies: AtReload,
        flag: None,
        about: "The user, by number or name in /etc/passwd.",
    };
    GRANT_PROGRAMS = Entry {
        key: "grant[].programs",
        kind: Kind::List { of: "programs", most: 256, example: "[\"nfs\", 100005]" },
        applies: AtReload,
        flag: None,
        about: "The programs, by number or name in /etc/rpc.",
    };
    GRANT_PORTS = Entry {
        key: "grant[].ports",
        kind: Kind::List { of: "ports", most: 256, example: "[2049]" },
        applies: AtReload,
        flag: None,
        about: "The ports.",
    };
    UDP_FULL = Entry {
        key: "udp-full",
        kind: Kind::Tables { most: 256 },
        applies: AtReload,
        flag: None,
        about: "Callers that get whole replies over UDP. All others get none that is longer than their request, since \
                the sender of a datagram can be forged.",
    };
    UDP_FULL_PREFIX = Entry {
        key: "udp-full[].prefix",
        kind: Kind::Required { of: "a prefix", example: "\"192.0.2.0/24\"" },
        applies: AtReload,
        flag: None,
        about: "The callers.",
    };
    UDP_FULL_INTERFACE = Entry {
        key: "udp-full[].interface",
        kind: Kind::Required { of: "an interface's name", example: "\"eth1\"" },
        applies: AtReload,
        flag: None,
        about: "The interface that their datagrams arrive on: whichever has this name then.",
    };
}

//! What each key does when it is right, and the texts that are made from the table.

use super::*;
use oncrpc::bind::{Family, Semantics};
use oncrpc::{Procedure, Program};
use rpcbind_core::access::{Action, ProcedureKind};
use rpcbind_core::limiter::{Limits, Rate};
use rpcbind_core::settings::{AllowedCalls, Credentials, LivenessRules, RemoteRules, UdpFull};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("the test names an address")
}

#[test]
fn an_empty_file_means_the_defaults() {
    let settings = right("");
    assert_eq!(settings.port, 111);
    assert_eq!(
        settings.socket.as_ref().map(|socket| socket.name.as_path()),
        Some(Path::new("/run/rpcbind.sock"))
    );
    assert_eq!(
        settings.abstract_socket,
        Some(UnixSocket { name: "/run/rpcbind.sock".into(), is_given: false })
    );
    assert_eq!((settings.user, settings.daemon_user), (None, false));
    assert_eq!(settings.state_directory, Path::new("/run/rpcbind"));
    assert_eq!(
        (settings.caps.rows, settings.caps.rows_per_uid, settings.caps.rows_for_root),
        (16_384, 256, 1_024)
    );
    assert_eq!(settings.connections, ConnectionCaps { tcp: 12_288, unix: 4_096, unix_per_uid: 1_024 });
    assert!(settings.reloadable.nat && settings.reloadable.access.is_empty());
    let liveness = LivenessRules { judge_every: Duration::from_secs(30), expire_dead: None };
    assert_eq!(settings.reloadable.liveness, liveness);
    let replies = Limits { replies: Rate::new(200, 1_000), errors: Rate::new(5, 20) };
    assert_eq!(settings.reloadable.replies, replies);
    for text in ["\n", "\r\n\r\n", "# only a comment", "#\r\n"] {
        assert_eq!(right(text), settings, "{text:?}");
    }
}

#[test]
fn every_key_reaches_its_setting() {
    let settings = right(
        "listen = ['192.0.2.1']\r\nport = 1_111\nsocket = '/tmp/s'\nabstract-socket = '@a'\nopen-missing = true\n\
         allow-partial = true\nuser = 4_294_967_294\nstate-directory = '/var/lib/rpcbind'\nlog-connections = true\n\
         insecure = true\nstrict-hosts = true\nnat = 'off'\nremote-calls = true\n\
         remote-call-allow = [7, 'nfs/3']\nremote-call-credentials = 'caller'\nremote-call-seconds = 60\n\
         judge-every-seconds = 5\nexpire-dead-seconds = 86_400\n[limits]\nrows = 4096\nrows-per-user = 10\n\
         tcp-connections = 100\nunix-connections = 50\nunix-connections-per-user = 5\n\
         replies-per-second = 400\nreplies-burst = 2000\nerrors-per-second = 7\nerrors-burst = 30\n\
         remote-calls = 20\nremote-calls-per-source = 2\n",
    );
    let expected = Settings {
        listen: ["192.0.2.1:1111", "127.0.0.1:1111", "[::1]:1111"]
            .map(|text| text.parse().expect("an address"))
            .into_iter()
            .zip([false, true, true])
            .map(|(address, may_be_absent)| Listen { address, may_be_absent })
            .collect(),
        listen_is_given: true,
        port: 1_111,
        socket: Some(UnixSocket { name: "/tmp/s".into(), is_given: true }),
        abstract_socket: Some(UnixSocket { name: "a".into(), is_given: true }),
        open_missing: true,
        allow_partial: true,
        user: Some(4_294_967_294),
        state_directory: "/var/lib/rpcbind".into(),
        caps: rpcbind_core::settings::Caps { rows: 4_096, rows_per_uid: 10, rows_for_root: 1_024 },
        connections: ConnectionCaps { tcp: 100, unix: 50, unix_per_uid: 5 },
        remote_calls: true,
        remote_caps: RemoteCaps { calls: 20, calls_per_source: 2 },
        reloadable: Reloadable {
            log_connections: true,
            insecure: true,
            strict_hosts: true,
            nat: false,
            replies: Limits { replies: Rate::new(400, 2_000), errors: Rate::new(7, 30) },
            liveness: LivenessRules {
                judge_every: Duration::from_secs(5),
                expire_dead: Some(Duration::from_secs(86_400)),
            },
            remote_calls: RemoteRules {
                allowed: vec![
                    AllowedCalls { programs: 7..=7, procedure: None },
                    AllowedCalls { programs: 100_003..=100_003, procedure: Some(Procedure(3)) },
                ],
                credentials: Credentials::Claimed,
                expiry: Duration::from_secs(60),
            },
            ..right("").reloadable
        },
        ..right("")
    };
    assert_eq!(settings, expected);
}

#[test]
fn netids_are_added_to_the_built_in_ones() {
    let settings = right(
        "[[netid]]\nname = 'vsock'\nsemantics = 'raw'\nfamily = 'loopback'\n\
         [[netid]]\nname = 'quic6'\nsemantics = 'cots_ord'\nfamily = 'inet6'\nprotocol = 'udp'\n",
    );
    let attributes = |name: &[u8]| {
        let netid = settings.netids.find(name).expect("it was added");
        let attributes = settings.netids.attributes(netid).expect("it is in its table");
        (attributes.semantics, attributes.family, attributes.protocol.to_string())
    };
    assert_eq!(attributes(b"vsock"), (Semantics::Raw, Family::Local, "-".into()));
    assert_eq!(attributes(b"quic6"), (Semantics::CotsOrd, Family::Inet6, "udp".into()));
    assert_eq!(attributes(b"udp"), (Semantics::Clts, Family::Inet, "udp".into()));
}

#[test]
fn a_grant_names_a_user_with_programs_and_ports() {
    let settings = right(
        "[[grant]]\nuser = 'alice'\nprograms = ['nfs', 100005, '100021', 'nfsprog']\nports = [2049, 1]\n\
         [[grant]]\nuser = 1001\nports = [635]\n",
    );
    let grants = &settings.reloadable.grants;
    assert_eq!((grants[0].uid, grants[1].uid), (1_000, 1_001));
    assert_eq!(grants[0].programs, [100_003, 100_005, 100_021, 100_003].map(Program));
    assert_eq!((grants[0].ports.as_slice(), grants[1].ports.as_slice()), (&[2_049, 1][..], &[635][..]));
    assert_eq!(grants[1].programs, []);
}

#[test]
fn access_rules_keep_their_order_and_dump_from_comes_last() {
    let settings = right(
        "dump-from = ['10.0.0.0/8']\n\
         [[access]]\naction = 'allow'\nfrom = ['192.0.2.9']\nprocedures = ['dump']\n\
         [[access]]\naction = 'deny'\nfrom = ['192.0.2.0/24', '2001:db8::/32']\n\
         procedures = ['lookup', 'set']\nprograms = ['nfs', '100020-100030', '0x20000000-0x3fffffff', 7]\n",
    );
    let access = &settings.reloadable.access;
    assert_eq!(access.rules().len(), 4);
    assert_eq!(access.rules()[1].action, Action::Deny);
    assert_eq!(
        access.rules()[1].programs,
        [100_003..=100_003, 100_020..=100_030, 0x2000_0000..=0x3fff_ffff, 7..=7]
    );
    let cases = [
        ("192.0.2.9", ProcedureKind::Dump, None, true),
        ("192.0.2.8", ProcedureKind::Dump, None, false),
        ("10.1.1.1", ProcedureKind::Dump, None, true),
        ("127.0.0.1", ProcedureKind::Dump, None, true),
        ("::1", ProcedureKind::Dump, None, true),
        ("192.0.2.8", ProcedureKind::Lookup, Some(100_025), false),
        ("192.0.2.8", ProcedureKind::Lookup, Some(100_031), true),
        ("2001:db8::1", ProcedureKind::Set, Some(0x2000_0001), false),
        ("192.0.2.8", ProcedureKind::Null, None, true),
    ];
    for (address, kind, program, expected) in cases {
        assert_eq!(access.allows(ip(address), kind, program), expected, "{address} {kind:?} {program:?}");
    }
    let nobody = right("dump-from = []").reloadable.access;
    assert!(!nobody.allows(ip("192.0.2.1"), ProcedureKind::Dump, None));
    assert!(nobody.allows(ip("127.0.0.1"), ProcedureKind::Dump, None));
}

#[test]
fn udp_full_names_prefix_and_interface() {
    let settings = right("[[udp-full]]\nprefix = '10.0.0.0/8'\ninterface = 'eth0.100'\n");
    let prefix = "10.0.0.0/8".parse().expect("a prefix");
    assert_eq!(settings.reloadable.udp_full, [UdpFull { prefix, interface: "eth0.100".into() }]);
}

/// The sample with every key in force.
fn uncommented() -> String {
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    sample().lines().filter(is_setting).map(|line| format!("{}\n", line.trim_start_matches('#'))).collect()
}

#[test]
fn the_sample_file_is_right_with_and_without_its_comments() {
    assert_eq!(right(sample()), right(""));
    let text = uncommented();
    let settings = right(&text);
    assert_eq!(settings.reloadable.access.rules().len(), 3, "{text}");
    assert_eq!(text.lines().count(), ENTRIES.len() + 1, "each key once, and [limits]: {text}");
}

#[test]
fn the_sample_shows_the_defaults() {
    let switches_and_numbers: String = uncommented()
        .lines()
        .filter(|line| !line.contains("listen") && !line.contains("expire-dead"))
        .fold(String::new(), |text, line| if line.starts_with("[[") { text } else { text + line + "\n" });
    let before_tables = switches_and_numbers.split("name = ").next().expect("the part before the tables");
    let (shown, default) = (right(before_tables.replace("dump-from", "#")), right(""));
    assert_eq!((shown.caps, shown.connections), (default.caps, default.connections));
    assert_eq!((shown.port, shown.state_directory), (default.port, default.state_directory));
    assert_eq!(shown.reloadable, default.reloadable);
    assert_eq!(shown.socket.map(|socket| socket.name), default.socket.map(|socket| socket.name));
}

#[test]
fn the_table_names_each_key_once_and_its_limits_hold_its_default() {
    let keys: BTreeSet<&str> = ENTRIES.iter().map(|entry| entry.key).collect();
    assert_eq!(keys.len(), ENTRIES.len());
    for entry in ENTRIES {
        assert!(entry.about.ends_with('.'), "{}", entry.key);
        match entry.kind {
            Kind::Number { default, min, max } => assert!((min..=max).contains(&default), "{}", entry.key),
            Kind::Choice { default, of } => assert!(of.contains(&default), "{}", entry.key),
            Kind::Text { default, longest } => assert!(default.len() <= longest, "{}", entry.key),
            _ => {}
        }
    }
}

#[test]
fn the_manual_has_every_key_with_type_limits_and_when_it_applies() {
    let entries = manual_entries();
    let of = |table: &str, key: &str| {
        entries
            .iter()
            .find(|entry| (entry.table.as_str(), entry.key) == (table, key))
            .expect("it is in the manual")
    };
    assert_eq!(entries.len(), ENTRIES.len());
    assert_eq!(of("[limits]", "rows").value, "number, 2048 to 16384; default 16384");
    assert_eq!(of("", "nat").value, "\"auto\", \"off\"; default \"auto\"");
    assert_eq!((of("", "listen").applies, of("", "nat").applies), ("restart", "reload"));
    assert_eq!(of("", "listen").flag, Some("-h"));
    assert_eq!(of("[[access]]", "action").value, "\"allow\", \"deny\"; must be there");
    assert_eq!(of("[[access]]", "access").value, "at most 1024 tables");
}

#[test]
fn the_words_for_procedures_are_those_of_the_core() {
    let entry = ENTRIES.iter().find(|entry| entry.key == "access[].procedures").expect("it is in the table");
    for (name, kind) in ProcedureKind::NAMES {
        let settings = right(format!("[[access]]\naction = 'deny'\nprocedures = ['{name}']\n"));
        let rule = &settings.reloadable.access.rules()[0];
        assert!(rule.procedures.contains(kind));
        let Kind::List { of, .. } = entry.kind else { panic!("it is a list") };
        assert!(of.contains(name), "{name}");
    }
}

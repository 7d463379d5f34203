//! The client against Debian's port mapper: every procedure of every version, look-ups over every transport,
//! registrations by every way to it.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use oncrpc::bind::{self, Mapping, Protocol, RemoteCall, Rpcb};
use oncrpc::{Procedure, Program, Version};
use rpcbind_client::{
    CallError, Endpoint, LookupError, PortMapper, RegisterError, Registration, RpcbVersion, Transport,
    lookup, lookup_within,
};
use testkit::{Daemon, DaemonKind, Namespace, table};

const LIMIT: Duration = Duration::from_secs(10);
const SERVICE: Program = Program(700_000_001);
const BOTH: [RpcbVersion; 2] = [RpcbVersion::V3, RpcbVersion::V4];

/// A namespace with a running port mapper, and a test inside it.
fn with_rpcbind(test: impl FnOnce() + Send) {
    let home = Namespace::new().expect("a namespace");
    let _daemon = Daemon::start(&home, &DaemonKind::debian().argument("-r")).expect("it starts");
    home.within(test).expect("inside");
}

fn row<'a>(version: u32, netid: &'a str, address: &'a str) -> Rpcb<'a> {
    Rpcb {
        program: SERVICE,
        version: Version(version),
        netid: netid.as_bytes(),
        address: address.as_bytes(),
        owner: b"",
    }
}

#[test]
fn every_procedure_of_versions_3_and_4_is_answered() {
    testkit::require!(DaemonKind::DEBIAN);
    with_rpcbind(|| {
        let mut mapper = PortMapper::local(LIMIT).expect("it listens");
        let mut udp = PortMapper::on_host("127.0.0.1", Transport::Udp, None, LIMIT).expect("an address");
        let before = mapper.rows(RpcbVersion::V4).expect("rows").len();
        for version in BOTH {
            mapper.null(version.into()).expect("NULL");
            assert!(mapper.set(version, &row(1, "udp", "0.0.0.0.200.1")).expect("SET"));
            assert!(!mapper.set(version, &row(1, "udp", "0.0.0.0.200.2")).expect("SET again"));
            assert_eq!(mapper.rows(version).expect("DUMP").len(), before + 1);
            let found = udp.address(version, &row(1, "udp", "")).expect("GETADDR");
            assert_eq!(found.as_deref(), Some(&b"127.0.0.1.200.1"[..]));
            let clock = udp.time(version).expect("GETTIME");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            assert!(now.as_secs().abs_diff(clock.into()) < 60, "{clock}");
            let socket = udp.socket_address(version, b"1.2.3.4.5.6").expect("UADDR2TADDR");
            assert_eq!(socket.len(), 16);
            let universal = udp.universal_address(version, &socket).expect("TADDR2UADDR");
            assert_eq!(universal, b"1.2.3.4.5.6");
            assert!(mapper.unset(version, &row(1, "udp", "")).expect("UNSET"));
            assert!(mapper.unset(version, &row(1, "udp", "")).expect("UNSET again"));
            assert_eq!(udp.address(version, &row(1, "udp", "")).expect("GETADDR"), None);
        }
        assert!(mapper.set(RpcbVersion::V4, &row(1, "tcp", "0.0.0.0.200.1")).expect("SET"));
        let mut tcp = PortMapper::on_host("127.0.0.1", Transport::Tcp, None, LIMIT).expect("it listens");
        assert!(tcp.exact_address(&row(1, "tcp", "")).expect("GETVERSADDR").is_some());
        assert_eq!(tcp.exact_address(&row(2, "tcp", "")).expect("GETVERSADDR"), None);
        let entries = tcp.entries(&row(1, "tcp", "")).expect("GETADDRLIST");
        let netids: Vec<_> = entries.iter().map(|entry| entry.netid.to_vec()).collect();
        assert_eq!(netids, [b"tcp"]);
        let statistics = mapper.statistics().expect("GETSTAT");
        let [_, version3, version4] = statistics.versions();
        assert_eq!((version3.counters.set, version4.counters.set), (1, 2));
    });
}

#[test]
fn every_procedure_of_version_2_is_answered() {
    testkit::require!(DaemonKind::DEBIAN);
    with_rpcbind(|| {
        let mut mapper = PortMapper::on_host("127.0.0.1", Transport::Udp, None, LIMIT).expect("an address");
        let mapping = |port| Mapping { program: SERVICE, version: Version(1), protocol: Protocol::TCP, port };
        mapper.null(bind::V2).expect("NULL");
        assert!(mapper.set_mapping(&mapping(2000)).expect("SET"));
        assert!(!mapper.set_mapping(&mapping(2001)).expect("SET again"));
        assert_eq!(mapper.port(SERVICE, Version(1), Protocol::TCP).expect("GETPORT"), Some(2000));
        assert_eq!(mapper.port(SERVICE, Version(1), Protocol::UDP).expect("GETPORT"), None);
        assert!(mapper.mappings().expect("DUMP").iter().any(|row| row == mapping(2000)));
        assert!(mapper.unset_mapping(SERVICE, Version(1)).expect("UNSET"));
        assert_eq!(mapper.port(SERVICE, Version(1), Protocol::TCP).expect("GETPORT"), None);
    });
}

#[test]
fn remote_calls_to_nobody_are_refused_or_not_answered() {
    testkit::require!(DaemonKind::DEBIAN);
    with_rpcbind(|| {
        let mut mapper = PortMapper::on_host("127.0.0.1", Transport::Udp, None, LIMIT).expect("an address");
        let (version, procedure) = (Version(1), Procedure::NULL);
        let missing = RemoteCall { program: SERVICE, version, procedure, arguments: &[] };
        assert!(matches!(mapper.indirect(&missing), Err(CallError::ProgramUnavailable)));
        mapper.set_limit(Duration::from_millis(300));
        assert!(matches!(mapper.remote_call(RpcbVersion::V3, &missing), Err(CallError::TimedOut { .. })));
        assert!(matches!(mapper.remote_call(RpcbVersion::V4, &missing), Err(CallError::TimedOut { .. })));
        assert!(matches!(mapper.remote_call_by_port(&missing), Err(CallError::TimedOut { .. })));
    });
}

#[test]
fn services_are_found_over_every_transport() {
    testkit::require!(DaemonKind::DEBIAN);
    with_rpcbind(|| {
        let services = [
            (SERVICE, Version(1), "udp", "0.0.0.0.200.1"),
            (SERVICE, Version(1), "tcp", "0.0.0.0.200.2"),
            (SERVICE, Version(1), "udp6", "::.200.3"),
            (SERVICE, Version(1), "tcp6", "::.200.4"),
            (SERVICE, Version(1), "local", "/run/service.sock"),
        ];
        let registration = Registration::register(&services).expect("registered");
        for (host, netid, place) in [
            ("127.0.0.1", "udp", "127.0.0.1:51201"),
            ("127.0.0.1", "TCP", "127.0.0.1:51202"),
            ("::1", "udp6", "[::1]:51203"),
            ("::1", "tcp6", "[::1]:51204"),
        ] {
            let place: SocketAddr = place.parse().expect("an address");
            assert_eq!(lookup(host, SERVICE, Version(1), netid).expect("an answer"), Some(place), "{netid}");
            let another = lookup(host, SERVICE, Version(9), netid).expect("an answer");
            assert_eq!(another, Some(place), "of another version");
        }
        let local = lookup_within("", SERVICE, Version(1), "local", LIMIT).expect("an answer");
        assert_eq!(local, Some(Endpoint::Path("/run/service.sock".into())));
        assert_eq!(lookup("127.0.0.1", Program(299_999), Version(1), "udp").expect("an answer"), None);
        assert!(matches!(lookup("::1", SERVICE, Version(1), "udp"), Err(LookupError::Connect(_))));
        assert!(matches!(lookup("::1", SERVICE, Version(1), "no"), Err(LookupError::UnknownNetid(_))));
        assert!(matches!(lookup("::1", SERVICE, Version(1), "sctp"), Err(LookupError::Unsupported(_))));
        registration.end().expect("unregistered");
        assert_eq!(lookup("127.0.0.1", SERVICE, Version(1), "udp").expect("an answer"), None);
    });
}

/// The rows of the service, as another program reads them.
fn rows_of_service(home: &Namespace) -> Vec<String> {
    let rows = table::dump(home).expect("rows");
    rows.iter().filter(|row| row.program == SERVICE.0).map(ToString::to_string).collect()
}

#[test]
fn a_registration_lasts_as_long_as_its_guard() {
    testkit::require!(DaemonKind::DEBIAN);
    let home = Namespace::new().expect("a namespace");
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).expect("it starts");
    let register = |address: &str, replace: bool| {
        let services = [(SERVICE, Version(1), "tcp", address)];
        home.within(|| match replace {
            false => Registration::register(&services),
            true => Registration::replace(&services),
        })
        .expect("inside")
    };
    let first = register("0.0.0.0.200.1", false).expect("registered");
    assert_eq!(rows_of_service(&home), ["700000001 1 tcp 0.0.0.0.200.1 superuser"]);
    let error = register("0.0.0.0.200.2", false).expect_err("another address");
    assert!(matches!(error, RegisterError::Refused(_)), "{error}");
    assert_eq!(rows_of_service(&home).len(), 1, "what was there stays");
    first.keep();
    let second = register("0.0.0.0.200.2", true).expect("replaced");
    assert_eq!(rows_of_service(&home), ["700000001 1 tcp 0.0.0.0.200.2 superuser"]);
    home.within(|| drop(second)).expect("inside");
    assert_eq!(rows_of_service(&home), [""; 0]);
}

#[test]
fn without_unix_sockets_root_registers_over_tcp() {
    testkit::require!(DaemonKind::DEBIAN);
    let home = Namespace::new().expect("a namespace");
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).expect("it starts");
    let hidden = "/run/hidden.sock";
    let registered = home.within(|| {
        std::fs::rename("/run/rpcbind.sock", hidden).expect("moved");
        let mapper = PortMapper::local(LIMIT).expect("over TCP");
        assert!(matches!(mapper.endpoint(), Endpoint::Tcp(_)));
        Registration::register(&[(SERVICE, Version(1), "udp", "0.0.0.0.200.1")])
    });
    registered.expect("inside").expect("registered").keep();
    let rows = table::dump_at(&home, hidden).expect("rows");
    let owners: Vec<_> = rows.iter().filter(|row| row.program == SERVICE.0).map(|row| &row.owner).collect();
    assert_eq!(owners, ["superuser"], "from a reserved port");
}

#[test]
fn the_abstract_socket_is_tried_first() {
    testkit::require!(DaemonKind::DEBIAN);
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    with_rpcbind(|| {
        let name = SocketAddr::from_abstract_name("/run/rpcbind.sock").expect("a name");
        let listener = UnixListener::bind_addr(&name).expect("free");
        let mapper = PortMapper::local(LIMIT).expect("it listens");
        assert_eq!(mapper.endpoint(), &Endpoint::Abstract(b"/run/rpcbind.sock".to_vec()));
        drop(listener);
        // A child that another test is just starting may hold the listener a moment longer.
        let at_the_path = || {
            let mapper = PortMapper::local(LIMIT).expect("the daemon listens");
            Ok((mapper.endpoint() == &Endpoint::Path("/run/rpcbind.sock".into())).then_some(()))
        };
        testkit::wait::until("the path is tried", at_the_path).expect("it is next");
    });
}

//! The C clients against Debian's rpcbind: the text that every other port mapper is compared with.

use testkit::programs::{self, COMPILER, TIRPC_HEADER, TIRPC_STEPS, V2_STEPS, tirpc_steps, v2_steps};
use testkit::{Daemon, DaemonKind, Namespace, table};

#[test]
fn a_libtirpc_program_goes_through_all_its_steps() {
    testkit::require!(DaemonKind::DEBIAN, COMPILER, TIRPC_HEADER);
    assert_eq!(tirpc_steps(&DaemonKind::debian()).unwrap(), TIRPC_STEPS);
}

#[test]
fn an_old_program_goes_through_all_its_steps_from_a_reserved_port_and_from_another() {
    testkit::require!(DaemonKind::DEBIAN, COMPILER);
    for (uid, port) in [(0, "reserved"), (1000, "ordinary")] {
        let expected = format!("source port: {port}\n{V2_STEPS}");
        assert_eq!(v2_steps(&DaemonKind::debian(), uid).unwrap(), expected);
    }
}

#[test]
fn owners_are_the_unix_peer_or_what_the_source_port_says() {
    testkit::require!(DaemonKind::DEBIAN, COMPILER, TIRPC_HEADER);
    let home = Namespace::new().unwrap();
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    programs::register(&home, 0, "udp", (700_000_001, 1), "0.0.0.0.200.1").unwrap();
    programs::register(&home, 1000, "tcp", (700_000_002, 1), "0.0.0.0.200.2").unwrap();
    let v2 = programs::v2_peer(&home).unwrap();
    programs::run_as(&home, 1000, &v2, &["set"]).unwrap();
    let rows: Vec<String> = table::dump(&home).unwrap().iter().skip(12).map(ToString::to_string).collect();
    let expected = [
        "700000001 1 udp 0.0.0.0.200.1 superuser",
        "700000002 1 tcp 0.0.0.0.200.2 1000",
        "600000011 1 udp 0.0.0.0.195.83 unknown",
    ];
    assert_eq!(rows, expected);
}

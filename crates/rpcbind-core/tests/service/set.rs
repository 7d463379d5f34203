//! SET: what may be registered, by whom, and what becomes of a row that is there already.

use crate::callers::{USER, changed, loopback_tcp, loopback_udp, own_udp, stranger_tcp, stranger_udp, unix};
use crate::calls::{TCP, UDP, mapping, rpcb, set};
use crate::host::{Host, settings};
use oncrpc::Program;
use oncrpc::bind::{self, Attributes, Family, Semantics, V3, V4};
use rpcbind_core::Settings;
use rpcbind_core::facts::{BoundFact, Question};
use rpcbind_core::outcome::{Reason, Refusal};
use rpcbind_core::settings::{Grant, Policy};

/// A program that anybody may register.
const PROGRAM: u32 = 200_001;

const RESERVED: [u32; 11] =
    [100_003, 100_005, 100_021, 100_024, 100_011, 100_227, 100_004, 100_007, 100_009, 100_028, 100_069];

/// uids that may register what is reserved, and uids that may not.
const PRIVILEGED: [u32; 5] = [0, 1, 999, 61_184, 65_519];
const ORDINARY: [u32; 6] = [1_000, 61_183, 65_520, 65_534, 65_535, u32::MAX];

#[test]
fn every_netid_of_the_table_takes_an_address_of_its_family() {
    let table = [
        ("udp", "0.0.0.0.19.136"),
        ("tcp", "0.0.0.0.19.136"),
        ("udp6", "::.19.136"),
        ("tcp6", "::.19.136"),
        ("local", "/run/service.sock"),
        ("unix", "@service"),
        ("rawip", "0.0.0.0.19.136"),
        ("ticlts", "/run/service.sock"),
        ("ticots", "@service"),
        ("ticotsord", "/run/service.sock"),
        ("sctp", "0.0.0.0.19.136"),
        ("sctp6", "::.19.136"),
        ("dccp", "0.0.0.0.19.136"),
        ("dccp6", "::.19.136"),
        ("rdma", "0.0.0.0.78.84"),
        ("rdma6", "::.78.84"),
    ];
    let mut host = Host::new();
    for (netid, address) in table {
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, netid, address)).is_true(), "{netid}");
        let inet = address.starts_with('0');
        let other = if inet { "::.19.136" } else { "0.0.0.0.19.136" };
        host.send(&unix(USER), &set(PROGRAM, 2, netid, other)).is_refused(Refusal::Address);
    }
    assert_eq!(host.rows().len(), table.len());
}

#[test]
fn a_configured_netid_is_as_good_as_a_built_in_one() {
    let mut settings = settings();
    let attributes = Attributes {
        name: "quic".into(),
        semantics: Semantics::CotsOrd,
        family: Family::Inet,
        protocol: "udp".into(),
    };
    settings.netids.add(attributes).unwrap();
    let mut host = Host::with(settings);
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "Quic", "0.0.0.0.8.8")).is_true());
    assert_eq!(host.rows(), ["200001 1 quic 0.0.0.0.8.8 Uid(1000)"]);
}

#[test]
fn an_unknown_netid_is_refused() {
    let mut host = Host::new();
    for netid in ["", "foo", "udp ", "udp\0", "udp7", &"u".repeat(8_000)] {
        host.send(&unix(0), &set(PROGRAM, 1, netid, "0.0.0.0.8.8")).is_refused(Refusal::Netid);
    }
    assert_eq!(host.rows(), [""; 0]);
}

#[test]
fn netids_are_compared_without_case_and_listed_in_lower_case() {
    let mut host = Host::new();
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "UDP", "0.0.0.0.8.8")).is_true());
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    host.send(&unix(USER), &set(PROGRAM, 1, "uDp", "0.0.0.0.8.9")).is_refused(Refusal::Conflict);
    assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.8 Uid(1000)"]);
    let port = host.send(&stranger_udp(), &mapping(bind::GETPORT, PROGRAM, 1, UDP, 0));
    assert_eq!(port.number(), 2_056);
}

#[test]
fn an_address_has_to_parse_and_to_have_a_port() {
    let fine = [
        ("udp", "0.0.0.0.4.0"),
        ("udp", "0.0.0.0.255.255"),
        ("udp", "127.0.0.1.4.0"),
        ("udp6", "::1.4.0"),
        ("udp6", "fe80::2%2.4.0"),
        ("local", "/"),
        ("local", "@x"),
    ];
    let path_of_108 = format!("/{}", "p".repeat(107));
    for (netid, address) in fine.into_iter().chain([("local", path_of_108.as_str())]) {
        let mut host = Host::new();
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, netid, address)).is_true(), "{netid} {address}");
    }
    let path_of_109 = format!("/{}", "p".repeat(108));
    let long = "0".repeat(8_000);
    let wrong = [
        ("udp", ""),
        ("udp", "garbage"),
        ("udp", "0.0.0.0.0.0"),
        ("udp", "0.0.0.0.256.1"),
        ("udp", "0.0.0.0.1.256"),
        ("udp", "0.0.0.0.300.300"),
        ("udp", "256.0.0.0.8.8"),
        ("udp", "0.0.0.0.8"),
        ("udp", "0.0.0.0.8.8.8"),
        ("udp", " 0.0.0.0.8.8"),
        ("udp", "0.0.0.0.8.8 "),
        ("udp", "0.0.0.0.8.-8"),
        ("udp", "0.0.0.0.8.+8"),
        ("udp", "0.0.0.0.8.8\n"),
        ("udp", "/run/x"),
        ("udp6", "::.0.0"),
        ("udp6", "::1"),
        ("udp6", "::g.8.8"),
        ("local", ""),
        ("local", "@"),
        ("local", "run/x"),
        ("local", "/run/\x1b[2J"),
        ("local", "/run/x\n"),
        ("local", "/run/\0x"),
        ("local", path_of_109.as_str()),
        ("udp", long.as_str()),
    ];
    let mut host = Host::new();
    for (netid, address) in wrong {
        let ended = host.send(&unix(0), &set(PROGRAM, 1, netid, address));
        assert_eq!(ended.why.reason, Reason::Refused(Refusal::Address), "{netid} {address:?}");
        assert!(!ended.is_true());
    }
    assert_eq!(host.rows(), [""; 0]);
}

#[test]
fn version_2_takes_udp_and_tcp_and_ports_of_16_bits() {
    let mut host = Host::new();
    let mut send = |protocol, port| host.send(&unix(USER), &mapping(bind::SET, PROGRAM, 1, protocol, port));
    for protocol in [0, 1, 7, 132, u32::MAX] {
        send(protocol, 5_000).is_refused(Refusal::Netid);
    }
    for port in [0, 65_536, 70_000, u32::MAX] {
        send(UDP, port).is_refused(Refusal::Address);
    }
    assert!(send(UDP, 65_535).is_true());
    assert!(send(TCP, 5_000).is_true());
    assert_eq!(
        host.rows(),
        ["200001 1 udp 0.0.0.0.255.255 Uid(1000)", "200001 1 tcp 0.0.0.0.19.136 Uid(1000)"]
    );
}

#[test]
fn the_same_address_is_true_for_everybody_and_changes_nothing() {
    for again in [unix(USER), unix(0), unix(65_534), loopback_udp(40_000)] {
        let mut host = Host::new();
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&again, &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"));
        assert!(ended.is_true());
        let change = ended.change.unwrap();
        assert!(change.removed.is_empty() && change.added.is_none());
        assert!(host.send(&again, &mapping(bind::SET, PROGRAM, 1, UDP, 2_056)).is_true());
        assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.8 Uid(1000)"]);
    }
}

#[test]
fn the_same_address_in_another_spelling_is_the_same() {
    let pairs = [
        ("udp6", "::.8.8", "0:0:0:0:0:0:0:0.8.8"),
        ("udp6", "2001:db8::2.8.8", "2001:0DB8:0::0002.8.8"),
        ("udp6", "fe80::2%2.8.8", "fe80:0::2%2.8.8"),
        ("udp", "0.0.0.0.8.8", "0.0.0.0.08.008"),
    ];
    for (netid, first, second) in pairs {
        let mut host = Host::new();
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, netid, first)).is_true());
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, netid, second)).is_true(), "{second}");
        assert_eq!(host.rows(), [format!("200001 1 {netid} {first} Uid(1000)")]);
    }
    let mut host = Host::new();
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp6", "fe80::2%2.8.8")).is_true());
    let other_scope = host.send(&unix(USER), &set(PROGRAM, 1, "udp6", "fe80::2%3.8.8"));
    other_scope.is_refused(Refusal::Conflict);
}

#[test]
fn another_address_is_refused_unless_the_service_is_dead() {
    for (bound, taken) in [(BoundFact::Bound, false), (BoundFact::Unknown, false), (BoundFact::Free, true)] {
        let mut host = Host::new();
        host.bound = bound;
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, "tcp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&unix(USER), &set(PROGRAM, 1, "tcp", "0.0.0.0.8.9"));
        let asked = Question::Bound { netid: "tcp".into(), address: "0.0.0.0.8.8".into() };
        assert_eq!(ended.questions, [asked]);
        assert_eq!(ended.is_true(), taken, "{bound:?}");
        if taken {
            let change = ended.change.unwrap();
            assert_eq!(change.removed.len(), 1);
            assert_eq!(change.added.map(|row| row.address), Some("0.0.0.0.8.9".into()));
            assert_eq!(host.rows(), ["200001 1 tcp 0.0.0.0.8.9 Uid(1000)"]);
        } else {
            ended.is_refused(Refusal::Conflict);
            assert_eq!(host.rows(), ["200001 1 tcp 0.0.0.0.8.8 Uid(1000)"]);
        }
    }
}

#[test]
fn nobody_asks_whether_a_service_is_dead_whose_row_the_caller_may_not_change() {
    for other in [unix(1_001), unix(65_534), unix(999), loopback_udp(40_000)] {
        let mut host = Host::new();
        host.bound = BoundFact::Free;
        assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&other, &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
        ended.is_refused(Refusal::Conflict);
        assert!(!ended.questions.iter().any(|question| matches!(question, Question::Bound { .. })));
        assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.8 Uid(1000)"]);
    }
}

#[test]
fn whoever_is_known_takes_over_from_unknown_without_a_question() {
    for (caller, owner) in [(unix(USER), "Uid(1000)"), (unix(0), "Uid(0)"), (unix(999), "Uid(999)")] {
        let mut host = Host::new();
        host.bound = BoundFact::Bound;
        assert!(host.send(&loopback_udp(40_000), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&caller, &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
        assert!(ended.is_true());
        assert_eq!(ended.questions, []);
        assert_eq!(host.rows(), [format!("200001 1 udp 0.0.0.0.8.9 {owner}")]);
    }
}

#[test]
fn unknown_replaces_unknown_only_when_the_service_is_dead() {
    for (bound, taken) in [(BoundFact::Bound, false), (BoundFact::Unknown, false), (BoundFact::Free, true)] {
        let mut host = Host::new();
        host.bound = bound;
        assert!(host.send(&loopback_udp(40_000), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        let ended = host.send(&loopback_tcp_of_nobody(), &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
        assert_eq!(ended.is_true(), taken, "{bound:?}");
        assert_eq!(ended.questions.len(), 2);
    }
}

fn loopback_tcp_of_nobody() -> rpcbind_core::caller::Caller {
    loopback_tcp(40_001)
}

#[test]
fn root_takes_over_from_anybody_but_itself() {
    let mut host = Host::new();
    host.bound = BoundFact::Bound;
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    let ended = host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.8.9"));
    assert!(ended.is_true());
    assert_eq!(ended.questions, []);
    let again = host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.8.10"));
    again.is_refused(Refusal::Conflict);
    assert_eq!(again.questions.len(), 1);
    assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.9 Uid(0)"]);
}

#[test]
fn a_row_that_took_over_is_the_last_one() {
    let mut host = Host::new();
    host.bound = BoundFact::Free;
    for version in 1..=3 {
        assert!(host.send(&unix(USER), &set(PROGRAM, version, "udp", "0.0.0.0.8.8")).is_true());
    }
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.9")).is_true());
    assert_eq!(
        host.rows(),
        [
            "200001 2 udp 0.0.0.0.8.8 Uid(1000)",
            "200001 3 udp 0.0.0.0.8.8 Uid(1000)",
            "200001 1 udp 0.0.0.0.8.9 Uid(1000)",
        ]
    );
}

#[test]
fn reserved_programs_are_for_root_and_system_users() {
    for program in RESERVED {
        for uid in PRIVILEGED {
            let mut host = Host::new();
            assert!(host.send(&unix(uid), &set(program, 3, "udp", "0.0.0.0.8.8")).is_true(), "{uid}");
        }
        let mut host = Host::new();
        for uid in ORDINARY {
            let ended = host.send(&unix(uid), &set(program, 3, "udp", "0.0.0.0.8.8"));
            ended.is_refused(Refusal::ReservedProgram);
            let ended = host.send(&unix(uid), &mapping(bind::SET, program, 3, TCP, 5_000));
            ended.is_refused(Refusal::ReservedProgram);
        }
        let ended = host.send(&loopback_udp(40_000), &set(program, 3, "udp", "0.0.0.0.8.8"));
        ended.is_refused(Refusal::ReservedProgram);
        let ended = host.send(&unix(USER), &set(program, 3, "local", "/run/mine"));
        ended.is_refused(Refusal::ReservedProgram);
    }
    let mut host = Host::new();
    for program in [100_001, 100_002, 100_008, 100_026, 100_029] {
        assert!(host.send(&unix(65_534), &set(program, 1, "udp", "0.0.0.0.8.8")).is_true(), "{program}");
    }
}

#[test]
fn reserved_ports_are_for_root_and_system_users() {
    let reserved = [1, 111, 600, 1_023, 2_049];
    for port in reserved {
        for uid in PRIVILEGED {
            let mut host = Host::new();
            assert!(host.send(&unix(uid), &mapping(bind::SET, PROGRAM, 1, UDP, port)).is_true());
        }
        let mut host = Host::new();
        for uid in ORDINARY {
            let ended = host.send(&unix(uid), &mapping(bind::SET, PROGRAM, 1, UDP, port));
            ended.is_refused(Refusal::ReservedPort);
        }
        let ended = host.send(&loopback_udp(40_000), &mapping(bind::SET, PROGRAM, 1, UDP, port));
        ended.is_refused(Refusal::ReservedPort);
        let address = format!("::.{}.{}", port / 256, port % 256);
        host.send(&unix(USER), &set(PROGRAM, 1, "sctp6", &address)).is_refused(Refusal::ReservedPort);
    }
    let mut host = Host::new();
    for (version, port) in [(1, 1_024), (2, 2_048), (3, 2_050)] {
        assert!(host.send(&unix(USER), &mapping(bind::SET, PROGRAM, version, UDP, port)).is_true());
    }
}

#[test]
fn whoever_started_the_daemon_may_register_what_is_reserved() {
    let policy = || Policy { started_by: Some(USER), ..Policy::default() };
    let mut host = Host::with_policy(policy());
    assert!(host.send(&unix(USER), &set(100_003, 3, "tcp", "0.0.0.0.8.1")).is_true());
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "tcp", "198.51.100.9.0.80")).is_true());
    let mut host = Host::with_policy(policy());
    let other = host.send(&unix(1_001), &set(100_003, 3, "tcp", "0.0.0.0.8.8"));
    other.is_refused(Refusal::ReservedProgram);
    // It is not root for all that.
    assert!(host.send(&unix(1_001), &set(PROGRAM, 1, "tcp", "0.0.0.0.8.8")).is_true());
    host.send(&unix(USER), &set(PROGRAM, 1, "tcp", "0.0.0.0.8.9")).is_refused(Refusal::Conflict);
}

#[test]
fn a_grant_is_for_its_uid_its_programs_and_its_ports() {
    let grant = |uid, programs: &[u32], ports: &[u16]| Grant {
        uid,
        programs: programs.iter().copied().map(Program).collect(),
        ports: ports.to_vec(),
    };
    let grants = vec![grant(USER, &[100_003], &[2_049]), grant(1_001, &[], &[80]), grant(USER, &[], &[443])];
    let mut host = Host::with_policy(Policy { grants, ..Policy::default() });
    let mut send = |uid, program, port| host.send(&unix(uid), &mapping(bind::SET, program, 1, TCP, port));
    send(USER, 100_005, 5_000).is_refused(Refusal::ReservedProgram);
    send(USER, PROGRAM, 80).is_refused(Refusal::ReservedPort);
    send(USER, 100_003, 80).is_refused(Refusal::ReservedPort);
    send(1_001, 100_003, 80).is_refused(Refusal::ReservedProgram);
    send(1_001, PROGRAM, 2_049).is_refused(Refusal::ReservedPort);
    send(1_002, PROGRAM, 80).is_refused(Refusal::ReservedPort);
    assert!(send(USER, 100_003, 2_049).is_true());
    assert!(send(1_001, PROGRAM, 80).is_true());
    assert!(send(USER, PROGRAM + 1, 443).is_true());
    let ended = host.send(&loopback_udp(40_000), &set(100_003, 4, "tcp", "0.0.0.0.8.1"));
    ended.is_refused(Refusal::ReservedProgram);
}

#[test]
fn an_ordinary_users_address_is_a_wildcard_or_the_hosts() {
    let hosts =
        [("udp", "192.0.2.130.8.8"), ("udp", "127.3.2.1.8.8"), ("udp6", "::1.8.8"), ("udp6", "fe80::2.8.8")];
    let foreign = [
        ("udp", "198.51.100.9.8.8"),
        ("udp", "192.0.2.3.8.8"),
        ("udp", "255.255.255.255.8.8"),
        ("udp6", "2001:db8::3.8.8"),
        ("udp6", "::ffff:127.0.0.1.8.8"),
        ("udp6", "::ffff:0.0.0.0.8.8"),
    ];
    for (netid, address) in hosts {
        for caller in [unix(USER), loopback_udp(40_000), unix(0)] {
            let mut host = Host::new();
            assert!(host.send(&caller, &set(PROGRAM, 1, netid, address)).is_true(), "{address}");
        }
    }
    for (netid, address) in foreign {
        for caller in [unix(USER), unix(65_534), loopback_udp(40_000), loopback_tcp(40_000)] {
            let mut host = Host::new();
            let ended = host.send(&caller, &set(PROGRAM, 1, netid, address));
            ended.is_refused(Refusal::ForeignAddress);
        }
        for uid in PRIVILEGED {
            let mut host = Host::new();
            assert!(host.send(&unix(uid), &set(PROGRAM, 1, netid, address)).is_true(), "{uid}");
        }
    }
}

#[test]
fn nobody_registers_program_100000() {
    for caller in [unix(0), unix(USER), loopback_tcp(600), loopback_udp(600)] {
        let mut host = Host::with_policy(Policy { started_by: Some(USER), ..Policy::default() });
        let before = host.service.registry().len();
        for (version, netid, address) in
            [(2, "udp", "0.0.0.0.0.111"), (4, "tcp", "0.0.0.0.8.8"), (9, "sctp", "0.0.0.0.8.8")]
        {
            for called in [V3, V4] {
                let ended = host.send(&caller, &rpcb(called, bind::SET, 100_000, version, netid, address));
                ended.is_refused(Refusal::PortMapper);
            }
            let ended = host.send(&caller, &mapping(bind::SET, 100_000, version, UDP, 111));
            ended.is_refused(Refusal::PortMapper);
        }
        assert_eq!(host.service.registry().len(), before);
    }
}

#[test]
fn whoever_is_not_local_is_told_so_and_nothing_else() {
    let mapped = changed(loopback_udp(600), |datagram| datagram.mapped = true);
    let on_the_wire = changed(loopback_udp(600), |datagram| datagram.interface = 2);
    let callers = [stranger_tcp(), stranger_udp(), own_udp(), mapped, on_the_wire];
    for caller in callers {
        let mut host = Host::new();
        assert!(host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        // Whatever the arguments: new, there already, in conflict, wrong, the port mapper's own.
        for (program, netid, address) in [
            (PROGRAM + 1, "udp", "0.0.0.0.8.8"),
            (PROGRAM, "udp", "0.0.0.0.8.8"),
            (PROGRAM, "udp", "0.0.0.0.8.9"),
            (PROGRAM, "foo", "bar"),
            (100_000, "udp", "0.0.0.0.0.111"),
        ] {
            let ended = host.send(&caller, &set(program, 1, netid, address));
            ended.is_too_weak(Reason::NotLocal);
            assert_eq!(ended.questions, []);
        }
        host.send(&caller, &mapping(bind::SET, PROGRAM, 1, TCP, 5_000)).is_too_weak(Reason::NotLocal);
        host.send(&caller, &mapping(bind::UNSET, PROGRAM, 1, TCP, 5_000)).is_too_weak(Reason::NotLocal);
        assert_eq!(host.rows().len(), 1);
    }
}

#[test]
fn insecure_lets_connections_from_elsewhere_register_as_unknown_and_datagrams_never() {
    let insecure = Policy { insecure: true, ..Policy::default() };
    let mut host = Host::with(Settings { policy: insecure, ..settings() });
    let ended = host.send(&stranger_tcp(), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"));
    assert!(ended.is_true());
    assert_eq!(ended.questions, []);
    let ended = host.send(&stranger_tcp(), &set(100_003, 3, "udp", "0.0.0.0.8.8"));
    ended.is_refused(Refusal::ReservedProgram);
    let ended = host.send(&stranger_tcp(), &set(PROGRAM, 2, "udp", "198.51.100.7.8.8"));
    ended.is_refused(Refusal::ForeignAddress);
    for caller in [stranger_udp(), own_udp()] {
        host.send(&caller, &set(PROGRAM, 2, "udp", "0.0.0.0.8.8")).is_too_weak(Reason::NotLocal);
    }
    assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.8 Unknown"]);
}

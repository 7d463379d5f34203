//! SET: what may be registered, and what becomes of a row that is there already.

use crate::callers::{USER, loopback_tcp, loopback_udp, stranger_udp, unix};
use crate::calls::{TCP, UDP, mapping, set};
use crate::host::{Host, settings};
use oncrpc::bind::{self, Attributes, Family, Semantics};
use rpcbind_core::facts::{BoundFact, Question};
use rpcbind_core::outcome::{Reason, Refusal};

/// A program that anybody may register.
const PROGRAM: u32 = 200_001;

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

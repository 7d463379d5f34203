//! GETPORT, GETADDR, GETVERSADDR and GETADDRLIST: which row answers.

use crate::callers::{USER, changed, ip, one_each, own_udp, stranger_tcp, stranger_udp, unix};
use crate::calls::{TCP, UDP, call, encoded, mapping, row, rpcb, set, unset};
use crate::host::{Ended, Host, settings};
use oncrpc::bind::{self, Attributes, Entry, Family, Rpcb, Semantics, V2, V3, V4};
use oncrpc::xdr::{List, Reader};
use oncrpc::{Answer, Program, Version};
use rpcbind_core::caller::Transport;
use rpcbind_core::outcome::Reason;

const PROGRAM: u32 = 200_001;

/// A host with a program that has another port on each netid, in versions 1, 3 and 2 in this order.
fn host() -> Host {
    let mut host = Host::new();
    for (index, netid) in ["udp", "tcp", "udp6", "tcp6", "local", "sctp"].into_iter().enumerate() {
        for version in [1, 3, 2] {
            let address = match netid {
                "local" => format!("/run/service{version}"),
                "udp6" | "tcp6" => format!("::.{}.{version}", 20 + index),
                _ => format!("0.0.0.0.{}.{version}", 20 + index),
            };
            assert!(host.send(&unix(USER), &set(PROGRAM, version, netid, &address)).is_true());
        }
    }
    host
}

#[test]
fn getaddr_answers_for_the_transport_it_arrived_on_and_ignores_netid_and_owner() {
    let expected = |transport| match transport {
        Transport::Udp => "127.0.0.1.20.1",
        Transport::Tcp => "127.0.0.1.21.1",
        Transport::Udp6 => "::1.22.1",
        Transport::Tcp6 => "::1.23.1",
        Transport::Local => "/run/service1",
    };
    let mut host = host();
    for (transport, caller) in one_each() {
        for netid in ["udp", "tcp", "tcp6", "local", "sctp", "foo", "", &"x".repeat(8_000)] {
            for called in [V3, V4] {
                let ended = host.send(&caller, &rpcb(called, bind::GETADDR, PROGRAM, 1, netid, ""));
                assert_eq!(ended.text(), expected(transport), "{transport:?} {netid}");
                assert_eq!(ended.why.reason, Reason::Answered);
            }
            let ended = host.send(&caller, &rpcb(V4, bind::GETVERSADDR, PROGRAM, 1, netid, ""));
            assert_eq!(ended.text(), expected(transport));
        }
    }
}

#[test]
fn an_ipv4_datagram_on_a_dual_stack_socket_is_answered_with_ipv4() {
    let mut host = host();
    let mapped = changed(stranger_udp(), |datagram| datagram.mapped = true);
    let ended = host.send(&mapped, &rpcb(V4, bind::GETADDR, PROGRAM, 1, "udp6", ""));
    assert_eq!(ended.text(), "192.0.2.2.20.1");
}

#[test]
fn a_service_on_another_transport_only_is_not_found() {
    let mut host = Host::new();
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    for (transport, caller) in one_each() {
        let ended = host.send(&caller, &rpcb(V4, bind::GETADDR, PROGRAM, 1, "udp", ""));
        let expected = if transport == Transport::Udp { "127.0.0.1.8.8" } else { "" };
        assert_eq!(ended.text(), expected);
        let reason = if expected.is_empty() { Reason::NotRegistered } else { Reason::Answered };
        assert_eq!(ended.why.reason, reason);
    }
}

#[test]
fn getaddr_and_getport_fall_back_to_the_version_registered_last() {
    let mut host = host();
    for version in [0, 4, 77, u32::MAX] {
        for called in [V3, V4] {
            let ended = host.send(&stranger_udp(), &rpcb(called, bind::GETADDR, PROGRAM, version, "", ""));
            assert_eq!(ended.text(), "192.0.2.2.20.2");
        }
        let ended = host.send(&stranger_udp(), &mapping(bind::GETPORT, PROGRAM, version, TCP, 0));
        assert_eq!(ended.number(), 21 * 256 + 2);
        let exact = host.send(&stranger_udp(), &rpcb(V4, bind::GETVERSADDR, PROGRAM, version, "", ""));
        assert_eq!(exact.text(), "");
        assert_eq!(exact.why.reason, Reason::NotRegistered);
    }
    // The last one goes: the one before it answers; it comes back: it is the last one again.
    assert!(host.send(&unix(USER), &unset(PROGRAM, 2, "udp")).is_true());
    let ask =
        |host: &mut Host| host.send(&stranger_udp(), &mapping(bind::GETPORT, PROGRAM, 9, UDP, 0)).number();
    assert_eq!(ask(&mut host), 20 * 256 + 3);
    assert!(host.send(&unix(USER), &set(PROGRAM, 9_999, "udp", "0.0.0.0.50.50")).is_true());
    assert_eq!(ask(&mut host), 50 * 256 + 50);
}

#[test]
fn an_exact_version_wins_over_the_last_one() {
    let mut host = host();
    for version in [1, 2, 3] {
        let port = 20 * 256 + version;
        let ended = host.send(&stranger_udp(), &mapping(bind::GETPORT, PROGRAM, version, UDP, 0));
        assert_eq!(ended.number(), port);
        for procedure in [bind::GETADDR, bind::GETVERSADDR] {
            let ended = host.send(&stranger_udp(), &rpcb(V4, procedure, PROGRAM, version, "", ""));
            assert_eq!(ended.text(), format!("192.0.2.2.20.{version}"));
        }
    }
}

#[test]
fn getport_answers_for_the_protocol_it_names_on_every_transport() {
    let mut host = host();
    for (_, caller) in one_each() {
        for (protocol, port) in [(UDP, 20 * 256 + 1), (TCP, 21 * 256 + 1), (132, 0), (0, 0), (u32::MAX, 0)] {
            let ended = host.send(&caller, &mapping(bind::GETPORT, PROGRAM, 1, protocol, 9));
            assert_eq!(ended.number(), port);
        }
        let ours = host.send(&caller, &mapping(bind::GETPORT, 100_000, 2, UDP, 0));
        assert_eq!(ours.number(), 111);
        let nobodys = host.send(&caller, &mapping(bind::GETPORT, PROGRAM + 9, 1, UDP, 0));
        assert_eq!(nobodys.number(), 0);
        assert_eq!(nobodys.why.reason, Reason::NotRegistered);
    }
}

#[test]
fn getversaddr_is_of_version_4_only() {
    for called in [V2, V3] {
        let ended = host().send(&unix(0), &call(called, bind::GETVERSADDR, &row(PROGRAM, 1, "", "")));
        assert_eq!(ended.answer(), Some(Answer::ProcedureUnavailable));
    }
}

/// Address, netid, semantics, family and protocol of each entry.
fn entries(ended: &Ended) -> Vec<String> {
    let mut list = List::<Entry<'_>>::new(Reader::new(ended.results()));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let entries = list.by_ref().map(|entry| {
        let entry = entry.unwrap();
        let [address, netid, family, protocol] =
            [entry.address, entry.netid, entry.family, entry.protocol].map(text);
        format!("{address} {netid} {} {family} {protocol}", entry.semantics)
    });
    let entries = entries.collect();
    list.reader().finish().unwrap();
    entries
}

#[test]
fn getaddrlist_has_every_transport_of_the_family_in_exactly_that_version() {
    let mut host = host();
    let ask = |version| rpcb(V4, bind::GETADDRLIST, PROGRAM, version, "foo", "");
    let inet =
        ["127.0.0.1.20.1 udp 1 inet udp", "127.0.0.1.21.1 tcp 3 inet tcp", "127.0.0.1.25.1 sctp 3 inet sctp"];
    let inet6 = ["::1.22.1 udp6 1 inet6 udp", "::1.23.1 tcp6 3 inet6 tcp"];
    for (transport, caller) in one_each() {
        let expected: &[&str] = match transport {
            Transport::Udp | Transport::Tcp => &inet,
            Transport::Udp6 | Transport::Tcp6 => &inet6,
            Transport::Local => &[],
        };
        assert_eq!(entries(&host.send(&caller, &ask(1))), expected, "{transport:?}");
        let nothing = host.send(&caller, &ask(9));
        assert_eq!(entries(&nothing), [""; 0]);
        assert_eq!(nothing.why.reason, Reason::NotRegistered);
    }
    let ours = host.send(&stranger_tcp(), &rpcb(V4, bind::GETADDRLIST, 100_000, 4, "", ""));
    assert_eq!(entries(&ours), ["192.0.2.2.0.111 tcp 3 inet tcp", "192.0.2.2.0.111 udp 1 inet udp"]);
}

#[test]
fn a_foreign_row_does_not_disturb_getaddrlist() {
    let mut settings = settings();
    let attributes = Attributes {
        name: "quic".into(),
        semantics: Semantics::Cots,
        family: Family::Inet,
        protocol: "udp".into(),
    };
    settings.netids.add(attributes).unwrap();
    let mut host = Host::with(settings);
    let rows = [
        ("ticlts", "/run/x"),
        ("rawip", "0.0.0.0.8.8"),
        ("quic", "0.0.0.0.8.9"),
        ("dccp6", "::.8.8"),
        ("udp", "192.0.2.130.8.8"),
    ];
    for (netid, address) in rows {
        assert!(host.send(&unix(0), &set(PROGRAM, 1, netid, address)).is_true());
    }
    let ended = host.send(&stranger_tcp(), &rpcb(V4, bind::GETADDRLIST, PROGRAM, 1, "", ""));
    let expected =
        ["192.0.2.2.8.8 rawip 4 inet -", "192.0.2.2.8.9 quic 2 inet udp", "192.0.2.130.8.8 udp 1 inet udp"];
    assert_eq!(entries(&ended), expected);
}

#[test]
fn a_stranger_whose_datagram_is_shorter_than_the_answer_is_refused_and_one_that_pads_is_not() {
    let mut host = host();
    let mut message = rpcb(V4, bind::GETADDRLIST, PROGRAM, 1, "", "");
    host.send(&stranger_udp(), &message).is_too_weak(Reason::ReplyTooLong);
    message.resize(512, 0);
    assert_eq!(entries(&host.send(&stranger_udp(), &message)).len(), 3);
    // IPv6, no hint, a long address of ours: 64 bytes cannot be answered with 72.
    let six = changed(stranger_udp(), |datagram| {
        datagram.from = "[2001:db8:1111:2222::7]:40000".parse().unwrap();
        datagram.local = "[2001:db8:1111:2222:3333:4444:5555:6666]:111".parse().unwrap();
        datagram.destination = datagram.local.ip();
    });
    let (program, version, netid) = (Program(PROGRAM), Version(1), b"udp6".as_slice());
    let shortest = Rpcb { program, version, netid, address: b"", owner: b"" };
    let mut message = call(V4, bind::GETADDR, &encoded(&shortest));
    assert_eq!(message.len(), 64);
    host.send(&six, &message).is_too_weak(Reason::ReplyTooLong);
    message.resize(72, 0);
    assert_eq!(host.send(&six, &message).text(), "2001:db8:1111:2222:3333:4444:5555:6666.22.1");
}

#[test]
fn a_datagram_of_this_host_to_its_own_address_gets_whole_answers() {
    let mut host = host();
    let ended = host.send(&own_udp(), &rpcb(V4, bind::GETADDRLIST, PROGRAM, 1, "", ""));
    assert_eq!(entries(&ended)[0], "192.0.2.2.20.1 udp 1 inet udp");
    // The same datagram from the wire is a stranger's.
    let forged = changed(own_udp(), |datagram| datagram.interface = 2);
    host.send(&forged, &rpcb(V4, bind::GETADDRLIST, PROGRAM, 1, "", "")).is_too_weak(Reason::ReplyTooLong);
    let not_ours = changed(own_udp(), |datagram| datagram.from.set_ip(ip("192.0.2.9")));
    host.send(&not_ours, &rpcb(V4, bind::GETADDRLIST, PROGRAM, 1, "", "")).is_too_weak(Reason::ReplyTooLong);
}

#[test]
fn a_look_up_never_asks_a_question_nor_changes_a_row() {
    let mut host = host();
    let rows = host.rows();
    for (_, caller) in one_each() {
        for message in [
            rpcb(V4, bind::GETADDR, PROGRAM, 1, "udp", "192.0.2.2.0.111"),
            rpcb(V4, bind::GETADDRLIST, PROGRAM, 1, "udp", ""),
            mapping(bind::GETPORT, PROGRAM, 1, UDP, 0),
            call(V4, bind::DUMP, &[]),
            call(V4, bind::GETSTAT, &[]),
        ] {
            assert_eq!(host.send(&caller, &message).questions, []);
        }
    }
    assert_eq!(host.rows(), rows);
}

//! Which address is answered for a service that is registered on all of them: the order of the rules, then the tables
//! of the existing implementations with the answers that these rules give.

use crate::callers::{ETH0, ETH1, LO, changed, interfaces, ip, loopback_tcp, loopback_udp, tcp, udp, unix};
use crate::calls::{rpcb, set};
use crate::host::Host;
use oncrpc::bind::{self, V3, V4};
use rpcbind_core::caller::Caller;
use rpcbind_core::interfaces::{Interface, InterfaceAddress, Interfaces};
use rpcbind_core::settings::Policy;

const PROGRAM: u32 = 200_001;

/// A host on which version 1 of the program is registered on every address, and version 2 on this one.
fn host(nat: bool, specific: &str) -> Host {
    let mut host = Host::with_policy(Policy { nat, ..Policy::default() });
    for netid in ["udp", "tcp"] {
        assert!(host.send(&unix(0), &set(PROGRAM, 1, netid, "0.0.0.0.19.136")).is_true());
        assert!(host.send(&unix(0), &set(PROGRAM, 1, &format!("{netid}6"), "::.19.136")).is_true());
        let six = specific.contains(':');
        let netid = if six { format!("{netid}6") } else { netid.to_string() };
        assert!(host.send(&unix(0), &set(PROGRAM, 2, &netid, specific)).is_true());
    }
    host
}

fn ask(host: &mut Host, caller: &Caller, version: u32, hint: &str) -> String {
    let by_version = |called, procedure| rpcb(called, procedure, PROGRAM, version, "", hint);
    let text = host.send(caller, &by_version(V4, bind::GETADDR)).text();
    assert_eq!(host.send(caller, &by_version(V3, bind::GETADDR)).text(), text);
    assert_eq!(host.send(caller, &by_version(V4, bind::GETVERSADDR)).text(), text);
    text
}

/// What a service on every address is answered with, NAT taken into account or not.
#[track_caller]
fn answers(nat: bool, caller: &Caller, hint: &str, expected: &str) {
    let expected = format!("{expected}.19.136");
    assert_eq!(ask(&mut host(nat, "192.0.2.2.8.8"), caller, 1, hint), expected, "hint {hint:?}, nat {nat}");
}

fn client(to: &str, interface: u32) -> Caller {
    Caller::Datagram(udp("198.51.100.7:40000", &format!("{to}:111"), interface))
}

/// The same on every transport that can have the addresses.
fn clients(to: &str, interface: u32) -> [Caller; 2] {
    [client(to, interface), tcp("198.51.100.7:40000", &format!("{to}:111"))]
}

#[test]
fn first_a_specific_address_is_answered_unchanged_whatever_the_hint() {
    for specific in ["192.0.2.130.8.8", "127.0.0.1.8.8", "203.0.113.9.8.8"] {
        let mut host = host(true, specific);
        for caller in
            clients("192.0.2.2", ETH0).into_iter().chain([loopback_udp(40_000), loopback_tcp(40_000)])
        {
            for hint in ["", "192.0.2.2.0.111", "203.0.113.1.0.111", "garbage"] {
                assert_eq!(ask(&mut host, &caller, 2, hint), specific);
            }
        }
    }
    let mut host = host(true, "fe80::2%2.8.8");
    let caller = Caller::Datagram(udp("[2001:db8::7]:40000", "[2001:db8::2]:111", ETH0));
    assert_eq!(ask(&mut host, &caller, 2, ""), "fe80::2%2.8.8");
}

#[test]
fn second_the_hint_when_it_is_ours_whatever_its_port() {
    for nat in [true, false] {
        for caller in clients("192.0.2.2", ETH0) {
            for (hint, expected) in [
                ("192.0.2.130.0.111", "192.0.2.130"),
                ("192.0.2.130.4.1", "192.0.2.130"),
                ("192.0.2.2.0.111", "192.0.2.2"),
                ("127.0.0.1.0.111", "127.0.0.1"),
            ] {
                answers(nat, &caller, hint, expected);
            }
        }
    }
}

#[test]
fn third_the_address_in_front_of_a_nat() {
    for caller in clients("192.0.2.2", ETH0) {
        answers(true, &caller, "203.0.113.5.0.111", "203.0.113.5");
        answers(false, &caller, "203.0.113.5.0.111", "192.0.2.2");
        // Another port does not lead here; these are nobody's, or of no use to the caller.
        for hint in [
            "203.0.113.5.0.112",
            "203.0.113.5.4.1",
            "0.0.0.0.0.111",
            "255.255.255.255.0.111",
            "224.0.0.1.0.111",
            "2001:db8:9::1.0.111",
            "::ffff:203.0.113.5.0.111",
            "203.0.113.5",
            "/run/rpcbind.sock",
            "garbage",
            "",
        ] {
            answers(true, &caller, hint, "192.0.2.2");
        }
    }
    let six = Caller::Datagram(udp("[2001:db8:7::7]:40000", "[2001:db8::2]:111", ETH0));
    answers(true, &six, "2001:db8:9::1.0.111", "2001:db8:9::1");
    answers(false, &six, "2001:db8:9::1.0.111", "2001:db8::2");
    for hint in ["::1.0.112", "::.0.111", "ff02::202.0.111", "::ffff:203.0.113.5.0.111", "203.0.113.5.0.111"]
    {
        let expected = if hint.starts_with("::1") { "::1" } else { "2001:db8::2" };
        answers(true, &six, hint, expected);
    }
}

#[test]
fn the_port_in_front_of_a_nat_is_the_one_that_we_are_reached_on() {
    let mut settings = crate::host::settings();
    settings.port = 1_111;
    let mut host = Host::with(settings);
    assert!(host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.19.136")).is_true());
    let caller = client("192.0.2.2", ETH0);
    assert_eq!(ask(&mut host, &caller, 1, "203.0.113.5.4.87"), "203.0.113.5.19.136");
    assert_eq!(ask(&mut host, &caller, 1, "203.0.113.5.0.111"), "192.0.2.2.19.136");
}

#[test]
fn fourth_the_address_that_was_asked() {
    for (to, interface) in [("192.0.2.2", ETH0), ("192.0.2.130", ETH1), ("192.0.2.130", ETH0)] {
        for caller in clients(to, interface) {
            answers(true, &caller, "", to);
        }
    }
    // An address that the table does not have yet was asked all the same.
    answers(true, &client("192.0.2.99", ETH0), "", "192.0.2.99");
}

#[test]
fn the_c_daemons_table_with_the_answers_that_are_right() {
    // Request to, from, by, hint; the answer with NAT taken into account, and without.
    let table = [
        ("127.0.0.1", "127.0.0.1", LO, "", "127.0.0.1", "127.0.0.1"),
        ("192.0.2.2", "192.0.2.2", LO, "", "192.0.2.2", "192.0.2.2"),
        ("192.0.2.2", "192.0.2.7", ETH0, "192.0.2.130.0.111", "192.0.2.130", "192.0.2.130"),
        ("192.0.2.2", "192.0.2.7", ETH0, "0.0.0.0.0.111", "192.0.2.2", "192.0.2.2"),
        ("127.0.0.1", "127.0.0.1", LO, "0.0.0.0.0.111", "127.0.0.1", "127.0.0.1"),
        // From an address of ours, without a hint: what was asked, not what asked.
        ("192.0.2.2", "192.0.2.130", LO, "", "192.0.2.2", "192.0.2.2"),
        ("127.0.0.1", "127.0.0.1", LO, "192.0.2.150.0.111", "192.0.2.150", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", LO, "127.0.0.1.0.111", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", LO, "1.2.3.4.0.111", "1.2.3.4", "127.0.0.1"),
        ("192.0.2.2", "192.0.2.7", ETH0, "zzz", "192.0.2.2", "192.0.2.2"),
        ("192.0.2.2", "192.0.2.7", ETH0, "::1.0.111", "192.0.2.2", "192.0.2.2"),
        // A client of the second interface's subnet that asks the first one's address, through a router.
        ("192.0.2.2", "192.0.2.150", ETH0, "", "192.0.2.2", "192.0.2.2"),
    ];
    for (to, from, interface, hint, with_nat, without) in table {
        let caller = Caller::Datagram(udp(&format!("{from}:40000"), &format!("{to}:111"), interface));
        answers(true, &caller, hint, with_nat);
        answers(false, &caller, hint, without);
    }
    answers(true, &Caller::Datagram(udp("[::1]:40000", "[::1]:111", LO)), "", "::1");
}

/// Two links with two link-local addresses of ours.
fn two_links() -> Interfaces {
    let mut two = interfaces();
    let second = two.addresses.iter_mut().rfind(|own| own.address == ip("fe80::2")).unwrap();
    assert_eq!(second.interface, ETH1);
    second.address = ip("fe80::3");
    two
}

#[test]
fn link_local_addresses_are_answered_on_their_link() {
    let neighbour = |scope: u32, to: &str| {
        let caller = Caller::Datagram(udp("[fe80::beef]:40000", &format!("[{to}]:111"), scope));
        changed(caller, |datagram| {
            datagram.from = format!("[fe80::beef%{scope}]:40000").parse().unwrap();
        })
    };
    let connected =
        |scope: u32, to: &str| tcp(&format!("[fe80::beef%{scope}]:40000"), &format!("[{to}%{scope}]:111"));
    let mut host = host(true, "192.0.2.2.8.8");
    host.service.set_interfaces(two_links());
    for neighbour in [&neighbour as &dyn Fn(u32, &str) -> Caller, &connected] {
        assert_eq!(ask(&mut host, &neighbour(ETH0, "fe80::2"), 1, ""), "fe80::2.19.136");
        assert_eq!(ask(&mut host, &neighbour(ETH1, "fe80::3"), 1, ""), "fe80::3.19.136");
        assert_eq!(ask(&mut host, &neighbour(ETH0, "fe80::2"), 1, "fe80::2.0.111"), "fe80::2.19.136");
        // The address of the other link leads nowhere from here, and no NAT has a link-local address.
        assert_eq!(ask(&mut host, &neighbour(ETH0, "fe80::2"), 1, "fe80::3.0.111"), "fe80::2.19.136");
        assert_eq!(ask(&mut host, &neighbour(ETH1, "fe80::3"), 1, "fe80::2.0.111"), "fe80::3.19.136");
        assert_eq!(ask(&mut host, &neighbour(ETH0, "fe80::2"), 1, "fe80::99.0.111"), "fe80::2.19.136");
        // A global hint is right on every link.
        assert_eq!(ask(&mut host, &neighbour(ETH0, "fe80::2"), 1, "2001:db8::2.0.111"), "2001:db8::2.19.136");
    }
    // Both links have the same address: what was asked is answered.
    host.service.set_interfaces(interfaces());
    for scope in [ETH0, ETH1] {
        assert_eq!(ask(&mut host, &neighbour(scope, "fe80::2"), 1, ""), "fe80::2.19.136");
        assert_eq!(ask(&mut host, &neighbour(scope, "fe80::2"), 1, "fe80::2.0.111"), "fe80::2.19.136");
    }
}

/// The hosts of FreeBSD's vectors, made of these interfaces in this order.
fn freebsd(names: &[&str]) -> Interfaces {
    let mut table = Interfaces::default();
    for name in names {
        let (index, addresses): (u32, &[(&str, u8)]) = match *name {
            "lo0" => (1, &[("127.0.0.1", 8), ("::1", 128)]),
            "igb0" => (2, &[("192.0.2.2", 25), ("2001:db8::2", 64), ("fe80::2", 64)]),
            "igb1" => (3, &[("192.0.2.3", 25), ("2001:db8::3", 64), ("fe80::3", 64)]),
            "igb2" => (4, &[("192.0.2.130", 25), ("2001:db8:1::2", 64)]),
            _ => (5, &[("192.0.2.5", 32), ("2001:db8::5", 128)]),
        };
        table.interfaces.push(Interface {
            index,
            up: true,
            loopback: *name == "lo0",
            point_to_point: *name == "tun0",
            multicast: true,
        });
        for (address, prefix_length) in addresses {
            let address = ip(address);
            table.addresses.push(InterfaceAddress {
                interface: index,
                address,
                prefix_length: *prefix_length,
            });
        }
    }
    table
}

/// Answers for port 814 to clients 192.0.2.1, 2001:db8::1 and fe80::beef on link 2, where it is not known which address
/// was asked: by IPv4, by IPv6, link-local.
fn of_vector(interfaces: Interfaces, hints: [&str; 2]) -> [String; 3] {
    let mut host = Host::with_policy(Policy { nat: false, ..Policy::default() });
    host.service.set_interfaces(interfaces);
    assert!(host.send(&unix(0), &set(PROGRAM, 1, "tcp", "0.0.0.0.3.46")).is_true());
    assert!(host.send(&unix(0), &set(PROGRAM, 1, "tcp6", "::.3.46")).is_true());
    [
        ask(&mut host, &tcp("192.0.2.1:1234", "0.0.0.0:111"), 1, hints[0]),
        ask(&mut host, &tcp("[2001:db8::1]:1234", "[::]:111"), 1, hints[1]),
        ask(&mut host, &tcp("[fe80::beef%2]:1234", "[::]:111"), 1, ""),
    ]
}

#[test]
fn fifth_freebsds_vectors() {
    let none = ["", ""];
    let hinted = ["192.0.2.2.3.46", "2001:db8::2.3.46"];
    // Interfaces, hints, and the three answers.
    let vectors: [(&[&str], [&str; 2], [&str; 3]); 8] = [
        (&[], none, ["0.0.0.0", "::", "::"]),
        (&["lo0"], none, ["127.0.0.1", "::1", "::1"]),
        (&["lo0", "igb0"], none, ["192.0.2.2", "2001:db8::2", "fe80::2"]),
        (&["lo0", "igb0", "igb2"], none, ["192.0.2.2", "2001:db8::2", "fe80::2"]),
        (&["lo0", "igb2", "tun0"], none, ["192.0.2.130", "2001:db8:1::2", "2001:db8:1::2"]),
        (&["lo0", "igb0", "igb1"], hinted, ["192.0.2.2", "2001:db8::2", "fe80::2"]),
        (&["igb0", "tun0"], none, ["192.0.2.2", "2001:db8::2", "fe80::2"]),
        (&["tun0", "lo0"], none, ["192.0.2.5", "2001:db8::5", "2001:db8::5"]),
    ];
    for (names, hints, expected) in vectors {
        let expected = expected.map(|host| format!("{host}.3.46"));
        assert_eq!(of_vector(freebsd(names), hints), expected, "{names:?}");
        // The kernel's order makes no difference but between equals, of which only the last vector has any.
        let mut reversed = names.to_vec();
        reversed.reverse();
        if names != ["tun0", "lo0"] {
            assert_eq!(of_vector(freebsd(&reversed), hints), expected, "{reversed:?}");
        }
    }
}

#[test]
fn listening_on_one_address_that_address_is_answered() {
    // FreeBSD's vector for `-h`: the socket is bound to one of two addresses of a subnet, which is then what was asked.
    for names in [["lo0", "igb0", "igb1"], ["igb1", "igb0", "lo0"]] {
        let mut host = host(true, "192.0.2.2.8.8");
        host.service.set_interfaces(freebsd(&names));
        assert_eq!(ask(&mut host, &tcp("192.0.2.1:1234", "192.0.2.3:111"), 1, ""), "192.0.2.3.19.136");
        let six = tcp("[2001:db8::1]:1234", "[2001:db8::3]:111");
        assert_eq!(ask(&mut host, &six, 1, ""), "2001:db8::3.19.136");
    }
}

#[test]
fn an_interface_that_is_down_is_no_answer() {
    let mut table = freebsd(&["lo0", "igb0", "igb2"]);
    table.interfaces[1].up = false;
    let expected = ["192.0.2.130.3.46", "2001:db8:1::2.3.46", "2001:db8:1::2.3.46"];
    assert_eq!(of_vector(table, ["", ""]), expected);
}

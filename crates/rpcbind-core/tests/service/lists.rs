//! DUMP: what is listed, in which order, and how much of it leaves over which transport.

use crate::callers::{
    ETH0, ETH1, USER, changed, interfaces, ip, loopback_tcp, loopback_udp, own_udp, stranger_tcp,
    stranger_udp, unix, unix_elsewhere,
};
use crate::calls::{TCP, UDP, call, mapping, set, unset};
use crate::host::{Ended, Host, dump, settings};
use core::time::Duration;
use oncrpc::Answer;
use oncrpc::bind::{self, Mapping, V2, V3, V4};
use oncrpc::xdr::{List, Reader};
use rpcbind_core::Settings;
use rpcbind_core::caller::{Caller, Namespace, Now};
use rpcbind_core::facts::Facts;
use rpcbind_core::outcome::{Outcome, Reason, Refusal};
use rpcbind_core::settings::{Policy, UdpFull};
use std::sync::Arc;

const OWN: [(u32, &str, &str); 12] = [
    (4, "tcp6", "::.0.111"),
    (3, "tcp6", "::.0.111"),
    (4, "udp6", "::.0.111"),
    (3, "udp6", "::.0.111"),
    (4, "tcp", "0.0.0.0.0.111"),
    (3, "tcp", "0.0.0.0.0.111"),
    (2, "tcp", "0.0.0.0.0.111"),
    (4, "udp", "0.0.0.0.0.111"),
    (3, "udp", "0.0.0.0.0.111"),
    (2, "udp", "0.0.0.0.0.111"),
    (4, "local", "/run/rpcbind.sock"),
    (3, "local", "/run/rpcbind.sock"),
];

fn mappings(ended: &Ended) -> Vec<(u32, u32, u32, u32)> {
    let mut list = List::<Mapping>::new(Reader::new(ended.results()));
    let rows = list.by_ref().map(|row| {
        let row = row.unwrap();
        (row.program.0, row.version.0, row.protocol.0, row.port)
    });
    let rows = rows.collect();
    list.reader().finish().unwrap();
    rows
}

#[test]
fn our_own_rows_come_first_as_the_c_daemon_lists_them() {
    let mut host = Host::new();
    for caller in [unix(0), loopback_tcp(40_000), stranger_tcp()] {
        for called in [V3, V4] {
            let rows = dump(&host.send(&caller, &call(called, bind::DUMP, &[])));
            let expected: Vec<_> = OWN
                .iter()
                .map(|(version, netid, address)| {
                    (100_000, *version, (*netid).to_string(), (*address).to_string(), "superuser".to_string())
                })
                .collect();
            assert_eq!(rows, expected);
        }
        let rows = mappings(&host.send(&caller, &call(V2, bind::DUMP, &[])));
        let expected = [(4, TCP), (3, TCP), (2, TCP), (4, UDP), (3, UDP), (2, UDP)];
        assert_eq!(rows, expected.map(|(version, protocol)| (100_000, version, protocol, 111)));
    }
}

#[test]
fn services_follow_in_the_order_of_their_registration() {
    let mut host = Host::new();
    assert!(host.send(&unix(0), &set(100_003, 3, "TCP", "0.0.0.0.8.1")).is_true());
    assert!(host.send(&unix(USER), &mapping(bind::SET, 200_001, 1, UDP, 5_000)).is_true());
    assert!(host.send(&loopback_udp(40_000), &set(200_001, 1, "tcp6", "0::0.19.136")).is_true());
    assert!(host.send(&unix(u32::MAX), &set(200_001, 1, "local", "@x")).is_true());
    assert!(host.send(&unix_elsewhere(0), &set(200_000, 1, "udp", "192.0.2.9.8.8")).is_true());
    let rows = dump(&host.send(&unix(0), &call(V4, bind::DUMP, &[])));
    let services: Vec<_> = rows[12..].iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(
        services,
        [
            r#"(100003, 3, "tcp", "0.0.0.0.8.1", "superuser")"#,
            r#"(200001, 1, "udp", "0.0.0.0.19.136", "1000")"#,
            r#"(200001, 1, "tcp6", "0::0.19.136", "unknown")"#,
            r#"(200001, 1, "local", "@x", "4294967295")"#,
            r#"(200000, 1, "udp", "192.0.2.9.8.8", "superuser")"#,
        ]
    );
    let in_version_2 = mappings(&host.send(&unix(0), &call(V2, bind::DUMP, &[])));
    assert_eq!(
        in_version_2[6..],
        [(100_003, 3, TCP, 2_049), (200_001, 1, UDP, 5_000), (200_000, 1, UDP, 2_056)]
    );
}

#[test]
fn the_list_is_what_the_table_is_after_every_change() {
    let mut host = Host::new();
    let rows = |host: &mut Host| dump(&host.send(&unix(0), &call(V4, bind::DUMP, &[]))).len();
    let both = |host: &mut Host| mappings(&host.send(&unix(0), &call(V2, bind::DUMP, &[]))).len();
    assert_eq!((rows(&mut host), both(&mut host)), (12, 6));
    assert!(host.send(&unix(0), &set(200_001, 1, "udp", "0.0.0.0.8.8")).is_true());
    assert_eq!((rows(&mut host), both(&mut host)), (13, 7));
    assert!(host.send(&unix(0), &set(200_001, 1, "udp6", "::.8.8")).is_true());
    assert_eq!((rows(&mut host), both(&mut host)), (14, 7));
    assert!(host.send(&unix(0), &unset(200_001, 1, "")).is_true());
    assert_eq!((rows(&mut host), both(&mut host)), (12, 6));
}

#[test]
fn streams_share_one_list_until_it_changes() {
    let mut host = Host::new();
    let body = |host: &mut Host, caller: &Caller, called| {
        let now = Now { monotonic: Duration::ZERO, unix_seconds: 0 };
        let message = call(called, bind::DUMP, &[]);
        let handled = host.service.handle(now, caller, &Facts::default(), &message, &mut [0; 24]);
        match handled.outcome {
            Outcome::Table { len: 24, body } => body,
            other => panic!("{other:?}"),
        }
    };
    let first = body(&mut host, &unix(0), V4);
    assert!(Arc::ptr_eq(&first, &body(&mut host, &stranger_tcp(), V3)));
    assert!(!Arc::ptr_eq(&first, &body(&mut host, &stranger_tcp(), V2)));
    assert!(host.send(&unix(0), &set(200_001, 1, "udp", "0.0.0.0.8.8")).is_true());
    assert!(!Arc::ptr_eq(&first, &body(&mut host, &unix(0), V4)));
}

#[test]
fn a_strangers_datagram_gets_no_rows_but_for_what_it_brings() {
    let mut host = Host::new();
    for called in [V2, V3, V4] {
        let message = call(called, bind::DUMP, &[]);
        for caller in [stranger_udp(), changed(own_udp(), |datagram| datagram.interface = ETH0)] {
            host.send(&caller, &message).is_too_weak(Reason::ReplyTooLong);
        }
        let padded = call(called, bind::DUMP, &[0; 8_000]);
        let ended = host.send(&stranger_udp(), &padded);
        if called == V2 {
            // 28 + 6 * 20 bytes.
            assert_eq!(mappings(&ended).len(), 6);
        } else {
            ended.is_too_weak(Reason::ReplyTooLong);
        }
    }
}

#[test]
fn this_host_gets_8800_bytes_by_datagram_and_beyond_that_an_error_in_every_version() {
    let mut host = Host::new();
    for caller in [loopback_udp(40_000), own_udp()] {
        assert_eq!(mappings(&host.send(&caller, &call(V2, bind::DUMP, &[]))).len(), 6);
        assert_eq!(dump(&host.send(&caller, &call(V4, bind::DUMP, &[]))).len(), 12);
    }
    // 24 + 20 * 438 + 4 bytes are 8,788, one row more is too many.
    for version in 0..432 {
        assert!(host.send(&unix(0), &mapping(bind::SET, 200_001, version, UDP, 5_000)).is_true());
    }
    let ended = host.send(&loopback_udp(40_000), &call(V2, bind::DUMP, &[]));
    assert_eq!(ended.reply.as_ref().map(Vec::len), Some(8_788));
    assert!(host.send(&unix(0), &mapping(bind::SET, 200_001, 432, UDP, 5_000)).is_true());
    for called in [V2, V3, V4] {
        for caller in [loopback_udp(40_000), own_udp()] {
            let ended = host.send(&caller, &call(called, bind::DUMP, &[]));
            assert_eq!(ended.answer(), Some(Answer::SystemError));
            assert_eq!(ended.why.reason, Reason::ReplyTooLong);
        }
        let ended = host.send(&stranger_tcp(), &call(called, bind::DUMP, &[]));
        assert_eq!(ended.why.reason, Reason::Answered);
    }
}

#[test]
fn a_prefix_with_whole_replies_has_them_on_its_interface_only() {
    let udp_full = vec![UdpFull { prefix: "198.51.100.0/24".parse().unwrap(), interface: "eth0".into() }];
    let mut host = Host::with_policy(Policy { udp_full, ..Policy::default() });
    let message = call(V4, bind::DUMP, &[]);
    assert_eq!(dump(&host.send(&stranger_udp(), &message)).len(), 12);
    let elsewhere = changed(stranger_udp(), |datagram| datagram.interface = 3);
    host.send(&elsewhere, &message).is_too_weak(Reason::ReplyTooLong);
    let other = changed(stranger_udp(), |datagram| datagram.from.set_ip(ip("198.51.101.7")));
    host.send(&other, &message).is_too_weak(Reason::ReplyTooLong);
    // Whole replies are no permission to write, nor to ask from a server's port.
    host.send(&stranger_udp(), &set(200_001, 1, "udp", "0.0.0.0.8.8")).is_too_weak(Reason::NotLocal);
    let server = changed(stranger_udp(), |datagram| datagram.from.set_port(19));
    assert_eq!(host.send(&server, &message).answer(), None);
    let to_all = changed(stranger_udp(), |datagram| datagram.destination = ip("192.0.2.127"));
    assert_eq!(host.send(&to_all, &message).answer(), None);
}

#[test]
fn the_interface_with_whole_replies_is_whichever_has_the_name() {
    let udp_full = vec![UdpFull { prefix: "198.51.100.0/24".parse().unwrap(), interface: "wan".into() }];
    let mut host = Host::with_policy(Policy { udp_full, ..Policy::default() });
    let message = call(V4, bind::DUMP, &[]);
    for (named, gets) in [(None, false), (Some(ETH0), true), (Some(ETH1), false), (Some(ETH0), true)] {
        let mut table = interfaces();
        table.names.extend(named.map(|index| ("wan".into(), index)));
        host.service.set_interfaces(table);
        assert_eq!(host.service.has_interface("wan"), named.is_some());
        assert_eq!(host.send(&stranger_udp(), &message).why.reason == Reason::Answered, gets, "{named:?}");
    }
}

#[test]
fn rows_from_a_file_pass_the_checks_of_set() {
    let mut host = Host::with(Settings::default());
    let row = |host: &Host, program, netid: &str, address: &str| rpcbind_core::registry::Row {
        program: oncrpc::Program(program),
        version: oncrpc::Version(1),
        netid: host.service.netids().find(netid.as_bytes()).unwrap(),
        address: address.into(),
        owner: rpcbind_core::registry::Owner::Unknown,
        namespace: Namespace(0),
    };
    let long_scope = format!("fe80::1%{}1.8.8", "0".repeat(200));
    for (program, netid, address) in [
        (100_000, "udp", "0.0.0.0.8.8"),
        (200_001, "udp", "garbage"),
        (200_001, "udp", "::.8.8"),
        (200_001, "udp", "0.0.0.0.0.0"),
        (200_001, "local", "/run/\n"),
        (200_001, "udp6", long_scope.as_str()),
    ] {
        let refused = row(&host, program, netid, address);
        assert!(host.service.restore(refused).is_err(), "{program} {netid} {address}");
    }
    let good = row(&host, 200_001, "udp", "0.0.0.0.8.8");
    assert_eq!(host.service.restore(good.clone()), Ok(()));
    assert_eq!(host.service.restore(good), Err(Refusal::Conflict));
    assert_eq!(dump(&host.send(&unix(0), &call(V4, bind::DUMP, &[]))).len(), 1);
}

#[test]
fn a_table_without_rows_is_an_empty_list() {
    let mut host = Host::with(Settings { own: Vec::new(), ..settings() });
    for called in [V2, V3, V4] {
        for caller in [unix(0), stranger_tcp(), stranger_udp()] {
            assert_eq!(host.send(&caller, &call(called, bind::DUMP, &[])).results(), [0; 4]);
        }
    }
}

//! GETSTAT: counters as rpcbind counts them, and lists that a stranger cannot fill up.

use crate::callers::{USER, loopback_udp, own_udp, stranger_tcp, stranger_udp, unix};
use crate::calls::{TCP, UDP, call, encoded, mapping, remote, rpcb, set, unset};
use crate::host::{Host, settings};
use core::time::Duration;
use oncrpc::bind::stat::VersionTable;
use oncrpc::bind::{self, V2, V3, V4};
use oncrpc::xdr::{Decode, Reader};
use oncrpc::{Answer, Call, Procedure, Reply, Version};
use rpcbind_core::Settings;
use rpcbind_core::outcome::Reason;
use rpcbind_core::settings::Forwarding;

const PROGRAM: u32 = 200_001;

/// One version's table as values.
#[derive(Debug, PartialEq)]
struct Table {
    calls: [i32; 13],
    set: i32,
    unset: i32,
    /// program version netid success failure
    lookups: Vec<String>,
    /// program version procedure netid success failure indirect
    remote: Vec<String>,
}

/// The tables of versions 2, 3 and 4, asked over the unix socket. Asking counts.
fn tables(host: &mut Host) -> [Table; 3] {
    let ended = host.send(&unix(0), &call(V4, bind::GETSTAT, &[]));
    let mut reader = Reader::new(ended.results());
    let tables = [(); 3].map(|()| {
        let table = VersionTable::decode(&mut reader).unwrap();
        let text = |netid: &[u8]| String::from_utf8(netid.to_vec()).unwrap();
        let lookups = table.addresses.map(|row| {
            let row = row.unwrap();
            format!("{} {} {} {} {}", row.program, row.version, text(row.netid), row.success, row.failure)
        });
        let remote = table.remote.map(|row| {
            let row = row.unwrap();
            let (program, version, procedure) = (row.program, row.version, row.procedure);
            let counts = (row.success, row.failure, row.indirect);
            format!("{program} {version} {procedure} {} {counts:?}", text(row.netid))
        });
        let (lookups, remote) = (lookups.collect(), remote.collect());
        let counters = table.counters;
        Table { calls: counters.calls, set: counters.set, unset: counters.unset, lookups, remote }
    });
    reader.finish().unwrap();
    tables
}

/// Counts of calls by procedure.
fn calls(counts: &[i32]) -> [i32; 13] {
    let mut calls = [0; 13];
    calls[..counts.len()].copy_from_slice(counts);
    calls
}

#[test]
fn a_fresh_port_mapper_has_counted_the_question_only() {
    let [two, three, four] = tables(&mut Host::new());
    for empty in [two, three] {
        let none = Vec::new;
        assert_eq!(empty, Table { calls: [0; 13], set: 0, unset: 0, lookups: none(), remote: none() });
    }
    assert_eq!(four.calls, calls(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    assert!(four.lookups.is_empty() && four.remote.is_empty());
}

#[test]
fn version_2_counts_as_in_the_sample() {
    // NULL 1, SET 7/12, UNSET 3/3, GETPORT 2/5, DUMP 2, CALLIT 1/3.
    let mut host = Host::new();
    let send = |host: &mut Host, message: &[u8]| host.send(&unix(USER), message);
    send(&mut host, &call(V2, Procedure(0), &[]));
    for version in 1..=7 {
        assert!(send(&mut host, &mapping(bind::SET, PROGRAM, version, UDP, 5_000)).is_true());
    }
    for protocol in [1, 2, 3] {
        assert!(!send(&mut host, &mapping(bind::SET, PROGRAM, 8, protocol, 5_000)).is_true());
    }
    send(&mut host, &call(V2, bind::SET, &[0; 4]));
    host.send(&stranger_udp(), &mapping(bind::SET, PROGRAM, 9, UDP, 5_000)).is_too_weak(Reason::NotLocal);
    for version in [6, 7, 99] {
        assert!(send(&mut host, &mapping(bind::UNSET, PROGRAM, version, UDP, 0)).is_true());
    }
    for (version, protocol) in [(77, UDP), (1, UDP), (1, TCP), (1, 99)] {
        host.send(&stranger_udp(), &mapping(bind::GETPORT, PROGRAM, version, protocol, 0));
    }
    send(&mut host, &call(V2, bind::GETPORT, &[]));
    send(&mut host, &call(V2, bind::DUMP, &[]));
    host.send(&stranger_udp(), &call(V2, bind::DUMP, &[])).is_too_weak(Reason::ReplyTooLong);
    for (version, procedure) in [(1, 1), (1, 1)] {
        host.send(&stranger_udp(), &call(V2, bind::CALLIT, &remote(PROGRAM, version, procedure, b"")));
    }
    host.send(&stranger_udp(), &call(V2, bind::CALLIT, &[]));
    // Beyond the last procedure nothing is counted.
    host.send(&stranger_udp(), &call(V2, Procedure(6), &[]));
    let [two, three, _] = tables(&mut host);
    assert_eq!(two.calls, calls(&[1, 12, 3, 5, 2, 3]));
    assert_eq!((two.set, two.unset), (7, 3));
    assert_eq!(two.lookups, ["200001 1 tcp 0 1", "200001 1 udp 1 0", "200001 77 udp 1 0"]);
    assert_eq!(two.remote, ["200001 1 1 udp (2, 0, 0)"]);
    assert_eq!(three.calls, [0; 13]);
}

#[test]
fn versions_3_and_4_count_look_ups_by_the_transport_they_arrive_on() {
    let mut host = Host::new();
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    let wanted =
        [(stranger_udp(), 1), (stranger_udp(), 7), (stranger_tcp(), 1), (unix(USER), 1), (own_udp(), 1)];
    for (caller, version) in wanted {
        for called in [V3, V4] {
            host.send(&caller, &rpcb(called, bind::GETADDR, PROGRAM, version, "tcp", ""));
        }
        host.send(&caller, &rpcb(V4, bind::GETVERSADDR, PROGRAM, version, "tcp", ""));
        host.send(&caller, &rpcb(V4, bind::GETADDRLIST, PROGRAM, version, "tcp", ""));
    }
    let [two, three, four] = tables(&mut host);
    assert!(two.lookups.is_empty());
    assert_eq!(three.calls, calls(&[0, 0, 0, 5]));
    assert_eq!(
        three.lookups,
        ["200001 1 local 0 1", "200001 1 tcp 0 1", "200001 7 udp 1 0", "200001 1 udp 2 0"]
    );
    assert_eq!(four.calls, calls(&[0, 1, 0, 5, 0, 0, 0, 0, 0, 5, 0, 5, 1]));
    // GETADDRLIST over TCP finds the udp row; GETVERSADDR of version 7 and GETADDRLIST of it find nothing.
    assert_eq!(
        four.lookups,
        ["200001 1 local 0 3", "200001 1 tcp 1 2", "200001 7 udp 1 2", "200001 1 udp 6 0"]
    );
}

#[test]
fn each_section_counts_its_own_sets_and_unsets_that_were_true() {
    let mut host = Host::new();
    for (index, called) in [V3, V4].into_iter().enumerate() {
        let version = u32::try_from(index).unwrap();
        for _ in 0..=index {
            let message = rpcb(called, bind::SET, PROGRAM, version, "udp", "0.0.0.0.8.8");
            assert!(host.send(&unix(USER), &message).is_true());
            let absent = rpcb(called, bind::UNSET, PROGRAM, 9, "", "");
            assert!(host.send(&unix(USER), &absent).is_true());
        }
        let refused = rpcb(called, bind::SET, PROGRAM, version, "udp", "0.0.0.0.8.9");
        assert!(!host.send(&unix(1_001), &refused).is_true());
        let refused = rpcb(called, bind::UNSET, PROGRAM, version, "udp", "");
        assert!(!host.send(&unix(1_001), &refused).is_true());
    }
    let [_, three, four] = tables(&mut host);
    assert_eq!((three.calls, three.set, three.unset), (calls(&[0, 2, 2]), 1, 1));
    assert_eq!((&four.calls[..3], four.set, four.unset), (&[0, 3, 3][..], 2, 2));
}

#[test]
fn a_message_that_needs_facts_is_counted_once() {
    let mut host = Host::new();
    let ended = host.send(&loopback_udp(40_000), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"));
    assert!(ended.is_true());
    assert_eq!(ended.questions.len(), 1);
    assert!(host.send(&loopback_udp(40_000), &unset(PROGRAM, 1, "")).is_true());
    let [_, _, four] = tables(&mut host);
    assert_eq!((four.calls[1], four.set), (1, 1));
    assert_eq!((four.calls[2], four.unset), (1, 1));
}

#[test]
fn remote_calls_are_counted_though_they_are_off_and_only_indirect_ones_as_indirect() {
    let mut host = Host::new();
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    let mut ask = |called: Version, procedure, version, number| {
        host.send(&stranger_udp(), &call(called, procedure, &remote(PROGRAM, version, number, b"")));
    };
    ask(V4, bind::INDIRECT, 1, 1);
    ask(V4, bind::INDIRECT, 1, 1);
    ask(V4, bind::BCAST, 1, 1);
    ask(V4, bind::BCAST, 1, 2);
    ask(V4, bind::BCAST, 9, 1);
    ask(V4, bind::INDIRECT, 9, 1);
    ask(V3, bind::CALLIT, 1, 1);
    // Not called at all, over a stream; and forbidden.
    host.send(&stranger_tcp(), &call(V4, bind::INDIRECT, &remote(PROGRAM, 1, 1, b"")));
    host.send(&stranger_udp(), &call(V4, bind::INDIRECT, &remote(100_000, 2, 4, b"")));
    let [_, three, four] = tables(&mut host);
    assert_eq!(three.remote, ["200001 1 1 udp (1, 0, 0)"]);
    assert_eq!(
        four.remote,
        ["200001 9 1 udp (0, 2, 1)", "200001 1 2 udp (1, 0, 0)", "200001 1 1 udp (3, 0, 2)"]
    );
    assert_eq!((four.calls[5], four.calls[10]), (3, 5));
}

#[test]
fn remote_calls_that_are_made_are_counted_as_such_however_they_end() {
    let forwarding = Forwarding { inet: Some(1), inet6: None, calls: 9, calls_per_source: 9, seed: [0; 2] };
    let mut host = Host::with(Settings { forwarding: Some(forwarding), ..settings() });
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "udp", "0.0.0.0.19.136")).is_true());
    let mut ask = |called: Version, procedure, version, number, answered: Option<Answer<'_>>| {
        let message = call(called, procedure, &remote(PROGRAM, version, number, b""));
        if let Some(forward) = host.send(&stranger_tcp(), &message).forward {
            let xid = Call::decode(&forward.message).unwrap().xid;
            let answer = answered.map(|answer| encoded(&Reply { xid, answer })).unwrap_or_default();
            let end = host.answered(forward.to, &answer);
            end.or_else(|| host.expire(Duration::MAX)).unwrap();
        }
    };
    let results = Some(Answer::Success(b""));
    ask(V4, bind::INDIRECT, 1, 0, results);
    ask(V4, bind::INDIRECT, 1, 0, None);
    ask(V4, bind::BCAST, 1, 0, results);
    ask(V4, bind::BCAST, 1, 0, Some(Answer::SystemError));
    ask(V3, bind::CALLIT, 1, 0, results);
    ask(V4, bind::INDIRECT, 9, 0, results);
    // Not in the list of what may be called.
    ask(V4, bind::INDIRECT, 1, 1, results);
    let [_, three, four] = tables(&mut host);
    assert_eq!(three.remote, ["200001 1 0 udp (1, 0, 0)"]);
    assert_eq!(four.remote, ["200001 9 0 udp (0, 1, 1)", "200001 1 0 udp (4, 0, 2)"]);
}

#[test]
fn programs_that_are_not_registered_share_one_row() {
    let mut host = Host::new();
    for program in 0..5_000 {
        host.send(&stranger_udp(), &rpcb(V4, bind::GETADDR, 300_000 + program, 1, "udp", ""));
        host.send(&stranger_udp(), &mapping(bind::GETPORT, 300_000 + program, 1, UDP, 0));
        host.send(&stranger_udp(), &call(V4, bind::INDIRECT, &remote(300_000 + program, 1, 1, b"")));
    }
    let [two, _, four] = tables(&mut host);
    assert_eq!(two.lookups, ["0 0 other 0 5000"]);
    assert_eq!(four.lookups, ["0 0 other 0 5000"]);
    assert_eq!(four.remote, ["0 0 0 other (0, 5000, 5000)"]);
}

#[test]
fn getstat_fits_whatever_strangers_have_asked() {
    let mut host = Host::new();
    assert!(host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
    // More versions of a registered program than there are rows, in every list of every section.
    for version in 0..1_000 {
        host.send(&stranger_udp(), &mapping(bind::GETPORT, PROGRAM, version, UDP, 0));
        for called in [V3, V4] {
            host.send(&stranger_udp(), &rpcb(called, bind::GETADDR, PROGRAM, version, "", ""));
        }
        for called in [V2, V3, V4] {
            host.send(&stranger_udp(), &call(called, bind::CALLIT, &remote(PROGRAM, version, 1, b"")));
        }
    }
    let tables = tables(&mut host);
    let rows = |table: &Table| {
        table.lookups.iter().chain(&table.remote).filter(|row| !row.contains("other")).count()
    };
    assert_eq!(tables.iter().map(rows).sum::<usize>(), 128);
    assert!(tables.iter().all(|table| table.lookups.iter().any(|row| row.starts_with("0 0 other"))));
    let over_udp = host.send(&loopback_udp(40_000), &call(V4, bind::GETSTAT, &[]));
    assert!(matches!(over_udp.answer(), Some(Answer::Success(_))));
    host.send(&stranger_udp(), &call(V4, bind::GETSTAT, &[])).is_too_weak(Reason::ReplyTooLong);
}

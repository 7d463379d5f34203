//! The status program: who reaches it, and that it tells what is known.

use crate::callers::{
    USER, loopback_tcp, loopback_udp, one_each, stranger_tcp, stranger_udp, unix, unix_elsewhere,
};
use crate::calls::{XID, call, encoded, set};
use crate::host::{Ended, Host};
use core::time::Duration;
use oncrpc::bind::status::{Head, Liveness, PROGRAM, RowStatus, STATUS, State, VERSION};
use oncrpc::bind::{self, V4};
use oncrpc::xdr::{Decode, List, Reader};
use oncrpc::{Answer, Call, Procedure, Version};
use rpcbind_core::caller::{Caller, Now};
use rpcbind_core::facts::{BoundFact, Facts};
use rpcbind_core::outcome::Reason;

/// The port mapper's own rows.
const OWN: usize = 12;

fn ask(version: Version, procedure: Procedure) -> Vec<u8> {
    encoded(&Call::new(XID, PROGRAM, version, procedure))
}

fn decoded(ended: &Ended) -> (Head<'_>, Vec<RowStatus<'_>>) {
    let mut reader = Reader::new(ended.results());
    let head = Head::decode(&mut reader).unwrap();
    let mut rows = List::<RowStatus<'_>>::new(reader);
    let all = rows.by_ref().map(Result::unwrap).collect();
    rows.reader().finish().unwrap();
    (head, all)
}

#[test]
fn only_unix_sockets_have_the_program() {
    let mut host = Host::new();
    for caller in [
        unix(0),
        unix(USER),
        unix_elsewhere(USER),
        Caller::Unix { uid: None, namespace: crate::callers::HOME },
    ] {
        for procedure in [Procedure(0), STATUS] {
            let ended = host.send(&caller, &ask(VERSION, procedure));
            assert!(matches!(ended.answer(), Some(Answer::Success(_))), "{caller:?}");
            assert_eq!(ended.why.program, Some(PROGRAM));
        }
    }
    let inet = one_each().map(|(_, caller)| caller).into_iter().filter(|caller| caller.from().is_some());
    for caller in inet.chain([loopback_tcp(600), loopback_udp(600), stranger_tcp(), stranger_udp()]) {
        for version in [VERSION, Version(0), Version(2), V4] {
            for procedure in [Procedure(0), STATUS, Procedure(2)] {
                let ended = host.send(&caller, &ask(version, procedure));
                assert_eq!(ended.answer(), Some(Answer::ProgramUnavailable), "{caller:?}");
                assert_eq!(ended.why.reason, Reason::ProgramUnavailable);
            }
        }
    }
}

#[test]
fn other_versions_and_procedures_are_refused_as_of_any_program() {
    let mut host = Host::new();
    for version in [0, 2, 3, 4, u32::MAX] {
        let ended = host.send(&unix(0), &ask(Version(version), STATUS));
        assert_eq!(ended.answer(), Some(Answer::ProgramMismatch { low: 1, high: 1 }));
    }
    for procedure in [2, 4, u32::MAX] {
        let ended = host.send(&unix(0), &ask(VERSION, Procedure(procedure)));
        assert_eq!(ended.answer(), Some(Answer::ProcedureUnavailable));
    }
}

#[test]
fn it_is_never_listed_and_its_number_is_as_free_as_any() {
    let mut host = Host::new();
    let listed = crate::host::dump(&host.send(&unix(0), &call(V4, bind::DUMP, &[])));
    assert!(listed.iter().all(|(program, ..)| *program == 100_000));
    assert!(host.send(&unix(USER), &set(PROGRAM.0, 1, "udp", "0.0.0.0.8.8")).is_true());
    assert!(host.send(&unix(0), &ask(VERSION, STATUS)).reply.is_some());
}

#[test]
fn it_tells_every_row_as_dump_does_with_what_is_known_of_its_service() {
    let mut host = Host::new();
    assert!(host.send(&unix(USER), &set(200_001, 1, "udp", "0.0.0.0.8.8")).is_true());
    assert!(host.send(&unix(USER), &set(200_001, 1, "local", "/run/a")).is_true());
    assert!(host.send(&unix_elsewhere(USER), &set(200_001, 1, "tcp", "0.0.0.0.8.8")).is_true());
    let mut sweep = host.service.sweep();
    let judged: Vec<_> = host.service.to_judge(&mut sweep, 100).map(|row| row.id).collect();
    let now = Now { monotonic: Duration::from_millis(95_999), unix_seconds: 0 };
    let free = Facts { bound: Some(BoundFact::Free), ..Facts::default() };
    host.service.judge(now, judged[0], BoundFact::Free, &free);
    host.service.judge(now, judged[1], BoundFact::Bound, &Facts::default());

    let ended = host.send(&unix(USER), &ask(VERSION, STATUS));
    let (head, rows) = decoded(&ended);
    assert_eq!(
        (head.rows, head.dead, head.died, head.came_back, head.replaced, head.expired),
        (15, 1, 1, 0, 0, 0)
    );
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let keys: Vec<_> =
        rows.iter().map(|row| (row.program.0, row.version.0, text(row.netid), text(row.address))).collect();
    let dumped = host.send(&unix(USER), &call(V4, bind::DUMP, &[]));
    let dumped = crate::host::dump(&dumped);
    let expected: Vec<_> = dumped
        .into_iter()
        .map(|(program, version, netid, address, _)| (program, version, netid, address))
        .collect();
    assert_eq!(keys, expected);
    let known: Vec<_> =
        rows[OWN..].iter().map(|row| (row.from_home, row.liveness, row.since_seconds)).collect();
    let nothing = Liveness::NotJudged;
    assert_eq!(known, [(true, Liveness::Dead, 95), (true, Liveness::Alive, 95), (false, nothing, 0)]);
    assert!(rows[..OWN].iter().all(|row| row.liveness == nothing && row.from_home));
}

#[test]
fn what_is_told_follows_every_judgement() {
    let mut host = Host::new();
    assert!(host.send(&unix(USER), &set(200_001, 1, "udp", "0.0.0.0.8.8")).is_true());
    let seen = |host: &mut Host, bound| {
        let mut sweep = host.service.sweep();
        let id = host.service.to_judge(&mut sweep, 100).next().unwrap().id;
        let now = Now { monotonic: Duration::from_secs(1), unix_seconds: 0 };
        host.service.judge(now, id, bound, &Facts { bound: Some(bound), ..Facts::default() });
        let ended = host.send(&unix(0), &ask(VERSION, STATUS));
        decoded(&ended).1[OWN].liveness
    };
    assert_eq!(seen(&mut host, BoundFact::Unknown), Liveness::NotJudged);
    assert_eq!(seen(&mut host, BoundFact::Bound), Liveness::Alive);
    assert_eq!(seen(&mut host, BoundFact::Free), Liveness::Dead);
    assert_eq!(seen(&mut host, BoundFact::Bound), Liveness::Alive);
}

#[test]
fn it_tells_of_the_daemon_what_the_shell_says() {
    let mut host = Host::new();
    let ended = host.send(&unix(0), &ask(VERSION, STATUS));
    let (head, _) = decoded(&ended);
    assert_eq!((head.version, head.state, head.why), (&b""[..], State::Memory, &b""[..]));
    assert_eq!((head.judges, head.last_sweep_seconds), (false, None));

    let health = host.service.health_mut();
    health.version = "1.2.3".into();
    health.state = State::Degraded;
    // Cut where a letter begins.
    health.why = "é".repeat(200).into();
    health.judges = true;
    health.last_sweep = Some(Duration::from_secs(30));
    let ended = host.send(&unix(0), &ask(VERSION, STATUS));
    let (head, _) = decoded(&ended);
    assert_eq!((head.version, head.state), (&b"1.2.3"[..], State::Degraded));
    assert_eq!(head.why, "é".repeat(128).as_bytes());
    assert_eq!((head.judges, head.last_sweep_seconds), (true, Some(30)));
}

#[test]
fn a_full_table_is_told_whole() {
    let mut host = Host::new();
    for number in 0..1_000 {
        let path = format!("/{number:0>106}");
        assert!(host.send(&unix(0), &set(200_001, number, "ticotsord", &path)).is_true());
    }
    let ended = host.send(&unix(USER), &ask(VERSION, STATUS));
    assert_eq!(decoded(&ended).1.len(), 1_000 + OWN);
}

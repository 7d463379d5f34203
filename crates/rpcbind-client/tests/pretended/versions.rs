//! Which versions are asked in which order, and what becomes of a registration that fails half-way.

use std::time::Duration;

use crate::pretender::{Pretender, record, string, tcp, words};
use oncrpc::bind::Rpcb;
use oncrpc::{Answer, Program, Version};
use rpcbind_client::{CallError, Endpoint, LookupError, PortMapper, RegisterError, Registration};

const LONG: Duration = Duration::from_secs(20);
const NFS: Program = Program(100_003);

/// Serves the versions from `low` to `high`; `results` answers what is served.
fn serving(low: u32, high: u32, results: fn(u32, u32) -> Vec<u8>) -> Pretender {
    tcp(move |heard| {
        if (low..=high).contains(&heard.version) {
            record(heard.xid, Answer::Success(&results(heard.version, heard.procedure)))
        } else {
            record(heard.xid, Answer::ProgramMismatch { low, high })
        }
    })
}

fn mapper(server: &Pretender) -> PortMapper {
    PortMapper::connect(&server.endpoint, LONG).expect("it listens")
}

/// Any look-up by address finds 192.0.2.1 port 2049, any by port 2049.
fn found(version: u32, _procedure: u32) -> Vec<u8> {
    if version == 2 { words(&[2049]) } else { string("192.0.2.1.8.1") }
}

#[test]
fn a_look_up_asks_version_4_then_3_then_2() {
    for (low, high, asked) in [
        (2, 4, vec![(4, 3)]),
        (2, 3, vec![(4, 3), (3, 3)]),
        (2, 2, vec![(4, 3), (3, 3), (2, 3)]),
        (3, 3, vec![(4, 3), (3, 3)]),
    ] {
        let server = serving(low, high, found);
        let place = mapper(&server).find(NFS, Version(3), "tcp").expect("an answer").expect("registered");
        let port = place.socket().expect("an internet address").port();
        assert_eq!((port, server.called()), (2049, asked), "versions {low} to {high}");
    }
}

#[test]
fn a_look_up_in_version_2_is_at_the_port_mappers_address() {
    let server = serving(2, 2, found);
    let place = mapper(&server).find(NFS, Version(3), "tcp").expect("an answer");
    assert_eq!(place, Some(Endpoint::Tcp(([127, 0, 0, 1], 2049).into())));
}

#[test]
fn a_newer_port_mapper_is_not_asked_in_older_versions() {
    let server = serving(5, 6, found);
    let error = mapper(&server).find(NFS, Version(3), "tcp").expect_err("nothing in common");
    assert!(matches!(error, LookupError::Call { error: CallError::ProgramMismatch { low: 5, high: 6 }, .. }));
    assert_eq!(server.called(), [(4, 3)]);
}

#[test]
fn an_empty_address_and_port_0_mean_not_registered() {
    for (low, high) in [(2, 4), (2, 2)] {
        let nothing = |version, _| if version == 2 { words(&[0]) } else { string("") };
        let server = serving(low, high, nothing);
        assert_eq!(mapper(&server).find(NFS, Version(3), "tcp").expect("an answer"), None);
    }
}

#[test]
fn an_answer_without_a_host_is_given_the_port_mappers() {
    let server = serving(2, 4, |_, _| string("0.0.0.0.8.1"));
    let place = mapper(&server).find(NFS, Version(3), "tcp").expect("an answer");
    assert_eq!(place, Some(Endpoint::Tcp(([127, 0, 0, 1], 2049).into())));
}

#[test]
fn an_answer_that_is_no_address_is_an_error() {
    for text in ["nonsense", "192.0.2.1.8.256", "::1.8.1", "/run/socket"] {
        let server = tcp(move |heard| record(heard.xid, Answer::Success(&string(text))));
        let error = mapper(&server).find(NFS, Version(3), "tcp").expect_err("no address");
        assert!(matches!(&error, LookupError::Address(bytes) if bytes == text.as_bytes()), "{error}");
    }
}

#[test]
fn a_dump_asks_version_3_first() {
    for (low, high, asked) in [
        (2, 4, vec![(3, 4)]),
        (4, 4, vec![(3, 4), (4, 4)]),
        (2, 2, vec![(3, 4), (2, 4)]),
        (5, 6, vec![(3, 4)]),
    ] {
        let server = serving(low, high, |_, _| words(&[0]));
        let rows = mapper(&server).dump();
        assert_eq!(rows.is_ok(), low < 5, "{rows:?}");
        assert_eq!(server.called(), asked, "versions {low} to {high}");
    }
}

#[test]
fn rows_of_version_2_get_the_words_of_the_others() {
    let server = serving(2, 2, |_, _| words(&[1, 100_003, 3, 6, 2049, 1, 100_003, 3, 132, 70_000, 0]));
    let rows = mapper(&server).dump().expect("two rows");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let shown: Vec<_> =
        rows.iter().map(|row| (text(&row.netid), text(&row.address), text(&row.owner))).collect();
    let row = |netid: &str, address: &str| (netid.to_owned(), address.to_owned(), "unknown".to_owned());
    assert_eq!(shown, [row("tcp", "0.0.0.0.8.1"), row("   132", "0.0.0.0.17.112")]);
}

fn nfs(netid: &'static str, address: &'static str) -> Rpcb<'static> {
    Rpcb {
        program: NFS,
        version: Version(3),
        netid: netid.as_bytes(),
        address: address.as_bytes(),
        owner: b"",
    }
}

#[test]
fn registering_asks_version_4_then_3_then_2() {
    for (low, high, asked) in
        [(2, 4, vec![(4, 1)]), (2, 3, vec![(4, 1), (3, 1)]), (2, 2, vec![(4, 1), (3, 1), (2, 1)])]
    {
        let server = serving(low, high, |_, _| words(&[1]));
        mapper(&server).register(&nfs("udp", "0.0.0.0.8.1")).expect("TRUE");
        assert_eq!(server.called(), asked, "versions {low} to {high}");
    }
}

#[test]
fn version_2_has_no_words_for_ipv6() {
    let server = serving(2, 2, |_, _| words(&[1]));
    let error = mapper(&server).register(&nfs("udp6", "::.8.1")).expect_err("not in version 2");
    assert!(matches!(error, RegisterError::Version2(_)), "{error}");
}

#[test]
fn a_registration_is_unregistered_when_it_is_dropped() {
    let server = serving(2, 4, |_, _| words(&[1]));
    let services = [(NFS, Version(3), "tcp", "0.0.0.0.8.1"), (NFS, Version(3), "udp", "0.0.0.0.8.1")];
    let guard = Registration::register_at(vec![server.endpoint.clone()], &services, false, LONG);
    drop(guard.expect("TRUE"));
    assert_eq!(server.called(), [(4, 1), (4, 1), (4, 2), (4, 2)]);
}

#[test]
fn a_registration_that_is_kept_stays() {
    let server = serving(2, 4, |_, _| words(&[1]));
    let services = [(NFS, Version(3), "tcp", "0.0.0.0.8.1")];
    let guard = Registration::register_at(vec![server.endpoint.clone()], &services, false, LONG);
    guard.expect("TRUE").keep();
    assert_eq!(server.called(), [(4, 1)]);
}

#[test]
fn replacing_unregisters_first() {
    let server = serving(2, 4, |_, _| words(&[1]));
    let services = [(NFS, Version(3), "tcp", "0.0.0.0.8.1")];
    let guard = Registration::register_at(vec![server.endpoint.clone()], &services, true, LONG);
    guard.expect("TRUE").keep();
    assert_eq!(server.called(), [(4, 2), (4, 1)]);
}

#[test]
fn a_registration_that_fails_takes_back_what_it_made() {
    let mut sets = 0;
    let shared = std::sync::Arc::new(std::sync::Mutex::new(move || {
        sets += 1;
        sets < 2
    }));
    let server = tcp(move |heard| {
        let granted = heard.procedure == 2 || shared.lock().expect("not poisoned")();
        record(heard.xid, Answer::Success(&words(&[u32::from(granted)])))
    });
    let services = [(NFS, Version(3), "tcp", "0.0.0.0.8.1"), (NFS, Version(4), "tcp", "0.0.0.0.8.1")];
    let error = Registration::register_at(vec![server.endpoint.clone()], &services, false, LONG)
        .expect_err("the second one is refused");
    assert!(matches!(error, RegisterError::Refused(_)), "{error}");
    let heard: Vec<_> = server.heard.try_iter().collect();
    let steps: Vec<_> = heard.iter().map(|heard| (heard.procedure, heard.arguments[7])).collect();
    assert_eq!(steps, [(1, 3), (1, 4), (2, 3)], "SET of versions 3 and 4, UNSET of version 3");
}

#[test]
fn the_first_port_mapper_that_can_be_reached_is_taken() {
    let server = serving(2, 4, |_, _| words(&[1]));
    let gone = Endpoint::Path("/nonexistent/socket".into());
    let mapper = PortMapper::first(&[gone, server.endpoint.clone()], LONG).expect("the second one");
    assert_eq!(mapper.endpoint(), &server.endpoint);
}

#[test]
fn the_first_port_mapper_that_answers_over_udp_is_taken() {
    let silent = crate::pretender::udp(|_, _, _| ());
    let talking = crate::pretender::udp(|socket, from, heard| {
        let reply = crate::pretender::reply(heard.xid, Answer::ProgramUnavailable);
        socket.send_to(&reply, from).expect("sent");
    });
    let endpoints = [silent.endpoint.clone(), talking.endpoint.clone(), silent.endpoint];
    let mapper = PortMapper::first(&endpoints, Duration::from_secs(1)).expect("the second one");
    assert_eq!(mapper.endpoint(), &talking.endpoint);
}

#[test]
fn names_are_resolved_and_addresses_of_the_family_taken() {
    use oncrpc::bind::Family;
    let found =
        rpcbind_client::addresses("localhost", 111, Some(Family::Inet), LONG).expect("known everywhere");
    assert_eq!(found, [([127, 0, 0, 1], 111).into()]);
}

#[test]
fn the_results_of_remote_calls_are_read() {
    use oncrpc::Procedure;
    use oncrpc::bind::RemoteCall;
    use rpcbind_client::RpcbVersion;
    let server = serving(2, 4, |version, _| {
        let mut results = if version == 2 { words(&[2049]) } else { string("192.0.2.1.8.1") };
        results.extend(words(&[4, 7]));
        results
    });
    let mut mapper = mapper(&server);
    let call =
        RemoteCall { program: NFS, version: Version(3), procedure: Procedure(1), arguments: &[1, 2, 3, 4] };
    let results = [
        mapper.remote_call(RpcbVersion::V3, &call).expect("CALLIT"),
        mapper.remote_call(RpcbVersion::V4, &call).expect("BCAST"),
        mapper.indirect(&call).expect("INDIRECT"),
    ];
    for result in results {
        assert_eq!((result.address, result.results), (b"192.0.2.1.8.1".to_vec(), words(&[7])));
    }
    let result = mapper.remote_call_by_port(&call).expect("CALLIT of version 2");
    assert_eq!((result.port, result.results), (2049, words(&[7])));
    let heard: Vec<_> = server.heard.try_iter().collect();
    assert_eq!(heard[0].arguments, [words(&[NFS.0, 3, 1, 4]), vec![1, 2, 3, 4]].concat());
    let procedures: Vec<_> = heard.iter().map(|heard| (heard.version, heard.procedure)).collect();
    assert_eq!(procedures, [(3, 5), (4, 5), (4, 10), (2, 5)]);
}

//! Remote calls where things go wrong between the port mapper and the services that it calls: each call ends once, as
//! its form demands, and nothing is left over.

use crate::scene::{USER, at, call, encoded, ip, nic, settings, unix};
use oncrpc::bind::{self, CallResult, RemoteCall, Rpcb, V2, V3, V4};
use oncrpc::xdr::{Decode, Reader};
use oncrpc::{Answer, Call, Procedure, Program, Reply, Schedule, Version};
use proptest::prelude::*;
use rpcbind_core::Settings;
use rpcbind_core::outcome::{Reason, RemoteId};
use rpcbind_core::settings::Forwarding;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use testkit::world::{Answers, Faults, HostId, LOOPBACK, ScriptId, SocketId, What, World};

/// A program that is not well known, with one service for each version.
const PROGRAM: Program = Program(0x2000_0001);
const OUTLET: &str = "127.0.0.1:50004";
const ONCE: Schedule = Schedule {
    first: Duration::from_secs(60),
    longest: Duration::from_secs(60),
    total: Duration::from_secs(60),
};

/// How a remote call ended, and what left for it.
struct End {
    reason: Reason,
    reply: Option<Vec<u8>>,
}

/// A port mapper that makes remote calls for two neighbours, and the services that it may call.
struct Scene {
    world: World,
    server: HostId,
    /// Of 192.0.2.2 and, in another prefix, 198.51.100.2.
    clients: [SocketId; 2],
    services: Vec<SocketId>,
}

impl Scene {
    fn new(seed: u64, calls: usize, faults: Faults) -> Self {
        let mut world = World::new(seed);
        let link = world.link(Faults::NONE);
        let server = world.host(vec![nic(link, &["192.0.2.1"])]);
        let forwarding =
            Forwarding { inet: Some(50_004), inet6: None, calls, calls_per_source: calls, seed: [seed, 1] };
        world.serve(server, Settings { forwarding: Some(forwarding), ..settings() });
        let near = world.host(vec![nic(link, &["192.0.2.2"])]);
        let far = world.host(vec![nic(link, &["198.51.100.2"])]);
        let clients =
            [world.bind(near, at("192.0.2.2:40000"), USER), world.bind(far, at("198.51.100.2:40000"), USER)];
        let mut scene = Self { world, server, clients, services: Vec::new() };
        for version in 1..=4_u16 {
            let socket = scene.world.bind(server, SocketAddr::new(ip("0.0.0.0"), 5_000 + version), 0);
            scene.world.answer(socket, Some(Answers::Results(b"good".to_vec())));
            scene.services.push(socket);
            scene.register(version);
        }
        scene.world.set_loopback_faults(faults);
        scene
    }

    fn register(&mut self, version: u16) {
        let port = (5_000 + version).to_be_bytes();
        let address = format!("0.0.0.0.{}.{}", port[0], port[1]);
        let (program, number) = (PROGRAM, Version(version.into()));
        let row = Rpcb { program, version: number, netid: b"udp", address: address.as_bytes(), owner: b"" };
        let stream = unix(&self.world, self.server, 0);
        let reply = self.world.record(&stream, &call(1, V4, bind::SET, &encoded(&row))).unwrap();
        assert!(crate::scene::boolean(&reply));
    }

    /// A client's calls, one after the other.
    fn script(&mut self, client: usize, schedule: Schedule, calls: Vec<Vec<u8>>) -> ScriptId {
        let calls = calls.into_iter().map(|call| (at("192.0.2.1:111"), call)).collect();
        self.world.script_with(self.clients[client], schedule, calls)
    }

    /// Every call that was made, and how each that has ended did, once each.
    fn ends(&self) -> (BTreeSet<RemoteId>, Vec<End>) {
        let (mut called, mut ended, mut ends) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for event in self.world.history() {
            match &event.what {
                What::Called { call, .. } => assert!(called.insert(*call), "{call:?} was made twice"),
                What::Ended { call, why, reply, .. } => {
                    assert!(called.contains(call) && ended.insert(*call), "{call:?} ended twice");
                    let told = why.procedure == Some(bind::INDIRECT);
                    let failed = why.reason != Reason::Answered;
                    assert!(told || !failed || reply.is_none(), "a broadcast form was told: {why:?}");
                    assert!(!told || reply.is_some(), "INDIRECT was not told: {why:?}");
                    ends.push(End { reason: why.reason, reply: reply.clone() });
                }
                _ => {}
            }
        }
        (called, ends)
    }

    /// When the network is silent no call is under way.
    fn is_over(&self) {
        let (called, ends) = self.ends();
        assert_eq!(called.len(), ends.len());
        let service = self.world.service(self.server).unwrap();
        assert_eq!((service.calls_under_way(), service.next_deadline()), (0, None));
    }
}

fn remote(xid: u32, called: Version, procedure: Procedure, version: u32) -> Vec<u8> {
    let (version, number) = (Version(version), Procedure(7));
    // Padded, so that the results fit.
    let wanted = RemoteCall { program: PROGRAM, version, procedure: number, arguments: &[0; 40] };
    call(xid, called, procedure, &encoded(&wanted))
}

fn indirect(xid: u32, version: u32) -> Vec<u8> {
    remote(xid, V4, bind::INDIRECT, version)
}

fn results(reply: &[u8]) -> Vec<u8> {
    let Answer::Success(results) = Reply::decode(reply).unwrap().answer else { panic!("{reply:02x?}") };
    CallResult::decode(&mut Reader::new(results)).unwrap().results.to_vec()
}

#[test]
fn answers_that_are_lost_doubled_late_or_out_of_order_reach_their_own_callers() {
    for seed in 0..50 {
        let mut scene = Scene::new(seed, 100, Faults::MANY);
        let calls = |first: u32| (first..first + 10).map(|xid| indirect(xid, xid % 4 + 1)).collect();
        let patient = Schedule {
            first: Duration::from_secs(2),
            longest: Duration::from_secs(2),
            total: Duration::from_secs(200),
        };
        let scripts = [scene.script(0, patient, calls(1)), scene.script(1, patient, calls(101))];
        for (index, service) in scene.services.clone().into_iter().enumerate() {
            let own = u8::try_from(index).unwrap();
            scene.world.answer(service, Some(Answers::Results(vec![own; 4])));
        }
        scene.world.run();
        for (first, script) in [1_u32, 101].into_iter().zip(scripts) {
            assert_eq!(scene.world.replies(script).len(), 10);
            for (xid, reply) in (first..).zip(scene.world.replies(script)) {
                let reply = reply.as_deref().unwrap();
                match Reply::decode(reply).unwrap().answer {
                    Answer::Success(_) => {
                        assert_eq!(results(reply), [u8::try_from(xid % 4).unwrap(); 4]);
                    }
                    // The call to the service was lost, and is not made again.
                    answer => assert_eq!(answer, Answer::SystemError),
                }
            }
        }
        scene.is_over();
    }
}

#[test]
fn an_answer_later_than_the_limit_is_too_late() {
    let (slow, limit) = (Duration::from_secs(6), Duration::from_secs(10));
    let faults = Faults { delay_min: slow, delay_max: slow, ..Faults::NONE };
    let mut scene = Scene::new(1, 100, faults);
    let script = scene.script(0, ONCE, vec![indirect(1, 1), remote(2, V3, bind::CALLIT, 1)]);
    scene.world.run();
    let (_, ends) = scene.ends();
    let reasons: Vec<Reason> = ends.iter().map(|end| end.reason).collect();
    assert_eq!(reasons, [Reason::RemoteCallTimedOut; 2]);
    let told = scene.world.replies(script)[0].clone().unwrap();
    assert_eq!(Reply::decode(&told).unwrap().answer, Answer::SystemError);
    assert_eq!(scene.world.replies(script)[1], None);
    let first = scene.world.history().iter().find(|event| matches!(event.what, What::Ended { .. })).unwrap();
    assert!(first.at >= limit && first.at < limit + Duration::from_millis(1), "{:?}", first.at);
    scene.is_over();
}

#[test]
fn forged_answers_from_this_host_reach_nobody() {
    let mut scene = Scene::new(2, 100, Faults::NONE);
    let service = scene.services[0];
    scene.world.answer(service, None);
    let script = scene.script(0, ONCE, vec![indirect(1, 1)]);
    scene.world.run_for(Duration::from_millis(5));
    let called = scene.world.inbox(service)[0].1.clone();
    let xid = Call::decode(&called).unwrap().xid;
    let forged =
        |xid: u32, results: &[u8]| [&xid.to_be_bytes(), &[0, 0, 0, 1][..], &[0; 16], results].concat();
    // The right xid from everywhere else, and near and far xids from the service.
    for from in ["127.0.0.1:5002", "127.0.0.2:5001", "192.0.2.1:5001", "198.51.100.2:5001"] {
        scene.world.forge(scene.server, LOOPBACK, at(from), at(OUTLET), &forged(xid.0, b"evil"));
    }
    for guess in (0..10_000).map(|guess| xid.0 ^ (guess + 1)).chain([1, 0, u32::MAX]) {
        scene.world.forge(scene.server, LOOPBACK, at("127.0.0.1:5001"), at(OUTLET), &forged(guess, b"evil"));
    }
    scene.world.run_for(Duration::from_millis(5));
    assert_eq!((scene.ends().1.len(), scene.world.replies(script).len()), (0, 0));
    scene.world.forge(scene.server, LOOPBACK, at("127.0.0.1:5001"), at(OUTLET), &forged(xid.0, b"good"));
    scene.world.run();
    assert_eq!(results(scene.world.replies(script)[0].as_deref().unwrap()), b"good");
    scene.is_over();
}

#[test]
fn a_service_that_dies_is_an_error_and_one_that_comes_back_is_called() {
    let mut scene = Scene::new(3, 100, Faults::NONE);
    scene.world.close(scene.services[1]);
    let script = scene.script(0, ONCE, vec![indirect(1, 2)]);
    scene.world.run();
    let told = scene.world.replies(script)[0].clone().unwrap();
    assert_eq!(Reply::decode(&told).unwrap().answer, Answer::SystemError);
    let again = scene.world.bind(scene.server, at("0.0.0.0:5002"), 0);
    scene.world.answer(again, Some(Answers::Results(b"back".to_vec())));
    let script = scene.script(0, ONCE, vec![indirect(2, 2)]);
    scene.world.run();
    assert_eq!(results(scene.world.replies(script)[0].as_deref().unwrap()), b"back");
    scene.is_over();
}

#[test]
fn a_flood_that_fills_the_table_ends_its_own_calls_and_a_quiet_caller_is_answered() {
    let mut scene = Scene::new(4, 8, Faults::NONE);
    // A service that never answers, for the flood.
    scene.world.answer(scene.services[0], None);
    let flood = scene.clients[0];
    for xid in 0..500 {
        scene.world.send(flood, at("192.0.2.1:111"), &remote(xid, V4, bind::BCAST, 1));
    }
    scene.world.run_for(Duration::from_secs(1));
    assert_eq!(scene.world.service(scene.server).unwrap().calls_under_way(), 8);
    let script = scene.script(1, ONCE, (0..20).map(|xid| indirect(xid, 2)).collect());
    scene.world.run_for(Duration::from_secs(1));
    let replies = scene.world.replies(script);
    assert_eq!(replies.len(), 20);
    assert!(replies.iter().all(|reply| results(reply.as_deref().unwrap()) == b"good"));
    scene.world.run();
    let given_up = scene.ends().1.iter().filter(|end| end.reason == Reason::RemoteCallsFull).count();
    assert_eq!(
        given_up,
        500 - 8 + 1,
        "the flood's own, and one that made room for the quiet caller's, in turn"
    );
    scene.is_over();
}

#[test]
fn calls_that_are_never_answered_keep_their_own_network_no_others_out() {
    let mut scene = Scene::new(6, 8, Faults::NONE);
    scene.world.answer(scene.services[0], None);
    for xid in 0..500 {
        scene.world.send(scene.clients[0], at("192.0.2.1:111"), &remote(xid, V4, bind::BCAST, 1));
    }
    scene.world.run_for(Duration::from_secs(1));
    let script = scene.script(0, ONCE, vec![indirect(1_000, 2)]);
    scene.world.run_for(Duration::from_secs(1));
    assert_eq!(results(scene.world.replies(script)[0].as_deref().unwrap()), b"good");
}

#[test]
fn callers_on_streams_get_late_answers_too() {
    let mut scene = Scene::new(5, 100, Faults::NONE);
    let stream = unix(&scene.world, scene.server, USER);
    assert_eq!(scene.world.record(&stream, &indirect(1, 1)), None);
    scene.world.run();
    let (_, ends) = scene.ends();
    assert_eq!(results(ends[0].reply.as_deref().unwrap()), b"good");
    scene.is_over();
}

/// What may happen in the network.
#[derive(Clone, Debug)]
enum Step {
    Ask { client: usize, form: usize, version: u32, xid: u32 },
    Wait(u64),
    Behave { service: usize, how: u8 },
    Forge { from: u16, xid: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, 0..4_usize, 1..6_u32, 0..30_u32)
            .prop_map(|(client, form, version, xid)| Step::Ask { client, form, version, xid }),
        2 => (0..4_000_u64).prop_map(Step::Wait),
        1 => (0..4_usize, 0..4_u8).prop_map(|(service, how)| Step::Behave { service, how }),
        1 => (5_000..5_006_u16, any::<u32>()).prop_map(|(from, xid)| Step::Forge { from, xid }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_call_ends_once_as_its_form_demands_and_none_is_left(
        seed in any::<u64>(),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut scene = Scene::new(seed, 6, Faults::MANY);
        let forms = [(V2, bind::CALLIT), (V3, bind::CALLIT), (V4, bind::BCAST), (V4, bind::INDIRECT)];
        for step in steps {
            match step {
                Step::Ask { client, form, version, xid } => {
                    let (called, procedure) = forms[form];
                    let message = remote(xid, called, procedure, version);
                    scene.world.send(scene.clients[client], at("192.0.2.1:111"), &message);
                }
                Step::Wait(milliseconds) => scene.world.run_for(Duration::from_millis(milliseconds)),
                Step::Behave { service, how } => {
                    let answers = [
                        None,
                        Some(Answers::Error),
                        Some(Answers::Garbage(vec![1, 2, 3])),
                        Some(Answers::Results(vec![7; 8])),
                    ];
                    scene.world.answer(scene.services[service], answers[usize::from(how)].clone());
                }
                Step::Forge { from, xid } => {
                    let answer = [&xid.to_be_bytes(), &[0, 0, 0, 1][..], &[0; 16]].concat();
                    let from = at(&format!("127.0.0.1:{from}"));
                    scene.world.forge(scene.server, LOOPBACK, from, at(OUTLET), &answer);
                }
            }
        }
        scene.world.run();
        scene.is_over();
    }
}

use std::sync::{Arc, Mutex};

use oncrpc::bind::Netid;
use oncrpc::{Program, Version};
use rpcbind_core::Settings;
use rpcbind_core::caller::Namespace;
use rpcbind_core::facts::Question;
use rpcbind_core::outcome::Change;
use rpcbind_core::registry::Owner;
use rpcbind_core::settings::{LivenessRules, Policy};

use super::*;
use crate::net::dispatch::{Journal, KernelFacts, NoObserver};
use crate::net::event_loop::EventLoop;
use crate::net::shares::Limits;
use crate::net::streams::Streams;

/// What the kernel would say, and what it was asked.
struct Pretended {
    /// What the list says of every row.
    listed: BoundFact,
    /// What an exact question is answered, and how late.
    exact: BoundFact,
    late: Duration,
    /// How often the list says that it is not there yet, and that there is more.
    waits: usize,
    parts: usize,
    wanted: usize,
    questions: usize,
    kept: Vec<Change>,
    syncs: usize,
}

#[derive(Clone)]
struct Kernel(Arc<Mutex<Pretended>>);

impl Sockets for Kernel {
    fn clear(&mut self) {
        self.0.lock().unwrap().wanted = 0;
    }

    fn want(&mut self, _: &Candidate<'_>) {
        self.0.lock().unwrap().wanted += 1;
    }

    fn read(&mut self) -> Progress {
        let mut kernel = self.0.lock().unwrap();
        match (kernel.waits.checked_sub(1), kernel.parts.checked_sub(1)) {
            (Some(waits), _) => {
                kernel.waits = waits;
                Progress::Waiting
            }
            (None, Some(parts)) => {
                kernel.parts = parts;
                Progress::More
            }
            (None, None) => Progress::Done,
        }
    }

    fn seen(&self, _: &Candidate<'_>) -> BoundFact {
        self.0.lock().unwrap().listed
    }
}

impl KernelFacts for Kernel {
    fn answer(&mut self, question: &Question, facts: &mut Facts) {
        assert!(matches!(question, Question::Bound { .. }));
        let mut kernel = self.0.lock().unwrap();
        kernel.questions += 1;
        let began = Instant::now();
        while began.elapsed() < kernel.late {}
        facts.bound = Some(kernel.exact);
    }
}

impl Journal for Kernel {
    fn append(&mut self, change: &Change, _: &Service) {
        self.0.lock().unwrap().kept.push(change.clone());
    }

    fn sync(&mut self, _: Duration, _: &mut Service) {
        self.0.lock().unwrap().syncs += 1;
    }
}

struct House {
    event_loop: EventLoop,
    kernel: Kernel,
}

impl House {
    fn new(rows: u32, listed: BoundFact, exact: BoundFact) -> Self {
        Self::with(rows, listed, exact, LivenessRules::default())
    }

    fn with(rows: u32, listed: BoundFact, exact: BoundFact, liveness: LivenessRules) -> Self {
        let policy = Policy { liveness, ..Policy::default() };
        let home = Namespace(7);
        let mut service = Service::new(Settings { policy, home, ..Settings::default() });
        for number in 0..rows {
            let row = Row {
                program: Program(200_001),
                version: Version(number),
                netid: Netid::UDP,
                address: "0.0.0.0.8.8".into(),
                owner: Owner::ROOT,
                namespace: home,
            };
            assert_eq!(service.restore(row), Ok(()));
        }
        let (late, wanted, questions, kept, syncs) = (Duration::ZERO, 0, 0, Vec::new(), 0);
        let pretended = Pretended { listed, exact, late, waits: 0, parts: 0, wanted, questions, kept, syncs };
        let kernel = Kernel(Arc::new(Mutex::new(pretended)));
        let dispatch =
            Dispatch::new(service, Box::new(kernel.clone()), Box::new(kernel.clone()), Box::new(NoObserver));
        let limits = Limits { unix: 10, unix_per_uid: 10, root_reserve: 1, tcp: 10 };
        let mut event_loop = EventLoop::new(dispatch, Streams::new(limits, home)).unwrap();
        event_loop.time(Box::new(Sweeper::new(kernel.clone())));
        Self { event_loop, kernel }
    }

    fn kernel(&self) -> std::sync::MutexGuard<'_, Pretended> {
        self.kernel.0.lock().unwrap()
    }

    /// One turn, which waits as long as the loop would with nothing coming in, but never half a minute.
    fn turn(&mut self) {
        let began = Instant::now();
        self.event_loop.turn(Some(Duration::from_secs(60))).unwrap();
        assert!(began.elapsed() < Duration::from_secs(30), "the loop waits although there is work");
    }

    /// Turns until something has come about, for half a minute at most.
    fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        while !condition(self) {
            assert!(began.elapsed() < Duration::from_secs(30), "{what}: not within 30 s");
            self.turn();
        }
    }

    fn judged(&mut self) -> usize {
        let registry = self.event_loop.dispatch().service.registry();
        registry.rows_with_liveness().filter(|(_, liveness)| *liveness != Default::default()).count()
    }

    fn is_swept(&mut self) -> bool {
        self.event_loop.dispatch().service.health().last_sweep.is_some()
    }
}

#[test]
fn rows_left_at_the_bound_of_a_turn_are_judged_without_further_input() {
    let rows = u32::try_from(3 * ROWS_MAX + 5).unwrap();
    let mut house = House::new(rows, BoundFact::Bound, BoundFact::Unknown);
    let (mut before, mut turns) = (0, 0);
    while !house.is_swept() {
        house.turn();
        let judged = house.judged();
        assert!(judged - before <= ROWS_MAX, "{judged} after {before}");
        before = judged;
        turns += 1;
        assert!(turns < 20);
    }
    assert_eq!(before, rows as usize);
    assert_eq!(house.kernel().wanted, rows as usize);
    assert_eq!(house.kernel().questions, 0, "what the list has is not asked about");
}

#[test]
fn questions_left_at_the_bound_of_a_turn_are_asked_without_further_input() {
    let rows = 5 * QUESTIONS_MAX + 3;
    let mut house = House::new(u32::try_from(rows).unwrap(), BoundFact::Free, BoundFact::Free);
    let (mut before, mut turns) = (0, 0);
    while !house.is_swept() {
        house.turn();
        let questions = house.kernel().questions;
        assert!(questions - before <= QUESTIONS_MAX);
        before = questions;
        turns += 1;
        assert!(turns < 1_000);
    }
    assert_eq!(before, rows, "each was asked about once");
    assert_eq!(house.event_loop.dispatch().service.registry().dead(), rows);
    assert_eq!(house.event_loop.dispatch().service.liveness_counts().died, u32::try_from(rows).unwrap());
}

#[test]
fn what_the_list_has_missed_lives() {
    let mut house = House::new(100, BoundFact::Free, BoundFact::Bound);
    house.until("swept", House::is_swept);
    assert_eq!(house.judged(), 100);
    assert_eq!(house.event_loop.dispatch().service.registry().dead(), 0);
}

#[test]
fn a_kernel_that_does_not_answer_costs_one_question_a_sweep_and_kills_nobody() {
    let mut house = House::new(100, BoundFact::Free, BoundFact::Unknown);
    house.kernel().late = 2 * QUESTIONS_LAST;
    // Rest, notes, list, judgement, and rest again.
    for _ in 0..4 {
        house.turn();
    }
    house.event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(house.kernel().questions, 1);
    assert_eq!(house.judged(), 0);
    assert!(!house.is_swept());
}

#[test]
fn the_list_is_read_a_part_at_a_time_and_waited_for_without_being_asked_all_the_time() {
    let mut house = House::new(1, BoundFact::Bound, BoundFact::Unknown);
    (house.kernel().waits, house.kernel().parts) = (3, 10);
    let (began, mut turns) = (Instant::now(), 0);
    while !house.is_swept() {
        let before = house.kernel().parts;
        house.turn();
        assert!(before - house.kernel().parts <= PARTS_MAX);
        turns += 1;
        assert!(turns < 30, "the loop is busy with nothing");
    }
    assert!(began.elapsed() >= 3 * PAUSE);
}

#[test]
fn a_list_that_never_ends_is_given_up_and_the_next_sweep_begins_anew() {
    let home = House::new(1, BoundFact::Bound, BoundFact::Unknown);
    let mut house = House::new(1, BoundFact::Bound, BoundFact::Unknown);
    let dispatch = house.event_loop.dispatch();
    let mut sweeper = Sweeper::new(home.kernel.clone());
    home.kernel().waits = usize::MAX;
    for _ in 0..4 {
        sweeper.on_time(dispatch);
    }
    assert!(matches!(sweeper.phase, Phase::Lists { .. }));
    sweeper.began = sweeper.began.checked_sub(SWEEP_LASTS_MAX).unwrap();
    sweeper.on_time(dispatch);
    let period = sweeper.due_in(dispatch).unwrap();
    assert!(period > Duration::from_secs(29) && period <= Duration::from_secs(30), "{period:?}");
    assert!(dispatch.service.health().last_sweep.is_none());
}

#[test]
fn a_death_is_seen_within_40_seconds_where_nothing_else_is_configured() {
    // Until the next sweep begins, and until it ends or is given up.
    assert!(LivenessRules::default().judge_every + SWEEP_LASTS_MAX <= Duration::from_secs(40));
}

#[test]
fn the_next_sweep_begins_after_the_period_that_is_configured() {
    let period = Duration::from_millis(50);
    let rules = LivenessRules { judge_every: period, ..LivenessRules::default() };
    let mut house = House::with(1, BoundFact::Bound, BoundFact::Free, rules);
    house.until("swept", House::is_swept);
    let (began, first) = (Instant::now(), house.event_loop.dispatch().service.health().last_sweep);
    house.kernel().listed = BoundFact::Free;
    house.until("dead", |house| house.event_loop.dispatch().service.registry().dead() > 0);
    assert!(began.elapsed() >= period / 2);
    assert!(house.event_loop.dispatch().service.health().last_sweep > first);
}

#[test]
fn what_expires_is_kept_and_durable_in_the_same_turn() {
    let expire_dead = Some(Duration::from_millis(30));
    let rules = LivenessRules { judge_every: Duration::from_millis(10), expire_dead };
    let mut house = House::with(3, BoundFact::Free, BoundFact::Free, rules);
    house.until("expired", |house| !house.kernel().kept.is_empty());
    assert_eq!(house.kernel().syncs, 1);
    assert_eq!(house.kernel().kept.len(), 3);
    assert!(house.kernel().kept.iter().all(|change| change.removed.len() == 1 && change.added.is_none()));
    assert!(house.event_loop.dispatch().service.registry().is_empty());
}

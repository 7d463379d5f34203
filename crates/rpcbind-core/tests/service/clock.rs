//! Clocks that are set: the wall clock jumps by years in both directions, and the clock that never goes back is found
//! years later, as after a long sleep. GETTIME follows; nothing else may care.

use crate::callers::{ETH0, USER, udp, unix};
use crate::calls::{call, set, unset};
use crate::host::{Host, settings};
use core::time::Duration;
use oncrpc::Procedure;
use oncrpc::bind::{self, V3, V4};
use rpcbind_core::Settings;
use rpcbind_core::caller::Caller;
use rpcbind_core::facts::BoundFact;
use rpcbind_core::limiter::Limits;
use rpcbind_core::liveness::Judged;
use rpcbind_core::settings::{LivenessRules, Policy};

const TEN_YEARS: u64 = 10 * 365 * 86_400;
const TODAY: u64 = 1_764_000_000;
const NULL: Procedure = Procedure(0);
/// Where nothing is bound.
const GONE: &str = "0.0.0.0.9.9";
/// What the dead are given here.
const EXPIRE: Duration = Duration::from_secs(3_600);

/// A port mapper with a limit and an expiry, and with three services: alive, alive, dead.
struct House {
    host: Host,
}

impl House {
    fn new() -> Self {
        let liveness = LivenessRules { expire_dead: Some(EXPIRE), ..LivenessRules::default() };
        let policy = Policy { limits: Some(Limits::default()), liveness, ..Policy::default() };
        let mut host = Host::with(Settings { policy, seed: [1, 2], ..settings() });
        for (program, address) in [(200_001, "0.0.0.0.8.8"), (200_002, "0.0.0.0.8.9"), (200_003, GONE)] {
            assert!(host.send(&unix(USER), &set(program, 1, "udp", address)).is_true());
        }
        let mut house = Self { host };
        house.pass(Duration::from_secs(1_000), TODAY);
        house.sweep();
        house
    }

    /// Lets time pass, and sets the wall clock.
    fn pass(&mut self, time: Duration, wall_clock: u64) {
        self.host.monotonic += time;
        self.host.unix_seconds = seconds(wall_clock);
    }

    /// Looks at every service. Answers what is told.
    fn sweep(&mut self) -> Vec<Judged> {
        self.host.sweep(|row| if row.address == GONE { BoundFact::Free } else { BoundFact::Bound })
    }

    /// What GETTIME says, in both versions that have it.
    fn time(&mut self) -> u32 {
        let times =
            [V3, V4].map(|version| self.host.send(&unix(USER), &call(version, bind::GETTIME, &[])).number());
        assert_eq!(times[0], times[1]);
        times[0]
    }

    /// How many of so many datagrams of a stranger's are answered now.
    fn answered(&mut self, of: usize) -> usize {
        let stranger = Caller::Datagram(udp("198.51.100.7:40000", "192.0.2.2:111", ETH0));
        let null = call(V4, NULL, &[]);
        (0..of).filter(|_| self.host.send(&stranger, &null).reply.is_some()).count()
    }

    fn rows(&self) -> usize {
        self.host.rows().len()
    }
}

/// As the shell tells it: in 32 bits.
fn seconds(wall_clock: u64) -> u32 {
    u32::try_from(wall_clock & u64::from(u32::MAX)).unwrap()
}

#[test]
fn a_wall_clock_that_jumps_ten_years_ahead_or_back_moves_gettime_and_nothing_else() {
    let mut house = House::new();
    assert_eq!(house.answered(2_000), 1_000, "the burst");
    let mut answered = 0;
    let clocks = [TODAY + TEN_YEARS, TODAY - TEN_YEARS, TODAY + 2 * TEN_YEARS, 0, u64::from(u32::MAX), TODAY];
    for clock in clocks {
        house.pass(Duration::from_millis(100), clock);
        assert_eq!(house.time(), seconds(clock));
        assert_eq!(house.sweep(), [], "nobody dies, comes back or expires at {clock}");
        answered += house.answered(2_000);
    }
    // 200 a second, for six tenths of one.
    assert_eq!((answered, house.rows()), (120, 3));
    assert!(house.host.send(&unix(USER), &unset(200_001, 1, "udp")).is_true());
}

#[test]
fn a_clock_that_is_ten_years_later_expires_the_dead_and_no_living_and_owes_no_more_than_a_burst() {
    let mut house = House::new();
    assert_eq!(house.answered(2_000), 1_000);
    let decade = Duration::from_secs(TEN_YEARS);
    for round in 0..3 {
        house.pass(decade, TODAY + round * TEN_YEARS);
        let told = house.sweep();
        // Who was dead before the decade has been dead for a decade.
        let expired =
            matches!(&told[..], [Judged::Expired(change)] if change.removed[0].program.0 == 200_003);
        assert!(if round == 0 { expired } else { told.is_empty() }, "{told:?}");
        assert_eq!(house.rows(), 2);
        assert_eq!(house.answered(5_000), 1_000, "one burst, not ten years of replies");
        assert_eq!(house.time(), seconds(TODAY + round * TEN_YEARS));
    }
}

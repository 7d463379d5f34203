//! A day of services' life, replayed: statd, mountd, Ganesha and a program of libtirpc start, die, come back elsewhere
//! and end in every order, our daemon killed in between. At every step `rpcinfo -p` is what really listens, by the
//! kernel's tables. A killed service's rows stay and are marked dead: then it is that without the rows so marked, and
//! exactly the rows are marked at whose address nothing listens. Where the dead expire, it is that and nothing else.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own functions are tests too")]

mod life;
mod listening;
mod shown;

use life::{Day, SERVICES};

/// The daemon under test.
const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
/// What lives here: the places of statd, mountd, Ganesha and the program of libtirpc in [`SERVICES`].
const STATD: usize = 0;
const MOUNTD: usize = 1;
const GANESHA: usize = 2;
const PEER: usize = 3;

/// The six orders that begin so.
fn orders(first: usize) -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for second in 0..4 {
        for third in 0..4 {
            let order = [first, second, third, 6_usize.saturating_sub(first + second + third)];
            if (0..4).all(|service| order.contains(&service)) {
                orders.push(order);
            }
        }
    }
    orders
}

/// The services start, come back, and end, in each order in turn; the next begins with what the one before has left.
fn live(orders: &[[usize; 4]], configuration: &str) {
    let mut day = Day::begin(configuration);
    for (round, order) in orders.iter().enumerate() {
        for (step, service) in order.iter().enumerate() {
            day.start(*service);
            if (round + step) % 2 == 0 {
                day.kill_the_daemon();
            }
        }
        for (step, service) in order.iter().enumerate() {
            day.restart(*service, (round + step) % 2 == 1);
        }
        for (step, service) in order.iter().enumerate() {
            // One of the four ends in order, a different one each time.
            if step == round % 4 {
                day.stop(*service);
            } else {
                day.kill(*service);
            }
            if (round + step) % 2 == 1 {
                day.kill_the_daemon();
            }
        }
    }
}

macro_rules! require {
    () => {
        testkit::require!(
            RPCBIND,
            shown::ours(),
            shown::DEBIANS,
            testkit::programs::COMPILER,
            testkit::programs::TIRPC_HEADER
        );
        for [service, _] in SERVICES.iter().take(3) {
            testkit::require!(service.program);
        }
    };
}

/// The dead are found out by the next look, and stay.
const DEAD_STAY: &str = "judge-every-seconds = 1\n";

#[test]
fn a_day_on_which_statd_is_first() {
    require!();
    live(&orders(STATD), DEAD_STAY);
}

#[test]
fn a_day_on_which_mountd_is_first() {
    require!();
    live(&orders(MOUNTD), DEAD_STAY);
}

#[test]
fn a_day_on_which_ganesha_is_first() {
    require!();
    live(&orders(GANESHA), DEAD_STAY);
}

#[test]
fn a_day_on_which_a_program_of_libtirpc_is_first() {
    require!();
    live(&orders(PEER), DEAD_STAY);
}

#[test]
fn a_day_on_which_the_dead_expire_ends_with_an_empty_table() {
    require!();
    // Every one before and after every other.
    let orders = [[STATD, MOUNTD, GANESHA, PEER], [PEER, GANESHA, MOUNTD, STATD]];
    live(&orders, "judge-every-seconds = 1\nexpire-dead-seconds = 1\n");
}

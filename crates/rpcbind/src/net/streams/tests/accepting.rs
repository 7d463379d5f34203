//! How many are accepted in a turn.

use super::*;
use crate::net::streams::accept::ACCEPT_MAX;

#[test]
fn who_waits_to_be_accepted_is_after_a_full_turn_of_accepting() {
    let mut house = House::new(PLENTY, 0);
    let all = 3 * ACCEPT_MAX + 10;
    let mut clients: Vec<_> = (0..all).map(|_| house.unix()).collect();
    for (number, client) in (0..).zip(&mut clients) {
        client.send(&null(number));
    }
    let mut accepted = vec![];
    while connections(&house) < all {
        let before = connections(&house);
        house.turn();
        accepted.push(connections(&house) - before);
    }
    assert_eq!(accepted, [1, 2, 4, 8, 16, 32, ACCEPT_MAX, ACCEPT_MAX, 11]);
    for (number, client) in (0..).zip(&mut clients) {
        assert_eq!(client.reply().map(|reply| xid(&reply)), Some(number), "it was served at once");
    }
}

#[test]
fn who_waits_to_be_accepted_does_not_wait_longer_for_connections_that_are_more_than_one_wait_reports() {
    let mut house = House::new(PLENTY, 0);
    let mut busy: Vec<_> = (0..200).map(|_| house.unix()).collect();
    house.until("all connections", |house| (connections(house) == 200).then_some(()));
    house.turn();
    let _newcomers: Vec<_> = (0..70).map(|_| house.unix()).collect();
    let mut accepted = vec![];
    for _ in 0..30 {
        for client in &mut busy {
            client.send(&null(1));
        }
        let before = connections(&house);
        house.turn();
        accepted.push(connections(&house) - before);
    }
    accepted.retain(|count| *count > 0);
    assert_eq!(accepted, [1, 2, 4, 8, 16, 32, 7]);
    // Nobody was left: one at a time again.
    let _newcomers: Vec<_> = (0..3).map(|_| house.unix()).collect();
    house.turn();
    assert!(connections(&house) <= 271, "{}", connections(&house));
}

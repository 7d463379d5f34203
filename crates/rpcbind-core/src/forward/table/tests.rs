//! The table beside a plain list that keeps the same rules.

use super::*;
use crate::budget::Budget;
use crate::caller::{Datagram, Namespace};
use crate::outcome::{Reason, Why};
use crate::remote::{Form, ServiceAddress};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use oncrpc::Program;
use oncrpc::bind::{self, AddressText, V3};
use proptest::prelude::*;

const CALLS: usize = 10;
const PER_SOURCE: usize = 4;

/// How many sources there are.
const SOURCES: u8 = 10;

/// Somebody who sends datagrams from one of six prefixes, one of two users, or a connection from the first two
/// prefixes.
fn caller(source: u8) -> Caller {
    let ours = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let local = (ours, 111).into();
    let from = |prefix| SocketAddr::from((Ipv4Addr::new(192, 0, prefix, 1), 40_000));
    match source {
        0..6 => Caller::Datagram(Datagram {
            from: from(source),
            destination: ours,
            local,
            interface: 2,
            mapped: false,
        }),
        6..8 => Caller::Unix { uid: Some(u32::from(source)), namespace: Namespace(0) },
        _ => Caller::Connection { from: from(source.saturating_sub(8)), local },
    }
}

fn pending(serial: u64, source: u8, deadline: Duration) -> Pending {
    let why = Why {
        version: Some(V3),
        procedure: Some(bind::CALLIT),
        program: Some(Program(1)),
        target: Some(Procedure(1)),
        reason: Reason::Forwarded,
    };
    let xid = Xid(u32::try_from(serial).unwrap());
    let asked = Asked {
        caller: caller(source),
        xid,
        form: Form::Broadcast,
        why,
        address: ServiceAddress { text: AddressText::new(), port: 0 },
        budget: Budget::of(0),
    };
    let to = (Ipv4Addr::LOCALHOST, 5_000).into();
    Pending { id: RemoteId { serial, xid }, to, deadline, given_up: false, asked }
}

/// A call of a source's for which there is room.
fn begin(table: &mut Table, serial: u64, source: u8) {
    let room = table.room_for(&caller(source)).unwrap();
    table.insert(room, pending(serial, source, Duration::from_secs(10)));
}

/// A call as the plain list has it.
#[derive(Clone, Copy, Debug)]
struct Listed {
    serial: u64,
    source: u8,
    deadline: Duration,
    given_up: bool,
}

fn waiting(list: &[Listed], source: u8) -> usize {
    list.iter().filter(|call| !call.given_up && call.source == source).count()
}

/// What is given up for one more call of a source, if anything has to be.
fn make_room(list: &mut [Listed], source: u8) -> Result<(), Full> {
    let own = waiting(list, source);
    let given_up = list.iter().filter(|call| call.given_up).count();
    // Two places are for calls that were given up, one of them for those that gave way to others of their source.
    if list.len() >= CALLS + 2 || (own >= PER_SOURCE && given_up >= 1) {
        return Err(Full);
    }
    if own < PER_SOURCE && (0..SOURCES).map(|source| waiting(list, source)).sum::<usize>() < CALLS {
        return Ok(());
    }
    let most =
        (0..SOURCES).map(|source| waiting(list, source)).max().filter(|most| own < PER_SOURCE && *most > own);
    let gives_way = |call: &Listed| match most {
        Some(most) => waiting(list, call.source) == most,
        None => own >= PER_SOURCE && call.source == source,
    };
    let oldest = list.iter().position(|call| !call.given_up && gives_way(call)).ok_or(Full)?;
    let oldest = list.get_mut(oldest).ok_or(Full)?;
    oldest.given_up = true;
    oldest.deadline = Duration::ZERO;
    Ok(())
}

fn check(table: &Table, list: &[Listed]) -> Result<(), TestCaseError> {
    prop_assert_eq!(table.len(), list.len());
    prop_assert_eq!(table.next_deadline(), list.iter().map(|call| call.deadline).min());
    for call in list {
        let found = table.find(Xid(u32::try_from(call.serial).unwrap())).unwrap();
        prop_assert_eq!((found.given_up, found.deadline), (call.given_up, call.deadline));
        prop_assert_eq!(found.asked.repeatable().is_none_or(|repeatable| table.has(&repeatable)), true);
    }
    prop_assert!(list.len() <= CALLS + CALLS / 8 + 1);
    prop_assert_eq!(table.repeatable.len(), list.iter().filter(|call| call.source < 6).count());
    prop_assert_eq!(table.deadlines.len(), list.len());
    Ok(())
}

proptest! {
    #[test]
    fn whatever_begins_and_ends_the_table_is_the_plain_list(
        steps in proptest::collection::vec((0..4_u8, 0..SOURCES, 0..30_u64), 0..200),
    ) {
        let mut table = Table::new(CALLS, PER_SOURCE);
        let mut list: Vec<Listed> = Vec::new();
        for (serial, (what, source, number)) in (0..).zip(steps) {
            let moment = Duration::from_secs(number);
            match what {
                0 | 1 => {
                    let room = table.room_for(&caller(source));
                    prop_assert_eq!(room.is_ok(), make_room(&mut list, source).is_ok());
                    if let Ok(room) = room {
                        let deadline = Duration::new(number, 1);
                        table.insert(room, pending(serial, source, deadline));
                        list.push(Listed { serial, source, deadline, given_up: false });
                    }
                }
                2 => {
                    let id = RemoteId { serial: number, xid: Xid(u32::try_from(number).unwrap()) };
                    let other = RemoteId { serial: u64::MAX, ..id };
                    prop_assert!(table.take(other).is_none());
                    let index = list.iter().position(|call| call.serial == number);
                    prop_assert_eq!(table.take(id).is_some(), index.is_some());
                    index.map(|index| list.remove(index));
                }
                _ => while let Some(id) = table.first_over(moment) {
                    let over = table.take(id).unwrap();
                    let index = list.iter().position(|call| call.serial == id.serial).unwrap();
                    let listed = list.remove(index);
                    prop_assert!(listed.deadline <= moment);
                    prop_assert_eq!(over.given_up, listed.given_up);
                },
            }
            prop_assert!(what < 3 || list.iter().all(|call| call.deadline > moment));
            check(&table, &list)?;
        }
        while let Some(id) = table.first_over(Duration::MAX) {
            prop_assert!(table.take(id).is_some());
        }
        let sizes = (table.len(), table.deadlines.len(), table.repeatable.len(), table.sources.len());
        prop_assert_eq!((sizes, table.by_count.len(), table.waiting), ((0, 0, 0, 0), 0, 0));
    }
}

#[test]
fn somebody_with_fewer_calls_takes_the_place_of_the_oldest_of_whoever_has_most() {
    let mut table = Table::new(4, 5);
    for serial in 0..4 {
        begin(&mut table, serial, 1);
    }
    assert_eq!(table.room_for(&caller(1)), Err(Full));
    assert_eq!(table.first_over(Duration::from_secs(9)), None);
    begin(&mut table, 4, 2);
    let given_up = table.first_over(Duration::ZERO).map(|id| id.serial);
    assert_eq!(given_up, Some(0));
}

#[test]
fn a_source_that_has_all_it_may_have_gives_up_its_own_oldest_call_and_connections_from_there_lose_none() {
    let mut table = Table::new(8, 2);
    let (datagrams, connections) = (0, 8);
    for (serial, source) in (0..).zip([connections, datagrams, datagrams, datagrams]) {
        begin(&mut table, serial, source);
    }
    assert_eq!(
        table.first_over(Duration::ZERO).and_then(|id| table.take(id)).map(|over| over.id.serial),
        Some(1)
    );
    assert_eq!(table.first_over(Duration::from_secs(9)), None);
    begin(&mut table, 4, connections);
    assert_eq!(table.first_over(Duration::from_secs(9)), None);
}

#[test]
fn among_those_who_have_as_many_calls_the_oldest_gives_way_whoever_made_it() {
    let mut table = Table::new(8, 4);
    for (serial, source) in (0..).zip([3, 7, 1, 6, 8, 0, 2, 4]) {
        begin(&mut table, serial, source);
    }
    for (serial, newcomer, oldest) in [(8, 5, 0), (9, 9, 1)] {
        begin(&mut table, serial, newcomer);
        let over = table.first_over(Duration::ZERO).unwrap();
        assert_eq!(over.serial, oldest);
        table.take(over).unwrap();
    }
}

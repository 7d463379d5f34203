//! The registry against a plain list of rows: whatever is added and removed, both say the same.

extern crate std;

use super::*;
use alloc::collections::BTreeMap;
use alloc::vec;
use core::time::Duration;
use oncrpc::bind::Netids;
use proptest::prelude::*;
use proptest::sample::select;

const NETIDS: [Netid; 5] = [Netid::UDP, Netid::TCP, Netid::UDP6, Netid::TCP6, Netid::LOCAL];
/// The ends of the number ranges among them: they are the ends of the index's ranges too.
const PROGRAMS: [u32; 5] = [0, 1, 200_001, u32::MAX - 1, u32::MAX];
const VERSIONS: [u32; 4] = [0, 1, u32::MAX - 1, u32::MAX];
const OWNERS: [Owner; 4] = [Owner::ROOT, Owner::Uid(1_000), Owner::Uid(u32::MAX), Owner::Unknown];

const LIVENESS: [Liveness; 3] = [
    Liveness::NotJudged,
    Liveness::Alive { since: Duration::from_secs(1) },
    Liveness::Dead { since: Duration::from_secs(2) },
];

#[derive(Clone, Debug)]
enum Step {
    Insert(Row),
    Remove(Program, Version, Netid),
    List(ListKind),
    Judge(Program, Version, Netid, Liveness),
}

fn key() -> impl Strategy<Value = (Program, Version, Netid)> {
    (select(&PROGRAMS[..]), select(&VERSIONS[..]), select(&NETIDS[..]))
        .prop_map(|(program, version, netid)| (Program(program), Version(version), netid))
}

fn row() -> impl Strategy<Value = Row> {
    let rest = (1..=9_u8, select(&OWNERS[..]), 0..2_u64);
    (key(), rest).prop_map(|((program, version, netid), (port, owner, namespace))| {
        let address = match Netids::default().family(netid) {
            Some(Family::Inet) => std::format!("0.0.0.0.8.{port}"),
            Some(Family::Inet6) => std::format!("::.8.{port}"),
            _ => std::format!("/run/{port}"),
        };
        Row { program, version, netid, address: address.into(), owner, namespace: Namespace(namespace) }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => row().prop_map(Step::Insert),
        2 => key().prop_map(|(program, version, netid)| Step::Remove(program, version, netid)),
        1 => select(&[ListKind::Mappings, ListKind::Rpcbs, ListKind::Statuses][..]).prop_map(Step::List),
        2 => (key(), select(&LIVENESS[..])).prop_map(|((program, version, netid), liveness)| {
            Step::Judge(program, version, netid, liveness)
        }),
    ]
}

fn key_of(row: &Row) -> (Program, Version, Netid) {
    (row.program, row.version, row.netid)
}

/// Bytes that differ whenever the rows, their order or the kind do, and for one kind what is known of their services.
fn encode(kind: ListKind, rows: &[Row], known: &[Liveness]) -> Vec<u8> {
    let known = if kind == ListKind::Statuses { known } else { &[] };
    std::format!("{kind:?} {rows:?} {known:?}").into_bytes()
}

fn compare(registry: &Registry, rows: &[Row], known: &[Liveness]) {
    assert_eq!(registry.rows_with_liveness().map(|(_, liveness)| liveness).collect::<Vec<_>>(), known);
    assert_eq!(registry.dead(), known.iter().filter(|liveness| liveness.is_dead()).count());
    assert_eq!(registry.rows().cloned().collect::<Vec<_>>(), rows);
    assert_eq!(registry.len(), rows.len());
    assert_eq!(registry.is_empty(), rows.is_empty());
    for owner in OWNERS {
        assert_eq!(registry.owned_by(owner), rows.iter().filter(|row| row.owner == owner).count());
    }
    let listed: BTreeMap<Place, &Row> =
        registry.in_slots(0..registry.slots(), u64::MAX).map(|(place, entry)| (place, &entry.row)).collect();
    assert_eq!(listed.len(), rows.len());
    for row in rows {
        let place = registry.place(row.program, row.version, row.netid).unwrap();
        assert_eq!(listed.get(&place), Some(&row));
        assert_eq!(registry.at(place).map(|entry| &entry.row), Some(row));
    }
    for program in PROGRAMS.map(Program) {
        assert_eq!(registry.has(program), rows.iter().any(|row| row.program == program));
        for netid in NETIDS {
            let same = rows.iter().filter(|row| (row.program, row.netid) == (program, netid));
            let versions: Vec<Version> = registry.versions(program, netid).collect();
            assert_eq!(versions, same.clone().map(|row| row.version).collect::<Vec<_>>());
            for version in VERSIONS.map(Version) {
                let exact = same.clone().find(|row| row.version == version);
                assert_eq!(registry.exact(program, version, netid).map(|entry| &entry.row), exact);
                let any = registry.any_version(program, version, netid);
                assert_eq!(registry.any_port(program, version, netid), any.map(Entry::port));
                let any = any.map(|entry| &entry.row);
                assert_eq!(any, exact.or_else(|| same.clone().next_back()));
            }
        }
        for version in VERSIONS.map(Version) {
            let found = registry.on_all_netids(program, version);
            let same = rows.iter().filter(|row| (row.program, row.version) == (program, version));
            assert_eq!(found.map(|entry| &entry.row).collect::<Vec<_>>(), same.collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_added_and_removed_the_registry_is_the_plain_list(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut registry = Registry::new([1, 2]);
        let mut rows: Vec<Row> = vec![];
        let mut known: Vec<Liveness> = vec![];
        let (mut gone, mut most): (Vec<Place>, usize) = (vec![], 0);
        for step in steps {
            match step {
                Step::Insert(row) => {
                    let at = rows.iter().position(|old| key_of(old) == key_of(&row));
                    let replaced = at.map(|at| (known.remove(at), rows.remove(at)).1);
                    rows.push(row.clone());
                    known.push(Liveness::NotJudged);
                    gone.extend(registry.place(row.program, row.version, row.netid));
                    let family = Netids::default().family(row.netid).unwrap();
                    let before = registry.next_serial();
                    let key = key_of(&row);
                    assert_eq!(registry.insert(row, family), replaced);
                    let older = registry.in_slots(0..registry.slots(), before);
                    assert!(older.map(|(_, entry)| key_of(&entry.row)).all(|older| older != key));
                }
                Step::Remove(program, version, netid) => {
                    let at = rows.iter().position(|old| key_of(old) == (program, version, netid));
                    let removed = at.map(|at| (known.remove(at), rows.remove(at)).1);
                    gone.extend(registry.place(program, version, netid));
                    assert_eq!(registry.remove(program, version, netid), removed);
                }
                Step::List(kind) => {
                    let now = encode(kind, &rows, &known);
                    let list = registry.list(kind, |registry| {
                        let known: Vec<_> = registry.rows_with_liveness().map(|(_, known)| known).collect();
                        encode(kind, &registry.rows().cloned().collect::<Vec<_>>(), &known)
                    });
                    assert_eq!(*list, *now);
                    // Nothing has changed since: it is not made again.
                    let again = registry.list(kind, |_| unreachable!("the list is kept"));
                    assert!(Arc::ptr_eq(&list, &again));
                }
                Step::Judge(program, version, netid, liveness) => {
                    if let Some(place) = registry.place(program, version, netid) {
                        registry.set_liveness(place, liveness, false);
                    }
                    let at = rows.iter().position(|row| key_of(row) == (program, version, netid));
                    if let Some(at) = at {
                        known[at] = liveness;
                    }
                }
            }
            compare(&registry, &rows, &known);
            assert!(gone.iter().all(|place| registry.at(*place).is_none()), "a row that went is not another one");
            most = most.max(rows.len());
            assert!(registry.slots() <= most, "a slot that is free is used before a new one");
        }
    }
}

#[test]
fn a_full_table_that_empties_in_any_order_finds_what_is_left_of_it() {
    let mut registry = Registry::new([3, 4]);
    let key = |number: u32| (Program(number / 8), Version(number / 4 % 2), NETIDS[number as usize % 4]);
    let row = |number| {
        let (program, version, netid) = key(number);
        let (address, owner, namespace) = ("0.0.0.0.8.1".into(), Owner::Uid(number % 64), Namespace(0));
        Row { program, version, netid, address, owner, namespace }
    };
    let rows = 16_384_u32;
    // An odd step visits every row once: their number is a power of two.
    for number in (0..rows).map(|step| step * 4_099 % rows) {
        registry.insert(row(number), Family::Inet);
    }
    assert_eq!(registry.len(), 16_384);
    for (removed, number) in (0..rows).map(|step| step * 10_007 % rows).enumerate() {
        let (program, version, netid) = key(number);
        assert_eq!(registry.remove(program, version, netid), Some(row(number)));
        assert_eq!(registry.remove(program, version, netid), None);
        assert_eq!(registry.len(), 16_383 - removed);
        if removed % 1_024 == 0 {
            let left: Vec<Row> = registry.rows().cloned().collect();
            assert_eq!(left.len(), registry.len());
            assert!(
                left.iter()
                    .all(|row| registry.exact(row.program, row.version, row.netid).unwrap().row == *row)
            );
            assert_eq!((0..64).map(|uid| registry.owned_by(Owner::Uid(uid))).sum::<usize>(), left.len());
        }
    }
    assert!(registry.is_empty() && registry.rows().next().is_none());
}

#[test]
fn entries_know_their_socket_and_port() {
    let cases = [
        (Netid::UDP, Family::Inet, "192.0.2.1.8.8", Some("192.0.2.1:2056"), 2_056),
        (Netid::TCP6, Family::Inet6, "::1.8.8", Some("[::1]:2056"), 2_056),
        (Netid::LOCAL, Family::Local, "/run/x", None, 0),
    ];
    for (netid, family, address, socket, port) in cases {
        let mut registry = Registry::new([1, 2]);
        let (program, version, owner, namespace) = (Program(1), Version(1), Owner::ROOT, Namespace(0));
        registry.insert(Row { program, version, netid, address: address.into(), owner, namespace }, family);
        let entry = registry.exact(program, version, netid).unwrap();
        assert_eq!(entry.socket, socket.map(|socket| socket.parse().unwrap()));
        assert_eq!(entry.port(), port);
    }
}

//! What the last run left: the journal, as bytes, as records of any content, and as the daemon writes it on a medium
//! that fails; and the two files of the C daemon. Nothing panics, no row is half there, and what was read and is
//! written again is read the same.
#![no_main]

use fuzz::{Bytes, HOME};
use libfuzzer_sys::fuzz_target;
use oncrpc::bind::{Netid, Netids};
use oncrpc::{Program, Version};
use rpcbind::state::format::{KeptRow, Life};
use rpcbind::state::journal::{Health, Journal};
use rpcbind::state::medium::Medium;
use rpcbind::state::reading::{self, Restored};
use rpcbind::warmstart;
use rpcbind_core::Service;
use rpcbind_core::outcome::Change;
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::Settings;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const LIFE: Life = Life { boot: [7; 16], home: HOME };
const MAGIC: &[u8] = b"portmap journal\n";

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else { return };
    match kind % 4 {
        0 => any_journal(input),
        1 => any_journal(&frames(input)),
        2 => a_run(&mut Bytes(input)),
        _ => files_of_the_c_daemon(&mut Bytes(input)),
    }
});

/// A journal that anybody may have written.
fn any_journal(bytes: &[u8]) {
    let restored = reading::read(bytes, LIFE);
    assert_is_sound(&restored);
    let netids = Netids::default();
    let mut service = Service::new(Settings { home: HOME, ..Settings::default() });
    for row in restored.rows.iter().filter_map(|row| row.named(&netids)) {
        let _refused = service.restore(row);
    }
    let medium = Shaky::default();
    let (mut journal, _) = Journal::restore(medium.clone(), LIFE);
    journal.begin(Duration::ZERO, service.registry().rows(), &netids);
    assert_eq!(*journal.health(), Health::Durable);
    let again = medium.read();
    assert!(again.faults.is_empty() && again.sequence.is_some());
    assert!(named(&again.rows).iter().eq(service.registry().rows()));
}

/// A journal with right checksums around records of any content, some of them of a life of ours.
fn frames(input: &[u8]) -> Vec<u8> {
    let mut journal = MAGIC.to_vec();
    let mut frame = |record: &[u8]| {
        let len = u32::try_from(record.len()).expect("short").to_be_bytes();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&len);
        hasher.update(record);
        for part in [&len, &hasher.finalize().to_be_bytes(), record] {
            journal.extend_from_slice(part);
        }
    };
    let life = [&[0, 0, 0, 1][..], &LIFE.boot, &HOME.0.to_be_bytes()].concat();
    let mut bytes = Bytes(input);
    while let Some(len) = bytes.next() {
        match len {
            0 => frame(&life),
            len => frame(bytes.part(len.into())),
        }
    }
    journal
}

fn assert_is_sound(restored: &Restored) {
    let key = |row: &KeptRow| (row.program, row.version, row.netid.clone());
    let keys: BTreeSet<_> = restored.rows.iter().map(key).collect();
    assert_eq!(keys.len(), restored.rows.len(), "a program, version and netid name one row");
    for fault in &restored.faults {
        assert!(!fault.to_string().contains(char::is_control));
    }
}

fn named(rows: &[KeptRow]) -> Vec<Row> {
    rows.iter().map(|row| row.named(&Netids::default()).expect("a netid of the table")).collect()
}

/// A medium that can be looked at while the journal has it.
#[derive(Clone, Default)]
struct Shaky(Rc<RefCell<Written>>);

/// What is written, and when writing fails.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// So many bytes are still written of what is added next; then it fails.
    fails_after: Option<usize>,
}

impl Shaky {
    fn read(&self) -> Restored {
        reading::read(&*self.0.borrow().bytes, LIFE)
    }
}

impl Medium for Shaky {
    fn restore(&mut self, life: Life) -> Restored {
        reading::read(&*self.0.borrow().bytes, life)
    }

    fn replace(&mut self, journal: &[u8]) -> io::Result<()> {
        let mut written = self.0.borrow_mut();
        if written.fails_after.take().is_some() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        written.bytes = journal.to_vec();
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let mut written = self.0.borrow_mut();
        let fails_after = written.fails_after.take().map(|bytes| bytes.min(records.len()));
        written.bytes.extend_from_slice(&records[..fails_after.unwrap_or(records.len())]);
        fails_after.map_or(Ok(()), |_| Err(io::ErrorKind::StorageFull.into()))
    }
}

/// A run of the daemon, and the tables that it went through.
struct Run {
    medium: Shaky,
    journal: Journal<Shaky>,
    rows: Vec<Row>,
    /// The table after each row of the whole table that was written last, and after each change since.
    tables: Vec<Vec<Row>>,
    /// The table that was last known to be kept.
    durable: Vec<Row>,
    now: Duration,
}

fn a_run(bytes: &mut Bytes<'_>) {
    let mut run = Run::begin(Shaky::default(), Vec::new());
    while let Some(step) = bytes.next() {
        match step % 8 {
            0..=3 => run.change(bytes),
            4 => run.sync(Duration::from_millis(u64::from(bytes.byte()) * 8)),
            5 => run.medium.0.borrow_mut().fails_after = Some(bytes.byte().into()),
            6 => run.journal.note_files([Some([bytes.byte(); 32]), None]),
            _ => run = run.crash(bytes),
        }
    }
}

impl Run {
    fn begin(medium: Shaky, rows: Vec<Row>) -> Self {
        let (mut journal, _) = Journal::restore(medium.clone(), LIFE);
        journal.begin(Duration::ZERO, rows.iter(), &Netids::default());
        let tables = prefixes(&rows);
        Self { medium, journal, durable: rows.clone(), rows, tables, now: Duration::ZERO }
    }

    /// A row comes, in the place of another or not, or goes.
    fn change(&mut self, bytes: &mut Bytes<'_>) {
        let row = Row {
            program: Program(u32::from(bytes.byte() % 4)),
            version: Version(u32::from(bytes.byte() % 2)),
            netid: bytes.one_of(&[Netid::UDP, Netid::TCP6, Netid::LOCAL]),
            address: bytes.one_of(&["0.0.0.0.8.8", "", "/run/a"]).into(),
            owner: bytes.one_of(&[Owner::Unknown, Owner::ROOT, Owner::Uid(u32::MAX)]),
            namespace: HOME,
        };
        let is_it = |other: &Row| {
            (other.program, other.version, other.netid) == (row.program, row.version, row.netid)
        };
        let removed = self.rows.extract_if(.., |other| is_it(other)).collect();
        let added = (!bytes.byte().is_multiple_of(3)).then_some(row);
        self.rows.extend(added.clone());
        self.tables.push(self.rows.clone());
        self.journal.append(&Change { removed, added }, &Netids::default());
    }

    fn sync(&mut self, later: Duration) {
        self.now += later;
        let was_durable = *self.journal.health() == Health::Durable;
        let before = self.medium.0.borrow().bytes.len();
        self.journal.sync(self.now, || self.rows.iter(), &Netids::default());
        if *self.journal.health() == Health::Durable {
            self.durable = self.rows.clone();
            let is_rewritten = !was_durable || self.medium.0.borrow().bytes.len() < before;
            if is_rewritten {
                self.tables = prefixes(&self.rows);
            }
            let restored = self.medium.read();
            assert!(restored.faults.is_empty() && restored.sequence.is_some());
            assert_eq!(named(&restored.rows), self.rows);
        }
    }

    /// The process ends, now or while the file was written; the next run begins with what is there.
    fn crash(self, bytes: &mut Bytes<'_>) -> Self {
        let cut = {
            let mut written = self.medium.0.borrow_mut();
            written.fails_after = None;
            let cut = usize::from(bytes.byte()).min(written.bytes.len());
            let kept = written.bytes.len() - cut;
            written.bytes.truncate(kept);
            cut
        };
        let restored = self.medium.read();
        assert_is_sound(&restored);
        let rows = named(&restored.rows);
        assert!(self.tables.contains(&rows), "half a change was believed");
        if cut == 0 {
            let of = |table| self.tables.iter().position(|other| other == table);
            let last = self.tables.iter().rposition(|table| *table == rows);
            assert!(of(&self.durable) <= last, "what was kept is gone");
            assert!(*self.journal.health() != Health::Durable || rows == self.durable);
        }
        Self::begin(self.medium, rows)
    }
}

/// The tables with the first row alone, the first two, and so on.
fn prefixes(rows: &[Row]) -> Vec<Vec<Row>> {
    (0..=rows.len()).map(|len| rows[..len].to_vec()).collect()
}

/// The two files of the C daemon, each there or not.
fn files_of_the_c_daemon(bytes: &mut Bytes<'_>) {
    let which = bytes.byte();
    let len = usize::from(bytes.byte()) << 4;
    let rpcb = bytes.part(len).to_vec();
    let contents = [(which & 1 == 0).then_some(rpcb), (which & 2 == 0).then_some(bytes.0.to_vec())];
    let start = warmstart::parse(contents.clone());
    assert_eq!(start.contents, contents);
    for fault in &start.faults {
        assert!(!fault.to_string().contains(char::is_control));
    }
    assert!(start.rows.len() <= input_rows(&contents));
    let written = warmstart::contents(&start.rows).expect("what was in a list fits into one");
    let again = warmstart::parse(written.map(Some));
    assert!(again.faults.is_empty(), "{:?}", again.faults);
    assert_eq!(again.rows, start.rows);
}

/// As many rows as can be in so many bytes.
fn input_rows(contents: &[Option<Vec<u8>>; 2]) -> usize {
    contents.iter().flatten().map(|bytes| bytes.len() / 20).sum()
}

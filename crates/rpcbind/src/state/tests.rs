//! The journal against damage, strangers' files and a naive list.

use super::directory::{Directory, Unfit};
use super::format::{KeptRow, Life, Record, Scratch, append, read};
use super::journal::{Health, Journal};
use super::medium::Medium;
use super::memory::Memory;
use super::reading::{Fault, Restored};
use oncrpc::bind::{Netid, Netids};
use oncrpc::{Program, Version};
use rpcbind_core::caller::Namespace;
use rpcbind_core::outcome::Change;
use rpcbind_core::registry::{Owner, Row};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::cell::Cell;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

const LIFE: Life = Life { boot: [7; 16], home: Namespace(4_026_531_840) };
const NOW: Duration = Duration::from_secs(1_000);

fn directory(path: &Path) -> Directory {
    Directory::new(openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap())
}

fn row(program: u32, port: u8) -> Row {
    Row {
        program: Program(program),
        version: Version(3),
        netid: Netid::TCP,
        address: format!("0.0.0.0.3.{port}").into(),
        owner: if port.is_multiple_of(2) { Owner::Uid(u32::from(port)) } else { Owner::Unknown },
        namespace: LIFE.home,
    }
}

fn added(row: Row) -> Change {
    Change { removed: Vec::new(), added: Some(row) }
}

fn reopen(path: &Path) -> Restored {
    Journal::open(directory(path), LIFE).1
}

fn addresses(restored: &Restored) -> Vec<&str> {
    restored.rows.iter().map(|row| row.address.as_str()).collect()
}

/// A journal with three rows of which one was replaced and one removed.
fn written(path: &Path) -> Journal {
    let netids = Netids::default();
    let (mut journal, _) = Journal::open(directory(path), LIFE);
    journal.begin(NOW, std::iter::once(&row(1, 1)), &netids);
    journal.append(&added(row(2, 2)), &netids);
    journal.append(&added(row(3, 3)), &netids);
    journal.append(&Change { removed: vec![row(2, 2)], added: Some(row(2, 4)) }, &netids);
    journal.append(&Change { removed: vec![row(1, 1)], added: None }, &netids);
    journal.sync(NOW, std::iter::empty, &netids);
    assert_eq!(*journal.health(), Health::Durable);
    journal
}

#[test]
fn what_was_synced_is_there_again_in_order_with_its_owners() {
    let path = tempfile::tempdir().unwrap();
    written(path.path());
    let restored = reopen(path.path());
    assert_eq!(addresses(&restored), ["0.0.0.0.3.3", "0.0.0.0.3.4"]);
    let owners: Vec<Owner> = restored.rows.iter().map(|row| row.owner).collect();
    assert_eq!(owners, [Owner::Unknown, Owner::Uid(4)]);
    assert!(restored.faults.is_empty() && !restored.closed);
}

#[test]
fn an_end_in_order_and_the_digests_of_the_other_files_are_remembered() {
    let path = tempfile::tempdir().unwrap();
    let mut journal = written(path.path());
    journal.note_files([Some([5; 32]), None]);
    journal.close().unwrap();
    let restored = reopen(path.path());
    assert!(restored.closed);
    assert_eq!(restored.files, Some([Some([5; 32]), None]));
}

#[test]
fn a_journal_cut_at_any_byte_gives_every_row_before_the_cut_and_never_half_a_row() {
    let whole = frames();
    let mut lens = Vec::new();
    for len in 0..=whole.len() {
        let mut rows = Vec::new();
        let result = read(&whole[..len], |record| rows.push(record));
        assert!(rows.len() <= 9 && rows.iter().zip(records()).all(|(read, wrote)| *read == wrote));
        lens.push(rows.len());
        assert_eq!(result.is_ok(), len == 16 || ends().contains(&len), "cut at byte {len}");
    }
    assert!(lens.is_sorted() && lens.last() == Some(&9));
}

#[test]
fn a_flipped_bit_anywhere_is_seen_and_the_rows_before_it_stay() {
    let whole = frames();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut rows = Vec::new();
        assert!(read(bytes.as_slice(), |record| rows.push(record)).is_err(), "bit {bit}");
        let before = ends().iter().filter(|end| **end <= bit / 8).count();
        assert_eq!(rows, records()[..before], "bit {bit}");
    }
}

fn records() -> Vec<Record> {
    let kept = |program: u32| KeptRow {
        program: Program(program),
        version: Version(1),
        netid: "udp6".to_owned(),
        address: "::.0.80".to_owned(),
        owner: Owner::Uid(program),
        namespace: LIFE.home,
    };
    let set = |program| Record::Change { removed: Vec::new(), added: Some(kept(program)) };
    let mut records = vec![Record::Life(LIFE), Record::Files([None, Some([9; 32])])];
    records.extend((1..=5).map(set));
    let key = (Program(3), Version(1), "udp6".to_owned());
    records.push(Record::Change { removed: vec![key.clone(), key], added: None });
    records.push(Record::Closed);
    records
}

fn frames() -> Vec<u8> {
    let mut bytes = b"portmap journal\n".to_vec();
    records().iter().for_each(|record| append(record, &mut Scratch::default(), &mut bytes));
    bytes
}

/// Where each frame ends.
fn ends() -> Vec<usize> {
    let mut bytes = b"portmap journal\n".to_vec();
    let mut end = |record: &Record| {
        append(record, &mut Scratch::default(), &mut bytes);
        bytes.len()
    };
    records().iter().map(&mut end).collect()
}

#[test]
fn the_table_of_another_boot_or_namespace_is_not_believed() {
    let path = tempfile::tempdir().unwrap();
    written(path.path());
    for life in [Life { boot: [8; 16], ..LIFE }, Life { home: Namespace(1), ..LIFE }] {
        let (_, restored) = Journal::open(directory(path.path()), life);
        assert!(restored.rows.is_empty());
        assert!(matches!(restored.faults[..], [Fault::OtherLife]));
    }
}

#[test]
fn a_file_that_somebody_else_could_have_made_is_not_read() {
    type Make = fn(&Path);
    let makers: [(&str, Make); 5] = [
        ("symbolic link", |path| symlink("/etc/passwd", path).unwrap()),
        ("fifo", |path| {
            rustix::fs::mknodat(CWD, path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }),
        ("hard link", |path| {
            std::fs::write(path, b"portmap journal\n").unwrap();
            std::fs::hard_link(path, path.with_extension("other")).unwrap();
        }),
        ("mode", |path| {
            std::fs::write(path, b"portmap journal\n").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        }),
        ("size", |path| {
            std::fs::File::create(path).unwrap().set_len(10 << 30).unwrap();
        }),
    ];
    for (name, make) in makers {
        let path = tempfile::tempdir().unwrap();
        make(&path.path().join("journal"));
        let restored = reopen(path.path());
        assert!(restored.rows.is_empty(), "{name}");
        assert!(matches!(restored.faults[..], [Fault::Unfit(_)]), "{name}: {:?}", restored.faults);
    }
}

#[test]
fn a_file_of_another_user_is_not_read() {
    let path = tempfile::tempdir().unwrap();
    let file = path.path().join("journal");
    std::fs::write(&file, b"portmap journal\n").unwrap();
    if std::os::unix::fs::chown(&file, Some(1_000), None).is_err() {
        testkit::skip!("giving a file away needs root");
    }
    assert!(matches!(reopen(path.path()).faults[..], [Fault::Unfit(Unfit::Owner(1_000))]));
}

#[test]
fn a_journal_that_has_grown_is_rewritten_on_disk_and_in_memory_and_keeps_every_row() {
    let path = tempfile::tempdir().unwrap();
    let netids = Netids::default();
    let (mut journal, _) = Journal::open(directory(path.path()), LIFE);
    let memory = Memory::new(Vec::new()).unwrap();
    let files = memory.files().map(|file| file.try_clone().unwrap());
    let (mut stored, _) = Journal::restore(memory, LIFE);
    journal.begin(NOW, std::iter::empty(), &netids);
    stored.begin(NOW, std::iter::empty(), &netids);
    let mut now = row(1, 1);
    for turn in 1..=20_000_u32 {
        let next = row(1, u8::try_from(turn % 200).unwrap());
        let change = Change { removed: vec![now], added: Some(next.clone()) };
        journal.append(&change, &netids);
        stored.append(&change, &netids);
        now = next;
        stored.sync(NOW, || std::iter::once(&now), &netids);
        // A real disk takes its time for each.
        if turn.is_multiple_of(100) {
            journal.sync(NOW, || std::iter::once(&now), &netids);
        }
    }
    let len = std::fs::metadata(path.path().join("journal")).unwrap().len();
    assert!(len <= 300 << 10, "{len} bytes for one row");
    let restored = reopen(path.path());
    assert_eq!((addresses(&restored), restored.sequence), (vec![&*now.address], Some(20_000)));
    let lens = files.each_ref().map(|file| file.metadata().unwrap().len());
    assert!(lens.iter().all(|len| *len <= 300 << 10), "{lens:?} bytes for one row");
    let (_, restored) = Journal::restore(Memory::new(files.into()).unwrap(), LIFE);
    assert_eq!((addresses(&restored), restored.sequence), (vec![&*now.address], Some(20_000)));
}

#[test]
fn changes_are_counted_over_all_runs_also_those_that_could_not_be_written() {
    let path = tempfile::tempdir().unwrap();
    let netids = Netids::default();
    let (mut journal, _) = Journal::open(directory(path.path()), LIFE);
    assert_eq!(reopen(path.path()).sequence, None);
    journal.count_from(40);
    journal.begin(NOW, std::iter::empty(), &netids);
    journal.append(&added(row(1, 1)), &netids);
    journal.sync(NOW, std::iter::empty, &netids);
    assert_eq!(reopen(path.path()).sequence, Some(41));

    let in_the_way = path.path().join("journal.new");
    std::fs::create_dir(&in_the_way).unwrap();
    journal.begin(NOW, std::iter::once(&row(1, 1)), &netids);
    journal.append(&added(row(2, 2)), &netids);
    assert_eq!(reopen(path.path()).sequence, Some(41), "it has not been written");
    std::fs::remove_dir(&in_the_way).unwrap();
    let table = [row(1, 1), row(2, 2)];
    journal.sync(journal.deadline().unwrap(), || table.iter(), &netids);
    assert_eq!(reopen(path.path()).sequence, Some(42));

    // A table that somebody imports by hand later is newer than whatever the service manager may hold.
    let (mut imported, restored) = Journal::open(directory(path.path()), LIFE);
    assert_eq!(restored.sequence, Some(42));
    imported.count_from(restored.next_sequence(Duration::from_secs(1_000)));
    imported.begin(NOW, table.iter(), &netids);
    assert_eq!(reopen(path.path()).sequence, Some(1_000_000_000));
}

#[test]
fn a_run_that_has_not_seen_the_files_of_the_c_daemon_says_nothing_of_them() {
    let path = tempfile::tempdir().unwrap();
    drop(written(path.path()));
    assert_eq!(reopen(path.path()).files, None);
    let (mut journal, _) = Journal::open(directory(path.path()), LIFE);
    journal.note_files([None, None]);
    journal.begin(NOW, std::iter::empty(), &Netids::default());
    assert_eq!(reopen(path.path()).files, Some([None, None]), "it has seen that there are none");
}

/// Counts bytes, and keeps none: how many there are, and how many there were at most.
#[derive(Default)]
struct Lengths(Rc<Cell<(usize, usize)>>);

impl Medium for Lengths {
    fn restore(&mut self, _: Life) -> Restored {
        Restored::default()
    }

    fn replace(&mut self, journal: &[u8]) -> io::Result<()> {
        self.0.set((0, self.0.get().1));
        self.append(journal)
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let (len, longest) = self.0.get();
        let len = len + records.len();
        self.0.set((len, longest.max(len)));
        Ok(())
    }
}

#[test]
fn a_journal_never_grows_longer_than_what_is_read_of_it() {
    let netids = Netids::default();
    let address = "1".repeat(128);
    let set = |program| Row { program: Program(program), address: address.as_str().into(), ..row(1, 1) };
    let table: Vec<Row> = (0..16_384).map(set).collect();
    let lengths = Rc::new(Cell::default());
    let (mut journal, _) = Journal::restore(Lengths(lengths.clone()), LIFE);
    journal.begin(NOW, table.iter(), &netids);
    let whole = lengths.get().1;
    assert!(whole > 2 << 20, "{whole} bytes are no full table");
    for _ in 0..100 {
        table.iter().take(1_000).for_each(|row| journal.append(&added(row.clone()), &netids));
        journal.sync(NOW, || table.iter(), &netids);
    }
    let (_, longest) = lengths.get();
    assert!(longest > 8 << 20 && longest < 9 << 20, "{longest} bytes");
}

#[test]
fn a_journal_that_cannot_be_written_is_degraded_until_it_can() {
    let path = tempfile::tempdir().unwrap();
    let netids = Netids::default();
    let in_the_way = path.path().join("journal.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let (mut journal, _) = Journal::open(directory(path.path()), LIFE);
    journal.begin(NOW, std::iter::once(&row(1, 1)), &netids);
    assert!(matches!(journal.health(), Health::Degraded(_)));
    let retry = journal.deadline().unwrap();
    assert!(retry > NOW && retry <= NOW + Duration::from_secs(1));

    std::fs::remove_dir(&in_the_way).unwrap();
    let table = [row(1, 1), row(2, 2)];
    journal.append(&added(row(2, 2)), &netids);
    journal.sync(NOW, || table.iter(), &netids);
    assert!(matches!(journal.health(), Health::Degraded(_)), "tried again before its time");
    journal.sync(retry, || table.iter(), &netids);
    assert_eq!((journal.health(), journal.deadline()), (&Health::Durable, None));
    assert_eq!(addresses(&reopen(path.path())), ["0.0.0.0.3.1", "0.0.0.0.3.2"]);
}

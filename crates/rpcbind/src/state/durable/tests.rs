//! Runs one after another that see some of the places where a table is kept, and not always the same.

use std::path::Path;

use oncrpc::bind::Netid;
use oncrpc::{Program, Version};
use rpcbind_core::caller::Namespace;
use rpcbind_core::registry::Owner;
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::*;
use crate::net::dispatch::Journal as _;

const LIFE: Life = Life { boot: [7; 16], home: Namespace(1) };
const NOW: Duration = Duration::ZERO;

fn row(program: u32) -> Row {
    Row {
        program: Program(program),
        version: Version(1),
        netid: Netid::UDP,
        address: "0.0.0.0.3.1".into(),
        owner: Owner::ROOT,
        namespace: LIFE.home,
    }
}

/// A run that begins so many seconds after boot, registers these, and is killed. Answers what it began with.
fn run(disk: Option<&Path>, memory: Option<&Memory>, seconds: u64, programs: &[u32]) -> (Origin, Vec<u32>) {
    let directory = |path| openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let came_back = |memory: &Memory| memory.files().map(|file| file.try_clone().unwrap()).into();
    let places = Places {
        disk: disk.map(|path| (Directory::new(directory(path)), None)),
        memory: memory.map(|memory| Memory::new(came_back(memory)).unwrap()),
        life: LIFE,
        since_boot: Duration::from_secs(seconds),
    };
    let (mut durable, beginning) = Durable::open(places, None, Arc::default());
    let origin = beginning.origin;
    let began: Vec<u32> = beginning.rows.iter().map(|row| row.program.0).collect();
    let mut service = Service::new(rpcbind_core::Settings::default());
    restore(beginning, &mut service);
    durable.begin(NOW, &mut service);
    for program in programs {
        service.restore(row(*program)).unwrap();
        durable.append(&Change { removed: Vec::new(), added: Some(row(*program)) }, &service);
    }
    durable.sync(NOW, &mut service);
    (origin, began)
}

#[test]
fn what_was_acknowledged_while_the_directory_could_not_be_seen_is_there_when_it_can_be_again() {
    let path = tempfile::tempdir().unwrap();
    let c_file = path.path().join(warmstart::RPCB_FILE);
    // An empty list.
    std::fs::write(&c_file, [0; 4]).unwrap();
    let many: Vec<u32> = (1..=50).collect();
    assert_eq!(run(Some(path.path()), None, 10, &many), (Origin::Files, vec![]));

    let memory = Memory::new(Vec::new()).unwrap();
    assert_eq!(run(None, Some(&memory), 20, &[100]), (Origin::Journal, vec![]));
    assert_eq!(run(None, Some(&memory), 30, &[101]), (Origin::Stored, vec![100]));
    let repaired = run(Some(path.path()), Some(&memory), 40, &[]);
    assert_eq!(repaired, (Origin::Stored, vec![100, 101]), "neither the older journal nor the older file");
    // And what the C daemon writes after that is news.
    std::fs::write(&c_file, [0; 8]).unwrap();
    assert_eq!(run(Some(path.path()), Some(&memory), 50, &[]).0, Origin::Files);
}

#[test]
fn a_file_that_no_run_has_seen_does_not_replace_what_the_manager_held() {
    let path = tempfile::tempdir().unwrap();
    let memory = Memory::new(Vec::new()).unwrap();
    run(None, Some(&memory), 10, &[100]);
    std::fs::write(path.path().join(warmstart::RPCB_FILE), [0; 4]).unwrap();
    assert_eq!(run(Some(path.path()), Some(&memory), 20, &[]), (Origin::Stored, vec![100]));
}

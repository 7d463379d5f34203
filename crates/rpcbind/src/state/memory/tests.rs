//! Memory files between two runs: what is whole and newer counts, and what somebody else made does not.

use super::*;
use crate::state::format::{self, KeptRow, Record};
use oncrpc::{Program, Version};
use rpcbind_core::caller::Namespace;
use rpcbind_core::registry::Owner;

const LIFE: Life = Life { boot: [7; 16], home: Namespace(4) };

/// A whole journal of one row, after so many changes.
fn journal(life: Life, port: u8, sequence: u64) -> Vec<u8> {
    let row = KeptRow {
        program: Program(500),
        version: Version(1),
        netid: "tcp".into(),
        address: format!("0.0.0.0.3.{port}"),
        owner: Owner::ROOT,
        namespace: LIFE.home,
    };
    let mut bytes = format::MAGIC.to_vec();
    let added = Record::Change { removed: Vec::new(), added: Some(row) };
    for record in [Record::Life(life), added, Record::Whole(sequence)] {
        format::append(&record, &mut format::Scratch::default(), &mut bytes);
    }
    bytes
}

/// What a change looks like that removes that row.
fn removal() -> Vec<u8> {
    let removed = vec![(Program(500), Version(1), "tcp".to_owned())];
    let mut bytes = Vec::new();
    format::append(&Record::Change { removed, added: None }, &mut format::Scratch::default(), &mut bytes);
    bytes
}

/// The other end: what the manager holds, handed to the next run.
fn copies(memory: &Memory) -> Memory {
    let came_back = memory.files().map(|file| recognise(file.try_clone().unwrap().into()).unwrap());
    Memory::new(came_back.into()).unwrap()
}

fn addresses(restored: &Restored) -> Vec<&str> {
    restored.rows.iter().map(|row| row.address.as_str()).collect()
}

#[test]
fn the_next_run_finds_the_last_table_and_every_change_since_in_either_file() {
    let mut memory = Memory::new(Vec::new()).unwrap();
    let restored = copies(&memory).restore(LIFE);
    assert!(restored.sequence.is_none() && restored.faults.is_empty(), "{restored:?}");
    for turn in 1..=5_u8 {
        let sequence = 10 * u64::from(turn);
        memory.replace(&journal(LIFE, turn, sequence)).unwrap();
        let restored = copies(&memory).restore(LIFE);
        assert_eq!(addresses(&restored), [format!("0.0.0.0.3.{turn}")]);
        assert_eq!(restored.sequence, Some(sequence));
        memory.append(&removal()).unwrap();
        let mut next = copies(&memory);
        let restored = next.restore(LIFE);
        assert_eq!((restored.rows.len(), restored.sequence), (0, Some(sequence + 1)));
        assert!(restored.faults.is_empty(), "{:?}", restored.faults);
        // That run goes on in the same files, and the one after it finds what it wrote.
        memory = next;
    }
}

#[test]
fn a_run_that_ends_anywhere_in_the_next_table_leaves_the_one_before() {
    let mut memory = Memory::new(Vec::new()).unwrap();
    memory.replace(&journal(LIFE, 1, 10)).unwrap();
    let next = journal(LIFE, 2, 11);
    for len in 0..next.len() {
        memory.next.set_len(0).unwrap();
        memory.next.rewind().unwrap();
        memory.next.write_all(&next[..len]).unwrap();
        let restored = copies(&memory).restore(LIFE);
        assert_eq!(addresses(&restored), ["0.0.0.0.3.1"], "ended after {len} bytes");
        let is_start_of_a_journal = len == 0 || len >= format::MAGIC.len();
        assert_eq!(restored.faults.is_empty(), is_start_of_a_journal, "{len}: {:?}", restored.faults);
    }
    memory.next.write_all(&next[next.len() - 1..]).unwrap();
    assert_eq!(addresses(&copies(&memory).restore(LIFE)), ["0.0.0.0.3.2"]);
}

#[test]
fn garbage_half_a_table_and_the_table_of_another_life_are_not_believed_and_said() {
    let half = journal(LIFE, 1, 10);
    let garbage: Vec<u8> = (0..100_000_u32).map(|byte| byte.wrapping_mul(167).to_be_bytes()[3]).collect();
    let mut flipped = journal(LIFE, 1, 10);
    flipped[60] ^= 1;
    let cases = [
        ("garbage", garbage),
        ("half", half[..half.len() - 1].to_vec()),
        ("flipped", flipped),
        ("boot", journal(Life { boot: [8; 16], ..LIFE }, 1, 10)),
        ("home", journal(Life { home: Namespace(5), ..LIFE }, 1, u64::MAX)),
    ];
    for (name, bytes) in cases {
        let mut memory = Memory::new(Vec::new()).unwrap();
        memory.table.write_all(&bytes).unwrap();
        let restored = copies(&memory).restore(LIFE);
        assert!(restored.rows.is_empty() && restored.sequence.is_none(), "{name}: {restored:?}");
        assert_eq!(restored.faults.len(), 1, "{name}: {restored:?}");
        // Beside one of ours it changes nothing.
        memory.replace(&journal(LIFE, 2, 3)).unwrap();
        assert_eq!(addresses(&copies(&memory).restore(LIFE)), ["0.0.0.0.3.2"], "{name}");
    }
}

#[test]
fn only_memory_files_that_are_made_as_ours_are_taken() {
    let fault = |descriptor: OwnedFd| recognise(descriptor).unwrap_err().to_string();
    let ours = create().unwrap();
    assert!(recognise(ours.try_clone().unwrap().into()).is_ok());
    assert!(memfd_create("x", MemfdFlags::CLOEXEC).is_ok_and(|file| recognise(file).is_ok()));

    let file = File::open("/proc/self/exe").unwrap();
    assert_eq!(fault(file.into()), "not a memory file");
    let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(fault(near.into()), "not a memory file");
    assert_eq!(fault(io::pipe().unwrap().0.into()), "not a memory file");

    let sealable = || memfd_create("x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    assert_eq!(fault(sealable()), "sealed in another way than ours");
    for seal in [SealFlags::WRITE, SealFlags::FUTURE_WRITE, SealFlags::GROW, SealFlags::SHRINK] {
        let sealed = sealable();
        fcntl_add_seals(&sealed, seal | SealFlags::SEAL).unwrap();
        assert_eq!(fault(sealed), "sealed in another way than ours", "{seal:?}");
    }
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&ours));
    assert_eq!(fault(File::open(path).unwrap().into()), "not open for reading and writing");
    // Nothing is read of it, and nothing made for it: the kernel has no page of it either.
    ours.set_len(10 << 30).unwrap();
    assert_eq!(fault(ours.into()), "10737418240 bytes, over the limit of 16777216");
}

#[test]
fn nobody_can_seal_or_execute_a_file_of_ours() {
    let ours = create().unwrap();
    assert_eq!(fcntl_add_seals(&ours, SealFlags::WRITE), Err(Errno::PERM));
    let seals = fcntl_get_seals(&ours).unwrap();
    let executable = fstat(&ours).unwrap().st_mode & 0o111 != 0;
    // Where the kernel cannot seal that (before 6.3), Landlock and the filter of system calls are there.
    assert_eq!(executable, !seals.contains(SealFlags::EXEC));
}

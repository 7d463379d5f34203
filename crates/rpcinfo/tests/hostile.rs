//! The tool against a port mapper that means it ill: lists without an end, lengths of gigabytes, records that never
//! end, characters that control terminals. It ends with a word of its own, in little memory.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::Namespace;

/// What the tool may have of memory addresses, program and libraries included.
const MEMORY_KB: usize = 96 * 1024;
/// What a hostile answer sends at most: far more than the tool may have.
const SENT_MAX: usize = 1 << 30;

/// How an answer is hostile.
#[derive(Clone, Copy, Debug)]
enum Malice {
    /// The same row again and again, in fragments that are never the last.
    EndlessList,
    /// A record of almost 2 GiB in one fragment, as many rows as it holds.
    HugeRecord,
    /// A string of almost 4 GiB.
    HugeString,
    /// Empty fragments that are never the last.
    EmptyFragments,
    /// A list that goes on behind the end of the record.
    CutList,
}

const MALICE: [Malice; 5] =
    [Malice::EndlessList, Malice::HugeRecord, Malice::HugeString, Malice::EmptyFragments, Malice::CutList];

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A row of every version's list: it begins with "there is one", and strings that are not are numbers.
fn row() -> Vec<u8> {
    [words(&[1, 100_003, 3, 4]), b"\x1b[2J".to_vec(), words(&[4]), b"\n\r\x07\x9b".to_vec(), words(&[0])]
        .concat()
}

/// Answers one call, hostilely.
fn answer(mut stream: impl Read + Write, malice: Malice) -> io::Result<()> {
    let mut call = [0; 44];
    stream.read_exact(&mut call)?;
    let head = [&call[4..8], &words(&[1, 0, 0, 0, 0])].concat();
    let mark = |last: bool, length: usize| {
        let length = u32::try_from(length).expect("below 2 GiB");
        words(&[if last { length | 0x8000_0000 } else { length }])
    };
    let rows = row().repeat(1_000);
    let mut sent = 0;
    match malice {
        Malice::EndlessList => {
            stream.write_all(&[mark(false, head.len()), head].concat())?;
            while sent < SENT_MAX {
                stream.write_all(&[&mark(false, rows.len())[..], &rows].concat())?;
                sent += rows.len();
            }
        }
        Malice::HugeRecord => {
            stream.write_all(&[mark(true, 0x7fff_ffff), head].concat())?;
            while sent < SENT_MAX {
                stream.write_all(&rows)?;
                sent += rows.len();
            }
        }
        Malice::HugeString => {
            let results = words(&[1, 100_003, 3, u32::MAX - 3, 0]);
            stream.write_all(&[mark(true, head.len() + results.len()), head, results].concat())?;
        }
        Malice::EmptyFragments => {
            while sent < SENT_MAX {
                stream.write_all(&[0; 64 * 1024])?;
                sent += 64 * 1024;
            }
        }
        Malice::CutList => {
            stream.write_all(&[mark(true, head.len() + rows.len()), head, rows].concat())?;
        }
    }
    // Nothing more comes, and the connection stays: the tool has to end by itself.
    stream.read_exact(&mut [0; 1]).or(Ok(()))
}

/// Answers everybody who calls, each on a thread of its own.
fn serve(home: &Namespace, malice: Malice) {
    let (tcp, unix) = home
        .within(|| {
            let unix = UnixListener::bind("/run/rpcbind.sock").expect("the path");
            (TcpListener::bind("127.0.0.1:111").expect("the port"), unix)
        })
        .expect("inside");
    std::thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            // It may end at any byte of the answer.
            std::thread::spawn(move || answer(stream, malice));
        }
    });
    std::thread::spawn(move || {
        for stream in unix.incoming().flatten() {
            std::thread::spawn(move || answer(stream, malice));
        }
    });
}

#[test]
fn a_hostile_port_mapper_makes_it_neither_wait_nor_grow_nor_print_what_it_was_told() {
    testkit::require!();
    let forms = ["127.0.0.1", "-p 127.0.0.1", "-s 127.0.0.1", "-m 127.0.0.1", "--json 127.0.0.1", "-p", "-s"];
    for malice in MALICE {
        let home = Namespace::new().expect("a namespace");
        serve(&home, malice);
        // An audit waits for datagrams that do not come: one is enough.
        let audit = matches!(malice, Malice::EndlessList).then_some("audit 127.0.0.1");
        for form in forms.into_iter().chain(audit) {
            let script = format!("ulimit -v {MEMORY_KB} && exec \"$0\" {form}");
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &script, env!("CARGO_BIN_EXE_rpcinfo")]);
            let began = Instant::now();
            let end = home.run(&mut command).expect("it ends");
            println!(
                "{malice:?}, {form}: {:?} after {:?}: {}",
                end.status.code(),
                began.elapsed(),
                end.stderr.trim()
            );
            assert!(end.status.code().is_some_and(|code| code != 0), "{malice:?}, {form}: {end:?}");
            assert!(began.elapsed() < Duration::from_secs(25), "{malice:?}, {form}: {:?}", began.elapsed());
            let said = format!("{}{}", end.stdout, end.stderr);
            let controls = said.chars().filter(|of| of.is_control() && *of != '\n' && *of != '\t').count();
            assert_eq!(controls, 0, "{malice:?}, {form}: {end:?}");
            assert!(said.len() < 10_000 && !said.contains("panicked"), "{malice:?}, {form}: {said:.300}");
        }
    }
}

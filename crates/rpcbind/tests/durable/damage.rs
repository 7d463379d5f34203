//! Files that are damaged, of another boot, or somebody else's: the daemon starts, says so, and takes what it may.

use std::time::{Duration, Instant};

use testkit::Namespace;

use crate::registrar::{Service, register, registered, services};
use crate::{JOURNAL, start};

const ROWS: u32 = 12;
/// Every so many bytes one is cut at, and one bit flipped.
const STRIDE: usize = 23;
/// Far more than a start takes, on a busy machine with a debug build.
const START: Duration = Duration::from_secs(2);

/// What a killed daemon left behind.
fn journal(home: &Namespace) -> Vec<u8> {
    let daemon = start(home);
    register(home, &services(ROWS));
    daemon.kill().unwrap();
    home.within(|| std::fs::read(JOURNAL).unwrap()).unwrap()
}

/// Starts with a journal of these bytes.
fn begin(home: &Namespace, bytes: &[u8]) -> (Vec<Service>, String) {
    home.within(|| std::fs::write(JOURNAL, bytes).unwrap()).unwrap();
    let daemon = start(home);
    let after = registered(home);
    let said = daemon.kill().unwrap().stderr;
    (after, said)
}

/// Where each row's frame ends: length, checksum, record; the record of a change is of kind 2.
fn row_ends(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut ends) = (16, Vec::new());
    while at < bytes.len() {
        let end = at + 8 + usize::try_from(word(at)).unwrap();
        if word(at + 8) == 2 {
            ends.push(end);
        }
        at = end;
    }
    assert_eq!(ends.len(), usize::try_from(ROWS).unwrap());
    ends
}

#[test]
fn a_journal_that_is_cut_anywhere_gives_every_row_before_the_cut() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let whole = journal(&home);
    let ends = row_ends(&whole);
    let frames: Vec<usize> = ends.iter().copied().chain([whole.len()]).collect();
    let cuts = (0..whole.len()).step_by(STRIDE).chain(ends.iter().copied());
    for cut in cuts {
        let (after, said) = begin(&home, &whole[..cut]);
        let rows = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(after, services(ROWS)[..rows], "cut at {cut} of {}", whole.len());
        let reported = said.contains("journal: cut in the frame") || said.contains("journal: not a journal");
        assert!(reported || frames.contains(&cut) || cut < frames[0], "cut at {cut}: {said}");
    }
}

#[test]
fn a_journal_with_a_flipped_bit_gives_every_row_before_it_and_no_half_row() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let whole = journal(&home);
    let ends = row_ends(&whole);
    for at in (0..whole.len()).step_by(STRIDE) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let (after, said) = begin(&home, &bytes);
        let rows = ends.iter().filter(|end| **end <= at).count();
        assert_eq!(after, services(ROWS)[..rows], "flipped at {at}");
        assert!(said.contains("journal: "), "flipped at {at}: {said}");
    }
}

/// Gives the machine another boot id, as after a boot with the same state directory.
fn boot_again(home: &Namespace) {
    home.write("/run/boot-id", "01234567-89ab-cdef-0123-456789abcdef\n").unwrap();
    home.expect("mount", &["--bind", "/run/boot-id", "/proc/sys/kernel/random/boot_id"]).unwrap();
}

#[test]
fn rows_of_another_boot_are_not_believed_neither_from_the_journal_nor_from_our_files() {
    testkit::require!();
    for killed in [true, false] {
        let home = Namespace::new().unwrap();
        let daemon = start(&home);
        register(&home, &services(ROWS));
        if killed {
            daemon.kill().unwrap();
        } else {
            daemon.stop().unwrap();
        }
        boot_again(&home);
        let daemon = start(&home);
        assert_eq!(registered(&home), []);
        let said = daemon.kill().unwrap().stderr;
        assert!(said.contains("written under another boot"), "{said}");
    }
}

#[test]
fn a_directory_that_outlives_a_boot_is_doubted_and_files_from_before_the_boot_are_not_read() {
    testkit::require!("/sbin/rpcbind");
    let home = Namespace::new().unwrap();
    home.write("/etc/rpcbind.toml", "state-directory = \"/var/lib/rpcbind-state\"\n").unwrap();
    let daemon = start(&home);
    register(&home, &services(ROWS));
    let said = daemon.stop().unwrap().stderr;
    assert!(said.contains("/var/lib/rpcbind-state survives a reboot"), "{said}");
    for (age, rows) in [("2001-01-01", 0), ("now", ROWS)] {
        let make_old = format!("cd /var/lib/rpcbind-state && rm -f journal && touch -d {age} *.xdr");
        home.expect("/bin/sh", &["-c", &make_old]).unwrap();
        let daemon = start(&home);
        assert_eq!(registered(&home), services(rows), "{age}");
        let said = daemon.kill().unwrap().stderr;
        let faults = ["rpcbind.xdr", "portmap.xdr"]
            .map(|file| said.contains(&format!("{file}: not read: written under another boot")));
        assert_eq!(faults, [rows == 0; 2], "{age}: {said}");
    }
}

/// The most memory a daemon has had so far, in bytes.
fn peak_bytes(home: &Namespace) -> u64 {
    let pid = home.process_named("rpcbind").unwrap().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// What may lie in the state directory: a name for it, and the command that puts it there.
const HOSTILE: [(&str, &str); 14] = [
    ("a symbolic link", "ln -s /etc/shadow journal"),
    ("a fifo", "mkfifo journal && chown _rpc journal"),
    ("a directory", "mkdir journal"),
    ("a hard link", "echo > journal && ln journal ../second"),
    ("a stranger's", "echo > journal && chown 1234 journal"),
    ("everybody's", "echo > journal && chmod 666 journal && chown _rpc journal"),
    ("sparse", "truncate -s 10G journal"),
    ("noise", "head -c 15000000 /dev/urandom > journal"),
    ("noise with a head", "{ printf 'portmap journal\\n'; head -c 15000000 /dev/urandom; } > journal"),
    ("a huge frame", "printf 'portmap journal\\n\\377\\377\\377\\377aaaaaaaa' > journal"),
    ("zeros", "head -c 15000000 /dev/zero > journal"),
    ("files of noise", "head -c 4000000 /dev/urandom | tee rpcbind.xdr > portmap.xdr"),
    ("files of links", "ln -s /etc/shadow rpcbind.xdr; ln -s /etc/shadow portmap.xdr"),
    (
        "endless strings",
        "{ printf '\\0\\0\\0\\1\\40\\0\\0\\1\\0\\0\\0\\1\\377\\377\\377\\377'; head -c 3000000 /dev/zero; } \
         > rpcbind.xdr",
    ),
];

#[test]
fn hostile_files_are_reported_and_neither_followed_nor_waited_for() {
    testkit::require!("/sbin/rpcbind");
    let home = Namespace::new().unwrap();
    let daemon = start(&home);
    let usual = peak_bytes(&home);
    drop(daemon);
    for (name, put) in HOSTILE {
        let home = Namespace::new().unwrap();
        home.expect("/bin/sh", &["-c", &format!("cd /run/rpcbind && {put}")]).unwrap();
        let from = Instant::now();
        let daemon = start(&home);
        let took = from.elapsed();
        let grown = peak_bytes(&home).saturating_sub(usual);
        println!("{name}: ready after {} ms, {} KiB more than usual", took.as_millis(), grown / 1_024);
        assert!(took < START, "{name}: {took:?}");
        assert!(grown < 8 << 20, "{name}: {grown} bytes more than usual");
        assert_eq!(registered(&home), [], "{name}");
        register(&home, &services(1));
        let said = daemon.kill().unwrap().stderr;
        assert!(said.contains("journal") || said.contains(".xdr"), "{name}: {said}");
    }
}

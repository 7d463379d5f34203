//! `hosts.allow`, `hosts.deny` and files of patterns, in the input one after the other with a separator between them.
//! The decision is that of the lines one by one, the first that matches; and whatever the names in the rules would have
//! been looked up to, nobody but loopback is let in whom libwrap(3) would refuse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcbind::hosts::{self, Fault, Hosts, Problem};
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const SEPARATOR: u8 = 0x1e;
const ALLOW: &str = "/etc/hosts.allow";
const DENY: &str = "/etc/hosts.deny";
/// Tried line by line up to this many.
const LINES: usize = 40;
/// So many faults are told.
const FAULTS: usize = 1_000;

const ADDRESSES: [&str; 12] = [
    "10.1.2.3",
    "10.1.2.4",
    "10.255.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "127.0.0.1",
    "192.168.1.1",
    "::1",
    "2001:db8::5",
    "2001:db8:1::6",
    "::1.2.3.4",
    "fe80::1",
];

fuzz_target!(|input: &[u8]| {
    let Some((look_ups, input)) = input.split_first() else { return };
    let mut parts = input.split(|byte| *byte == SEPARATOR);
    let (allow, deny) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let files = Files { patterns: parts.collect() };
    let hosts = files.settle(allow, deny);
    assert!(hosts.faults.len() <= FAULTS && hosts.pattern_files.len() <= 64);
    for fault in &hosts.faults {
        let said = fault.to_string();
        assert!(said.len() < 20_000 && !said.contains(char::is_control), "{said:?}");
    }
    // What ends with a backslash once lines are joined cannot be written alone: it would join what follows.
    if [allow, deny].iter().any(|text| lines(text).iter().any(|line| line.text.ends_with(b"\\\n"))) {
        return;
    }
    // Those are read for the file as a whole. When there are very many faults, not all are told.
    let is_limited = hosts.faults.len() == FAULTS
        || hosts.faults.iter().any(|fault| {
            matches!(fault.problem, Problem::FileUnreadable(_) | Problem::TooMany(_)) && fault.text != b"/x"
        });
    if lines(allow).len() + lines(deny).len() <= LINES && !is_limited {
        files.assert_lines_decide_one_by_one(&hosts, allow, deny);
    }
    files.assert_no_look_up_refuses_whom_we_admit(&hosts, allow, deny, *look_ups);
});

fn addresses() -> impl Iterator<Item = IpAddr> {
    ADDRESSES.iter().map(|text| text.parse().expect("an address of our own"))
}

/// The files of patterns: those called `/0...`, `/1...` and so on; `/x` cannot be read.
struct Files<'a> {
    patterns: Vec<&'a [u8]>,
}

impl Files<'_> {
    fn settle(&self, allow: &[u8], deny: &[u8]) -> Hosts {
        let hosts = hosts::parse((Path::new(ALLOW), allow), (Path::new(DENY), deny), &mut |path| {
            let index = match path.as_os_str().as_bytes() {
                b"/x" => return Err(io::ErrorKind::PermissionDenied.into()),
                [b'/', digit @ b'0'..=b'9', ..] => usize::from(digit - b'0'),
                _ => return Err(io::ErrorKind::NotFound.into()),
            };
            self.patterns.get(index).map(|text| text.to_vec()).ok_or(io::ErrorKind::NotFound.into())
        });
        for address in addresses() {
            if let IpAddr::V4(v4) = address {
                assert_eq!(hosts.rules.admits(address), hosts.rules.admits(v4.to_ipv6_mapped().into()));
            }
        }
        hosts
    }

    fn assert_lines_decide_one_by_one(&self, hosts: &Hosts, allow: &[u8], deny: &[u8]) {
        for address in addresses() {
            let allow = lines(allow).into_iter().find_map(|line| self.verdict(&line.text, true, address));
            let deny = || lines(deny).into_iter().find_map(|line| self.verdict(&line.text, false, address));
            assert_eq!(hosts.rules.admits(address), allow.or_else(deny).unwrap_or(true), "{address}");
        }
    }

    /// What one line alone decides about an address, if anything.
    fn verdict(&self, line: &[u8], admit: bool, address: IpAddr) -> Option<bool> {
        if !line.ends_with(b"\n") {
            return (!admit).then_some(false);
        }
        let admits = |rules: &[u8]| {
            let (allow, deny) = if admit { (rules, &b""[..]) } else { (&b""[..], rules) };
            self.settle(allow, deny).rules.admits(address)
        };
        let is_admitted = match admit {
            true => self.settle(line, b"ALL: ALL\n").rules.admits(address),
            false => admits(&[line, b"ALL: ALL\n"].concat()),
        };
        match (is_admitted, admits(line)) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    }

    /// Each name becomes what a look-up may have said: everybody or nobody.
    fn assert_no_look_up_refuses_whom_we_admit(
        &self,
        hosts: &Hosts,
        allow: &[u8],
        deny: &[u8],
        look_ups: u8,
    ) {
        let (mut allow, mut deny) = (lines(allow), lines(deny));
        let names = hosts.faults.iter().filter(|fault| matches!(fault.problem, Problem::Lookup(_)));
        for (index, fault) in names.enumerate() {
            let (file, text) = match fault.file.to_str() {
                Some(ALLOW) => (&mut allow, &fault.text),
                Some(DENY) => (&mut deny, &fault.text),
                _ => return,
            };
            // Without a bracket the colons of the line would mean something else.
            if text.len() > 128 || text.iter().any(|byte| b"[]".contains(byte)) {
                return;
            }
            let is_matched = may_be_address(text) || look_ups >> (index % 8) & 1 == 1;
            if !replace(file, fault, if is_matched { b"ALL" } else { b"0.0.0.0/0" }) {
                return;
            }
        }
        let text = |lines: Vec<Line>| lines.into_iter().flat_map(|line| line.text).collect::<Vec<u8>>();
        let looked_up = self.settle(&text(allow), &text(deny));
        for address in addresses().filter(|address| !address.is_loopback()) {
            let admits = hosts.rules.admits(address);
            assert!(!admits || looked_up.rules.admits(address), "{address}");
        }
    }
}

/// Whether a pattern is compared with the text of addresses as well.
fn may_be_address(pattern: &[u8]) -> bool {
    pattern.contains(&b'*') || pattern.contains(&b'?') || pattern.starts_with(b".") || pattern.ends_with(b".")
}

/// Puts a word in the place of the one that a fault is about. Whether that could be told.
fn replace(lines: &mut [Line], fault: &Fault, word: &[u8]) -> bool {
    let Some(line) = lines.iter_mut().find(|line| line.number == fault.line) else { return false };
    let places: Vec<usize> =
        (0..line.text.len()).filter(|at| line.text[*at..].starts_with(&fault.text)).collect();
    let [at] = places[..] else { return false };
    line.text.splice(at..at + fault.text.len(), word.iter().copied());
    true
}

/// A line with its newline, those joined that a backslash joins.
struct Line {
    /// The number of the first of them.
    number: usize,
    text: Vec<u8>,
}

fn lines(text: &[u8]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut is_joined = false;
    for (index, part) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (part, goes_on) = match part {
            [part @ .., b'\\', b'\n'] => (part, true),
            part => (part, false),
        };
        match lines.last_mut() {
            Some(line) if is_joined => line.text.extend_from_slice(part),
            _ => lines.push(Line { number: index + 1, text: part.to_vec() }),
        }
        is_joined = goes_on;
    }
    lines.retain(|line| !line.text.is_empty());
    lines
}

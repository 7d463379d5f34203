//! The table of files that `tcpdmatch` (package tcpd, the same library as the C daemon's) and we must decide alike, for
//! every address of a list. Numeric rules only: what we never look up is not compared.

use super::{Hosts, ip};
use crate::hosts::load_from;
use std::path::Path;
use std::process::Command;

const TCPDMATCH: &str = "/usr/sbin/tcpdmatch";

const ADDRESSES: [&str; 11] = [
    "10.1.2.3",
    "10.1.2.4",
    "10.255.0.1",
    "11.1.2.3",
    "127.0.0.1",
    "192.168.1.1",
    "::1",
    "2001:db8::5",
    "2001:db8:1::6",
    "::ffff:10.1.2.3",
    "::1.2.3.4",
];

/// Patterns that stand alone in `ALL: pattern`, in either file.
const PATTERNS: [&str; 73] = [
    "ALL",
    "all",
    "10.1.2.3",
    "10.1.2.003",
    "10.1.2.3.",
    "10.1.2",
    "10.1",
    "10.",
    ".",
    "..",
    ".3",
    "3",
    ".2.3",
    "*",
    "1*3",
    "10.1.?.3",
    "?0.1.2.3?",
    "*.*",
    "*?",
    "**3",
    "10.1.2.3*",
    "10.1.2.3?",
    "*.4",
    "2001*5",
    ".4",
    "10.0.0.0/8",
    "10.1.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/0",
    "0.0.0.0/0",
    "10.1.2.3/32",
    "10.1.2.3/31",
    "10.1.2.2/31",
    "10.0.0.0/255.0.0.0",
    "10.0.3.0/255.0.255.0",
    "10.0.2.0/255.0.255.0",
    "0.0.0.0/0.0.0.0",
    "10.1.2.3/255.255.255.255",
    "10.0.0.0/08",
    "[10.1.2.3]",
    "[::ffff:10.1.2.3]",
    "[::ffff:10.0.0.0]/104",
    "[::]/0",
    "[2001:db8::]/32",
    "[2001:db8::5]/32",
    "[2001:db8::6]/128",
    "[2001:db8::5]/128",
    "[2001:db8::5]/129",
    "[2001:db8::5]/0",
    "[3000::]/0",
    "[2001:db8::5]",
    "[2001:DB8::5]",
    "[2001:db8:0::5]",
    "[2001:db8:0:0:0:0:0:5]",
    "[::1]",
    "[::1]/64",
    "[2001:db8::]/032",
    "[::1.2.3.4]",
    "ALL@ALL",
    "unknown@10.0.0.0/8",
    "UNKNOWN@[::1]",
    "u*@10.",
    "*@10.1.2.3",
    "root@ALL",
    "KNOWN@ALL",
    "10.1.2.4,10.1.2.3",
    "10.1.2.4 \t, 10.1.2.3",
    "ALL EXCEPT 10.0.0.0/8",
    "ALL EXCEPT 10.0.0.0/8 EXCEPT 10.1.2.3",
    "10.0.0.0/8 except 10.1.2.3 [::1]",
    "EXCEPT 10.1.2.3",
    "ALL EXCEPT EXCEPT 10.1.2.3",
    "10.1.2.3 EXCEPT",
];

/// Lists of daemons that stand in `list: ALL`.
const DAEMONS: [&str; 29] = [
    "rpcbind",
    "RPCBIND",
    "sshd",
    "sshd rpcbind, x",
    "rpc*",
    "rpc?ind",
    "?rpcbind",
    "rpc.",
    ".bind",
    ".pcbind",
    "KNOWN",
    "UNKNOWN",
    "LOCAL",
    "ALL EXCEPT rpcbind",
    "ALL EXCEPT sshd",
    "ALL EXCEPT ALL EXCEPT rpcbind",
    "EXCEPT rpcbind",
    "ALL except rpcbind",
    "rpcbind@10.1.2.3",
    "rpcbind@ALL",
    "rpcbind@UNKNOWN",
    "rpcbind@[::1]",
    "rpcbind@u*",
    "r*@ALL",
    "ALL@1.2.3.4",
    "@rpcbind",
    "111",
    "rpcbind@[::1] rpcbind",
    "x [a:b] rpcbind",
];

/// Options that stand in `ALL: 10.1.2.3 : options`.
const OPTIONS: [&str; 60] = [
    "",
    " ",
    "allow",
    "deny",
    "ALLOW",
    "Deny",
    "allow x",
    "allow:",
    "allow : severity info",
    "severity info",
    "severity auth.info:allow",
    "severity",
    "severity=info",
    "severity = info",
    "severity bogus",
    "severity auth.bogus",
    "severity local0.info",
    "severity local8.info",
    "severity info.auth",
    "severity auth.",
    "severity authpriv.info",
    "severity warn",
    "severity INFO : deny",
    "spawn",
    "spawn /bin/true",
    "spawn echo a\\:b : allow",
    "spawn echo a:b : allow",
    "twist",
    "twist /bin/true : allow",
    "keepalive",
    "keepalive 1",
    "linger",
    "linger 5",
    "linger x",
    "linger -1",
    "linger 5 6",
    "rfc931",
    "rfc931 10",
    "rfc931 x",
    "rfc931 0",
    "nice",
    "nice 5",
    "nice -5",
    "nice x",
    "setenv a b",
    "setenv",
    "umask 022",
    "umask 9",
    "umask 1777",
    "umask",
    "group daemon",
    "banners",
    "foo",
    "foo=bar",
    "allow=",
    "=allow",
    "deny : deny",
    "severity info : : allow",
    "severityinfo",
    "SPAWN=x : deny",
];

/// Whole files: `hosts.allow` and `hosts.deny`.
const FILES: [(&str, &str); 39] = [
    ("", ""),
    ("rpcbind: 10.0.0.0/8\n", "ALL: ALL\n"),
    ("rpcbind: 10.0.0.0/8", "ALL: ALL\n"),
    ("ALL: ALL", "ALL: 10.1.2.3\n"),
    ("", "ALL: ALL"),
    ("", "ALL: 1.2.3.4"),
    ("", "ALL: 1.2.3.4\n junk"),
    ("", "#junk"),
    ("ALL: [::1]\n", "   "),
    ("ALL: [::1]\n#", "\n\n \n"),
    ("", "ALL: 10.1.2.3: allow\nx"),
    ("junk\nALL: 10.\n", "junk\nALL: ALL\n"),
    ("", " # x\n"),
    ("", " # rpcbind: ALL\n"),
    ("", "# rpcbind: ALL\n"),
    ("", "#foo \\\nALL: ALL\n"),
    ("", "ALL:\n"),
    ("", ":ALL\n"),
    ("", "ALL: :\n"),
    ("", "ALL: 10.1.2.3 # c\n"),
    ("", "ALL: 10.1.2.3:allow # c\n"),
    ("", "ALL: 10.1.2.4\\\n 10.1.2.3\n"),
    ("", "ALL: 10.1.2.4 \\\r\n 10.1.2.3\r\n"),
    ("", "ALL: 10.1.2.3\r\nALL: 10.255.0.1 \r\n\r\n"),
    ("", "ALL: 10.1.2.3\x0c\n"),
    ("", "ALL: 10.1.2.3\x0b10.1.2.4\n"),
    ("", "ALL\t:\t10.1.2.3\t\n"),
    ("", "\\\nALL: ALL\n"),
    ("", "ALL: A\\\nLL\n"),
    ("", "ALL: ALL\\"),
    ("", "sshd: ALL\\\n"),
    ("", "ALL: 10.1.2.3\\\n : allow\nALL: 10.\n"),
    ("", "\\\n"),
    ("", "rpcbind : [::1] 10.1.2.3 : allow\nALL: ALL\n"),
    ("", "rpcbind : [::1 10.1.2.3\n"),
    ("", "rpcbind [ : ALL\n"),
    ("ALL: 10.1.2.3: deny\nALL: 10.\nALL: ALL: deny\n", ""),
    ("sshd: ALL: allow\n", "sshd: ALL\nrpcbind: 10.0.0.0/255.0.0.0 EXCEPT 10.1.\n"),
    ("ALL: [2001:db8::]/33\n", "rpcbind, sshd: [2001:db8::]/32\n"),
];

#[test]
fn every_numeric_rule_is_decided_as_libwrap_decides_it() {
    if let Err(why) = testkit::skip::program(TCPDMATCH) {
        testkit::skip!("{why} (package tcpd)");
    }
    let mut files: Vec<(String, String)> =
        FILES.iter().map(|(allow, deny)| ((*allow).to_owned(), (*deny).to_owned())).collect();
    for pattern in PATTERNS {
        files.push((String::new(), format!("ALL: {pattern}\n")));
        files.push((format!("rpcbind: {pattern}\n"), "ALL: ALL\n".into()));
    }
    for daemons in DAEMONS {
        files.push((String::new(), format!("{daemons}: ALL\n")));
    }
    for options in OPTIONS {
        files.push((format!("ALL: 10.1.2.3 : {options}\n"), "ALL: ALL\n".into()));
        files.push((String::new(), format!("ALL: 10.1.2.3 : {options}\nALL: 10.1.2.4\n")));
    }
    compare(&files);
}

/// Writes each pair of files, asks both sides about every address, and shows all differences at once.
fn compare(files: &[(String, String)]) {
    let directory = tempfile::tempdir().expect("a directory for the files");
    let mut differences = Vec::new();
    for (allow, deny) in files {
        std::fs::write(directory.path().join("hosts.allow"), allow).expect("the file can be written");
        std::fs::write(directory.path().join("hosts.deny"), deny).expect("the file can be written");
        let ours = ours(directory.path());
        for address in ADDRESSES {
            let (ours, theirs) = (ours.rules.admits(ip(address)), theirs(directory.path(), address));
            if ours != theirs {
                differences.push(format!("{address}: ours {ours}, theirs {theirs}: {allow:?} {deny:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

fn ours(directory: &Path) -> Hosts {
    load_from(&directory.join("hosts.allow"), &directory.join("hosts.deny")).expect("the files can be read")
}

fn theirs(directory: &Path, address: &str) -> bool {
    let output = Command::new(TCPDMATCH)
        .args(["-d", "-i", "/dev/null", "rpcbind", address])
        .current_dir(directory)
        .output()
        .expect("tcpdmatch runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let verdict = text.lines().find_map(|line| line.strip_prefix("access:")).map(str::trim);
    match verdict {
        Some("granted") => true,
        // What would be handed to a command is not granted by a daemon that lives on.
        Some("denied" | "delegated") => false,
        _ => panic!("no verdict from tcpdmatch: {text}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn files_of_patterns_are_read_as_libwrap_reads_them() {
    if let Err(why) = testkit::skip::program(TCPDMATCH) {
        testkit::skip!("{why} (package tcpd)");
    }
    let directory = tempfile::tempdir().expect("a directory for the files");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("the file can be written");
        directory.path().join(name).display().to_string()
    };
    let inner = write("inner", "192.168.1.1\t[::1]\r\n");
    let outer =
        write("outer", &format!("10.0.0.0/8\n [2001:db8::]/33 u@11.1.2.3 EXCEPT\x0b10.1.2.3\n{inner}"));
    let all = write("all", "# ALL");
    let files: Vec<(String, String)> = [
        format!("ALL: {outer}\n"),
        format!("ALL: ALL EXCEPT {outer}\n"),
        format!("ALL: 10.1.2.3, {inner} EXCEPT [::1]\n"),
        format!("ALL: unknown@{inner}\n"),
        format!("ALL: root@{inner}\n"),
        format!("rpcbind@{inner}: ALL\n"),
        format!("ALL: {all}\n"),
        "ALL: /nonexistent/file 10.1.2.3\n".into(),
        "ALL: ALL EXCEPT /nonexistent/file\n".into(),
    ]
    .into_iter()
    .flat_map(|rules| [(String::new(), rules.clone()), (rules, "ALL: ALL\n".into())])
    .collect();
    compare(&files);
}

//! What we decide without libwrap's example: names, commands, and files that nobody sane writes.

use super::{ip, settle, settle_with};
use crate::hosts::{Effect, FILE_LIMIT, Fault, Problem, load_from};
use std::io;
use std::path::Path;

/// The only fault there is.
fn fault(hosts: &crate::hosts::Hosts) -> &Fault {
    assert_eq!(hosts.faults.len(), 1, "{:?}", hosts.faults);
    &hosts.faults[0]
}

const NAMES: [&str; 9] = [
    "host.example.com",
    ".example.com",
    "*.example.com",
    "LOCAL",
    "known",
    "@netgroup",
    "host",
    "unknown@host.example",
    "[::1]/x",
];

#[test]
fn a_name_in_an_allow_rule_never_matches() {
    for name in NAMES {
        let hosts = settle(format!("rpcbind: {name}\n"), "ALL: ALL\n");
        for address in ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1"] {
            assert!(!hosts.rules.admits(ip(address)), "{name} {address}");
        }
        assert!(fault(&hosts).to_string().contains("it grants nobody"), "{}", fault(&hosts));
    }
}

#[test]
fn a_name_in_a_deny_rule_always_matches_except_for_loopback() {
    for name in NAMES {
        let hosts = settle("", format!("rpcbind: {name}\n"));
        for (address, expected) in
            [("127.0.0.1", true), ("::1", true), ("192.0.2.1", false), ("2001:db8::1", false)]
        {
            assert_eq!(hosts.rules.admits(ip(address)), expected, "{name} {address}");
        }
        assert!(fault(&hosts).to_string().contains("it refuses everybody but loopback"), "{}", fault(&hosts));
    }
}

#[test]
fn a_name_after_except_never_grants_anything_either() {
    let hosts = settle("rpcbind: ALL EXCEPT evil.example.com\n", "ALL: ALL\n");
    assert!(!hosts.rules.admits(ip("192.0.2.1")));
    assert!(hosts.rules.admits(ip("127.0.0.1")));
    assert_eq!(fault(&hosts).problem, Problem::Lookup(Effect::SparesLoopback));

    let hosts = settle("", "rpcbind: ALL EXCEPT good.example.com\n");
    assert!(!hosts.rules.admits(ip("192.0.2.1")));
    assert!(hosts.rules.admits(ip("127.0.0.1")));
    assert_eq!(fault(&hosts).problem, Problem::Lookup(Effect::ExceptsLoopback));
}

#[test]
fn the_verdict_option_turns_the_meaning_of_a_name_around() {
    let hosts = settle("rpcbind: bad.example.com: deny\n", "");
    assert!(!hosts.rules.admits(ip("192.0.2.1")));
    assert!(hosts.rules.admits(ip("::1")));
    let hosts = settle("", "rpcbind: good.example.com: allow\nALL: ALL\n");
    assert!(!hosts.rules.admits(ip("192.0.2.1")));
}

#[test]
fn paranoid_and_unknown_never_match_and_say_so() {
    for word in ["PARANOID", "UNKNOWN", "paranoid"] {
        let hosts = settle("", format!("ALL: {word}\n"));
        assert!(hosts.rules.admits(ip("192.0.2.1")), "{word}");
        assert_eq!(fault(&hosts).problem, Problem::LookupOutcome);
        let hosts = settle(format!("ALL: {word}\n"), "ALL: ALL\n");
        assert!(!hosts.rules.admits(ip("192.0.2.1")), "{word}");
    }
}

#[test]
fn words_after_a_hash_are_not_names() {
    let hosts = settle("", "rpcbind: 10.1.2.3 # the old printer, 10.1.2.4 \nsshd: ALL # x\n");
    let cases = [("10.1.2.3", false), ("10.1.2.4", false), ("10.1.2.5", true)];
    for (address, expected) in cases {
        assert_eq!(hosts.rules.admits(ip(address)), expected, "{address}");
    }
    assert!(hosts.faults.iter().all(|fault| fault.problem == Problem::Remark));
    assert_eq!(hosts.faults.len(), 4);
}

#[test]
fn debians_own_files_have_no_rules_and_no_faults() {
    let text = "# /etc/hosts.deny: list of hosts\n#\n# Example:    ALL: some.host.name, .some.domain\n#\n\
                # ALL: PARANOID\n\n";
    let hosts = settle(text, text);
    assert!(hosts.rules.is_empty());
    assert_eq!(hosts.faults, []);
}

#[test]
fn other_daemons_rules_are_none_of_our_business() {
    let hosts = settle("sshd: host.example.com: spawn /bin/true\n", "in.tftpd: ALL: twist /bin/echo no\n");
    assert!(hosts.rules.is_empty());
    assert_eq!(hosts.faults, []);
}

#[test]
fn commands_are_never_run_and_each_is_a_fault() {
    let cases = [
        ("spawn /usr/bin/mail root", Problem::NotRun, true),
        ("spawn /usr/bin/mail root : deny", Problem::NotRun, false),
        ("twist /bin/echo", Problem::NotRunRefused, false),
        ("aclexec /bin/true", Problem::NotRunRefused, false),
        ("user nobody", Problem::NotRunRefused, false),
        ("umask 022", Problem::NotApplied, true),
        ("bogus", Problem::Option, false),
        ("severity info : bogus : allow", Problem::Option, false),
    ];
    for (option, problem, expected) in cases {
        let hosts = settle(format!("rpcbind: ALL: {option}\n"), "ALL: ALL\n");
        assert_eq!(hosts.rules.admits(ip("192.0.2.1")), expected, "{option}");
        assert_eq!(fault(&hosts).problem, problem, "{option}");
    }
}

#[test]
fn a_fault_names_file_line_text_and_remedy() {
    let hosts = settle("# one\n\nrpcbind: \\\n  10.1.0.0/8 \\\n  \n", "x\n");
    let lines: Vec<String> = hosts.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "/etc/hosts.allow line 3: \"10.1.0.0/8\": bits are set after the mask: it never matches; \
             clear the bits after the mask",
            "/etc/hosts.deny line 1: \"x\": no colon follows the daemons: the line is ignored; \
             write daemons : clients",
        ]
    );
    assert_eq!(hosts.faults[0].line, 3);
    assert_eq!(hosts.faults[0].remedy(), "clear the bits after the mask");
}

#[test]
fn a_fault_is_printable_whatever_the_file_of_patterns_is_called() {
    let hosts = settle_with("", "rpcbind: /etc/a\x1b[2J\n", |_| Ok(b"10.0.0.0/33".to_vec()));
    let said = fault(&hosts).to_string();
    assert!(said.starts_with("/etc/a\\x1b[2J line 1: \"10.0.0.0/33\": "), "{said}");
}

#[test]
fn patterns_that_cannot_match_are_faults() {
    let cases = [
        ("10.1.2", Problem::NoAddress),
        ("0.0.0.0/0", Problem::ZeroLength),
        ("10.0.0.0/33", Problem::NoAddress),
        ("[::ffff:10.0.0.1]", Problem::NoAddress),
        ("root@10.0.0.1", Problem::User),
        ("root@", Problem::User),
        ("unknown@", Problem::NoAddress),
        ("[::1", Problem::NoAddress),
    ];
    for (pattern, problem) in cases {
        let hosts = settle("", format!("rpcbind: {pattern}\n"));
        assert_eq!(fault(&hosts).problem, problem, "{pattern}");
        assert!(hosts.rules.admits(ip("10.1.2.3")), "{pattern}");
    }
}

#[test]
fn a_rule_for_one_of_our_addresses_never_matches_and_says_so() {
    let hosts = settle("", "rpcbind@192.0.2.1: ALL\nsshd@192.0.2.1: ALL\n");
    assert!(hosts.rules.is_empty());
    assert_eq!(fault(&hosts).problem, Problem::Server);
}

#[test]
fn a_deny_file_without_its_last_newline_refuses_everybody_and_says_so() {
    let hosts = settle("", "# no newline here");
    assert!(!hosts.rules.admits(ip("127.0.0.1")));
    assert_eq!(fault(&hosts).problem, Problem::Unterminated(Effect::RefusesAll));
    let hosts = settle("ALL: ALL", "");
    assert!(hosts.rules.is_empty());
    assert_eq!(fault(&hosts).problem, Problem::Unterminated(Effect::Ignored));
}

#[test]
fn bytes_that_are_not_text_neither_panic_nor_grant() {
    for junk in
        [&b"\xff\xfe: \xff\n"[..], b"rpcbind: \xff\xff/\xff\n", b"rpcbind: [\xff]\n", b"rpcbind: a\0b\n"]
    {
        let hosts = settle(junk, "ALL: ALL\n");
        assert!(!hosts.rules.admits(ip("192.0.2.1")), "{junk:?}");
    }
    let hosts = settle("", b"rpcbind: 10.0.0.1\0\n");
    assert!(!hosts.rules.admits(ip("192.0.2.1")), "a line with a zero byte refuses everybody");
    assert!(fault(&hosts).to_string().contains("10.0.0.1\\x00"));
}

#[test]
fn a_line_of_a_megabyte_is_one_rule() {
    let long = format!("rpcbind: {}10.9.9.9\n", "10.0.0.1, ".repeat(20_000));
    let hosts = settle(&long, "ALL: ALL\n");
    assert!(hosts.rules.admits(ip("10.9.9.9")));
    assert!(!hosts.rules.admits(ip("10.9.9.8")));
    assert_eq!(hosts.faults, []);
    let comment = format!("#{}\n", "x".repeat(1 << 20));
    assert!(settle(&comment, &comment).rules.is_empty());
    let exceptions = format!("ALL: ALL{}\n", " EXCEPT ALL".repeat(90_000));
    assert!(!settle("", &exceptions).rules.admits(ip("10.0.0.1")));
}

#[test]
fn too_many_patterns_grant_nobody_more() {
    let many = format!("rpcbind: {}10.9.9.9\n", "10.0.0.1 ".repeat(70_000));
    let hosts = settle(&many, "ALL: ALL\n");
    assert!(!hosts.rules.admits(ip("10.9.9.9")));
    let problems: Vec<Problem> = hosts.faults.iter().map(|fault| fault.problem).collect();
    assert_eq!(problems, [Effect::GrantsNobody, Effect::SparesLoopback].map(Problem::TooMany));
    let hosts = settle("", &many);
    assert!(!hosts.rules.admits(ip("192.0.2.1")));
    assert!(hosts.rules.admits(ip("127.0.0.1")));
}

#[test]
fn faults_are_bounded() {
    let hosts = settle("junk\n".repeat(5_000), "");
    assert_eq!(hosts.faults.len(), 1_000);
    let hosts = settle(format!("{}\n", "x".repeat(100_000)), "");
    assert!(fault(&hosts).to_string().len() < 400);
}

#[test]
fn a_file_of_patterns_that_cannot_be_read_errs_on_the_closed_side() {
    let denied = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
    let hosts = settle_with("rpcbind: /etc/list\n", "ALL: ALL\n", denied);
    assert!(!hosts.rules.admits(ip("127.0.0.1")));
    assert_eq!(fault(&hosts).problem, Problem::FileUnreadable(Effect::GrantsNobody));
    let hosts = settle_with("", "rpcbind: /etc/list\n", denied);
    assert!(!hosts.rules.admits(ip("192.0.2.1")));
    assert!(hosts.rules.admits(ip("127.0.0.1")));
    assert!(hosts.pattern_files.contains(Path::new("/etc/list")));
}

#[test]
fn files_of_patterns_that_name_themselves_end() {
    let mut reads = 0;
    let hosts = settle_with("", "rpcbind: /etc/list\n", |_| {
        reads += 1;
        Ok(b"/etc/list /etc/list 10.0.0.1\n/etc/list".to_vec())
    });
    assert!(reads <= 64, "{reads}");
    assert!(!hosts.rules.admits(ip("10.0.0.1")));
    assert!(!hosts.rules.admits(ip("192.0.2.1")), "what was not read refuses all but loopback");
    let hosts = settle_with("", "rpcbind: /etc/list\n", |_| Ok(b"/a ".repeat(100_000)));
    assert!(hosts.faults.len() <= 1_000);
}

#[test]
fn a_missing_file_is_empty_and_an_unreadable_one_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let hosts = load_from(&path("allow"), &path("deny")).expect("missing files are empty");
    assert!(hosts.rules.is_empty());

    std::fs::create_dir(path("allow")).expect("a directory in the place of a file");
    let error = load_from(&path("allow"), &path("deny")).expect_err("a directory is not a file of rules");
    assert_eq!(error.file, path("allow"));

    let size = usize::try_from(FILE_LIMIT).expect("the limit fits") + 1;
    std::fs::write(path("deny"), vec![b'\n'; size]).expect("a long file");
    let error = load_from(&path("missing"), &path("deny")).expect_err("the file is too long");
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");

    std::os::unix::fs::symlink(path("loop"), path("loop")).expect("a link to itself");
    assert!(load_from(&path("missing"), &path("loop")).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(allow: Vec<u8>, deny in "[ \\n:\\\\,a-z@./*?0-9\\[\\]#]{0,200}") {
        let hosts = settle(&allow, &deny);
        let _ = hosts.rules.admits(ip("192.0.2.1"));
        for fault in &hosts.faults {
            proptest::prop_assert!(!fault.to_string().contains('\n'));
        }
    }
}

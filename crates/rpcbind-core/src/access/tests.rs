//! Every kind of pattern and rule once, and the corners of prefixes and globs.

use super::{
    AccessList, AccessRule, Action, ClientPattern, HostRule, HostRules, Prefix, PrefixError, ProcedureKind,
    ProcedureSet,
};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("the test names an address")
}

fn prefix(text: &str) -> Prefix {
    text.parse().expect("the test names a prefix")
}

#[test]
fn a_prefix_contains_its_addresses_and_no_others() {
    let cases = [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8", "a01::", false),
        ("0.0.0.0/0", "255.255.255.255", true),
        ("0.0.0.0/0", "::", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "10.0.0.1", false),
        ("::/0", "::ffff:10.0.0.1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8::/33", "2001:db8:8000::", false),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.6", false),
        ("192.0.2.6/31", "192.0.2.7", true),
        ("2001:db8::7", "2001:db8::7", true),
        ("2001:db8::7/128", "2001:db8::6", false),
    ];
    for (text, address, expected) in cases {
        assert_eq!(prefix(text).contains(ip(address)), expected, "{text} and {address}");
    }
}

#[test]
fn a_malformed_prefix_is_refused_with_its_reason() {
    let cases = [
        ("", PrefixError::Address),
        ("10.0.0/8", PrefixError::Address),
        ("host", PrefixError::Address),
        (" 10.0.0.0/8", PrefixError::Address),
        ("fe80::1%lo", PrefixError::Address),
        ("10.0.0.0/33", PrefixError::Length { limit: 32 }),
        ("10.0.0.0/", PrefixError::Length { limit: 32 }),
        ("10.0.0.0/+8", PrefixError::Length { limit: 32 }),
        ("10.0.0.0/8/8", PrefixError::Length { limit: 32 }),
        ("10.0.0.0/300", PrefixError::Length { limit: 32 }),
        ("10.0.0.0/255.0.0.0", PrefixError::Length { limit: 32 }),
        ("::/129", PrefixError::Length { limit: 128 }),
        ("10.1.0.0/8", PrefixError::HostBits { meant: prefix("10.0.0.0/8") }),
        ("10.0.0.0/0", PrefixError::HostBits { meant: prefix("0.0.0.0/0") }),
        ("2001:db8::1/32", PrefixError::HostBits { meant: prefix("2001:db8::/32") }),
        ("::ffff:10.0.0.0/104", PrefixError::Mapped),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Prefix>(), Err(expected), "{text}");
    }
    let message = "10.1.0.0/8".parse::<Prefix>().expect_err("host bits are set").to_string();
    assert_eq!(message, "bits are set after the prefix; was 10.0.0.0/8 meant");
}

#[test]
fn a_prefix_prints_as_it_is_written() {
    for text in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.7", "2001:db8::/32", "::1", "::/0"] {
        assert_eq!(prefix(text).to_string(), text);
    }
    assert_eq!(prefix("10.0.0.0/08").to_string(), "10.0.0.0/8");
    assert_eq!(Prefix::around(ip("::ffff:10.1.2.3"), 24), prefix("10.1.2.0/24"));
    assert_eq!(Prefix::around(ip("10.1.2.3"), 200), Prefix::single(ip("10.1.2.3")));
}

fn admits_one(pattern: ClientPattern, address: &str) -> bool {
    let rules = HostRules::new(
        vec![HostRule { clients: vec![vec![pattern]], admit: true }],
        vec![HostRule { clients: vec![vec![ClientPattern::All]], admit: false }],
    );
    rules.admits(ip(address))
}

#[test]
fn each_client_pattern_matches_what_it_says() {
    let cases = [
        (ClientPattern::All, "2001:db8::1", true),
        (ClientPattern::Prefix(prefix("10.0.0.0/8")), "10.1.2.3", true),
        (ClientPattern::Prefix(prefix("10.0.0.0/8")), "::ffff:10.1.2.3", true),
        (ClientPattern::Masked { net: 0x0a00_0200, mask: 0xff00_ff00 }, "10.9.2.9", true),
        (ClientPattern::Masked { net: 0x0a00_0200, mask: 0xff00_ff00 }, "10.9.3.9", false),
        (ClientPattern::Masked { net: 0, mask: 0 }, "::1", false),
        (ClientPattern::Starts("10.1.".into()), "10.1.2.3", true),
        (ClientPattern::Starts("10.1.".into()), "10.11.2.3", false),
        (ClientPattern::Ends(".3".into()), "10.1.2.3", true),
        (ClientPattern::Ends(".3".into()), "10.1.2.33", false),
        (ClientPattern::Ends("10.1.2.3".into()), "10.1.2.3", false),
        (ClientPattern::Ends(".4".into()), "::1.2.3.4", true),
        (ClientPattern::Glob("::?.*".into()), "::1.2.3.4", true),
        (ClientPattern::Glob("2001*5".into()), "2001:db8::5", true),
        (ClientPattern::Never, "127.0.0.1", false),
        (ClientPattern::UnlessLoopback, "127.0.0.1", false),
        (ClientPattern::UnlessLoopback, "::1", false),
        (ClientPattern::UnlessLoopback, "::ffff:127.0.0.1", false),
        (ClientPattern::UnlessLoopback, "192.0.2.1", true),
        (ClientPattern::Loopback, "127.9.9.9", true),
        (ClientPattern::Loopback, "192.0.2.1", false),
    ];
    for (pattern, address, expected) in cases {
        assert_eq!(admits_one(pattern.clone(), address), expected, "{pattern:?} and {address}");
    }
}

#[test]
fn globs_match_like_a_shell() {
    let cases = [
        ("*", true),
        ("**3", true),
        ("1*3", true),
        ("1*4", false),
        ("10.1.?.3", true),
        ("?0.1.2.3?", false),
        ("10.1.2.3*", true),
        ("10.1.2.3?", false),
        ("*.*.*.*", true),
        ("*.*.*.*.*", false),
        ("*1*2*", true),
        ("*2*1*", false),
        ("", false),
        ("????????", true),
        ("???????", false),
    ];
    for (pattern, expected) in cases {
        assert_eq!(admits_one(ClientPattern::Glob(pattern.into()), "10.1.2.3"), expected, "{pattern}");
    }
}

#[test]
fn exceptions_nest_to_any_depth() {
    let lists = |texts: &[&str]| -> Vec<Vec<ClientPattern>> {
        texts.iter().map(|text| vec![ClientPattern::Prefix(prefix(text))]).collect()
    };
    let rules = HostRules::new(
        vec![],
        vec![HostRule { clients: lists(&["10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24"]), admit: false }],
    );
    let cases = [("11.0.0.1", true), ("10.2.0.1", false), ("10.1.2.1", true), ("10.1.1.1", false)];
    for (address, expected) in cases {
        assert_eq!(rules.admits(ip(address)), expected, "{address}");
    }
    // As many exceptions as a file of a megabyte can hold: neither the stack nor the answer minds.
    let deep = vec![vec![ClientPattern::All]; 100_001];
    assert!(!HostRules::new(vec![], vec![HostRule { clients: deep, admit: false }]).admits(ip("10.0.0.1")));
}

#[test]
fn an_empty_exception_takes_nothing_away_and_an_empty_list_matches_nobody() {
    let rule = |clients| HostRules::new(vec![], vec![HostRule { clients, admit: false }]);
    assert!(!rule(vec![vec![ClientPattern::All], vec![]]).admits(ip("10.0.0.1")));
    assert!(rule(vec![vec![], vec![ClientPattern::All]]).admits(ip("10.0.0.1")));
    assert!(rule(vec![]).admits(ip("10.0.0.1")));
}

#[test]
fn the_allow_file_decides_before_the_deny_file_and_the_default_is_to_admit() {
    let rule =
        |text: &str, admit| HostRule { clients: vec![vec![ClientPattern::Prefix(prefix(text))]], admit };
    let rules = HostRules::new(
        vec![rule("10.0.0.1", false), rule("10.0.0.0/8", true)],
        vec![rule("10.0.0.0/7", false)],
    );
    let cases = [("10.0.0.1", false), ("10.0.0.2", true), ("11.0.0.2", false), ("12.0.0.2", true)];
    for (address, expected) in cases {
        assert_eq!(rules.admits(ip(address)), expected, "{address}");
    }
    assert!(HostRules::default().is_empty());
    assert!(HostRules::default().admits(ip("192.0.2.1")));
    assert!(!HostRules::refuse_all().admits(ip("127.0.0.1")));
}

#[test]
fn every_procedure_has_one_kind_and_no_other_number_has_one() {
    let kinds: Vec<String> = (0..=6)
        .map(|version| {
            (0..=14).map(|number| ProcedureKind::of(version, number).map_or('.', letter)).collect()
        })
        .collect();
    let expected = [
        "...............",
        "...............",
        "nsuldr.........",
        "nsuldrnnn......",
        "nsuldrnnnlrlt..",
        "...............",
        "...............",
    ];
    // The columns are NULL, SET, UNSET, look-up, DUMP, remote call: the order of RFC 1833.
    let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(kinds, expected);
}

fn letter(kind: ProcedureKind) -> char {
    match kind {
        ProcedureKind::Null => 'n',
        ProcedureKind::Lookup => 'l',
        ProcedureKind::Dump => 'd',
        ProcedureKind::Set => 's',
        ProcedureKind::Unset => 'u',
        ProcedureKind::RemoteCall => 'r',
        ProcedureKind::Statistics => 't',
    }
}

#[test]
fn the_first_access_rule_that_fits_decides() {
    let dump = ProcedureSet::NONE.with(ProcedureKind::Dump);
    let list = AccessList::new(vec![
        AccessRule {
            action: Action::Allow,
            from: vec![prefix("10.0.0.0/8")],
            procedures: dump,
            programs: vec![],
        },
        AccessRule { action: Action::Deny, from: vec![], procedures: dump, programs: vec![] },
        AccessRule {
            action: Action::Deny,
            from: vec![prefix("192.0.2.0/24"), prefix("2001:db8::/32")],
            procedures: ProcedureSet::ALL,
            programs: vec![100_003..=100_005, 7..=7],
        },
    ]);
    let cases = [
        ("10.1.1.1", ProcedureKind::Dump, None, true),
        ("::ffff:10.1.1.1", ProcedureKind::Dump, None, true),
        ("11.1.1.1", ProcedureKind::Dump, None, false),
        ("11.1.1.1", ProcedureKind::Lookup, Some(100_003), true),
        ("192.0.2.1", ProcedureKind::Lookup, Some(100_003), false),
        ("192.0.2.1", ProcedureKind::Lookup, Some(100_006), true),
        ("192.0.2.1", ProcedureKind::Set, Some(7), false),
        ("2001:db8::1", ProcedureKind::RemoteCall, Some(100_005), false),
        ("192.0.2.1", ProcedureKind::Null, None, true),
    ];
    for (address, kind, program, expected) in cases {
        assert_eq!(list.allows(ip(address), kind, program), expected, "{address} {kind:?} {program:?}");
    }
    assert!(AccessList::default().allows(ip("192.0.2.1"), ProcedureKind::Dump, None));
}

#[test]
fn the_set_of_all_procedures_holds_every_kind() {
    let all: ProcedureSet = ProcedureKind::NAMES.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(all, ProcedureSet::ALL);
    assert!(!ProcedureSet::NONE.contains(ProcedureKind::Null));
}

/// The obvious recursive definition of a glob.
fn naive_glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            naive_glob(rest, text) || (!text.is_empty() && naive_glob(pattern, &text[1..]))
        }
        ([b'?', rest @ ..], [_, tail @ ..]) => naive_glob(rest, tail),
        ([wanted, rest @ ..], [byte, tail @ ..]) => wanted == byte && naive_glob(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_glob_decides_as_its_recursive_definition(pattern in "[12.*?]{0,8}", a in 0u8..=3, d in 0u8..=30) {
        let text = alloc::format!("{a}.1.2.{d}");
        let expected = naive_glob(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(admits_one(ClientPattern::Glob(pattern.as_str().into()), &text), expected);
    }

    #[test]
    fn a_prefix_survives_its_text(address: u128, length in 0u8..=128) {
        let made = Prefix::around(IpAddr::V6(core::net::Ipv6Addr::from_bits(address)), length);
        prop_assert_eq!(made.to_string().parse::<Prefix>(), Ok(made));
        prop_assert!(made.contains(made.network()));
    }

    #[test]
    fn parsing_a_prefix_never_panics(text in "\\PC{0,50}") {
        if let Ok(parsed) = text.parse::<Prefix>() {
            prop_assert!(parsed.contains(parsed.network()));
        }
    }
}

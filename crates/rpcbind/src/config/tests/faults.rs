//! What is wrong is said, all of it at once, with file, line, key, value and limit.

use super::*;

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_file() {
    let text = "port = 70000\nprot = 111\nnat = 'on'\nlisten = ['192.0.2.1', 'host', 7]\r\n\n[limits]\nrows = 1\n\
                rows-per-user = '256'\nspeed = 'high'\n[[grant]]\nuser = 'bob'\nprograms = ['mountd']\nports = [0]\n";
    assert_eq!(
        wrong(text),
        [
            "line 1: port = 70000: must be 0 to 65535",
            "line 2: prot = 111: there is no such key",
            "line 3: nat = 'on': must be one of auto, off",
            "line 4: listen = 7: must be text in quotes",
            "line 4: listen = 'host': is not an IPv4 or IPv6 address",
            "line 7: limits.rows = 1: must be 2048 to 16384",
            "line 8: limits.rows-per-user = '256': must be a whole number",
            "line 9: limits.speed = 'high': there is no such key",
            "line 11: grant[1].user = 'bob': is not a user's number, or a name in /etc/passwd",
            "line 12: grant[1].programs = 'mountd': is not a program's number, two of them with -, \
             or a name in /etc/rpc",
            "line 13: grant[1].ports = 0: must be 1 to 65535",
        ]
    );
}

#[test]
fn each_value_has_its_limits() {
    let long = "x".repeat(108);
    let cases = [
        ("port = -1", "must be 0 to 65535"),
        ("port = 1.5", "must be a whole number"),
        ("port = 99999999999999999999", "must be 0 to 65535"),
        ("port = 0x10000", "must be 0 to 65535"),
        ("port = true", "must be a whole number"),
        ("insecure = 1", "must be true or false"),
        ("insecure = 'yes'", "must be true or false"),
        ("listen = '192.0.2.1'", "must be a list in brackets"),
        ("listen = []", "must not be empty"),
        ("listen = [ ]", "must not be empty"),
        ("listen = [ # none\n]", "must not be empty"),
        ("listen = [7]", "must be text in quotes"),
        ("listen = ['::/0']", "is not an IPv4 or IPv6 address"),
        ("listen = ['255.255.255.255']", "no socket can have this address"),
        ("listen = ['ff02::202']", "no socket can have this address"),
        ("listen = ['fe80::1']", "is link-local, which needs an interface: listen at :: instead"),
        ("socket = 'run/x'", "must begin with /"),
        (&format!("socket = '/{long}'"), "must be at most 107 bytes"),
        ("socket = \"/a\\u0000b\"", "must not have a zero byte"),
        ("abstract-socket = 'x'", "must begin with @"),
        ("abstract-socket = '@'", "must begin with @"),
        (&format!("abstract-socket = '@{long}'"), "must be at most 107 bytes"),
        ("state-directory = 'x'", "must begin with /"),
        ("state-directory = ''", "must begin with /"),
        ("user = 0", "must be 1 to 4294967294"),
        ("user = -1", "must be 1 to 4294967294"),
        ("user = 4294967295", "must be 1 to 4294967294"),
        ("user = '_rpc'", "must be a whole number"),
        ("judge-every-seconds = 0", "must be 1 to 3600"),
        ("judge-every-seconds = 3601", "must be 1 to 3600"),
        ("expire-dead-seconds = 0", "must be 1 to 31536000"),
        ("expire-dead-seconds = 31536001", "must be 1 to 31536000"),
        ("limits = 1", "must be a table"),
        ("limits.rows-per-user = 15361", "must be 1 to 15360"),
        ("dump-from = ['10.1.0.0/8']", "bits are set after the prefix; was 10.0.0.0/8 meant"),
        ("dump-from = ['10.0.0.0/33']", "the length after the slash is not in 0..=32"),
        ("dump-from = ['example.com']", "not an IPv4 or IPv6 address or prefix"),
        ("access = 1", "must be an array of tables"),
        ("access = [1]", "must be a table"),
        ("remote-call-allow = []", "must not be empty"),
        ("remote-call-allow = ['nfs/null']", "names a procedure that is not a number"),
        ("remote-call-allow = ['nfs/-1']", "names a procedure that is not a number"),
        ("remote-call-allow = ['nobodys/1']", "/etc/rpc"),
        ("remote-call-allow = ['**']", "/etc/rpc"),
        ("remote-call-credentials = 'all'", "must be one of none, caller"),
        ("remote-call-seconds = 0", "must be"),
        ("[limits]\nremote-calls = 1", "must be"),
        ("[[access]]\n", "action is missing"),
        ("[[access]]\naction = 'maybe'", "must be one of allow, deny"),
        ("[[access]]\naction = 'deny'\nfrom = []", "must not be empty"),
        ("[[access]]\naction = 'deny'\nfrom = [ # nobody yet\n]", "must not be empty"),
        (
            "[[access]]\naction = 'deny'\nprocedures = ['null', 'all']",
            "must be one of null, lookup, dump, set",
        ),
        ("[[access]]\naction = 'deny'\nprograms = ['5-4']", "is not a program's number"),
        ("[[access]]\naction = 'deny'\nprograms = [4294967296]", "is not a program's number"),
        ("[[grant]]\nports = [1]", "user is missing"),
        ("[[grant]]\nuser = 1000", "programs or ports is missing"),
        ("[[grant]]\nuser = 'root'\nports = [1]", "is the superuser, who needs no grant"),
        ("[[udp-full]]\ninterface = 'eth0'", "prefix is missing"),
        ("[[udp-full]]\nprefix = '10.0.0.0/8'", "interface is missing"),
        ("[[udp-full]]\nprefix = '10.0.0.0/8'\ninterface = 'a/b'", "is not the name of an interface"),
        (
            "[[udp-full]]\nprefix = '10.0.0.0/8'\ninterface = '0123456789abcdef'",
            "is not the name of an interface",
        ),
        ("[[netid]]\nsemantics = 'raw'\nfamily = 'inet'", "name is missing"),
        ("[[netid]]\nname = 'UDP'\nsemantics = 'raw'\nfamily = 'inet'", "is a netid that is known already"),
        ("[[netid]]\nname = 'a b'\nsemantics = 'raw'\nfamily = 'inet'", "is not a netid"),
        ("[[netid]]\nname = 'x'\nfamily = 'inet'", "semantics is missing"),
        ("[[netid]]\nname = 'x'\nsemantics = 'clts'\nfamily = 'ipx'", "must be one of inet, inet6, loopback"),
    ];
    for (text, expected) in cases {
        let faults = wrong(text);
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        assert!(faults[0].contains(expected), "{text}: {faults:?}");
    }
}

#[test]
fn a_cap_for_a_user_must_leave_roots_rows_alone() {
    let faults = wrong("[limits]\nrows = 2048\nrows-per-user = 1025\n");
    assert_eq!(
        faults,
        ["line 3: limits.rows-per-user = 1025: contradicts limits.rows, of which 1024 are for root only"]
    );
    assert_eq!(right("[limits]\nrows = 2048\nrows-per-user = 1024\n").caps.rows, 2_048);
}

#[test]
fn lists_and_tables_are_bounded() {
    let many = format!("listen = [{}]\n", "'192.0.2.1', ".repeat(65));
    assert!(wrong(many)[0].ends_with("must be at most 64 elements"));
    let faults = wrong("[[netid]]\n".repeat(65));
    assert_eq!(faults, ["line 1: netid: must be at most 64 elements"]);
}

#[test]
fn what_is_not_toml_is_named_with_its_line_beside_other_faults() {
    let faults = wrong("port = 111\nsocket = '/tmp\nnat = 'on'\n");
    assert!(faults[0].starts_with("line 2: is not TOML: "), "{faults:?}");
    assert_eq!(faults[1], "line 3: nat = 'on': must be one of auto, off");
    for text in ["=", "port", "port = ", "[limits", "port = 1\nport = 2\n", "a\0b", "\u{feff}\u{feff}x"] {
        assert!(check(&Args::default(), text).is_err(), "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_text_are_named_with_their_line() {
    assert_eq!(wrong(b"port = 111\n# caf\xe9\n"), ["line 2: is not UTF-8"]);
    assert_eq!(wrong(b"\xff"), ["line 1: is not UTF-8"]);
}

#[test]
fn a_fault_is_one_line_however_long_or_strange_its_value() {
    let long = format!("nat = '{}'\n", "x".repeat(1 << 20));
    let faults = check(&Args::default(), &long).expect_err("it is wrong").to_string();
    assert!(faults.len() < 400 && faults.lines().count() == 1, "{}", faults.len());
    let strange = "nat = '''a\nb\u{1b}'''\n\"ke\\ny\" = 1\n";
    let faults = check(&Args::default(), strange).expect_err("it is wrong");
    for fault in &faults.0 {
        assert!(fault.to_string().bytes().all(|byte| matches!(byte, b' '..=b'~')), "{fault}");
    }
}

#[test]
fn deep_nesting_and_many_keys_are_refused_without_harm() {
    for text in ["[".repeat(1 << 20), "a=".to_owned() + &"[".repeat(1 << 19), "a.".repeat(1 << 19) + "b = 1"]
    {
        assert!(check(&Args::default(), &text).is_err());
    }
    let keys: String = (0..20_000).map(|index| format!("k{index} = 1\n")).collect();
    let faults = check(&Args::default(), keys).expect_err("there are no such keys");
    assert!(faults.to_string().lines().count() <= 101);
}

#[test]
fn the_uid_of_a_user_comes_from_the_third_field() {
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nbroken\na:b\nalice:x:1000:1000::/:\nbob:x:x:1:\n";
    for (name, expected) in
        [("root", Some(0)), ("alice", Some(1_000)), ("bob", None), ("", None), ("ali", None)]
    {
        assert_eq!(uid_in(passwd, name), expected, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_checking_panic(text in "(\\PC|\\n|[\\[\\]='\"0-9a-z.]){0,300}") {
        let _ = check(&Args::default(), text);
    }

    #[test]
    fn no_value_of_a_known_key_makes_checking_panic(index in 0usize..40, value in "[\\[\\]='\"0-9a-z:./ -]{0,40}") {
        if let Some(entry) = ENTRIES.get(index) {
            let _ = check(&Args::default(), format!("{} = {value}\n", entry.key.replace("[]", "")));
        }
    }
}

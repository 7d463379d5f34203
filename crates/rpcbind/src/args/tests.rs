//! Every flag once, alone and bundled; wrong ones end with status 1.

use super::*;

fn args(words: &str) -> Args {
    parse(std::iter::once("rpcbind").chain(words.split_whitespace())).expect("the flags are right")
}

fn stop(words: &str) -> Stop {
    parse(std::iter::once("rpcbind").chain(words.split_whitespace())).expect_err("the flags are wrong")
}

#[test]
fn the_definition_is_sound() {
    command().debug_assert();
}

#[test]
fn every_flag_of_debians_daemon_has_its_meaning_and_a_long_name() {
    let default = Args::default;
    let cases = [
        ("-a", "--abort", Args { abort: true, ..default() }),
        ("-d", "--debug", Args { debug: 1, ..default() }),
        ("-f", "--foreground", Args { foreground: true, ..default() }),
        ("-h ::1", "--listen ::1", Args { listen: vec!["::1".into()], ..default() }),
        ("-i", "--insecure", Args { insecure: true, ..default() }),
        ("-l", "--log-connections", Args { log_connections: true, ..default() }),
        ("-r", "--remote-calls", Args { remote_calls: true, ..default() }),
        ("-s", "--daemon-user", Args { daemon_user: true, ..default() }),
        ("-w", "--warm-start", Args { warm_start: true, ..default() }),
    ];
    for (short, long, expected) in cases {
        assert_eq!(args(short), expected, "{short}");
        assert_eq!(args(long), expected, "{long}");
    }
    assert_eq!(args(""), default());
}

#[test]
fn the_new_flags_are_long_only() {
    let expected = Args {
        check: true,
        config: Some("/x.toml".into()),
        port: Some(0),
        socket: Some("".into()),
        abstract_socket: Some("@a".into()),
        open_missing: true,
        allow_partial: true,
        ..Args::default()
    };
    let words =
        "--check --config /x.toml --port 0 --socket= --abstract-socket @a --open-missing --allow-partial";
    assert_eq!(args(words), expected);
}

#[test]
fn registrations_are_adopted_imported_or_exported_one_of_these_at_a_time() {
    let default = Args::default;
    let cases = [
        ("--adopt -f", Args { adopt: true, foreground: true, ..default() }),
        ("--import /x", Args { import: Some("/x".into()), ..default() }),
        ("--export /x", Args { export: Some("/x".into()), ..default() }),
    ];
    for (words, expected) in cases {
        assert_eq!(args(words), expected, "{words}");
    }
    for words in ["--import /x --export /x", "--adopt --import /x", "--export /x --check", "--import"] {
        assert_eq!(stop(words).status, 1, "{words}");
    }
}

#[test]
fn short_flags_can_be_bundled_and_repeated() {
    let expected = Args { warm_start: true, foreground: true, ..Args::default() };
    for words in ["-w -f", "-wf", "-fw", "-w -w -f", "-wwff", "-w --foreground -f"] {
        assert_eq!(args(words), expected, "{words}");
    }
    for (words, count) in [("-d", 1), ("-dd", 2), ("-d -d", 2), ("-ddd", 3), ("-d --debug", 2)] {
        assert_eq!(args(words).debug, count, "{words}");
    }
}

#[test]
fn addresses_follow_their_flag_in_every_way_getopt_takes() {
    for words in
        ["-h 127.0.0.1 -h ::1", "-h127.0.0.1 -h::1", "-wh 127.0.0.1 -fh::1", "--listen=127.0.0.1 -h ::1"]
    {
        assert_eq!(args(words).listen, ["127.0.0.1", "::1"], "{words}");
    }
}

#[test]
fn a_wrong_flag_ends_with_status_one_and_says_which_on_standard_error() {
    for (words, named) in [
        ("-Z", "'-Z'"),
        ("-v", "'-v'"),
        ("-wZ", "'-Z'"),
        ("--no-such-flag", "'--no-such-flag'"),
        ("-h", "--listen"),
        ("--port 65536", "65536"),
        ("--port x", "'x'"),
        ("--port", "--port"),
        ("--config", "--config"),
        ("operand", "'operand'"),
        ("-d=x", "'-="),
    ] {
        let stop = stop(words);
        assert_eq!(stop.status, 1, "{words}");
        assert!(stop.text.contains(named), "{words}: {}", stop.text);
        assert!(stop.text.contains("Usage: rpcbind [OPTIONS]"), "{words}: {}", stop.text);
    }
}

#[test]
fn help_and_version_end_with_success() {
    let help = stop("--help");
    assert_eq!(help.status, 0);
    for flag in ["-a, --abort", "-h, --listen <ADDRESS>", "--abstract-socket <NAME>", "Exit status:"] {
        assert!(help.text.contains(flag), "{flag}: {}", help.text);
    }
    let version = stop("--version");
    assert_eq!(
        (version.status, version.text.as_str()),
        (0, concat!("rpcbind ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}

#[test]
fn words_that_are_not_text_are_refused_or_kept() {
    use std::os::unix::ffi::OsStringExt as _;
    let word = OsString::from_vec(b"/\xff".to_vec());
    let words = |flag: &str| [OsString::from("rpcbind"), flag.into(), word.clone()];
    assert_eq!(parse(words("--socket")).expect("a path is bytes").socket, Some(word.clone().into()));
    assert_eq!(parse(words("-h")).expect_err("an address is text").status, 1);
}

#[test]
fn abort_without_debugging_is_ignored_with_a_warning() {
    assert_eq!(args("-a").warnings(), ["-a (abort) specified without -d (debugging) -- ignored."]);
    assert_eq!(args("-ad").warnings(), [""; 0]);
}

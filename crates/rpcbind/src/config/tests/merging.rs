//! The command line over the file over the defaults; files on disk; reloads.

use super::*;
use std::path::PathBuf;

fn listen_of(args: &[&str], text: &str) -> Vec<String> {
    let args = Args { listen: args.iter().map(ToString::to_string).collect(), ..Args::default() };
    let loaded = check(&args, text).expect("it is right");
    let mark = |listen: &Listen| if listen.may_be_absent { "?" } else { "" };
    loaded.settings.listen.iter().map(|listen| format!("{}{}", listen.address, mark(listen))).collect()
}

#[test]
fn loopback_is_always_served_and_a_wildcard_stands_for_its_family() {
    let cases: [(&[&str], &[&str]); 9] = [
        (&[], &["0.0.0.0:111", "[::]:111?"]),
        (&["192.0.2.1"], &["192.0.2.1:111", "127.0.0.1:111?", "[::1]:111?"]),
        (&["2001:db8::1"], &["[2001:db8::1]:111", "127.0.0.1:111?", "[::1]:111?"]),
        // What Debian's /etc/default/rpcbind recommends.
        (&["127.0.0.1", "::1"], &["127.0.0.1:111", "[::1]:111"]),
        (&["127.0.0.1"], &["127.0.0.1:111", "[::1]:111?"]),
        (&["0.0.0.0"], &["0.0.0.0:111", "[::1]:111?"]),
        (&["::", "2001:db8::1", "192.0.2.1"], &["[::]:111", "192.0.2.1:111", "127.0.0.1:111?"]),
        (&["host"], &["192.0.2.7:111", "[2001:db8::7]:111", "127.0.0.1:111?", "[::1]:111?"]),
        (&["::ffff:192.0.2.1", "192.0.2.1"], &["192.0.2.1:111", "127.0.0.1:111?", "[::1]:111?"]),
    ];
    for (args, expected) in cases {
        assert_eq!(listen_of(args, ""), expected, "{args:?}");
    }
}

#[test]
fn addresses_on_the_command_line_replace_those_in_the_file_with_a_warning() {
    let text = "\nlisten = ['192.0.2.1']\n";
    assert_eq!(listen_of(&["192.0.2.2"], text), ["192.0.2.2:111", "127.0.0.1:111?", "[::1]:111?"]);
    let args = Args { listen: vec!["192.0.2.2".into()], ..Args::default() };
    let loaded = check(&args, text).expect("it is right");
    assert_eq!(loaded.warnings, ["/etc/rpcbind.toml line 2: listen is not used: -h was given"]);
    assert!(loaded.settings.listen_is_given);
    assert_eq!(check(&Args::default(), text).expect("it is right").warnings, [""; 0]);
}

#[test]
fn every_flag_goes_before_its_key() {
    let args = Args {
        check: true,
        foreground: true,
        debug: 2,
        abort: true,
        warm_start: true,
        remote_calls: true,
        insecure: true,
        log_connections: true,
        daemon_user: true,
        port: Some(0),
        socket: Some("/tmp/flag".into()),
        abstract_socket: Some(String::new()),
        open_missing: true,
        allow_partial: true,
        ..Args::default()
    };
    let text = "insecure = false\nlog-connections = false\nuser = 1000\nport = 222\nsocket = '/tmp/file'\n\
                abstract-socket = '@file'\nopen-missing = false\nallow-partial = false\n";
    let settings = check(&args, text).expect("it is right").settings;
    assert!(settings.check && settings.foreground && settings.abort && settings.remote_calls);
    assert!(settings.reloadable.insecure && settings.reloadable.log_connections);
    assert!(settings.open_missing && settings.allow_partial);
    assert_eq!((settings.debug, settings.port), (2, 0));
    assert_eq!((settings.user, settings.daemon_user), (Some(1_000), true));
    assert_eq!(settings.socket, Some(UnixSocket { name: PathBuf::from("/tmp/flag"), is_given: true }));
    assert_eq!(settings.abstract_socket, None);
    assert_eq!(settings.listen[0].address.port(), 0);
}

#[test]
fn abort_needs_debugging() {
    let args = Args { abort: true, ..Args::default() };
    let loaded = check(&args, "").expect("it is right");
    assert!(!loaded.settings.abort);
    assert_eq!(loaded.warnings, ["-a (abort) specified without -d (debugging) -- ignored."]);
}

#[test]
fn the_default_unix_sockets_belong_with_port_111() {
    let with = |port| check(&Args { port, ..Args::default() }, "").expect("it is right").settings;
    let (default, other) = (with(Some(111)), with(Some(1_111)));
    assert!(default.socket.is_some_and(|socket| !socket.is_given));
    assert!(default.abstract_socket.is_some_and(|socket| !socket.is_given));
    assert_eq!((other.socket, other.abstract_socket), (None, None));
    let named = right("port = 1111\nsocket = '/tmp/s'\n");
    assert!(named.socket.is_some_and(|socket| socket.is_given));
    assert_eq!(right("socket = ''\nabstract-socket = ''").socket, None);
}

#[test]
fn wrong_flags_are_faults_of_the_command_line_beside_those_of_the_file() {
    let args = Args {
        listen: ["nowhere", "empty", "224.0.0.1", "fe80::1", "fe80::1%lo", ""].map(str::to_owned).to_vec(),
        socket: Some("relative".into()),
        abstract_socket: Some("name".into()),
        ..Args::default()
    };
    let faults = check(&args, "port = -1").expect_err("all of it is wrong").to_string();
    let lines: Vec<&str> = faults.lines().collect();
    assert_eq!(
        lines,
        [
            "command line: -h nowhere: is no address, and as a host's name cannot be looked up: no such host",
            "command line: -h empty: is no address, and as a host's name cannot be looked up: it has no address",
            "command line: -h 224.0.0.1: no socket can have this address",
            "command line: -h fe80::1: is link-local, which needs an interface: listen at :: instead",
            "command line: -h fe80::1%lo: is not an IPv4 or IPv6 address",
            "command line: -h: must not be empty",
            "command line: --socket relative: must begin with /",
            "command line: --abstract-socket name: must begin with @",
            "/etc/rpcbind.toml line 1: port = -1: must be 0 to 65535",
        ]
    );
}

#[test]
fn a_reload_names_what_needs_a_restart_and_nothing_else() {
    let old = right("");
    let cases = [
        (
            "nat = 'off'\njudge-every-seconds = 9\ninsecure = true\ndump-from = []\n[[grant]]\n\
             user = 1000\nports = [1]",
            &[][..],
        ),
        ("listen = ['192.0.2.1']", &["listen"]),
        ("listen = ['0.0.0.0', '::']", &["listen"]),
        ("port = 222", &["port", "socket", "abstract-socket"]),
        ("user = 1000\nstate-directory = '/x'", &["user", "state-directory"]),
        ("open-missing = true\nallow-partial = true", &["open-missing", "allow-partial"]),
        (
            "[limits]\nrows = 4096\nrows-per-user = 2\ntcp-connections = 20\nunix-connections = 20\n\
             unix-connections-per-user = 2\n[[netid]]\nname = 'x'\nsemantics = 'raw'\nfamily = 'inet'",
            &[
                "netid",
                "limits.rows",
                "limits.rows-per-user",
                "limits.tcp-connections",
                "limits.unix-connections",
                "limits.unix-connections-per-user",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(old.restart_needed(&right(text)), expected, "{text}");
    }
}

#[test]
fn each_key_is_marked_as_what_it_is() {
    let restart: Vec<&str> = ENTRIES
        .iter()
        .filter(|entry| entry.applies == Applies::AtRestart && !entry.key.contains("[]"))
        .map(|entry| entry.key)
        .collect();
    let named = right("").restart_needed(&Settings {
        listen: Vec::new(),
        user: Some(1),
        netids: right("[[netid]]\nname = 'x'\nsemantics = 'raw'\nfamily = 'inet'").netids,
        ..right("port = 1\nopen-missing = true\nallow-partial = true\nstate-directory = '/x'\nremote-calls = true\n\
                 [limits]\nremote-calls = 20\nremote-calls-per-source = 2\nrows = 4096\nrows-per-user = 2\n\
                 tcp-connections = 20\nunix-connections = 20\nunix-connections-per-user = 2\n")
    });
    // With another port, other addresses are not news.
    let named: Vec<&str> = std::iter::once("listen").chain(named).collect();
    let sorted = |mut list: Vec<&'static str>| {
        list.sort_unstable();
        list
    };
    assert_eq!(sorted(named), sorted(restart));
}

#[test]
fn a_missing_file_is_the_defaults_unless_it_was_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let names = ProgramNames::default();
    let path = directory.path().join("rpcbind.toml");
    let args = Args { config: Some(path.clone()), ..Args::default() };
    let fault = load(&args, &names).expect_err("the file was named and is missing").to_string();
    assert!(fault.starts_with(&format!("{}: cannot be read: No such file", path.display())), "{fault}");

    std::fs::write(&path, "port = 1111\n[[grant]]\nuser = 'nobody'\nports = [1]\n")
        .expect("the file can be written");
    let loaded = load(&args, &names).expect("the file is right");
    assert_eq!((loaded.settings.port, loaded.settings.reloadable.grants[0].uid), (1_111, 65_534));

    let args = Args { config: Some(directory.path().into()), ..Args::default() };
    assert!(load(&args, &names).is_err(), "a directory is no file");
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rpcbind.toml");
    let size = usize::try_from(FILE_LIMIT).expect("the limit fits");
    let args = Args { config: Some(path.clone()), ..Args::default() };
    std::fs::write(&path, vec![b'\n'; size]).expect("the file can be written");
    assert!(load(&args, &ProgramNames::default()).is_ok());
    std::fs::write(&path, vec![b'\n'; size + 1]).expect("the file can be written");
    let fault = load(&args, &ProgramNames::default()).expect_err("it is too long").to_string();
    assert!(fault.ends_with(": is longer than 1048576 bytes"), "{fault}");
}

#[test]
fn readable_means_by_the_modes_of_file_and_directories() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rpcbind.toml");
    std::fs::write(&path, "").expect("the file can be written");
    let set =
        |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).expect("the mode can be set");
    let stranger = 54_321;
    let readable = || is_readable_by(&path, stranger, stranger).expect("the modes can be read");
    set(directory.path(), 0o755);
    set(&path, 0o644);
    assert!(readable());
    set(&path, 0o640);
    assert!(!readable());
    assert!(is_readable_by(&path, 0, 0).expect("the modes can be read"));
    set(&path, 0o604);
    set(directory.path(), 0o700);
    assert!(!readable());
    assert!(is_readable_by(&directory.path().join("missing"), 0, 0).is_err());
}

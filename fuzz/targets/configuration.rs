//! The configuration file beside the command line. An oracle that knows the table of settings and a plain TOML reader
//! finds wrong types, limits, missing and unknown keys: each must be a fault, and a file without any must mean the same
//! with a comment more. The first byte of the input chooses the command line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oncrpc::bind::Netids;
use rpcbind::args::Args;
use rpcbind::config::{self, ENTRIES, Entry, Faults, Kind, Loaded, Lookups, Problem, Settings};
use rpcbind::logging::ProgramNames;
use std::io;
use std::path::Path;
use toml::{Table, Value};

/// A key that nobody has.
const UNKNOWN: &str = "zz-unknown";

fuzz_target!(|input: &[u8]| {
    let Some((choice, text)) = input.split_first() else { return };
    let args = args(*choice);
    let checked = check(&args, text);
    if let Err(faults) = &checked {
        assert_are_sayable(faults, text);
    }
    let Some((text, table)) = parsed(text) else {
        assert!(checked.is_err(), "what is not TOML is taken");
        return;
    };
    let wrong = Oracle::default().violations(&table);
    match &checked {
        Ok(loaded) => {
            assert_eq!(wrong, Vec::<String>::new());
            assert_holds(&loaded.settings, &table, &args);
            let longer = check(&args, format!("{text}\n# end\n").as_bytes());
            assert_eq!(longer.as_ref(), Ok(loaded), "a comment changes nothing");
        }
        Err(faults) => {
            let is_whole = !faults.0.iter().any(|fault| matches!(fault.problem, Problem::More(_)));
            for key in wrong.iter().filter(|_| is_whole) {
                assert!(faults.0.iter().any(|fault| fault.key == *key), "{key} is wrong, which is not said");
            }
        }
    }
    assert_unknown_key_adds_one_fault(&args, text, &checked);
});

fn check(args: &Args, text: &[u8]) -> Result<Loaded, Faults> {
    let programs = ProgramNames::parse(b"portmapper 100000 rpcbind\nnfs 100003 nfsprog\n");
    let lookups = Lookups {
        programs: &programs,
        uid: &|name| [("root", 0), ("alice", 1000)].iter().find(|user| user.0 == name).map(|user| user.1),
        addresses: &|_| Err(io::ErrorKind::NotFound.into()),
    };
    config::settings(args, Path::new("/etc/rpcbind.toml"), text, &lookups)
}

fn args(choice: u8) -> Args {
    let mut args = Args::default();
    match choice {
        b'1' => args.listen = vec!["192.0.2.1".into(), "::".into()],
        b'2' => args.listen = vec!["host".into()],
        b'3' => args.port = Some(0),
        b'4' => (args.socket, args.abstract_socket) = (Some("/run/x".into()), Some("@x".into())),
        b'5' => (args.socket, args.abstract_socket) = (Some("".into()), Some("".into())),
        b'6' => (args.insecure, args.abort, args.log_connections) = (true, true, true),
        _ => {}
    }
    args
}

/// The text as any reader of TOML has it.
fn parsed(text: &[u8]) -> Option<(&str, Table)> {
    let text = std::str::from_utf8(text).ok()?;
    Some((text, toml::from_str(text).ok()?))
}

/// Each fault is one line of what a terminal can show, and names a line that there is.
fn assert_are_sayable(faults: &Faults, text: &[u8]) {
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(
        (1..=102).contains(&faults.0.len()),
        "100 of the file, how many more there are, and one of the flags"
    );
    for fault in &faults.0 {
        let said = fault.to_string();
        assert!(fault.line <= lines, "{said}");
        assert!(said.len() < 2_000 && !said.contains(char::is_control), "{said:?}");
    }
}

/// With a key more that there is not, all faults stay as they were, a line further on.
fn assert_unknown_key_adds_one_fault(args: &Args, text: &str, before: &Result<Loaded, Faults>) {
    if text.starts_with('\u{feff}') || text.contains(UNKNOWN) {
        return;
    }
    let after = check(args, format!("{UNKNOWN} = 1\n{text}").as_bytes()).expect_err("there is no such key");
    let mut expected = before.as_ref().err().map(|faults| faults.0.clone()).unwrap_or_default();
    if expected.len() >= 100 {
        return;
    }
    expected.iter_mut().filter(|fault| fault.line > 0).for_each(|fault| fault.line += 1);
    let (unknown, others): (Vec<_>, Vec<_>) = after.0.into_iter().partition(|fault| fault.key == UNKNOWN);
    assert_eq!(unknown.len(), 1);
    assert_eq!(others, expected);
}

/// What the table of settings says about a file, each value alone.
#[derive(Default)]
struct Oracle {
    wrong: Vec<String>,
}

impl Oracle {
    /// The keys of what is wrong.
    fn violations(mut self, table: &Table) -> Vec<String> {
        self.section(table, "", "");
        self.wrong
    }

    /// A table: `path` is its place in the table of settings, `shown` in the file.
    fn section(&mut self, table: &Table, path: &str, shown: &str) {
        for (name, value) in table {
            let (path, shown) = (format!("{path}{name}"), format!("{shown}{name}"));
            match (ENTRIES.iter().find(|entry| entry.key == path), value) {
                (Some(entry), value) => self.value(entry, value, &shown),
                (None, Value::Table(limits)) if path == "limits" => {
                    self.section(limits, "limits.", "limits.")
                }
                (None, _) => self.wrong.push(shown),
            }
        }
        for entry in ENTRIES {
            let name = entry.key.strip_prefix(path).filter(|name| !name.contains(['.', '[']));
            let is_required = matches!(entry.kind, Kind::Required { .. } | Kind::RequiredChoice { .. });
            if is_required && name.is_some_and(|name| !table.contains_key(name)) {
                self.wrong.push(shown.trim_end_matches('.').to_owned());
            }
        }
    }

    fn value(&mut self, entry: &Entry, value: &Value, shown: &str) {
        let is_right = match (&entry.kind, value) {
            (Kind::Switch { .. }, value) => value.is_bool(),
            (
                Kind::Number { min, max, .. } | Kind::OptionalNumber { min, max, .. },
                Value::Integer(number),
            ) => (min..=max).contains(&number),
            (Kind::Text { longest, .. }, Value::String(text)) => {
                text.len() <= *longest && !text.contains('\0')
            }
            (Kind::Choice { of, .. } | Kind::RequiredChoice { of }, Value::String(word)) => {
                of.contains(&word.as_str())
            }
            (Kind::List { most, .. }, Value::Array(list)) => {
                let may_be_empty = !entry.key.starts_with("access") && entry.key != "listen";
                list.len() <= *most && (may_be_empty || !list.is_empty())
            }
            (Kind::Required { .. }, value) => value.is_str() || entry.name() == "user" && value.is_integer(),
            (Kind::Tables { most }, Value::Array(tables)) => {
                for (index, table) in tables.iter().enumerate().filter(|_| tables.len() <= *most) {
                    let shown = format!("{shown}[{}]", index + 1);
                    match table {
                        Value::Table(table) => {
                            self.section(table, &format!("{}[].", entry.key), &format!("{shown}."));
                        }
                        _ => self.wrong.push(shown),
                    }
                }
                tables.len() <= *most
            }
            _ => false,
        };
        if !is_right {
            self.wrong.push(shown.to_owned());
        }
    }
}

/// The settings are those of the file, and hold what they promise.
fn assert_holds(settings: &Settings, table: &Table, args: &Args) {
    let list = |key: &str| table.get(key).and_then(Value::as_array);
    let len = |key: &str| list(key).map_or(0, Vec::len);
    assert_eq!(settings.restart_needed(settings), Vec::<&str>::new());
    let port = table.get("port").and_then(Value::as_integer).unwrap_or(111);
    assert_eq!(i64::from(settings.port), args.port.map_or(port, i64::from));

    let bound: Vec<_> = settings.listen.iter().map(|listen| listen.address).collect();
    assert!(!bound.is_empty() && bound.iter().all(|address| address.port() == settings.port));
    assert!(bound.iter().enumerate().all(|(index, address)| !bound[..index].contains(address)));
    assert_eq!(settings.listen_is_given, list("listen").is_some() || !args.listen.is_empty());

    assert!(settings.socket.as_ref().is_none_or(|socket| socket.name.is_absolute()));
    assert!(settings.abstract_socket.as_ref().is_none_or(|socket| (1..=106).contains(&socket.name.len())));
    assert!(settings.state_directory.is_absolute());
    assert_ne!(settings.user, Some(0));
    assert!(settings.caps.rows_per_uid + settings.caps.rows_for_root <= settings.caps.rows);

    let reloadable = &settings.reloadable;
    assert_eq!((reloadable.grants.len(), reloadable.udp_full.len()), (len("grant"), len("udp-full")));
    assert!(reloadable.grants.iter().all(|grant| grant.uid != 0 && !grant.ports.contains(&0)));
    let dump_from = list("dump-from").map_or(0, |_| 2);
    assert_eq!(reloadable.access.rules().len(), len("access") + dump_from);
    for (rule, written) in reloadable.access.rules().iter().zip(list("access").into_iter().flatten()) {
        let count = |key| written.get(key).and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!((rule.from.len(), rule.programs.len()), (count("from"), count("programs")));
    }
    let mut names = list("netid").into_iter().flatten().filter_map(|netid| netid["name"].as_str());
    assert!(names.all(|name| {
        settings.netids.find(name.as_bytes()).is_some() && Netids::default().find(name.as_bytes()).is_none()
    }));
}

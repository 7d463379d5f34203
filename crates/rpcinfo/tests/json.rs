//! Every form's JSON against `docs/json.md`: fields, their types, and nothing else.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use testkit::programs::{self, COMPILER, TIRPC_HEADER};
use testkit::{Daemon, DaemonKind, Namespace};

/// What the page says: types by field, by section. The first section is the object itself.
fn documented() -> BTreeMap<String, BTreeMap<String, String>> {
    let page = include_str!("../docs/json.md");
    let mut sections = BTreeMap::new();
    let mut section = String::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let ["", field, kind, ..] = cells.as_slice()
            && let Some(field) = field.strip_prefix('`')
        {
            let fields: &mut BTreeMap<_, _> = sections.entry(section.clone()).or_default();
            fields.insert(field.trim_end_matches('`').to_owned(), (*kind).to_owned());
        }
    }
    sections
}

struct Page {
    sections: BTreeMap<String, BTreeMap<String, String>>,
    seen: BTreeSet<(String, String)>,
}

impl Page {
    fn check(&mut self, kind: &str, value: &Value, place: &str) {
        let fits = match kind {
            "number" => value.is_number(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "string or null" => value.is_string() || value.is_null(),
            "number or null" => value.is_u64() || value.is_null(),
            _ => match kind.strip_prefix("array of ") {
                Some(of) => {
                    let elements = value.as_array().unwrap_or_else(|| panic!("{place}: no array: {value}"));
                    elements.iter().for_each(|element| self.check(of, element, place));
                    true
                }
                None => return self.object(kind, value, place),
            },
        };
        assert!(fits, "{place} is documented as {kind}: {value}");
    }

    fn object(&mut self, section: &str, value: &Value, place: &str) {
        let fields = value.as_object().unwrap_or_else(|| panic!("{place}: no object: {value}"));
        let documented =
            self.sections.get(section).unwrap_or_else(|| panic!("{section} is not documented")).clone();
        for (field, kind) in &documented {
            match (field.strip_suffix('?'), fields.get(field.trim_end_matches('?'))) {
                (Some(_), None) => {}
                (None, None) => panic!("{place}.{field} is missing: {value}"),
                (_, Some(found)) => {
                    self.seen.insert((section.to_owned(), field.clone()));
                    self.check(kind, found, &format!("{place}.{field}"));
                }
            }
        }
        for field in fields.keys() {
            let known = documented.contains_key(field) || documented.contains_key(&format!("{field}?"));
            assert!(known, "{place}.{field} is not documented");
        }
    }
}

fn json(home: &Namespace, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpcinfo"));
    command.arg("--json").args(arguments);
    let end = home.run(&mut command).expect("it runs");
    assert_eq!(end.stdout.lines().count(), 1, "{end:?}");
    serde_json::from_str(&end.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {end:?}"))
}

#[test]
fn every_form_prints_the_document_that_is_described() {
    testkit::require!(DaemonKind::DEBIAN, "/usr/sbin/rpcinfo", COMPILER, TIRPC_HEADER);
    let home = Namespace::new().expect("a namespace");
    let other = Namespace::new().expect("another");
    home.connect(&other, &["10.9.8.7/24"], &["10.9.8.1/24"]).expect("a cable");
    other.write("/etc/hosts", "10.9.8.7 home.example\n").expect("written");
    let kind = DaemonKind::debian().argument("-r");
    let _daemon = Daemon::start(&home, &kind).expect("it starts");
    // A program that an audit knows.
    programs::register(&home, 0, "udp", (100_005, 3), "0.0.0.0.2.138").expect("registered");
    let mut page = Page { sections: documented(), seen: BTreeSet::new() };
    // What the statistics count.
    for arguments in [&["-u", "10.9.8.7", "999999"][..], &["--timeout", "1", "-b", "100000", "4"]] {
        json(&other, arguments);
    }
    let long: &[(&Namespace, &str, &[&str])] = &[
        (&home, "rows", &[]),
        (&home, "rows", &["-T", "tcp", "127.0.0.1"]),
        (&home, "programs", &["-s"]),
        (&home, "mappings", &["-p"]),
        (&home, "addresses", &["-l", "127.0.0.1", "100000", "4"]),
        (&home, "statistics", &["-m"]),
        (&home, "ping", &["-t", "127.0.0.1", "100000"]),
        (&home, "ping", &["-u", "127.0.0.1", "100000", "9"]),
        (&home, "ping", &["-T", "tcp", "127.0.0.1", "100000"]),
        (&home, "ping", &["-a", "127.0.0.1.0.111", "-T", "udp", "100000"]),
        (&home, "delete", &["-d", "-T", "tcp", "200001", "1"]),
        (&home, "audit", &["audit", "127.0.0.1"]),
        (&other, "broadcast", &["--timeout", "1", "-b", "100000", "4"]),
        (&other, "rows", &[]),
        (&other, "programs", &["-s"]),
        (&other, "mappings", &["-p"]),
        (&other, "statistics", &["-m"]),
        (&other, "addresses", &["-l", "127.0.0.1", "100000", "4"]),
        (&other, "ping", &["-t", "127.0.0.1", "100000"]),
        (&other, "delete", &["-d", "200001", "1"]),
    ];
    for (place, form, arguments) in long {
        let document = json(place, arguments);
        assert_eq!(document["form"], *form, "{arguments:?}");
        page.check("Every form", &document, &format!("{arguments:?}"));
        let failed = std::ptr::eq(*place, &raw const other) && *form != "broadcast";
        assert_eq!(document["error"].is_null(), !failed, "{arguments:?}: {document}");
    }
    let all: BTreeSet<_> = page
        .sections
        .iter()
        .flat_map(|(section, fields)| fields.keys().map(|field| (section.clone(), field.clone())))
        .collect();
    // Debian's port mapper counts a remote call only where it makes them, and here it did.
    let unseen: Vec<_> = all.difference(&page.seen).collect();
    assert!(unseen.is_empty(), "documented, but never printed: {unseen:?}");
}

#[test]
fn text_and_json_tell_the_same_rows() {
    testkit::require!(DaemonKind::DEBIAN);
    let home = Namespace::new().expect("a namespace");
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).expect("it starts");
    let text = home.expect(env!("CARGO_BIN_EXE_rpcinfo"), &[]).expect("rows");
    let document = json(&home, &[]);
    let rows = document["rows"].as_array().expect("rows");
    let shown: Vec<Vec<String>> =
        text.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    let told: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let text =
                |field: &str| row[field].as_str().map_or_else(|| row[field].to_string(), str::to_owned);
            ["program", "version", "netid", "address", "service", "owner"].map(text).to_vec()
        })
        .collect();
    assert_eq!(shown, told);
}

//! What our rpcinfo prints of what a hostile server says: as text a line for each row and nothing that a terminal
//! obeys, as JSON one line of ASCII that any reader takes, with every string in it as it came.
#![no_main]

use fuzz::Bytes;
use libfuzzer_sys::fuzz_target;
use rpcinfo::arguments::{self, Asked, Command};
use rpcinfo::escape::Text;
use rpcinfo::found::{
    Address, Found, Known, Liveness, Lookups, Mapping, Program, RemoteCalls, Reply, Row, VersionStatistics,
};
use rpcinfo::json::Document;
use rpcinfo::text;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes(input);
    let found = found(&mut bytes);
    let said = strings(&found);
    let shown = text::render(&found);
    assert!(
        shown.chars().all(|character| matches!(character, '\n' | '\t') || is_printable(character)),
        "{shown:?}"
    );
    assert!(shown.is_empty() || shown.ends_with('\n'));
    if let Found::Rows(rows) = &found {
        assert_eq!(shown.lines().count(), rows.len() + 1, "a line for each, and one above or instead");
    }
    let mut document = Document::new(&asked());
    document.add(found);
    let json = document.text().expect("memory can be written to");
    let (line, end) = json.split_at(json.len() - 1);
    assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && end == "\n");
    let value: Value = serde_json::from_str(line).expect("it is JSON");
    for said in said.iter().filter_map(|said| std::str::from_utf8(said).ok()) {
        assert!(holds(&value, said), "{said:?}");
    }
});

fn asked() -> Asked {
    let words = ["--json", "host"].map(str::to_owned);
    match arguments::parse("rpcinfo", &words, false) {
        Ok(Command::Find(asked)) => asked,
        _ => panic!("a form of the command"),
    }
}

/// No control, and nothing that turns the direction of text, hides in it or ends a line.
fn is_printable(character: char) -> bool {
    let invisible = ['\u{61c}', '\u{2028}', '\u{2029}', '\u{feff}'];
    let is_formatting =
        matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    !character.is_control() && !is_formatting && !invisible.contains(&character)
}

/// Whether a string is anywhere in a document.
fn holds(value: &Value, said: &str) -> bool {
    match value {
        Value::String(string) => string == said,
        Value::Array(values) => values.iter().any(|value| holds(value, said)),
        Value::Object(fields) => fields.values().any(|value| holds(value, said)),
        _ => false,
    }
}

/// What the server said that is shown.
fn strings(found: &Found) -> Vec<Vec<u8>> {
    let texts: Vec<&Text> = match found {
        Found::Rows(rows) => rows.iter().flat_map(|row| [&row.netid, &row.address, &row.owner]).collect(),
        Found::Addresses { addresses, .. } => {
            addresses.iter().flat_map(|row| [&row.netid, &row.family, &row.protocol, &row.address]).collect()
        }
        Found::Statistics(versions) => {
            let looked_up = versions.iter().flat_map(|version| &version.lookups).map(|row| &row.netid);
            let called = versions.iter().flat_map(|version| &version.remote_calls).map(|row| &row.netid);
            looked_up.chain(called).collect()
        }
        Found::Programs(programs) => {
            programs.iter().flat_map(|program| program.netids.iter().chain([&program.owner])).collect()
        }
        Found::Reply(reply) => std::iter::once(&reply.address).chain(&reply.host).collect(),
        Found::Mappings(_) => Vec::new(),
        Found::Answer(_) | Found::Audit(_) | Found::Deleted { .. } => unreachable!("not made here"),
    };
    texts.into_iter().map(|text| text.0.clone()).collect()
}

fn found(bytes: &mut Bytes<'_>) -> Found {
    match bytes.byte() % 6 {
        0 => Found::Rows(several(bytes, row)),
        1 => Found::Programs(Program::gather(several(bytes, row))),
        2 => Found::Mappings(several(bytes, |bytes| Mapping {
            program: number(bytes),
            version: number(bytes),
            protocol: number(bytes),
            port: number(bytes),
            service: service(bytes),
            known: known(bytes),
        })),
        3 => Found::Addresses {
            program: number(bytes),
            version: number(bytes),
            service: service(bytes),
            addresses: several(bytes, |bytes| Address {
                netid: string(bytes),
                family: string(bytes),
                protocol: string(bytes),
                semantics: number(bytes),
                address: string(bytes),
            }),
        },
        4 => Found::Statistics(vec![statistics(bytes, 2), statistics(bytes, 3), statistics(bytes, 4)]),
        _ => Found::Reply(Reply { address: string(bytes), host: several(bytes, string).pop() }),
    }
}

fn row(bytes: &mut Bytes<'_>) -> Row {
    Row {
        program: number(bytes),
        version: number(bytes),
        netid: string(bytes),
        address: string(bytes),
        service: service(bytes),
        owner: string(bytes),
        known: known(bytes),
    }
}

fn statistics(bytes: &mut Bytes<'_>, version: u32) -> VersionStatistics {
    let lookups = |bytes: &mut Bytes<'_>| Lookups {
        program: number(bytes),
        version: number(bytes),
        netid: string(bytes),
        service: service(bytes),
        success: number(bytes).cast_signed(),
        failure: number(bytes).cast_signed(),
    };
    let remote_calls = |bytes: &mut Bytes<'_>| RemoteCalls {
        program: number(bytes),
        version: number(bytes),
        procedure: number(bytes),
        netid: string(bytes),
        service: service(bytes),
        success: number(bytes).cast_signed(),
        failure: number(bytes).cast_signed(),
        indirect: number(bytes).cast_signed(),
    };
    VersionStatistics {
        version,
        calls: (0..13).map(|_| number(bytes).cast_signed()).collect(),
        set: number(bytes).cast_signed(),
        unset: number(bytes).cast_signed(),
        lookups: several(bytes, lookups),
        remote_calls: several(bytes, remote_calls),
    }
}

fn several<T>(bytes: &mut Bytes<'_>, mut one: impl FnMut(&mut Bytes<'_>) -> T) -> Vec<T> {
    (0..bytes.byte() % 8).map(|_| one(bytes)).collect()
}

/// Small ones, and those at the ends.
fn number(bytes: &mut Bytes<'_>) -> u32 {
    match bytes.byte() {
        0xff => u32::MAX,
        0xfe => 1 << 31,
        0xfd => bytes.part(4).iter().fold(0, |number, byte| number << 8 | u32::from(*byte)),
        small => small.into(),
    }
}

fn string(bytes: &mut Bytes<'_>) -> Text {
    let len = bytes.byte();
    Text(bytes.part(len.into()).to_vec())
}

/// From a file of this host's own.
fn service(bytes: &mut Bytes<'_>) -> Option<String> {
    bytes.one_of(&[None, Some("nfs"), Some("a-service-with-a-long-name")]).map(str::to_owned)
}

fn known(bytes: &mut Bytes<'_>) -> Known {
    let liveness = bytes.one_of(&[None, Some(Liveness::Alive), Some(Liveness::Dead)]);
    Known { liveness, liveness_seconds: liveness.map(|_| number(bytes)) }
}

//! The options of a rule (hosts_options(5)): settled when the file is read, into whether the rule admits. Nothing is
//! ever run, and nothing about the daemon is changed by them.

use super::fault::Problem;

/// What the options of one rule come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the rule admits whom it matches.
    pub(super) admit: bool,
    /// The options that do not do what they say.
    pub(super) faults: Vec<(Vec<u8>, Problem)>,
}

/// Reads the options of a rule: what follows its second colon, if there is one. `admit` is the file's own verdict.
pub(super) fn verdict(options: Option<&[u8]>, admit: bool) -> Verdict {
    let mut verdict = Verdict { admit, faults: Vec::new() };
    let Some(options) = options else {
        return verdict;
    };
    let fields = fields(options);
    for (index, field) in fields.iter().enumerate() {
        let is_last = index + 1 == fields.len();
        match one(field, is_last) {
            Meaning::Nothing => {}
            Meaning::Admit(admit) => verdict.admit = admit,
            Meaning::Fault(problem) => {
                verdict.faults.push((field.clone(), problem));
                if matches!(problem, Problem::Option | Problem::NotRunRefused) {
                    // libwrap(3) goes no further either.
                    verdict.admit = false;
                    break;
                }
            }
        }
    }
    verdict
}

enum Meaning {
    Nothing,
    Admit(bool),
    Fault(Problem),
}

/// The fields between colons, trimmed; `\:` is a colon inside of a field.
fn fields(options: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = vec![Vec::new()];
    let mut bytes = options.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => fields.push(Vec::new()),
            b'\\' if bytes.peek() == Some(&b':') => {
                bytes.next();
                push(&mut fields, b':');
            }
            other => push(&mut fields, other),
        }
    }
    fields.iter().map(|field| field.trim_ascii().to_vec()).collect()
}

fn push(fields: &mut [Vec<u8>], byte: u8) {
    if let Some(last) = fields.last_mut() {
        last.push(byte);
    }
}

/// What one option means; `is_last` since some may only stand at the end.
fn one(field: &[u8], is_last: bool) -> Meaning {
    let end =
        field.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'=').unwrap_or(field.len());
    let (key, rest) = field.split_at(end);
    let rest = rest.trim_ascii_start();
    let value = rest.strip_prefix(b"=").unwrap_or(rest).trim_ascii();
    let nothing_if = |valid: bool| if valid { Meaning::Nothing } else { Meaning::Fault(Problem::Option) };
    let fault_if = |valid: bool, fault| Meaning::Fault(if valid { fault } else { Problem::Option });
    match key.to_ascii_lowercase().as_slice() {
        b"allow" | b"deny" if !(is_last && value.is_empty()) => Meaning::Fault(Problem::Option),
        b"allow" => Meaning::Admit(true),
        b"deny" => Meaning::Admit(false),
        b"severity" => nothing_if(is_severity(value)),
        b"keepalive" => nothing_if(value.is_empty()),
        b"linger" => nothing_if(number(value).is_some()),
        b"rfc931" => nothing_if(value.is_empty() || number(value).is_some_and(|seconds| seconds > 0)),
        b"nice" => {
            let digits = value.strip_prefix(b"-").unwrap_or(value);
            fault_if(value.is_empty() || number(digits).is_some(), Problem::NotApplied)
        }
        b"umask" => {
            let is_octal = value.iter().all(|digit| matches!(digit, b'0'..=b'7'));
            fault_if(is_octal && number(value).is_some_and(|mask| mask <= 777), Problem::NotApplied)
        }
        b"setenv" | b"group" | b"banners" => fault_if(!value.is_empty(), Problem::NotApplied),
        b"spawn" => fault_if(!value.is_empty(), Problem::NotRun),
        b"aclexec" | b"user" => fault_if(!value.is_empty(), Problem::NotRunRefused),
        b"twist" => fault_if(is_last && !value.is_empty(), Problem::NotRunRefused),
        _ => Meaning::Fault(Problem::Option),
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.iter().all(u8::is_ascii_digit) { str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// `level` or `facility.level`, with the names that libwrap(3) knows.
fn is_severity(value: &[u8]) -> bool {
    const LEVELS: [&[u8]; 8] =
        [b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug"];
    const FACILITIES: [&[u8]; 9] =
        [b"kern", b"user", b"mail", b"daemon", b"auth", b"lpr", b"news", b"uucp", b"cron"];
    let value = value.to_ascii_lowercase();
    let (facility, level) = match value.iter().position(|byte| *byte == b'.') {
        None => (None, value.as_slice()),
        Some(dot) => (value.get(..dot), value.get(dot + 1..).unwrap_or_default()),
    };
    let facility_is_known = facility.is_none_or(|facility| {
        FACILITIES.contains(&facility) || matches!(facility, [b'l', b'o', b'c', b'a', b'l', b'0'..=b'7'])
    });
    facility_is_known && LEVELS.contains(&level)
}

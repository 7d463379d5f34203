//! The second of two steps: judges what was written, value by value. A value with a fault is replaced by its default,
//! so that the rest can still be judged; with any fault nothing is used.

use super::Lookups;
use super::entries::{self as key, Entry, Kind};
use super::fault::Problem;
use super::settings::{ConnectionCaps, Reloadable};
use super::tree::{Located, Source, Word};
use super::written::{self, Written};
use oncrpc::Program;
use oncrpc::bind::netid::NetidError;
use oncrpc::bind::{Attributes, Family, Netids, Semantics};
use rpcbind_core::access::{AccessList, AccessRule, Action, Prefix, ProcedureKind, ProcedureSet};
use rpcbind_core::limiter::{Limits, Rate};
use rpcbind_core::settings::{Caps, Grant, LivenessRules, UdpFull};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Judges values, and notes what is wrong with them.
pub(super) struct Checker<'c, 'i> {
    pub(super) source: &'c mut Source<'i>,
    pub(super) lookups: &'c Lookups<'c>,
}

impl Checker<'_, '_> {
    pub(super) fn switch(&mut self, entry: &Entry, written: &Option<Located<bool>>) -> bool {
        let default = matches!(entry.kind, Kind::Switch { default: true });
        written.as_ref().map_or(default, |written| written.value)
    }

    /// A number within its limits. The limits of the table fit the type wanted.
    pub(super) fn number<T: TryFrom<i64> + Default>(
        &mut self,
        entry: &Entry,
        written: &Option<Located<i64>>,
    ) -> T {
        let Kind::Number { default, min, max } = entry.kind else {
            return T::default();
        };
        let number = match written {
            Some(written) if (min..=max).contains(&written.value) => written.value,
            Some(written) => {
                self.source.fault(written, Problem::Range { min, max });
                default
            }
            None => default,
        };
        T::try_from(number).unwrap_or_default()
    }

    /// One of a choice's words, by its place among them; `None` with a fault, or when it was not written.
    pub(super) fn choice(&mut self, entry: &Entry, written: &Option<Located<String>>) -> Option<usize> {
        let (Kind::Choice { of, .. } | Kind::RequiredChoice { of }) = entry.kind else {
            return None;
        };
        let written = written.as_ref()?;
        let place = of.iter().position(|word| *word == written.value);
        if place.is_none() {
            self.source.fault(written, Problem::OneOf(of));
        }
        place
    }

    /// A key that has to be there.
    fn required<'w, T>(&mut self, at: &Located<()>, entry: &Entry, written: &'w Option<T>) -> Option<&'w T> {
        // What was there with a wrong type has its fault already.
        if written.is_none() && !self.source.has_fault(&format!("{}.{}", at.key, entry.name())) {
            self.source.fault(at, Problem::Missing(entry.name()));
        }
        written.as_ref()
    }

    /// Text within the limit of its entry.
    pub(super) fn text<'w>(&mut self, entry: &Entry, written: &'w Located<String>) -> Option<&'w str> {
        let Kind::Text { longest, .. } = entry.kind else {
            return None;
        };
        match text_problem(&written.value, longest) {
            Some(problem) => {
                self.source.fault(written, problem);
                None
            }
            None => Some(&written.value),
        }
    }

    /// A number without a default, within its limits, which fit the type wanted.
    pub(super) fn optional_number<T: TryFrom<i64>>(
        &mut self,
        entry: &Entry,
        written: &Option<Located<i64>>,
    ) -> Option<T> {
        let Kind::OptionalNumber { min, max, .. } = entry.kind else {
            return None;
        };
        let written = written.as_ref()?;
        if (min..=max).contains(&written.value) {
            return T::try_from(written.value).ok();
        }
        self.source.fault(written, Problem::Range { min, max });
        None
    }

    pub(super) fn caps(&mut self, written: &written::Limits) -> Caps {
        let rows: usize = self.number(&key::ROWS, &written.rows);
        let rows_per_uid: usize = self.number(&key::ROWS_PER_USER, &written.rows_per_user);
        let rows_for_root = usize::try_from(key::ROWS_FOR_ROOT).unwrap_or_default();
        if let Some(per_user) = &written.rows_per_user
            && rows_per_uid > rows.saturating_sub(rows_for_root)
        {
            self.source.fault(per_user, Problem::Contradicts("limits.rows, of which 1024 are for root only"));
        }
        Caps { rows, rows_per_uid, rows_for_root }
    }

    pub(super) fn connections(&mut self, written: &written::Limits) -> ConnectionCaps {
        ConnectionCaps {
            tcp: self.number(&key::TCP_CONNECTIONS, &written.tcp_connections),
            unix: self.number(&key::UNIX_CONNECTIONS, &written.unix_connections),
            unix_per_uid: self.number(&key::UNIX_CONNECTIONS_PER_USER, &written.unix_connections_per_user),
        }
    }

    pub(super) fn netids(&mut self, written: &[written::Netid]) -> Netids {
        const SEMANTICS: [Semantics; 4] =
            [Semantics::Clts, Semantics::Cots, Semantics::CotsOrd, Semantics::Raw];
        const FAMILIES: [Family; 3] = [Family::Inet, Family::Inet6, Family::Local];
        let mut netids = Netids::default();
        for netid in written {
            self.required(&netid.at, &key::NETID_SEMANTICS, &netid.semantics);
            self.required(&netid.at, &key::NETID_FAMILY, &netid.family);
            let name = self.required(&netid.at, &key::NETID_NAME, &netid.name);
            let semantics = self.choice(&key::NETID_SEMANTICS, &netid.semantics);
            let family = self.choice(&key::NETID_FAMILY, &netid.family);
            let protocol = match &netid.protocol {
                Some(written) => self.text(&key::NETID_PROTOCOL, written),
                None => Some("-"),
            };
            let Some(name) = name else {
                continue;
            };
            // What is missing has its fault; the name is judged all the same.
            let attributes = Attributes {
                name: name.value.as_str().into(),
                semantics: semantics
                    .and_then(|place| SEMANTICS.get(place))
                    .copied()
                    .unwrap_or(Semantics::Clts),
                family: family.and_then(|place| FAMILIES.get(place)).copied().unwrap_or(Family::Inet),
                protocol: protocol.unwrap_or("-").into(),
            };
            match netids.add(attributes) {
                Ok(_) => {}
                Err(NetidError::Duplicate) => self.source.fault(name, Problem::KnownNetid),
                Err(_) => self.source.fault(name, Problem::Netid),
            }
        }
        netids
    }

    pub(super) fn reloadable(&mut self, written: &Written) -> Reloadable {
        Reloadable {
            log_connections: self.switch(&key::LOG_CONNECTIONS, &written.log_connections),
            insecure: self.switch(&key::INSECURE, &written.insecure),
            strict_hosts: self.switch(&key::STRICT_HOSTS, &written.strict_hosts),
            nat: self.choice(&key::NAT, &written.nat) != Some(1),
            grants: written.grants.iter().filter_map(|grant| self.grant(grant)).collect(),
            access: self.access(&written.access, &written.dump_from),
            udp_full: written.udp_full.iter().filter_map(|full| self.udp_full(full)).collect(),
            replies: self.replies(&written.limits),
            liveness: self.liveness(written),
            remote_calls: self.remote_rules(written),
        }
    }

    fn replies(&mut self, written: &written::Limits) -> Limits {
        let replies = self.number(&key::REPLIES_PER_SECOND, &written.replies_per_second);
        let replies_burst = self.number(&key::REPLIES_BURST, &written.replies_burst);
        let errors = self.number(&key::ERRORS_PER_SECOND, &written.errors_per_second);
        let errors_burst = self.number(&key::ERRORS_BURST, &written.errors_burst);
        Limits { replies: Rate::new(replies, replies_burst), errors: Rate::new(errors, errors_burst) }
    }

    fn liveness(&mut self, written: &Written) -> LivenessRules {
        let judge_every = self.number(&key::JUDGE_EVERY, &written.judge_every_seconds);
        let expire_dead = self.optional_number(&key::EXPIRE_DEAD, &written.expire_dead_seconds);
        LivenessRules {
            judge_every: Duration::from_secs(judge_every),
            expire_dead: expire_dead.map(Duration::from_secs),
        }
    }

    fn prefix(&mut self, written: &Located<String>) -> Option<Prefix> {
        let parsed = written.value.parse();
        parsed.map_err(|error| self.source.fault(written, Problem::Prefix(error))).ok()
    }

    fn prefixes(&mut self, written: &[Located<String>]) -> Vec<Prefix> {
        written.iter().filter_map(|prefix| self.prefix(prefix)).collect()
    }

    /// The access rules in their order, then what `dump-from` means.
    fn access(
        &mut self,
        rules: &[written::Access],
        dump_from: &Option<Located<Vec<Located<String>>>>,
    ) -> AccessList {
        let mut list: Vec<AccessRule> = rules.iter().filter_map(|rule| self.access_rule(rule)).collect();
        if let Some(written) = dump_from {
            let mut from = self.prefixes(&written.value);
            from.extend(Prefix::LOOPBACK);
            let procedures = ProcedureSet::NONE.with(ProcedureKind::Dump);
            let programs = Vec::new;
            list.push(AccessRule { action: Action::Allow, from, procedures, programs: programs() });
            list.push(AccessRule {
                action: Action::Deny,
                from: Vec::new(),
                procedures,
                programs: programs(),
            });
        }
        AccessList::new(list)
    }

    fn access_rule(&mut self, written: &written::Access) -> Option<AccessRule> {
        self.required(&written.at, &key::ACCESS_ACTION, &written.action);
        let action = self.choice(&key::ACCESS_ACTION, &written.action);
        // An empty list would fit everybody, which is not what it says.
        let from = self.filled(&written.from).map(|from| self.prefixes(&from.value));
        let procedures = self.filled(&written.procedures).map(|list| self.procedures(&list.value));
        let programs = self.filled(&written.programs).map(|list| {
            let programs = list.value.iter();
            programs.filter_map(|program| self.program_range(program)).collect::<Vec<_>>()
        });
        Some(AccessRule {
            action: if action? == 0 { Action::Allow } else { Action::Deny },
            from: from.unwrap_or_default(),
            procedures: procedures.unwrap_or(ProcedureSet::ALL),
            programs: programs.unwrap_or_default(),
        })
    }

    /// A list that was written, which must not be empty then.
    pub(super) fn filled<'w, T>(
        &mut self,
        written: &'w Option<Located<Vec<T>>>,
    ) -> Option<&'w Located<Vec<T>>> {
        let list = written.as_ref()?;
        if self.source.is_empty(list) {
            self.source.fault(list, Problem::Empty);
        }
        Some(list)
    }

    fn procedures(&mut self, written: &[Located<String>]) -> ProcedureSet {
        const WORDS: [&str; 7] = ["null", "lookup", "dump", "set", "unset", "remote-call", "statistics"];
        let mut set = ProcedureSet::NONE;
        for word in written {
            match ProcedureKind::NAMES.iter().find(|(name, _)| *name == word.value) {
                Some((_, kind)) => set = set.with(*kind),
                None => self.source.fault(word, Problem::OneOf(&WORDS)),
            }
        }
        set
    }

    /// A program by number or name, or a range of numbers.
    pub(super) fn program_range(&mut self, written: &Located<Word>) -> Option<RangeInclusive<u32>> {
        if let Word::Text(text) = &written.value
            && let Some((first, last)) = text.split_once('-')
            && let (Some(first), Some(last)) = (text_number(first.trim()), text_number(last.trim()))
        {
            if first <= last {
                return Some(first..=last);
            }
            self.source.fault(written, Problem::Program);
            return None;
        }
        self.program(written).map(|program| program.0..=program.0)
    }

    fn program(&mut self, written: &Located<Word>) -> Option<Program> {
        let program = match &written.value {
            Word::Text(name) => self.lookups.programs.number(name).or_else(|| text_number(name).map(Program)),
            number => word_number(number).map(Program),
        };
        if program.is_none() {
            self.source.fault(written, Problem::Program);
        }
        program
    }

    fn grant(&mut self, written: &written::Grant) -> Option<Grant> {
        let user = self.required(&written.at, &key::GRANT_USER, &written.user);
        let uid = user.and_then(|user| self.uid(user));
        let mut programs = Vec::new();
        for program in written.programs.iter().flat_map(|list| &list.value) {
            programs.extend(self.program(program));
        }
        let mut ports = Vec::new();
        for port in written.ports.iter().flat_map(|list| &list.value) {
            match u16::try_from(port.value) {
                Ok(number @ 1..) => ports.push(number),
                _ => self.source.fault(port, Problem::Range { min: 1, max: 65_535 }),
            }
        }
        if written.programs.is_none() && written.ports.is_none() {
            self.source.fault(&written.at, Problem::Missing("programs or ports"));
        }
        Some(Grant { uid: uid?, programs, ports })
    }

    fn uid(&mut self, written: &Located<Word>) -> Option<u32> {
        let uid = match &written.value {
            Word::Text(name) => (self.lookups.uid)(name).or_else(|| name.parse().ok()),
            number => word_number(number),
        };
        match uid {
            Some(0) => self.source.fault(written, Problem::Superuser),
            Some(uid) if uid < u32::MAX => return Some(uid),
            _ => self.source.fault(written, Problem::User),
        }
        None
    }

    fn udp_full(&mut self, written: &written::UdpFull) -> Option<UdpFull> {
        let prefix = self.required(&written.at, &key::UDP_FULL_PREFIX, &written.prefix);
        let prefix = prefix.and_then(|prefix| self.prefix(prefix));
        let interface = self.required(&written.at, &key::UDP_FULL_INTERFACE, &written.interface)?;
        // The kernel's dev_valid_name, and IFNAMSIZ with its zero byte.
        let name = interface.value.as_bytes();
        let is_valid = matches!(name.len(), 1..=15)
            && !matches!(name, b"." | b"..")
            && name.iter().all(|byte| !matches!(byte, b'/' | b':' | 0) && !byte.is_ascii_whitespace());
        if !is_valid {
            self.source.fault(interface, Problem::Interface);
            return None;
        }
        Some(UdpFull { prefix: prefix?, interface: interface.value.clone() })
    }
}

/// What is wrong with a text whatever it is for.
pub(super) fn text_problem(text: &str, longest: usize) -> Option<Problem> {
    if text.len() > longest {
        Some(Problem::TooLong(longest))
    } else if text.contains('\0') {
        Some(Problem::ZeroByte)
    } else {
        None
    }
}

/// A number in text: decimal, or hexadecimal with `0x`.
fn text_number(text: &str) -> Option<u32> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    if is_number { u32::from_str_radix(digits, radix).ok() } else { None }
}

fn word_number(word: &Word) -> Option<u32> {
    match word {
        Word::Number(number) => u32::try_from(*number).ok(),
        Word::Text(text) => text.parse().ok(),
    }
}

//! What the configuration says about remote calls: which are made, as whom, and for how long.

use super::check::Checker;
use super::entries as key;
use super::fault::Problem;
use super::settings::RemoteCaps;
use super::tree::{Located, Word};
use super::written::{self, Written};
use oncrpc::Procedure;
use rpcbind_core::settings::{AllowedCalls, Credentials, RemoteRules};
use std::time::Duration;

impl Checker<'_, '_> {
    pub(super) fn remote_rules(&mut self, written: &Written) -> RemoteRules {
        let allowed = match self.filled(&written.remote_call_allow) {
            Some(list) => list.value.iter().filter_map(|calls| self.allowed_calls(calls)).collect(),
            None => RemoteRules::default_calls(),
        };
        let claimed = self.choice(&key::REMOTE_CALL_CREDENTIALS, &written.remote_call_credentials) == Some(1);
        let seconds = self.number(&key::REMOTE_CALL_SECONDS, &written.remote_call_seconds);
        RemoteRules {
            allowed,
            credentials: if claimed { Credentials::Claimed } else { Credentials::Nobody },
            expiry: Duration::from_secs(seconds),
        }
    }

    pub(super) fn remote_caps(&mut self, written: &written::Limits) -> RemoteCaps {
        RemoteCaps {
            calls: self.number(&key::REMOTE_CALLS_MAX, &written.remote_calls),
            calls_per_source: self.number(&key::REMOTE_CALLS_PER_SOURCE, &written.remote_calls_per_source),
        }
    }

    /// `program` or `program/procedure`; the program may be a range, or `*` for all.
    fn allowed_calls(&mut self, written: &Located<Word>) -> Option<AllowedCalls> {
        let Word::Text(text) = &written.value else {
            return Some(AllowedCalls { programs: self.program_range(written)?, procedure: None });
        };
        let (program, procedure) = match text.rsplit_once('/') {
            Some((program, procedure)) => match procedure.parse() {
                Ok(number) => (program, Some(Procedure(number))),
                Err(_) => {
                    self.source.fault(written, Problem::Procedure);
                    return None;
                }
            },
            None => (text.as_str(), None),
        };
        let programs = if program == "*" {
            0..=u32::MAX
        } else {
            self.program_range(&Located { value: Word::Text(program.into()), ..written.clone() })?
        };
        Some(AllowedCalls { programs, procedure })
    }
}

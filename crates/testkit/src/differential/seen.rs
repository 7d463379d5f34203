//! What a side did with a call, brought into a form that can be compared: the xid is gone, the time of day too when
//! it is right, and the counters of SET and UNSET are less what that side has answered.

use std::time::{SystemTime, UNIX_EPOCH};

use oncrpc::bind::stat::VersionTable;
use oncrpc::xdr::{Decode, Error, Reader};
use oncrpc::{Answer, Reply};

use super::case::Case;

/// How far GETTIME may be from the test's clock, in seconds.
const CLOCK: u32 = 2;

/// What a side did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: the probe behind the call was answered.
    Silence,
    /// It closed the connection.
    Closed,
    /// The reply, its xid 0.
    Reply(Vec<u8>),
    /// The results of GETSTAT.
    Statistics(Box<Statistics>),
}

impl Seen {
    /// The kind of answer, for counting.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let Self::Reply(reply) = self else {
            return match self {
                Self::Silence => "silence",
                Self::Closed => "closed connection",
                Self::Statistics(_) | Self::Reply(_) => "SUCCESS",
            };
        };
        match Reply::decode(reply).map(|reply| reply.answer) {
            Ok(Answer::Success(_)) => "SUCCESS",
            Ok(Answer::ProgramUnavailable) => "PROG_UNAVAIL",
            Ok(Answer::ProgramMismatch { .. }) => "PROG_MISMATCH",
            Ok(Answer::ProcedureUnavailable) => "PROC_UNAVAIL",
            Ok(Answer::GarbageArguments) => "GARBAGE_ARGS",
            Ok(Answer::SystemError) => "SYSTEM_ERR",
            Ok(Answer::RpcMismatch { .. }) => "RPC_MISMATCH",
            Ok(Answer::AuthError(_)) => "AUTH_ERROR",
            Err(_) => "not a reply",
        }
    }
}

/// The three tables of GETSTAT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Versions 2, 3 and 4.
    pub versions: Vec<VersionStatistics>,
}

/// One table of GETSTAT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionStatistics {
    /// Calls by procedure.
    pub calls: Vec<i32>,
    /// TRUEs of SET that GETSTAT tells of, less those that were seen.
    pub set: i32,
    /// TRUEs of UNSET, likewise.
    pub unset: i32,
    /// Look-ups in the order of the reply.
    pub lookups: Vec<Lookup>,
    /// Remote calls in the order of the reply.
    pub remote: Vec<Remote>,
}

/// A row of look-ups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Program, version and netid.
    pub key: (u32, u32, String),
    /// Successes and failures.
    pub counts: [i32; 2],
}

/// A row of remote calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Program, version, procedure and netid.
    pub key: (u32, u32, u32, String),
    /// Successes, failures, and those that came by INDIRECT.
    pub counts: [i32; 3],
}

/// The TRUEs that one side has answered, by version.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    set: [i32; 3],
    unset: [i32; 3],
}

impl Ledger {
    /// Takes note of a reply, and brings it into the form that is compared.
    ///
    /// # Errors
    /// The reply is not one: in words.
    pub(super) fn normalise(&mut self, case: &Case, seen: Seen) -> Result<Seen, String> {
        let Seen::Reply(bytes) = &seen else { return Ok(seen) };
        let reply = Reply::decode(bytes).map_err(|error| format!("not a reply: {error:?}: {bytes:02x?}"))?;
        let Answer::Success(results) = reply.answer else { return Ok(seen) };
        if case.is(&[3, 4], 6) {
            return Ok(Seen::Reply(without_time(bytes, results)));
        }
        if case.is(&[4], 12) {
            // What was asked with a cut call may be answered with something else.
            let Ok(statistics) = self.statistics(results) else { return Ok(seen) };
            return Ok(Seen::Statistics(Box::new(statistics)));
        }
        let table = usize::try_from(case.header.version.wrapping_sub(2)).unwrap_or(usize::MAX);
        let counts = if case.is_set() { &mut self.set } else { &mut self.unset };
        if (case.is_set() || case.is_unset())
            && results == [0, 0, 0, 1]
            && let Some(count) = counts.get_mut(table)
        {
            *count += 1;
        }
        Ok(seen)
    }

    fn statistics(&self, results: &[u8]) -> Result<Statistics, Error> {
        let mut reader = Reader::new(results);
        let mut statistics = Statistics::default();
        for (set, unset) in self.set.iter().zip(self.unset) {
            let table = VersionTable::decode(&mut reader)?;
            let mut version = VersionStatistics {
                calls: table.counters.calls.to_vec(),
                set: table.counters.set - set,
                unset: table.counters.unset - unset,
                ..VersionStatistics::default()
            };
            for row in table.addresses {
                let row = row?;
                let netid = String::from_utf8_lossy(row.netid).into_owned();
                let key = (row.program.0, row.version.0, netid);
                version.lookups.push(Lookup { key, counts: [row.success, row.failure] });
            }
            for row in table.remote {
                let row = row?;
                let netid = String::from_utf8_lossy(row.netid).into_owned();
                let key = (row.program.0, row.version.0, row.procedure.0, netid);
                version.remote.push(Remote { key, counts: [row.success, row.failure, row.indirect] });
            }
            statistics.versions.push(version);
        }
        reader.finish()?;
        Ok(statistics)
    }
}

/// The reply of GETTIME with 0 for the time, when that is the time.
fn without_time(reply: &[u8], results: &[u8]) -> Vec<u8> {
    let mut masked = reply.to_vec();
    let Ok(seconds) = <[u8; 4]>::try_from(results) else { return masked };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if u64::from(u32::from_be_bytes(seconds)).abs_diff(now) <= u64::from(CLOCK) {
        let start = masked.len().saturating_sub(4);
        masked.truncate(start);
        masked.extend_from_slice(&[0; 4]);
    }
    masked
}

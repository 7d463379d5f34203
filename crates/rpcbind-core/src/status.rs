//! The status program: what our own tools may know of this daemon beyond program 100000 (`docs/status-protocol.md`).
//! Served over unix sockets only, where everybody is of this host; to all others it does not exist.

use crate::caller::Namespace;
use crate::liveness::Liveness;
use crate::outcome::{Handled, Outcome, Reason, Why};
use crate::registry::{ListKind, Registry};
use crate::service::{Ask, Service, refuse};
use alloc::boxed::Box;
use core::time::Duration;
use oncrpc::bind::Netids;
use oncrpc::bind::status::{self, Head, RowStatus, VERSION};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Procedure, Reply};

pub use oncrpc::bind::status::State;

/// What the shell tells of itself, at start and whenever it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The daemon's version, at most 64 bytes; what is longer is cut.
    pub version: Box<str>,
    /// Whether registrations outlive the process.
    pub state: State,
    /// Why they do not, at most 256 bytes; what is longer is cut.
    pub why: Box<str>,
    /// Whether rows are judged at all.
    pub judges: bool,
    /// When the last sweep over the rows ended, as [`Now::monotonic`](crate::caller::Now::monotonic).
    pub last_sweep: Option<Duration>,
}

impl Service {
    /// What the status program tells of the daemon.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Changes what the status program tells of the daemon.
    pub fn health_mut(&mut self) -> &mut Health {
        &mut self.health
    }
}

/// The version, for a call that has come over a unix socket.
pub(crate) fn admit(call: &Call<'_>) -> Result<(), (Reason, Answer<'static>)> {
    if call.version == VERSION {
        return Ok(());
    }
    let answer = Answer::ProgramMismatch { low: VERSION.0, high: VERSION.0 };
    Err((Reason::VersionMismatch, answer))
}

/// Handles a call that was admitted.
pub(crate) fn handle(service: &mut Service, ask: &Ask<'_>, why: Why, writer: Writer<'_>) -> Handled {
    let why = Why { program: Some(status::PROGRAM), ..why };
    match ask.call.procedure {
        Procedure(0) => service.answer(ask, why, Reason::Answered, writer, |_| Ok(())),
        status::STATUS => tell(service, ask, why, writer),
        _ => refuse(why, Reason::ProcedureUnavailable, ask.call.xid, Answer::ProcedureUnavailable, writer),
    }
}

fn tell(service: &mut Service, ask: &Ask<'_>, why: Why, mut writer: Writer<'_>) -> Handled {
    let body = service.list(ListKind::Statuses);
    let head = head(service, ask.now.monotonic);
    match Reply::encode_success(ask.call.xid, &mut writer).and_then(|()| head.encode(&mut writer)) {
        Ok(()) => {
            let why = Why { reason: Reason::Answered, ..why };
            Handled { why, outcome: Outcome::Table { len: writer.len(), body } }
        }
        Err(_) => service.too_long(ask, why, writer),
    }
}

fn head(service: &Service, now: Duration) -> Head<'_> {
    let Health { version, state, why, judges, last_sweep } = &service.health;
    let counts = service.deaths;
    Head {
        version: start(version, status::MAX_VERSION),
        clock_seconds: seconds(now),
        state: *state,
        why: start(why, status::MAX_WHY),
        judges: *judges,
        last_sweep_seconds: last_sweep.map(seconds),
        rows: count(service.registry.len()),
        dead: count(service.registry.dead()),
        died: counts.died,
        came_back: counts.came_back,
        replaced: counts.replaced,
        expired: counts.expired,
    }
}

/// The rows with their liveness, for the list behind the head.
pub(crate) fn rows<'a>(
    registry: &'a Registry,
    netids: &'a Netids,
    home: Namespace,
) -> impl Iterator<Item = RowStatus<'a>> {
    registry.rows_with_liveness().map(move |(row, liveness)| {
        let (liveness, since) = match liveness {
            Liveness::NotJudged => (status::Liveness::NotJudged, Duration::ZERO),
            Liveness::Alive { since } => (status::Liveness::Alive, since),
            Liveness::Dead { since } => (status::Liveness::Dead, since),
        };
        RowStatus {
            program: row.program,
            version: row.version,
            netid: netids.name(row.netid).as_bytes(),
            address: row.address.as_bytes(),
            from_home: row.namespace == home,
            liveness,
            since_seconds: seconds(since),
        }
    })
}

fn start(text: &str, most: u32) -> &[u8] {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.as_bytes().get(..end).unwrap_or_default()
}

fn seconds(moment: Duration) -> u32 {
    u32::try_from(moment.as_secs()).unwrap_or(u32::MAX)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

//! From what was asked to what was found: one function a form, each the classic tool's steps in its order, so that
//! port mappers see the same calls. Nothing is printed here.

mod audit;
mod broadcast;
mod contact;
mod lists;
mod liveness;
mod ping;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::Duration;

use oncrpc::{Program, Version};

use crate::arguments::{Asked, Form};
use crate::found::{Failure, Found};
use crate::netconfig::Netconfig;
use crate::numbers::{is_name, low_u32, strtol};
use crate::services::Services;

/// How long a list or a look-up may take.
const LIST_LIMIT: Duration = Duration::from_secs(60);
/// How long a called service may take.
const PING_LIMIT: Duration = Duration::from_secs(10);

/// What is known here.
#[derive(Clone, Debug)]
pub struct Known {
    /// Names of programs.
    pub services: Services,
    /// Transports.
    pub netconfig: Netconfig,
}

/// Why the finding ended early.
#[derive(Debug)]
pub enum Stop {
    /// It failed.
    Failed(Failure),
    /// What was found has told it all: some service was not available.
    Unavailable,
    /// What was found could not be written.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Stop {
    fn failed(line: impl Into<String>) -> Self {
        Self::Failed(Failure(line.into()))
    }
}

/// Takes what is found, as it is found.
pub type Tell<'a> = dyn FnMut(Found) -> io::Result<()> + 'a;

/// Finds out what was asked and tells it.
///
/// # Errors
/// [`Stop`].
pub fn find(asked: &Asked, known: &Known, tell: &mut Tell<'_>) -> Result<(), Stop> {
    let finder = Finder {
        known,
        list_limit: asked.timeout.unwrap_or(LIST_LIMIT),
        ping_limit: asked.timeout.unwrap_or(PING_LIMIT),
        broadcast_limit: asked.timeout,
    };
    match &asked.form {
        Form::Rows { host, netid, short } => {
            tell(finder.rows(host.as_deref(), netid.as_deref(), *short)?)?;
        }
        Form::Mappings { host } => tell(finder.mappings(host.as_deref())?)?,
        Form::Statistics { host } => tell(finder.statistics(host.as_deref())?)?,
        Form::Addresses { host, netid, program, version } => {
            tell(finder.addresses(host, netid.as_deref(), program, version)?)?;
        }
        Form::PingProtocol { protocol, port, host, service } => {
            finder.ping_protocol(protocol, *port, host, service, tell)?;
        }
        Form::PingNetid { netid, host, service } => finder.ping_netid(netid, host, service, tell)?,
        Form::PingAddress { address, netid, service } => {
            finder.ping_address(address, netid, service, tell)?;
        }
        Form::Audit { host } => tell(finder.audit(host)?)?,
        Form::Broadcast { program, version } => finder.broadcast(program, version, tell)?,
        Form::Delete { netid, program, version } => {
            tell(finder.delete(netid.as_deref(), program, version)?)?;
        }
    }
    Ok(())
}

/// What all forms need.
struct Finder<'a> {
    known: &'a Known,
    list_limit: Duration,
    ping_limit: Duration,
    broadcast_limit: Option<Duration>,
}

impl Finder<'_> {
    fn program(&self, text: &str) -> Result<Program, Stop> {
        if is_name(text) {
            let named = self.known.services.program(text);
            return named.ok_or_else(|| Stop::failed(format!("rpcinfo: {text} is unknown service")));
        }
        match strtol(text) {
            Some(number) => Ok(Program(low_u32(number))),
            None => Err(Stop::failed(format!("rpcinfo: {text} is illegal program number"))),
        }
    }

    fn version(text: &str) -> Result<Version, Stop> {
        match strtol(text) {
            Some(number) => Ok(Version(low_u32(number))),
            None => Err(Stop::failed(format!("rpcinfo: {text} is illegal version number"))),
        }
    }

    fn name(&self, program: Program) -> Option<String> {
        self.known.services.name(program).map(str::to_owned)
    }
}

/// A number that nobody else can know: the standard library seeds its hashers from the system's randomness.
fn unpredictable() -> u32 {
    let wide = RandomState::new().hash_one(std::process::id());
    u32::try_from(wide >> 32).unwrap_or_default()
}

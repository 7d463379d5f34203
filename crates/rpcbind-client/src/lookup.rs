//! Finding a service on a host: resolve, ask each address in turn, one time limit in all.

use std::net::SocketAddr;
use std::time::Duration;

use oncrpc::bind::netid::Semantics;
use oncrpc::bind::{Family, Netids, PORT};
use oncrpc::{Program, Version};

use crate::deadline::Deadline;
use crate::mapper::PortMapper;
use crate::{ConnectError, Endpoint, LookupError, resolve};

/// How long a look-up may take when nothing else is said.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(60);

/// Where a service of a host listens: `None` when it is not registered there, or not on an internet address.
///
/// The port mapper is asked over the transport itself, since that is the one it answers for. `netid` is `udp`, `tcp`,
/// `udp6` or `tcp6`; names are compared without case. The program may turn out to be served in other versions only:
/// see [`PortMapper::find`].
///
/// # Errors
/// [`LookupError`]: that of the last address tried, after [`LOOKUP_LIMIT`] at most.
pub fn lookup(
    host: &str,
    program: Program,
    version: Version,
    netid: &str,
) -> Result<Option<SocketAddr>, LookupError> {
    let found = lookup_within(host, program, version, netid, LOOKUP_LIMIT)?;
    Ok(found.and_then(|endpoint| endpoint.socket()))
}

/// As [`lookup`], with another limit, and for the netids of unix sockets too: those are looked up on this host,
/// whatever `host` says.
///
/// # Errors
/// [`LookupError`].
pub fn lookup_within(
    host: &str,
    program: Program,
    version: Version,
    netid: &str,
    limit: Duration,
) -> Result<Option<Endpoint>, LookupError> {
    let (family, connectionless) = sockets_of(netid)?;
    let deadline = Deadline::after(limit);
    if family == Family::Local {
        let mut mapper = PortMapper::local(limit)?;
        mapper.set_limit(deadline.left().unwrap_or_default());
        return mapper.find(program, version, netid);
    }
    let addresses = resolve::addresses(host, PORT, Some(family), deadline)?;
    let mut last = None;
    for (index, address) in addresses.iter().enumerate() {
        let Some(share) = deadline.share(addresses.len().saturating_sub(index)) else { break };
        let endpoint = Endpoint::inet(*address, connectionless);
        match find_at(&endpoint, program, version, netid, share) {
            Err(error) if is_about_address(&error) => last = Some(error),
            found => return found,
        }
    }
    Err(last
        .unwrap_or_else(|| ConnectError::TimedOut { what: format!("looking up on {host:?}"), limit }.into()))
}

fn find_at(
    endpoint: &Endpoint,
    program: Program,
    version: Version,
    netid: &str,
    limit: Duration,
) -> Result<Option<Endpoint>, LookupError> {
    let deadline = Deadline::after(limit);
    let mut mapper = PortMapper::connect(endpoint, limit)?;
    mapper.set_limit(deadline.left().unwrap_or_default());
    mapper.find(program, version, netid)
}

/// Nobody was reached at this address; another one may do better.
fn is_about_address(error: &LookupError) -> bool {
    use crate::CallError::{Closed, Receive, Send, TimedOut};
    match error {
        LookupError::Connect(_) => true,
        LookupError::Call { error, .. } => matches!(error, Send(_) | Receive(_) | Closed | TimedOut { .. }),
        _ => false,
    }
}

/// The sockets that a netid stands for.
fn sockets_of(netid: &str) -> Result<(Family, bool), LookupError> {
    let netids = Netids::default();
    let known = netids.find(netid.as_bytes()).and_then(|netid| netids.attributes(netid));
    let Some(attributes) = known else { return Err(LookupError::UnknownNetid(netid.to_owned())) };
    match (attributes.family, attributes.semantics, &*attributes.protocol) {
        (Family::Local, Semantics::CotsOrd, _) => Ok((Family::Local, false)),
        (family, _, "udp") => Ok((family, true)),
        (family, _, "tcp") => Ok((family, false)),
        _ => Err(LookupError::Unsupported(netid.to_owned())),
    }
}

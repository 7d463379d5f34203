//! Host names to addresses, within a time limit.
//! The system's resolver knows no limit, so it runs on a thread of its own; one that is late is left behind.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;

use oncrpc::bind::Family;

use crate::ConnectError;
use crate::deadline::Deadline;

/// The most addresses of one host that are used.
const MAX_ADDRESSES: usize = 16;

/// All addresses of a host in one family or in both, in the resolver's order.
pub(crate) fn addresses(
    host: &str,
    port: u16,
    family: Option<Family>,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let found = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => ask(host, port, deadline)?,
    };
    let mut wanted: Vec<SocketAddr> = Vec::new();
    for address in found {
        let fits = match family {
            Some(Family::Inet) => address.is_ipv4(),
            Some(Family::Inet6) => address.is_ipv6(),
            Some(Family::Local) => false,
            None => true,
        };
        if fits && !wanted.contains(&address) && wanted.len() < MAX_ADDRESSES {
            wanted.push(address);
        }
    }
    if wanted.is_empty() { Err(ConnectError::UnknownHost(host.to_owned())) } else { Ok(wanted) }
}

fn ask(host: &str, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, ConnectError> {
    let limit = deadline.left().unwrap_or_default();
    let late = || ConnectError::TimedOut { what: format!("resolving {host:?}"), limit };
    let unknown = || ConnectError::UnknownHost(host.to_owned());
    let (answer, answered) = mpsc::channel();
    let name = host.to_owned();
    let asking = move || {
        // Nobody may be waiting any more, and then nobody wants the answer.
        let _ = answer.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect));
    };
    std::thread::Builder::new()
        .name("resolver".into())
        .spawn(asking)
        .map_err(|error| ConnectError::Resolver { host: host.to_owned(), error })?;
    match answered.recv_timeout(limit) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(_)) => Err(unknown()),
        Err(_) => Err(late()),
    }
}

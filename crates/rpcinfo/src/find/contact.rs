//! Reaching port mappers and services, over the transports and in the order of the classic tool.

use std::time::Duration;

use oncrpc::bind::{Family, PORT};
use oncrpc::{Program, Version};
use rpcbind_client::{Client, ConnectError, Endpoint, LookupError, PortMapper, addresses, lookup_within};

use super::{Finder, Stop};
use crate::netconfig::Sockets;
use crate::reason;

/// A port mapper that answers, and the netid it is asked over.
pub(super) type Contact = (PortMapper, String);

impl Finder<'_> {
    /// This host's port mapper, over its unix sockets only.
    pub(super) fn here(&self, whose: &str) -> Result<PortMapper, Stop> {
        let mut endpoints = Endpoint::local_port_mapper();
        endpoints.retain(|endpoint| endpoint.family() == Family::Local);
        PortMapper::first(&endpoints, self.list_limit)
            .map_err(|error| no_contact(whose, &reason::of_connect(&error)))
    }

    /// A host's port mapper: over connections, then over datagrams, or over one transport.
    pub(super) fn there(&self, host: &str, netid: Option<&str>) -> Result<Contact, Stop> {
        let mut transports = match netid {
            None => self.known.netconfig.to_port_mapper(),
            Some(netid) => match self.known.netconfig.find(netid) {
                Some(transport) => vec![transport],
                None => {
                    return Err(Stop::failed(
                        "rpcinfo: invalid transport: Netid not found in netconfig database",
                    ));
                }
            },
        };
        let found = addresses(host, PORT, None, self.list_limit)
            .map_err(|_| no_contact("rpcbind", "RPC: (unknown error code)"))?;
        if netid.is_none() {
            // The classic tool takes the first address only, and so the transports of its family.
            let is_ipv4 = found.first().is_some_and(std::net::SocketAddr::is_ipv4);
            transports.sort_by_key(|transport| (transport.family == Family::Inet.name()) != is_ipv4);
        }
        let mut last = ConnectError::UnknownHost(host.to_owned());
        // Half of the time for connecting, so that datagrams are tried when connections are dropped on the way.
        let share = self.list_limit / 2 / u32::try_from(found.len()).unwrap_or(1).max(1);
        for transport in transports {
            let (family, connectionless) = match transport.sockets() {
                Some(Sockets::Udp(family)) => (family, true),
                Some(Sockets::Tcp(family)) => (family, false),
                Some(Sockets::Local) => continue,
                None if netid.is_some() => {
                    let why = "RPC: Remote system error - Socket operation on non-socket";
                    return Err(no_contact("rpcbind", why));
                }
                None => continue,
            };
            for address in found.iter().filter(|address| address.is_ipv4() == (family == Family::Inet)) {
                match PortMapper::connect(&Endpoint::inet(*address, connectionless), share) {
                    Ok(mut mapper) => {
                        mapper.set_limit(self.list_limit);
                        return Ok((mapper, transport.netid.clone()));
                    }
                    Err(error) => last = error,
                }
            }
        }
        Err(no_contact("rpcbind", &reason::of_connect(&last)))
    }

    /// A service on a host, found by its port mapper, over a protocol of any family.
    pub(super) fn service(
        &self,
        host: &str,
        program: Program,
        version: Version,
        protocol: &str,
    ) -> Result<Endpoint, Stop> {
        let mut known = false;
        for transport in self.known.netconfig.of_protocol(protocol) {
            known = true;
            let failed = |why: &str| Stop::failed(format!("{host}: {why}"));
            match lookup_within(host, program, version, &transport.netid, self.list_limit) {
                Ok(Some(endpoint)) => return Ok(endpoint),
                Ok(None) => return Err(failed(reason::NOT_REGISTERED)),
                Err(LookupError::Connect(ConnectError::UnknownHost(_))) => {}
                Err(error) => return Err(failed(&reason::of_lookup(&error))),
            }
        }
        Err(unknown_host(host, protocol, known))
    }

    /// A service on a host at a port, over a protocol of any family: connected.
    pub(super) fn port(&self, host: &str, port: u16, protocol: &str) -> Result<Client, Stop> {
        let mut known = false;
        for transport in self.known.netconfig.of_protocol(protocol) {
            known = true;
            let (family, connectionless) = match transport.sockets() {
                Some(Sockets::Udp(family)) => (family, true),
                Some(Sockets::Tcp(family)) => (family, false),
                _ => continue,
            };
            let found = match addresses(host, port, Some(family), self.list_limit) {
                Ok(found) => found,
                Err(ConnectError::UnknownHost(_)) => continue,
                Err(error) => return Err(Stop::failed(format!("{host}: {}", reason::of_connect(&error)))),
            };
            let endpoints: Vec<_> =
                found.into_iter().map(|address| Endpoint::inet(address, connectionless)).collect();
            let client = first(&endpoints, self.ping_limit);
            return client.map_err(|error| Stop::failed(format!("{host}: {}", reason::of_connect(&error))));
        }
        Err(unknown_host(host, protocol, known))
    }
}

/// The first that can be connected to.
fn first(endpoints: &[Endpoint], limit: Duration) -> Result<Client, ConnectError> {
    let share = limit / u32::try_from(endpoints.len()).unwrap_or(1).max(1);
    let mut last = ConnectError::TimedOut { what: "connecting".into(), limit };
    for endpoint in endpoints {
        match Client::connect(endpoint, share) {
            Ok(mut client) => {
                client.set_limit(limit);
                return Ok(client);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn unknown_host(host: &str, protocol: &str, known: bool) -> Stop {
    if known {
        Stop::failed(format!("{host}: RPC: Unknown host"))
    } else {
        Stop::failed(format!("Cannot find suitable transport for protocol {protocol}"))
    }
}

pub(super) fn no_contact(whose: &str, why: &str) -> Stop {
    Stop::failed(format!("rpcinfo: can't contact {whose}: {why}"))
}

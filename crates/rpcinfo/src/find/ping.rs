//! Calling procedure 0 of services (RFC 5531 section 12.1): one version, or all that the service says it has.

use oncrpc::bind::UniversalAddress;
use oncrpc::{Program, Version};
use rpcbind_client::{CallError, Client, Endpoint, lookup_within};

use super::{Finder, Stop, Tell};
use crate::arguments::Service;
use crate::found::{Answer, Found};
use crate::netconfig::Sockets;
use crate::reason;

/// The most versions of one program that are called: a service can claim to have all four thousand million.
const MAX_VERSIONS: u32 = 1024;

impl Finder<'_> {
    /// `-t` and `-u`: the first family that the host has.
    pub(super) fn ping_protocol(
        &self,
        protocol: &str,
        port: u16,
        host: &str,
        service: &Service,
        tell: &mut Tell<'_>,
    ) -> Result<(), Stop> {
        let (program, version) = self.numbers(service)?;
        let client = if port == 0 {
            let endpoint = self.service(host, program, version.unwrap_or_default(), protocol)?;
            Client::connect(&endpoint, self.ping_limit)
                .map_err(|error| Stop::failed(format!("{host}: {}", reason::of_connect(&error))))?
        } else {
            self.port(host, port, protocol)?
        };
        self.ping(client, program, version, tell)
    }

    /// `-T`: one transport.
    pub(super) fn ping_netid(
        &self,
        netid: &str,
        host: &str,
        service: &Service,
        tell: &mut Tell<'_>,
    ) -> Result<(), Stop> {
        let (program, version) = self.numbers(service)?;
        self.transport(netid)?;
        let failed = |why: &str| Stop::failed(format!("rpcinfo: {why}"));
        let found = lookup_within(host, program, version.unwrap_or_default(), netid, self.list_limit);
        let endpoint = match found {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => return Err(failed(reason::NOT_REGISTERED)),
            Err(error) => return Err(failed(&reason::of_lookup(&error))),
        };
        let client = self.connect(&endpoint)?;
        self.ping(client, program, version, tell)
    }

    /// `-a`: one address, without asking a port mapper.
    pub(super) fn ping_address(
        &self,
        address: &str,
        netid: &str,
        service: &Service,
        tell: &mut Tell<'_>,
    ) -> Result<(), Stop> {
        let sockets = self.transport(netid)?;
        let (program, version) = self.numbers(service)?;
        let parsed = sockets.and_then(|sockets| {
            let (family, connectionless) = match sockets {
                Sockets::Udp(family) => (family, true),
                Sockets::Tcp(family) => (family, false),
                Sockets::Local => (oncrpc::bind::Family::Local, false),
            };
            let parsed = UniversalAddress::parse(address.as_bytes(), family)?;
            Some(Endpoint::from_universal(&parsed, connectionless))
        });
        let Some(endpoint) = parsed else {
            return Err(Stop::failed("rpcinfo: rpcinfo: no address for client handle"));
        };
        let client = self.connect(&endpoint)?;
        self.ping(client, program, version, tell)
    }

    fn numbers(&self, service: &Service) -> Result<(Program, Option<Version>), Stop> {
        let program = self.program(&service.program)?;
        Ok((program, service.version.as_deref().map(Self::version).transpose()?))
    }

    fn transport(&self, netid: &str) -> Result<Option<Sockets>, Stop> {
        match self.known.netconfig.find(netid) {
            Some(transport) => Ok(transport.sockets()),
            None => Err(Stop::failed(format!("rpcinfo: Could not find {netid}"))),
        }
    }

    fn connect(&self, endpoint: &Endpoint) -> Result<Client, Stop> {
        Client::connect(endpoint, self.ping_limit)
            .map_err(|error| Stop::failed(format!("rpcinfo: {}", reason::of_connect(&error))))
    }

    /// Calls the version, or all versions of the range that a version which should not exist makes the service tell.
    fn ping(
        &self,
        mut client: Client,
        program: Program,
        version: Option<Version>,
        tell: &mut Tell<'_>,
    ) -> Result<(), Stop> {
        client.set_limit(self.ping_limit);
        let mut call = |version: u32| client.null(program, Version(version));
        let mut told = |version: u32, result: Result<(), CallError>| {
            let error = result.as_ref().err().map(reason::of_call);
            tell(Found::Answer(Answer { program: program.0, version, available: result.is_ok(), error }))?;
            result.map_err(|_| Stop::Unavailable)
        };
        if let Some(Version(version)) = version {
            return told(version, call(version));
        }
        let (low, high) = match range(&mut call) {
            Ok(range) => range,
            Err((version, error)) => return told(version, Err(error)),
        };
        let mut outcome = Ok(());
        for version in (low..=high).take(MAX_VERSIONS as usize) {
            match told(version, call(version)) {
                Err(Stop::Unavailable) => outcome = Err(Stop::Unavailable),
                result => result?,
            }
        }
        if high.checked_sub(low).is_some_and(|more| more >= MAX_VERSIONS) {
            let claim = format!("program {program} claims to have versions {low} to {high}");
            return Err(Stop::failed(format!("rpcinfo: {claim}: only {MAX_VERSIONS} were called")));
        }
        outcome
    }
}

/// The versions that a service says it has; what else it said to which version.
fn range(call: &mut impl FnMut(u32) -> Result<(), CallError>) -> Result<(u32, u32), (u32, CallError)> {
    for version in [0, u32::MAX] {
        match call(version) {
            Ok(()) => {}
            Err(CallError::ProgramMismatch { low, high }) => return Ok((low, high)),
            Err(error) => return Err((version, error)),
        }
    }
    Ok((0, u32::MAX))
}

//! What port mappers tell: rows, addresses, statistics; and the one thing that is changed, by `-d`.

use oncrpc::bind::{self, Rpcb};
use rpcbind_client::{CallError, PortMapper, RpcbVersion};

use super::contact::no_contact;
use super::liveness::Services;
use super::{Finder, Stop};
use crate::found::{Address, Found, Lookups, Mapping, Program, RemoteCalls, Row, VersionStatistics};
use crate::reason;

/// The owner that a caller names means nothing; UNSET carries a number as other libraries send it.
const OWNER: &[u8] = b"0";

impl Finder<'_> {
    /// All rows, by version 3, or by what else is served. A port mapper that serves no known version has none.
    pub(super) fn rows(&self, host: Option<&str>, netid: Option<&str>, short: bool) -> Result<Found, Stop> {
        let mut mapper = match host {
            None => self.here("rpcbind")?,
            Some(host) => self.there(host, netid)?.0,
        };
        let rows = match mapper.dump() {
            Ok(rows) => rows,
            Err(CallError::ProgramMismatch { .. } | CallError::ProgramUnavailable) => Vec::new(),
            Err(error) => return Err(unanswered(&error)),
        };
        let known = Services::told(host, &mut mapper, self.list_limit);
        let row = |row: rpcbind_client::Row| Row {
            known: known.of_row(&row),
            program: row.program.0,
            version: row.version.0,
            netid: crate::escape::Text(row.netid),
            address: crate::escape::Text(row.address),
            service: self.name(row.program),
            owner: crate::escape::Text(row.owner),
        };
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        Ok(if short { Found::Programs(Program::gather(rows)) } else { Found::Rows(rows) })
    }

    /// All rows of version 2.
    pub(super) fn mappings(&self, host: Option<&str>) -> Result<Found, Stop> {
        let mut mapper = match host {
            None => self.here("portmapper")?,
            Some(host) => {
                let endpoint = self.service(host, bind::PROGRAM, bind::V2, "tcp")?;
                PortMapper::connect(&endpoint, self.list_limit)
                    .map_err(|error| Stop::failed(format!("{host}: {}", reason::of_connect(&error))))?
            }
        };
        let mappings = mapper.mappings().map_err(|error| match error {
            CallError::ProgramMismatch { low, .. } if low > bind::V2.0 => {
                let host = host.unwrap_or("(null)");
                Stop::failed(format!("{host} does not support portmapper.  Try rpcinfo {host} instead"))
            }
            CallError::ProgramMismatch { .. } | CallError::ProgramUnavailable => Stop::failed(""),
            error => no_contact("portmapper", &reason::of_call(&error)),
        })?;
        let known = Services::told(host, &mut mapper, self.list_limit);
        let mapping = |mapping: bind::Mapping| Mapping {
            known: known.of_mapping(&mapping),
            program: mapping.program.0,
            version: mapping.version.0,
            protocol: mapping.protocol.0,
            port: mapping.port,
            service: self.name(mapping.program),
        };
        Ok(Found::Mappings(mappings.iter().map(mapping).collect()))
    }

    /// The addresses of one service. The port mapper is told by which of its addresses it was reached.
    pub(super) fn addresses(
        &self,
        host: &str,
        netid: Option<&str>,
        program: &str,
        version: &str,
    ) -> Result<Found, Stop> {
        let (mut mapper, netid) = self.there(host, netid)?;
        let (program, version) = (self.program(program)?, Self::version(version)?);
        let hint = mapper.endpoint().universal();
        let (netid, address) = (netid.as_bytes(), hint.as_bytes());
        let entries = mapper
            .entries(&Rpcb { program, version, netid, address, owner: b"" })
            .map_err(|error| unanswered(&error))?;
        let address = |entry: bind::Entry<'_>| Address {
            netid: entry.netid.into(),
            family: entry.family.into(),
            protocol: entry.protocol.into(),
            semantics: entry.semantics,
            address: entry.address.into(),
        };
        Ok(Found::Addresses {
            program: program.0,
            version: version.0,
            service: self.name(program),
            addresses: entries.iter().map(address).collect(),
        })
    }

    /// The port mapper's statistics.
    pub(super) fn statistics(&self, host: Option<&str>) -> Result<Found, Stop> {
        let mut mapper = match host {
            None => self.here("rpcbind")?,
            Some(host) => self.there(host, None)?.0,
        };
        let statistics = mapper.statistics().map_err(|error| unanswered(&error))?;
        let tables = statistics.versions();
        let versions = tables.iter().zip([bind::V2, bind::V3, bind::V4]);
        Ok(Found::Statistics(
            versions.map(|(table, version)| self.version_statistics(version.0, table)).collect(),
        ))
    }

    fn version_statistics(
        &self,
        version: u32,
        table: &rpcbind_client::VersionStatistics<'_>,
    ) -> VersionStatistics {
        let lookups = |one: &bind::stat::AddressCount<'_>| Lookups {
            program: one.program.0,
            version: one.version.0,
            netid: one.netid.into(),
            service: self.name(one.program),
            success: one.success,
            failure: one.failure,
        };
        let remote_calls = |one: &bind::stat::RemoteCount<'_>| RemoteCalls {
            program: one.program.0,
            version: one.version.0,
            procedure: one.procedure.0,
            netid: one.netid.into(),
            service: self.name(one.program),
            success: one.success,
            failure: one.failure,
            indirect: one.indirect,
        };
        VersionStatistics {
            version,
            calls: table.counters.calls.to_vec(),
            set: table.counters.set,
            unset: table.counters.unset,
            lookups: table.addresses.iter().map(lookups).collect(),
            remote_calls: table.remote.iter().map(remote_calls).collect(),
        }
    }

    /// Unregisters a service of this host, on one transport or on all.
    pub(super) fn delete(&self, netid: Option<&str>, program: &str, version: &str) -> Result<Found, Stop> {
        if let Some(netid) = netid
            && self.known.netconfig.find(netid).is_none()
        {
            return Err(Stop::failed(format!("rpcinfo: netid {netid} not supported")));
        }
        let refused = || {
            let what = format!("prog {program} version {version}");
            Stop::failed(format!("rpcinfo: Could not delete registration for {what}"))
        };
        let row = Rpcb {
            version: Self::version(version)?,
            program: self.program(program)?,
            netid: netid.unwrap_or_default().as_bytes(),
            address: b"",
            owner: OWNER,
        };
        let mut mapper = PortMapper::local(self.list_limit).map_err(|_| refused())?;
        match mapper.unset(RpcbVersion::V3, &row) {
            Ok(true) => Ok(Found::Deleted { program: row.program.0, version: row.version.0 }),
            Ok(false) | Err(_) => Err(refused()),
        }
    }
}

/// A port mapper that was reached and did not answer. Two colons, as ever.
fn unanswered(error: &CallError) -> Stop {
    no_contact("rpcbind", &format!(": {}", reason::of_call(error)))
}

//! What our own port mapper knows of the services behind its rows: asked on its host only, after the list, and done
//! without wherever it is not told. It must never keep the list from being shown.

use std::collections::HashMap;
use std::time::Duration;

use oncrpc::bind::status::{self, RowStatus};
use oncrpc::bind::{Family, Mapping, Protocol, UniversalAddress};
use rpcbind_client::{DaemonStatus, PortMapper};

use crate::found::{Known, Liveness};

/// How long the answer is waited for.
const LIMIT: Duration = Duration::from_secs(2);

/// Program, version and netid: there is one row of each.
type Key = (u32, u32, Vec<u8>);

/// What is known of the services, each at one address.
#[derive(Debug, Default)]
pub(super) struct Services {
    known: HashMap<Key, (Vec<u8>, Known)>,
}

impl Services {
    /// Asks this host's port mapper, once its list is there; with a `host` named nothing is asked.
    pub(super) fn told(host: Option<&str>, mapper: &mut PortMapper, limit: Duration) -> Self {
        if host.is_some() {
            return Self::default();
        }
        mapper.set_limit(limit.min(LIMIT));
        // Other port mappers do not have this program, and have said all that they know.
        mapper.daemon_status().map(|status| Self::of(&status)).unwrap_or_default()
    }

    fn of(status: &DaemonStatus) -> Self {
        let now = status.head().map_or(0, |head| head.clock_seconds);
        let entry = |row: RowStatus<'_>| {
            let liveness = match row.liveness {
                status::Liveness::NotJudged => return None,
                status::Liveness::Alive => Liveness::Alive,
                status::Liveness::Dead => Liveness::Dead,
            };
            let seconds = now.saturating_sub(row.since_seconds);
            let known = Known { liveness: Some(liveness), liveness_seconds: Some(seconds) };
            let key = (row.program.0, row.version.0, row.netid.to_vec());
            Some((key, (row.address.to_vec(), known)))
        };
        Self { known: status.rows().filter_map(entry).collect() }
    }

    fn find(&self, key: &Key, is_same: impl Fn(&[u8]) -> bool) -> Known {
        let found = self.known.get(key).filter(|(address, _)| is_same(address));
        found.map(|(_, known)| *known).unwrap_or_default()
    }

    /// What is known of a row. One that was registered anew since the list was read is another one.
    pub(super) fn of_row(&self, row: &rpcbind_client::Row) -> Known {
        let key = (row.program.0, row.version.0, row.netid.to_vec());
        self.find(&key, |address| *address == *row.address)
    }

    /// What is known of a row of version 2.
    pub(super) fn of_mapping(&self, mapping: &Mapping) -> Known {
        let netid = match mapping.protocol {
            Protocol::UDP => "udp",
            Protocol::TCP => "tcp",
            _ => return Known::default(),
        };
        let port = |address: &[u8]| UniversalAddress::parse(address, Family::Inet)?.port().map(u32::from);
        let key = (mapping.program.0, mapping.version.0, netid.into());
        self.find(&key, |address| port(address) == Some(mapping.port))
    }
}

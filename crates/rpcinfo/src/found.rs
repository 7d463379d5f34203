//! What can be found, as data: text and JSON are both made from it.
//! Field names are the names in the JSON document, which `docs/json.md` describes.

use std::collections::{HashMap, HashSet};

use oncrpc::bind::Protocol;
use serde::Serialize;

use crate::audit::Audit;
use crate::escape::Text;

/// What the port mapper knows of the service behind a row. Only ours knows it, and tells it on its host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Whether the service is there; `None` when nothing is known.
    pub liveness: Option<Liveness>,
    /// For how long that has been known, in seconds.
    pub liveness_seconds: Option<u32>,
}

/// Whether a service is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// Something is bound at its address.
    Alive,
    /// Nothing is.
    Dead,
}

impl Known {
    /// Whether the service is known to be dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.liveness == Some(Liveness::Dead)
    }
}

/// One row of the port mapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Netid.
    pub netid: Text,
    /// Universal address.
    pub address: Text,
    /// The program's name.
    pub service: Option<String>,
    /// Owner.
    pub owner: Text,
    /// What is known of the service.
    #[serde(flatten)]
    pub known: Known,
}

/// One program with all its versions and transports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Program.
    pub program: u32,
    /// Its versions, the one seen last first.
    pub versions: Vec<u32>,
    /// Its netids, the one seen last first.
    pub netids: Vec<Text>,
    /// The program's name.
    pub service: Option<String>,
    /// The owner of its first row.
    pub owner: Text,
    /// Its rows whose service is dead; `None` when nothing is known of any.
    pub dead_rows: Option<u32>,
}

impl Program {
    /// Gathers rows by program, in the order in which programs appear.
    #[must_use]
    pub fn gather(rows: Vec<Row>) -> Vec<Self> {
        let mut programs: Vec<Self> = Vec::new();
        let (mut places, mut seen) = (HashMap::new(), HashSet::new());
        for row in rows {
            let place = *places.entry(row.program).or_insert_with(|| {
                programs.push(Self {
                    program: row.program,
                    versions: Vec::new(),
                    netids: Vec::new(),
                    service: row.service,
                    owner: row.owner,
                    dead_rows: None,
                });
                programs.len() - 1
            });
            let Some(program) = programs.get_mut(place) else { continue };
            if seen.insert((row.program, Ok(row.version))) {
                program.versions.push(row.version);
            }
            if seen.insert((row.program, Err(row.netid.clone()))) {
                program.netids.push(row.netid);
            }
            if row.known.liveness.is_some() {
                let dead = u32::from(row.known.is_dead());
                program.dead_rows = Some(program.dead_rows.unwrap_or(0).saturating_add(dead));
            }
        }
        for program in &mut programs {
            program.versions.reverse();
            program.netids.reverse();
        }
        programs
    }
}

/// One row of version 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// The protocol's number.
    pub protocol: u32,
    /// Port.
    pub port: u32,
    /// The program's name.
    pub service: Option<String>,
    /// What is known of the service.
    #[serde(flatten)]
    pub known: Known,
}

/// A protocol of version 2 as it is shown: its number where it is neither TCP nor UDP.
pub(crate) fn protocol_name(number: u32) -> String {
    match Protocol(number) {
        Protocol::TCP => "tcp".to_owned(),
        Protocol::UDP => "udp".to_owned(),
        Protocol(other) => other.to_string(),
    }
}

/// One address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Netid.
    pub netid: Text,
    /// Protocol family.
    pub family: Text,
    /// Protocol.
    pub protocol: Text,
    /// Semantics: 1 clts, 2 cots, 3 cots_ord, 4 raw.
    pub semantics: u32,
    /// Universal address.
    pub address: Text,
}

/// The statistics of one version of the port mapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionStatistics {
    /// Version.
    pub version: u32,
    /// Calls by procedure number, 0 to 12.
    pub calls: Vec<i32>,
    /// SETs that were granted.
    pub set: i32,
    /// UNSETs that were granted.
    pub unset: i32,
    /// Look-ups.
    pub lookups: Vec<Lookups>,
    /// Remote calls.
    pub remote_calls: Vec<RemoteCalls>,
}

/// How often one service was looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lookups {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Netid.
    pub netid: Text,
    /// The program's name.
    pub service: Option<String>,
    /// Look-ups that found something.
    pub success: i32,
    /// Look-ups that did not.
    pub failure: i32,
}

/// How often one procedure was called for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemoteCalls {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Procedure.
    pub procedure: u32,
    /// Netid.
    pub netid: Text,
    /// The program's name.
    pub service: Option<String>,
    /// Calls whose service was registered.
    pub success: i32,
    /// Calls whose service was not.
    pub failure: i32,
    /// Calls by INDIRECT.
    pub indirect: i32,
}

/// What one version of a service said to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Whether it answered.
    pub available: bool,
    /// Why not.
    pub error: Option<String>,
}

/// A host that answered a broadcast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// The service's universal address.
    pub address: Text,
    /// The host's name.
    pub host: Option<Text>,
}

/// Something found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// All rows.
    Rows(Vec<Row>),
    /// The programs among all rows.
    Programs(Vec<Program>),
    /// All rows of version 2.
    Mappings(Vec<Mapping>),
    /// The addresses of one service.
    Addresses {
        /// Program.
        program: u32,
        /// Version.
        version: u32,
        /// The program's name.
        service: Option<String>,
        /// Its addresses.
        addresses: Vec<Address>,
    },
    /// The statistics of versions 2, 3 and 4.
    Statistics(Vec<VersionStatistics>),
    /// One answer to a call; more may follow.
    Answer(Answer),
    /// One answer to a broadcast; more may follow.
    Reply(Reply),
    /// An audit.
    Audit(Audit),
    /// A service is not registered any more.
    Deleted {
        /// Program.
        program: u32,
        /// Version.
        version: u32,
    },
}

/// Why nothing, or nothing more, was found: the line for standard error, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

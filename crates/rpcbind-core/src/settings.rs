//! What the shell tells the core once at start, and again at a reload.

use crate::access::{AccessList, HostRules, Prefix};
use crate::caller::{Namespace, Transport};
use crate::limiter::Limits;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use oncrpc::bind::Netids;
use oncrpc::{Program, bind};

/// Everything that a [`Service`](crate::Service) is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The network namespace of our inet sockets, or our own when there is none.
    pub home: Namespace,
    /// The transports served, with the universal address to list for each, in the order of listing.
    pub own: Vec<OwnAddress>,
    /// The port that our inet sockets have: 111, but for tests and unprivileged use.
    pub port: u16,
    /// The netids that may be registered.
    pub netids: Netids,
    /// Caps on what grows.
    pub caps: Caps,
    /// Who may do what.
    pub policy: Policy,
    /// Unpredictable bits: where rows and prefixes are in their tables, so that nobody can crowd one.
    pub seed: [u64; 2],
}

/// One transport that program 100000 is listed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnAddress {
    /// The transport.
    pub transport: Transport,
    /// The universal address that DUMP shows.
    pub address: Box<str>,
}

/// Who may do what. Replaced as a whole by a reload.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Everybody may SET and UNSET over TCP (`-i`).
    pub insecure: bool,
    /// The uid that started the daemon when it was not root: it may register what is reserved.
    pub started_by: Option<u32>,
    /// Source ports below this one are root's: min(1024, `ip_unprivileged_port_start`).
    pub privileged_ports_below: u16,
    /// Who else may register what is reserved.
    pub grants: Vec<Grant>,
    /// The rules of hosts.allow and hosts.deny.
    pub hosts: HostRules,
    /// The rules of the configuration.
    pub access: AccessList,
    /// Prefixes that get whole replies over UDP.
    pub udp_full: Vec<UdpFull>,
    /// GETADDR believes a hint that has our port: the address that the client used in front of a NAT.
    pub nat: bool,
    /// How many replies a prefix of unverified sources gets; `None` for no limit.
    pub limits: Option<Limits>,
    /// What is done about services that are not there any more.
    pub liveness: LivenessRules,
}

/// What is done about services that are not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivenessRules {
    /// Time between two sweeps that judge every row.
    pub judge_every: Duration,
    /// Rows whose service has been dead for so long are removed; `None` for never.
    pub expire_dead: Option<Duration>,
}

impl Default for LivenessRules {
    fn default() -> Self {
        Self { judge_every: Duration::from_secs(30), expire_dead: None }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            insecure: false,
            started_by: None,
            privileged_ports_below: 1024,
            grants: Vec::new(),
            hosts: HostRules::default(),
            access: AccessList::default(),
            udp_full: Vec::new(),
            nat: true,
            limits: None,
            liveness: LivenessRules::default(),
        }
    }
}

/// A uid that may register reserved programs or ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The uid.
    pub uid: u32,
    /// The reserved programs that it may register.
    pub programs: Vec<Program>,
    /// The reserved ports that it may register.
    pub ports: Vec<u16>,
}

/// A prefix whose datagrams get replies longer than the request, when they arrive on this interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpFull {
    /// The sources.
    pub prefix: Prefix,
    /// The index of the interface.
    pub interface: u32,
}

/// Caps on the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Rows in all.
    pub rows: usize,
    /// Rows of one uid that is not root's.
    pub rows_per_uid: usize,
    /// Rows that only root finds free.
    pub rows_for_root: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { rows: 16_384, rows_per_uid: 256, rows_for_root: 1_024 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            home: Namespace(0),
            own: Vec::new(),
            port: bind::PORT,
            netids: Netids::default(),
            caps: Caps::default(),
            policy: Policy::default(),
            seed: [0; 2],
        }
    }
}

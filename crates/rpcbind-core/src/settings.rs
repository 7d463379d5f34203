//! What the shell tells the core once at start, and again at a reload.

use crate::access::{AccessList, HostRules, Prefix};
use crate::caller::{Namespace, Transport};
use crate::limiter::Limits;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::time::Duration;
use oncrpc::bind::Netids;
use oncrpc::{Procedure, Program, bind};

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
    /// What remote calls are made with; `None`: none is ever made.
    pub forwarding: Option<Forwarding>,
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
    /// What may be called for others, and how, where remote calls are made at all.
    pub remote_calls: RemoteRules,
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
            remote_calls: RemoteRules::default(),
        }
    }
}

/// What remote calls (CALLIT, BCAST, INDIRECT: RFC 1833 sections 2.2.1 and 3.2) are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// The port of the socket that services over IPv4 are called from; `None`: none is called.
    pub inet: Option<u16>,
    /// The same for IPv6.
    pub inet6: Option<u16>,
    /// Calls under way at a time. One more ends the oldest of those who have most of them, for somebody who has
    /// fewer; otherwise the new one is refused.
    pub calls: usize,
    /// Calls under way for one source: a /24 or /56 of datagrams, one of connections, or a uid on a unix socket. One
    /// more ends the source's oldest, but is refused while a sixteenth of `calls` have ended for others and wait to be
    /// taken out by [`Service::expire`](crate::Service::expire).
    pub calls_per_source: usize,
    /// Unpredictable bits that nothing else is made from: the xids of the calls come from them.
    pub seed: [u64; 2],
}

/// What may be called for others, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRules {
    /// What may be called. What harms is refused whatever is listed here.
    pub allowed: Vec<AllowedCalls>,
    /// Who the service is told that calls.
    pub credentials: Credentials,
    /// How long a service may take to answer.
    pub expiry: Duration,
}

/// Procedures that may be called for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedCalls {
    /// The numbers of the programs.
    pub programs: RangeInclusive<u32>,
    /// The procedure; `None`: every one.
    pub procedure: Option<Procedure>,
}

/// Who a service is told that calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody: AUTH_NONE.
    #[default]
    Nobody,
    /// Whoever the caller says it is: its AUTH_SYS with a new time stamp, which the service sees come from this host.
    Claimed,
}

impl RemoteRules {
    /// What may be called where nothing else is said: NULL of every program, what finds NIS servers (ypserv's DOMAIN
    /// and DOMAIN_NONACK) and boot servers (bootparam's WHOAMI), and programs that are not well known (RFC 5531
    /// section 8.3 keeps the numbers below 0x20000000 for those that are).
    #[must_use]
    pub fn default_calls() -> Vec<AllowedCalls> {
        let one = |program, procedure| AllowedCalls {
            programs: program..=program,
            procedure: Some(Procedure(procedure)),
        };
        vec![
            AllowedCalls { programs: 0..=u32::MAX, procedure: Some(Procedure::NULL) },
            one(100_004, 1),
            one(100_004, 2),
            one(100_026, 1),
            AllowedCalls { programs: 0x2000_0000..=u32::MAX, procedure: None },
        ]
    }
}

impl Default for RemoteRules {
    fn default() -> Self {
        let expiry = Duration::from_secs(10);
        Self { allowed: Self::default_calls(), credentials: Credentials::Nobody, expiry }
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

/// A prefix whose datagrams get replies longer than the request, when they arrive on this interface: on whichever has
/// the name at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpFull {
    /// The sources.
    pub prefix: Prefix,
    /// The name of the interface.
    pub interface: String,
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
            forwarding: None,
        }
    }
}

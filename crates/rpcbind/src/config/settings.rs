//! The checked settings of a daemon: plain data, from the command line, the configuration file and the defaults.

use oncrpc::bind::Netids;
use rpcbind_core::access::AccessList;
use rpcbind_core::limiter::Limits;
use rpcbind_core::settings::{Caps, Grant, LivenessRules, RemoteRules, UdpFull};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything that the daemon is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Print all that is wrong and exit (`--check`).
    pub check: bool,
    /// Stay in the foreground (`-f`).
    pub foreground: bool,
    /// How often `-d` was given: 0 to 255.
    pub debug: u8,
    /// Abort with a core dump on an internal error (`-a` with `-d`).
    pub abort: bool,
    /// Make remote calls (`-r`).
    pub remote_calls: bool,
    /// Caps on remote calls.
    pub remote_caps: RemoteCaps,
    /// The addresses at which UDP and TCP are served. Never empty, none twice.
    pub listen: Vec<Listen>,
    /// Whether addresses were named by `-h` or `listen`: inherited sockets are used regardless, with a warning.
    pub listen_is_given: bool,
    /// The port of `listen`; 0 is any.
    pub port: u16,
    /// The path socket; `None`: none.
    pub socket: Option<UnixSocket<PathBuf>>,
    /// The abstract socket, its name without `@`; `None`: none.
    pub abstract_socket: Option<UnixSocket<String>>,
    /// Open the UDP and TCP sockets that were not inherited.
    pub open_missing: bool,
    /// Run although a socket cannot be opened.
    pub allow_partial: bool,
    /// Run as user `daemon` once the sockets are open (`-s`), else as the first of `_rpc`, `rpc` and `daemon`.
    pub daemon_user: bool,
    /// The uid to run as where there is no such user; never 0.
    pub user: Option<u32>,
    /// Where registrations are kept between two runs. Absolute.
    pub state_directory: PathBuf,
    /// The netids that may be registered.
    pub netids: Netids,
    /// Caps on registrations.
    pub caps: Caps,
    /// Caps on connections.
    pub connections: ConnectionCaps,
    /// What may change while the daemon runs.
    pub reloadable: Reloadable,
}

/// The settings that a reload changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloadable {
    /// Log each call over UDP and TCP (`-l`).
    pub log_connections: bool,
    /// Callers on any host may register over TCP (`-i`).
    pub insecure: bool,
    /// A fault in the hosts files is fatal at start, and keeps the older rules later.
    pub strict_hosts: bool,
    /// Believe a client's hint about the address in front of a NAT.
    pub nat: bool,
    /// Who, besides root and system users, may register what is reserved.
    pub grants: Vec<Grant>,
    /// Access rules, `dump-from` included.
    pub access: AccessList,
    /// Who gets whole replies over UDP. Whether there are interfaces of these names is not known yet.
    pub udp_full: Vec<UdpFull>,
    /// How many replies over UDP a prefix of unverified sources gets.
    pub replies: Limits,
    /// What is done about services that are not there any more.
    pub liveness: LivenessRules,
    /// Which remote calls are made, and how.
    pub remote_calls: RemoteRules,
}

/// An address to be served at, over UDP and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Go on where the host does not have this address or its family. (When somebody else has the port, that is an
    /// error all the same.)
    pub may_be_absent: bool,
}

/// A unix socket to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket<Name> {
    /// Its path or name, at most 107 bytes.
    pub name: Name,
    /// Whether it was named by flag or file. Without root a default one that cannot be opened is left out.
    pub is_given: bool,
}

/// Caps on connections. What the limit of descriptors leaves may be less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCaps {
    /// TCP connections in all.
    pub tcp: usize,
    /// Unix connections in all.
    pub unix: usize,
    /// Unix connections of one uid that is not root's.
    pub unix_per_uid: usize,
}

/// Caps on remote calls under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteCaps {
    /// In all.
    pub calls: usize,
    /// For one prefix of callers, or one user.
    pub calls_per_source: usize,
}

impl Settings {
    /// The keys that `newer` sets differently and that only a restart changes.
    #[must_use]
    pub fn restart_needed(&self, newer: &Self) -> Vec<&'static str> {
        use super::entries as key;
        let changes = [
            (&key::LISTEN, self.listen != newer.listen && self.port == newer.port),
            (&key::PORT, self.port != newer.port),
            (&key::SOCKET, self.socket != newer.socket),
            (&key::ABSTRACT_SOCKET, self.abstract_socket != newer.abstract_socket),
            (&key::OPEN_MISSING, self.open_missing != newer.open_missing),
            (&key::ALLOW_PARTIAL, self.allow_partial != newer.allow_partial),
            (&key::USER, self.user != newer.user),
            (&key::STATE_DIRECTORY, self.state_directory != newer.state_directory),
            (&key::REMOTE_CALLS, self.remote_calls != newer.remote_calls),
            (&key::REMOTE_CALLS_MAX, self.remote_caps.calls != newer.remote_caps.calls),
            (
                &key::REMOTE_CALLS_PER_SOURCE,
                self.remote_caps.calls_per_source != newer.remote_caps.calls_per_source,
            ),
            (&key::NETID, self.netids != newer.netids),
            (&key::ROWS, self.caps.rows != newer.caps.rows),
            (&key::ROWS_PER_USER, self.caps.rows_per_uid != newer.caps.rows_per_uid),
            (&key::TCP_CONNECTIONS, self.connections.tcp != newer.connections.tcp),
            (&key::UNIX_CONNECTIONS, self.connections.unix != newer.connections.unix),
            (
                &key::UNIX_CONNECTIONS_PER_USER,
                self.connections.unix_per_uid != newer.connections.unix_per_uid,
            ),
        ];
        changes.into_iter().filter(|(_, is_change)| *is_change).map(|(entry, _)| entry.key).collect()
    }
}

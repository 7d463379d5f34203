//! Opening the daemon's own sockets, with errors that say who is in the way and what to type.
//! Datagram sockets never share their port (no SO_REUSEADDR, no SO_REUSEPORT); IPv6 sockets are IPv6 only.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::holder::{Holder, Table};
use super::os;

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;
/// What the kernel may hold of replies for one TCP connection; it doubles the number, would go up to 4 MiB by itself,
/// and allows no more than this unless it is told to. A list of ten thousand programs fits, so it is written at once.
const SEND_BUFFER: usize = 208 * 1024;
/// What it may hold of calls; it doubles this, too. Calls are short, and a long one comes in pieces. With this, as many
/// connections as there can be, all full, take 96 MiB.
const RECEIVE_BUFFER: usize = 4 * 1024;
/// How long it goes on offering what the peer does not take, after the end of the connection too: otherwise somebody
/// who never reads leaves buffers behind with every connection, for minutes.
const GIVE_UP_AFTER_MS: u32 = 10_000;

/// What the daemon is to be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// UDP at an address and port.
    Udp(SocketAddr),
    /// TCP at an address and port.
    Tcp(SocketAddr),
    /// A unix stream socket in the file system.
    Path(PathBuf),
    /// A unix stream socket with an abstract name, without the leading zero byte.
    Abstract(Vec<u8>),
}

/// A socket of the daemon: bound, non-blocking, closed on exec, and listening when it is a stream's.
#[derive(Debug)]
pub(crate) struct Socket {
    /// The descriptor.
    pub(crate) descriptor: OwnedFd,
    /// The address that it has: the port is the real one.
    pub(crate) endpoint: Endpoint,
    /// An IPv6 socket that takes IPv4 too. Only inherited ones are.
    pub(crate) dual_stack: bool,
    /// It was passed by whoever started us, or is stored there: it outlives this run.
    pub(crate) inherited: bool,
}

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has the address.
    #[error("{endpoint} is taken by {holder}: {}", holder.remedy())]
    Taken {
        /// The address wanted.
        endpoint: Endpoint,
        /// Who has it.
        holder: Holder,
    },
    /// Somebody else has the address, and nobody is seen.
    #[error("{endpoint} is taken by a process that cannot be seen from here: as root, type ss -lnp")]
    TakenByUnseen {
        /// The address wanted.
        endpoint: Endpoint,
    },
    /// The host has no such address family, or not this address of it.
    #[error("{endpoint}: this host has no such address ({source})")]
    Absent {
        /// The address wanted.
        endpoint: Endpoint,
        /// What the kernel said.
        source: Errno,
    },
    /// Not without privilege.
    #[error("{endpoint} may not be opened by this user ({source})")]
    Denied {
        /// The address wanted.
        endpoint: Endpoint,
        /// What the kernel said.
        source: Errno,
    },
    /// The path is not a socket's.
    #[error("{} exists and is not a socket: move it away", path.display())]
    NotASocket {
        /// The path wanted.
        path: PathBuf,
    },
    /// Everything else.
    #[error("{endpoint}: cannot {step}: {source}")]
    System {
        /// The address wanted.
        endpoint: Endpoint,
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: Errno,
    },
}

impl Endpoint {
    /// The address, when it is one of UDP or TCP.
    pub(crate) fn inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(address) | Self::Tcp(address) => Some(*address),
            Self::Path(_) | Self::Abstract(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp {address}"),
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Path(path) => write!(f, "unix {}", path.display()),
            Self::Abstract(name) => write!(f, "unix @{}", name.escape_ascii()),
        }
    }
}

impl OpenError {
    /// An error of a step towards an address, as what it means.
    fn at(endpoint: &Endpoint, step: &'static str, source: Errno) -> Self {
        let endpoint = endpoint.clone();
        match source {
            Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL | Errno::PROTONOSUPPORT => {
                Self::Absent { endpoint, source }
            }
            Errno::ACCESS | Errno::PERM => Self::Denied { endpoint, source },
            Errno::ADDRINUSE => match holder(&endpoint) {
                Some(holder) => Self::Taken { endpoint, holder },
                None => Self::TakenByUnseen { endpoint },
            },
            _ => Self::System { endpoint, step, source },
        }
    }
}

fn holder(endpoint: &Endpoint) -> Option<Holder> {
    match endpoint {
        Endpoint::Udp(address) => Holder::of_address(Table::Udp, *address),
        Endpoint::Tcp(address) => Holder::of_address(Table::Tcp, *address),
        Endpoint::Path(_) | Endpoint::Abstract(_) => unix_holder(&unix_address(endpoint).ok()?).ok(),
    }
}

/// Opens a socket at an address: bound, and listening when it is a stream's.
///
/// # Errors
/// [`OpenError`]; with `Absent` for an IPv6 address the daemon may go on without.
pub(crate) fn open(endpoint: Endpoint) -> Result<Socket, OpenError> {
    match endpoint {
        Endpoint::Udp(address) | Endpoint::Tcp(address) => open_inet(endpoint, address),
        Endpoint::Path(ref path) => {
            let path = path.clone();
            open_path(endpoint, &path)
        }
        Endpoint::Abstract(_) => open_unix(endpoint),
    }
}

fn open_inet(endpoint: Endpoint, address: SocketAddr) -> Result<Socket, OpenError> {
    let failed = |step| {
        let endpoint = &endpoint;
        move |errno| OpenError::at(endpoint, step, errno)
    };
    let stream = matches!(endpoint, Endpoint::Tcp(_));
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if stream { SocketType::STREAM } else { SocketType::DGRAM };
    let descriptor =
        rustix::net::socket_with(family, kind, flags(), None).map_err(failed("make a socket"))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&descriptor, true).map_err(failed("make it IPv6 only"))?;
    }
    if stream {
        // Connections of the daemon before may still be closing.
        sockopt::set_socket_reuseaddr(&descriptor, true).map_err(failed("set SO_REUSEADDR"))?;
    }
    rustix::net::bind(&descriptor, &address).map_err(failed("bind"))?;
    if stream {
        shape_connections(&descriptor).map_err(failed("limit its buffers"))?;
        rustix::net::listen(&descriptor, BACKLOG).map_err(failed("listen"))?;
    } else {
        os::want_packet_info(&descriptor, address, false).map_err(|error| {
            failed("ask for packet information")(Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })?;
    }
    let bound = rustix::net::getsockname(&descriptor)
        .and_then(SocketAddr::try_from)
        .map_err(failed("read its address"))?;
    let endpoint = if stream { Endpoint::Tcp(bound) } else { Endpoint::Udp(bound) };
    Ok(Socket { descriptor, endpoint, dual_stack: false, inherited: false })
}

/// Gives a TCP listener what its connections inherit: buffers of a limited size, an end to offering what nobody takes,
/// and no waiting for more to send (what is written is whole replies).
///
/// # Errors
/// The system call's.
pub(super) fn shape_connections(listener: &OwnedFd) -> Result<(), Errno> {
    sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER)?;
    sockopt::set_socket_recv_buffer_size(listener, RECEIVE_BUFFER)?;
    sockopt::set_tcp_user_timeout(listener, GIVE_UP_AFTER_MS)?;
    sockopt::set_tcp_nodelay(listener, true)
}

fn flags() -> SocketFlags {
    SocketFlags::CLOEXEC | SocketFlags::NONBLOCK
}

fn unix_address(endpoint: &Endpoint) -> Result<SocketAddrUnix, Errno> {
    match endpoint {
        Endpoint::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
        Endpoint::Path(path) => SocketAddrUnix::new(path),
        Endpoint::Udp(_) | Endpoint::Tcp(_) => Err(Errno::AFNOSUPPORT),
    }
}

/// A path socket: one that nobody listens at any more is replaced.
fn open_path(endpoint: Endpoint, path: &Path) -> Result<Socket, OpenError> {
    match open_unix(endpoint.clone()) {
        Err(OpenError::TakenByUnseen { .. }) => {}
        other => return other,
    }
    let file = fs::symlink_metadata(path);
    if file.as_ref().is_ok_and(|file| !file.file_type().is_socket()) {
        return Err(OpenError::NotASocket { path: path.into() });
    }
    let stale = unix_address(&endpoint).and_then(|address| match unix_holder(&address) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
        Ok(_) => Err(Errno::ADDRINUSE),
    });
    stale.map_err(|errno| OpenError::at(&endpoint, "connect to the socket there", errno))?;
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => open_unix(endpoint),
        Err(errno) => Err(OpenError::at(&endpoint, "remove the stale socket", errno)),
    }
}

fn open_unix(endpoint: Endpoint) -> Result<Socket, OpenError> {
    let failed = |step| {
        let endpoint = &endpoint;
        move |errno| OpenError::at(endpoint, step, errno)
    };
    let address = unix_address(&endpoint).map_err(failed("use this name"))?;
    let descriptor = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags(), None)
        .map_err(failed("make a socket"))?;
    rustix::net::bind(&descriptor, &address).map_err(failed("bind"))?;
    if let Endpoint::Path(path) = &endpoint {
        // Everybody may ask, whatever the umask; nobody can connect before it listens.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))
            .map_err(|error| failed("set its mode")(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    }
    rustix::net::listen(&descriptor, BACKLOG).map_err(failed("listen"))?;
    Ok(Socket { descriptor, endpoint, dual_stack: false, inherited: false })
}

/// Whether anybody listens at a path. It does not wait, also where the queue of connections is full.
pub(crate) fn is_listened_at(path: &Path) -> bool {
    SocketAddrUnix::new(path).is_ok_and(|address| unix_holder(&address).is_ok())
}

/// Who listens at a unix address, by connecting to it: the kernel keeps who called listen.
fn unix_holder(address: &SocketAddrUnix) -> Result<Holder, Errno> {
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags(), None)?;
    match rustix::net::connect(&probe, address) {
        Ok(()) => {}
        // Somebody listens and does not accept.
        Err(Errno::AGAIN) => return Ok(Holder { pid: None, name: None }),
        Err(errno) => return Err(errno),
    }
    let peer = getsockopt(&probe, PeerCredentials).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    Ok(u32::try_from(peer.pid()).map_or(Holder { pid: None, name: None }, Holder::of_process))
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Removes a path socket that we made, at the end. One that somebody else has put there since stays, and so does one
/// whose directory is no longer ours to change.
pub(crate) fn remove(socket: &Socket) -> io::Result<()> {
    match &socket.endpoint {
        Endpoint::Path(path) if !socket.inherited => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

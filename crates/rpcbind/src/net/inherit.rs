//! Sockets passed by whoever started us (`LISTEN_FDS`), recognised by what the kernel says about them and never by
//! their names: any mix, dual-stack ones too. One that cannot be served is an error; it must never be left unanswered.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, ipproto, sockopt};

use super::listen::{Endpoint, Socket, shape_connections};
use super::os;

/// A descriptor that was passed and cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("inherited descriptor {descriptor}: {fault}")]
pub(crate) struct InheritError {
    /// Its number.
    pub(crate) descriptor: RawFd,
    /// What is wrong with it.
    pub(crate) fault: InheritFault,
}

/// What is wrong with a passed descriptor.
#[derive(Debug)]
pub(crate) enum InheritFault {
    /// It is not a socket.
    NotASocket,
    /// It is a stream that does not listen.
    NotListening,
    /// It is of another family or kind than the five that are served.
    Kind,
    /// It has no address.
    NotBound,
    /// The kernel refused a step.
    System(&'static str, Errno),
}

impl fmt::Display for InheritFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASocket => f.write_str("not a socket"),
            Self::NotListening => f.write_str("a stream socket that does not listen"),
            Self::Kind => f.write_str("neither udp, nor tcp, nor a unix stream socket"),
            Self::NotBound => f.write_str("not bound to an address"),
            Self::System(step, errno) => write!(f, "cannot {step}: {errno}"),
        }
    }
}

/// Makes a passed descriptor a socket of the daemon: looks what it is, makes it non-blocking and closed on exec.
///
/// # Errors
/// [`InheritError`], naming the descriptor.
pub(crate) fn recognise(descriptor: OwnedFd) -> Result<Socket, InheritError> {
    let number = descriptor.as_raw_fd();
    inspect(descriptor).map_err(|fault| InheritError { descriptor: number, fault })
}

fn inspect(descriptor: OwnedFd) -> Result<Socket, InheritFault> {
    let failed = |step| move |errno| InheritFault::System(step, errno);
    let kind = sockopt::socket_type(&descriptor).map_err(|errno| match errno {
        Errno::NOTSOCK => InheritFault::NotASocket,
        errno => InheritFault::System("read its type", errno),
    })?;
    let name = rustix::net::getsockname(&descriptor).map_err(failed("read its address"))?;
    let endpoint = endpoint(&name, kind)?;
    let mut dual_stack = false;
    if let Endpoint::Udp(address) | Endpoint::Tcp(address) = &endpoint {
        if address.port() == 0 {
            return Err(InheritFault::NotBound);
        }
        dual_stack = address.is_ipv6()
            && !sockopt::ipv6_v6only(&descriptor).map_err(failed("read IPV6_V6ONLY"))?
            && (address.ip().is_unspecified() || address.ip().to_canonical().is_ipv4());
    }
    if let Endpoint::Udp(address) = &endpoint {
        if sockopt::socket_protocol(&descriptor).map_err(failed("read its protocol"))? != Some(ipproto::UDP) {
            return Err(InheritFault::Kind);
        }
        os::want_packet_info(&descriptor, *address, dual_stack).map_err(|error| {
            InheritFault::System(
                "ask for packet information",
                Errno::from_io_error(&error).unwrap_or(Errno::IO),
            )
        })?;
    } else if !sockopt::socket_acceptconn(&descriptor).map_err(failed("read whether it listens"))? {
        return Err(InheritFault::NotListening);
    } else if matches!(endpoint, Endpoint::Tcp(_)) {
        shape_connections(&descriptor).map_err(failed("limit its buffers"))?;
    }
    rustix::io::ioctl_fionbio(&descriptor, true).map_err(failed("make it non-blocking"))?;
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC).map_err(failed("close it on exec"))?;
    Ok(Socket { descriptor, endpoint, dual_stack, inherited: true })
}

fn endpoint(name: &SocketAddrAny, kind: SocketType) -> Result<Endpoint, InheritFault> {
    match name.address_family() {
        AddressFamily::INET | AddressFamily::INET6 => {
            let address = SocketAddr::try_from(name.clone()).map_err(|_| InheritFault::Kind)?;
            match kind {
                SocketType::DGRAM => Ok(Endpoint::Udp(address)),
                SocketType::STREAM => Ok(Endpoint::Tcp(address)),
                _ => Err(InheritFault::Kind),
            }
        }
        AddressFamily::UNIX if kind == SocketType::STREAM => {
            let address = SocketAddrUnix::try_from(name.clone()).map_err(|_| InheritFault::Kind)?;
            if let Some(name) = address.abstract_name() {
                return Ok(Endpoint::Abstract(name.to_vec()));
            }
            let path = address.path().ok_or(InheritFault::NotBound)?;
            Ok(Endpoint::Path(std::ffi::OsStr::from_bytes(path.to_bytes()).into()))
        }
        _ => Err(InheritFault::Kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    fn fault(descriptor: impl Into<OwnedFd>) -> String {
        let descriptor = descriptor.into();
        let number = descriptor.as_raw_fd();
        let text = recognise(descriptor).unwrap_err().to_string();
        text.strip_prefix(&format!("inherited descriptor {number}: ")).unwrap().to_owned()
    }

    #[test]
    fn sockets_of_every_served_kind_are_recognised() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Udp(udp.local_addr().unwrap());
        let socket = recognise(udp.into()).unwrap();
        assert_eq!((socket.endpoint, socket.dual_stack, socket.inherited), (endpoint, false, true));

        let tcp = TcpListener::bind("[::1]:0").unwrap();
        let endpoint = Endpoint::Tcp(tcp.local_addr().unwrap());
        assert_eq!(recognise(tcp.into()).unwrap().endpoint, endpoint);

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        assert_eq!(recognise(unix.into()).unwrap().endpoint, Endpoint::Path(path));
    }

    #[test]
    fn dual_stack_sockets_are_recognised_as_such() {
        // What the standard library binds to [::] takes IPv4 too.
        let udp = recognise(UdpSocket::bind("[::]:0").unwrap().into()).unwrap();
        assert!(udp.dual_stack);
        assert!(recognise(TcpListener::bind("[::]:0").unwrap().into()).unwrap().dual_stack);
        assert!(!recognise(UdpSocket::bind("[::1]:0").unwrap().into()).unwrap().dual_stack);
    }

    #[test]
    fn what_cannot_be_served_is_named_with_its_fault() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(fault(stream), "a stream socket that does not listen");
        assert_eq!(fault(std::fs::File::open("/dev/null").unwrap()), "not a socket");
        let (datagram, _other) = UnixDatagram::pair().unwrap();
        assert_eq!(fault(datagram), "neither udp, nor tcp, nor a unix stream socket");
        let unbound = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
        assert_eq!(fault(unbound), "not bound to an address");
    }
}

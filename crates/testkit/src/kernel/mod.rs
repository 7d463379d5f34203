//! The Linux kernel as a client of the port mapper, replayed: the calls that nfsd and lockd make to register and to
//! unregister over one long-lived connection, and the look-ups of the NFS client, as seen on the wire of systems with
//! Linux 6.1 and 6.12. Replies are read as strictly as the kernel reads them.

mod lookup;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

pub use lookup::{Network, getaddr, getport};
pub use wire::MAX_ADDRESS;

use crate::Namespace;
use wire::{Credential, NULL, SET, UNSET, V2, V4};

/// The path that the kernel connects to, by its old name.
const PATH: &str = "/var/run/rpcbind.sock";
const ABSTRACT: &str = "/run/rpcbind.sock";
const PORT: u16 = 111;
/// The kernel tries ports downwards from here.
const HIGHEST_PRIVILEGED: u16 = 1023;
/// A call is repeated after ten seconds; nothing here may take so long.
const PATIENCE: Duration = Duration::from_secs(9);

/// The ways to the port mapper, in the order in which the kernel tries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The abstract unix socket; tried since 6.4.
    Abstract,
    /// The unix socket in the file system.
    Path,
    /// TCP to 127.0.0.1 from a port below 1024.
    Tcp,
}

/// The netids that the kernel registers, with the wildcard that stands before the port.
pub const NETIDS: [(&str, &str); 4] =
    [("udp", "0.0.0.0"), ("tcp", "0.0.0.0"), ("udp6", "::"), ("tcp6", "::")];

/// One service of the kernel's NFS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Port, the same on every netid.
    pub port: u16,
    /// Whether it is served over UDP too.
    pub datagrams: bool,
}

/// What an NFS server of Debian 12 and 13 registers from the kernel.
pub const NFS_SERVER: [Service; 6] = [
    Service { program: 100_003, version: 3, port: 2049, datagrams: false },
    Service { program: 100_003, version: 4, port: 2049, datagrams: false },
    Service { program: 100_227, version: 3, port: 2049, datagrams: false },
    Service { program: 100_021, version: 1, port: 32_769, datagrams: true },
    Service { program: 100_021, version: 3, port: 32_769, datagrams: true },
    Service { program: 100_021, version: 4, port: 32_769, datagrams: true },
];

impl Service {
    /// The netids that it is registered on.
    pub fn netids(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        NETIDS.into_iter().filter(move |(netid, _)| self.datagrams || !netid.starts_with("udp"))
    }
}

/// The kernel's one connection to the port mapper.
#[derive(Debug)]
pub struct Kernel {
    stream: Socket,
    credential: Credential,
    xid: u32,
}

impl Kernel {
    /// Connects, and asks whether versions 2 and 4 are there. Over TCP version 2 is not asked for.
    ///
    /// # Errors
    /// The connection was refused, or an answer is not the one that the kernel goes on with.
    pub fn connect(namespace: &Namespace, door: Door) -> io::Result<Self> {
        let stream = namespace.within(|| open(door))??;
        stream.set_read_timeout(Some(PATIENCE))?;
        let credential = if door == Door::Tcp { Credential::Sys } else { Credential::None };
        let mut kernel = Self { stream, credential, xid: 0x6b00_0000 };
        if door != Door::Tcp {
            kernel.call(V2, NULL, &[])?;
        }
        kernel.call(V4, NULL, &[])?;
        Ok(kernel)
    }

    /// SET of version 4, the owner being "0". FALSE is an error to the kernel, which then does not serve.
    ///
    /// # Errors
    /// No boolean came.
    pub fn set(&mut self, program: u32, version: u32, netid: &str, address: &str) -> io::Result<bool> {
        let arguments = wire::rpcb(program, version, netid, address, "0");
        wire::boolean(&self.call(V4, SET, &arguments)?)
    }

    /// UNSET of version 4, the owner being "0".
    ///
    /// # Errors
    /// No boolean came.
    pub fn unset(&mut self, program: u32, version: u32, netid: &str, address: &str) -> io::Result<bool> {
        let arguments = wire::rpcb(program, version, netid, address, "0");
        wire::boolean(&self.call(V4, UNSET, &arguments)?)
    }

    /// What a start of the NFS server sends: everything is taken back first, whether or not it is there.
    ///
    /// # Errors
    /// A reply that is not TRUE, named.
    pub fn start_nfs_server(&mut self) -> io::Result<()> {
        self.unset_on_every_netid_at_once()?;
        for service in NFS_SERVER {
            for (netid, wildcard) in service.netids() {
                let [high, low] = service.port.to_be_bytes();
                let address = format!("{wildcard}.{high}.{low}");
                let set = self.set(service.program, service.version, netid, &address)?;
                wanted(set, || format!("SET {service:?} {netid} {address}"))?;
            }
        }
        Ok(())
    }

    /// What Linux 6.1 sends when the NFS server stops.
    ///
    /// # Errors
    /// A reply that is not TRUE, named.
    pub fn stop_nfs_server_of_6_1(&mut self) -> io::Result<()> {
        self.unset_on_every_netid_at_once()
    }

    /// What Linux 6.12 sends: netid by netid, with a wildcard and port 0 for an address, and then as 6.1.
    ///
    /// # Errors
    /// A reply that is not TRUE, named.
    pub fn stop_nfs_server_of_6_12(&mut self) -> io::Result<()> {
        for service in NFS_SERVER {
            for (netid, wildcard) in NETIDS {
                let unset =
                    self.unset(service.program, service.version, netid, &format!("{wildcard}.0.0"))?;
                wanted(unset, || format!("UNSET {service:?} {netid}"))?;
            }
        }
        self.unset_on_every_netid_at_once()
    }

    fn unset_on_every_netid_at_once(&mut self) -> io::Result<()> {
        for service in NFS_SERVER {
            let unset = self.unset(service.program, service.version, "", "")?;
            wanted(unset, || format!("UNSET {service:?}"))?;
        }
        Ok(())
    }

    fn call(&mut self, version: u32, procedure: u32, arguments: &[u8]) -> io::Result<Vec<u8>> {
        self.xid = self.xid.wrapping_add(1);
        let message = wire::message(self.xid, version, procedure, self.credential, arguments);
        wire::exchange(&self.stream, self.xid, &message)
    }
}

fn wanted(answer: bool, what: impl FnOnce() -> String) -> io::Result<()> {
    if answer { Ok(()) } else { Err(io::Error::other(format!("FALSE to {}", what()))) }
}

fn open(door: Door) -> io::Result<Socket> {
    match door {
        Door::Abstract => {
            let name = UnixAddress::from_abstract_name(ABSTRACT)?;
            Ok(UnixStream::connect_addr(&name)?.into())
        }
        Door::Path => Ok(UnixStream::connect(PATH)?.into()),
        Door::Tcp => {
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
            for port in (600..=HIGHEST_PRIVILEGED).rev() {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
                let bound = socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into());
                match bound.and_then(|()| socket.connect(&to.into())) {
                    Ok(()) => return Ok(socket),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                    Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
                    Err(error) => return Err(error),
                }
            }
            Err(io::ErrorKind::AddrInUse.into())
        }
    }
}

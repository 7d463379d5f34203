//! Registers services over the path socket, each as its user (RFC 1833 section 2.2.1, SET and UNSET of version 4), and
//! tells what a table looks like.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use oncrpc::bind::{self, Rpcb};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Procedure, Program, Version};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};
use rustix::thread::{Uid, set_thread_res_uid};
use testkit::{Namespace, table};

/// A service to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) program: u32,
    pub(crate) netid: &'static str,
    pub(crate) address: String,
    pub(crate) uid: u32,
}

/// The first program that is nobody's.
pub(crate) const FIRST: u32 = 0x2000_0000;

/// So many services over all transports, of root, of a system user and of many ordinary ones.
pub(crate) fn services(count: u32) -> Vec<Service> {
    (0..count).map(service).collect()
}

/// The service of a number.
pub(crate) fn service(number: u32) -> Service {
    let port = 20_000 + number % 10_000;
    let (high, low) = (port / 256, port % 256);
    let (netid, address) = match number % 5 {
        0 => ("tcp", format!("0.0.0.0.{high}.{low}")),
        1 => ("udp", format!("0.0.0.0.{high}.{low}")),
        2 => ("tcp6", format!("::.{high}.{low}")),
        3 => ("udp6", format!("::.{high}.{low}")),
        _ => ("local", format!("/run/service-{number}.sock")),
    };
    let uid = match number % 4 {
        0 => 106,
        1 => 1_000 + number / 100,
        _ => 0,
    };
    Service { program: FIRST + number / 5, netid, address, uid }
}

/// A connection of a user's to the port mapper.
pub(crate) struct Registrar(UnixStream);

impl Registrar {
    /// Connects; to be called within the machine.
    pub(crate) fn connect(uid: u32) -> io::Result<Self> {
        let user = Uid::from_raw(uid);
        set_thread_res_uid(Uid::ROOT, user, Uid::ROOT)?;
        let connected = UnixStream::connect("/run/rpcbind.sock");
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
        let stream = connected?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(stream))
    }

    /// Connects as root with a socket that was made in another machine: the caller comes from that one's network.
    pub(crate) fn from(elsewhere: &Namespace, home: &Namespace) -> Self {
        let socket = || socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        let socket = elsewhere.within(socket).unwrap();
        let connected = home.within(|| connect(&socket, &SocketAddrUnix::new("/run/rpcbind.sock").unwrap()));
        connected.unwrap().unwrap();
        Self(socket.into())
    }

    /// SET; answers TRUE or FALSE.
    pub(crate) fn set(&mut self, service: &Service) -> io::Result<bool> {
        self.call(bind::SET, service)
    }

    /// UNSET; answers TRUE or FALSE.
    pub(crate) fn unset(&mut self, service: &Service) -> io::Result<bool> {
        self.call(bind::UNSET, service)
    }

    fn call(&mut self, procedure: Procedure, service: &Service) -> io::Result<bool> {
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer);
        // Record mark, xid, CALL, RPC version 2, program 100000 version 4, no credential, no verifier.
        for word in [0, 1, 0, 2, 100_000, 4, procedure.0, 0, 0, 0, 0] {
            writer.u32(word).unwrap();
        }
        let (netid, address) = (service.netid.as_bytes(), service.address.as_bytes());
        let row = Rpcb { program: Program(service.program), version: Version(1), netid, address, owner: b"" };
        row.encode(&mut writer).unwrap();
        let len = writer.len();
        buffer[..4].copy_from_slice(&(0x8000_0000 | u32::try_from(len - 4).unwrap()).to_be_bytes());
        self.0.write_all(&buffer[..len])?;
        let mut reply = [0; 32];
        self.0.read_exact(&mut reply)?;
        Ok(reply[28..] == [0, 0, 0, 1])
    }
}

/// Registers services, all of which must be taken.
pub(crate) fn register(home: &Namespace, services: &[Service]) {
    home.within(|| {
        for service in services {
            assert!(Registrar::connect(service.uid).unwrap().set(service).unwrap(), "{service:?}");
        }
    })
    .unwrap();
}

/// What is registered besides the port mapper, in its order.
pub(crate) fn registered(home: &Namespace) -> Vec<Service> {
    let rows = table::dump(home).unwrap();
    let services = rows.into_iter().filter(|row| row.program != 100_000).map(|row| {
        let known = ["tcp", "udp", "tcp6", "udp6", "local"];
        let netid = known.into_iter().find(|netid| *netid == row.netid).unwrap();
        let uid = if row.owner == "superuser" { 0 } else { row.owner.parse().unwrap() };
        Service { program: row.program, netid, address: row.address, uid }
    });
    services.collect()
}

/// What people see: `rpcinfo` and `rpcinfo -p`.
pub(crate) fn shown(home: &Namespace) -> [String; 2] {
    let form = |arguments: &[&str]| home.expect("/usr/sbin/rpcinfo", arguments).unwrap();
    [form(&[]), form(&["-p"])]
}

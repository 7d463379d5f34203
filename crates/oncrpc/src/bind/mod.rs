//! The binding protocols: program 100000, versions 2, 3 and 4 (RFC 1833), and its addresses (RFC 5665).

use crate::number::{Procedure, Program, Version};

pub mod address_text;
pub mod netid;
pub mod pmap;
pub mod remote;
pub mod rpcb;
pub mod sockaddr;
pub mod stat;
pub mod status;
pub mod uaddr;

pub use address_text::AddressText;
pub use netid::{Attributes, Family, Netid, Netids, Semantics};
pub use pmap::{Mapping, Protocol};
pub use remote::{CallResult, PortCallResult, RemoteCall};
pub use rpcb::{Entry, Netbuf, Rpcb};
pub use uaddr::UniversalAddress;

/// The port mapper's own program number.
pub const PROGRAM: Program = Program(100_000);
/// The port that it is found on, TCP and UDP.
pub const PORT: u16 = 111;
/// The IPv6 multicast group on whose links port mappers are looked for, as IPv4 broadcasts look for them
/// (`RPCB_MULTICAST_ADDR`). An address of one link: it means something with an interface only.
pub const MULTICAST: core::net::Ipv6Addr = core::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x202);
/// Version 2, the port mapper of IPv4 (RFC 1833 section 3).
pub const V2: Version = Version(2);
/// Version 3 (RFC 1833 section 2.1).
pub const V3: Version = Version(3);
/// Version 4 (RFC 1833 section 2.1).
pub const V4: Version = Version(4);
/// Where the port mapper listens on a unix stream socket.
pub const SOCKET_PATH: &str = "/run/rpcbind.sock";
/// The longest string or opaque that is decoded inside arguments and results, in bytes.
pub const MAX_STRING: u32 = 9_000;
/// The longest message that peers send or take in one record or datagram, in bytes.
pub const MAX_MESSAGE: usize = 9_000;

/// SET, every version: registers a row.
pub const SET: Procedure = Procedure(1);
/// UNSET, every version: removes rows.
pub const UNSET: Procedure = Procedure(2);
/// GETPORT, version 2: the port of a service.
pub const GETPORT: Procedure = Procedure(3);
/// GETADDR, versions 3 and 4: the universal address of a service.
pub const GETADDR: Procedure = Procedure(3);
/// DUMP, every version: all rows.
pub const DUMP: Procedure = Procedure(4);
/// CALLIT, versions 2 and 3: a call made on the caller's behalf.
pub const CALLIT: Procedure = Procedure(5);
/// BCAST, version 4: as CALLIT.
pub const BCAST: Procedure = Procedure(5);
/// GETTIME, versions 3 and 4: seconds since 1970.
pub const GETTIME: Procedure = Procedure(6);
/// UADDR2TADDR, versions 3 and 4: the socket address of a universal address.
pub const UADDR2TADDR: Procedure = Procedure(7);
/// TADDR2UADDR, versions 3 and 4: the universal address of a socket address.
pub const TADDR2UADDR: Procedure = Procedure(8);
/// GETVERSADDR, version 4: as GETADDR, for exactly the version asked.
pub const GETVERSADDR: Procedure = Procedure(9);
/// INDIRECT, version 4: as BCAST, but every failure is answered.
pub const INDIRECT: Procedure = Procedure(10);
/// GETADDRLIST, version 4: the addresses of a service on every transport of a family.
pub const GETADDRLIST: Procedure = Procedure(11);
/// GETSTAT, version 4: statistics.
pub const GETSTAT: Procedure = Procedure(12);

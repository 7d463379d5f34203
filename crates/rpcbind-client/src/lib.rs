#![forbid(unsafe_code)]
//! Look up and register ONC RPC services with a port mapper: program 100000, versions 2, 3 and 4 (RFC 1833).
//!
//! Everything blocks, and everything ends: each operation has one time limit for all it does, names, connections and
//! retransmissions included. What a server sends is bounded in bytes and elements before it is kept, and replies are
//! taken only from the address that was asked.
//!
//! Look up a service, as `mount` or `showmount` do:
//!
//! ```no_run
//! use oncrpc::{Program, Version};
//!
//! match rpcbind_client::lookup("nfs.example.net", Program(100_003), Version(3), "tcp")? {
//!     Some(address) => println!("NFS is at {address}"),
//!     None => println!("no NFS there"),
//! }
//! # Ok::<(), rpcbind_client::LookupError>(())
//! ```
//!
//! Register one, for as long as the guard lives:
//!
//! ```no_run
//! use oncrpc::{Program, Version};
//! use rpcbind_client::Registration;
//!
//! let listener = std::net::TcpListener::bind("0.0.0.0:2049")?;
//! let nfs = (Program(100_003), Version(3), "tcp", "0.0.0.0.8.1");
//! let registration = Registration::register(&[nfs])?;
//! // serve(listener)
//! # drop(listener);
//! registration.end()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Ask a port mapper anything, here a pretended one that knows no service:
//!
//! ```
//! use std::io::{Read, Write};
//! use std::time::Duration;
//! use oncrpc::{Program, Version};
//! use rpcbind_client::{Endpoint, PortMapper};
//!
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let endpoint = Endpoint::Tcp(listener.local_addr()?);
//! let server = std::thread::spawn(move || -> std::io::Result<()> {
//!     let (mut connection, _) = listener.accept()?;
//!     let mut call = [0; 4 + 40];
//!     connection.read_exact(&mut call)?;
//!     // The record mark, the call's xid, REPLY, MSG_ACCEPTED, no verifier, SUCCESS, an empty list.
//!     let mut reply = vec![0x80, 0, 0, 28];
//!     reply.extend_from_slice(&call[4..8]);
//!     reply.extend_from_slice(&[0, 0, 0, 1]);
//!     reply.extend_from_slice(&[0; 20]);
//!     connection.write_all(&reply)
//! });
//!
//! let mut port_mapper = PortMapper::connect(&endpoint, Duration::from_secs(10))?;
//! assert!(port_mapper.dump()?.is_empty());
//! # server.join().expect("the server ends")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod datagram;
mod deadline;
mod endpoint;
mod error;
mod fallback;
mod listing;
mod lookup;
mod mapper;
mod registration;
mod reserved;
mod resolve;
mod status;
mod stream;
mod version2;

pub use client::{Client, MAX_REPLY, Void};
pub use endpoint::Endpoint;
pub use error::{CallError, ConnectError, LookupError, RegisterError};
pub use fallback::Row;
pub use listing::{Entries, MAX_ROWS, Mappings, Rows, Statistics, VersionStatistics};
pub use lookup::{LOOKUP_LIMIT, lookup, lookup_within};
pub use mapper::{PortMapper, RemoteResult, RpcbVersion, Transport};
pub use registration::{REGISTER_LIMIT, Registration, Service, UNREGISTER_LIMIT};
pub use status::DaemonStatus;
pub use version2::PortResult;

/// The addresses of a host in one family or in both, each with this port, in the resolver's order; at most 16.
///
/// # Errors
/// [`ConnectError::UnknownHost`] when it has none; [`ConnectError::TimedOut`] after `limit`.
pub fn addresses(
    host: &str,
    port: u16,
    family: Option<oncrpc::bind::Family>,
    limit: std::time::Duration,
) -> Result<Vec<std::net::SocketAddr>, ConnectError> {
    resolve::addresses(host, port, family, deadline::Deadline::after(limit))
}

//! What the tests stand on: private namespaces, the real port mapper as a child process, real services that
//! register with it, captured bytes, and a virtual network. Development only: nothing that is installed depends on
//! this crate.
//!
//! The order of use is always the same: a [`Namespace`], in it a [`Daemon`], in it whatever talks to the daemon.
//! Everything dies with the namespace, and the machine's own files, sockets and ports are never touched.
//!
//! ```no_run
//! use testkit::{Daemon, DaemonKind, Namespace};
//! let home = Namespace::new()?;
//! let daemon = Daemon::start(&home, &DaemonKind::debian())?;
//! let rows = testkit::table::dump(&home)?;
//! assert!(rows.iter().all(|row| row.program == 100_000));
//! assert!(daemon.stop()?.status.success());
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod activator;
pub mod ask;
pub mod daemon;
pub mod differential;
pub mod journal;
pub mod kernel;
pub mod lan;
pub mod namespace;
pub mod proc;
pub mod process;
pub mod programs;
pub mod remote_calls;
pub mod rpcinfo_forms;
pub mod services;
pub mod skip;
pub mod strace;
pub mod table;
pub mod vectors;
pub mod wait;
pub mod world;

pub use activator::Activator;
pub use daemon::{Daemon, DaemonKind, Ready, Stopped};
pub use lan::Lan;
pub use namespace::Namespace;
pub use process::{Finished, Process};
pub use rpcinfo_forms::rpcinfo_forms;
pub use world::World;

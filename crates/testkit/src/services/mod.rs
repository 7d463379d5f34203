//! Real services that register with the port mapper of a namespace, as Debian ships them: how each is started,
//! which rows it registers as whom, and whether it takes them back. None needs an NFS server in the kernel.
//! A service that has started is one whose rows are all there: nothing is assumed after some time.

mod scenario;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

pub use scenario::{all_services_register, ganesha_is_found_and_read};

use crate::namespace::{Namespace, uid_of};
use crate::process::{Process, timespec};
use crate::table::{self, Row};
use crate::wait::{self, DEADLINE};

/// The four netids of Internet addresses.
const INET: &[&str] = &["tcp", "tcp6", "udp", "udp6"];
/// Those of IPv4.
const IPV4: &[&str] = &["tcp", "udp"];
/// The one of programs from the days of datagrams.
const UDP: &[&str] = &["udp"];
/// The number of `nobody`, as whom the old programs run.
const NOBODY: u32 = 65534;

/// As whom a service registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// uid 0.
    Superuser,
    /// A uid.
    Uid(u32),
    /// The uid of this user here.
    User(&'static str),
}

impl Owner {
    /// The owner as DUMP prints it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Superuser => "superuser".into(),
            Self::Uid(uid) => uid.to_string(),
            Self::User(name) => uid_of(name).map_or_else(|| format!("no user {name}"), |uid| uid.to_string()),
        }
    }
}

/// A service that can be started.
#[derive(Debug, Clone)]
pub struct ServiceKind {
    /// For messages.
    pub name: &'static str,
    /// The binary.
    pub program: &'static str,
    /// Arguments that keep it in the foreground.
    pub arguments: &'static [&'static str],
    /// As whom the test starts it: root when `None`.
    pub uid: Option<u32>,
    /// Program, versions, netids.
    pub rows: &'static [(u32, &'static [u32], &'static [&'static str])],
    /// As whom it registers.
    pub owner: Owner,
    /// Whether it unregisters when it is asked to end.
    pub unregisters: bool,
    /// Whether it leaves the foreground whatever its arguments.
    pub detaches: bool,
    /// Files it wants: path and contents.
    pub files: &'static [(&'static str, &'static str)],
}

/// NSM of Linux. It starts as root and registers as its own user.
pub const STATD: ServiceKind = ServiceKind {
    name: "statd",
    program: "/sbin/rpc.statd",
    arguments: &["-F", "--no-notify"],
    uid: None,
    rows: &[(100_024, &[1], INET)],
    owner: Owner::User("statd"),
    unregisters: true,
    detaches: false,
    files: &[],
};

/// The MOUNT service of Linux. It registers without a kernel NFS server too.
pub const MOUNTD: ServiceKind = ServiceKind {
    name: "mountd",
    program: "/usr/sbin/rpc.mountd",
    arguments: &["-F"],
    uid: None,
    rows: &[(100_005, &[1, 2, 3], INET)],
    owner: Owner::Superuser,
    unregisters: true,
    detaches: false,
    files: &[],
};

/// Remote quotas.
pub const RQUOTAD: ServiceKind = ServiceKind {
    name: "rquotad",
    program: "/usr/sbin/rpc.rquotad",
    arguments: &["-F"],
    uid: None,
    rows: &[(100_011, &[1, 2], INET)],
    owner: Owner::Superuser,
    unregisters: true,
    detaches: false,
    files: &[],
};

/// Who is logged in; alone, without inetd.
pub const RUSERSD: ServiceKind = ServiceKind {
    name: "rusersd",
    program: "/usr/sbin/rpc.rusersd",
    arguments: &[],
    uid: Some(NOBODY),
    rows: &[(100_002, &[2, 3], UDP)],
    owner: Owner::Uid(NOBODY),
    unregisters: true,
    detaches: true,
    files: &[],
};

/// Messages to all terminals; alone, without inetd.
pub const RWALLD: ServiceKind = ServiceKind {
    name: "rwalld",
    program: "/usr/sbin/rpc.rwalld",
    arguments: &[],
    uid: Some(NOBODY),
    rows: &[(100_008, &[1], UDP)],
    owner: Owner::Uid(NOBODY),
    unregisters: false,
    detaches: true,
    files: &[],
};

/// NIS. Version 1 is there in IPv4 only.
pub const YPSERV: ServiceKind = ServiceKind {
    name: "ypserv",
    program: "/usr/sbin/ypserv",
    arguments: &["-f"],
    uid: None,
    rows: &[(100_004, &[1], IPV4), (100_004, &[2], INET)],
    owner: Owner::Superuser,
    unregisters: true,
    detaches: false,
    files: &[],
};

/// Parameters for machines without disks. Debugging keeps it in the foreground.
pub const BOOTPARAMD: ServiceKind = ServiceKind {
    name: "bootparamd",
    program: "/usr/sbin/rpc.bootparamd",
    arguments: &["-d"],
    uid: None,
    rows: &[(100_026, &[1], UDP)],
    owner: Owner::Superuser,
    unregisters: false,
    detaches: false,
    files: &[],
};

/// inetd with Debian's lines for rusersd and rwalld: it registers for them, as root, by version 2.
pub const INETD: ServiceKind = ServiceKind {
    name: "inetd",
    program: "/usr/sbin/inetd",
    arguments: &["-d", "/run/inetd.conf"],
    uid: None,
    rows: &[(100_002, &[2, 3], UDP), (100_008, &[1], UDP)],
    owner: Owner::Superuser,
    unregisters: true,
    detaches: false,
    files: &[("/run/inetd.conf", INETD_CONF)],
};

const INETD_CONF: &str = "\
rusersd/2-3 dgram rpc/udp wait nobody /usr/sbin/rpc.rusersd rpc.rusersd
walld/1 dgram rpc/udp wait nobody /usr/sbin/rpc.rwalld rpc.rwalld
";

/// A whole NFS server in user space: it exports `/run/export`, with one file, as `/export`.
pub const GANESHA: ServiceKind = ServiceKind {
    name: "ganesha",
    program: "/usr/bin/ganesha.nfsd",
    arguments: &["-F", "-L", "STDERR", "-f", "/run/ganesha.conf", "-p", "/run/ganesha.pid"],
    uid: None,
    rows: &[
        (100_003, &[3, 4], INET),
        (100_005, &[1, 3], INET),
        (100_011, &[1, 2], INET),
        (100_021, &[4], INET),
    ],
    owner: Owner::Superuser,
    unregisters: true,
    detaches: false,
    files: &[("/run/ganesha.conf", GANESHA_CONF), ("/run/export/hello.txt", "hello\n")],
};

const GANESHA_CONF: &str = r#"
NFS_CORE_PARAM { Protocols = 3, 4; mount_path_pseudo = true; }
NFSv4 { Graceless = true; RecoveryRoot = "/run/ganesha"; }
EXPORT {
    Export_Id = 1; Path = /run/export; Pseudo = /export; Access_Type = RW; Squash = No_Root_Squash;
    SecType = sys; Protocols = 3, 4; Transports = UDP, TCP; FSAL { Name = VFS; }
}
"#;

/// All that can live beside each other in one namespace.
pub const TOGETHER: &[&ServiceKind] = &[&STATD, &MOUNTD, &RQUOTAD, &RUSERSD, &RWALLD, &YPSERV, &BOOTPARAMD];

/// Those that register programs which others of them register too: each in a namespace of its own.
pub const ALONE: &[&ServiceKind] = &[&INETD, &GANESHA];

/// What a service registers, without the address. Prints as one short line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registered {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Netid.
    pub netid: String,
    /// Owner as DUMP prints it.
    pub owner: String,
}

impl fmt::Debug for Registered {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {} {}", self.program, self.version, self.netid, self.owner)
    }
}

impl From<&Row> for Registered {
    fn from(row: &Row) -> Self {
        let Row { program, version, netid, owner, .. } = row.clone();
        Self { program, version, netid, owner }
    }
}

impl ServiceKind {
    /// Whether it is installed.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        Path::new(self.program).exists()
    }

    /// The rows it registers, sorted.
    #[must_use]
    pub fn registered(&self) -> Vec<Registered> {
        let owner = self.owner.text();
        let mut all = Vec::new();
        for (program, versions, netids) in self.rows {
            for version in *versions {
                all.extend(netids.iter().map(|netid| Registered {
                    program: *program,
                    version: *version,
                    netid: (*netid).into(),
                    owner: owner.clone(),
                }));
            }
        }
        all.sort();
        all
    }

    /// Starts it and waits until all its rows are in the port mapper's table, owners included.
    ///
    /// # Errors
    /// It could not be started, ended, or its rows did not appear in time: with what it had written.
    pub fn start(&self, namespace: &Namespace) -> io::Result<Service> {
        for (path, contents) in self.files {
            namespace.write(path, contents)?;
        }
        let mut command = Command::new(self.program);
        command.args(self.arguments);
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        let mut process = namespace.spawn(&mut command)?;
        let expected = self.registered();
        let waited = wait::until(self.name, || {
            let rows: Vec<Registered> = table::dump(namespace)?.iter().map(Registered::from).collect();
            if expected.iter().all(|row| rows.contains(row)) {
                return Ok(Some(()));
            }
            match process.ended()? {
                Some(status) if !(self.detaches && status.success()) => {
                    Err(io::Error::other(format!("{}: ended: {status}", self.name)))
                }
                _ => Ok(None),
            }
        });
        if let Err(error) = waited {
            let rows: Vec<String> = table::dump(namespace)?.iter().map(ToString::to_string).collect();
            let (stdout, stderr) = (process.stdout(), process.stderr());
            return Err(io::Error::other(format!("{error}: {rows:#?} {stdout} {stderr}")));
        }
        let detached = if self.detaches { Some(self.detached(namespace, &mut process)?) } else { None };
        Ok(Service { kind: self.clone(), process, detached })
    }

    /// The process that is left when the one that was started has ended.
    fn detached(&self, namespace: &Namespace, process: &mut Process) -> io::Result<OwnedFd> {
        wait::until("detaching", || process.ended())?;
        let name = self.program.rsplit('/').next().unwrap_or_default();
        let pid = namespace.process_named(name)?.and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other(format!("{name}: not to be found")))?;
        Ok(pidfd_open(pid, PidfdFlags::empty())?)
    }
}

/// A running service, killed when dropped (one that detached, with its namespace).
#[derive(Debug)]
pub struct Service {
    /// What it is.
    pub kind: ServiceKind,
    process: Process,
    detached: Option<OwnedFd>,
}

impl Service {
    /// What it has written to standard error up to now.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn stop(self) -> io::Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills it (SIGKILL): its rows stay behind.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(self) -> io::Result<()> {
        self.end(Signal::KILL)
    }

    fn end(self, signal: Signal) -> io::Result<()> {
        let Self { kind, process, detached } = self;
        let watched = detached.as_ref().unwrap_or_else(|| process.pidfd());
        pidfd_send_signal(watched, signal)?;
        if poll(&mut [PollFd::new(watched, PollFlags::IN)], Some(&timespec(DEADLINE)))? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{}: did not end", kind.name)));
        }
        Ok(())
    }
}

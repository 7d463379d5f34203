//! One server under load: its namespace, its process, its registrations, what the kernel accounts to it.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use testkit::{Daemon, DaemonKind, Namespace, Ready};

use crate::account::{Cores, CpuTime, pin, resident_kb};
use crate::load::changes::Caller;
use crate::load::{Load, Target, Workload};
use crate::wire::{Programs, Result, SERVICE_PORT};

/// The ends of the cable between a server and clients elsewhere.
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
/// How long a server gets to go to sleep, so that all of its time is accounted for.
const SETTLE: Duration = Duration::from_millis(1);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Our rpcbind.
    Ours,
    /// Debian's.
    Debian,
    /// The limit server, whose DUMP is so many bytes long.
    Limit(usize),
}

/// Where its clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// On its own host.
    Here,
    /// In another namespace at the other end of a cable.
    Elsewhere,
}

/// A running server with registrations.
#[derive(Debug)]
pub(crate) struct Side {
    namespace: Namespace,
    elsewhere: Option<Namespace>,
    daemon: Daemon,
    /// Where all services are registered: they live.
    _service: UdpSocket,
    cpu: CpuTime,
    cores: Cores,
    /// What it is asked.
    pub(crate) target: Target,
}

/// What one round showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// CPU time of the server for each answer in microseconds, user and system.
    pub(crate) cpu_us: f64,
    /// Median time from request to reply in microseconds, where it was measured.
    pub(crate) p50_us: Option<f64>,
}

impl Who {
    /// How it is started; `rpcbind` is our binary.
    pub(crate) fn kind(self, rpcbind: &PathBuf) -> Result<DaemonKind> {
        Ok(match self {
            Self::Ours => DaemonKind::ours(rpcbind),
            Self::Debian => DaemonKind::debian(),
            Self::Limit(dump_bytes) => {
                DaemonKind { name: "limit", ..DaemonKind::ours(std::env::current_exe()?) }
                    .arguments(["limit".to_owned(), dump_bytes.to_string()])
                    .ready(Ready::AnswersTcp(oncrpc::bind::PORT))
            }
        })
    }
}

impl Side {
    /// Starts it, pins it, and registers `rows` services; the limit server has none.
    pub(crate) fn start(
        who: Who,
        rpcbind: &PathBuf,
        cores: Cores,
        rows: u32,
        clients: Clients,
    ) -> Result<Self> {
        let namespace = Namespace::new()?;
        let elsewhere = match clients {
            Clients::Here => None,
            Clients::Elsewhere => Some(cable(&namespace)?),
        };
        let daemon = Daemon::start(&namespace, &who.kind(rpcbind)?)?;
        pin(daemon.pid(), cores.servers)?;
        let address = if elsewhere.is_some() { SERVER } else { Ipv4Addr::LOCALHOST };
        let target = Target { address, programs: Programs::registered(0), found: true };
        let cpu = CpuTime::of(daemon.pid())?;
        let service = namespace.within(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, SERVICE_PORT)))??;
        let mut side = Self { namespace, elsewhere, daemon, _service: service, cpu, cores, target };
        side.has_rows(rows, !matches!(who, Who::Limit(_)))?;
        Ok(side)
    }

    /// Has so many rows from now on, really or, where nothing is kept, by the questions only.
    pub(crate) fn has_rows(&mut self, rows: u32, really: bool) -> Result<()> {
        let new = Programs::registered(rows).all().skip(usize::try_from(self.target.programs.count)?);
        if really {
            self.namespace.within(|| {
                let mut caller = Caller::new()?;
                new.into_iter().try_for_each(|program| caller.set(program))
            })??;
        }
        self.target.programs = Programs::registered(rows);
        Ok(())
    }

    /// How many bytes its DUMP has.
    pub(crate) fn dump_bytes(&self) -> Result<usize> {
        self.namespace.within(|| Caller::new()?.dump())?
    }

    /// Resident memory in kB.
    pub(crate) fn resident_kb(&self) -> Result<u64> {
        resident_kb(self.daemon.pid())
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Does something where its clients are, on their core.
    pub(crate) fn as_client<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let namespace = self.elsewhere.as_ref().unwrap_or(&self.namespace);
        namespace.within(|| {
            pin(0, self.cores.load)?;
            work()
        })?
    }

    /// Asks `count` questions about programs that nobody knows, from number `first` on.
    pub(crate) fn asked_about_unknown(&self, first: u32, count: u32) -> Result<()> {
        let unknown = Programs { first: Programs::unknown(0).first + first, count };
        let target = Target { programs: unknown, found: false, ..self.target };
        self.as_client(|| crate::load::ask_each(&target))
    }

    /// Runs one workload for some time.
    pub(crate) fn measure(&self, workload: Workload, time: Duration) -> Result<Figures> {
        self.as_client(|| {
            let mut load = workload.load(&self.target)?;
            // What is slow the first time is not measured.
            load.burst(Instant::now() + time / 8)?;
            load.p50();
            load.between()?;
            self.measured(load.as_mut(), time)
        })
    }

    fn measured(&self, load: &mut dyn Load, time: Duration) -> Result<Figures> {
        let (mut spent_ns, mut answered) = (0, 0);
        let end = Instant::now() + time;
        while Instant::now() < end {
            let before = self.settled_ns()?;
            answered += load.burst(end)?;
            spent_ns += self.settled_ns()?.saturating_sub(before);
            load.between()?;
        }
        if answered == 0 {
            return Err("nothing was answered".into());
        }
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let cpu_us = spent_ns as f64 / answered as f64 / 1_000.0;
        Ok(Figures { cpu_us, p50_us: load.p50().map(|p50| p50.as_secs_f64() * 1e6) })
    }

    fn settled_ns(&self) -> Result<u64> {
        std::thread::sleep(SETTLE);
        self.cpu.ns()
    }
}

/// Another namespace, at the other end of a cable. The limits are raised: here they are to be in the path, not in the
/// way.
fn cable(server: &Namespace) -> Result<Namespace> {
    let client = Namespace::new()?;
    server.connect(&client, &[&format!("{SERVER}/24")], &[&format!("{CLIENT}/24")])?;
    let limits = ["replies-per-second", "replies-burst", "errors-per-second", "errors-burst"];
    let mut text = String::from("[limits]\n");
    limits.iter().for_each(|limit| text.push_str(&format!("{limit} = 1000000\n")));
    for (action, from) in [("deny", "198.51.100.0/24"), ("deny", "203.0.113.0/24"), ("allow", "10.0.0.0/8")] {
        text.push_str(&format!("[[access]]\naction = \"{action}\"\nfrom = [\"{from}\"]\n"));
    }
    server.write("/etc/rpcbind.toml", &text)?;
    Ok(client)
}

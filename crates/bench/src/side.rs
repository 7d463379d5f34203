//! One port mapper under load: its namespace, its process, its registrations, its CPU time.

use crate::load::{self, PROGRAM, Workload};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use oncrpc::bind::{self, Mapping, Protocol};
use oncrpc::record;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Program, Reply, Version, Xid};
use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use testkit::{Daemon, DaemonKind, Namespace};

/// The core of the port mapper and the core of the load.
const CORES: (usize, usize) = (0, 1);

/// A running port mapper with a handful of registrations.
pub(crate) struct Side {
    namespace: Namespace,
    daemon: Daemon,
}

/// What one round showed.
pub(crate) struct Figures {
    /// CPU time per answered request in microseconds, user and system.
    pub(crate) cpu_us: f64,
    /// Median time from request to reply in microseconds.
    pub(crate) p50_us: f64,
}

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

impl Side {
    /// Starts it, pins it and registers 20 services.
    pub(crate) fn start(kind: DaemonKind) -> Result<Self> {
        let namespace = Namespace::new()?;
        let daemon = Daemon::start(&namespace, &kind)?;
        pin(Pid::from_raw(i32::try_from(daemon.pid())?), CORES.0)?;
        namespace.within(register)??;
        Ok(Self { namespace, daemon })
    }

    /// Runs one workload for some time.
    pub(crate) fn measure(&self, workload: Workload, time: Duration) -> Result<Figures> {
        let before = self.cpu_ns()?;
        let mut latencies = self.namespace.within(|| {
            pin(Pid::from_raw(0), CORES.1)?;
            load::run(workload, time)
        })??;
        let spent = self.cpu_ns()?.saturating_sub(before);
        latencies.sort_unstable();
        let answered = latencies.len();
        let p50 = latencies.get(answered / 2).ok_or("no request was answered")?;
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let cpu_us = spent as f64 / answered as f64 / 1_000.0;
        Ok(Figures { cpu_us, p50_us: p50.as_secs_f64() * 1e6 })
    }

    /// User and system time so far, as the scheduler accounts it.
    fn cpu_ns(&self) -> Result<u64> {
        let statistics = std::fs::read_to_string(format!("/proc/{}/schedstat", self.daemon.pid()))?;
        Ok(statistics.split(' ').next().ok_or("empty schedstat")?.parse()?)
    }
}

fn pin(pid: Pid, core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(pid, &cores)?)
}

/// Twenty services on UDP, the one looked up last.
fn register() -> Result<()> {
    let mut stream = UnixStream::connect(bind::SOCKET_PATH)?;
    for offset in (0..20).rev() {
        let program = Program(PROGRAM.0 + offset);
        for (protocol, version) in [(Protocol::UDP, 1), (Protocol::TCP, 1)] {
            let mapping = Mapping { program, version: Version(version), protocol, port: 40_000 + offset };
            let mut arguments = [0; 16];
            mapping.encode(&mut Writer::new(&mut arguments))?;
            let call =
                Call { arguments: &arguments, ..Call::new(Xid(offset), bind::PROGRAM, bind::V2, bind::SET) };
            let mut message = [0; 64];
            let mut writer = Writer::new(&mut message);
            call.encode(&mut writer)?;
            let mark = record::mark(writer.len()).ok_or("too long")?;
            stream.write_all(&mark)?;
            stream.write_all(writer.written())?;
            let mut reply = [0; 4 + 28];
            stream.read_exact(&mut reply)?;
            match Reply::decode(&reply[4..])?.answer {
                Answer::Success([0, 0, 0, 1]) => {}
                other => return Err(format!("SET of {program}: {other:?}").into()),
            }
        }
    }
    Ok(())
}

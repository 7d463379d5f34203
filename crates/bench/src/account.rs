//! What the kernel accounts to a process: CPU time and resident memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::wire::Result;

/// The CPU time of a process. The files stay open, so that it can be read from inside a namespace with its own `/proc`.
#[derive(Debug)]
pub(crate) struct CpuTime {
    tasks: Vec<File>,
}

impl CpuTime {
    /// Of the threads that `pid` has now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut tasks = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            tasks.push(File::open(task?.path().join("schedstat"))?);
        }
        Ok(Self { tasks })
    }

    /// User and system time so far in nanoseconds, as the scheduler accounts it: exact while the process sleeps.
    pub(crate) fn ns(&self) -> Result<u64> {
        let mut sum = 0_u64;
        for task in &self.tasks {
            let mut text = [0; 64];
            let len = task.read_at(&mut text, 0)?;
            let text = std::str::from_utf8(&text[..len])?;
            sum += text.split(' ').next().ok_or("empty schedstat")?.parse::<u64>()?;
        }
        Ok(sum)
    }
}

/// Resident memory in kB.
pub(crate) fn resident_kb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The cores of the servers and of the load: two different ones where there are two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// Where the servers run.
    pub(crate) servers: usize,
    /// Where the load is made.
    pub(crate) load: usize,
}

impl Cores {
    /// The first two that we may use.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
        let servers = cores.next().ok_or("no core")?;
        Ok(Self { servers, load: cores.next().unwrap_or(servers) })
    }
}

/// Has a process, or with 0 this thread, run on one core only.
pub(crate) fn pin(pid: u32, core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    Ok(sched_setaffinity(Pid::from_raw(i32::try_from(pid)?), &cores)?)
}

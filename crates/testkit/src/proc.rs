//! What the kernel tells about a process, by its number as the test sees it (proc(5)).

use std::io;

/// Whether it has ended, collected or not.
#[must_use]
pub fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// The last word of a line of its status: `TracerPid:`, `NSpid:` (its number as its own namespace has it).
///
/// # Errors
/// There is no such process, or no such line.
pub fn status(pid: u32, field: &str) -> io::Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().last());
    value.map(str::to_owned).ok_or_else(|| io::Error::other(format!("process {pid} has no {field}")))
}

/// CPU time so far, user and system together, in hundredths of a second.
///
/// # Errors
/// There is no such process.
pub fn cpu_ticks(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    Ok(fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

/// How many descriptors it has open.
///
/// # Errors
/// There is no such process.
pub fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

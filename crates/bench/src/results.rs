//! The page of results: the table of a whole run, and what machine it ran on.

use std::fs;

use crate::plan::Plan;
use crate::stages::calls::COUNTS;
use crate::table::{self, Line};

/// The page's text.
pub(crate) fn page(plan: &Plan, lines: &[Line]) -> String {
    let mut page = format!(
        "# Results\n\n\
         Written by `cargo xtask bench --results`, on {}: {} rounds of {} ms of each server, interleaved; system calls \
         are the least of {} counts, starts are {} of each server, the growth with idle connections is seen once. What \
         the lines mean: [README.md](README.md).\n\n{}\n",
        machine(),
        plan.rounds,
        plan.time.as_millis(),
        COUNTS,
        plan.sizes.starts,
        table::heading()
    );
    for line in lines {
        page.push_str(&format!("{line}\n"));
    }
    page
}

/// The kind of machine: processor, cores, kernel, and how busy it was.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let value = |key: &str| {
        processors.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(": "))
    };
    let model = value("model name").map_or("a processor without a name", |(_, model)| model);
    let is_virtual =
        value("flags").is_some_and(|(_, flags)| flags.split(' ').any(|flag| flag == "hypervisor"));
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel: Vec<&str> = kernel.trim().split(['.', '-']).take(2).collect();
    let load = read("/proc/loadavg");
    let load = load.split(' ').nth(1).unwrap_or("unknown");
    format!(
        "{cores} {}cores of {model}, Linux {}, with a load average over the last five minutes of {load} (the load of \
         the measurement itself is up to 2)",
        if is_virtual { "virtual " } else { "" },
        kernel.join(".")
    )
}

//! Measures port mappers in one run: ours, Debian's, and the limit server, which is the least that a server of this
//! shape can cost. What is measured and what is wanted of it: `stages`. It needs root, for namespaces.

mod account;
mod curves;
mod limit;
mod load;
mod plan;
mod results;
mod rounds;
mod side;
mod stages;
mod svg;
mod table;
mod wire;

use std::process::ExitCode;

use plan::Plan;
use testkit::{DaemonKind, skip};
use wire::Result;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    // The limit server is this program, too: `bench limit DUMP_BYTES`.
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("limit") {
        limit::serve(words.next().unwrap_or_default().parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let plan = Plan::from_arguments()?;
    if let Err(why) = skip::root().and_then(|()| skip::program(DaemonKind::DEBIAN)) {
        if skip::is_forbidden() {
            return Err(why.into());
        }
        println!("SKIPPED: bench: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(directory) = &plan.plots {
        curves::draw(&plan, directory)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = Vec::new();
    for stage in stages::ALL {
        stage(&plan, &mut |line| {
            if lines.is_empty() {
                println!("{}", table::heading());
            }
            println!("{line}");
            lines.push(line);
        })?;
    }
    if let Some(path) = &plan.results {
        std::fs::write(path, results::page(&plan, &lines))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let missed = lines.iter().filter(|line| line.passes() == Some(false)).count();
    if missed > 0 && !plan.quick {
        println!("{missed} missed");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

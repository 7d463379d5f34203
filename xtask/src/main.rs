//! The project's own commands. `cargo xtask` alone lists them.

mod bench;
mod ci;
mod command;
mod fuzz;
mod instructions;
mod packages;
mod purity;
mod soak;
mod steps;
mod test;
mod texts;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [cargo test's arguments]          install what the tests talk to, then run them all
  ci [--skip STEP]... [--only STEP]...   everything that is checked before a change is taken
  purity                                 prove that the pure crates need no standard library
  fuzz [--seconds N] [TARGET]...         build the fuzz targets and run each for N seconds; without --seconds all
                                         share 100 seconds of each processor, and each gets 10 at least
  bench [OPTIONS]                        measure what requests cost beside Debian's rpcbind and beside a server that
                                         only answers; --help lists the options
  instructions [--write]                 count the instructions of calls, and hold them against those written down
  soak [--only PART] [--kills N] [--starts N] [--mixed-seconds N]
                                         kill the daemon under load (10,000 times) and time its starts (50); attack it
                                         with full counts; watch its memory under mixed load (1,800 seconds);
                                         PART is one of kills, attacks, mixed
  dist                                   write manual pages, completions and the sample configuration
  packages                               install the Debian packages that the tests talk to

The steps of ci, in their order:";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let outcome = match name.as_deref() {
        Some("test") => test::run(&rest),
        Some("ci") => ci::run(&rest),
        Some("purity") => purity::run(),
        Some("fuzz") => fuzz::run(&rest),
        Some("bench") => bench::bench(&rest),
        Some("instructions") => instructions::count(&rest),
        Some("soak") => soak::run_all(&rest),
        Some("dist") => texts::write(),
        Some("packages") => packages::install(),
        _ => {
            eprintln!("{USAGE} {}", ci::names());
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

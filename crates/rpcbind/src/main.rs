//! The daemon's entry: reads the command line and hands it over.

use std::process::ExitCode;

fn main() -> ExitCode {
    match rpcbind::args::parse(std::env::args_os()) {
        Ok(args) => ExitCode::from(rpcbind::start::run(&args)),
        Err(stop) => {
            stop.print();
            ExitCode::from(stop.status)
        }
    }
}

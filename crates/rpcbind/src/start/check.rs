//! `--check`: reads everything that a start would read, prints all that is wrong, opens nothing.

use std::path::Path;

use log::{error, warn};

use crate::args::Args;
use crate::config;
use crate::hosts;
use crate::logging::{ProgramNames, START};
use crate::privilege::User;

/// Prints what is wrong; answers the exit status: 0 when nothing is.
pub(super) fn run(args: &Args, names: &ProgramNames) -> u8 {
    let mut wrong = 0_usize;
    match config::load(args, names) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                warn!(target: START, "{warning}");
            }
            wrong += check_user(args, &loaded.settings);
        }
        Err(config::Faults(faults)) => {
            wrong += faults.len();
            for fault in faults {
                error!(target: START, "{fault}");
            }
        }
    }
    match hosts::load() {
        Ok(hosts) => {
            wrong += hosts.faults.len();
            for fault in hosts.faults {
                error!(target: START, "{fault}");
            }
        }
        Err(error) => {
            wrong += 1;
            error!(target: START, "{error}");
        }
    }
    u8::from(wrong > 0)
}

/// Whether root finds somebody to become, who can read the files again at a reload; answers what is wrong.
fn check_user(args: &Args, settings: &config::Settings) -> usize {
    if !super::is_root() {
        return 0;
    }
    let user = match User::find(settings.daemon_user, settings.user) {
        Ok(user) => user,
        Err(error) => {
            error!(target: START, "{error}");
            return 1;
        }
    };
    let file = args.config.as_deref().unwrap_or(Path::new(config::FILE));
    let mut wrong = 0;
    for file in [file, Path::new(hosts::ALLOW), Path::new(hosts::DENY)] {
        // A file that is not there need not be readable.
        if file.exists() && !config::is_readable_by(file, user.uid, user.gid).unwrap_or(false) {
            error!(target: START, "{}: user {} cannot read it at a reload", file.display(), user.name);
            wrong += 1;
        }
    }
    wrong
}

//! Landlock: the state directory is the only place to write, `/etc` the only other one to read, by a rule on the
//! directory, so that a file that is replaced by another is seen. TCP, signals and abstract sockets go where the kernel
//! knows them; the filter of system calls has them all the same.

use std::os::fd::BorrowedFd;

use super::READABLE;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};

/// The newest set of rights that is taken away. Later ones would also part the daemon from the system log's socket,
/// whose path has to be looked up at each line, since the log may be restarted.
const RIGHTS: ABI = ABI::V6;

/// Confines this thread, the only one.
pub(super) fn restrict(state: Option<BorrowedFd<'_>>) -> Result<(), String> {
    match build(state) {
        Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => Ok(()),
        Ok(RulesetStatus::NotEnforced) => Err("the kernel does not have it, or has it switched off".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn build(state: Option<BorrowedFd<'_>>) -> Result<RulesetStatus, landlock::RulesetError> {
    let read: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let keep = read | make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | RemoveFile});
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        .handle_access(AccessNet::from_all(RIGHTS))?
        .scope(Scope::from_all(RIGHTS))?
        .create()?;
    // A host without it has nothing to read there.
    if let Ok(readable) = PathFd::new(READABLE) {
        rules = rules.add_rule(PathBeneath::new(readable, read))?;
    }
    if let Some(state) = state {
        rules = rules.add_rule(PathBeneath::new(state, keep))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

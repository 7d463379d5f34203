//! The list of system calls as a filter in the kernel: what is not in it kills the process, whatever its arguments.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::calls::{Allowed, CALLS, Only};

/// Confines this thread, the only one.
pub(super) fn install() -> Result<(), String> {
    let program = compile().map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| match error {
        seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error) => error.to_string(),
        error => error.to_string(),
    })
}

fn compile() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for Allowed { number, only, .. } in CALLS {
        rules.insert(*number, conditions(only)?);
    }
    let machine = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, machine)?.try_into()
}

/// Rules of which one has to hold; none at all: any arguments.
fn conditions(only: &Only) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let condition =
        |argument, how, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value);
    let one = |argument, how, value| SeccompRule::new(vec![condition(argument, how, value)?]);
    let is = |argument, value| condition(argument, SeccompCmpOp::Eq, value);
    match only {
        Only::Any => Ok(Vec::new()),
        Only::OneOf(argument, values) => {
            values.iter().map(|value| one(*argument, SeccompCmpOp::Eq, *value)).collect()
        }
        Only::SocketOption(options) => options
            .iter()
            .map(|(level, option)| SeccompRule::new(vec![is(1, *level)?, is(2, *option)?]))
            .collect(),
        Only::Without(argument, bits) => Ok(vec![one(*argument, SeccompCmpOp::MaskedEq(*bits), 0)?]),
        Only::OwnProcess => Ok(vec![one(0, SeccompCmpOp::Eq, u64::from(std::process::id()))?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_makes_a_filter_and_names_no_call_twice() {
        assert!(compile().unwrap().len() > CALLS.len());
        let mut numbers: Vec<i64> = CALLS.iter().map(|call| call.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), CALLS.len());
    }

    #[test]
    fn nothing_that_reaches_out_or_starts_anything_is_in_the_list() {
        let refused = [
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_bind,
            libc::SYS_connect,
            libc::SYS_listen,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ioctl,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_kill,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_memfd_create,
        ];
        for call in CALLS {
            assert!(!refused.contains(&call.number), "{}", call.name);
            assert!(!call.why.is_empty(), "{} has no reason", call.name);
        }
    }
}

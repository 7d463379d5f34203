//! Where privileges end: called once, after everything that needs them is open and before the first foreign byte is
//! read. Groups, gid, uid, every capability set, and the way back by exec: given up, then looked at again.
//! It must never go on with half of it.

mod user;

use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    no_new_privs, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
pub use user::{User, UserError};

/// What could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// The kernel refused a step.
    #[error("privileges are not dropped: {step}: {error}")]
    Step {
        /// The step.
        step: &'static str,
        /// What the kernel said.
        error: std::io::Error,
    },
    /// The kernel took a step and nothing came of it.
    #[error("privileges are not dropped: {0} is not what it was set to")]
    Kept(&'static str),
}

/// Gives up every privilege. With `user`, becomes that user first, which takes root. Call it while the process has
/// one thread: capabilities belong to threads. (A process without CAP_SETPCAP keeps its bounding set, which is of no
/// use to one that can gain nothing by exec.)
///
/// # Errors
/// [`PrivilegeError`]; the process must end then.
pub fn drop_to(user: Option<&User>) -> Result<(), PrivilegeError> {
    let bounding = held()?.effective.contains(CapabilitySet::SETPCAP);
    if bounding {
        empty_bounding_set()?;
    }
    if let Some(user) = user {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        step("supplementary groups", setgroups(&[]))?;
        step("gid", setresgid(gid, gid, gid))?;
        step("uid", setresuid(uid, uid, uid))?;
    }
    let none = CapabilitySet::empty();
    let empty = CapabilitySets { effective: none, permitted: none, inheritable: none };
    step("ambient capabilities", clear_ambient_capability_set())?;
    // Where there is none, not even the call has to be allowed.
    if held()? != empty {
        step("capabilities", set_capabilities(None, empty))?;
    }
    step("no_new_privs", set_no_new_privs(true))?;

    let kept = |is_dropped: bool, what| if is_dropped { Ok(()) } else { Err(PrivilegeError::Kept(what)) };
    if let Some(user) = user {
        let (uids, gids) = (step("uid", getresuid())?, step("gid", getresgid())?);
        kept([uids.real, uids.effective, uids.saved].iter().all(|uid| uid.as_raw() == user.uid), "uid")?;
        kept([gids.real, gids.effective, gids.saved].iter().all(|gid| gid.as_raw() == user.gid), "gid")?;
        kept(step("supplementary groups", getgroups())?.is_empty(), "supplementary groups")?;
    }
    kept(held()? == empty, "capabilities")?;
    kept(
        !bounding || each_capability().all(|one| capability_is_in_bounding_set(one) != Ok(true)),
        "bounding set",
    )?;
    kept(step("no_new_privs", no_new_privs())?, "no_new_privs")
}

/// The first port that an unprivileged process may bind, at most 1024: what lies below says that root sent it. Read
/// once, at start (`ip_unprivileged_port_start`); 1024 where the kernel does not say.
#[must_use]
pub fn privileged_ports_below() -> u16 {
    let said = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    said.and_then(|text| text.trim().parse::<u16>().ok()).map_or(1024, |port| port.min(1024))
}

fn held() -> Result<CapabilitySets, PrivilegeError> {
    step("capabilities", capabilities(None))
}

fn empty_bounding_set() -> Result<(), PrivilegeError> {
    for one in each_capability() {
        match remove_capability_from_bounding_set(one) {
            // Past the kernel's last.
            Err(Errno::INVAL) => break,
            removed => step("bounding set", removed)?,
        }
    }
    Ok(())
}

/// Whatever the kernel has, names that are newer than this program included.
fn each_capability() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number))
}

fn step<T>(step: &'static str, result: Result<T, impl Into<std::io::Error>>) -> Result<T, PrivilegeError> {
    result.map_err(|error| PrivilegeError::Step { step, error: error.into() })
}

//! Which user the daemon becomes. Only `/etc/passwd` is read: a name service that asks over the network may itself
//! be waiting for the port mapper.

use std::io;

const PASSWD: &str = "/etc/passwd";
/// The users that port mappers run as, in the order of preference.
const NAMES: [&str; 3] = ["_rpc", "rpc", "daemon"];
/// The group that belongs to nobody, for a uid that `/etc/passwd` does not know.
const NOGROUP: u32 = 65534;

/// A user to run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, or the number when it has none.
    pub name: String,
    /// Never 0.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

/// Why there is nobody to run as.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// None of the names is a user and no number is configured.
    #[error("no user to run as: {PASSWD} has none of {0}, and no number is configured")]
    None(String),
    /// The user is root.
    #[error("user {0} is root: uid 0 is no user to run as")]
    Root(String),
    /// The file cannot be read.
    #[error("{PASSWD}: {0}")]
    Read(#[source] io::Error),
}

impl User {
    /// The user to become: `_rpc`, else `rpc`, else `daemon` (only that one when `as_daemon`), else the number that
    /// is configured. A missing `/etc/passwd` knows nobody.
    ///
    /// # Errors
    /// [`UserError`]
    pub fn find(as_daemon: bool, configured: Option<u32>) -> Result<Self, UserError> {
        Self::choose(&passwd()?, as_daemon, configured)
    }

    /// The uids that may own a state directory of ours: root's and those of every user that [`User::find`] could
    /// answer, here or on a system set up otherwise.
    ///
    /// # Errors
    /// [`UserError::Read`]
    pub fn trusted(configured: Option<u32>) -> Result<Vec<u32>, UserError> {
        let passwd = passwd()?;
        let named = NAMES.iter().filter_map(|name| by_name(&passwd, name)).map(|user| user.uid);
        Ok(std::iter::once(0).chain(named).chain(configured).collect())
    }

    fn choose(passwd: &str, as_daemon: bool, configured: Option<u32>) -> Result<Self, UserError> {
        let names = if as_daemon { &["daemon"][..] } else { &NAMES[..] };
        let named = names.iter().find_map(|name| by_name(passwd, name));
        let user = named.or_else(|| configured.map(|uid| by_number(passwd, uid)));
        match user {
            Some(user) if user.uid == 0 => Err(UserError::Root(user.name)),
            Some(user) => Ok(user),
            None => Err(UserError::None(names.join(", "))),
        }
    }
}

fn passwd() -> Result<String, UserError> {
    match std::fs::read(PASSWD) {
        // Names that are not UTF-8 are none of ours.
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(UserError::Read(error)),
    }
}

fn by_name(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().filter_map(entry).find(|user| user.name == name)
}

fn by_number(passwd: &str, uid: u32) -> User {
    let known = passwd.lines().filter_map(entry).find(|user| user.uid == uid);
    known.unwrap_or(User { name: uid.to_string(), uid, gid: NOGROUP })
}

/// `name:password:uid:gid:comment:home:shell`
fn entry(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(User { name, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\nbroken\nrpc:x:32:32::/:\n\
                       someone:x:1000:1001::/home:/bin/sh\n_rpc:x:102:65534::/run/rpcbind:/usr/sbin/nologin\n";

    fn found(passwd: &str, as_daemon: bool, configured: Option<u32>) -> Result<(String, u32, u32), String> {
        let user = User::choose(passwd, as_daemon, configured).map_err(|error| error.to_string())?;
        Ok((user.name, user.uid, user.gid))
    }

    #[test]
    fn the_first_of_rpc_with_underscore_rpc_daemon_and_the_number_is_taken() {
        let user = |name: &str, uid, gid| Ok((name.to_owned(), uid, gid));
        assert_eq!(found(ALL, false, Some(1000)), user("_rpc", 102, 65534));
        assert_eq!(found(&ALL.replace("_rpc", "other"), false, Some(1000)), user("rpc", 32, 32));
        let neither = ALL.replace("rpc", "other");
        assert_eq!(found(&neither, false, Some(1000)), user("daemon", 1, 1));
        let none = neither.replace("daemon", "demon");
        assert_eq!(found(&none, false, Some(1000)), user("someone", 1000, 1001));
        assert_eq!(found(&none, false, Some(4711)), user("4711", 4711, 65534));
        assert_eq!(found("", false, Some(4711)), user("4711", 4711, 65534));
        let error =
            "no user to run as: /etc/passwd has none of _rpc, rpc, daemon, and no number is configured";
        assert_eq!(found(&none, false, None), Err(error.to_owned()));
    }

    #[test]
    fn the_flag_for_user_daemon_takes_no_other_name() {
        assert_eq!(found(ALL, true, None), Ok(("daemon".to_owned(), 1, 1)));
        let error = found(&ALL.replace("daemon", "demon"), true, None).expect_err("no daemon");
        assert!(error.contains("none of daemon,"), "{error}");
    }

    #[test]
    fn nobody_runs_as_root() {
        assert_eq!(found("", false, Some(0)), Err("user 0 is root: uid 0 is no user to run as".to_owned()));
        let error = found("_rpc:x:0:0::/:\n", false, Some(1000)).expect_err("root by another name");
        assert_eq!(error, "user _rpc is root: uid 0 is no user to run as");
    }
}

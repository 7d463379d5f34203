//! The command line of the daemon: every flag of Debian's rpcbind 1.2.6 with its meaning, long names for them, and what
//! is new. The one definition that `--help`, the manual page and the completions are made from. Only reads words: what
//! they mean together with the configuration file is settled in `config`.

#[cfg(test)]
mod tests;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What was written on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(
    name = "rpcbind",
    version,
    about = "Map ONC RPC programs to the addresses they listen on",
    long_about = LONG_ABOUT,
    after_long_help = AFTER,
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub struct Args {
    /// With -d: abort with a core dump on an internal error
    ///
    /// Without -d it is ignored, and a warning says so.
    #[arg(short = 'a', long = "abort")]
    pub abort: bool,

    /// Print debugging output to standard error; twice: more
    ///
    /// Does not imply -f.
    #[arg(short = 'd', long = "debug", action = ArgAction::Count)]
    pub debug: u8,

    /// Stay in the foreground
    #[arg(short = 'f', long = "foreground")]
    pub foreground: bool,

    /// Serve UDP and TCP at this address only, and at loopback; may be repeated
    ///
    /// An IPv4 or IPv6 address, or the name of a host, which is looked up once at start. 127.0.0.1 and ::1 are always
    /// served besides. Replaces `listen` of the configuration file. Sockets that were inherited are used as they are.
    #[arg(short = 'h', long = "listen", value_name = "ADDRESS")]
    pub listen: Vec<String>,

    /// Let callers on any host register and unregister programs over TCP
    ///
    /// A warning says so at each start. Never holds for UDP.
    #[arg(short = 'i', long = "insecure")]
    pub insecure: bool,

    /// Log each call over UDP and TCP
    #[arg(short = 'l', long = "log-connections")]
    pub log_connections: bool,

    /// Call services of this host for others (CALLIT, BCAST, INDIRECT)
    ///
    /// Some procedures only, over UDP, as nobody: see `remote-call-allow` in rpcbind.toml(5). Answers leave as other
    /// replies do, and never longer than the request to who cannot be verified.
    #[arg(short = 'r', long = "remote-calls")]
    pub remote_calls: bool,

    /// Run as user daemon
    #[arg(short = 's', long = "daemon-user")]
    pub daemon_user: bool,

    /// Accepted for command lines of Debian's daemon; this one always starts with what the last one left
    #[arg(short = 'w', long = "warm-start")]
    pub warm_start: bool,

    /// Take over from the rpcbind that runs: read its registrations, wait for its end, and start
    ///
    /// It is not stopped: a line says what to type, and there is a minute for it. Of an rpcbind that writes
    /// rpcbind.xdr and portmap.xdr at its end, as Debian's does, a plain start takes over as much.
    #[arg(long, conflicts_with_all = ["check", "import", "export"])]
    pub adopt: bool,

    /// Have the next rpcbind start with what rpcbind.xdr and portmap.xdr in this directory list, and exit
    ///
    /// Replaces what the last one left. Refused while one runs.
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["check", "export"])]
    pub import: Option<PathBuf>,

    /// Write what is registered to rpcbind.xdr and portmap.xdr in this directory, and exit
    ///
    /// Asks the rpcbind that runs; without one it takes what the last one left. As root the files belong to the
    /// directory's owner, as another rpcbind wants them.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "check")]
    pub export: Option<PathBuf>,

    /// Check configuration and hosts files, print all that is wrong, and exit
    #[arg(long)]
    pub check: bool,

    /// Show that the confined daemon is refused what it has no use for, and exit
    ///
    /// Processes confined like the daemon try, one each, to open files, to make sockets, to start programs. Prints what
    /// became of each; fails unless all were refused. Serves nothing; needs no free port.
    #[arg(long)]
    pub self_test: bool,

    /// Do not start where the system cannot confine the daemon
    ///
    /// Without this flag the log says what is missing, and the daemon serves.
    #[arg(long)]
    pub require_sandbox: bool,

    /// Read this configuration file; it must exist
    ///
    /// Without this flag /etc/rpcbind.toml is read when it exists.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Serve the port mapper at this port instead of 111; 0: at any
    ///
    /// The unix sockets are then opened only where they are named.
    #[arg(long, value_name = "NUMBER")]
    pub port: Option<u16>,

    /// Open the unix socket at this path; empty: none
    #[arg(long, value_name = "PATH", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub socket: Option<PathBuf>,

    /// Open the abstract unix socket with this name, which begins with @; empty: none
    #[arg(long, value_name = "NAME")]
    pub abstract_socket: Option<String>,

    /// Open the UDP and TCP sockets that were not inherited
    #[arg(long)]
    pub open_missing: bool,

    /// Run although a socket cannot be opened
    #[arg(long)]
    pub allow_partial: bool,

    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    pub(crate) help: Option<bool>,

    /// Print the version
    #[arg(long, action = ArgAction::Version)]
    pub(crate) version: Option<bool>,
}

const LONG_ABOUT: &str = "\
Map ONC RPC programs to the addresses they listen on.

Servers of ONC RPC programs, NFS and NIS among them, register here at which address they listen; clients ask here \
where to find them. Program 100000, versions 2, 3 and 4 (RFC 1833), is served over UDP and TCP at port 111 and on the \
unix sockets that local programs register at.

Settings are read from /etc/rpcbind.toml when it exists (rpcbind.toml(5)); flags go before it. The rules for daemon \
rpcbind in /etc/hosts.allow and /etc/hosts.deny are honoured; no name in them is looked up.";

const AFTER: &str = "\
Exit status:
  0  The daemon ended as it was told to; in the background: it is ready. With --check: nothing is wrong.
  1  A flag, a file or the system did not allow it to run; standard error says which.";

/// Why there are no arguments: they are wrong, or help or the version was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What to print, with its newline.
    pub text: String,
    /// The exit status: 0, or 1 as Debian's daemon has for a wrong flag.
    pub status: u8,
}

impl Stop {
    /// Prints the text: to standard output when it was asked for, else to standard error.
    pub fn print(&self) {
        use std::io::Write as _;
        // A closed pipe is no reason to end differently.
        let _ = match self.status {
            0 => std::io::stdout().write_all(self.text.as_bytes()),
            _ => std::io::stderr().write_all(self.text.as_bytes()),
        };
    }
}

/// The definition of the command line, for manual page and completions.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// [`Stop`]: print it and exit with its status.
pub fn parse<I, T>(words: I) -> Result<Args, Stop>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    Args::try_parse_from(words).map_err(|error| {
        let status = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
            _ => 1,
        };
        let mut text = error.render().to_string();
        if status != 0 && !text.contains("Usage:") {
            text.push_str(&format!("\n{}\n", command().render_usage()));
        }
        Stop { text, status }
    })
}

impl Args {
    /// What is accepted but does not do what it says, each to be logged once at start.
    #[must_use]
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if self.abort && self.debug == 0 {
            // The C daemon's words.
            warnings.push("-a (abort) specified without -d (debugging) -- ignored.");
        }
        warnings
    }
}

//! Every way to call `rpcinfo`, right and wrong, as a table; and running all of them with a given binary against a
//! given port mapper, so that two tools, or two port mappers, are compared live: standard output, standard error
//! and exit status.

mod running;

use std::fmt;

pub use running::{differences, prepare, run};

/// What a form finds when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The port mapper with the registrations of [`prepare`].
    Registered,
    /// The port mapper after a fixed number of calls of many kinds, for its statistics.
    Counted,
    /// The port mapper with only its own rows.
    Bare,
    /// No port mapper.
    Nobody,
    /// From another machine: the port mapper of [`Setting::Registered`] at the other end of a cable.
    Elsewhere,
}

/// One way to call the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What it finds.
    pub setting: Setting,
    /// As whom it is called.
    pub uid: u32,
    /// Its arguments.
    pub arguments: &'static [&'static str],
}

impl Form {
    /// Whether Debian's tool knows it, and obeys it: with ours `-n` really is the port.
    #[must_use]
    pub fn is_classic(&self) -> bool {
        !matches!(self.arguments, ["--help" | "--version"] | ["-n", "9" | "99999", ..])
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The form.
    pub form: Form,
    /// The exit status; `None` for a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The table afterwards, without the port mapper's own rows: forms that delete leave their mark here.
    pub table: Vec<String>,
}

/// An ordinary user.
pub const USER: u32 = 1000;

/// Called by root, against a port mapper with registrations.
const REGISTERED: &[&[&str]] = &[
    // The list.
    &[],
    &["127.0.0.1"],
    &["localhost"],
    &["10.9.8.7"],
    &["::1"],
    &["fd00::7"],
    &["no.such.host.invalid"],
    // Short list.
    &["-s"],
    &["-s", "127.0.0.1"],
    &["-s", "::1"],
    &["-s", "no.such.host.invalid"],
    // Version 2.
    &["-p"],
    &["-p", "127.0.0.1"],
    &["-p", "10.9.8.7"],
    &["-p", "::1"],
    &["-p", "no.such.host.invalid"],
    // Address list.
    &["-l", "127.0.0.1", "100000", "4"],
    &["-l", "127.0.0.1", "100000", "2"],
    &["-l", "127.0.0.1", "portmapper", "3"],
    &["-l", "::1", "100000", "4"],
    &["-l", "10.9.8.7", "100024", "1"],
    &["-l", "127.0.0.1", "700000001", "1"],
    &["-l", "127.0.0.1", "299999", "1"],
    &["-l", "127.0.0.1", "100024"],
    &["-l", "127.0.0.1"],
    &["-l"],
    &["-l", "-T", "tcp", "127.0.0.1", "100000", "4"],
    &["-l", "no.such.host.invalid", "100000", "4"],
    // Ping over a class of transports.
    &["-u", "127.0.0.1", "100000"],
    &["-u", "127.0.0.1", "100000", "2"],
    &["-u", "127.0.0.1", "100000", "5"],
    &["-u", "127.0.0.1", "100024"],
    &["-u", "127.0.0.1", "100024", "1"],
    &["-u", "127.0.0.1", "status", "1"],
    &["-u", "10.9.8.7", "100024", "1"],
    &["-u", "::1", "100024", "1"],
    &["-u", "127.0.0.1", "100024", "2"],
    &["-u", "127.0.0.1", "299999"],
    &["-u", "127.0.0.1", "299999", "1"],
    &["-u", "127.0.0.1", "700000001", "1"],
    &["-u", "no.such.host.invalid", "100024"],
    &["-t", "127.0.0.1", "100000"],
    &["-t", "127.0.0.1", "100000", "4"],
    &["-t", "127.0.0.1", "100000", "9"],
    &["-t", "127.0.0.1", "100024", "1"],
    &["-t", "::1", "100024"],
    &["-t", "127.0.0.1", "299999", "1"],
    &["-t", "127.0.0.1", "700000002", "1"],
    &["-n", "32765", "-u", "127.0.0.1", "100024", "1"],
    &["-n", "32765", "-t", "127.0.0.1", "100024", "1"],
    &["-n", "9", "-t", "127.0.0.1", "100024", "1"],
    &["-n", "x", "-t", "127.0.0.1", "100024", "1"],
    &["-n", "99999", "-u", "127.0.0.1", "100024", "1"],
    // Ping over one transport.
    &["-T", "udp", "127.0.0.1", "100000"],
    &["-T", "tcp", "127.0.0.1", "100000", "3"],
    &["-T", "udp6", "::1", "100024", "1"],
    &["-T", "tcp6", "::1", "100024"],
    &["-T", "tcp6", "127.0.0.1", "100024", "1"],
    &["-T", "udp", "127.0.0.1", "100024", "7"],
    &["-T", "udp", "127.0.0.1", "299999"],
    &["-T", "bogus", "127.0.0.1", "100024", "1"],
    &["-T", "udp", "127.0.0.1"],
    &["-T", "udp"],
    &["-T"],
    &["-T", "udp", "no.such.host.invalid", "100024"],
    &["-T", "local", "localhost", "100000", "4"],
    // Ping without the port mapper.
    &["-a", "127.0.0.1.0.111", "-T", "udp", "100000"],
    &["-a", "127.0.0.1.0.111", "-T", "udp", "100000", "4"],
    &["-a", "127.0.0.1.0.111", "-T", "tcp", "100000", "1"],
    &["-a", "127.0.0.1.127.253", "-T", "tcp", "100024", "1"],
    &["-a", "::1.0.111", "-T", "tcp6", "100000", "4"],
    &["-a", "/run/rpcbind.sock", "-T", "local", "100000", "4"],
    &["-a", "127.0.0.1.0.9", "-T", "tcp", "100000", "4"],
    &["-a", "127.0.0.1.0.9", "-T", "udp", "100000", "4"],
    &["-a", "127.0.0.1.0.111", "-T", "bogus", "100000"],
    &["-a", "nonsense", "-T", "udp", "100000"],
    &["-a", "127.0.0.1.0.111", "100000"],
    &["-a", "127.0.0.1.0.111", "-T", "udp"],
    &["-a"],
    // Deletion.
    &["-d", "700000001", "1"],
    &["-d", "700000002", "1"],
    &["-d", "700000003", "1"],
    &["-d", "299999", "1"],
    &["-d", "100024", "1"],
    &["-d", "-T", "udp", "100024", "1"],
    &["-d", "-T", "bogus", "100024", "1"],
    &["-d", "700000001"],
    &["-d", "status", "1"],
    &["-d", "nosuchservice", "1"],
    &["-d", "700000001", "x"],
    &["-d"],
    // Numbers and names.
    &["-u", "127.0.0.1", "nosuchservice"],
    &["-u", "127.0.0.1", "12x"],
    &["-u", "127.0.0.1", "100000", "x"],
    &["-u", "127.0.0.1", "100000", "-1"],
    &["-u", "127.0.0.1", "4294967296", "1"],
    &["-u", "127.0.0.1", "0", "1"],
    // Misuse.
    &["-u"],
    &["-u", "127.0.0.1"],
    &["-u", "127.0.0.1", "100000", "4", "5"],
    &["-t"],
    &["-p", "-s"],
    &["-m", "-s"],
    &["-s", "-s"],
    &["-p", "127.0.0.1", "100000"],
    &["-s", "127.0.0.1", "100000"],
    &["-u", "-t", "127.0.0.1", "100000"],
    &["127.0.0.1", "100000"],
    &["127.0.0.1", "100000", "4"],
    &["-n", "111"],
    &["-n"],
    &["-b"],
    &["-b", "100000"],
    &["-v"],
    &["-V"],
    &["-h"],
    &["--help"],
    &["--version"],
    &["-z"],
    &["-"],
    &["--"],
    &["--", "127.0.0.1"],
];

/// Called by root, for the statistics.
const COUNTED: &[&[&str]] = &[
    &["-m"],
    &["-m", "127.0.0.1"],
    &["-m", "::1"],
    &["-m", "10.9.8.7"],
    &["-m", "127.0.0.1", "100000"],
    &["-m", "no.such.host.invalid"],
];

/// Called by root against a port mapper that knows only itself.
const BARE: &[&[&str]] =
    &[&[], &["-s"], &["-p"], &["-m"], &["-p", "127.0.0.1"], &["-l", "127.0.0.1", "100000", "4"]];

/// Called by root where nobody listens.
const NOBODY: &[&[&str]] = &[
    &[],
    &["127.0.0.1"],
    &["-s"],
    &["-s", "127.0.0.1"],
    &["-p"],
    &["-p", "127.0.0.1"],
    &["-m"],
    &["-m", "127.0.0.1"],
    &["-l", "127.0.0.1", "100000", "4"],
    &["-u", "127.0.0.1", "100000"],
    &["-t", "127.0.0.1", "100000", "4"],
    &["-T", "tcp", "127.0.0.1", "100000", "4"],
    &["-a", "127.0.0.1.0.111", "-T", "tcp", "100000", "4"],
    &["-d", "700000001", "1"],
];

/// Called by root on another machine. (`-d` asks the machine's own port mapper: [`NOBODY`].)
const ELSEWHERE: &[&[&str]] = &[
    &["10.9.8.7"],
    &["home.example"],
    &["fd00::7"],
    &["-s", "10.9.8.7"],
    &["-s", "fd00::7"],
    &["-p", "10.9.8.7"],
    &["-l", "10.9.8.7", "100000", "4"],
    &["-l", "10.9.8.7", "100024", "1"],
    &["-l", "fd00::7", "100024", "1"],
    &["-l", "10.9.8.7", "299999", "1"],
    &["-u", "10.9.8.7", "100000"],
    &["-u", "10.9.8.7", "100000", "2"],
    &["-u", "10.9.8.7", "100000", "3"],
    &["-u", "10.9.8.7", "100000", "4"],
    &["-u", "10.9.8.7", "100024", "1"],
    &["-u", "fd00::7", "100024", "1"],
    &["-u", "10.9.8.7", "299999"],
    &["-t", "10.9.8.7", "100000"],
    &["-t", "10.9.8.7", "100000", "2"],
    &["-t", "10.9.8.7", "100000", "4"],
    &["-t", "10.9.8.7", "100024"],
    &["-t", "10.9.8.7", "299999", "1"],
    &["-T", "udp", "10.9.8.7", "100000"],
    &["-T", "tcp", "10.9.8.7", "100000"],
    &["-T", "udp", "10.9.8.7", "100024", "1"],
    &["-T", "udp6", "fd00::7", "100000"],
    &["-T", "tcp6", "fd00::7", "100000"],
    &["-T", "udp6", "fd00::7", "100000", "4"],
    &["-T", "tcp6", "fd00::7", "100024"],
    &["-a", "10.9.8.7.0.111", "-T", "udp", "100000", "4"],
    &["-a", "10.9.8.7.127.253", "-T", "tcp", "100024", "1"],
    &["-a", "fd00::7.0.111", "-T", "tcp6", "100000", "4"],
    &["-a", "10.9.8.7.0.9", "-T", "tcp", "100000", "4"],
    &["-n", "32765", "-u", "10.9.8.7", "100024", "1"],
    &["-n", "32765", "-t", "10.9.8.7", "100024", "1"],
];

/// Called by an ordinary user: what the owner of a row may, and others may not.
const USERS: &[&[&str]] = &[
    &[],
    &["-d", "700000001", "1"],
    &["-d", "700000002", "1"],
    &["-d", "700000003", "1"],
    &["-d", "299999", "1"],
    &["-d", "-T", "tcp", "700000003", "1"],
];

/// Forms that wait for as long as the tool is made to, some ten seconds each.
const BROADCASTS: &[&[&str]] = &[&["-b", "100000", "4"], &["-b", "100024", "1"], &["-b", "299999", "1"]];

/// All forms that answer at once.
#[must_use]
pub fn rpcinfo_forms() -> Vec<Form> {
    let tables: [(Setting, u32, &'static [&'static [&'static str]]); 6] = [
        (Setting::Registered, 0, REGISTERED),
        (Setting::Counted, 0, COUNTED),
        (Setting::Bare, 0, BARE),
        (Setting::Nobody, 0, NOBODY),
        (Setting::Elsewhere, 0, ELSEWHERE),
        (Setting::Registered, USER, USERS),
    ];
    tables.into_iter().flat_map(|(setting, uid, forms)| of(setting, uid, forms)).collect()
}

/// The broadcast forms, which take some twelve seconds each.
#[must_use]
pub fn broadcast_forms() -> Vec<Form> {
    of(Setting::Registered, 0, BROADCASTS).collect()
}

fn of(setting: Setting, uid: u32, forms: &'static [&'static [&'static str]]) -> impl Iterator<Item = Form> {
    forms.iter().map(move |arguments| Form { setting, uid, arguments })
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { form: Form { setting, uid, arguments }, status, stdout, stderr, table } = self;
        writeln!(out, "{setting:?}, uid {uid}: rpcinfo {}: {status:?}", arguments.join(" "))?;
        write!(out, "{stdout}{stderr}")?;
        for row in table {
            writeln!(out, "  left: {row}")?;
        }
        Ok(())
    }
}

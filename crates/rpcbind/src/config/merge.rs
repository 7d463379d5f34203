//! The command line over the file over the defaults.

use super::Lookups;
use super::check::{Checker, text_problem};
use super::entries::{self as key, SOCKET_NAME_LONGEST};
use super::fault::{Fault, Problem};
use super::settings::{Listen, Settings, UnixSocket};
use super::tree::{Located, Source};
use super::written::Written;
use crate::args::Args;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where the default sockets are.
const SOCKET: &str = "/run/rpcbind.sock";
/// The port with which the default sockets belong.
const PORT: u16 = 111;

/// Merges and checks. Gives the settings, what is wrong with the flags, and warnings; what is wrong with the file is
/// noted in `source`.
pub(super) fn merge(
    args: &Args,
    written: &Written,
    source: &mut Source<'_>,
    lookups: &Lookups<'_>,
) -> (Settings, Vec<Fault>, Vec<String>) {
    let mut merger =
        Merger { args, checker: Checker { source, lookups }, faults: Vec::new(), warnings: Vec::new() };
    let settings = merger.settings(written);
    let Merger { faults, warnings, .. } = merger;
    (settings, faults, warnings)
}

struct Merger<'m, 'i> {
    args: &'m Args,
    checker: Checker<'m, 'i>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Merger<'_, '_> {
    fn settings(&mut self, written: &Written) -> Settings {
        let args = self.args;
        self.warnings.extend(args.warnings().into_iter().map(str::to_owned));
        let file_port = self.checker.number(&key::PORT, &written.port);
        let port = args.port.unwrap_or(file_port);
        let mut reloadable = self.checker.reloadable(written);
        reloadable.insecure |= args.insecure;
        reloadable.log_connections |= args.log_connections;
        Settings {
            check: args.check,
            foreground: args.foreground,
            debug: args.debug,
            abort: args.abort && args.debug > 0,
            remote_calls: args.remote_calls | self.checker.switch(&key::REMOTE_CALLS, &written.remote_calls),
            remote_caps: self.checker.remote_caps(&written.limits),
            listen: self.listen(&written.listen, port),
            listen_is_given: !args.listen.is_empty() || written.listen.is_some(),
            port,
            socket: self.socket(&written.socket, port),
            abstract_socket: self.abstract_socket(&written.abstract_socket, port),
            open_missing: args.open_missing | self.checker.switch(&key::OPEN_MISSING, &written.open_missing),
            allow_partial: args.allow_partial
                | self.checker.switch(&key::ALLOW_PARTIAL, &written.allow_partial),
            daemon_user: args.daemon_user,
            user: self.checker.optional_number(&key::USER, &written.user),
            state_directory: self.state_directory(&written.state_directory),
            netids: self.checker.netids(&written.netids),
            caps: self.checker.caps(&written.limits),
            connections: self.checker.connections(&written.limits),
            reloadable,
        }
    }

    /// `-h` replaces `listen`, and a warning says so.
    fn listen(&mut self, written: &Option<Located<Vec<Located<String>>>>, port: u16) -> Vec<Listen> {
        let from_file = written.as_ref().map(|list| self.listen_of_file(list));
        if self.args.listen.is_empty() {
            return from_file.map_or_else(|| everywhere(port), |addresses| with_loopback(&addresses, port));
        }
        if let Some(list) = written {
            let file = self.checker.source.file.display();
            self.warnings.push(format!("{file} line {}: listen is not used: -h was given", list.line));
        }
        let mut addresses = Vec::new();
        for name in &self.args.listen {
            match self.addresses_of_flag(name) {
                Ok(found) => addresses.extend(found),
                Err(problem) => self.faults.push(Fault::of_flag("-h", name, problem)),
            }
        }
        with_loopback(&addresses, port)
    }

    fn listen_of_file(&mut self, list: &Located<Vec<Located<String>>>) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for written in &list.value {
            match written.value.parse().map_err(|_| Problem::Address).and_then(bindable) {
                Ok(address) => addresses.push(address),
                Err(problem) => self.checker.source.fault(written, problem),
            }
        }
        if self.checker.source.is_empty(list) {
            self.checker.source.fault(list, Problem::Empty);
        }
        addresses
    }

    /// The addresses of an argument of `-h`: itself, or as the name of a host, as with the C daemon.
    fn addresses_of_flag(&self, name: &str) -> Result<Vec<IpAddr>, Problem> {
        if name.is_empty() {
            return Err(Problem::Empty);
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            return bindable(address).map(|address| vec![address]);
        }
        if name.contains([':', '%', '/']) {
            return Err(Problem::Address);
        }
        match (self.checker.lookups.addresses)(name) {
            Ok(found) if found.is_empty() => Err(Problem::Host("it has no address".into())),
            Ok(found) => found.into_iter().map(bindable).collect(),
            Err(error) => Err(Problem::Host(error.to_string())),
        }
    }

    fn socket(&mut self, written: &Option<Located<String>>, port: u16) -> Option<UnixSocket<PathBuf>> {
        let from_file = written.as_ref().map(|written| {
            let path = self.checker.text(&key::SOCKET, written).unwrap_or_default();
            if !path.is_empty() && !path.starts_with('/') {
                self.checker.source.fault(written, Problem::NotAbsolute);
            }
            PathBuf::from(path)
        });
        if let Some(path) = &self.args.socket
            && let Some(problem) = path_problem(path)
        {
            self.faults.push(Fault::of_flag("--socket", &path.to_string_lossy(), problem));
        }
        let given = self.args.socket.clone().or(from_file);
        unix_socket(given, PathBuf::from(SOCKET), port, |path| path.as_os_str().is_empty())
    }

    fn abstract_socket(
        &mut self,
        written: &Option<Located<String>>,
        port: u16,
    ) -> Option<UnixSocket<String>> {
        let from_file = written.as_ref().map(|written| {
            let name = self.checker.text(&key::ABSTRACT_SOCKET, written).unwrap_or_default();
            if let Some(problem) = abstract_problem(name) {
                self.checker.source.fault(written, problem);
            }
            name.to_owned()
        });
        if let Some(name) = &self.args.abstract_socket
            && let Some(problem) = abstract_problem(name)
        {
            self.faults.push(Fault::of_flag("--abstract-socket", name, problem));
        }
        let given = self.args.abstract_socket.clone().or(from_file);
        let socket = unix_socket(given, format!("@{SOCKET}"), port, String::is_empty)?;
        Some(UnixSocket { name: socket.name.trim_start_matches('@').to_owned(), ..socket })
    }

    fn state_directory(&mut self, written: &Option<Located<String>>) -> PathBuf {
        const DEFAULT: &str = "/run/rpcbind";
        let Some(written) = written else {
            return DEFAULT.into();
        };
        match self.checker.text(&key::STATE_DIRECTORY, written) {
            Some(path) if path.starts_with('/') => path.into(),
            Some(_) => {
                self.checker.source.fault(written, Problem::NotAbsolute);
                DEFAULT.into()
            }
            None => DEFAULT.into(),
        }
    }
}

/// A socket as it was named, or the default one, which belongs with the default port; none when the name is empty.
fn unix_socket<N>(
    given: Option<N>,
    default: N,
    port: u16,
    is_empty: impl Fn(&N) -> bool,
) -> Option<UnixSocket<N>> {
    match given {
        Some(name) if is_empty(&name) => None,
        Some(name) => Some(UnixSocket { name, is_given: true }),
        None if port == PORT => Some(UnixSocket { name: default, is_given: false }),
        None => None,
    }
}

fn path_problem(path: &Path) -> Option<Problem> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() > SOCKET_NAME_LONGEST {
        Some(Problem::TooLong(SOCKET_NAME_LONGEST))
    } else if !bytes.is_empty() && !path.is_absolute() {
        Some(Problem::NotAbsolute)
    } else {
        None
    }
}

fn abstract_problem(name: &str) -> Option<Problem> {
    if name.is_empty() {
        None
    } else if !name.starts_with('@') || name == "@" {
        Some(Problem::NotAbstract)
    } else {
        text_problem(name, SOCKET_NAME_LONGEST)
    }
}

/// An address that a socket can be bound to without more than itself.
fn bindable(address: IpAddr) -> Result<IpAddr, Problem> {
    match address.to_canonical() {
        IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() => Err(Problem::NotUnicast),
        IpAddr::V6(v6) if v6.is_multicast() => Err(Problem::NotUnicast),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Err(Problem::LinkLocal),
        address => Ok(address),
    }
}

/// Every address of both families; a host without IPv6 is served all the same.
fn everywhere(port: u16) -> Vec<Listen> {
    vec![
        Listen { address: (Ipv4Addr::UNSPECIFIED, port).into(), may_be_absent: false },
        Listen { address: (Ipv6Addr::UNSPECIFIED, port).into(), may_be_absent: true },
    ]
}

/// The addresses wanted, each once, and both loopback addresses. The wildcard of a family stands for all of it.
fn with_loopback(wanted: &[IpAddr], port: u16) -> Vec<Listen> {
    let mut listen: Vec<Listen> = Vec::new();
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let all = wanted.iter().map(|address| (*address, false)).chain(loopback.map(|address| (address, true)));
    for (address, may_be_absent) in all {
        let wildcard =
            if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let is_covered = address != wildcard && wanted.contains(&wildcard);
        let address = SocketAddr::new(address, port);
        if !is_covered && !listen.iter().any(|known| known.address == address) {
            listen.push(Listen { address, may_be_absent });
        }
    }
    listen
}

/// Asks the system for the addresses of a host.
pub(super) fn addresses_of_host(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    let mut addresses = Vec::new();
    for address in found.map(|found| found.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

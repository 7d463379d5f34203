//! Who holds an address that we want, asked only when opening it has failed. It reads `/proc` and, for unix sockets,
//! connects; it must never be used while serving.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A process that holds something we want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id; `None` when it is not visible from here.
    pub pid: Option<u32>,
    /// Its name, as the kernel has it.
    pub name: Option<String>,
}

/// The protocols whose tables can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// UDP.
    Udp,
    /// TCP, listening sockets only.
    Tcp,
}

/// TCP_LISTEN, as the table prints it.
const LISTENING: &str = "0A";
/// The service manager.
const INIT: u32 = 1;

impl Holder {
    /// A process by its id, with its name looked up.
    pub(crate) fn of_process(pid: u32) -> Self {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        // Another user chooses the name of its process; it goes to a terminal.
        let name = name.map(|name| name.trim_end().escape_default().to_string());
        Self { pid: Some(pid).filter(|pid| *pid != 0), name }
    }

    /// Finds who holds an inet address that cannot be bound: the first process that has a socket there, the service
    /// manager before others. `None` when nobody is seen, for instance another user's process without root.
    pub(crate) fn of_address(table: Table, wanted: SocketAddr) -> Option<Self> {
        let inodes = inodes(table, wanted);
        let mut holders = processes().filter(|pid| holds(*pid, &inodes));
        let first = holders.next()?;
        let pid = if first == INIT { first } else { holders.find(|pid| *pid == INIT).unwrap_or(first) };
        Some(Self::of_process(pid))
    }

    /// Whether the service manager has it, as the socket unit would.
    #[must_use]
    pub fn is_service_manager(&self) -> bool {
        self.pid == Some(INIT)
    }

    /// What to type to get what it holds.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            holder if holder.is_service_manager() => {
                "use the socket unit: systemctl restart rpcbind.socket rpcbind.service".into()
            }
            Self { pid: Some(pid), name: Some(name) } if name == "rpcbind" => {
                format!("stop it: systemctl stop rpcbind.socket rpcbind.service, or kill {pid}")
            }
            Self { pid: Some(pid), .. } => format!("stop it: kill {pid}"),
            Self { pid: None, .. } => "look outside of this container".into(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.name) {
            (Some(pid), Some(name)) => write!(f, "{name} (pid {pid})"),
            (Some(pid), None) => write!(f, "pid {pid}"),
            (None, _) => f.write_str("a process that cannot be seen from here"),
        }
    }
}

/// The inodes of the sockets that keep `wanted` from being bound. An IPv6 socket is asked last about an IPv4
/// address: the table does not say whether it is a dual-stack one.
fn inodes(table: Table, wanted: SocketAddr) -> Vec<String> {
    let files: &[&str] = match (table, wanted.is_ipv4()) {
        (Table::Udp, true) => &["udp", "udp6"],
        (Table::Udp, false) => &["udp6"],
        (Table::Tcp, true) => &["tcp", "tcp6"],
        (Table::Tcp, false) => &["tcp6"],
    };
    let in_file = |file: &&str| {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        text.lines().filter_map(|line| inode(line, table, wanted)).collect::<Vec<_>>()
    };
    files.iter().map(in_file).find(|inodes| !inodes.is_empty()).unwrap_or_default()
}

/// The inode in a line of the kernel's table, when its socket is in our way.
fn inode(line: &str, table: Table, wanted: SocketAddr) -> Option<String> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let (address, port) = local.split_once(':')?;
    let in_the_way = u16::from_str_radix(port, 16).ok()? == wanted.port()
        && (table == Table::Udp || state == LISTENING)
        && overlap(parse(address)?, wanted.ip());
    in_the_way.then(|| inode.to_owned())
}

/// Whether sockets at these addresses exclude each other, as far as the table tells.
fn overlap(held: IpAddr, wanted: IpAddr) -> bool {
    let (held, wanted) = (held.to_canonical(), wanted.to_canonical());
    held == wanted || held.is_unspecified() || wanted.is_unspecified()
}

/// An address as the kernel prints it: words of 32 bits in the machine's order.
fn parse(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at.checked_mul(8)?..at.checked_add(1)?.checked_mul(8)?)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (at, place) in octets.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn holds(pid: u32, inodes: &[String]) -> bool {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).any(|target| is_one_of(&target, inodes))
}

fn is_one_of(target: &Path, inodes: &[String]) -> bool {
    let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
    inode.is_some_and(|inode| inodes.iter().any(|one| one == inode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn the_holder_of_a_busy_port_is_found_in_both_families_and_protocols() {
        let us = std::process::id();
        // A child that another test is just starting holds everything for a moment, too.
        let is_found = |table, wanted| {
            let found = || Ok(Holder::of_address(table, wanted).filter(|holder| holder.pid == Some(us)));
            testkit::wait::until("this process is the holder", found)
        };
        for (bound, wanted) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "0.0.0.0"),
            ("0.0.0.0", "127.0.0.5"),
            ("::1", "::"),
            ("::", "::1"),
            ("::", "127.0.0.1"),
        ] {
            let socket = UdpSocket::bind((bound, 0)).unwrap();
            let wanted = SocketAddr::new(wanted.parse().unwrap(), socket.local_addr().unwrap().port());
            assert_eq!(is_found(Table::Udp, wanted).unwrap().remedy(), format!("stop it: kill {us}"));
            let listener = TcpListener::bind((bound, 0)).unwrap();
            let wanted = SocketAddr::new(wanted.ip(), listener.local_addr().unwrap().port());
            is_found(Table::Tcp, wanted).unwrap();
        }
    }

    #[test]
    fn a_socket_at_another_address_is_not_in_the_way() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wanted = SocketAddr::new([127, 0, 0, 2].into(), socket.local_addr().unwrap().port());
        assert_eq!(Holder::of_address(Table::Udp, wanted), None);
    }

    #[test]
    fn a_holder_is_named_with_what_to_type() {
        let named = |pid, name: &str| Holder { pid, name: Some(name.into()) };
        assert_eq!(named(Some(7), "rpcbind").to_string(), "rpcbind (pid 7)");
        assert!(named(Some(7), "rpcbind").remedy().contains("systemctl stop"));
        assert!(named(Some(1), "systemd").remedy().contains("use the socket unit"));
        assert_eq!(Holder { pid: None, name: None }.to_string(), "a process that cannot be seen from here");
    }
}

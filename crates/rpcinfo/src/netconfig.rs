//! Transports: `/etc/netconfig`, or the usual ones where that is missing, and the order that NETPATH gives.

use std::path::Path;

use oncrpc::bind::{Family, Semantics};

/// Where the transports are listed.
pub const FILE: &str = "/etc/netconfig";

/// What the file says where there is none.
const USUAL: &str = "\
udp   tpi_clts     v inet     udp - -
tcp   tpi_cots_ord v inet     tcp - -
udp6  tpi_clts     v inet6    udp - -
tcp6  tpi_cots_ord v inet6    tcp - -
rawip tpi_raw      - inet     -   - -
local tpi_cots_ord - loopback -   - -
unix  tpi_cots_ord - loopback -   - -
";

/// One transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// Its netid; names are compared exactly.
    pub netid: String,
    /// Its semantics.
    pub semantics: Semantics,
    /// Whether it is used where none is asked for.
    pub visible: bool,
    /// Its protocol family's name.
    pub family: String,
    /// Its protocol's name, `-` when it has none.
    pub protocol: String,
}

/// The sockets that a transport stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// Datagrams.
    Udp(Family),
    /// Connections.
    Tcp(Family),
    /// Unix stream sockets.
    Local,
}

impl Transport {
    /// Its sockets; `None` when they are of a kind that is not known here.
    #[must_use]
    pub fn sockets(&self) -> Option<Sockets> {
        let family = match self.family.as_str() {
            "inet" => Family::Inet,
            "inet6" => Family::Inet6,
            "loopback" if self.is_circuit() => return Some(Sockets::Local),
            _ => return None,
        };
        match self.protocol.as_str() {
            "udp" => Some(Sockets::Udp(family)),
            "tcp" => Some(Sockets::Tcp(family)),
            _ => None,
        }
    }

    fn is_circuit(&self) -> bool {
        matches!(self.semantics, Semantics::Cots | Semantics::CotsOrd)
    }
}

/// The transports in the file's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netconfig {
    transports: Vec<Transport>,
    netpath: Option<String>,
}

impl Netconfig {
    /// Reads a file; the usual transports when it cannot be read or has none. `netpath` is the variable NETPATH.
    #[must_use]
    pub fn load(path: &Path, netpath: Option<String>) -> Self {
        let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let mut transports = parse(text.as_deref().unwrap_or_default());
        if transports.is_empty() {
            transports = parse(USUAL);
        }
        Self { transports, netpath: netpath.filter(|path| !path.is_empty()) }
    }

    /// The transport of a netid.
    #[must_use]
    pub fn find(&self, netid: &str) -> Option<&Transport> {
        self.transports.iter().find(|transport| transport.netid == netid)
    }

    /// All transports of one protocol.
    pub fn of_protocol(&self, protocol: &str) -> impl Iterator<Item = &Transport> {
        self.transports.iter().filter(move |transport| transport.protocol == protocol)
    }

    /// The transports over which a port mapper on a host is asked: connections that NETPATH names, in its order, or
    /// without it the visible ones; the visible connections; the visible datagrams.
    #[must_use]
    pub fn to_port_mapper(&self) -> Vec<&Transport> {
        let named = self.netpath.iter().flat_map(|path| path.split(':')).filter_map(|netid| self.find(netid));
        let visible = || self.transports.iter().filter(|transport| transport.visible);
        let circuits = named.chain(visible()).filter(|transport| transport.is_circuit());
        let datagrams = visible().filter(|transport| transport.semantics == Semantics::Clts);
        let mut order: Vec<&Transport> = Vec::new();
        for transport in circuits.chain(datagrams) {
            if !order.contains(&transport) {
                order.push(transport);
            }
        }
        order
    }
}

/// Lines of netid, semantics, flags, family, protocol and more, and comments after `#`. Other lines are skipped.
fn parse(text: &str) -> Vec<Transport> {
    let line = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let (netid, semantics, flags) = (words.next()?, words.next()?, words.next()?);
        let (family, protocol) = (words.next()?, words.next()?);
        let semantics = match semantics {
            "tpi_clts" => Semantics::Clts,
            "tpi_cots" => Semantics::Cots,
            "tpi_cots_ord" => Semantics::CotsOrd,
            "tpi_raw" => Semantics::Raw,
            _ => return None,
        };
        Some(Transport {
            netid: netid.to_owned(),
            semantics,
            visible: flags.contains('v'),
            family: family.to_owned(),
            protocol: protocol.to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Netconfig, Sockets};
    use oncrpc::bind::Family;

    fn usual(netpath: Option<&str>) -> Netconfig {
        Netconfig::load("/nonexistent/netconfig".as_ref(), netpath.map(Into::into))
    }

    fn order(netpath: Option<&str>) -> Vec<String> {
        usual(netpath).to_port_mapper().iter().map(|transport| transport.netid.clone()).collect()
    }

    #[test]
    fn without_netpath_the_visible_connections_come_first() {
        assert_eq!(order(None), ["tcp", "tcp6", "udp", "udp6"]);
        assert_eq!(order(Some("")), ["tcp", "tcp6", "udp", "udp6"]);
    }

    #[test]
    fn netpath_puts_its_connections_first() {
        assert_eq!(order(Some("udp6:tcp6:nonsense:local")), ["tcp6", "local", "tcp", "udp", "udp6"]);
    }

    #[test]
    fn netids_stand_for_sockets() {
        let netconfig = usual(None);
        let sockets = |netid| netconfig.find(netid).and_then(super::Transport::sockets);
        assert_eq!(sockets("udp6"), Some(Sockets::Udp(Family::Inet6)));
        assert_eq!(sockets("tcp"), Some(Sockets::Tcp(Family::Inet)));
        assert_eq!(sockets("local"), Some(Sockets::Local));
        assert_eq!(sockets("rawip"), None);
        assert_eq!(sockets("UDP"), None);
    }
}

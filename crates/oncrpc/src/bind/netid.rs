//! Netids (RFC 5665 section 5.2): names of transports, with what the binding protocols say about each.
//! Names are compared without case; the table spells them.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The longest netid in bytes.
pub const MAX_NETID: usize = 32;

/// The kind of universal address that a transport has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, protocol family `inet`.
    Inet,
    /// IPv6, protocol family `inet6`.
    Inet6,
    /// Unix sockets and other transports inside one host, protocol family `loopback`.
    Local,
}

impl Family {
    /// The name of the protocol family as GETADDRLIST gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
            Self::Local => "loopback",
        }
    }
}

/// The semantics of a transport, as GETADDRLIST numbers them (RFC 1833 section 2.1, `r_nc_semantics`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Semantics {
    /// Connectionless.
    Clts,
    /// Connection-oriented.
    Cots,
    /// Connection-oriented with orderly release.
    CotsOrd,
    /// Raw.
    Raw,
}

impl Semantics {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Clts => 1,
            Self::Cots => 2,
            Self::CotsOrd => 3,
            Self::Raw => 4,
        }
    }

    /// The semantics of a number on the wire; `None` for any other.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Clts),
            2 => Some(Self::Cots),
            3 => Some(Self::CotsOrd),
            4 => Some(Self::Raw),
            _ => None,
        }
    }
}

/// A netid that is in a [`Netids`] table: a small number, cheap to compare. Those of the built-in table are the same
/// in every table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Netid(u8);

impl Netid {
    /// UDP over IPv4.
    pub const UDP: Self = Self(0);
    /// TCP over IPv4.
    pub const TCP: Self = Self(1);
    /// UDP over IPv6.
    pub const UDP6: Self = Self(2);
    /// TCP over IPv6.
    pub const TCP6: Self = Self(3);
    /// Unix stream sockets.
    pub const LOCAL: Self = Self(4);

    /// Its place in the table, the first one's being 0.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// What a table says about one netid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Its name, at most [`MAX_NETID`] bytes.
    pub name: Box<str>,
    /// Its semantics.
    pub semantics: Semantics,
    /// Its addresses.
    pub family: Family,
    /// Its protocol's name, `-` when it has none.
    pub protocol: Box<str>,
}

/// The netids that are known: the built-in ones and those that a configuration adds.
///
/// ```
/// use oncrpc::bind::{Netid, Netids};
///
/// let netids = Netids::default();
/// assert_eq!(netids.find(b"UDP6"), Some(Netid::UDP6));
/// assert_eq!(netids.find(b"carrier-pigeon"), None);
/// assert_eq!(netids.name(Netid::TCP), "tcp");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netids {
    entries: Vec<Attributes>,
}

/// Name, semantics, family, protocol: the transports of RFC 5665 section 5.2 and of systems' `/etc/netconfig`.
const BUILT_IN: [(&str, Semantics, Family, &str); 16] = [
    ("udp", Semantics::Clts, Family::Inet, "udp"),
    ("tcp", Semantics::CotsOrd, Family::Inet, "tcp"),
    ("udp6", Semantics::Clts, Family::Inet6, "udp"),
    ("tcp6", Semantics::CotsOrd, Family::Inet6, "tcp"),
    ("local", Semantics::CotsOrd, Family::Local, "-"),
    ("unix", Semantics::CotsOrd, Family::Local, "-"),
    ("rawip", Semantics::Raw, Family::Inet, "-"),
    ("ticlts", Semantics::Clts, Family::Local, "-"),
    ("ticots", Semantics::Cots, Family::Local, "-"),
    ("ticotsord", Semantics::CotsOrd, Family::Local, "-"),
    ("sctp", Semantics::CotsOrd, Family::Inet, "sctp"),
    ("sctp6", Semantics::CotsOrd, Family::Inet6, "sctp"),
    ("dccp", Semantics::Clts, Family::Inet, "dccp"),
    ("dccp6", Semantics::Clts, Family::Inet6, "dccp"),
    ("rdma", Semantics::CotsOrd, Family::Inet, "rdma"),
    ("rdma6", Semantics::CotsOrd, Family::Inet6, "rdma"),
];

/// Why a netid cannot be added to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetidError {
    /// The name is empty, longer than [`MAX_NETID`] bytes, or not printable ASCII without blanks.
    Name,
    /// The name is in the table already.
    Duplicate,
    /// The table has 256 netids.
    Full,
}

impl Default for Netids {
    fn default() -> Self {
        let entries = BUILT_IN
            .iter()
            .map(|(name, semantics, family, protocol)| Attributes {
                name: (*name).into(),
                semantics: *semantics,
                family: *family,
                protocol: (*protocol).into(),
            })
            .collect();
        Self { entries }
    }
}

impl Netids {
    /// Adds a netid.
    ///
    /// # Errors
    /// [`NetidError`]; the table is unchanged then.
    pub fn add(&mut self, attributes: Attributes) -> Result<Netid, NetidError> {
        let name = attributes.name.as_bytes();
        if name.is_empty() || name.len() > MAX_NETID || !name.iter().all(u8::is_ascii_graphic) {
            return Err(NetidError::Name);
        }
        if self.find(name).is_some() {
            return Err(NetidError::Duplicate);
        }
        let netid = u8::try_from(self.entries.len()).map(Netid).map_err(|_| NetidError::Full)?;
        self.entries.push(attributes);
        Ok(netid)
    }

    /// The netid of this name, compared without case.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<Netid> {
        let index = self.entries.iter().position(|entry| entry.name.as_bytes().eq_ignore_ascii_case(name))?;
        u8::try_from(index).ok().map(Netid)
    }

    /// What the table says about a netid of its own; `None` for one of a larger table.
    #[must_use]
    pub fn attributes(&self, netid: Netid) -> Option<&Attributes> {
        self.entries.get(usize::from(netid.0))
    }

    /// The name of a netid; empty for one of a larger table.
    #[must_use]
    pub fn name(&self, netid: Netid) -> &str {
        self.attributes(netid).map_or("", |entry| &entry.name)
    }

    /// The kind of address of a netid; `None` for one of a larger table.
    #[must_use]
    pub fn family(&self, netid: Netid) -> Option<Family> {
        self.attributes(netid).map(|entry| entry.family)
    }
}

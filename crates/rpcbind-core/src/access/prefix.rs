//! Address prefixes (RFC 4632 section 3.1, RFC 4291 section 2.3): parsed strictly, so that `10.0.0.1/8` is a fault
//! and not a guess.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An IPv4 or IPv6 prefix; a single address is the prefix of its full length. Host bits are always zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    network: IpAddr,
    length: u8,
}

/// Why a prefix was refused. The text that was wrong is in the caller's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The part before the slash is not an IPv4 or IPv6 address.
    Address,
    /// The part after the slash is not a decimal number, or it exceeds the family's limit, which is in the field.
    Length {
        /// 32 for IPv4, 128 for IPv6.
        limit: u8,
    },
    /// Bits after the prefix are set.
    HostBits {
        /// The prefix that was probably meant.
        meant: Prefix,
    },
    /// An IPv6 address that stands for an IPv4 one: callers are compared as IPv4, so it would never match.
    Mapped,
}

impl Prefix {
    /// The loopback networks: 127.0.0.0/8 and ::1.
    pub const LOOPBACK: [Self; 2] = [
        Self { network: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), length: 8 },
        Self { network: IpAddr::V6(Ipv6Addr::LOCALHOST), length: 128 },
    ];

    /// A prefix of `length` bits.
    ///
    /// # Errors
    /// A length over 32 or 128, bits set after the prefix, or a v4-mapped address.
    pub fn new(network: IpAddr, length: u8) -> Result<Self, PrefixError> {
        let limit = full_length(network);
        if length > limit {
            return Err(PrefixError::Length { limit });
        }
        if network.to_canonical() != network {
            return Err(PrefixError::Mapped);
        }
        let meant = Self { network: masked(network, length), length };
        if meant.network == network { Ok(meant) } else { Err(PrefixError::HostBits { meant }) }
    }

    /// The prefix of one address. A v4-mapped address counts as IPv4.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        let network = address.to_canonical();
        Self { network, length: full_length(network) }
    }

    /// The prefix of `length` bits that `address` lies in: host bits are cleared. A v4-mapped address counts as IPv4;
    /// a length over the family's limit is taken as the limit.
    #[must_use]
    pub fn around(address: IpAddr, length: u8) -> Self {
        let address = address.to_canonical();
        let length = length.min(full_length(address));
        Self { network: masked(address, length), length }
    }

    /// Whether `address` lies in the prefix. A v4-mapped address counts as IPv4; the families never match each other.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && masked(address, self.length) == self.network
    }

    /// The first address.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// The length in bits: 0..=32 or 0..=128.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all but its first `length` bits cleared.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(v4) => {
            let mask = !u32::MAX.checked_shr(length).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = !u128::MAX.checked_shr(length).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| PrefixError::Address)?;
        let limit = full_length(network);
        let length = match length {
            None => limit,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| PrefixError::Length { limit })?
            }
            Some(_) => return Err(PrefixError::Length { limit }),
        };
        Self::new(network, length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == full_length(self.network) {
            self.network.fmt(f)
        } else {
            write!(f, "{}/{}", self.network, self.length)
        }
    }
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("not an IPv4 or IPv6 address or prefix"),
            Self::Length { limit } => write!(f, "the length after the slash is not in 0..={limit}"),
            Self::HostBits { meant } => write!(f, "bits are set after the prefix; was {meant} meant"),
            Self::Mapped => f.write_str("callers are compared as IPv4, write the IPv4 address"),
        }
    }
}

impl core::error::Error for PrefixError {}

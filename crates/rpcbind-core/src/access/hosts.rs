//! The rules that `hosts.allow` and `hosts.deny` have for one daemon, as data (hosts_access(5)). The reader of the
//! files has already settled everything that does not depend on the caller's address, names included: a rule that
//! needs a look-up is here as a pattern that never matches, or that spares loopback only.

use super::Prefix;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One element of a client list. Text patterns are in lower case and are compared with the address as inet_ntop(3)
/// prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientPattern {
    /// Every address.
    All,
    /// The addresses of a prefix.
    Prefix(Prefix),
    /// IPv4 addresses whose bits under `mask`, which need not be contiguous, are `net`.
    Masked {
        /// The bits wanted.
        net: u32,
        /// The bits compared.
        mask: u32,
    },
    /// Addresses whose text matches a pattern of `*` (any run) and `?` (any one character).
    Glob(Box<str>),
    /// Addresses whose text begins so: `10.1.`.
    Starts(Box<str>),
    /// Addresses whose text ends so and is longer: `.7`.
    Ends(Box<str>),
    /// No address: what may not be granted without a look-up.
    Never,
    /// Every address but loopback: what must be refused without a look-up.
    UnlessLoopback,
    /// Loopback addresses only: the exception to the former.
    Loopback,
}

/// One rule: whom it is about, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// `a b EXCEPT c EXCEPT d` is `[[a, b], [c], [d]]` and means a or b, except those that match c but not d.
    pub clients: Vec<Vec<ClientPattern>>,
    /// Whether callers that match are admitted.
    pub admit: bool,
}

/// The decision of both files: the first rule that matches decides, and who matches none is admitted.
///
/// ```
/// use rpcbind_core::access::{ClientPattern, HostRule, HostRules};
///
/// // hosts.allow: `rpcbind: 10.0.0.0/8 EXCEPT 10.1.`; hosts.deny: `ALL: ALL`
/// let ten = ClientPattern::Prefix("10.0.0.0/8".parse()?);
/// let clients = vec![vec![ten], vec![ClientPattern::Starts("10.1.".into())]];
/// let everybody = vec![vec![ClientPattern::All]];
/// let rules = HostRules::new(
///     vec![HostRule { clients, admit: true }],
///     vec![HostRule { clients: everybody, admit: false }],
/// );
/// assert!(rules.admits("10.2.3.4".parse()?));
/// assert!(!rules.admits("10.1.2.3".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules {
    rules: Vec<HostRule>,
}

impl HostRules {
    /// The rules of `hosts.allow`, then those of `hosts.deny`, each in the order of its file.
    #[must_use]
    pub fn new(allow: Vec<HostRule>, deny: Vec<HostRule>) -> Self {
        let mut rules = allow;
        rules.extend(deny);
        Self { rules }
    }

    /// Rules that refuse every address: for files that exist and cannot be read when there are no older rules.
    #[must_use]
    pub fn refuse_all() -> Self {
        Self {
            rules: Vec::from([HostRule {
                clients: Vec::from([Vec::from([ClientPattern::All])]),
                admit: false,
            }]),
        }
    }

    /// Whether there is no rule, so that everybody is admitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The number of rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether a caller from `address` is admitted. A v4-mapped address counts as IPv4. Takes time in proportion to the
    /// number of patterns.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let mut client = Client::new(address);
        self.rules.iter().find(|rule| rule.matches(&mut client)).is_none_or(|rule| rule.admit)
    }
}

impl HostRule {
    /// Each list holds back what the one before it took, so the answer is the parity of the first list without a match.
    fn matches(&self, client: &mut Client) -> bool {
        let matching =
            self.clients.iter().take_while(|list| list.iter().any(|pattern| client.is(pattern))).count();
        matching % 2 == 1
    }
}

/// The caller's address, and its text from the first time that it is needed.
struct Client {
    address: IpAddr,
    text: Option<AddressText>,
}

impl Client {
    fn new(address: IpAddr) -> Self {
        Self { address: address.to_canonical(), text: None }
    }

    fn is(&mut self, pattern: &ClientPattern) -> bool {
        match pattern {
            ClientPattern::All => true,
            ClientPattern::Prefix(prefix) => prefix.contains(self.address),
            ClientPattern::Masked { net, mask } => match self.address {
                IpAddr::V4(v4) => v4.to_bits() & mask == *net,
                IpAddr::V6(_) => false,
            },
            ClientPattern::Glob(pattern) => glob(pattern.as_bytes(), self.text()),
            ClientPattern::Starts(start) => self.text().starts_with(start.as_bytes()),
            ClientPattern::Ends(end) => {
                self.text().len() > end.len() && self.text().ends_with(end.as_bytes())
            }
            ClientPattern::Never => false,
            ClientPattern::UnlessLoopback => !self.address.is_loopback(),
            ClientPattern::Loopback => self.address.is_loopback(),
        }
    }

    fn text(&mut self) -> &[u8] {
        let address = self.address;
        self.text.get_or_insert_with(|| AddressText::new(address)).bytes()
    }
}

/// An address as inet_ntop(3) prints it, on the stack.
struct AddressText {
    buffer: [u8; Self::LIMIT],
    length: usize,
}

impl AddressText {
    /// INET6_ADDRSTRLEN.
    const LIMIT: usize = 46;

    fn new(address: IpAddr) -> Self {
        let mut text = Self { buffer: [0; Self::LIMIT], length: 0 };
        // Every address fits; a text cut short would only match less.
        let _ = match address {
            IpAddr::V6(v6) if is_v4_compatible(v6) => write!(text, "::{}", Ipv4Addr::from_bits(low_bits(v6))),
            address => write!(text, "{address}"),
        };
        text
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl core::fmt::Write for AddressText {
    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let end = self.length.saturating_add(part.len());
        self.buffer.get_mut(self.length..end).ok_or(core::fmt::Error)?.copy_from_slice(part.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// inet_ntop(3) prints `::1.2.3.4` where `core` prints `::102:304`: when the first 96 bits are zero and the next 16
/// are not.
fn is_v4_compatible(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0, 0, 0, 0, 0, 0, high, _] if high != 0)
}

fn low_bits(address: Ipv6Addr) -> u32 {
    let [.., a, b, c, d] = address.octets();
    u32::from_be_bytes([a, b, c, d])
}

/// Whether `text` matches a pattern of `*` (any run of bytes), `?` (any one byte) and bytes that stand for themselves.
/// Takes time in proportion to the product of both lengths at most.
#[must_use]
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Without recursion: on a mismatch the last `*` takes one byte more.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, text) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, text));
                pattern = rest;
            }
            ([wanted, rest @ ..], [byte, tail @ ..]) if wanted == byte || *wanted == b'?' => {
                (pattern, text) = (rest, tail);
            }
            ([], []) => return true,
            _ => match retry {
                Some((after_star, [_, tail @ ..])) => {
                    retry = Some((after_star, tail));
                    (pattern, text) = (after_star, tail);
                }
                _ => return false,
            },
        }
    }
}

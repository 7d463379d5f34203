//! The text of a universal address in a buffer of its own: built on each look-up, so nothing is allocated
//! and no formatting machinery is used.

use core::net::{Ipv4Addr, Ipv6Addr};

/// Text of at most [`AddressText::CAPACITY`] bytes.
#[derive(Clone, Copy, Debug)]
pub struct AddressText {
    bytes: [u8; Self::CAPACITY],
    len: u8,
}

impl AddressText {
    /// Holds every universal address: a path or abstract name has at most 108 bytes.
    pub const CAPACITY: usize = 128;

    /// No text.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0 }
    }

    /// The text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Adds bytes; what does not fit is cut off.
    pub fn push(&mut self, text: &[u8]) {
        let room = self.bytes.get_mut(usize::from(self.len)..).unwrap_or_default();
        let fits = text.len().min(room.len());
        if let (Some(place), Some(text)) = (room.get_mut(..fits), text.get(..fits)) {
            place.copy_from_slice(text);
        }
        // The capacity is below 256.
        self.len = self.len.saturating_add(u8::try_from(fits).unwrap_or(u8::MAX));
    }

    /// Adds one byte, if it fits.
    #[inline]
    fn push_byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
            *place = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    /// Adds a decimal number.
    #[inline]
    pub fn push_decimal(&mut self, number: u8) {
        let digit = |value: u8| b'0'.saturating_add(value % 10);
        if number >= 100 {
            self.push_byte(digit(number / 100));
        }
        if number >= 10 {
            self.push_byte(digit(number / 10));
        }
        self.push_byte(digit(number));
    }

    /// Adds the `.p1.p2` of a port (RFC 5665 section 5.2.3.3).
    pub fn push_port(&mut self, port: u16) {
        for byte in port.to_be_bytes() {
            self.push_byte(b'.');
            self.push_decimal(byte);
        }
    }

    /// Adds an IPv4 address in dotted decimal.
    pub fn push_ipv4(&mut self, address: Ipv4Addr) {
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                self.push_byte(b'.');
            }
            self.push_decimal(octet);
        }
    }

    /// Adds an IPv6 address as C libraries print it: the longest run of at least two zero groups as `::`, the first
    /// of equals; IPv4-compatible and IPv4-mapped addresses with a dotted decimal end.
    pub fn push_ipv6(&mut self, address: Ipv6Addr) {
        let groups = address.segments();
        let (start, len) = longest_zero_run(&groups);
        let dotted = start == 0 && (len == 6 || (len == 5 && groups.get(5) == Some(&0xffff)));
        let mut index = 0_usize;
        while let Some(group) = groups.get(index) {
            if len > 1 && index == start {
                self.push(if index == 0 { b"::" } else { b":" });
                index = index.saturating_add(len);
                continue;
            }
            if dotted && index == 6 {
                let [.., a, b, c, d] = address.octets();
                self.push_ipv4(Ipv4Addr::new(a, b, c, d));
                return;
            }
            self.push_hex(*group);
            index = index.saturating_add(1);
            if index < groups.len() {
                self.push_byte(b':');
            }
        }
    }

    fn push_hex(&mut self, group: u16) {
        let mut begun = false;
        for shift in [12_u32, 8, 4, 0] {
            let nibble = group.checked_shr(shift).unwrap_or(0) & 0xf;
            begun = begun || nibble != 0 || shift == 0;
            if begun {
                let digit = b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or(b'0');
                self.push_byte(digit);
            }
        }
    }
}

impl Default for AddressText {
    fn default() -> Self {
        Self::new()
    }
}

/// Start and length of the longest run of zero groups, the first of equals; length 0 when no group is zero.
fn longest_zero_run(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut run) = ((0, 0), (0_usize, 0_usize));
    for (index, group) in groups.iter().enumerate() {
        run = match (group, run.1) {
            (0, 0) => (index, 1),
            (0, len) => (run.0, len.saturating_add(1)),
            _ => (0, 0),
        };
        if run.1 > best.1 {
            best = run;
        }
    }
    best
}

//! Look-ups shared by the versions: finding a row, merging its address, counting the question, encoding lists.
//! Nothing here changes a row or asks the kernel.

use crate::merge::Merge;
use crate::registry::{Entry, ListKind, Owner, Registry, Row};
use crate::service::{Ask, Service};
use crate::status;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use oncrpc::bind::netid::MAX_NETID;
use oncrpc::bind::{AddressText, Mapping, Netid, Netids, Protocol, Rpcb, UniversalAddress};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Program, Version};

/// The text of an owner: at most ten digits, `superuser` or `unknown`.
pub(crate) struct OwnerText([u8; 10], usize);

impl OwnerText {
    pub(crate) fn new(owner: Owner) -> Self {
        let mut text = Self([0; 10], 0);
        match owner {
            Owner::Uid(0) => text.push(b"superuser"),
            Owner::Uid(uid) => text.push_decimal(uid),
            Owner::Unknown => text.push(b"unknown"),
        }
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.get(..self.1).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.0.iter_mut().skip(self.1).zip(bytes) {
            *slot = *byte;
            self.1 = self.1.saturating_add(1);
        }
    }

    fn push_decimal(&mut self, number: u32) {
        let mut digits = [0; 10];
        let mut left = number;
        let mut len = 0_usize;
        for slot in digits.iter_mut().rev() {
            *slot = b'0'.saturating_add(u8::try_from(left % 10).unwrap_or(0));
            left /= 10;
            len = len.saturating_add(1);
            if left == 0 {
                break;
            }
        }
        let skip = digits.len().saturating_sub(len);
        self.push(digits.get(skip..).unwrap_or_default());
    }
}

impl Service {
    /// The address to answer for a row: its own, or for a wildcard the one that the caller can use.
    pub(crate) fn merged(&self, entry: &Entry, ask: &Ask<'_>, hint: &[u8]) -> AddressText {
        match entry.socket {
            Some(registered) if registered.ip().is_unspecified() => {
                let merge = Merge {
                    caller: ask.caller,
                    hint,
                    nat: self.settings.policy.nat,
                    port: self.settings.port,
                    interfaces: &self.host,
                };
                UniversalAddress::from_socket(merge.address(registered)).text()
            }
            _ => {
                let mut text = AddressText::new();
                text.push(entry.row.address.as_bytes());
                text
            }
        }
    }

    /// Counts the answer of a look-up; questions about programs that are not registered share one row.
    pub(crate) fn count_lookup(
        &mut self,
        counted_in: Version,
        program: Program,
        version: Version,
        netid: Netid,
        found: bool,
    ) {
        let registered = found || self.registry.has(program);
        self.statistics.looked_up(counted_in, registered.then_some((program, version, netid)), found);
    }

    /// An encoded list, kept until the next change.
    pub(crate) fn list(&mut self, kind: ListKind) -> Arc<[u8]> {
        let (netids, home) = (&self.settings.netids, self.settings.home);
        self.registry.list(kind, |registry| match kind {
            ListKind::Mappings => encode_all(registry.entries().filter_map(mapping)),
            ListKind::Rpcbs => encode_rows(registry, netids),
            ListKind::Statuses => encode_all(status::rows(registry, netids, home)),
        })
    }
}

/// A row as version 2 sees it; `None` for rows on other transports.
pub(crate) fn mapping(entry: &Entry) -> Option<Mapping> {
    let Row { program, version, netid, .. } = entry.row;
    let protocol = match netid {
        Netid::UDP => Protocol::UDP,
        Netid::TCP => Protocol::TCP,
        _ => return None,
    };
    Some(Mapping { program, version, protocol, port: u32::from(entry.port()) })
}

fn encode_rows(registry: &Registry, netids: &Netids) -> Vec<u8> {
    let owners: Vec<OwnerText> = registry.rows().map(|row| OwnerText::new(row.owner)).collect();
    let rows = registry.rows().zip(&owners).map(|(row, owner)| Rpcb {
        program: row.program,
        version: row.version,
        netid: netids.name(row.netid).as_bytes(),
        address: row.address.as_bytes(),
        owner: owner.as_bytes(),
    });
    encode_all(rows)
}

/// A linked list in a buffer of just its size.
fn encode_all<T: Encode>(elements: impl Iterator<Item = T>) -> Vec<u8> {
    /// A mark, two numbers, three lengths, and the longest netid, address and owner with their padding.
    const LONGEST: usize = 4 + 8 + 12 + MAX_NETID + AddressText::CAPACITY + 32;
    let mut list = Vec::new();
    let mut buffer = vec![0; LONGEST];
    let mut append = |encode: &dyn Fn(&mut Writer<'_>) -> Result<(), oncrpc::xdr::Error>| {
        let mut writer = Writer::new(&mut buffer);
        // Cannot fail: every field of a row is bounded when it is registered.
        let fits = encode(&mut writer).is_ok();
        debug_assert!(fits, "a row is longer than its fields may be");
        list.extend_from_slice(writer.written());
    };
    for element in elements {
        append(&|writer| {
            writer.bool(true)?;
            element.encode(writer)
        });
    }
    append(&|writer| writer.bool(false));
    list
}

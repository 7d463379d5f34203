//! The host's interfaces and addresses, as the shell last heard of them from the kernel.
//! A look-up reads this table; it never asks the kernel.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::net::IpAddr;

/// One network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's index, from 1.
    pub index: u32,
    /// IFF_UP.
    pub up: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// IFF_POINTOPOINT.
    pub point_to_point: bool,
    /// IFF_MULTICAST.
    pub multicast: bool,
}

/// One address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The index of the interface that has it.
    pub interface: u32,
    /// The host's own address.
    pub address: IpAddr,
    /// The length of the prefix that is on-link, 0..=32 or 0..=128.
    pub prefix_length: u8,
}

/// The interface table: every interface and address, in the kernel's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// The interfaces, by index.
    pub interfaces: Vec<Interface>,
    /// The addresses, in the kernel's order.
    pub addresses: Vec<InterfaceAddress>,
}

/// The table as look-ups read it: each question costs the same with one interface and with a thousand.
#[derive(Debug, Default)]
pub(crate) struct Host {
    by_index: BTreeMap<u32, Interface>,
    own: BTreeSet<IpAddr>,
    addresses: Vec<InterfaceAddress>,
}

impl Host {
    /// Takes a new table.
    pub(crate) fn new(table: Interfaces) -> Self {
        Self {
            by_index: table.interfaces.iter().map(|interface| (interface.index, *interface)).collect(),
            own: table.addresses.iter().map(|own| own.address).collect(),
            addresses: table.addresses,
        }
    }

    /// Every address, in the kernel's order.
    pub(crate) fn addresses(&self) -> &[InterfaceAddress] {
        &self.addresses
    }

    /// The interface with this index.
    pub(crate) fn interface(&self, index: u32) -> Option<&Interface> {
        self.by_index.get(&index)
    }

    /// Whether this is a loopback interface.
    pub(crate) fn is_loopback(&self, index: u32) -> bool {
        self.interface(index).is_some_and(|interface| interface.loopback)
    }

    /// Whether this is an address of the host, loopback addresses included.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.contains(&address)
    }
}

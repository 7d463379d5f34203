//! The host's interfaces and addresses, as the shell last heard of them from the kernel.
//! A look-up reads this table; it never asks the kernel.

use alloc::boxed::Box;
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
    /// The index of the interface that has this name. One may have several, or none that is known.
    pub names: BTreeMap<Box<str>, u32>,
}

impl Interfaces {
    /// The table of a host of whose interfaces nothing but the addresses is known: index of the interface, address,
    /// length of the on-link prefix. All are up; one with a loopback address is a loopback interface, all others take
    /// multicasts. None has a name.
    ///
    /// ```
    /// use rpcbind_core::interfaces::Interfaces;
    ///
    /// let table = Interfaces::of([(1, "127.0.0.1".parse()?, 8), (2, "192.0.2.2".parse()?, 24)]);
    /// assert!(table.interfaces[0].loopback && !table.interfaces[1].loopback);
    /// # Ok::<(), core::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn of(addresses: impl IntoIterator<Item = (u32, IpAddr, u8)>) -> Self {
        let own =
            |(interface, address, prefix_length)| InterfaceAddress { interface, address, prefix_length };
        let addresses: Vec<_> = addresses.into_iter().map(own).collect();
        let indices: BTreeSet<u32> = addresses.iter().map(|own| own.interface).collect();
        let interface = |index| {
            let loopback = addresses.iter().any(|own| own.interface == index && own.address.is_loopback());
            Interface { index, up: true, loopback, point_to_point: false, multicast: !loopback }
        };
        let interfaces = indices.into_iter().map(interface).collect();
        Self { interfaces, addresses, names: BTreeMap::new() }
    }
}

/// The table as look-ups read it: each question costs the same with one interface and with a thousand.
#[derive(Debug, Default)]
pub(crate) struct Host {
    by_index: BTreeMap<u32, Interface>,
    own: BTreeSet<IpAddr>,
    addresses: Vec<InterfaceAddress>,
    addresses_by_index: BTreeMap<u32, Vec<InterfaceAddress>>,
    names: BTreeMap<Box<str>, u32>,
}

impl Host {
    /// Takes a new table.
    pub(crate) fn new(table: Interfaces) -> Self {
        let mut addresses_by_index: BTreeMap<u32, Vec<InterfaceAddress>> = BTreeMap::new();
        for own in &table.addresses {
            addresses_by_index.entry(own.interface).or_default().push(*own);
        }
        Self {
            by_index: table.interfaces.iter().map(|interface| (interface.index, *interface)).collect(),
            own: table.addresses.iter().map(|own| own.address).collect(),
            addresses: table.addresses,
            addresses_by_index,
            names: table.names,
        }
    }

    /// Every address, in the kernel's order.
    pub(crate) fn addresses(&self) -> &[InterfaceAddress] {
        &self.addresses
    }

    /// The addresses of the interface with this index, in the kernel's order.
    pub(crate) fn addresses_of(&self, index: u32) -> &[InterfaceAddress] {
        self.addresses_by_index.get(&index).map(Vec::as_slice).unwrap_or_default()
    }

    /// The interface with this index.
    pub(crate) fn interface(&self, index: u32) -> Option<&Interface> {
        self.by_index.get(&index)
    }

    /// The index of the interface with this name.
    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
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

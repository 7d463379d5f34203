//! Hosts on one link: namespaces joined by a switch, so that broadcasts and multicasts reach all of them.

use std::io;

use crate::namespace::Namespace;

/// Some hosts on one switch. Host `n` of them, from 0 on, has the addresses 10.7.0.`n+1`/24 and fd07::`n+1`/64 and a
/// link-local one.
#[derive(Debug)]
pub struct Lan {
    /// The hosts.
    pub hosts: Vec<Namespace>,
    /// The name of each host's interface, as it is called on the switch too.
    pub interfaces: Vec<String>,
    /// A bridge with all the cables.
    switch: Namespace,
}

impl Lan {
    /// Makes so many hosts.
    ///
    /// # Errors
    /// As [`Namespace::new`] and [`Namespace::connect`].
    pub fn new(hosts: u8) -> io::Result<Self> {
        let switch = Namespace::new()?;
        // Without snooping it delivers multicasts to everybody: nobody here asks who listens.
        switch.expect("ip", &["link", "add", "br0", "type", "bridge", "mcast_snooping", "0"])?;
        switch.expect("ip", &["link", "set", "br0", "up"])?;
        let mut lan = Self { hosts: Vec::new(), interfaces: Vec::new(), switch };
        for number in 1..=hosts {
            let host = Namespace::new()?;
            let addresses = [format!("10.7.0.{number}/24"), format!("fd07::{number}/64")];
            let name = lan.switch.cable(&host, &[], &addresses.each_ref().map(String::as_str))?;
            lan.switch.expect("ip", &["link", "set", &name, "master", "br0"])?;
            lan.hosts.push(host);
            lan.interfaces.push(name);
        }
        for (host, interface) in lan.hosts.iter().zip(&lan.interfaces) {
            host.wait_for_carrier(interface)?;
            lan.switch.wait_for_carrier(interface)?;
        }
        Ok(lan)
    }
}

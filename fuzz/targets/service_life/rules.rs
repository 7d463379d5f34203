//! Who may do what, written down again (rpcbind(8)).

use super::*;

impl Life {
    pub(super) fn assert_may_add(&self, (owner, namespace): Who, row: &Row, before: &[Row]) {
        assert_eq!((row.owner, row.namespace), (owner, namespace));
        let privileged = match owner {
            Owner::Uid(uid) => uid < 1000,
            Owner::Unknown => false,
        };
        let granted = |grant: &Grant| owner == Owner::Uid(grant.uid);
        let is_granted = self.policy.grants.iter().any(granted);
        assert!(privileged || is_granted || ![100_003, 100_024].contains(&row.program.0), "{row:?}");
        let family = self.service.netids().family(row.netid).expect("a netid of the table");
        let address = UniversalAddress::parse(row.address.as_bytes(), family).expect("an address");
        assert!(!row.address.contains(char::is_control));
        if let Some(socket) = address.socket() {
            assert_ne!(socket.port(), 0);
            let is_reserved = socket.port() < 1024 || socket.port() == 2049;
            assert!(!is_reserved || privileged || is_granted, "{row:?}");
            let is_wildcard = socket.ip().is_unspecified();
            assert!(is_wildcard || namespace == HOME || owner == Owner::ROOT, "{row:?}");
        }
        let same = |other: &&Row| (other.program, other.version, other.netid) == key(row);
        assert_eq!(self.rows.iter().filter(same).count(), 1);
        let is_new = before.iter().filter(same).count() == 0;
        let owned = self.rows.iter().filter(|row| row.owner == owner).count();
        assert!(owner == Owner::ROOT || owned <= CAPS.rows_per_uid);
        let free = if owner == Owner::ROOT { CAPS.rows } else { CAPS.rows - CAPS.rows_for_root };
        assert!(!is_new || self.rows.len() <= free);
    }

    /// After an UNSET that was TRUE there is nothing left that the caller could have meant.
    pub(super) fn assert_nothing_is_left(
        &self,
        (owner, namespace): Who,
        wanted: &Wanted<'_>,
        called: Version,
    ) {
        let is_home_root = owner == Owner::ROOT && namespace == HOME;
        let named = self.service.netids().find(wanted.netid.as_bytes());
        let is_meant = |row: &&Row| {
            (row.program, row.version) == (wanted.program, wanted.version)
                && (row.namespace == namespace || is_home_root)
                && match called {
                    V2 => matches!(row.netid, Netid::UDP | Netid::TCP),
                    _ => wanted.netid.is_empty() || named == Some(row.netid),
                }
        };
        assert_eq!(self.rows.iter().find(is_meant), None);
    }
}

/// Whose call it is, by what the kernel says; `None`: nobody's who may change anything.
pub(super) fn identity(policy: &Policy, caller: &Caller, choice: u8) -> Option<Who> {
    let privileged = |from: &SocketAddr| from.ip().is_loopback() && from.port() < 1024;
    let (from, local) = match caller {
        Caller::Unix { uid, namespace } => return Some((uid.map_or(Owner::Unknown, Owner::Uid), *namespace)),
        Caller::Connection { from, local } => (from, local.ip()),
        Caller::Datagram(datagram) if is_unverified(caller) || datagram.mapped => return None,
        Caller::Datagram(datagram) => (&datagram.from, datagram.destination),
    };
    let is_datagram = matches!(caller, Caller::Datagram(_));
    if !(from.ip().is_loopback() && local.is_loopback()) {
        return (policy.insecure && !is_datagram).then_some((Owner::Unknown, HOME));
    }
    let owner = match owner(choice, from.port()) {
        OwnerFact::Unknown if privileged(from) => Owner::ROOT,
        OwnerFact::Sockets(sockets) => match sockets[..] {
            [] if !is_datagram && !policy.insecure => return None,
            [socket] if socket.ours || socket.inode == 0 => Owner::Unknown,
            [socket] if is_datagram && socket.uid < 1000 && !privileged(from) => Owner::Unknown,
            [socket] => Owner::Uid(socket.uid),
            _ => Owner::Unknown,
        },
        OwnerFact::Unknown => Owner::Unknown,
    };
    Some((owner, HOME))
}

/// Who may remove or replace a row at all: home's root, its owner from where it was registered, and at home anybody
/// what is nobody's.
pub(super) fn may_remove((owner, namespace): Who, row: &Row) -> bool {
    let is_nobodys = row.owner == Owner::Unknown && row.namespace == HOME && namespace == HOME;
    let is_own = row.owner != Owner::Unknown && row.owner == owner && row.namespace == namespace;
    let is_home_root = owner == Owner::ROOT && namespace == HOME;
    assert!(namespace == HOME || namespace == ELSEWHERE);
    is_home_root || is_own || is_nobodys
}

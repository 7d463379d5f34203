//! Who may do what: every permission decision, and nothing else.
//! Callers are classes decided by facts from the kernel; what a message says about its sender is never believed.

use crate::access::ProcedureKind;
use crate::budget::Budget;
use crate::caller::{Caller, Datagram, Namespace};
use crate::facts::{OwnerFact, Socket};
use crate::interfaces::Host;
use crate::merge::same_subnet;
use crate::outcome::{Reason, Refusal};
use crate::registry::{Entry, Owner, Row};
use crate::settings::{Caps, Forwarding, Policy, RemoteRules};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use oncrpc::{Procedure, Program, bind};

/// The longest reply to a datagram whose source is not verified, in bytes.
pub const MAX_UNVERIFIED_REPLY: usize = 512;
/// The longest reply to any datagram, in bytes.
pub const MAX_DATAGRAM_REPLY: usize = 8_800;
/// The shortest message from an unverified source that is looked at: a call without arguments, in bytes.
const SHORTEST_CALL: usize = 40;

/// Programs that only privileged users may register: nfs, mountd, nlockmgr, status, rquotad, nfs_acl, ypserv, ypbind,
/// yppasswdd, ypupdated, ypxfrd.
const RESERVED_PROGRAMS: [u32; 11] =
    [100_003, 100_005, 100_021, 100_024, 100_011, 100_227, 100_004, 100_007, 100_009, 100_028, 100_069];
/// The port of NFS, reserved like those below [`RESERVED_PORTS_BELOW`].
const NFS_PORT: u16 = 2049;
const RESERVED_PORTS_BELOW: u16 = 1024;

/// How much is known of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A unix socket: the kernel vouches for the uid.
    Unix,
    /// This host, over a loopback address.
    Loopback,
    /// Somebody at the other end of a TCP connection.
    Stream,
    /// Whoever a datagram claims to be from.
    Datagram,
}

/// The class of a caller that only asks.
pub(crate) fn class_for_reading(caller: &Caller, host: &Host) -> Class {
    match caller {
        Caller::Datagram(datagram) if from_this_host(datagram, host) => Class::Loopback,
        _ => class_for_writing(caller, host),
    }
}

/// The class of a caller that wants to change something. Over TCP [`Class::Loopback`] holds only if sock_diag finds
/// the other end here: see [`identity`].
pub(crate) fn class_for_writing(caller: &Caller, host: &Host) -> Class {
    match caller {
        Caller::Unix { .. } => Class::Unix,
        Caller::Connection { from, local } if from.ip().is_loopback() && local.ip().is_loopback() => {
            Class::Loopback
        }
        Caller::Connection { .. } => Class::Stream,
        Caller::Datagram(datagram) if over_loopback(datagram, host) => Class::Loopback,
        Caller::Datagram(_) => Class::Datagram,
    }
}

fn over_loopback(datagram: &Datagram, host: &Host) -> bool {
    !datagram.mapped
        && datagram.from.ip().is_loopback()
        && datagram.destination.is_loopback()
        && host.is_loopback(datagram.interface)
}

/// Arrived on the loopback interface from an address of ours: no stranger can have sent it. Linux names the interface
/// that holds the destination address instead, so there only datagrams to loopback addresses are known to be ours;
/// the others are held to be a stranger's, since a source address alone proves nothing.
fn from_this_host(datagram: &Datagram, host: &Host) -> bool {
    !datagram.mapped
        && host.is_loopback(datagram.interface)
        && host.is_own(datagram.from.ip())
        && !is_group(datagram.destination)
        && datagram.destination == datagram.local.ip()
}

fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// How many bytes may answer a datagram: for unverified sources never more than came.
pub(crate) fn budget(policy: &Policy, caller: &Caller, host: &Host, message_len: usize) -> Budget {
    let Caller::Datagram(datagram) = caller else { return Budget::of(MAX_DATAGRAM_REPLY) };
    let full =
        class_for_reading(caller, host) == Class::Loopback || gets_full_replies(policy, datagram, host);
    Budget::of(if full { MAX_DATAGRAM_REPLY } else { message_len.min(MAX_UNVERIFIED_REPLY) })
}

fn gets_full_replies(policy: &Policy, datagram: &Datagram, host: &Host) -> bool {
    policy.udp_full.iter().any(|full| {
        full.prefix.contains(datagram.from.ip()) && host.index_of(&full.interface) == Some(datagram.interface)
    })
}

/// What a message may be that is looked at at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// Anything.
    Whole,
    /// A broadcast call. Anything else, and everything that is wrong with it, gets silence.
    BroadcastCall,
}

/// Whether a message is looked at at all, before any of it is. `forwards`: remote calls are made.
pub(crate) fn admit(
    forwards: bool,
    caller: &Caller,
    host: &Host,
    message_len: usize,
) -> Result<Admitted, Reason> {
    let Caller::Datagram(datagram) = caller else { return Ok(Admitted::Whole) };
    if message_len < SHORTEST_CALL && class_for_reading(caller, host) != Class::Loopback {
        return Err(Reason::NotACall);
    }
    let source = datagram.from.ip();
    let to_us_alone = datagram.destination == datagram.local.ip() && !is_group(datagram.destination);
    let from_one_host = !source.is_unspecified() && !is_group(source);
    if !from_one_host || is_server_port(datagram.from.port()) {
        Err(Reason::Unanswerable)
    } else if to_us_alone {
        Ok(Admitted::Whole)
    } else if forwards && is_on_link(datagram, host) {
        Ok(Admitted::BroadcastCall)
    } else {
        Err(Reason::Unanswerable)
    }
}

/// From a neighbour by its address: broadcasts and multicasts of others do not get here but by source routing or
/// forgery.
fn is_on_link(datagram: &Datagram, host: &Host) -> bool {
    host.addresses_of(datagram.interface).iter().any(|own| same_subnet(datagram.from.ip(), own))
}

/// Source ports that no client has: answering them would start a conversation between two servers.
fn is_server_port(port: u16) -> bool {
    matches!(port, 0 | 7 | 13 | 17 | 19 | bind::PORT)
}

/// Whether the limits on replies apply to this caller: to datagrams whose source is not verified.
pub(crate) fn is_limited(caller: &Caller, host: &Host) -> Option<IpAddr> {
    match caller {
        Caller::Datagram(datagram) if class_for_reading(caller, host) == Class::Datagram => {
            Some(datagram.from.ip())
        }
        _ => None,
    }
}

/// Whether the access lists let this caller use a procedure. The unix sockets are exempt.
pub(crate) fn permit(
    policy: &Policy,
    caller: &Caller,
    kind: ProcedureKind,
    program: Option<Program>,
) -> Result<(), Reason> {
    let Some(from) = caller.from().map(|from| from.ip()) else { return Ok(()) };
    let allowed = (policy.hosts.is_empty() || policy.hosts.admits(from))
        && (policy.access.is_empty() || policy.access.allows(from, kind, program.map(|program| program.0)));
    if allowed { Ok(()) } else { Err(Reason::AccessDenied) }
}

/// Somebody who may want to change the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) owner: Owner,
    pub(crate) namespace: Namespace,
}

/// Whether the class alone lets a caller change the registry.
pub(crate) fn may_write(policy: &Policy, class: Class) -> Result<(), Reason> {
    match class {
        Class::Unix | Class::Loopback => Ok(()),
        Class::Stream if policy.insecure => Ok(()),
        Class::Stream | Class::Datagram => Err(Reason::NotLocal),
    }
}

/// Who a caller of a class that may write is; `fact` answers the question about the socket at its end.
pub(crate) fn identity(
    policy: &Policy,
    home: Namespace,
    caller: &Caller,
    fact: &OwnerFact,
) -> Result<Identity, Reason> {
    let at_home = |owner| Identity { owner, namespace: home };
    match (caller, fact) {
        (Caller::Unix { uid, namespace }, _) => {
            Ok(Identity { owner: uid.map_or(Owner::Unknown, Owner::Uid), namespace: *namespace })
        }
        (Caller::Connection { from, .. } | Caller::Datagram(Datagram { from, .. }), OwnerFact::Unknown) => {
            let privileged = from.ip().is_loopback() && from.port() < policy.privileged_ports_below;
            Ok(at_home(if privileged { Owner::ROOT } else { Owner::Unknown }))
        }
        (Caller::Connection { from, .. }, OwnerFact::Sockets(sockets)) => match sockets.as_slice() {
            [] if policy.insecure => Ok(at_home(Owner::Unknown)),
            [] => Err(Reason::NotLocal),
            [socket] => Ok(at_home(owner_of_connection(socket, from))),
            _ => Ok(at_home(Owner::Unknown)),
        },
        (Caller::Datagram(datagram), OwnerFact::Sockets(sockets)) => {
            Ok(at_home(owner_of_datagram(policy, &datagram.from, sockets)))
        }
    }
}

/// A closed or time-wait socket reports uid 0: only an established one with an inode says whose it is.
fn owner_of_connection(socket: &Socket, from: &SocketAddr) -> Owner {
    let believed = socket.established && socket.inode != 0 && socket.port == from.port() && !socket.ours;
    if believed { Owner::Uid(socket.uid) } else { Owner::Unknown }
}

/// Several sockets can share a port: a uid counts only when all of them have it. Since unprivileged programs can share
/// a port with a system user's, such a uid counts only from a port that they cannot bind.
fn owner_of_datagram(policy: &Policy, from: &SocketAddr, sockets: &[Socket]) -> Owner {
    let Some(first) = sockets.first() else { return Owner::Unknown };
    let one_uid = sockets.iter().all(|socket| {
        socket.uid == first.uid && socket.inode != 0 && !socket.ours && socket.port == from.port()
    });
    let port_proves = from.port() < policy.privileged_ports_below;
    if one_uid && (port_proves || !is_system(first.uid)) { Owner::Uid(first.uid) } else { Owner::Unknown }
}

/// Root, the users of the system's own services, and those that a service manager makes up.
fn is_system(uid: u32) -> bool {
    uid < 1_000 || (61_184..=65_519).contains(&uid)
}

/// Whether somebody may register this program at this address; why not otherwise.
pub(crate) fn may_register(
    policy: &Policy,
    home: Namespace,
    who: Identity,
    program: Program,
    address: Option<SocketAddr>,
    host: &Host,
) -> Result<(), Refusal> {
    let privileged = match who.owner {
        Owner::Uid(uid) => is_system(uid) || policy.started_by == Some(uid),
        Owner::Unknown => false,
    };
    if RESERVED_PROGRAMS.contains(&program.0) && !privileged && !granted(policy, who, Some(program), None) {
        return Err(Refusal::ReservedProgram);
    }
    let Some(address) = address else { return Ok(()) };
    let port = address.port();
    let reserved = port < RESERVED_PORTS_BELOW || port == NFS_PORT;
    if reserved && !privileged && !granted(policy, who, None, Some(port)) {
        return Err(Refusal::ReservedPort);
    }
    let address = address.ip();
    let named = if who.namespace != home {
        address.is_unspecified() || who.owner == Owner::ROOT
    } else {
        privileged || address.is_unspecified() || host.is_own(address)
    };
    if named { Ok(()) } else { Err(Refusal::ForeignAddress) }
}

fn granted(policy: &Policy, who: Identity, program: Option<Program>, port: Option<u16>) -> bool {
    policy.grants.iter().any(|grant| {
        who.owner == Owner::Uid(grant.uid)
            && program.is_none_or(|program| grant.programs.contains(&program))
            && port.is_none_or(|port| grant.ports.contains(&port))
    })
}

/// Whether a row is one that an UNSET of this caller's is about: rows of other namespaces are not, but for home's root.
pub(crate) fn concerns(home: Namespace, who: Identity, row: &Row) -> bool {
    row.namespace == who.namespace || is_home_root(home, who)
}

/// Whether somebody may remove or replace a row.
pub(crate) fn may_change(home: Namespace, who: Identity, row: &Row) -> bool {
    if row.program == bind::PROGRAM {
        return false;
    }
    if is_home_root(home, who) {
        return true;
    }
    match row.owner {
        Owner::Unknown => row.namespace == home && who.namespace == home,
        owner => who.owner == owner && who.namespace == row.namespace,
    }
}

/// Whether somebody who may change a row may give it another address although its service is not known to be dead.
pub(crate) fn may_take_over(home: Namespace, who: Identity, row: &Row) -> bool {
    let is_own = who.owner == row.owner && who.namespace == row.namespace;
    (row.owner == Owner::Unknown && who.owner != Owner::Unknown) || (is_home_root(home, who) && !is_own)
}

fn is_home_root(home: Namespace, who: Identity) -> bool {
    who.owner == Owner::ROOT && who.namespace == home
}

/// Whether there is room for one more row of this owner.
pub(crate) fn has_room(caps: Caps, owner: Owner, rows: usize, owned: usize) -> Result<(), Refusal> {
    let free = if owner == Owner::ROOT { caps.rows } else { caps.rows.saturating_sub(caps.rows_for_root) };
    if rows >= free {
        return Err(Refusal::TableFull);
    }
    if owner != Owner::ROOT && owned >= caps.rows_per_uid {
        return Err(Refusal::OwnerFull);
    }
    Ok(())
}

/// Whether there is room for a row that was there before. The order of rows says nothing of who came first: one that
/// was replaced is the last. So root's rows leave room to others here, as long as those leave to root what is root's.
pub(crate) fn has_room_again(
    caps: Caps,
    owner: Owner,
    rows: usize,
    of_root: usize,
    owned: usize,
) -> Result<(), Refusal> {
    if rows >= caps.rows {
        return Err(Refusal::TableFull);
    }
    let rows = if owner == Owner::ROOT { rows } else { rows.saturating_sub(of_root) };
    has_room(caps, owner, rows, owned)
}

/// Procedures that must not be reached with this host's own address as the source, known to services or not, as in the
/// C daemon. NULL is harmless everywhere.
pub(crate) fn is_forbidden(program: Program, procedure: Procedure) -> bool {
    if procedure == Procedure::NULL {
        return false;
    }
    match program.0 {
        100_000 | 100_003 | 100_009 | 100_011 => true,
        100_005 => matches!(procedure.0, 1 | 3),
        100_007 => procedure.0 == 2,
        100_004 => matches!(procedure.0, 3 | 4 | 5 | 8),
        _ => false,
    }
}

/// nfs_acl, ypupdated, keyserv and ypxfrd, which other systems' port mappers call for nobody.
const NEVER_CALLED: [u32; 4] = [100_227, 100_028, 100_029, 100_069];

/// Whether a procedure that is not [forbidden](is_forbidden) may be called for others.
pub(crate) fn is_allowed(rules: &RemoteRules, program: Program, procedure: Procedure) -> bool {
    let never = NEVER_CALLED.contains(&program.0) && procedure != Procedure::NULL;
    let listed = || {
        rules.allowed.iter().any(|allowed| {
            allowed.programs.contains(&program.0)
                && allowed.procedure.is_none_or(|allowed| allowed == procedure)
        })
    };
    !never && listed()
}

/// Where a row's service is called for others: at an address of this host, and at no port of ours. Rows of other
/// namespaces are about other hosts' sockets, or none.
pub(crate) fn target(
    home: Namespace,
    own_ports: &[u16],
    forwarding: &Forwarding,
    host: &Host,
    entry: &Entry,
) -> Option<SocketAddr> {
    let registered = entry.socket.filter(|_| entry.row.namespace == home)?;
    let port = registered.port();
    let sockets = [forwarding.inet, forwarding.inet6];
    if port == bind::PORT || own_ports.contains(&port) || sockets.contains(&Some(port)) {
        return None;
    }
    let (socket, loopback) = match registered.ip() {
        IpAddr::V4(_) => (forwarding.inet, IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(_) => (forwarding.inet6, IpAddr::V6(Ipv6Addr::LOCALHOST)),
    };
    socket?;
    if registered.ip().is_unspecified() {
        return Some(SocketAddr::new(loopback, port));
    }
    host.is_own(registered.ip()).then_some(registered)
}

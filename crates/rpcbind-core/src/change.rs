//! SET and UNSET in every version: whole or not at all. Who may do it is decided in `policy.rs`.

use crate::caller::Caller;
use crate::facts::{BoundFact, OwnerFact, Question};
use crate::outcome::{Change, Handled, Outcome, Reason, Refusal, Why};
use crate::policy::{self, Class, Identity};
use crate::registry::{Entry, Owner, Row};
use crate::service::{Ask, Service, refuse};
use crate::v2::{deny, garbage, netid_of};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use oncrpc::bind::{self, Mapping, Netid, Rpcb, UniversalAddress};
use oncrpc::xdr::{Decode, Reader, Writer};
use oncrpc::{Answer, Program, Reply, Version};

/// How a SET or UNSET ends.
enum Verdict {
    True(Change),
    False(Refusal),
    Denied(Reason),
    Need(Question),
}

/// SET and UNSET of version 2. UNSET takes both protocols, whatever it names.
pub(crate) fn mapping(service: &mut Service, ask: &Ask<'_>, why: Why, writer: Writer<'_>) -> Handled {
    let Ok(wanted) = Mapping::decode(&mut Reader::new(ask.call.arguments)) else {
        service.count(ask.call.version, ask);
        return garbage(ask, why, writer);
    };
    let why = Why { program: Some(wanted.program), ..why };
    let verdict = admit(service, ask, why).and_then(|who| {
        if ask.call.procedure == bind::UNSET {
            let both = |netid| matches!(netid, Netid::UDP | Netid::TCP);
            return unset(service, who, wanted.program, wanted.version, both);
        }
        let netid = netid_of(wanted.protocol).ok_or(Verdict::False(Refusal::Netid))?;
        let port = u16::try_from(wanted.port).map_err(|_| Verdict::False(Refusal::Address))?;
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        let address = UniversalAddress::Inet(any).text();
        set(service, ask, who, wanted.program, wanted.version, netid, address.as_bytes())
    });
    conclude(service, ask, why, writer, verdict)
}

/// SET and UNSET of versions 3 and 4. UNSET takes every netid when it names none.
pub(crate) fn rpcb(service: &mut Service, ask: &Ask<'_>, why: Why, writer: Writer<'_>) -> Handled {
    let Ok(wanted) = Rpcb::decode(&mut Reader::new(ask.call.arguments)) else {
        service.count(ask.call.version, ask);
        return garbage(ask, why, writer);
    };
    let why = Why { program: Some(wanted.program), ..why };
    let verdict = admit(service, ask, why).and_then(|who| {
        let named = service.settings.netids.find(wanted.netid);
        if ask.call.procedure == bind::UNSET {
            let all = wanted.netid.is_empty();
            return unset(service, who, wanted.program, wanted.version, |netid| all || named == Some(netid));
        }
        let netid = named.ok_or(Verdict::False(Refusal::Netid))?;
        set(service, ask, who, wanted.program, wanted.version, netid, wanted.address)
    });
    conclude(service, ask, why, writer, verdict)
}

/// Access lists, then who is calling, then the program that nobody may touch. A stranger learns nothing but that.
fn admit(service: &Service, ask: &Ask<'_>, why: Why) -> Result<Identity, Verdict> {
    service.permit(ask, why).map_err(Verdict::Denied)?;
    let class = policy::class_for_writing(ask.caller, &service.host);
    policy::may_write(&service.settings.policy, class).map_err(Verdict::Denied)?;
    let who = identify(service, ask, class)?;
    if why.program == Some(bind::PROGRAM) {
        return Err(Verdict::False(Refusal::PortMapper));
    }
    Ok(who)
}

/// Who is calling; asks the kernel when the class does not say.
fn identify(service: &Service, ask: &Ask<'_>, class: Class) -> Result<Identity, Verdict> {
    let (policy, home) = (&service.settings.policy, service.settings.home);
    let question = match (ask.caller, class) {
        (Caller::Unix { .. }, _) => None,
        (_, Class::Stream) => return Ok(Identity { owner: Owner::Unknown, namespace: home }),
        (Caller::Connection { from, local }, _) => Some((*from, *local)),
        (Caller::Datagram(datagram), _) => Some((datagram.from, datagram.local)),
    };
    let fact = match (question, &ask.facts.owner) {
        (None, _) => &OwnerFact::Unknown,
        (Some(_), Some(fact)) => fact,
        (Some((remote, local)), None) => {
            let transport = ask.caller.transport();
            return Err(Verdict::Need(Question::Owner { transport, local, remote }));
        }
    };
    policy::identity(policy, home, ask.caller, fact).map_err(Verdict::Denied)
}

fn set(
    service: &mut Service,
    ask: &Ask<'_>,
    who: Identity,
    program: Program,
    version: Version,
    netid: Netid,
    address: &[u8],
) -> Result<Change, Verdict> {
    let (address, socket) = checked_address(service, netid, address).map_err(Verdict::False)?;
    let existing = service.registry.exact(program, version, netid);
    let home = service.settings.home;
    if let Some(entry) = existing.filter(|entry| is_same(entry, &address, socket)) {
        if entry.liveness().is_dead() && policy::may_change(home, who, &entry.row) {
            service.reconsider(program, version, netid);
        }
        return Ok(Change::default());
    }
    policy::may_register(&service.settings.policy, home, who, program, socket, &service.host)
        .map_err(Verdict::False)?;
    if let Some(entry) = existing {
        may_replace(service, ask, who, entry)?;
    }
    room(service, who, existing.map(|entry| entry.row.owner)).map_err(Verdict::False)?;
    let Some(family) = service.settings.netids.family(netid) else {
        return Err(Verdict::False(Refusal::Netid));
    };
    if existing.is_some() && ask.facts.bound == Some(BoundFact::Free) {
        service.deaths.replaced = service.deaths.replaced.saturating_add(1);
    }
    let row = Row { program, version, netid, address, owner: who.owner, namespace: who.namespace };
    let replaced = service.registry.insert(row.clone(), family);
    Ok(Change { removed: replaced.into_iter().collect(), added: Some(row) })
}

/// The address as it will be listed, when it is one of the netid's family and has a port that can be connected to.
pub(crate) fn checked_address(
    service: &Service,
    netid: Netid,
    address: &[u8],
) -> Result<(Box<str>, Option<SocketAddr>), Refusal> {
    let family = service.settings.netids.family(netid).ok_or(Refusal::Netid)?;
    let parsed = UniversalAddress::parse(address, family).ok_or(Refusal::Address)?;
    let text = core::str::from_utf8(address).map_err(|_| Refusal::Address)?;
    if parsed.port() == Some(0) || text.chars().any(char::is_control) {
        return Err(Refusal::Address);
    }
    Ok((text.into(), parsed.socket()))
}

fn is_same(entry: &Entry, address: &str, socket: Option<SocketAddr>) -> bool {
    *entry.row.address == *address || (socket.is_some() && entry.socket == socket)
}

/// A row with another address is there: it goes only when its service is dead or the caller is above its owner.
fn may_replace(service: &Service, ask: &Ask<'_>, who: Identity, entry: &Entry) -> Result<(), Verdict> {
    let home = service.settings.home;
    if !policy::may_change(home, who, &entry.row) {
        return Err(Verdict::False(Refusal::Conflict));
    }
    if policy::may_take_over(home, who, &entry.row) {
        return Ok(());
    }
    if entry.row.namespace != home {
        return Err(Verdict::False(Refusal::Conflict));
    }
    match ask.facts.bound {
        None => Err(Verdict::Need(Question::Bound {
            netid: service.settings.netids.name(entry.row.netid).to_string(),
            address: entry.row.address.to_string(),
        })),
        Some(BoundFact::Free) => Ok(()),
        Some(BoundFact::Bound | BoundFact::Unknown) => Err(Verdict::False(Refusal::Conflict)),
    }
}

/// Room for one more row. One that takes the place of another needs none in the table, only among its owner's.
fn room(service: &Service, who: Identity, replaced: Option<Owner>) -> Result<(), Refusal> {
    let rows = if replaced.is_some() { 0 } else { service.registry.len() };
    let owned = service.registry.owned_by(who.owner).saturating_sub(usize::from(replaced == Some(who.owner)));
    policy::has_room(service.settings.caps, who.owner, rows, owned)
}

fn unset(
    service: &mut Service,
    who: Identity,
    program: Program,
    version: Version,
    matches: impl Fn(Netid) -> bool,
) -> Result<Change, Verdict> {
    let home = service.settings.home;
    let rows = service.registry.on_all_netids(program, version).map(|entry| &entry.row);
    let mut netids = Vec::new();
    for row in rows.filter(|row| matches(row.netid) && policy::concerns(home, who, row)) {
        if !policy::may_change(home, who, row) {
            return Err(Verdict::False(Refusal::NotOwner));
        }
        netids.push(row.netid);
    }
    let removed =
        netids.into_iter().filter_map(|netid| service.registry.remove(program, version, netid)).collect();
    Ok(Change { removed, added: None })
}

impl From<Result<Change, Verdict>> for Verdict {
    fn from(result: Result<Change, Verdict>) -> Self {
        result.map_or_else(|verdict| verdict, Verdict::True)
    }
}

/// Counts and answers. Nothing is counted while a fact is missing.
fn conclude(
    service: &mut Service,
    ask: &Ask<'_>,
    why: Why,
    writer: Writer<'_>,
    verdict: Result<Change, Verdict>,
) -> Handled {
    let version = ask.call.version;
    let verdict = Verdict::from(verdict);
    if !matches!(verdict, Verdict::Need(_)) {
        service.count(version, ask);
    }
    match verdict {
        Verdict::Need(question) => {
            Handled { why: Why { reason: Reason::Pending, ..why }, outcome: Outcome::Need(question) }
        }
        Verdict::Denied(reason) => deny(ask, why, reason, writer),
        Verdict::False(refusal) => {
            service.answer(ask, why, Reason::Refused(refusal), writer, |writer| writer.bool(false))
        }
        Verdict::True(change) => {
            if ask.call.procedure == bind::SET {
                service.statistics.set(version);
            } else {
                service.statistics.unset(version);
            }
            commit(ask, why, change, writer)
        }
    }
}

/// TRUE, which has to wait until the change is durable.
fn commit(ask: &Ask<'_>, why: Why, change: Change, mut writer: Writer<'_>) -> Handled {
    let xid = ask.call.xid;
    let why = Why { reason: Reason::Changed, ..why };
    match Reply::encode_success(xid, &mut writer).and_then(|()| writer.bool(true)) {
        Ok(()) => Handled { why, outcome: Outcome::Commit { len: writer.len(), change } },
        // The change stands and has to be kept, although the caller cannot be told: nobody lends so small a buffer
        // to somebody who may write, but nothing is lost if one did.
        Err(_) => {
            let refused = refuse(why, Reason::Changed, xid, Answer::SystemError, writer);
            let len = if let Outcome::Reply { len } = refused.outcome { len } else { 0 };
            Handled { why, outcome: Outcome::Commit { len, change } }
        }
    }
}

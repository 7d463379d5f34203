//! Version 2, the port mapper of IPv4 (RFC 1833 section 3): ports by protocol number.

use crate::change;
use crate::outcome::{Handled, Outcome, Reason, Why};
use crate::registry::ListKind;
use crate::remote::{self, Form};
use crate::service::{Ask, Service, refuse};
use oncrpc::bind::{self, Mapping, Netid, Protocol, V2};
use oncrpc::xdr::{Decode, Error, Reader, Writer};
use oncrpc::{Answer, AuthStatus, Procedure, Program, Reply, Version};

/// Handles a call of version 2.
pub(crate) fn handle(service: &mut Service, ask: &Ask<'_>, why: Why, writer: Writer<'_>) -> Handled {
    match ask.call.procedure {
        bind::SET | bind::UNSET => change::mapping(service, ask, why, writer),
        bind::CALLIT => remote::handle(service, ask, Form::Mapping, why, writer),
        Procedure(0..=4) => {
            service.count(V2, ask);
            question(service, ask, why, writer)
        }
        _ => refuse(why, Reason::ProcedureUnavailable, ask.call.xid, Answer::ProcedureUnavailable, writer),
    }
}

/// NULL, GETPORT and DUMP.
fn question(service: &mut Service, ask: &Ask<'_>, mut why: Why, writer: Writer<'_>) -> Handled {
    let mut wanted = None;
    if ask.call.procedure == bind::GETPORT {
        match Mapping::decode(&mut Reader::new(ask.call.arguments)) {
            Ok(mapping) => wanted = Some(mapping),
            Err(_) => return garbage(ask, why, writer),
        }
    }
    why.program = wanted.map(|mapping| mapping.program);
    if let Err(reason) = service.permit(ask, why) {
        return deny(ask, why, reason, writer);
    }
    match (wanted, ask.call.procedure) {
        (Some(wanted), _) => {
            let port = port_of(service, wanted.program, wanted.version, wanted.protocol);
            let reason = if port.is_some() { Reason::Answered } else { Reason::NotRegistered };
            service.answer(ask, why, reason, writer, |writer| writer.u32(u32::from(port.unwrap_or_default())))
        }
        (None, bind::DUMP) => dump(service, ask, why, writer, ListKind::Mappings),
        _ => service.answer(ask, why, Reason::Answered, writer, |_| Ok::<(), Error>(())),
    }
}

/// The port of a service; any version's when the one asked for is not registered.
fn port_of(service: &mut Service, program: Program, version: Version, protocol: Protocol) -> Option<u16> {
    let netid = netid_of(protocol)?;
    let port = service.registry.any_port(program, version, netid);
    service.count_lookup(V2, program, version, netid, port.is_some_and(|port| port > 0));
    port
}

/// The netid that a protocol number of version 2 stands for.
pub(crate) fn netid_of(protocol: Protocol) -> Option<Netid> {
    match protocol {
        Protocol::UDP => Some(Netid::UDP),
        Protocol::TCP => Some(Netid::TCP),
        _ => None,
    }
}

/// A whole list: beside the reply on a stream, inside it in a datagram.
pub(crate) fn dump(
    service: &mut Service,
    ask: &Ask<'_>,
    why: Why,
    mut writer: Writer<'_>,
    kind: ListKind,
) -> Handled {
    let body = service.list(kind);
    if matches!(ask.caller, crate::caller::Caller::Datagram(_)) {
        return service.answer(ask, why, Reason::Answered, writer, |writer| writer.raw(&body));
    }
    match Reply::encode_success(ask.call.xid, &mut writer) {
        Ok(()) => {
            let why = Why { reason: Reason::Answered, ..why };
            Handled { why, outcome: Outcome::Table { len: writer.len(), body } }
        }
        Err(_) => service.too_long(ask, why, writer),
    }
}

/// GARBAGE_ARGS.
pub(crate) fn garbage(ask: &Ask<'_>, why: Why, writer: Writer<'_>) -> Handled {
    refuse(why, Reason::GarbageArguments, ask.call.xid, Answer::GarbageArguments, writer)
}

/// AUTH_TOOWEAK.
pub(crate) fn deny(ask: &Ask<'_>, why: Why, reason: Reason, writer: Writer<'_>) -> Handled {
    refuse(why, reason, ask.call.xid, Answer::AuthError(AuthStatus::TooWeak), writer)
}

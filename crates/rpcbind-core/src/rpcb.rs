//! Versions 3 and 4 (RFC 1833 section 2): universal addresses by netid.

use crate::change;
use crate::outcome::{Handled, Reason, Why};
use crate::registry::ListKind;
use crate::remote::{self, Form};
use crate::service::{Ask, Service, refuse};
use crate::v2::{deny, dump, garbage};
use oncrpc::bind::sockaddr::{self, MAX_SOCKADDR, Sockaddr};
use oncrpc::bind::{
    self, AddressText, Attributes, Family, MAX_STRING, Netbuf, Rpcb, UniversalAddress, V3, V4,
};
use oncrpc::xdr::{Decode, Encode, Error, Reader, Writer, encode_list};
use oncrpc::{Answer, Procedure};

/// A question with its arguments.
enum Question<'a> {
    Null,
    Address(Rpcb<'a>),
    ExactAddress(Rpcb<'a>),
    AddressList(Rpcb<'a>),
    Dump,
    Time,
    ToSocket(&'a [u8]),
    ToUniversal(Netbuf<'a>),
    Statistics,
}

/// Handles a call of version 3 or 4.
pub(crate) fn handle(service: &mut Service, ask: &Ask<'_>, why: Why, writer: Writer<'_>) -> Handled {
    let version = ask.call.version;
    match (version, ask.call.procedure) {
        (_, bind::SET | bind::UNSET) => change::rpcb(service, ask, why, writer),
        (_, bind::CALLIT) => remote::handle(service, ask, Form::Broadcast, why, writer),
        (V4, bind::INDIRECT) => remote::handle(service, ask, Form::Indirect, why, writer),
        (V3, Procedure(0..=8)) | (V4, Procedure(0..=12)) => {
            service.count(version, ask);
            question(service, ask, why, writer)
        }
        _ => refuse(why, Reason::ProcedureUnavailable, ask.call.xid, Answer::ProcedureUnavailable, writer),
    }
}

impl<'a> Question<'a> {
    fn decode(procedure: Procedure, arguments: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(arguments);
        Ok(match procedure {
            bind::GETADDR => Self::Address(Rpcb::decode(&mut reader)?),
            bind::GETVERSADDR => Self::ExactAddress(Rpcb::decode(&mut reader)?),
            bind::GETADDRLIST => Self::AddressList(Rpcb::decode(&mut reader)?),
            bind::DUMP => Self::Dump,
            bind::GETTIME => Self::Time,
            bind::UADDR2TADDR => Self::ToSocket(reader.opaque(MAX_STRING)?),
            bind::TADDR2UADDR => Self::ToUniversal(Netbuf::decode(&mut reader)?),
            bind::GETSTAT => Self::Statistics,
            _ => Self::Null,
        })
    }
}

/// Everything that changes nothing.
fn question(service: &mut Service, ask: &Ask<'_>, mut why: Why, writer: Writer<'_>) -> Handled {
    let Ok(question) = Question::decode(ask.call.procedure, ask.call.arguments) else {
        return garbage(ask, why, writer);
    };
    if let Question::Address(wanted) | Question::ExactAddress(wanted) | Question::AddressList(wanted) =
        &question
    {
        why.program = Some(wanted.program);
    }
    if let Err(reason) = service.permit(ask, why) {
        return deny(ask, why, reason, writer);
    }
    let done = Reason::Answered;
    match question {
        Question::Null => service.answer(ask, why, done, writer, |_| Ok(())),
        Question::Address(wanted) => address(service, ask, why, writer, &wanted, false),
        Question::ExactAddress(wanted) => address(service, ask, why, writer, &wanted, true),
        Question::AddressList(wanted) => address_list(service, ask, why, writer, &wanted),
        Question::Dump => dump(service, ask, why, writer, ListKind::Rpcbs),
        Question::Time => service.answer(ask, why, done, writer, |writer| writer.u32(ask.now.unix_seconds)),
        Question::ToSocket(text) => {
            let family = family_of(ask);
            service.answer(ask, why, done, writer, |writer| to_socket(text, family, writer))
        }
        Question::ToUniversal(netbuf) => {
            let family = family_of(ask);
            service.answer(ask, why, done, writer, |writer| {
                let address = sockaddr::parse(netbuf.bytes, family).map(|address| address.text());
                writer.opaque(address.unwrap_or_default().as_bytes())
            })
        }
        Question::Statistics => service.answer(ask, why, done, writer, |writer| {
            service.statistics.encode(&service.settings.netids, writer)
        }),
    }
}

/// GETADDR and GETVERSADDR: on the transport that the question arrived on, whatever netid it names.
fn address(
    service: &mut Service,
    ask: &Ask<'_>,
    why: Why,
    writer: Writer<'_>,
    wanted: &Rpcb<'_>,
    exact: bool,
) -> Handled {
    let netid = ask.netid();
    let found = if exact {
        service.registry.exact(wanted.program, wanted.version, netid)
    } else {
        service.registry.any_version(wanted.program, wanted.version, netid)
    };
    let text = found.map(|entry| service.merged(entry, ask, wanted.address));
    service.count_lookup(ask.call.version, wanted.program, wanted.version, netid, text.is_some());
    let reason = if text.is_some() { Reason::Answered } else { Reason::NotRegistered };
    let text = text.as_ref().map(AddressText::as_bytes).unwrap_or_default();
    service.answer(ask, why, reason, writer, |writer| writer.opaque(text))
}

/// GETADDRLIST: exactly this version, on every transport of the family that the question arrived on.
fn address_list(
    service: &mut Service,
    ask: &Ask<'_>,
    why: Why,
    writer: Writer<'_>,
    wanted: &Rpcb<'_>,
) -> Handled {
    let mut rows = rows_of_family(service, ask, wanted).peekable();
    let found = rows.peek().is_some();
    let reason = if found { Reason::Answered } else { Reason::NotRegistered };
    let handled = service.answer(ask, why, reason, writer, |writer| encode_list(rows, writer));
    service.count_lookup(ask.call.version, wanted.program, wanted.version, ask.netid(), found);
    handled
}

/// A row as GETADDRLIST answers it.
struct Listed<'a> {
    address: AddressText,
    attributes: &'a Attributes,
}

fn rows_of_family<'a>(
    service: &'a Service,
    ask: &Ask<'_>,
    wanted: &Rpcb<'_>,
) -> impl Iterator<Item = Listed<'a>> {
    let family = family_of(ask);
    let rows = service.registry.on_all_netids(wanted.program, wanted.version);
    rows.filter_map(move |row| {
        let attributes = service.settings.netids.attributes(row.row.netid)?;
        let is_listed = attributes.family == family && family != Family::Local;
        is_listed.then(|| Listed { address: service.merged(row, ask, wanted.address), attributes })
    })
}

impl Encode for Listed<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let Self { address, attributes } = self;
        let entry = bind::Entry {
            address: address.as_bytes(),
            netid: attributes.name.as_bytes(),
            semantics: attributes.semantics.number(),
            family: attributes.family.name().as_bytes(),
            protocol: attributes.protocol.as_bytes(),
        };
        entry.encode(writer)
    }
}

/// UADDR2TADDR: an empty netbuf for what does not parse. As libtirpc has it, the room that a netbuf claims is that of
/// the family's whole layout.
fn to_socket(text: &[u8], family: Family, writer: &mut Writer<'_>) -> Result<(), Error> {
    let layout = UniversalAddress::parse(text, family).map(|address| Sockaddr::new(&address));
    let bytes = layout.as_ref().map(Sockaddr::as_bytes).unwrap_or_default();
    let room = if family == Family::Local && !bytes.is_empty() { MAX_SOCKADDR } else { bytes.len() };
    Netbuf { max_len: u32::try_from(room).unwrap_or(0), bytes }.encode(writer)
}

/// The family of the transport that the question arrived on.
fn family_of(ask: &Ask<'_>) -> Family {
    match ask.caller.from() {
        Some(from) if from.is_ipv6() => Family::Inet6,
        Some(_) => Family::Inet,
        None => Family::Local,
    }
}

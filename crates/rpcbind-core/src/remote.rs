//! CALLIT, BCAST and INDIRECT (RFC 1833 sections 2.2.1 and 3.2): what is called for whom, and what is said about it.
//! INDIRECT is told of every failure; the broadcast forms are told of none, so that they cannot be used to find hosts.
//! Off unless the settings say otherwise: then nothing is ever sent.

use crate::budget::Budget;
use crate::caller::{Caller, Transport};
use crate::forward::table::{Pending, Repeatable};
use crate::limiter::Charge;
use crate::outcome::{Forward, Handled, Outcome, Reason, Why};
use crate::policy::{self, MAX_DATAGRAM_REPLY};
use crate::registry::{Entry, Registry};
use crate::service::{Ask, Service, refuse};
use crate::settings::{Credentials, Forwarding};
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use oncrpc::auth::{self, flavor};
use oncrpc::bind::{self, AddressText, CallResult, Netid, PortCallResult, RemoteCall, V2, V3, V4};
use oncrpc::xdr::{Decode, Encode, Error, Reader, Writer};
use oncrpc::{Answer, AuthStatus, AuthSys, Call, OpaqueAuth, Xid};

/// Which of the three it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// CALLIT of version 2, whose results are a port and what the service has answered.
    Mapping,
    /// CALLIT of version 3 and BCAST, whose results are an address and what the service has answered.
    Broadcast,
    /// INDIRECT, with the same results.
    Indirect,
}

impl Form {
    /// Whether its caller is told of failures.
    pub(crate) fn is_told(self) -> bool {
        self == Self::Indirect
    }
}

/// A remote call as it was asked for: all that is needed to answer it later.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    pub(crate) xid: Xid,
    pub(crate) form: Form,
    pub(crate) why: Why,
    /// Which service answers, as its caller can reach it.
    pub(crate) address: ServiceAddress,
    /// What may leave for it as a datagram.
    pub(crate) budget: Budget,
}

impl Asked {
    /// What it is known by when it may come again: on streams nothing does.
    pub(crate) fn repeatable(&self) -> Option<Repeatable> {
        let Caller::Datagram(datagram) = &self.caller else { return None };
        Some((datagram.from, self.xid, self.why.version?, self.why.procedure?))
    }
}

/// A service's address in the forms in which results tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceAddress {
    pub(crate) text: AddressText,
    pub(crate) port: u16,
}

/// Whether a call is one that may be sent to a whole network: CALLIT, which is BCAST in version 4.
pub(crate) fn is_broadcast(call: &Call<'_>) -> bool {
    call.program == bind::PROGRAM && matches!(call.version, V2 | V3 | V4) && call.procedure == bind::CALLIT
}

/// What came of a remote call that was not refused.
enum Begun {
    Called(Forward),
    /// The same call is under way.
    Repeated,
    /// Nobody is called: it is NULL of our own program.
    Ourselves(ServiceAddress),
}

/// Why a call is not made, and what INDIRECT is told; silence for everybody when that is `None`.
type Refusal = (Reason, Option<Answer<'static>>);

const TOO_WEAK: Option<Answer<'static>> = Some(Answer::AuthError(AuthStatus::TooWeak));
const SYSTEM_ERROR: Option<Answer<'static>> = Some(Answer::SystemError);

/// Handles a remote call of any version.
pub(crate) fn handle(
    service: &mut Service,
    ask: &Ask<'_>,
    form: Form,
    mut why: Why,
    writer: Writer<'_>,
) -> Handled {
    service.count(ask.call.version, ask);
    let begun = match RemoteCall::decode(&mut Reader::new(ask.call.arguments)) {
        Err(_) => Err((Reason::GarbageArguments, Some(Answer::GarbageArguments))),
        Ok(wanted) => {
            why.program = Some(wanted.program);
            why.target = Some(wanted.procedure);
            begin(service, ask, form, why, &wanted)
        }
    };
    match begun {
        Ok(Begun::Called(forward)) => {
            Handled { why: Why { reason: Reason::Forwarded, ..why }, outcome: Outcome::Forward(forward) }
        }
        Ok(Begun::Repeated) => Handled::silent(why, Reason::AlreadyForwarded),
        Ok(Begun::Ourselves(address)) => {
            let handled = service.answer(ask, why, Reason::Answered, writer, |writer| {
                encode_results(form, &address, &[], writer)
            });
            let fits = handled.why.reason != Reason::ReplyTooLong;
            if fits || form.is_told() { handled } else { Handled::silent(why, Reason::ReplyTooLong) }
        }
        Err((reason, Some(answer))) if is_told(service, ask, form) => {
            refuse(why, reason, ask.call.xid, answer, writer)
        }
        Err((reason, _)) => Handled::silent(why, reason),
    }
}

/// Where remote calls are off, callers on streams are told nothing, as by the C daemon.
fn is_told(service: &Service, ask: &Ask<'_>, form: Form) -> bool {
    let answers = service.forwards.is_some() || matches!(ask.caller, Caller::Datagram(_));
    answers && form.is_told()
}

/// Everything up to the call itself, in the order in which failures are looked at.
fn begin(
    service: &mut Service,
    ask: &Ask<'_>,
    form: Form,
    why: Why,
    wanted: &RemoteCall<'_>,
) -> Result<Begun, Refusal> {
    service.permit(ask, why).map_err(|reason| (reason, TOO_WEAK))?;
    let on_stream = !matches!(ask.caller, Caller::Datagram(_));
    if service.forwards.is_none() && on_stream {
        return Err((Reason::RemoteCallsOff, SYSTEM_ERROR));
    }
    if policy::is_forbidden(wanted.program, wanted.procedure) {
        return Err((Reason::RemoteCallRefused, TOO_WEAK));
    }
    let netid = netid_called(&service.registry, ask, wanted);
    let RemoteCall { program, version, procedure, .. } = *wanted;
    let registered = service.registry.exact(program, version, netid);
    let forwarding = service.forwards.as_ref().map(|forwards| forwards.forwarding);
    let is_allowed = policy::is_allowed(&service.settings.policy.remote_calls, program, procedure);
    if registered.is_some() && forwarding.is_some() && !is_allowed {
        return Err((Reason::RemoteCallRefused, TOO_WEAK));
    }
    // Counted as by the C daemon: when it is asked for, by whether its service is registered. Calls that nobody may
    // make are not.
    let is_known = registered.is_some() || service.registry.has(program);
    let key = is_known.then_some((program, version, procedure, netid));
    service.statistics.called_remotely(ask.call.version, key, registered.is_some(), form.is_told());
    let (Some(entry), Some(forwarding)) = (registered, forwarding) else {
        return Err(not_made(&service.registry, wanted, netid, registered.is_some()));
    };
    let address = ServiceAddress { text: service.merged(entry, ask, b""), port: entry.port() };
    if program == bind::PROGRAM {
        return Ok(Begun::Ourselves(address));
    }
    let to = reachable(service, &forwarding, entry);
    let budget = policy::budget(&service.settings.policy, ask.caller, &service.host, ask.message_len);
    let asked = Asked { caller: *ask.caller, xid: ask.call.xid, form, why, address, budget };
    call(service, ask, asked, to, wanted)
}

/// The netid whose services are called for a caller: UDP's of the caller's family. A caller on a unix socket has none,
/// and takes what there is.
fn netid_called(registry: &Registry, ask: &Ask<'_>, wanted: &RemoteCall<'_>) -> Netid {
    match ask.caller.transport() {
        Transport::Udp | Transport::Tcp => Netid::UDP,
        Transport::Udp6 | Transport::Tcp6 => Netid::UDP6,
        Transport::Local => {
            let has = |netid| registry.exact(wanted.program, wanted.version, netid).is_some();
            if has(Netid::UDP6) && !has(Netid::UDP) { Netid::UDP6 } else { Netid::UDP }
        }
    }
}

/// What is said when there is nobody to call, or calls are off.
fn not_made(registry: &Registry, wanted: &RemoteCall<'_>, netid: Netid, is_registered: bool) -> Refusal {
    if is_registered {
        return (Reason::RemoteCallsOff, SYSTEM_ERROR);
    }
    let versions = registry.versions(wanted.program, netid).map(|version| version.0);
    let range = versions.fold(None, |range, version| match range {
        None => Some((version, version)),
        Some((low, high)) => Some((version.min(low), version.max(high))),
    });
    let answer = match range {
        None => Answer::ProgramUnavailable,
        Some((low, high)) => Answer::ProgramMismatch { low, high },
    };
    (Reason::NotRegistered, Some(answer))
}

/// Where to call a service; `None` when that may not be, or nobody is there.
fn reachable(service: &Service, forwarding: &Forwarding, entry: &Entry) -> Option<SocketAddr> {
    if entry.liveness().is_dead() {
        return None;
    }
    policy::target(service.settings.home, &service.own_ports, forwarding, &service.host, entry)
}

/// Encodes the call and puts it down as under way, unless it is. What costs is done last.
fn call(
    service: &mut Service,
    ask: &Ask<'_>,
    asked: Asked,
    to: Option<SocketAddr>,
    wanted: &RemoteCall<'_>,
) -> Result<Begun, Refusal> {
    let failed = (Reason::RemoteCallFailed, SYSTEM_ERROR);
    let rules = &service.settings.policy.remote_calls;
    let (to, deadline) = (to.ok_or(failed)?, ask.now.monotonic.saturating_add(rules.expiry));
    let credentials = rules.credentials;
    let forwards = service.forwards.as_mut().ok_or(failed)?;
    if asked.repeatable().is_some_and(|repeatable| forwards.table.has(&repeatable)) {
        return Ok(Begun::Repeated);
    }
    let room = forwards.table.room_for(ask.caller).map_err(|_| (Reason::RemoteCallsFull, SYSTEM_ERROR))?;
    if !service.may_leave(ask.now, ask.caller, Charge::Reply) {
        return Err((Reason::RateLimited, None));
    }
    let forwards = service.forwards.as_mut().ok_or(failed)?;
    let id = forwards.name();
    let message = encode_call(ask, id.xid, credentials, wanted).map_err(|_| failed)?;
    forwards.table.insert(room, Pending { id, to, deadline, given_up: false, asked });
    Ok(Begun::Called(Forward { call: id, to, message }))
}

/// The call as the service gets it.
fn encode_call(
    ask: &Ask<'_>,
    xid: Xid,
    credentials: Credentials,
    wanted: &RemoteCall<'_>,
) -> Result<Vec<u8>, Error> {
    let RemoteCall { program, version, procedure, arguments } = *wanted;
    let mut body = [0; auth::MAX_BODY as usize];
    let credential = claimed(ask, credentials, &mut body)?;
    let mut message = vec![0; MAX_DATAGRAM_REPLY];
    let mut writer = Writer::new(&mut message);
    Call { credential, ..Call::new(xid, program, version, procedure) }.encode(&mut writer)?;
    // XDR has no lengths but multiples of four (RFC 4506 section 3).
    writer.opaque_fixed(arguments)?;
    let len = writer.len();
    message.truncate(len);
    Ok(message)
}

/// Who the service is told that calls.
fn claimed<'a>(ask: &Ask<'_>, credentials: Credentials, body: &'a mut [u8]) -> Result<OpaqueAuth<'a>, Error> {
    let credential = ask.call.credential;
    if credentials == Credentials::Nobody || credential.flavor != flavor::SYS {
        return Ok(OpaqueAuth::NONE);
    }
    let claim = AuthSys { stamp: ask.now.unix_seconds, ..AuthSys::from_body(credential.body)? };
    let mut writer = Writer::new(body);
    claim.encode(&mut writer)?;
    let len = writer.len();
    Ok(OpaqueAuth { flavor: flavor::SYS, body: body.get(..len).unwrap_or_default() })
}

/// Writes results as the form has them.
pub(crate) fn encode_results(
    form: Form,
    address: &ServiceAddress,
    results: &[u8],
    writer: &mut Writer<'_>,
) -> Result<(), Error> {
    match form {
        Form::Mapping => PortCallResult { port: u32::from(address.port), results }.encode(writer),
        Form::Broadcast | Form::Indirect => {
            CallResult { address: address.text.as_bytes(), results }.encode(writer)
        }
    }
}

//! CALLIT, BCAST and INDIRECT (RFC 1833 sections 2.2.1 and 3.2) where remote calls are off: nothing is ever sent.
//! INDIRECT is told why over a datagram; the broadcast forms never are, so that they cannot be used to find hosts.

use crate::caller::Caller;
use crate::outcome::{Handled, Outcome, Reason, Why};
use crate::service::{Ask, Service, refuse};
use oncrpc::bind::{self, RemoteCall, V4};
use oncrpc::xdr::{Decode, Reader, Writer};
use oncrpc::{Answer, AuthStatus, Procedure, Program};

/// Handles a remote call of any version.
pub(crate) fn handle(service: &mut Service, ask: &Ask<'_>, mut why: Why, writer: Writer<'_>) -> Handled {
    let (reason, answer) = match RemoteCall::decode(&mut Reader::new(ask.call.arguments)) {
        Err(_) => (Reason::GarbageArguments, Answer::GarbageArguments),
        Ok(wanted) => {
            why.program = Some(wanted.program);
            refusal(service, ask, why, &wanted)
        }
    };
    let told = matches!(ask.caller, Caller::Datagram(_)) && is_indirect(ask);
    if told {
        refuse(why, reason, ask.call.xid, answer, writer)
    } else {
        Handled { why: Why { reason, ..why }, outcome: Outcome::Silent }
    }
}

fn is_indirect(ask: &Ask<'_>) -> bool {
    ask.call.version == V4 && ask.call.procedure == bind::INDIRECT
}

/// Why the call is not made, in the order in which the reasons are looked at.
fn refusal(
    service: &mut Service,
    ask: &Ask<'_>,
    why: Why,
    wanted: &RemoteCall<'_>,
) -> (Reason, Answer<'static>) {
    let too_weak = Answer::AuthError(AuthStatus::TooWeak);
    if let Err(reason) = service.permit(ask, why) {
        return (reason, too_weak);
    }
    if !matches!(ask.caller, Caller::Datagram(_)) {
        return (Reason::RemoteCallRefused, Answer::SystemError);
    }
    if is_forbidden(wanted.program, wanted.procedure) {
        return (Reason::RemoteCallRefused, too_weak);
    }
    let netid = ask.netid();
    let exact = service.registry.exact(wanted.program, wanted.version, netid).is_some();
    let known = exact || service.registry.has(wanted.program);
    let key = known.then_some((wanted.program, wanted.version, wanted.procedure, netid));
    service.statistics.called_remotely(ask.call.version, key, exact, is_indirect(ask));
    if exact {
        return (Reason::RemoteCallRefused, Answer::SystemError);
    }
    let versions = service.registry.versions(wanted.program, netid).map(|version| version.0);
    let range = versions.fold(None, |range, version| match range {
        None => Some((version, version)),
        Some((low, high)) => Some((version.min(low), version.max(high))),
    });
    match range {
        None => (Reason::NotRegistered, Answer::ProgramUnavailable),
        Some((low, high)) => (Reason::NotRegistered, Answer::ProgramMismatch { low, high }),
    }
}

/// Procedures that must not be reached with this host's own address as the source. NULL is harmless everywhere.
fn is_forbidden(program: Program, procedure: Procedure) -> bool {
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

//! What may differ between Debian's rpcbind and ours in the remote calls that both make, and why. Where no rule here
//! allows a difference, the general ones may.

use oncrpc::bind::{CallResult, PortCallResult};
use oncrpc::xdr::{Decode, Reader};
use oncrpc::{Answer, AuthStatus};
use testkit::differential::case::{Arguments, Case, Credential, Place};
use testkit::differential::{Difference, Rule, Seen, Statistics};

use crate::predicates::{is_datagram, refused};
use crate::world::{Family, is_own, socket};

/// Every rule; each has to be used in a run.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "callers on streams are served, too",
        reason: "Nothing in RFC 1833 keeps remote calls to datagrams; the C daemon never answers on a stream.",
        allows: |d| is_remote(d) && !is_datagram(d) && *d.reference == Seen::Silence && is_success_or_told(d),
    },
    Rule {
        name: "version 2 is served over IPv6, too",
        reason: "A port is a port; the C daemon finds none in addresses of IPv6 and is silent.",
        allows: |d| {
            is_remote(d)
                && d.case.header.version == 2
                && d.case.caller.transport.is_ipv6()
                && *d.reference == Seen::Silence
                && results(d.subject_answer(), d).is_some()
        },
    },
    Rule {
        name: "only what is allowed is called",
        reason: "Services see remote calls come from their own host, so that it is listed which may be made.",
        allows: |d| {
            let declined =
                if is_told(d) { refused(d, AuthStatus::TooWeak) } else { *d.subject == Seen::Silence };
            is_remote(d) && !allowed(d.case) && declined
        },
    },
    Rule {
        name: "a result longer than its call stays here",
        reason: "The source of a datagram may be forged, and whoever has that address would be flooded.",
        allows: |d| {
            let unverified = d.case.caller.is_stranger() || d.case.caller.place == Place::OwnAddress;
            let declined =
                if is_told(d) { refused(d, AuthStatus::TooWeak) } else { *d.subject == Seen::Silence };
            let longer = match d.reference {
                Seen::Reply(reply) => reply.len() > d.case.message_len().min(512),
                // It did not fit into any datagram.
                _ => d.case.message_len() > 8_000,
            };
            is_remote(d) && is_datagram(d) && unverified && longer && declined
        },
    },
    Rule {
        name: "nobody is called elsewhere",
        reason: "What is registered at another host's address is not here; the C daemon calls what has its port here.",
        allows: |d| {
            let declined = if is_told(d) {
                d.subject_answer() == Some(Answer::SystemError)
            } else {
                *d.subject == Seen::Silence
            };
            is_remote(d) && is_elsewhere(d) && declined
        },
    },
    Rule {
        name: "INDIRECT is told of every failure",
        reason: "RFC 1833 section 2.2.1 has it so; the C daemon is silent when no answer comes, or none that is one.",
        allows: |d| {
            is_told(d) && *d.reference == Seen::Silence && d.subject_answer() == Some(Answer::SystemError)
        },
    },
    Rule {
        name: "services are not told whom a caller claims to be",
        reason: "They would believe it, for the call comes from their own host.",
        allows: |d| {
            let claims = matches!(d.case.credential, Credential::Sys { .. });
            is_remote(d) && claims && results(d.reference_answer(), d) != results(d.subject_answer(), d)
        },
    },
    Rule {
        name: "the address that was asked is the service's",
        reason: "It is known to work; the C daemon tells its first interface's.",
        allows: |d| {
            let same = results(d.reference_answer(), d).is_some()
                && results(d.reference_answer(), d) == results(d.subject_answer(), d);
            is_remote(d) && d.case.header.version != 2 && same && d.reference != d.subject
        },
    },
    Rule {
        name: "remote calls that are made or declined otherwise are counted otherwise",
        reason: "Those on streams count, and those that nothing allows do not.",
        allows: |d| match (d.reference, d.subject) {
            (Seen::Statistics(reference), Seen::Statistics(subject)) => totals_agree(d, reference, subject),
            _ => false,
        },
    },
];

/// Whether all is the same but for remote calls, and of those only as many were counted more as have come on streams,
/// and as many fewer as nothing allows.
fn totals_agree(d: &Difference<'_>, reference: &Statistics, subject: &Statistics) -> bool {
    let among = |is: fn(&Case) -> bool| d.history.iter().filter(|case| remote_case(case) && is(case)).count();
    let more = among(|case| !case.caller.transport.is_datagram());
    let fewer = among(|case| !allowed(case));
    // The C daemon calls itself for NULL of program 100000, and counts that.
    let itself = among(|case| case.program() == Some(100_000));
    let nulls = |statistics: &Statistics| {
        let first = statistics.versions.iter().filter_map(|version| version.calls.first());
        first.map(|count| usize::try_from(*count).unwrap_or(0)).sum::<usize>()
    };
    let calls = |statistics: &Statistics| -> Vec<_> {
        let versions = statistics.versions.iter();
        versions.map(|version| (version.calls[1..].to_vec(), version.set, version.unset)).collect()
    };
    let counted = |statistics: &Statistics| {
        let rows = statistics.versions.iter().flat_map(|version| &version.remote);
        rows.flat_map(|row| &row.counts[..2]).map(|count| usize::try_from(*count).unwrap_or(0)).sum::<usize>()
    };
    let (reference_counted, subject_counted) = (counted(reference), counted(subject));
    calls(reference) == calls(subject)
        && nulls(reference).saturating_sub(nulls(subject)) <= itself
        && subject_counted <= reference_counted.saturating_add(more)
        && subject_counted.saturating_add(fewer) >= reference_counted
}

/// A remote call that is a call, with arguments of its own.
fn is_remote(d: &Difference<'_>) -> bool {
    remote_case(d.case)
}

fn remote_case(case: &Case) -> bool {
    let form = case.is(&[2, 3, 4], 5) || case.is(&[4], 10);
    form && matches!(case.arguments, Arguments::Remote { .. })
}

/// INDIRECT, the form that is told of failures.
fn is_told(d: &Difference<'_>) -> bool {
    d.case.is(&[4], 10)
}

fn is_success_or_told(d: &Difference<'_>) -> bool {
    matches!(d.subject_answer(), Some(Answer::Success(_))) || (is_told(d) && d.subject_answer().is_some())
}

/// What is called where nothing else is configured.
fn allowed(case: &Case) -> bool {
    let Arguments::Remote { program, procedure, .. } = case.arguments else { return false };
    procedure == 0
        || program >= 0x2000_0000
        || matches!((program, procedure), (100_004, 1 | 2) | (100_026, 1))
}

/// Whether the service that is to be called is registered at another host's address.
fn is_elsewhere(d: &Difference<'_>) -> bool {
    let Arguments::Remote { program, version, .. } = d.case.arguments else { return false };
    let (netid, family) =
        if d.case.caller.transport.is_ipv6() { ("udp6", Family::Inet6) } else { ("udp", Family::Inet) };
    let row = d
        .subject_rows
        .iter()
        .find(|row| (row.program, row.version) == (program, version) && row.netid == netid);
    row.and_then(|row| socket(row.address.as_bytes(), family))
        .is_some_and(|(host, _)| !host.is_unspecified() && !is_own(host))
}

/// The results of the service that was called.
fn results<'a>(answer: Option<Answer<'a>>, d: &Difference<'_>) -> Option<&'a [u8]> {
    let Some(Answer::Success(results)) = answer else { return None };
    let mut reader = Reader::new(results);
    if d.case.header.version == 2 {
        return PortCallResult::decode(&mut reader).ok().map(|found| found.results);
    }
    CallResult::decode(&mut reader).ok().map(|found| found.results)
}

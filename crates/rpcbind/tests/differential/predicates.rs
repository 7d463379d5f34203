//! What the rules ask about a difference. Each looks at the call and at what both sides did.

use oncrpc::bind::Entry;
use oncrpc::xdr::{List, Reader};
use oncrpc::{Answer, AuthStatus};
use testkit::differential::case::{Arguments, Case, Credential, Tail, Transport};
use testkit::differential::{Difference, Lookup, Seen, Statistics, VersionStatistics, decode};

use crate::world::{Family, Merged, SERVED, Wanted, family, family_of, merged, parse, socket, string, truth};

pub(crate) fn is_datagram(d: &Difference<'_>) -> bool {
    d.case.caller.transport.is_datagram()
}

pub(crate) fn is_change(d: &Difference<'_>) -> bool {
    d.case.is_set() || d.case.is_unset()
}

pub(crate) fn is_cut(d: &Difference<'_>) -> bool {
    matches!(d.case.tail, Tail::Cut(_))
}

pub(crate) fn unanswered(d: &Difference<'_>) -> bool {
    matches!(d.reference, Seen::Silence | Seen::Closed)
}

pub(crate) fn refused(d: &Difference<'_>, status: AuthStatus) -> bool {
    d.subject_answer() == Some(Answer::AuthError(status))
}

pub(crate) fn true_to_c_alone(d: &Difference<'_>) -> bool {
    truth(d.reference_answer()) == Some(true) && truth(d.subject_answer()) == Some(false)
}

pub(crate) fn true_to_us_alone(d: &Difference<'_>) -> bool {
    truth(d.reference_answer()) == Some(false) && truth(d.subject_answer()) == Some(true)
}

pub(crate) fn wanted(d: &Difference<'_>, is: impl Fn(&Wanted) -> bool) -> bool {
    Wanted::of(d.case).as_ref().is_some_and(is)
}

pub(crate) fn address(wanted: &Wanted) -> Option<(std::net::IpAddr, u16)> {
    socket(&wanted.address, family(&wanted.netid)?)
}

/// An address that can be registered: of the family, with a port, and printable.
pub(crate) fn is_address(wanted: &Wanted) -> bool {
    let Some(family) = family(&wanted.netid) else { return false };
    match family {
        Family::Local => {
            parse(&wanted.address, family).is_some() && !wanted.address.iter().any(u8::is_ascii_control)
        }
        _ => socket(&wanted.address, family).is_some_and(|(_, port)| port > 0),
    }
}

pub(crate) fn credential_len(credential: &Credential) -> usize {
    match credential {
        Credential::None(length) | Credential::Other { length, .. } => *length,
        Credential::Sys { name, gids, more, cut, .. } => {
            (20 + name.next_multiple_of(4) + 4 * gids + more).saturating_sub(*cut)
        }
    }
}

/// Whether the arguments are cut, or end before those of the procedure would.
pub(crate) fn is_short(case: &Case) -> bool {
    let bytes = case.argument_bytes();
    let mut reader = Reader::new(&bytes);
    let (words, strings) = match (case.header.version, case.header.procedure) {
        (_, 0 | 4 | 6 | 12) => (0, 0),
        (2, 1..=3) => (4, 0),
        (_, 5 | 10) => (3, 1),
        (_, 7) => (0, 1),
        (_, 8) => (1, 1),
        _ => (2, 3),
    };
    let read = (0..words).try_for_each(|_| reader.u32().map(drop));
    let read = read.and_then(|()| (0..strings).try_for_each(|_| reader.opaque(9_000).map(drop)));
    matches!(case.tail, Tail::Cut(_)) || read.is_err()
}

/// Whether the subject says that the message is not whole, or takes it for no call at all.
pub(crate) fn refuses_the_message(d: &Difference<'_>) -> bool {
    refused(d, AuthStatus::BadCredential)
        || refused(d, AuthStatus::BadVerifier)
        || d.subject_answer() == Some(Answer::GarbageArguments)
        || (*d.subject == Seen::Silence && d.case.message_len() < 40)
}

pub(crate) fn is_longer_than_asked(d: &Difference<'_>) -> bool {
    match d.reference {
        Seen::Reply(reply) => {
            // GETADDRLIST: ours would have been longer, see the rule about hints.
            let longer = reply.len() > d.case.message_len().min(512) || d.case.is(&[4], 11);
            longer || d.reference_answer() == Some(Answer::SystemError)
        }
        Seen::Statistics(_) => true,
        // Version 2's DUMP that was too long for any datagram, and lists that the C daemon gave up.
        Seen::Silence => d.case.is(&[2], 4) || (d.case.is(&[4], 11) && has_a_row_elsewhere(d)),
        Seen::Closed => false,
    }
}

pub(crate) fn only_owners_differ(d: &Difference<'_>) -> bool {
    let (Some(reference), Some(subject)) = (decode(d.reference), decode(d.subject)) else { return false };
    reference.len() == subject.len()
        && reference.iter().zip(&subject).all(|(reference, subject)| {
            let same = (reference.program, reference.version, &reference.netid, &reference.address)
                == (subject.program, subject.version, &subject.netid, &subject.address);
            same && (reference.owner == subject.owner || reference.owner == "unknown")
        })
}

/// GETADDR and GETVERSADDR: whether both answer an address of the service, ours the one of the design.
pub(crate) fn answers_as_merged(d: &Difference<'_>, how: Merged) -> bool {
    if !d.case.is(&[3, 4], 3) && !d.case.is(&[4], 9) {
        return false;
    }
    let (Some(reference), Some(subject)) = (string(d.reference_answer()), string(d.subject_answer())) else {
        return false;
    };
    let transport = d.case.caller.transport;
    let netid = if transport == Transport::Unix { "local".to_owned() } else { transport.to_string() };
    let Some(wanted) = Wanted::of(d.case) else { return false };
    let rows = || d.subject_rows.iter().filter(|row| row.program == wanted.program && row.netid == netid);
    let row = rows().find(|row| row.version == wanted.version).or_else(|| rows().next_back());
    row.and_then(|row| merged(d.case, row))
        .is_some_and(|(address, by)| by == how && address.as_bytes() == subject && !reference.is_empty())
}

/// GETADDRLIST: whether ours lists every row of the family, merged.
pub(crate) fn lists_as_merged(d: &Difference<'_>) -> bool {
    let Some(Answer::Success(results)) = d.subject_answer() else { return false };
    let Some(wanted) = Wanted::of(d.case) else { return false };
    let of_family = family_of(d.case.caller.transport);
    let rows = d.subject_rows.iter().filter(|row| {
        (row.program, row.version) == (wanted.program, wanted.version)
            && of_family != Family::Local
            && family(&row.netid) == Some(of_family)
    });
    let expected: Option<Vec<_>> =
        rows.map(|row| Some((merged(d.case, row)?.0.into_bytes(), row.netid.clone().into_bytes()))).collect();
    let listed: Result<Vec<_>, _> = List::<Entry<'_>>::new(Reader::new(results))
        .map(|entry| entry.map(|entry| (entry.address.to_vec(), entry.netid.to_vec())))
        .collect();
    expected.zip(listed.ok()).is_some_and(|(expected, listed)| expected == listed)
}

/// Whether the program has a row of this version on a transport that the port mapper is not served on.
pub(crate) fn has_a_row_elsewhere(d: &Difference<'_>) -> bool {
    let named = |wanted: &Wanted, row: &testkit::table::Row| {
        (row.program, row.version) == (wanted.program, wanted.version)
            && !SERVED.contains(&row.netid.as_str())
    };
    wanted(d, |wanted| d.reference_rows.iter().any(|row| named(wanted, row)))
}

pub(crate) fn taddr<'a>(d: &Difference<'a>) -> Option<&'a [u8]> {
    match &d.case.arguments {
        Arguments::Netbuf { bytes, .. } => Some(bytes),
        _ => None,
    }
}

/// Whether bytes are a whole socket address of a family, as Linux lays it out; a unix one has a path or a name.
pub(crate) fn is_of_family(bytes: &[u8], family: Family) -> bool {
    let (number, length) = match family {
        Family::Local => (1_u16, 3),
        Family::Inet => (2, 16),
        Family::Inet6 => (10, 28),
    };
    let named = family != Family::Local || matches!(bytes.get(2), Some(b'/' | 0));
    bytes.starts_with(&number.to_ne_bytes()) && bytes.len() >= length && named
}

/// Whether the counters differ by no more than the calls that were answered differently.
pub(crate) fn counts_agree(d: &Difference<'_>, reference: &Statistics, subject: &Statistics) -> bool {
    let tables = reference.versions.iter().zip(&subject.versions).zip([2, 3, 4]);
    reference.versions.len() == subject.versions.len()
        && tables.into_iter().all(|((reference, subject), version)| {
            let earlier = |is: &dyn Fn(u32) -> bool| {
                let named = |case: &&Case| case.header.version == version && is(case.header.procedure);
                let differed = d.differed.iter().filter(named).count();
                let unlike = d.history.iter().filter(|case| is_read_otherwise(case, named(case))).count();
                u64::try_from(differed.saturating_add(unlike)).unwrap_or(u64::MAX)
            };
            let calls = (0_u32..).zip(reference.calls.iter().zip(&subject.calls)).all(
                |(procedure, (left, right))| {
                    u64::from(left.abs_diff(*right)) <= earlier(&|called| called == procedure)
                },
            );
            calls
                && (reference.set, reference.unset) == (subject.set, subject.unset)
                && lookups_agree(reference, subject, earlier(&|called| matches!(called, 3 | 9 | 11)))
                && remote_agree(reference, subject, earlier(&|called| matches!(called, 5 | 10)))
        })
}

/// Whether a datagram may count as another call with the C daemon, which reads on where it ends and stops at 9,000
/// bytes, though both were silent. One that ends before the procedure's number may be any call.
fn is_read_otherwise(case: &Case, named: bool) -> bool {
    let unlike = is_short(case) || case.message_len() > 9_000;
    case.caller.transport.is_datagram() && unlike && (named || case.message_len() < 24)
}

/// Rows of ours are in the C daemon's list too, but for the shared one; all look-ups are counted somewhere.
fn lookups_agree(reference: &VersionStatistics, subject: &VersionStatistics, slack: u64) -> bool {
    let sum = |rows: &[Lookup]| rows.iter().flat_map(|row| row.counts).map(i64::from).sum::<i64>();
    let known = |row: &&Lookup| {
        row.key.2 == "other" || reference.lookups.iter().any(|counted| counted.key == row.key)
    };
    let unknown = subject.lookups.iter().filter(|row| !known(row)).count();
    sum(&reference.lookups).abs_diff(sum(&subject.lookups)) <= slack
        && u64::try_from(unknown).is_ok_and(|unknown| unknown <= slack)
}

fn remote_agree(reference: &VersionStatistics, subject: &VersionStatistics, slack: u64) -> bool {
    let sum = |table: &VersionStatistics| {
        table.remote.iter().flat_map(|row| row.counts.into_iter().take(2)).map(i64::from).sum::<i64>()
    };
    sum(reference).abs_diff(sum(subject)) <= slack
}

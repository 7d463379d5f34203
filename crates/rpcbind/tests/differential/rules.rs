//! What may differ between Debian's rpcbind and ours, and why. The first rule that allows a difference counts. One
//! table, so one file.

use oncrpc::{Answer, AuthStatus};
use testkit::differential::case::{Arguments, Credential, Framing, Place, Transport};
use testkit::differential::{Rule, Seen};

use crate::predicates::*;
use crate::world::{
    Merged, family, family_of, is_dead, is_own, owner_for_c, owner_for_us, parse, socket, string, truth,
};

/// Every rule; each has to be used in a run.
pub(crate) const RULES: &[Rule] = &[
    // Messages.
    Rule {
        name: "another RPC version is answered",
        reason: "RFC 5531 section 9 wants RPC_MISMATCH; the C daemon drops the datagram or the connection.",
        allows: |d| {
            d.case.header.rpc_version != 2
                && unanswered(d)
                && matches!(d.subject_answer(), Some(Answer::RpcMismatch { low: 2, high: 2 }))
        },
    },
    Rule {
        name: "a credential over 400 bytes is answered",
        reason: "The call is well enough formed to be told what is wrong with it; the C daemon drops it.",
        allows: |d| {
            credential_len(&d.case.credential) > 400 && unanswered(d) && refused(d, AuthStatus::BadCredential)
        },
    },
    Rule {
        name: "a verifier over 400 bytes is answered",
        reason: "The call is well enough formed to be told what is wrong with it; the C daemon drops it.",
        allows: |d| d.case.verifier.length > 400 && unanswered(d) && refused(d, AuthStatus::BadVerifier),
    },
    Rule {
        name: "a cut credential or verifier on a stream is answered",
        reason: "A record that ends early harms nothing behind it; the C daemon closes the connection.",
        allows: |d| {
            is_cut(d)
                && !is_datagram(d)
                && *d.reference == Seen::Closed
                && (refused(d, AuthStatus::BadCredential) || refused(d, AuthStatus::BadVerifier))
        },
    },
    Rule {
        name: "what is no call is passed over on a stream",
        reason: "The next record's start is known, so nothing has to be closed.",
        allows: |d| {
            !is_datagram(d)
                && (d.case.header.message_type != 0 || is_cut(d))
                && *d.reference == Seen::Closed
                && *d.subject == Seen::Silence
        },
    },
    Rule {
        name: "an empty record is passed over",
        reason: "An empty record is legal and the next one's start is known; the C daemon closes the connection.",
        allows: |d| {
            d.case.framing == Framing::EmptyRecordFirst
                && *d.reference == Seen::Closed
                && *d.subject != Seen::Closed
        },
    },
    Rule {
        name: "arguments end where the datagram ends",
        reason: "The C daemon reads on in its buffer, in what an earlier datagram has left there.",
        allows: |d| is_datagram(d) && is_short(d.case) && refuses_the_message(d),
    },
    Rule {
        name: "a datagram over 9,000 bytes is dropped",
        reason: "It is longer than a message may be; the C daemon takes its first 9,000 bytes.",
        allows: |d| is_datagram(d) && d.case.message_len() > 9_000 && *d.subject == Seen::Silence,
    },
    Rule {
        name: "flavours that are not served are AUTH_REJECTEDCRED",
        reason: "AUTH_SHORT, AUTH_DH and RPCSEC_GSS are not served at all, whatever their bodies hold.",
        allows: |d| {
            matches!(d.case.credential, Credential::Other { flavor: 2 | 3 | 6, .. })
                && matches!(d.reference_answer(), Some(Answer::AuthError(_)))
                && refused(d, AuthStatus::RejectedCredential)
        },
    },
    Rule {
        name: "AUTH_SYS ends where its body ends",
        reason: "Bytes behind the groups make the credential malformed; the C daemon passes them over.",
        allows: |d| {
            matches!(d.case.credential, Credential::Sys { more: 1.., .. })
                && refused(d, AuthStatus::BadCredential)
        },
    },
    Rule {
        name: "the caller's verifier does not come back",
        reason: "A reply's verifier is the server's (RFC 5531 section 9), and ours is AUTH_NONE; the C daemon echoes.",
        allows: |d| {
            matches!(d.case.credential, Credential::Sys { .. })
                && d.case.verifier.length > 0
                && d.reference_answer().is_some()
                && d.reference_answer() == d.subject_answer()
                && d.reference != d.subject
        },
    },
    // Datagrams.
    Rule {
        name: "a stranger's datagram brings back no more than it brought",
        reason: "Its source may be forged, and whoever has that address would be flooded.",
        allows: |d| {
            d.case.caller.is_stranger()
                && is_datagram(d)
                && refused(d, AuthStatus::TooWeak)
                && is_longer_than_asked(d)
        },
    },
    Rule {
        name: "a datagram from the host's own address may be a stranger's",
        reason: "The kernel names the address's interface, not the loopback one, so nothing shows where it came from.",
        allows: |d| {
            d.case.caller.place == Place::OwnAddress
                && is_datagram(d)
                && refused(d, AuthStatus::TooWeak)
                && is_longer_than_asked(d)
        },
    },
    Rule {
        name: "version 2's DUMP that is too long for a datagram is answered",
        reason: "SYSTEM_ERR, as in versions 3 and 4; the C daemon is silent and its callers wait.",
        allows: |d| {
            is_datagram(d)
                && d.case.is(&[2], 4)
                && *d.reference == Seen::Silence
                && d.subject_answer() == Some(Answer::SystemError)
        },
    },
    Rule {
        name: "broadcast calls are never answered with a refusal",
        reason: "Answers to CALLIT and BCAST that say no tell where hosts are.",
        allows: |d| {
            d.case.is(&[2, 3, 4], 5)
                && d.reference_answer() == Some(Answer::AuthError(AuthStatus::TooWeak))
                && *d.subject == Seen::Silence
        },
    },
    Rule {
        name: "version 0 is a version",
        reason: "INDIRECT's PROG_MISMATCH names every registered version; the C daemon takes 0 for none.",
        allows: |d| {
            d.case.is(&[4], 10)
                && matches!(d.reference_answer(), Some(Answer::ProgramMismatch { .. }))
                && matches!(d.subject_answer(), Some(Answer::ProgramMismatch { low: 0, .. }))
        },
    },
    // SET and UNSET.
    Rule {
        name: "every loopback address is this host",
        reason: "127.0.0.2 is as local as 127.0.0.1, the only one that the C daemon takes.",
        allows: |d| {
            is_change(d)
                && d.case.caller.place == Place::OtherLoopback
                && d.reference_answer() == Some(Answer::AuthError(AuthStatus::TooWeak))
                && truth(d.subject_answer()).is_some()
        },
    },
    Rule {
        name: "program 100000 is nobody's to change",
        reason: "Whoever replaced its rows would answer for the port mapper.",
        allows: |d| is_change(d) && d.case.program() == Some(100_000) && true_to_c_alone(d),
    },
    Rule {
        name: "SET wants a netid that is known",
        reason: "Rows of unknown transports serve nobody and break GETADDRLIST.",
        allows: |d| {
            d.case.is_set() && true_to_c_alone(d) && wanted(d, |wanted| family(&wanted.netid).is_none())
        },
    },
    Rule {
        name: "SET wants an address of the netid's family with a port",
        reason: "What does not parse cannot be connected to.",
        allows: |d| d.case.is_set() && true_to_c_alone(d) && wanted(d, |wanted| !is_address(wanted)),
    },
    Rule {
        name: "reserved programs are for privileged callers",
        reason: "An ordinary user must not stand in for nfs, mountd, status or nlockmgr.",
        allows: |d| {
            d.case.is_set()
                && true_to_c_alone(d)
                && owner_for_us(d.case.caller) != "superuser"
                && matches!(d.case.program(), Some(100_003 | 100_005 | 100_021 | 100_024))
        },
    },
    Rule {
        name: "reserved ports are for privileged callers",
        reason: "An ordinary user cannot listen below 1024, and must not stand in for nfs at 2049.",
        allows: |d| {
            d.case.is_set()
                && true_to_c_alone(d)
                && owner_for_us(d.case.caller) != "superuser"
                && wanted(d, |wanted| address(wanted).is_some_and(|(_, port)| port < 1024 || port == 2049))
        },
    },
    Rule {
        name: "ordinary users name this host only",
        reason: "An address elsewhere would send clients to another host.",
        allows: |d| {
            d.case.is_set()
                && true_to_c_alone(d)
                && owner_for_us(d.case.caller) != "superuser"
                && wanted(d, |wanted| {
                    address(wanted).is_some_and(|(host, _)| !host.is_unspecified() && !is_own(host))
                })
        },
    },
    Rule {
        name: "the same address written otherwise is the same",
        reason: "What counts is where it leads to.",
        allows: |d| {
            d.case.is_set()
                && true_to_us_alone(d)
                && wanted(d, |wanted| {
                    let row = wanted.row(d.reference_rows);
                    let registered = row.and_then(|row| socket(row.address.as_bytes(), family(&row.netid)?));
                    registered.is_some() && registered == address(wanted)
                })
        },
    },
    Rule {
        name: "a dead service is replaced",
        reason: "Nothing is bound at the registered port any more; servers need no UNSET after a crash.",
        allows: |d| {
            d.case.is_set()
                && true_to_us_alone(d)
                && wanted(d, |wanted| wanted.row(d.reference_rows).is_some_and(is_dead))
        },
    },
    Rule {
        name: "root and known callers replace what is below them",
        reason: "Root another's row, and whoever is known a row of nobody's.",
        allows: |d| {
            let us = owner_for_us(d.case.caller);
            d.case.is_set()
                && true_to_us_alone(d)
                && us != "unknown"
                && wanted(d, |wanted| {
                    wanted
                        .row(d.reference_rows)
                        .is_some_and(|row| us == "superuser" || row.owner == "unknown")
                })
        },
    },
    Rule {
        name: "a netid is kept in small letters",
        reason: "UDP and udp are one transport, so GETPORT finds what was registered as either.",
        allows: |d| {
            is_change(d)
                && truth(d.reference_answer()) == Some(true)
                && d.reference == d.subject
                && wanted(d, |wanted| wanted.netid.bytes().any(|byte| byte.is_ascii_uppercase()))
        },
    },
    Rule {
        name: "a netid does not end at a NUL",
        reason: "Strings have a length; the C daemon takes what is in front of the NUL, and UNSET then every netid.",
        allows: |d| {
            d.case.is_unset()
                && truth(d.subject_answer()) == Some(true)
                && wanted(d, |wanted| wanted.netid.contains('\0'))
        },
    },
    Rule {
        name: "UNSET of version 2 is TRUE only when nothing is left",
        reason: "The C daemon says TRUE when one of udp and tcp was not registered, whatever became of the other.",
        allows: |d| {
            d.case.is(&[2], 2)
                && truth(d.reference_answer()) == Some(true)
                && wanted(d, |wanted| !wanted.unset(d.case, d.reference_rows).is_empty())
        },
    },
    Rule {
        name: "callers over the network have an owner of their own",
        reason: "The kernel tells whose socket it is; the C daemon takes them all for one and the same.",
        allows: |d| {
            d.case.is_unset()
                && d.case.caller.is_loopback()
                && owner_for_c(d.case.caller) == "unknown"
                && true_to_c_alone(d)
                && wanted(d, |wanted| !wanted.unset(d.case, d.subject_rows).is_empty())
        },
    },
    Rule {
        name: "callers remove their own rows however they call, and nobody's",
        reason: "The same user registers over TCP and unregisters over the unix socket; what is nobody's is anybody's.",
        allows: |d| {
            d.case.is_unset()
                && owner_for_c(d.case.caller) != "superuser"
                && true_to_us_alone(d)
                && wanted(d, |wanted| wanted.unset(d.case, d.subject_rows).is_empty())
        },
    },
    Rule {
        name: "UNSET is whole or not at all",
        reason: "The C daemon removes rows until it meets one that is another's.",
        allows: |d| {
            d.case.is_unset()
                && truth(d.reference_answer()) == Some(false)
                && d.reference == d.subject
                && wanted(d, |wanted| {
                    wanted.unset(d.case, d.reference_rows).len() < wanted.unset(d.case, d.subject_rows).len()
                })
        },
    },
    // Look-ups.
    Rule {
        name: "owners are told apart over the network",
        reason: "Where the C daemon knows of nobody, we know the user, and root from port 1024 on; rows are the same.",
        allows: |d| d.case.is(&[3, 4], 4) && only_owners_differ(d),
    },
    Rule {
        name: "an address that names a host is answered as it is",
        reason: "The service listens there and nowhere else.",
        allows: |d| answers_as_merged(d, Merged::Registered),
    },
    Rule {
        name: "the hint is answered where it is in front of a NAT",
        reason: "A unicast address with our port that is not ours is the one that leads here from outside.",
        allows: |d| answers_as_merged(d, Merged::Hint),
    },
    Rule {
        name: "the address that was asked is answered",
        reason: "It is known to work; the C daemon answers its first interface's, or what was registered.",
        allows: |d| answers_as_merged(d, Merged::Arrival),
    },
    Rule {
        name: "GETADDRLIST lists rows of every transport",
        reason: "A row on a transport that the port mapper is not served on must not silence the list.",
        allows: |d| {
            d.case.is(&[4], 11)
                && *d.reference == Seen::Silence
                && lists_as_merged(d)
                && has_a_row_elsewhere(d)
        },
    },
    Rule {
        name: "GETADDRLIST leaves out no row because of a hint",
        reason: "A hint that cannot be used is passed over; the C daemon ends the list, or answers the wrong address.",
        allows: |d| {
            d.case.is(&[4], 11)
                && matches!(d.reference_answer(), Some(Answer::Success(_)))
                && lists_as_merged(d)
        },
    },
    Rule {
        name: "UADDR2TADDR takes universal addresses only",
        reason: "Octets over 255, signs, blanks and missing parts are not what RFC 5665 section 5.2.3 describes.",
        allows: |d| {
            let Arguments::Text(text) = &d.case.arguments else { return false };
            d.case.is(&[3, 4], 7)
                && d.subject_answer() == Some(Answer::Success(&[0; 8]))
                && parse(text, family_of(d.case.caller.transport)).is_none()
        },
    },
    Rule {
        name: "UADDR2TADDR knows abstract names and scopes",
        reason: "They are addresses that rows have and that sockets take.",
        allows: |d| {
            let Arguments::Text(text) = &d.case.arguments else { return false };
            d.case.is(&[3, 4], 7)
                && d.reference_answer() == Some(Answer::Success(&[0; 8]))
                && (text.starts_with(b"@") || text.contains(&b'%'))
                && parse(text, family_of(d.case.caller.transport)).is_some()
        },
    },
    Rule {
        name: "TADDR2UADDR takes addresses of the transport's family",
        reason: "Bytes of another family are not an address of this one.",
        allows: |d| {
            d.case.is(&[3, 4], 8)
                && string(d.subject_answer()) == Some(b"")
                && taddr(d).is_some_and(|bytes| !is_of_family(bytes, family_of(d.case.caller.transport)))
        },
    },
    Rule {
        name: "TADDR2UADDR knows abstract names",
        reason: "Rows have addresses that begin with @.",
        allows: |d| {
            d.case.is(&[3, 4], 8)
                && d.case.caller.transport == Transport::Unix
                && taddr(d).is_some_and(|bytes| bytes.get(2) == Some(&0))
                && string(d.reference_answer()) == Some(b"")
                && string(d.subject_answer()).is_some_and(|name| name.starts_with(b"@"))
        },
    },
    Rule {
        name: "statistics are bounded, and count what was answered",
        reason: "Programs that are not registered share one row; where answers differed, counts may.",
        allows: |d| match (d.reference, d.subject) {
            (Seen::Statistics(reference), Seen::Statistics(subject)) => counts_agree(d, reference, subject),
            _ => false,
        },
    },
];

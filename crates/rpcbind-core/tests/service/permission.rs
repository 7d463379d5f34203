//! Who may SET what: reserved programs and ports, specific addresses, the port mapper itself, strangers.

use crate::callers::{USER, changed, loopback_tcp, loopback_udp, own_udp, stranger_tcp, stranger_udp, unix};
use crate::calls::{TCP, UDP, mapping, rpcb, set};
use crate::host::{Host, settings};
use oncrpc::Program;
use oncrpc::bind::{self, V3, V4};
use rpcbind_core::Settings;
use rpcbind_core::outcome::{Reason, Refusal};
use rpcbind_core::settings::{Grant, Policy};

/// A program that anybody may register.
const PROGRAM: u32 = 200_001;

const RESERVED: [u32; 11] =
    [100_003, 100_005, 100_021, 100_024, 100_011, 100_227, 100_004, 100_007, 100_009, 100_028, 100_069];

/// uids that may register what is reserved, and uids that may not.
const PRIVILEGED: [u32; 5] = [0, 1, 999, 61_184, 65_519];
const ORDINARY: [u32; 6] = [1_000, 61_183, 65_520, 65_534, 65_535, u32::MAX];

#[test]
fn reserved_programs_are_for_root_and_system_users() {
    for program in RESERVED {
        for uid in PRIVILEGED {
            let mut host = Host::new();
            assert!(host.send(&unix(uid), &set(program, 3, "udp", "0.0.0.0.8.8")).is_true(), "{uid}");
        }
        let mut host = Host::new();
        for uid in ORDINARY {
            let ended = host.send(&unix(uid), &set(program, 3, "udp", "0.0.0.0.8.8"));
            ended.is_refused(Refusal::ReservedProgram);
            let ended = host.send(&unix(uid), &mapping(bind::SET, program, 3, TCP, 5_000));
            ended.is_refused(Refusal::ReservedProgram);
        }
        let ended = host.send(&loopback_udp(40_000), &set(program, 3, "udp", "0.0.0.0.8.8"));
        ended.is_refused(Refusal::ReservedProgram);
        let ended = host.send(&unix(USER), &set(program, 3, "local", "/run/mine"));
        ended.is_refused(Refusal::ReservedProgram);
    }
    let mut host = Host::new();
    for program in [100_001, 100_002, 100_008, 100_026, 100_029] {
        assert!(host.send(&unix(65_534), &set(program, 1, "udp", "0.0.0.0.8.8")).is_true(), "{program}");
    }
}

#[test]
fn reserved_ports_are_for_root_and_system_users() {
    let reserved = [1, 111, 600, 1_023, 2_049];
    for port in reserved {
        for uid in PRIVILEGED {
            let mut host = Host::new();
            assert!(host.send(&unix(uid), &mapping(bind::SET, PROGRAM, 1, UDP, port)).is_true());
        }
        let mut host = Host::new();
        for uid in ORDINARY {
            let ended = host.send(&unix(uid), &mapping(bind::SET, PROGRAM, 1, UDP, port));
            ended.is_refused(Refusal::ReservedPort);
        }
        let ended = host.send(&loopback_udp(40_000), &mapping(bind::SET, PROGRAM, 1, UDP, port));
        ended.is_refused(Refusal::ReservedPort);
        let address = format!("::.{}.{}", port / 256, port % 256);
        host.send(&unix(USER), &set(PROGRAM, 1, "sctp6", &address)).is_refused(Refusal::ReservedPort);
    }
    let mut host = Host::new();
    for (version, port) in [(1, 1_024), (2, 2_048), (3, 2_050)] {
        assert!(host.send(&unix(USER), &mapping(bind::SET, PROGRAM, version, UDP, port)).is_true());
    }
}

#[test]
fn whoever_started_the_daemon_may_register_what_is_reserved() {
    let policy = || Policy { started_by: Some(USER), ..Policy::default() };
    let mut host = Host::with_policy(policy());
    assert!(host.send(&unix(USER), &set(100_003, 3, "tcp", "0.0.0.0.8.1")).is_true());
    assert!(host.send(&unix(USER), &set(PROGRAM, 1, "tcp", "198.51.100.9.0.80")).is_true());
    let mut host = Host::with_policy(policy());
    let other = host.send(&unix(1_001), &set(100_003, 3, "tcp", "0.0.0.0.8.8"));
    other.is_refused(Refusal::ReservedProgram);
    // It is not root for all that.
    assert!(host.send(&unix(1_001), &set(PROGRAM, 1, "tcp", "0.0.0.0.8.8")).is_true());
    host.send(&unix(USER), &set(PROGRAM, 1, "tcp", "0.0.0.0.8.9")).is_refused(Refusal::Conflict);
}

#[test]
fn a_grant_is_for_its_uid_its_programs_and_its_ports() {
    let grant = |uid, programs: &[u32], ports: &[u16]| Grant {
        uid,
        programs: programs.iter().copied().map(Program).collect(),
        ports: ports.to_vec(),
    };
    let grants = vec![grant(USER, &[100_003], &[2_049]), grant(1_001, &[], &[80]), grant(USER, &[], &[443])];
    let mut host = Host::with_policy(Policy { grants, ..Policy::default() });
    let mut send = |uid, program, port| host.send(&unix(uid), &mapping(bind::SET, program, 1, TCP, port));
    send(USER, 100_005, 5_000).is_refused(Refusal::ReservedProgram);
    send(USER, PROGRAM, 80).is_refused(Refusal::ReservedPort);
    send(USER, 100_003, 80).is_refused(Refusal::ReservedPort);
    send(1_001, 100_003, 80).is_refused(Refusal::ReservedProgram);
    send(1_001, PROGRAM, 2_049).is_refused(Refusal::ReservedPort);
    send(1_002, PROGRAM, 80).is_refused(Refusal::ReservedPort);
    assert!(send(USER, 100_003, 2_049).is_true());
    assert!(send(1_001, PROGRAM, 80).is_true());
    assert!(send(USER, PROGRAM + 1, 443).is_true());
    let ended = host.send(&loopback_udp(40_000), &set(100_003, 4, "tcp", "0.0.0.0.8.1"));
    ended.is_refused(Refusal::ReservedProgram);
}

#[test]
fn an_ordinary_users_address_is_a_wildcard_or_the_hosts() {
    let hosts =
        [("udp", "192.0.2.130.8.8"), ("udp", "127.3.2.1.8.8"), ("udp6", "::1.8.8"), ("udp6", "fe80::2.8.8")];
    let foreign = [
        ("udp", "198.51.100.9.8.8"),
        ("udp", "192.0.2.3.8.8"),
        ("udp", "255.255.255.255.8.8"),
        ("udp6", "2001:db8::3.8.8"),
        ("udp6", "::ffff:127.0.0.1.8.8"),
        ("udp6", "::ffff:0.0.0.0.8.8"),
    ];
    for (netid, address) in hosts {
        for caller in [unix(USER), loopback_udp(40_000), unix(0)] {
            let mut host = Host::new();
            assert!(host.send(&caller, &set(PROGRAM, 1, netid, address)).is_true(), "{address}");
        }
    }
    for (netid, address) in foreign {
        for caller in [unix(USER), unix(65_534), loopback_udp(40_000), loopback_tcp(40_000)] {
            let mut host = Host::new();
            let ended = host.send(&caller, &set(PROGRAM, 1, netid, address));
            ended.is_refused(Refusal::ForeignAddress);
        }
        for uid in PRIVILEGED {
            let mut host = Host::new();
            assert!(host.send(&unix(uid), &set(PROGRAM, 1, netid, address)).is_true(), "{uid}");
        }
    }
}

#[test]
fn nobody_registers_program_100000() {
    for caller in [unix(0), unix(USER), loopback_tcp(600), loopback_udp(600)] {
        let mut host = Host::with_policy(Policy { started_by: Some(USER), ..Policy::default() });
        let before = host.service.registry().len();
        for (version, netid, address) in
            [(2, "udp", "0.0.0.0.0.111"), (4, "tcp", "0.0.0.0.8.8"), (9, "sctp", "0.0.0.0.8.8")]
        {
            for called in [V3, V4] {
                let ended = host.send(&caller, &rpcb(called, bind::SET, 100_000, version, netid, address));
                ended.is_refused(Refusal::PortMapper);
            }
            let ended = host.send(&caller, &mapping(bind::SET, 100_000, version, UDP, 111));
            ended.is_refused(Refusal::PortMapper);
        }
        assert_eq!(host.service.registry().len(), before);
    }
}

#[test]
fn whoever_is_not_local_is_told_so_and_nothing_else() {
    let mapped = changed(loopback_udp(600), |datagram| datagram.mapped = true);
    let on_the_wire = changed(loopback_udp(600), |datagram| datagram.interface = 2);
    let callers = [stranger_tcp(), stranger_udp(), own_udp(), mapped, on_the_wire];
    for caller in callers {
        let mut host = Host::new();
        assert!(host.send(&unix(0), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8")).is_true());
        // Whatever the arguments: new, there already, in conflict, wrong, the port mapper's own.
        for (program, netid, address) in [
            (PROGRAM + 1, "udp", "0.0.0.0.8.8"),
            (PROGRAM, "udp", "0.0.0.0.8.8"),
            (PROGRAM, "udp", "0.0.0.0.8.9"),
            (PROGRAM, "foo", "bar"),
            (100_000, "udp", "0.0.0.0.0.111"),
        ] {
            let ended = host.send(&caller, &set(program, 1, netid, address));
            ended.is_too_weak(Reason::NotLocal);
            assert_eq!(ended.questions, []);
        }
        host.send(&caller, &mapping(bind::SET, PROGRAM, 1, TCP, 5_000)).is_too_weak(Reason::NotLocal);
        host.send(&caller, &mapping(bind::UNSET, PROGRAM, 1, TCP, 5_000)).is_too_weak(Reason::NotLocal);
        assert_eq!(host.rows().len(), 1);
    }
}

#[test]
fn insecure_lets_connections_from_elsewhere_register_as_unknown_and_datagrams_never() {
    let insecure = Policy { insecure: true, ..Policy::default() };
    let mut host = Host::with(Settings { policy: insecure, ..settings() });
    let ended = host.send(&stranger_tcp(), &set(PROGRAM, 1, "udp", "0.0.0.0.8.8"));
    assert!(ended.is_true());
    assert_eq!(ended.questions, []);
    let ended = host.send(&stranger_tcp(), &set(100_003, 3, "udp", "0.0.0.0.8.8"));
    ended.is_refused(Refusal::ReservedProgram);
    let ended = host.send(&stranger_tcp(), &set(PROGRAM, 2, "udp", "198.51.100.7.8.8"));
    ended.is_refused(Refusal::ForeignAddress);
    for caller in [stranger_udp(), own_udp()] {
        host.send(&caller, &set(PROGRAM, 2, "udp", "0.0.0.0.8.8")).is_too_weak(Reason::NotLocal);
    }
    assert_eq!(host.rows(), ["200001 1 udp 0.0.0.0.8.8 Unknown"]);
}

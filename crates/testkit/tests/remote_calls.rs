//! Programs that need remote calls, with Debian's rpcbind: what every other port mapper is compared with.

use testkit::DaemonKind;
use testkit::programs::{COMPILER, REMOTE_STEPS, TIRPC_HEADER};
use testkit::remote_calls::{
    LIBNFS, NIS, libnfs_finds_servers, libtirpc_calls_remotely, ypbind_finds_ypserv,
};

/// Remote calls are off without `-r`.
fn debian() -> DaemonKind {
    DaemonKind::debian().argument("-r")
}

#[test]
fn ypbind_finds_ypserv_by_broadcast_with_debians_rpcbind() {
    testkit::require!(DaemonKind::DEBIAN, NIS[0], NIS[1], NIS[2], NIS[3], NIS[4]);
    ypbind_finds_ypserv(&debian()).unwrap();
}

#[test]
fn libnfs_finds_servers_by_broadcast_with_debians_rpcbind() {
    testkit::require!(DaemonKind::DEBIAN, LIBNFS[0], LIBNFS[1]);
    libnfs_finds_servers(&debian()).unwrap();
}

#[test]
fn libtirpc_calls_remotely_and_by_broadcast_with_debians_rpcbind() {
    testkit::require!(DaemonKind::DEBIAN, COMPILER, TIRPC_HEADER);
    assert_eq!(libtirpc_calls_remotely(&debian()).unwrap(), REMOTE_STEPS);
}

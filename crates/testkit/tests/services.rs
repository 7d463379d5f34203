//! The real services against Debian's rpcbind: what every other port mapper is compared with.

use testkit::services::{self, ALONE, TOGETHER, all_services_register, ganesha_is_found_and_read};
use testkit::{Daemon, DaemonKind, Namespace, table, wait};

#[test]
fn all_services_register_with_debians_rpcbind_and_leave_it() {
    testkit::require!(DaemonKind::DEBIAN);
    for service in TOGETHER.iter().chain(ALONE) {
        if !service.is_installed() {
            testkit::skip!("{} is not installed", service.program);
        }
    }
    all_services_register(&DaemonKind::debian()).unwrap();
}

#[test]
fn ganesha_is_found_through_debians_rpcbind_and_read() {
    testkit::require!(DaemonKind::DEBIAN, services::GANESHA.program, "/sbin/showmount", "/usr/bin/nfs-ls");
    ganesha_is_found_and_read(&DaemonKind::debian()).unwrap();
}

#[test]
fn the_rows_of_a_killed_service_stay_behind() {
    testkit::require!(DaemonKind::DEBIAN, services::STATD.program);
    let home = Namespace::new().unwrap();
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    let statd = services::STATD.start(&home).unwrap();
    statd.kill().unwrap();
    let left = table::dump(&home).unwrap().iter().filter(|row| row.program == 100_024).count();
    assert_eq!(left, 4);
    // Started again it unregisters the old rows first and registers its own.
    let _again = services::STATD.start(&home).unwrap();
    wait::until("one set of rows", || {
        Ok((table::dump(&home)?.iter().filter(|row| row.program == 100_024).count() == 4).then_some(()))
    })
    .unwrap();
}

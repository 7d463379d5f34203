use rustix::process::Signal;
use testkit::{Daemon, wait};

use crate::{ask, house, ours};

#[test]
fn it_ends_with_success_when_asked_to_and_keeps_what_is_registered() {
    testkit::require!();
    let (home, daemon) = house();
    let set = ask::call(oncrpc::bind::V2, oncrpc::bind::SET, ask::mapping(oncrpc::Program(400_000), 777));
    assert_eq!(
        ask::results(&ask::over(ask::unix(&home, "/run/rpcbind.sock"), &set).unwrap()),
        1_u32.to_be_bytes()
    );
    let before = testkit::table::dump(&home).unwrap();
    for signal in [Signal::USR1, Signal::USR2, Signal::PIPE] {
        daemon.signal(signal).unwrap();
    }
    assert_eq!(testkit::table::dump(&home).unwrap(), before, "other signals do nothing");
    let end = daemon.stop().unwrap();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    let _again = Daemon::start(&home, &ours()).unwrap();
    assert_eq!(testkit::table::dump(&home).unwrap(), before);
}

#[test]
fn interrupts_and_quits_end_it_too() {
    testkit::require!();
    for signal in [Signal::INT, Signal::QUIT] {
        let (_home, mut daemon) = house();
        daemon.signal(signal).unwrap();
        let status = wait::until("the end", || daemon.ended()).unwrap();
        assert_eq!(status.code(), Some(0), "{signal:?}");
    }
}

#[test]
fn without_a_state_directory_it_serves_and_says_so() {
    testkit::require!();
    let home = testkit::Namespace::new().unwrap();
    home.within(|| {
        std::fs::remove_dir_all("/run/rpcbind").unwrap();
        std::os::unix::fs::symlink("/tmp", "/run/rpcbind").unwrap();
    })
    .unwrap();
    let daemon = Daemon::start(&home, &ours()).unwrap();
    assert!(daemon.stderr().contains("what is registered is kept in memory only"), "{}", daemon.stderr());
    assert_eq!(testkit::table::dump(&home).unwrap().len(), 12);
    assert_eq!(daemon.stop().unwrap().status.code(), Some(0));
}

//! What is said of remote calls.

use oncrpc::bind::{self, RemoteCall};
use oncrpc::{Answer, Procedure, Program, Reply, Version};
use testkit::{Daemon, Namespace, ask, wait};

use crate::ours;

#[test]
fn with_debugging_output_the_end_of_a_call_is_told_with_its_reason() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &ours().argument("-d")).unwrap();
    // Nothing is there.
    testkit::programs::register(&home, 0, "udp", (400_000, 1), "0.0.0.0.3.233").unwrap();
    let service = RemoteCall {
        program: Program(400_000),
        version: Version(1),
        procedure: Procedure::NULL,
        arguments: &[],
    };
    let message = ask::call(bind::V4, bind::INDIRECT, service);
    let reply = ask::over(ask::unix(&home, "/run/rpcbind.sock"), &message).unwrap();
    assert_eq!(Reply::decode(&reply).unwrap().answer, Answer::SystemError);
    let wanted = "remote call of 400000 procedure 0 for uid 0: the service is not there";
    wait::until(wanted, || Ok(daemon.stderr().contains(wanted).then_some(()))).unwrap();
}

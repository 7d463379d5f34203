//! What is said of remote calls.

use std::net::UdpSocket;

use oncrpc::bind::{self, RemoteCall};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Procedure, Program, Reply, Version};
use testkit::{Daemon, Namespace, ask, wait};

use crate::ours;

#[test]
fn with_debugging_output_the_end_of_a_call_is_told_with_its_reason() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &ours().argument("-d")).unwrap();
    let service = home.within(|| UdpSocket::bind("127.0.0.1:1001")).unwrap().unwrap();
    service.set_read_timeout(Some(ask::PATIENCE)).unwrap();
    testkit::programs::register(&home, 0, "udp", (400_000, 1), "0.0.0.0.3.233").unwrap();
    let refuse = || {
        let mut call = [0; 1024];
        let (len, from) = service.recv_from(&mut call).unwrap();
        let xid = Call::decode(&call[..len]).unwrap().xid;
        let mut reply = [0; 64];
        let mut writer = Writer::new(&mut reply);
        Reply { xid, answer: Answer::ProgramUnavailable }.encode(&mut writer).unwrap();
        service.send_to(writer.written(), from).unwrap();
    };
    let called = RemoteCall {
        program: Program(400_000),
        version: Version(1),
        procedure: Procedure::NULL,
        arguments: &[],
    };
    let message = ask::call(bind::V4, bind::INDIRECT, called);
    let reply = std::thread::scope(|scope| {
        scope.spawn(refuse);
        ask::over(ask::unix(&home, "/run/rpcbind.sock"), &message).unwrap()
    });
    assert_eq!(Reply::decode(&reply).unwrap().answer, Answer::SystemError);
    let wanted = "remote call of 400000 procedure 0 for uid 0: the service is not there, or has answered with an \
                  error";
    wait::until(wanted, || Ok(daemon.stderr().contains(wanted).then_some(()))).unwrap();
}

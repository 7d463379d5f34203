//! Remote calls are off: nothing is sent on behalf of anybody, and nothing opened for it.

use std::net::{TcpListener, UdpSocket};

use testkit::{Daemon, DaemonKind, Namespace, wait};

use crate::{RPCBIND, ask, calls};

#[test]
fn twenty_programs_are_called_for_nobody_on_any_transport() {
    testkit::require!("/usr/bin/strace");
    let home = Namespace::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let arguments =
        ["-f".as_ref(), "-etrace=socket,connect,sendto,sendmsg".as_ref(), "-o".as_ref(), trace.as_os_str()];
    let _daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND).traced(arguments)).unwrap();
    let unix = ask::unix(&home, testkit::daemon::SOCKET);
    let services: Vec<([UdpSocket; 2], TcpListener)> = home
        .within(|| {
            let udp = || ["127.0.0.1:0", "[::1]:0"].map(|any| UdpSocket::bind(any).unwrap());
            (0..20).map(|_| (udp(), TcpListener::bind("127.0.0.1:0").unwrap())).collect()
        })
        .unwrap();
    let programs = 400_000_u32..;
    for (program, ([udp, udp6], tcp)) in programs.clone().zip(&services) {
        let rows = [("udp", udp.local_addr()), ("udp6", udp6.local_addr()), ("tcp", tcp.local_addr())];
        for (netid, address) in rows {
            let [high, low] = address.unwrap().port().to_be_bytes();
            let any = if netid == "udp6" { "::" } else { "0.0.0.0" };
            let set = calls::set(program, 1, netid, format!("{any}.{high}.{low}"));
            assert_eq!(ask::results(&ask::over(&unix, &set).unwrap()), calls::TRUE);
        }
    }
    let remote = |program| {
        [(2, 5), (3, 5), (4, 5), (4, 10)]
            .map(|(version, procedure)| calls::mapper(version, procedure, &calls::remote(program, 1, 0)))
    };
    let null = calls::null(4);
    for (from, to) in [("127.0.0.1", "127.0.0.1:111"), ("::1", "[::1]:111")] {
        let udp = ask::udp(&home, from, to.parse().unwrap());
        for program in programs.clone().take(20) {
            for call in remote(program) {
                udp.send(&call).unwrap();
            }
            udp.send(&calls::with_xid(null.clone(), 99)).unwrap();
            // INDIRECT is told why not.
            let mut reply = [0; 64];
            while reply[..4] != [0, 0, 0, 99] {
                assert!(udp.recv(&mut reply).unwrap() <= 24);
            }
        }
        for call in programs.clone().take(20).flat_map(remote) {
            let tcp = ask::tcp(&home, to);
            std::io::Write::write_all(&mut &tcp, &ask::as_record(&call)).unwrap();
            assert_eq!(ask::over(&tcp, &null).unwrap().len(), 24);
        }
    }
    for call in programs.clone().take(20).flat_map(remote) {
        std::io::Write::write_all(&mut &unix, &ask::as_record(&call)).unwrap();
        assert_eq!(ask::over(&unix, &null).unwrap().len(), 24);
    }
    for (udp, tcp) in &services {
        for udp in udp {
            udp.set_nonblocking(true).unwrap();
            assert!(udp.recv(&mut [0; 16]).is_err(), "a service was called over UDP");
        }
        tcp.set_nonblocking(true).unwrap();
        assert!(tcp.accept().is_err(), "a service was called over TCP");
    }
    let calls = wait::until("the trace", || {
        let text = std::fs::read_to_string(&trace)?;
        Ok(text.rsplit_once("READY=1").map(|(_, after)| after.to_owned()))
    })
    .unwrap();
    assert!(!calls.contains("socket(") && !calls.contains("connect("), "{calls}");
    // Replies leave by another call, in batches.
    assert!(!calls.contains("sin_port") && !calls.contains("sin6_port"), "{calls}");
}

//! The audit of real port mappers over a cable: the verdict, the figures, the exit status, and how little it sends.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::{Daemon, DaemonKind, Finished, Namespace};

const HOST: &str = "10.9.8.7";

/// A host and a stranger to it.
fn machines() -> (Namespace, Namespace) {
    let (home, other) = (Namespace::new().expect("a namespace"), Namespace::new().expect("another"));
    home.connect(&other, &["10.9.8.7/24", "fd09::7/64"], &["10.9.8.1/24", "fd09::1/64"]).expect("a cable");
    (home, other)
}

fn rpcinfo(place: &Namespace, arguments: &[&str]) -> Finished {
    place.run(Command::new(env!("CARGO_BIN_EXE_rpcinfo")).args(arguments)).expect("it runs")
}

fn audit(place: &Namespace, host: &str) -> (Option<i32>, Value) {
    let end = rpcinfo(place, &["--json", "audit", host]);
    let document: Value =
        serde_json::from_str(&end.stdout).unwrap_or_else(|error| panic!("{error}: {end:?}"));
    (end.status.code(), document)
}

/// Our daemon, which the tests of the workspace build beside the tool.
fn ours() -> Option<PathBuf> {
    let daemon = Path::new(env!("CARGO_BIN_EXE_rpcinfo")).with_file_name("rpcbind");
    daemon.exists().then_some(daemon)
}

fn reply_to<'a>(document: &'a Value, transport: &str, call: &str, version: u32) -> &'a Value {
    let probes = document["audit"]["probes"].as_array().expect("probes");
    let is_it = |probe: &&Value| {
        probe["transport"] == transport && probe["call"] == call && probe["version"] == version
    };
    probes.iter().find(is_it).expect("this probe")
}

#[test]
fn debians_port_mapper_has_its_measured_factors() {
    testkit::require!(DaemonKind::DEBIAN);
    let (home, other) = machines();
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).expect("it starts");
    for host in [HOST, "fd09::7"] {
        let (status, document) = audit(&other, host);
        assert_eq!(status, Some(2), "{document}");
        let found = &document["audit"];
        assert_eq!(found["passed"], false);
        assert!(found["findings"][0]["finding"].as_str().expect("words").contains("reflected"), "{document}");
        for (call, version, reply) in
            [("NULL", 2, 24), ("NULL", 4, 24), ("GETSTAT", 4, 0), ("DUMP", 2, 28 + 20 * 6)]
        {
            let found = reply_to(&document, "udp", call, version);
            assert_eq!(found["request"], 40);
            assert!(reply == 0 || found["reply"] == reply, "{call} v{version}: {found}");
        }
        let listed = reply_to(&document, "udp", "DUMP", 4)["reply"].as_u64().expect("bytes");
        let counted = reply_to(&document, "udp", "GETSTAT", 4)["reply"].as_u64().expect("bytes");
        let largest = found["largest_reply"].as_u64().expect("bytes");
        assert!(largest == listed.max(counted) && counted >= 228 && listed > 400, "{document}");
        let factor = found["factor"].as_f64().expect("a number");
        assert!(factor * 40.0 - 0.3 < largest as f64 && largest as f64 <= factor * 40.0 + 0.3, "{factor}");
        assert_eq!(found["versions"], serde_json::json!([2, 3, 4]));
    }
    let text = rpcinfo(&other, &["audit", HOST]);
    assert!(text.stdout.ends_with("verdict: it can be used against others\n"), "{text:?}");
    assert!(text.stdout.contains("danger: a forged request makes it send"), "{text:?}");
}

#[test]
fn our_port_mapper_sends_nobody_more_than_it_gets() {
    testkit::require!();
    let Some(daemon) = ours() else { testkit::skip!("rpcbind is not built beside rpcinfo") };
    let (home, other) = machines();
    let _daemon = Daemon::start(&home, &DaemonKind::ours(daemon)).expect("it starts");
    for host in [HOST, "fd09::7"] {
        let (status, document) = audit(&other, host);
        assert_eq!(status, Some(0), "{document}");
        let found = &document["audit"];
        assert!(found["passed"] == true && found["factor"].as_f64().expect("a number") <= 1.0, "{document}");
        assert!(found["wire_factor"].as_f64().expect("a number") <= 1.0, "{document}");
        assert_eq!(reply_to(&document, "udp", "DUMP", 4)["outcome"], "refused");
        assert_eq!(reply_to(&document, "tcp", "DUMP", 4)["outcome"], "answered");
        assert_eq!(reply_to(&document, "udp", "CALLIT", 2)["outcome"], "silent");
    }
    let text = rpcinfo(&other, &["audit", HOST]);
    assert!(
        text.status.success() && text.stdout.ends_with("verdict: it cannot be used against others\n"),
        "{text:?}"
    );
}

#[test]
fn calls_for_others_and_programs_with_known_exposure_are_found() {
    testkit::require!(DaemonKind::DEBIAN, "/usr/bin/python3");
    let (home, other) = machines();
    let _daemon = Daemon::start(&home, &DaemonKind::debian().argument("-r")).expect("it starts");
    // A mountd that answers everything over UDP, registered by hand-written SETs of version 2 over the unix socket.
    let script = "import socket, struct\n\
                  service = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); service.bind(('0.0.0.0', 650))\n\
                  for protocol in (17, 6):\n  stream = socket.socket(socket.AF_UNIX)\n  \
                  stream.connect('/run/rpcbind.sock')\n  \
                  body = struct.pack('>14I', 1, 0, 2, 100000, 2, 1, 0, 0, 0, 0, 100005, 3, protocol, 650)\n  \
                  stream.send(struct.pack('>I', 0x80000000 | len(body)) + body)\n  stream.recv(100)\n\
                  print('ready', flush=True)\n\
                  while True:\n  call, caller = service.recvfrom(1000)\n  \
                  service.sendto(call[:4] + struct.pack('>5I', 1, 0, 0, 0, 0), caller)\n";
    let mountd = home.spawn(Command::new("/usr/bin/python3").args(["-c", script])).expect("it starts");
    testkit::wait::until("mountd", || Ok(mountd.stdout().contains("ready").then_some(()))).expect("ready");
    let (_, document) = audit(&other, HOST);
    let exposed = &document["audit"]["exposed"];
    assert_eq!(exposed[0]["program"], 100_005, "{document}");
    assert_eq!(exposed[0]["netids"], serde_json::json!(["udp", "tcp"]), "{document}");
    let findings = document["audit"]["findings"].to_string();
    assert!(findings.contains("mountd") && findings.contains("it calls other services"), "{document}");
    assert_eq!(reply_to(&document, "udp", "INDIRECT", 4)["outcome"], "answered", "{document}");
}

#[test]
fn over_ipv6_a_service_that_remote_calls_reach_over_ipv6_is_called() {
    testkit::require!(DaemonKind::DEBIAN, "/usr/bin/python3");
    let (home, other) = machines();
    let _daemon = Daemon::start(&home, &DaemonKind::debian().argument("-r")).expect("it starts");
    let script = "import socket, struct\n\
                  service = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); service.bind(('::', 650))\n\
                  print('ready', flush=True)\n\
                  while True:\n  call, caller = service.recvfrom(1000)\n  \
                  service.sendto(call[:4] + struct.pack('>5I', 1, 0, 0, 0, 0), caller)\n";
    let service = home.spawn(Command::new("/usr/bin/python3").args(["-c", script])).expect("it starts");
    testkit::wait::until("the service", || Ok(service.stdout().contains("ready").then_some(())))
        .expect("ready");
    for (program, netid, address) in [(400_000, "udp", "0.0.0.0.2.139"), (400_001, "udp6", "::.2.138")] {
        testkit::programs::register(&home, 0, netid, (program, 1), address).expect("registered");
    }
    let (_, document) = audit(&other, "fd09::7");
    assert_eq!(reply_to(&document, "udp", "INDIRECT", 4)["outcome"], "answered", "{document}");
    assert!(document["audit"]["findings"].to_string().contains("it calls other services"), "{document}");
}

#[test]
fn a_remote_call_that_is_not_answered_does_not_shorten_the_wait_for_the_next() {
    testkit::require!();
    let (home, other) = machines();
    let socket = home.within(|| UdpSocket::bind("0.0.0.0:111")).expect("entered").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    let port_mapper = std::thread::spawn(move || {
        let mut call = [0; 1024];
        loop {
            let (_, from) = socket.recv_from(&mut call).expect("a call");
            let procedure = u32::from_be_bytes([call[20], call[21], call[22], call[23]]);
            let answer = [&call[..4], &1_u32.to_be_bytes(), &[0; 16]].concat();
            match procedure {
                // CALLIT.
                5 => {}
                // INDIRECT: of a service that takes its time.
                10 => {
                    let time = Duration::from_millis(1_500);
                    socket.set_read_timeout(Some(time)).expect("a time");
                    assert!(socket.recv_from(&mut call).is_err(), "nothing else is asked meanwhile");
                    socket.send_to(&answer, from).expect("sent");
                    return;
                }
                _ => assert_eq!(socket.send_to(&answer, from).expect("sent"), answer.len()),
            }
        }
    });
    let end = rpcinfo(&other, &["--json", "--timeout", "6", "audit", HOST]);
    port_mapper.join().expect("it has answered");
    let document: Value = serde_json::from_str(&end.stdout).expect("a document");
    assert_eq!(reply_to(&document, "udp", "CALLIT", 2)["outcome"], "silent", "{document}");
    assert_eq!(reply_to(&document, "udp", "INDIRECT", 4)["outcome"], "answered", "{document}");
}

#[test]
fn a_host_without_a_port_mapper_is_not_passed_but_not_audited() {
    testkit::require!();
    let (_home, other) = machines();
    for host in [HOST, "10.9.8.99", "no.such.host.invalid"] {
        let end = rpcinfo(&other, &["--timeout", "0.3", "audit", host]);
        assert_eq!(end.status.code(), Some(1), "{end:?}");
        assert!(end.stdout.is_empty() && end.stderr.starts_with(&format!("rpcinfo: {host}: ")), "{end:?}");
    }
}

#[test]
fn an_audit_is_a_handful_of_packets() {
    testkit::require!(DaemonKind::DEBIAN);
    let (home, other) = machines();
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).expect("it starts");
    let packets = || {
        let table = home.expect("cat", &["/proc/net/dev"]).expect("counters");
        let line = table.lines().find(|line| line.trim().starts_with('v')).expect("the cable").to_owned();
        line.split_whitespace().nth(2).and_then(|number| number.parse::<u64>().ok()).expect("a number")
    };
    let before = packets();
    audit(&other, HOST);
    let sent = packets() - before;
    assert!((16..80).contains(&sent), "{sent} packets");
}

//! The tool by itself: what it does with a closed pipe, a silent or hostile service, and its own options.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use oncrpc::record::mark;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Reply};

fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpcinfo"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> (String, String, Option<i32>) {
    let Output { status, stdout, stderr } = tool(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(stdout), text(stderr), status.code())
}

/// A service over TCP on some port; answers the universal address.
fn service(answer: fn(&Call<'_>) -> Answer<'static>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let [high, low] = listener.local_addr().expect("its address").port().to_be_bytes();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut head = [0; 4];
            while connection.read_exact(&mut head).is_ok() {
                let length = usize::try_from(u32::from_be_bytes(head) & 0x7fff_ffff).expect("a length");
                let mut message = vec![0; length];
                connection.read_exact(&mut message).expect("the rest");
                let call = Call::decode(&message).expect("a call");
                let mut buffer = [0; 256];
                let mut writer = Writer::new(&mut buffer);
                Reply { xid: call.xid, answer: answer(&call) }.encode(&mut writer).expect("it fits");
                let mark = mark(writer.len()).expect("short");
                if connection.write_all(&[&mark[..], writer.written()].concat()).is_err() {
                    break;
                }
            }
        }
    });
    format!("127.0.0.1.{high}.{low}")
}

#[test]
fn a_closed_pipe_ends_it_without_a_word() {
    // A service that claims to have all versions, so that there is still something to print.
    let address = service(|_| Answer::Success(&[]));
    let mut child = tool(&["-a", &address, "-T", "tcp", "100003"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut out = BufReader::with_capacity(64, child.stdout.take().expect("a pipe"));
    out.read_line(&mut line).expect("a line");
    drop(out);
    let end = child.wait_with_output().expect("it ends");
    assert_eq!(line, "program 100003 version 0 ready and waiting\n");
    assert_eq!(String::from_utf8_lossy(&end.stderr), "");
    assert_eq!(end.status.code(), Some(0));
}

#[test]
fn a_full_disk_is_told() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let end = tool(&["--help"]).stdout(full).stderr(Stdio::piped()).output().expect("it runs");
    assert!(String::from_utf8_lossy(&end.stderr).starts_with("rpcinfo: cannot write: "), "{end:?}");
    assert_eq!(end.status.code(), Some(1));
}

#[test]
fn a_service_that_claims_all_versions_is_not_called_for_ever() {
    let address = service(|_| Answer::Success(&[]));
    let (out, complaints, status) = run(&["-a", &address, "-T", "tcp", "100003"]);
    assert_eq!(out.lines().count(), 1024);
    assert!(complaints.contains("claims to have versions 0 to 4294967295"), "{complaints}");
    assert_eq!(status, Some(1));
}

#[test]
fn a_range_of_versions_that_is_upside_down_is_empty() {
    let address = service(|_| Answer::ProgramMismatch { low: 7, high: 3 });
    assert_eq!(run(&["-a", &address, "-T", "tcp", "100003"]), (String::new(), String::new(), Some(0)));
}

#[test]
fn the_time_limit_is_kept_and_told() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let [high, low] = silent.local_addr().expect("its address").port().to_be_bytes();
    let address = format!("127.0.0.1.{high}.{low}");
    let began = Instant::now();
    let (out, complaints, status) = run(&["--timeout", "0.3", "-a", &address, "-T", "udp", "100003", "3"]);
    assert_eq!(out, "program 100003 version 3 is not available\n");
    assert_eq!(complaints, "rpcinfo: RPC: Timed out\n");
    assert_eq!(status, Some(1));
    assert!(began.elapsed() >= Duration::from_millis(300) && began.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_time_limit_that_is_none_is_refused() {
    for wrong in ["", "x", "0", "-1", "1e3", "inf", "999999999999"] {
        let (out, complaints, status) = run(&["--timeout", wrong, "-p"]);
        assert_eq!((out.as_str(), status), ("", Some(1)));
        assert_eq!(complaints, format!("rpcinfo: {wrong} is illegal timeout\n"));
    }
}

#[test]
fn the_port_of_n_is_called() {
    let address = service(|_| Answer::Success(&[]));
    let (_, port) = address.split_once("127.0.0.1.").expect("an address");
    let (high, low) = port.split_once('.').expect("two numbers");
    let port: u16 = high.parse::<u16>().expect("a number") * 256 + low.parse::<u16>().expect("a number");
    let (out, complaints, status) = run(&["-n", &port.to_string(), "-t", "127.0.0.1", "100003", "3"]);
    assert_eq!((out.as_str(), complaints.as_str()), ("program 100003 version 3 ready and waiting\n", ""));
    assert_eq!(status, Some(0));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let (help, complaints, status) = run(&["--help"]);
    assert!(help.contains("rpcinfo [-m | -s] [host]") && help.contains("--timeout <seconds>"), "{help}");
    assert_eq!((complaints.as_str(), status), ("", Some(0)));
    let (version, complaints, status) = run(&["--version"]);
    assert_eq!(version, format!("rpcinfo {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!((complaints.as_str(), status), ("", Some(0)));
}

#[test]
fn an_unknown_long_option_is_refused_as_its_letters_are() {
    let (out, complaints, status) = run(&["--x"]);
    let name = env!("CARGO_BIN_EXE_rpcinfo");
    let wrong = format!("{name}: invalid option -- '-'\n{name}: invalid option -- 'x'\nUsage: ");
    assert!(complaints.starts_with(&wrong), "{complaints}");
    assert_eq!((out.as_str(), status), ("", Some(1)));
}

#[test]
fn what_a_server_says_cannot_control_the_terminal() {
    use oncrpc::bind::Rpcb;
    use oncrpc::{Program, Version};
    testkit::require!("/sbin/rpcbind");
    let home = testkit::Namespace::new().expect("a namespace");
    let _daemon = testkit::Daemon::start(&home, &testkit::DaemonKind::debian()).expect("it starts");
    let row = Rpcb {
        program: Program(200_001),
        version: Version(1),
        netid: b"\x1b[31mred",
        address: b"a\nb\x07\x9b1m",
        owner: b"",
    };
    let set = || {
        let limit = Duration::from_secs(10);
        rpcbind_client::PortMapper::local(limit)?.register(&row)
    };
    home.within(set).expect("inside").expect("registered");
    for arguments in [&[][..], &["-s"], &["--json"], &["--json", "-s"]] {
        let end = home.run(&mut tool(arguments)).expect("it runs");
        let controls = |text: &str| text.chars().filter(|c| c.is_control() && *c != '\n').count();
        assert_eq!(controls(&end.stdout), 0, "{:?}", end.stdout);
        assert!(end.stdout.contains("red"), "{}", end.stdout);
    }
}

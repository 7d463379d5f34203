//! Debian's tool and ours, called the same way in the same surroundings: same output, same complaints, same status.
//! What is meant to differ is listed.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use testkit::rpcinfo_forms::{Form, Outcome, differences, run};
use testkit::{Daemon, DaemonKind, Namespace, rpcinfo_forms};

const DEBIANS: &str = "/usr/sbin/rpcinfo";
const OURS: &str = env!("CARGO_BIN_EXE_rpcinfo");

fn ours_and_debians(forms: &[Form]) -> (Vec<Outcome>, Vec<Outcome>) {
    let run = |tool: &str| run(Path::new(tool), &DaemonKind::debian(), forms).expect("every form runs");
    (run(OURS), run(DEBIANS))
}

#[test]
fn every_form_prints_what_debians_prints() {
    testkit::require!(DEBIANS, DaemonKind::DEBIAN, "/usr/sbin/rpc.statd");
    let (same, differing): (Vec<_>, Vec<_>) = rpcinfo_forms().into_iter().partition(Form::is_classic);
    let (ours, debians) = ours_and_debians(&same);
    let found = differences(&ours, &debians);
    assert!(found.is_empty(), "{}", found.join("\n\n"));
    let (ours, debians) = ours_and_debians(&differing);
    assert_eq!(differences(&ours, &debians).len(), differing.len(), "listed as different, but the same");
}

/// One call: what it printed, what it complained about, how it ended.
fn call(home: &Namespace, tool: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(tool);
    command.arg0("rpcinfo").args(arguments);
    let end = home.run(&mut command).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    format!("== {}\n{}-- {}-- {:?}\n", arguments.join(" "), end.stdout, end.stderr, end.status.code())
}

/// Rows of all kinds, set over the unix socket; what is left of a form depends on nothing else.
fn register_many(home: &Namespace) {
    use oncrpc::bind::Rpcb;
    use oncrpc::{Program, Version};
    use rpcbind_client::{PortMapper, RpcbVersion};
    let long = "n".repeat(40);
    let many: Vec<_> = (0..30).map(|number| format!("netid-number-{number}")).collect();
    let mut rows = vec![
        (200_002, 1, long.as_str(), "an address that is none and longer than its column"),
        (200_002, 1, "", ""),
        (u32::MAX, u32::MAX - 5, "tcp", "0.0.0.0.255.255"),
        (2_147_483_648, 2_147_483_648, "udp", "127.0.0.1.1.1"),
        (200_004, 1, "local", "/run/some.sock"),
        (200_004, 2, "ticotsord", "@abstract"),
        (200_005, 7, "Gr\u{fc}\u{df}e", "\u{65e5}\u{672c}.1.2"),
        (200_007, 1, "udp", "0.0.0.0.0.0"),
    ];
    for version in [3, 4] {
        rows.extend([
            (100_003, version, "tcp", "0.0.0.0.8.1"),
            (100_003, version, "udp", "0.0.0.0.8.1"),
            (100_003, version, "tcp6", "::.8.1"),
        ]);
    }
    rows.extend((1..40).map(|version| (200_001, version, "udp", "0.0.0.0.19.1")));
    rows.extend(many.iter().map(|netid| (200_003, 1, netid.as_str(), "0.0.0.0.20.1")));
    home.within(|| {
        let mut mapper = PortMapper::local(std::time::Duration::from_secs(10)).expect("it listens");
        for (program, version, netid, address) in rows {
            let (program, version) = (Program(program), Version(version));
            let (netid, address) = (netid.as_bytes(), address.as_bytes());
            let row = Rpcb { program, version, netid, address, owner: b"" };
            assert!(mapper.set(RpcbVersion::V4, &row).expect("an answer"), "{row:?}");
        }
    })
    .expect("inside");
}

/// Called one after the other, so that the statistics at the end tell whether the same calls were made.
const TRANSCRIPT: &[&[&str]] = &[
    &[],
    &["-s"],
    &["-p"],
    &["-s", "::1"],
    &["-p", "::1"],
    &["-T", "udp6", "::1"],
    &["-s", "-T", "tcp", "127.0.0.1"],
    &["-l", "127.0.0.1", "nfs", "3"],
    &["-l", "::1", "nfs", "4"],
    &["-l", "-T", "udp", "127.0.0.1", "200001", "7"],
    &["-l", "127.0.0.1", "4294967295", "4294967290"],
    &["-l", "127.0.0.1", "2147483648", "2147483648"],
    &["-t", "127.0.0.1", "nfs"],
    &["-u", "127.0.0.1", "200001"],
    &["-t", "::1", "nfs", "3"],
    &["-T", "tcp", "127.0.0.1", "nfs", "3"],
    &["-T", "udp", "127.0.0.1", "200007", "1"],
    &["-T", "local", "x", "200004", "1"],
    &["-T", "tcp6", "::1", "999999"],
    &["-T", "rawip", "127.0.0.1"],
    &["-T", "rawip", "127.0.0.1", "100000"],
    &["-a", "127.0.0.1.0.111", "-T", "udp", "100000", " +3"],
    &["-a", "127.0.0.1.0.111", "-T", "udp", "--", "100000", "-1"],
    &["-a", "127.0.0.1.0.111", "-T", "udp", "99999999999"],
    &["-a", "192.0.2.1.0.111", "-T", "udp", "100000", "3"],
    &["192.0.2.1"],
    &["-u", "2001:db8::1", "100003"],
    &["-l", "no.such.host.invalid", "bogus", "x"],
    &["-a", "zz", "-T", "nosuch", "bogus"],
    &["-d", "nosuch", "x"],
    &["-ts"],
    &["-p127.0.0.1"],
    &["-Ttcp", "127.0.0.1", "100000", "2"],
    &["127.0.0.1", "-p"],
    &["-p", "--", "127.0.0.1"],
    &["-n", "0", "-p"],
    &["-n", "65536", "-p"],
    &["-n", "5", "-p"],
    &["-x", "-n", "bad", "-p"],
    &[""],
    &["-p", ""],
    &["-d", "200001", "1"],
    &["-d", "-T", "tcp", "100003", "3"],
    &["-m"],
    &["-m", "127.0.0.1"],
];

#[test]
fn a_rich_table_is_shown_and_counted_the_same() {
    testkit::require!(DEBIANS, DaemonKind::DEBIAN);
    let transcript = |tool: &str| {
        let home = Namespace::new().expect("a namespace");
        home.write("/etc/resolv.conf", "").expect("written");
        let daemon = Daemon::start(&home, &DaemonKind::debian()).expect("it starts");
        register_many(&home);
        let calls: Vec<_> = TRANSCRIPT.iter().map(|arguments| call(&home, tool, arguments)).collect();
        daemon.kill().expect("it ends");
        calls
    };
    let (ours, debians) = (transcript(OURS), transcript(DEBIANS));
    for (ours, debians) in ours.iter().zip(&debians) {
        assert!(ours == debians, "ours:\n{ours}\nDebian's:\n{debians}");
    }
}

/// Remote calls of every form, answered, refused and unanswered: each is counted once.
fn call_remotely(home: &Namespace, address: &str) {
    use oncrpc::bind::{self, RemoteCall};
    use oncrpc::xdr::{Encode, Writer};
    use oncrpc::{Call, Procedure, Program, Version, Xid};
    let forms = [
        (bind::V2, bind::CALLIT),
        (bind::V3, bind::CALLIT),
        (bind::V4, bind::BCAST),
        (bind::V4, bind::INDIRECT),
    ];
    // Programs that are there, of which one is forbidden, that have other versions, that are not there.
    let targets = [(200_001, 7, 5), (100_003, 3, 0), (100_003, 3, 1), (100_003, 9, 0), (399_999, 1, 0)];
    let local = if address.starts_with('[') { "[::1]:0" } else { "127.0.0.1:0" };
    let socket = home.within(|| std::net::UdpSocket::bind(local).expect("a port")).expect("inside");
    let calls = forms.into_iter().flat_map(|form| targets.map(|target| (form, target)));
    for (xid, ((called, procedure), (program, version, number))) in (1..).zip(calls) {
        let mut buffer = [0; 200];
        let mut writer = Writer::new(&mut buffer);
        let (program, version, number) = (Program(program), Version(version), Procedure(number));
        Call::new(Xid(xid), bind::PROGRAM, called, procedure).encode(&mut writer).expect("it fits");
        RemoteCall { program, version, procedure: number, arguments: b"1234" }
            .encode(&mut writer)
            .expect("it fits");
        socket.send_to(writer.written(), address).expect("sent");
    }
}

#[test]
fn remote_calls_are_listed_in_the_statistics_the_same() {
    testkit::require!(DEBIANS, DaemonKind::DEBIAN);
    let statistics = |tool| {
        let home = Namespace::new().expect("a namespace");
        let _daemon = Daemon::start(&home, &DaemonKind::debian().argument("-r")).expect("it starts");
        register_many(&home);
        for (netid, host, address) in [("udp", "127.0.0.1", "127.0.0.1:111"), ("udp6", "::1", "[::1]:111")] {
            call_remotely(&home, address);
            // When this is answered, what came before is counted.
            call(&home, DEBIANS, &["-T", netid, host, "100000", "4"]);
        }
        call(&home, tool, &["-m"])
    };
    let (ours, debians) = (statistics(OURS), statistics(DEBIANS));
    assert_eq!(debians.matches("_RMTCALL").count(), 3, "{debians}");
    assert!(ours == debians, "ours:\n{ours}\nDebian's:\n{debians}");
}

#[test]
fn netpath_gives_the_order_of_transports() {
    testkit::require!(DEBIANS, DaemonKind::DEBIAN);
    let home = Namespace::new().expect("a namespace");
    let _daemon = Daemon::start(&home, &DaemonKind::debian()).expect("it starts");
    let hosts = ["127.0.0.1 localhost\n", "127.0.0.1 localhost\n::1 localhost\n"];
    let netpaths = ["", "tcp6:tcp", "tcp6", "tcp", "udp", "local", "nosuch"];
    for (hosts, netpath) in hosts.iter().flat_map(|hosts| netpaths.map(|netpath| (hosts, netpath))) {
        home.write("/etc/hosts", hosts).expect("written");
        let with = |tool| {
            let mut command = Command::new(tool);
            command.arg0("rpcinfo").args(["-l", "localhost", "100000", "4"]).env("NETPATH", netpath);
            home.run(&mut command).expect("it runs").stdout
        };
        assert_eq!(with(OURS), with(DEBIANS), "NETPATH={netpath} with {hosts}");
    }
}

/// A port mapper that answers every call the same, on every transport of a namespace.
mod odd {
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixListener;

    use oncrpc::record::mark;
    use oncrpc::xdr::{Encode, Writer};
    use oncrpc::{Answer, Call, Reply};
    use testkit::Namespace;

    pub(super) fn start(home: &Namespace, answer: fn(&Call<'_>) -> Answer<'static>) {
        let sockets = home.within(|| {
            (
                UdpSocket::bind("0.0.0.0:111").expect("free"),
                TcpListener::bind("[::]:111").expect("free"),
                UnixListener::bind("/run/rpcbind.sock").expect("free"),
            )
        });
        let (udp, tcp, unix) = sockets.expect("inside");
        std::thread::spawn(move || {
            let mut message = [0; 9000];
            while let Ok((length, from)) = udp.recv_from(&mut message) {
                udp.send_to(&reply(&message[..length], answer), from).expect("sent");
            }
        });
        std::thread::spawn(move || tcp.incoming().flatten().for_each(|one| serve(one, answer)));
        std::thread::spawn(move || unix.incoming().flatten().for_each(|one| serve(one, answer)));
    }

    fn serve(mut connection: impl Read + Write + Send + 'static, answer: fn(&Call<'_>) -> Answer<'static>) {
        std::thread::spawn(move || {
            let mut head = [0; 4];
            while connection.read_exact(&mut head).is_ok() {
                let length = usize::try_from(u32::from_be_bytes(head) & 0x7fff_ffff).expect("a length");
                let mut message = vec![0; length];
                connection.read_exact(&mut message).expect("the rest");
                let reply = reply(&message, answer);
                let mark = mark(reply.len()).expect("short enough");
                connection.write_all(&[&mark[..], &reply].concat()).expect("sent");
            }
        });
    }

    fn reply(message: &[u8], answer: fn(&Call<'_>) -> Answer<'static>) -> Vec<u8> {
        let call = Call::decode(message).expect("a call");
        let mut buffer = vec![0; 9000];
        let mut writer = Writer::new(&mut buffer);
        Reply { xid: call.xid, answer: answer(&call) }.encode(&mut writer).expect("it fits");
        writer.written().to_vec()
    }
}

const TO_ODD: &[&[&str]] = &[
    &[],
    &["-s"],
    &["-p"],
    &["-m"],
    &["127.0.0.1"],
    &["-T", "udp", "127.0.0.1"],
    &["-p", "127.0.0.1"],
    &["-p", "::1"],
    &["-m", "::1"],
    &["-l", "127.0.0.1", "100000", "4"],
    &["-T", "udp", "127.0.0.1", "100003", "3"],
    &["-T", "tcp6", "::1", "100003", "3"],
    &["-T", "local", "x", "100003", "3"],
    &["-t", "127.0.0.1", "100003", "2"],
    &["-u", "127.0.0.1", "100003", "2"],
    &["-a", "127.0.0.1.0.111", "-T", "udp", "100003", "3"],
    &["-a", "127.0.0.1.0.111", "-T", "tcp", "100003", "3"],
    &["-d", "100003", "3"],
];

#[test]
fn odd_answers_are_reported_in_the_same_words() {
    use oncrpc::auth::AuthStatus;
    use oncrpc::{Answer, Call};
    testkit::require!(DEBIANS);
    const MAPPINGS: &[u8] = &[
        0, 0, 0, 1, 0, 1, 0x86, 0xa3, 0, 0, 0, 3, 0, 0, 0, 6, 0, 0, 8, 1, 0, 0, 0, 1, 0, 3, 0x0d, 0x41, 0xee,
        0, 0, 0, 0, 0, 0, 132, 0, 1, 0x11, 0x70, 0, 0, 0, 0,
    ];
    let version2_only = |call: &Call<'_>| match (call.version.0, call.procedure.0) {
        (2, 4) => Answer::Success(MAPPINGS),
        (2, 0) => Answer::Success(&[]),
        (2, _) => Answer::Success(&[0, 0, 0, 0]),
        _ => Answer::ProgramMismatch { low: 2, high: 2 },
    };
    type Server = fn(&Call<'_>) -> Answer<'static>;
    let cases: [(&str, Server); 11] = [
        ("program unavailable", |_| Answer::ProgramUnavailable),
        ("procedure unavailable", |_| Answer::ProcedureUnavailable),
        ("garbage arguments", |_| Answer::GarbageArguments),
        ("system error", |_| Answer::SystemError),
        ("version 1 only", |_| Answer::ProgramMismatch { low: 1, high: 1 }),
        ("version 2 only", version2_only),
        ("another RPC version", |_| Answer::RpcMismatch { low: 3, high: 4 }),
        ("too weak", |_| Answer::AuthError(AuthStatus::TooWeak)),
        ("unknown reason", |_| Answer::AuthError(AuthStatus::Other(13))),
        ("nothing", |_| Answer::Success(&[])),
        ("zero", |_| Answer::Success(&[0, 0, 0, 0])),
    ];
    for (name, answer) in cases {
        let home = Namespace::new().expect("a namespace");
        odd::start(&home, answer);
        for arguments in TO_ODD {
            let (ours, debians) = (call(&home, OURS, arguments), call(&home, DEBIANS, arguments));
            assert!(ours == debians, "{name}: ours:\n{ours}\nDebian's:\n{debians}");
        }
    }
}

//! `-b` on a network of several hosts, beside Debian's tool.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;

use nix::net::if_::if_nametoindex;
use oncrpc::bind::{CALLIT, CallResult, MULTICAST, RemoteCall, V2};
use oncrpc::xdr::{Decode, Encode, Reader, Writer};
use oncrpc::{Answer, Call, Reply, Xid};
use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{AddressFamily, SocketType, bind, socket};
use testkit::{Daemon, DaemonKind, Finished, Lan, Namespace};

const DEBIANS: &str = "/usr/sbin/rpcinfo";
const OURS: &str = env!("CARGO_BIN_EXE_rpcinfo");

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn run(home: &Namespace, tool: &str, arguments: &[&str]) -> Finished {
    home.run(Command::new(tool).args(arguments)).expect("it ends")
}

/// A port mapper on IPv6 alone that answers every remote call with these addresses, one answer each.
fn pretend(home: &Namespace, addresses: &'static [&'static str]) {
    let socket = home.within(|| {
        let socket = socket(AddressFamily::INET6, SocketType::DGRAM, None).expect("a socket");
        set_ipv6_v6only(&socket, true).expect("set");
        bind(&socket, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, 111))).expect("free");
        let socket = UdpSocket::from(socket);
        // 0: whichever interface has multicasts, and here only one does.
        socket.join_multicast_v6(&MULTICAST, 0).expect("joined");
        socket
    });
    let socket = socket.expect("inside");
    std::thread::spawn(move || {
        let mut message = [0; 9000];
        while let Ok((length, from)) = socket.recv_from(&mut message) {
            let message = &message[..length];
            let call = Call::decode(message).expect("a call");
            let wanted = RemoteCall::decode(&mut Reader::new(call.arguments)).expect("a remote call");
            assert_eq!((wanted.program.0, wanted.procedure.0), (100_000, 0), "{from}");
            assert_eq!(call.procedure, CALLIT);
            if call.version == V2 {
                // Debian's tool sends it over IPv6 too.
                continue;
            }
            for address in addresses {
                let reply = reply(call.xid, address.as_bytes());
                assert!(reply.len() <= length, "a reply of {} bytes for {length}", reply.len());
                // The tool may have ended.
                let _ = socket.send_to(&reply, from);
            }
        }
    });
}

fn reply(xid: Xid, address: &[u8]) -> Vec<u8> {
    let (mut results, mut buffer) = ([0; 100], [0; 200]);
    let mut writer = Writer::new(&mut results);
    CallResult { address, results: b"" }.encode(&mut writer).expect("it fits");
    let answer = Answer::Success(writer.written());
    let mut writer = Writer::new(&mut buffer);
    Reply { xid, answer }.encode(&mut writer).expect("it fits");
    writer.written().to_vec()
}

#[test]
fn the_hosts_of_a_network_are_found_each_once_with_debians_words() {
    testkit::require!(DEBIANS, DaemonKind::DEBIAN);
    let lan = Lan::new(5).expect("a network");
    let [home, here @ .., six] = &lan.hosts[..] else { unreachable!("five hosts") };
    home.write("/etc/resolv.conf", "").expect("written");
    home.write("/etc/hosts", "10.7.0.3 third.example third\nfd07::5 fifth.example\n").expect("written");
    let kind = DaemonKind::debian().argument("-r");
    let _daemons: Vec<_> = here.iter().map(|host| Daemon::start(host, &kind).expect("it starts")).collect();
    // One service more in other words, and addresses that are none.
    pretend(six, &["fd07::5.0.111", "FD07:0:0::5.0.111", "10.7.0.5.0.111", "\u{1b}[2J", ""]);
    let (ours, debians) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| run(home, OURS, &["-b", "100000", "4"]));
        let debians = run(home, DEBIANS, &["-b", "100000", "4"]);
        (ours.join().expect("no panic"), debians)
    });
    // They hear each other's hosts several times.
    let (mut theirs, all) = (sorted(&debians.stdout), sorted(&debians.stdout).len());
    theirs.dedup();
    assert!(theirs.len() < all);
    let expected = [
        "10.7.0.2.0.111\tunknown",
        "10.7.0.3.0.111\tthird.example",
        "10.7.0.4.0.111\tunknown",
        "fd07::5.0.111\tfifth.example",
    ];
    assert_eq!(theirs, expected, "{debians:?}");
    assert_eq!(sorted(&ours.stdout), expected, "{ours:?}");
    assert_eq!((ours.stderr.as_str(), ours.status.code()), ("", Some(0)));
}

#[test]
fn nobody_s_answer_is_a_failure_and_so_is_no_network() {
    testkit::require!();
    let lan = Lan::new(2).expect("a network");
    let home = &lan.hosts[0];
    let nobody = run(home, OURS, &["--timeout", "0.2", "-b", "100000", "4"]);
    let said = |end: &Finished| (end.stdout.clone(), end.stderr.clone(), end.status.code());
    assert_eq!(said(&nobody), (String::new(), String::new(), Some(1)));
    let document = run(home, OURS, &["--json", "--timeout", "0.2", "-b", "100000", "4"]);
    assert!(document.stdout.contains("\"replies\":[],\"error\":null"), "{document:?}");
    assert_eq!(document.status.code(), Some(1));
    home.expect("ip", &["link", "set", &lan.interfaces[0], "down"]).expect("down");
    let alone = run(home, OURS, &["-b", "100000", "4"]);
    let complaint = "rpcinfo: broadcast failed: RPC: Unknown protocol\n".to_owned();
    assert_eq!(said(&alone), (String::new(), complaint, Some(1)));
}

#[test]
fn calls_of_each_version_go_to_every_network_here_even_where_no_broadcast_address_is_set() {
    testkit::require!();
    let lan = Lan::new(2).expect("a network");
    let (home, other) = (&lan.hosts[0], &lan.hosts[1]);
    let second = home.cable(other, &[], &["10.8.0.2/24", "fd08::2/64"]).expect("a second cable");
    // The kernel puts no broadcast address beside an address that was given none.
    home.expect("ip", &["addr", "add", "10.8.0.1/24", "dev", &second]).expect("an address");
    for end in [home, other] {
        end.wait_for_carrier(&second).expect("it carries");
    }
    let networks = [lan.interfaces[1].as_str(), &second];
    let (socket, indices) = other
        .within(|| {
            let socket = UdpSocket::bind("[::]:111").expect("free");
            let indices = networks.map(|name| if_nametoindex(name).expect("an interface"));
            for index in indices {
                socket.join_multicast_v6(&MULTICAST, index).expect("joined");
            }
            (socket, indices)
        })
        .expect("inside");
    let nobody = run(home, OURS, &["--timeout", "0.2", "-b", "100000", "4"]);

    assert_eq!(nobody.status.code(), Some(1));
    // Sent before the tool ended, all of them have arrived.
    socket.set_nonblocking(true).expect("set");
    let mut message = [0; 9000];
    let mut seen = Vec::new();
    while let Ok((length, from)) = socket.recv_from(&mut message) {
        let call = Call::decode(&message[..length]).expect("a call");
        let SocketAddr::V6(from) = from else { unreachable!("a socket of both families") };
        let network = match from.ip().to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => format!("interface {}", from.scope_id()),
        };
        seen.push((network, call.version.0));
    }
    seen.sort();
    let mut expected: Vec<_> = ["10.7.0.1", "10.8.0.1"]
        .map(str::to_owned)
        .into_iter()
        .flat_map(|network| [2, 3, 4].map(|version| (network.clone(), version)))
        .chain(
            indices
                .into_iter()
                .flat_map(|index| [3, 4].map(|version| (format!("interface {index}"), version))),
        )
        .collect();
    expected.sort();
    assert_eq!(seen, expected);
}

use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use oncrpc::Program;
use oncrpc::bind::{self, Rpcb};
use rustix::process::Signal;
use testkit::proc::cpu_ticks;
use testkit::{Daemon, DaemonKind, Namespace, wait};

use crate::{RPCBIND, ask, house, ours, shell};

const LOOPBACK: &str = "127.0.0.1:111";

#[test]
fn a_reply_leaves_from_the_address_and_on_the_link_that_was_asked() {
    testkit::require!();
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    // Two cables with the same link-local addresses at both ends, and several others.
    let here = ["10.1.0.1/24", "10.1.0.2/24", "fd01::1/64", "fd01::2/64", "fe80::1/64"];
    home.connect(&other, &here, &["10.1.0.9/24", "fd01::9/64", "fe80::9/64"]).unwrap();
    home.connect(&other, &["fe80::1/64"], &["fe80::9/64"]).unwrap();
    let _daemon = Daemon::start(&home, &ours()).unwrap();
    for (from, asked) in
        [("0.0.0.0", "10.1.0.1"), ("0.0.0.0", "10.1.0.2"), ("::", "fd01::1"), ("::", "fd01::2")]
    {
        let client = ask::udp(&other, from, SocketAddr::new(asked.parse().unwrap(), 111));
        let reply = ask::over_udp(&client, &ask::getport());
        assert_eq!(ask::results(&reply.expect(asked)), 111_u32.to_be_bytes());
    }
    let links = other.expect("ip", &["-o", "-6", "addr", "show", "scope", "link"]).unwrap();
    let links: Vec<u32> = links
        .lines()
        .filter(|line| line.contains("fe80::9/64"))
        .filter_map(|line| line.split(':').next()?.trim().parse().ok())
        .collect();
    assert_eq!(links.len(), 2, "{links:?}");
    for link in links {
        let asked = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 111, 0, link);
        let client = ask::udp(&other, "::", asked.into());
        assert_eq!(ask::results(&ask::over_udp(&client, &ask::getport()).unwrap()), 111_u32.to_be_bytes());
        let wanted =
            Rpcb { program: bind::PROGRAM, version: bind::V4, netid: b"udp6", address: b"", owner: b"" };
        // Padded, so that a reply as long as the address fits.
        let call = [ask::call(bind::V4, bind::GETADDR, wanted), vec![0; 32]].concat();
        let reply = ask::over_udp(&client, &call).unwrap();
        assert_eq!(ask::results(&reply)[4..], b"fe80::1.0.111\0\0\0"[..], "{link}");
    }
}

#[test]
fn a_changed_hosts_file_holds_within_a_second_and_without_a_signal() {
    testkit::require!();
    let (home, daemon) = house();
    let answers = || ask::over(ask::tcp(&home, LOOPBACK), &ask::getport()).unwrap().len();
    assert_eq!(answers(), 28);
    // Written in place, and replaced by another file.
    home.write("/etc/hosts.deny", "rpcbind: 127.0.0.1\n").unwrap();
    let began = Instant::now();
    wait::until("a refusal", || Ok((answers() == 20).then_some(()))).unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
    home.write("/etc/hosts.new", "").unwrap();
    home.within(|| std::fs::rename("/etc/hosts.new", "/etc/hosts.deny")).unwrap().unwrap();
    wait::until("an answer", || Ok((answers() == 28).then_some(()))).unwrap();
    // A file that cannot be read leaves the rules as they are, and says so.
    home.write("/etc/hosts.deny", "rpcbind: 127.0.0.1\n").unwrap();
    wait::until("a refusal", || Ok((answers() == 20).then_some(()))).unwrap();
    shell(&home, "rm /etc/hosts.deny; mkdir /etc/hosts.deny");
    wait::until("a word", || {
        Ok(daemon.stderr().contains("the older rules of the hosts files stay").then_some(()))
    })
    .unwrap();
}

#[test]
fn a_hang_up_has_the_configuration_read_or_the_old_one_kept() {
    testkit::require!();
    let (home, daemon) = house();
    let said = |what: &str| wait::until(what, || Ok(daemon.stderr().contains(what).then_some(())));
    home.write("/etc/rpcbind.toml", "log-connections = true\nport = 10111\n").unwrap();
    daemon.signal(Signal::HUP).unwrap();
    said("only a restart changes port").unwrap();
    wait::until("a line in the log", || {
        ask::over(ask::tcp(&home, LOOPBACK), &ask::getport())?;
        Ok(daemon.stderr().contains("connect from 127.0.0.1 to getport/addr(portmapper)").then_some(()))
    })
    .unwrap();
    home.write("/etc/rpcbind.toml", "log-connections = 7\n").unwrap();
    daemon.signal(Signal::HUP).unwrap();
    said("the older configuration stays").unwrap();
}

#[test]
fn at_the_cap_newcomers_over_tcp_are_served_and_root_always_reaches_the_unix_socket() {
    testkit::require!("/usr/bin/prlimit");
    let home = Namespace::new().unwrap();
    // 150 descriptors: 128 are kept, 5 for unix connections, 17 for TCP.
    let arguments = ["--nofile=150:150", RPCBIND, "-f"];
    let kind = DaemonKind { program: "/usr/bin/prlimit".into(), ..ours() }.arguments(arguments);
    let _daemon = Daemon::start(&home, &kind).unwrap();
    let mut all: Vec<TcpStream> = Vec::new();
    for _ in 0..60 {
        let newcomer = ask::tcp(&home, LOOPBACK);
        assert_eq!(ask::over(&newcomer, &ask::getport()).unwrap().len(), 28);
        all.push(newcomer);
    }
    let unix: Vec<_> = (0..30).map(|_| ask::unix(&home, "/run/rpcbind.sock")).collect();
    for one in &unix {
        assert_eq!(ask::over(one, &ask::getport()).unwrap().len(), 28);
    }
}

#[test]
fn without_descriptors_datagrams_are_answered_the_loop_rests_and_accepting_goes_on_afterwards() {
    testkit::require!("/usr/bin/prlimit", "/usr/bin/setpriv");
    let (home, daemon) = house();
    let pid = daemon.pid();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let hard = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let hard = hard.split_whitespace().next().unwrap().to_owned();
    // As the daemon's own user, who may do that.
    let limit = |soft: &str| {
        let limit = format!("--nofile={soft}:{hard}");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=_rpc", "--regid=nogroup", "--clear-groups", "--", "prlimit", &limit, "--pid"]);
        assert!(command.arg(pid.to_string()).status().unwrap().success());
    };
    limit("10");
    let waiting = ask::unix(&home, "/run/rpcbind.sock");
    let client = ask::udp(&home, "127.0.0.1", LOOPBACK.parse().unwrap());
    let (began, ticks) = (Instant::now(), cpu_ticks(pid).unwrap());
    wait::until("a second", || {
        assert_eq!(ask::over_udp(&client, &ask::getport())?.len(), 28);
        Ok((began.elapsed() > Duration::from_secs(1)).then_some(()))
    })
    .unwrap();
    let used = cpu_ticks(pid).unwrap() - ticks;
    assert!(used <= 10, "{used} hundredths of a second in a second of waiting");
    limit(&hard);
    assert_eq!(ask::over(&waiting, &ask::getport()).unwrap().len(), 28);
    assert_eq!(ask::over(ask::tcp(&home, LOOPBACK), &ask::getport()).unwrap().len(), 28);
}

#[test]
fn sets_over_loopback_udp_are_roots_only_from_a_privileged_port() {
    testkit::require!();
    let (home, _daemon) = house();
    let set = |program: u32| ask::call(bind::V2, bind::SET, ask::mapping(Program(program), 7_777));
    let client = ask::udp(&home, "127.0.0.1", LOOPBACK.parse().unwrap());
    let said = ask::results(&ask::over_udp(&client, &set(400_001)).unwrap());
    assert_eq!(said, 1_u32.to_be_bytes());
    let privileged = home
        .within(|| {
            let socket = std::net::UdpSocket::bind("127.0.0.1:733").unwrap();
            socket.connect(LOOPBACK).unwrap();
            socket.set_read_timeout(Some(ask::PATIENCE)).unwrap();
            socket
        })
        .unwrap();
    assert_eq!(ask::results(&ask::over_udp(&privileged, &set(400_002)).unwrap()), 1_u32.to_be_bytes());
    let rows = testkit::table::dump(&home).unwrap();
    let owner = |program| rows.iter().find(|row| row.program == program).map(|row| row.owner.as_str());
    assert_eq!((owner(400_001), owner(400_002)), (Some("unknown"), Some("superuser")));
}

#[test]
fn interfaces_that_come_later_are_known_without_a_restart() {
    testkit::require!();
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    let _daemon = Daemon::start(&home, &ours()).unwrap();
    home.connect(&other, &["10.2.0.1/24"], &["10.2.0.9/24"]).unwrap();
    // What the client used to get here is believed when it is an address of ours.
    let hint =
        Rpcb { program: bind::PROGRAM, version: bind::V4, netid: b"", address: b"10.2.0.1.3.9", owner: b"" };
    let client = ask::udp(&home, "127.0.0.1", LOOPBACK.parse().unwrap());
    wait::until("the new address", || {
        let results = ask::results(&ask::over_udp(&client, &ask::call(bind::V3, bind::GETADDR, hint))?);
        let address = String::from_utf8_lossy(&results[4..]).into_owned();
        Ok(address.starts_with("10.2.0.1.0.111").then_some(()))
    })
    .unwrap();
}

#[test]
fn a_stranger_gets_no_list_over_udp_and_the_whole_one_over_tcp() {
    testkit::require!();
    let (home, other) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    home.connect(&other, &["10.2.0.1/24"], &["10.2.0.9/24"]).unwrap();
    let _daemon = Daemon::start(&home, &ours()).unwrap();
    let dump = ask::message(bind::V4, bind::DUMP, &[]);
    let stranger = ask::udp(&other, "10.2.0.9", "10.2.0.1:111".parse().unwrap());
    assert_eq!(ask::over_udp(&stranger, &dump).unwrap().len(), 20);
    assert!(ask::over(ask::tcp(&other, "10.2.0.1:111"), &dump).unwrap().len() > 500);
}

//! Our daemon under a service manager: by the unit and socket files that Debian ships for the C daemon, unchanged, and
//! with any other mix of sockets (sd_listen_fds(3), sd_notify(3)).

use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

use testkit::activator::{Activated, Sockets};
use testkit::{Activator, DaemonKind, Namespace, table};

const OURS: &str = env!("CARGO_BIN_EXE_rpcbind");
const UNIT: &str = "/lib/systemd/system/rpcbind.service";
const PATH: &str = "/run/rpcbind.sock";

/// NULL of version 2, as a datagram.
const NULL: [u8; 40] = {
    let mut call = [0; 40];
    call[3] = 7;
    call[11] = 2;
    (call[13], call[14], call[15]) = (0x01, 0x86, 0xa0);
    call[19] = 2;
    call
};

/// Debian's unit with our binary in the place of the C daemon's, and these sockets.
fn start(home: &Namespace, sockets: &str) -> io::Result<(Activated, Sockets)> {
    let activator = Activator::debian()?.binary(OURS).sockets(sockets).map_err(io::Error::other)?;
    let sockets = activator.open(home)?;
    let mut daemon = activator.start(home, &sockets)?;
    daemon.wait_ready()?;
    Ok((daemon, sockets))
}

/// Whether NULL in a datagram to this address is answered; refused when nobody has the port.
fn udp_answers(home: &Namespace, address: &str) -> io::Result<bool> {
    let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    home.within(|| {
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.connect(address)?;
        socket.send(&NULL)?;
        match socket.recv(&mut [0; 64]) {
            Ok(length) => Ok(length == 24),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
            Err(error) => Err(error),
        }
    })?
}

fn tcp_opens(home: &Namespace, address: &str) -> io::Result<bool> {
    home.within(|| TcpStream::connect(address)).map(|opened| opened.is_ok())
}

#[test]
fn the_files_that_debian_ships_serve_the_same_table_with_our_binary() {
    testkit::require!(DaemonKind::DEBIAN, UNIT);
    let listed = |binary: Option<&str>| {
        let home = Namespace::new().unwrap();
        let mut activator = Activator::debian().unwrap();
        if let Some(binary) = binary {
            activator = activator.binary(binary);
        }
        let sockets = activator.open(&home).unwrap();
        let mut daemon = activator.start(&home, &sockets).unwrap();
        daemon.wait_ready().unwrap();
        assert_eq!(daemon.command(), ["/sbin/rpcbind", "-f", "-w"]);
        // The path is the unit's; the file behind it is the one that was put there.
        let file = |path: &str| std::fs::metadata(path).map(|file| (file.dev(), file.ino())).unwrap();
        let running = file(&format!("/proc/{}/exe", daemon.pid()));
        assert_eq!(running, file(binary.unwrap_or(DaemonKind::DEBIAN)));
        let lists = [&["-p", "127.0.0.1"][..], &["127.0.0.1"], &[], &["-p"], &["-s"]];
        lists.map(|arguments| home.expect("rpcinfo", arguments).unwrap())
    };
    assert_eq!(listed(Some(OURS)), listed(None));
}

#[test]
fn calls_that_came_before_the_start_are_answered_after_it() {
    testkit::require!(UNIT);
    let home = Namespace::new().unwrap();
    let activator = Activator::debian().unwrap().binary(OURS);
    let sockets = activator.open(&home).unwrap();
    let socket = home
        .within(|| {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect("127.0.0.1:111")?;
            socket.send(&NULL)?;
            io::Result::Ok(socket)
        })
        .unwrap()
        .unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut first = activator.start(&home, &sockets).unwrap();
    assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 24);
    first.wait_ready().unwrap();
    // Between a stop and the next start they wait too, and the socket unit's path stays.
    let (end, notifications) = first.stop().unwrap();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    let stopping = |told: &testkit::activator::Notification| told.value("STOPPING") == Some("1");
    assert!(notifications.iter().any(stopping), "{notifications:?}");
    socket.send(&NULL).unwrap();
    let mut second = activator.start(&home, &sockets).unwrap();
    assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 24);
    second.wait_ready().unwrap();
    assert_eq!(table::dump(&home).unwrap().len(), 12);
}

#[test]
fn dual_stack_sockets_serve_both_families() {
    testkit::require!(UNIT, "/usr/sbin/rpcinfo");
    for setting in ["", "BindIPv6Only=default", "BindIPv6Only=both"] {
        let home = Namespace::new().unwrap();
        let socket = format!("[Socket]\n{setting}\nListenStream=111\nListenDatagram=111\n");
        let (_daemon, _sockets) = start(&home, &socket).unwrap();
        for address in ["127.0.0.1:111", "[::1]:111"] {
            assert!(udp_answers(&home, address).unwrap(), "{setting} {address}");
            assert!(tcp_opens(&home, address).unwrap(), "{setting} {address}");
        }
        for (netid, host) in [("udp", "127.0.0.1"), ("tcp", "127.0.0.1"), ("udp6", "::1"), ("tcp6", "::1")] {
            let ready = home.expect("rpcinfo", &["-T", netid, host, "100000", "4"]).unwrap();
            assert!(ready.contains("ready and waiting"), "{netid}: {ready}");
        }
        let rows = table::dump(&home).unwrap();
        let netids = ["udp", "tcp", "udp6", "tcp6"];
        let listed = netids.map(|netid| rows.iter().filter(|row| row.netid == netid).count());
        assert_eq!(listed, [3, 3, 2, 2], "{rows:#?}");
    }
}

#[test]
fn a_dual_stack_tcp_connection_over_ipv4_is_an_ipv4_one() {
    testkit::require!(UNIT, "/usr/sbin/rpcinfo");
    let home = Namespace::new().unwrap();
    let (_daemon, _sockets) = start(&home, "[Socket]\nListenStream=111\n").unwrap();
    // GETADDR answers for the transport that the question came over.
    let address = |netid, host| home.expect("rpcinfo", &["-T", netid, host, "100000", "3"]).unwrap();
    assert!(address("tcp", "127.0.0.1").contains("ready and waiting"));
    let list = home.expect("rpcinfo", &["-l", "-T", "tcp", "127.0.0.1", "100000", "4"]).unwrap();
    assert!(list.contains("127.0.0.1.0.111") && !list.contains("::"), "{list}");
}

#[test]
fn sockets_that_were_not_passed_are_not_opened_unless_they_are_unix_ones() {
    testkit::require!(UNIT);
    let home = Namespace::new().unwrap();
    let two = "[Socket]\nListenDatagram=127.0.0.1:111\nListenDatagram=[::1]:111\n";
    let (_daemon, _sockets) = start(&home, two).unwrap();
    assert!(udp_answers(&home, "127.0.0.1:111").unwrap() && udp_answers(&home, "[::1]:111").unwrap());
    assert!(!tcp_opens(&home, "127.0.0.1:111").unwrap() && !tcp_opens(&home, "[::1]:111").unwrap());
    // The unix sockets are there all the same: local programs register with them.
    let rows = table::dump(&home).unwrap();
    assert!(rows.iter().all(|row| !row.netid.starts_with("tcp")), "{rows:#?}");
    assert!(rows.iter().any(|row| row.netid == "local"), "{rows:#?}");
    assert!(abstract_opens(&home).unwrap());
}

#[test]
fn unix_sockets_alone_are_served_and_nothing_is_on_the_network() {
    testkit::require!(UNIT);
    for socket in
        ["[Socket]\nListenStream=/run/rpcbind.sock\n", "[Socket]\nListenStream=@/run/rpcbind.sock\n"]
    {
        let home = Namespace::new().unwrap();
        let (_daemon, _sockets) = start(&home, socket).unwrap();
        assert_eq!(table::dump(&home).unwrap().len(), 2, "{socket}");
        assert!(abstract_opens(&home).unwrap(), "{socket}");
        for address in ["127.0.0.1:111", "[::1]:111"] {
            assert!(
                !tcp_opens(&home, address).unwrap() && !udp_answers(&home, address).unwrap(),
                "{address}"
            );
        }
    }
}

#[test]
fn open_missing_opens_the_rest() {
    testkit::require!(UNIT);
    let home = Namespace::new().unwrap();
    home.write("/etc/default/rpcbind", "OPTIONS=\"--open-missing\"\n").unwrap();
    let (daemon, _sockets) = start(&home, "[Socket]\nListenDatagram=0.0.0.0:111\n").unwrap();
    assert_eq!(daemon.command(), ["/sbin/rpcbind", "-f", "--open-missing"]);
    for address in ["127.0.0.1:111", "[::1]:111"] {
        assert!(tcp_opens(&home, address).unwrap() && udp_answers(&home, address).unwrap(), "{address}");
    }
}

#[test]
fn an_address_on_the_command_line_does_not_apply_to_passed_sockets_and_a_warning_says_so() {
    testkit::require!(UNIT);
    let home = Namespace::new().unwrap();
    let away = Namespace::new().unwrap();
    home.connect(&away, &["10.9.8.7/24"], &["10.9.8.1/24"]).unwrap();
    home.write("/etc/default/rpcbind", "OPTIONS=\"-w -h 127.0.0.1\"\n").unwrap();
    let sockets = "[Socket]\nListenStream=0.0.0.0:111\nListenDatagram=0.0.0.0:111\n";
    let (daemon, _sockets) = start(&home, sockets).unwrap();
    let warning = daemon.wait_stderr("-h").unwrap();
    assert!(warning.contains("127.0.0.1") || warning.contains("inherited"), "{warning}");
    // As they are: at every address.
    assert!(tcp_opens(&away, "10.9.8.7:111").unwrap() && udp_answers(&away, "10.9.8.7:111").unwrap());
}

#[test]
fn without_sockets_all_of_them_are_opened() {
    testkit::require!(UNIT);
    let home = Namespace::new().unwrap();
    let (_daemon, _sockets) = start(&home, "[Socket]\n").unwrap();
    assert_eq!(table::dump(&home).unwrap().len(), 12);
}

#[test]
fn a_socket_that_cannot_be_served_ends_the_start_and_is_named() {
    testkit::require!(UNIT);
    let home = Namespace::new().unwrap();
    let odd = "[Socket]\nListenStream=0.0.0.0:111\nListenDatagram=/run/odd.sock\n";
    let error = start(&home, odd).unwrap_err().to_string();
    assert!(error.contains("inherited descriptor 4"), "{error}");
}

fn abstract_opens(home: &Namespace) -> io::Result<bool> {
    home.within(|| {
        let name = UnixAddress::from_abstract_name(PATH)?;
        io::Result::Ok(UnixStream::connect_addr(&name).is_ok())
    })?
}

//! The real daemon and services that die: what it finds out, what it says about it, what it never touches.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own functions are tests too")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use oncrpc::bind::status::{self, Head, Liveness, RowStatus, State};
use oncrpc::record::mark;
use oncrpc::xdr::{Decode, Encode, List, Reader, Writer};
use oncrpc::{Answer, Call, Reply, Xid};
use rustix::process::Signal;
use testkit::programs::{self, COMPILER, TIRPC_HEADER};
use testkit::{Daemon, DaemonKind, Namespace, table, wait};

const RPCBIND: &str = env!("CARGO_BIN_EXE_rpcbind");
const PYTHON: &str = "/usr/bin/python3";
const SOCKET: &str = "/run/rpcbind.sock";
const PROGRAM: u32 = 600_000_001;
const USER: u32 = 1_000;
/// As often as can be configured.
const EACH_SECOND: &str = "judge-every-seconds = 1\n";

/// A machine of its own with the daemon, configured so.
fn house(configuration: &str) -> (Namespace, Daemon) {
    let home = Namespace::new().unwrap();
    home.write("/etc/rpcbind.toml", configuration).unwrap();
    let daemon = Daemon::start(&home, &DaemonKind::ours(RPCBIND)).unwrap();
    (home, daemon)
}

fn ask(mut stream: impl Read + Write) -> io::Result<Vec<u8>> {
    let mut message = [0; 40];
    let call = Call::new(Xid(7), status::PROGRAM, status::VERSION, status::STATUS);
    call.encode(&mut Writer::new(&mut message)).unwrap();
    stream.write_all(&[&mark(message.len()).unwrap()[..], &message].concat())?;
    let mut mark = [0; 4];
    stream.read_exact(&mut mark)?;
    let mut reply = vec![0; (u32::from_be_bytes(mark) & 0x7fff_ffff) as usize];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// What the daemon says of itself, without the texts.
#[derive(Debug)]
struct Status {
    version: String,
    state: State,
    judges: bool,
    last_sweep: Option<u32>,
    counts: [u32; 5],
    /// Rows that are not the port mapper's: program, version, netid, address, and what is known.
    rows: Vec<(u32, u32, String, String, Liveness)>,
}

impl Status {
    fn parse(reply: &[u8]) -> Self {
        let Answer::Success(results) = Reply::decode(reply).unwrap().answer else {
            panic!("{reply:?}");
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut reader = Reader::new(results);
        let head = Head::decode(&mut reader).unwrap();
        let rows = List::<RowStatus<'_>>::new(reader).map(Result::unwrap);
        let rows = rows.filter(|row| row.program.0 != 100_000);
        Self {
            version: text(head.version),
            state: head.state,
            judges: head.judges,
            last_sweep: head.last_sweep_seconds,
            counts: [head.dead, head.died, head.came_back, head.replaced, head.expired],
            rows: rows
                .map(|row| (row.program.0, row.version.0, text(row.netid), text(row.address), row.liveness))
                .collect(),
        }
    }

    fn of(home: &Namespace) -> io::Result<Self> {
        let reply = home.within(|| ask(UnixStream::connect(SOCKET)?))??;
        Ok(Self::parse(&reply))
    }

    fn liveness(&self) -> Vec<Liveness> {
        self.rows.iter().map(|(.., liveness)| *liveness).collect()
    }
}

/// Waits until this is known of the rows, in their order.
fn until_known(home: &Namespace, expected: &[Liveness]) -> Status {
    let what = format!("{expected:?}");
    wait::until(&what, || {
        let status = Status::of(home)?;
        Ok((status.liveness() == expected).then_some(status))
    })
    .unwrap()
}

/// Waits for the end of a sweep that begins after this.
fn until_swept(home: &Namespace) -> Status {
    let last = |status: &Status| status.last_sweep;
    let mut seen = last(&Status::of(home).unwrap());
    // The one that ends first may have begun before.
    for _ in 0..2 {
        let status = wait::until("another sweep", || {
            let status = Status::of(home)?;
            Ok((last(&status) > seen).then_some(status))
        });
        seen = last(&status.unwrap());
    }
    Status::of(home).unwrap()
}

fn address(port: u16) -> String {
    format!("0.0.0.0.{}.{}", port >> 8, port & 255)
}

fn tcp(home: &Namespace, port: u16) -> TcpListener {
    home.within(|| TcpListener::bind(("0.0.0.0", port))).unwrap().unwrap()
}

fn udp(home: &Namespace, port: u16) -> UdpSocket {
    home.within(|| UdpSocket::bind(("0.0.0.0", port))).unwrap().unwrap()
}

fn lines(daemon: &Daemon, part: &str) -> usize {
    daemon.stderr().lines().filter(|line| line.contains(part)).count()
}

/// Waits until it has said so often what it has found out: its lines come on another way than its answers.
fn said(daemon: &Daemon, part: &str, times: usize) {
    wait::until(part, || Ok((lines(daemon, part) >= times).then_some(()))).unwrap();
    assert_eq!(lines(daemon, part), times, "{part}");
}

#[test]
fn a_server_that_dies_is_replaced_on_another_port_at_once_and_its_successor_too() {
    testkit::require!(COMPILER, TIRPC_HEADER);
    // A conflicting SET asks for itself.
    let (home, _daemon) = house("judge-every-seconds = 3600\n");
    for (netid, version) in [("udp", 1), ("tcp", 2)] {
        for port in [3_001, 3_002, 3_003] {
            let sockets = (tcp(&home, port), udp(&home, port));
            programs::register(&home, USER, netid, (PROGRAM, version), &address(port)).unwrap();
            // While it lives nobody takes its place.
            assert!(programs::register(&home, USER, netid, (PROGRAM, version), &address(9)).is_err());
            drop(sockets);
        }
    }
    let status = Status::of(&home).unwrap();
    // Each registrar's end has rows looked at, too, before or after its successor comes.
    let [_, _, came_back, replaced, expired] = status.counts;
    assert_eq!((came_back, replaced, expired), (0, 4, 0), "{status:?}");
    let rows: Vec<_> =
        status.rows.iter().map(|(_, _, netid, address, _)| (&netid[..], &address[..])).collect();
    assert_eq!(rows, [("udp", &address(3_003)[..]), ("tcp", &address(3_003))]);
}

#[test]
fn a_death_and_a_return_are_seen_counted_and_logged_once() {
    testkit::require!(COMPILER, TIRPC_HEADER);
    let (home, daemon) = house(EACH_SECOND);
    let listener = tcp(&home, 3_001);
    let path = home.within(|| UnixListener::bind("/run/service")).unwrap().unwrap();
    let socket = udp(&home, 3_001);
    programs::register(&home, USER, "tcp", (PROGRAM, 1), &address(3_001)).unwrap();
    programs::register(&home, USER, "local", (PROGRAM, 1), "/run/service").unwrap();
    programs::register(&home, USER, "udp", (PROGRAM, 1), &address(3_001)).unwrap();
    use Liveness::{Alive, Dead};
    let status = until_known(&home, &[Alive; 3]);
    assert!(status.judges);
    assert_eq!(status.counts, [0; 5]);
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_ne!(status.state, State::Degraded);

    drop((listener, path));
    let status = until_known(&home, &[Dead, Dead, Alive]);
    assert_eq!(status.counts, [2, 2, 0, 0, 0]);
    assert_eq!(until_swept(&home).counts, [2, 2, 0, 0, 0]);
    said(&daemon, "nothing is bound there any more", 2);
    said(&daemon, "program 600000001 version 1 on local at /run/service: nothing", 1);

    let _listener = tcp(&home, 3_001);
    let status = until_known(&home, &[Alive, Dead, Alive]);
    assert_eq!(status.counts, [1, 2, 1, 0, 0]);
    until_swept(&home);
    said(&daemon, "is there again", 1);
    drop(socket);
    assert_eq!(until_known(&home, &[Alive, Dead, Dead]).counts, [2, 3, 1, 0, 0]);
    said(&daemon, "nothing is bound there any more", 3);
    assert_eq!(table::dump(&home).unwrap().iter().filter(|row| row.program == PROGRAM).count(), 3);
}

#[test]
fn a_service_whose_registrar_has_ended_lives_as_long_as_its_socket_is_bound() {
    testkit::require!(COMPILER, TIRPC_HEADER);
    let (home, daemon) = house(EACH_SECOND);
    // As the kernel's services: another process has registered what this one has bound, and is long gone.
    let (_listener, _socket) = (tcp(&home, 3_001), udp(&home, 3_001));
    programs::register(&home, 0, "tcp", (100_021, 4), &address(3_001)).unwrap();
    programs::register(&home, 0, "udp", (100_021, 4), &address(3_001)).unwrap();
    until_known(&home, &[Liveness::Alive; 2]);
    for _ in 0..2 {
        let status = until_swept(&home);
        assert_eq!(status.liveness(), [Liveness::Alive; 2]);
        assert_eq!(status.counts, [0; 5]);
    }
    assert_eq!(lines(&daemon, "nothing is bound"), 0);
}

/// Binds a port for TCP and UDP, registers it over the unix socket, and waits for its end.
const SERVER: &str = r#"
import signal, socket, struct, sys
port, program = 3001, 600000001
tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
tcp.bind(("", port)); tcp.listen(); udp.bind(("", port))
mapper = socket.socket(socket.AF_UNIX)
mapper.connect("/run/rpcbind.sock")
def text(value):
    value = value.encode()
    return struct.pack(">I", len(value)) + value + bytes(-len(value) % 4)
for netid in ("tcp", "udp"):
    row = struct.pack(">2I", program, 1) + text(netid) + text("0.0.0.0.%d.%d" % divmod(port, 256)) + text("")
    call = struct.pack(">10I", 1, 0, 2, 100000, 4, 1, 0, 0, 0, 0) + row
    mapper.sendall(struct.pack(">I", 1 << 31 | len(call)) + call)
    assert mapper.recv(64)[-1] == 1
mapper.close()
print("registered", flush=True)
signal.pause()
"#;

#[test]
fn a_service_that_ends_with_its_registrar_is_found_without_waiting_for_the_next_sweep() {
    testkit::require!(COMPILER, TIRPC_HEADER, PYTHON);
    let (near, _far) = UnixStream::pair().unwrap();
    if let Err(error) = getsockopt(&near, sockopt::PeerPidfd) {
        testkit::skip!("SO_PEERPIDFD, from Linux 6.5 on: {error}");
    }
    let (home, daemon) = house("judge-every-seconds = 3600\n");
    wait::until("the sweep at the start", || Ok(Status::of(&home)?.last_sweep)).unwrap();
    let server = home.spawn(Command::new(PYTHON).args(["-c", SERVER])).unwrap();
    wait::until("registered", || Ok((server.stdout() == "registered\n").then_some(()))).unwrap();
    assert_eq!(Status::of(&home).unwrap().liveness(), [Liveness::NotJudged; 2]);
    let killed = Instant::now();
    server.kill().unwrap();
    let status = until_known(&home, &[Liveness::Dead; 2]);
    println!("found dead {:?} after its end, with an hour between sweeps", killed.elapsed());
    assert_eq!(status.counts, [2, 2, 0, 0, 0]);
    said(&daemon, "nothing is bound there any more", 2);

    // As the kernel's services: their registrar ends at once, and that is all that has ended.
    let (_listener, _socket) = (tcp(&home, 3_002), udp(&home, 3_002));
    programs::register(&home, 0, "tcp", (100_021, 4), &address(3_002)).unwrap();
    programs::register(&home, 0, "udp", (100_021, 4), &address(3_002)).unwrap();
    let status = until_known(&home, &[[Liveness::Dead; 2], [Liveness::Alive; 2]].concat());
    assert_eq!(status.counts, [2, 2, 0, 0, 0]);
    said(&daemon, "nothing is bound there any more", 2);
}

#[test]
fn the_dead_expire_when_that_is_configured_and_a_reload_is_enough() {
    testkit::require!(COMPILER, TIRPC_HEADER);
    let (home, daemon) = house(EACH_SECOND);
    let _listener = tcp(&home, 3_001);
    programs::register(&home, USER, "tcp", (PROGRAM, 1), &address(3_001)).unwrap();
    programs::register(&home, USER, "udp", (PROGRAM, 1), &address(3_001)).unwrap();
    until_known(&home, &[Liveness::Alive, Liveness::Dead]);
    until_swept(&home);
    assert_eq!(Status::of(&home).unwrap().rows.len(), 2, "it stays");

    home.write("/etc/rpcbind.toml", "judge-every-seconds = 1\nexpire-dead-seconds = 1\n").unwrap();
    daemon.signal(Signal::HUP).unwrap();
    let status = until_known(&home, &[Liveness::Alive]);
    assert_eq!(status.counts, [0, 1, 0, 0, 1]);
    said(&daemon, "program 600000001 version 1 on udp at 0.0.0.0.11.185: removed, dead for too long", 1);
    let rows = table::dump(&home).unwrap();
    assert_eq!(rows.iter().filter(|row| row.program == PROGRAM).count(), 1);
}

/// Runs the registrar in one network namespace of its own, once for each of `steps` until one fails, as root or as a
/// user who makes a namespace where he is root.
fn from_elsewhere(home: &Namespace, uid: u32, steps: &[&str]) -> bool {
    let peer = programs::tirpc_peer(home).unwrap();
    let calls: Vec<String> = steps.iter().map(|step| format!("{} {step}", peer.display())).collect();
    let user = [format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()];
    let mut command = Command::new("setpriv");
    command.args(user).args(["unshare", if uid == 0 { "-n" } else { "-Urn" }]);
    home.run(command.args(["sh", "-c", &calls.join(" && ")])).unwrap().status.success()
}

#[test]
fn another_namespace_adds_and_removes_its_own_rows_and_leaves_the_hosts_alone() {
    testkit::require!(COMPILER, TIRPC_HEADER, "/usr/bin/unshare", "/usr/bin/setpriv");
    let (home, _daemon) = house(EACH_SECOND);
    let _listener = tcp(&home, 2_049);
    programs::register(&home, 0, "tcp", (100_003, 3), &address(2_049)).unwrap();
    let rows = || {
        let rows = table::dump(&home).unwrap().into_iter().filter(|row| row.program != 100_000);
        rows.map(|row| row.to_string()).collect::<Vec<_>>()
    };
    let hosts = format!("100003 3 tcp {} superuser", address(2_049));
    assert_eq!(rows(), std::slice::from_ref(&hosts));

    // Root of another namespace: what the host has stays, whether it is to be replaced or removed.
    assert!(!from_elsewhere(&home, 0, &[&format!("set tcp 100003 3 {}", address(2_050))]));
    assert!(from_elsewhere(&home, 0, &[&format!("set tcp 100003 4 {}", address(2_049))]));
    assert!(from_elsewhere(&home, 0, &["unset tcp 100003 3"]), "none of his match, and that is TRUE");
    assert_eq!(rows(), [hosts.clone(), format!("100003 4 tcp {} superuser", address(2_049))]);
    assert!(
        from_elsewhere(&home, 0, &[&format!("set tcp {PROGRAM} 1 192.0.2.1.8.8")]),
        "root may name an address"
    );

    // Its own come and go.
    let (set, unset) = (format!("set udp 600000003 1 {}", address(3_009)), "unset udp 600000003 1");
    assert!(from_elsewhere(&home, 0, &[&set, "set udp 600000004 1 0.0.0.0.8.8", unset]));
    assert_eq!(rows()[3..], ["600000004 1 udp 0.0.0.0.8.8 superuser"]);
    assert!(from_elsewhere(&home, USER, &["set udp 600000005 1 0.0.0.0.8.8", "unset udp 600000005 1"]));

    // A user who made himself root of a namespace is that user.
    for refused in [
        "set tcp 600000002 1 192.0.2.1.8.8",
        "set tcp 600000002 1 127.0.0.1.8.8",
        "set tcp 100005 3 0.0.0.0.8.8",
    ] {
        assert!(!from_elsewhere(&home, USER, &[refused]), "{refused}");
    }
    assert!(from_elsewhere(&home, USER, &[&format!("set tcp 600000002 1 {}", address(3_001))]));
    assert!(!from_elsewhere(&home, USER, &[&format!("set tcp 100003 4 {}", address(3_001))]));
    assert_eq!(rows().len(), 5);
    assert_eq!(rows()[4], format!("600000002 1 tcp {} 1000", address(3_001)));

    // Nothing is bound here at what they have registered: they are not judged.
    let unknown = [Liveness::NotJudged; 4];
    until_known(&home, &[&[Liveness::Alive][..], &unknown].concat());
    let status = until_swept(&home);
    assert_eq!(status.counts, [0; 5]);
    assert_eq!(status.liveness()[1..], unknown);

    // From yet another namespace he does not find his row; home's root rules over them all.
    assert!(from_elsewhere(&home, USER, &["unset tcp 600000002 1"]));
    assert_eq!(rows().len(), 5);
    let peer = programs::tirpc_peer(&home).unwrap();
    for (netid, program, version) in [
        ("tcp", "600000002", "1"),
        ("tcp", "100003", "4"),
        ("tcp", "600000001", "1"),
        ("udp", "600000004", "1"),
    ] {
        programs::run_as(&home, 0, &peer, &["unset", netid, program, version]).unwrap();
    }
    assert_eq!(rows(), [hosts]);
}

#[test]
fn the_status_program_is_there_on_unix_sockets_and_nowhere_else() {
    testkit::require!();
    let (home, _daemon) = house("");
    let name = SocketAddr::from_abstract_name(SOCKET).unwrap();
    let reply = home.within(|| ask(UnixStream::connect_addr(&name)?)).unwrap().unwrap();
    assert_eq!(Status::parse(&reply).rows, []);
    for address in ["127.0.0.1:111", "[::1]:111"] {
        let reply = home
            .within(|| {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                ask(stream)
            })
            .unwrap()
            .unwrap();
        assert_eq!(Reply::decode(&reply).unwrap().answer, Answer::ProgramUnavailable);
    }
}

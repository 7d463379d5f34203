use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::net::{SocketAddrUnix, SocketFlags, socket_with};

use super::*;

fn passed(name: &str, descriptor: impl Into<OwnedFd>) -> Passed {
    Passed { descriptor: descriptor.into(), name: Some(name.into()) }
}

#[test]
fn what_is_stored_is_told_from_what_a_unit_passes_and_only_the_kernels_facts_about_it_count() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Udp(udp.local_addr().unwrap());
    let dual_stack = TcpListener::bind("[::]:0").unwrap();
    let (mine, _other) = UnixStream::pair().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
    let null = || File::open("/dev/null").unwrap();
    let mut kept = Kept::sort(vec![
        passed("rpcbind.socket", TcpListener::bind("127.0.0.1:0").unwrap()),
        Passed { descriptor: TcpListener::bind("127.0.0.1:0").unwrap().into(), name: None },
        passed("kept-listener-x", udp),
        passed("kept-listener-y", dual_stack),
        passed("kept-connection-1", mine),
        passed("kept-connection-2", listener),
        passed("kept-connection-3", null()),
        passed("kept-memory", null()),
        passed("kept-table", null()),
    ]);
    assert_eq!((kept.inherited.len(), kept.listeners.len()), (2, 1));
    // The pair's peer is this process.
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(kept.connections.len(), usize::from(is_root));
    let useless = kept.useless.join(" ");
    assert!(
        useless.contains("kept-listener-y")
            && useless.ends_with("2 kept-connection-3 kept-memory kept-table")
    );
    assert_eq!(kept.faults, ["a table that the service manager holds is not read: not a memory file"]);
    let other = Endpoint::Tcp("127.0.0.1:1".parse().unwrap());
    assert!(kept.take(&other).is_none());
    let count = kept.useless.len();
    assert_eq!(kept.clear(&[&endpoint], &Notifier::default()).unwrap(), count);
    assert_eq!(kept.clear(&[&endpoint], &Notifier::default()).unwrap(), 0);
    assert!(kept.take(&endpoint).is_some_and(|socket| socket.inherited));
    assert!(kept.take(&endpoint).is_none());
}

#[test]
fn two_tables_come_back_and_no_more() {
    let memory = Memory::new(Vec::new()).unwrap();
    let [one, other] = memory.files().map(|file| file.try_clone().unwrap());
    let [third, _] = Memory::new(Vec::new()).unwrap().files().map(|file| file.try_clone().unwrap());
    let stored = [one, other, third].map(|file| passed("kept-table", file));
    let kept = Kept::sort(stored.into());
    assert_eq!((kept.tables.len(), &kept.useless[..]), (2, &["kept-table".to_owned()][..]));
}

#[test]
fn a_table_that_comes_back_twice_counts_once() {
    let memory = Memory::new(Vec::new()).unwrap();
    let [one, other] = memory.files();
    let stored = [one, one, other].map(|file| passed("kept-table", file.try_clone().unwrap()));
    let kept = Kept::sort(stored.into());
    let numbers: Vec<u64> = kept.tables.iter().map(|file| file.metadata().unwrap().ino()).collect();
    assert_eq!(numbers, [one, other].map(|file| file.metadata().unwrap().ino()));
    assert_eq!(kept.useless, ["kept-table"]);
}

/// Clears what was stored but for this address, and answers what the manager is told.
fn told(kept: &mut Kept, wanted: &Endpoint) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    let notifier = Notifier::open(Some(path.as_os_str())).unwrap();
    let listening = std::thread::spawn(move || {
        let message = || {
            let mut bytes = [0; 512];
            // What comes with it is closed, which answers a barrier.
            let len = manager.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..len]).into_owned()
        };
        std::iter::repeat_with(message).take_while(|message| message != "STOPPING=1").collect()
    });
    kept.clear(&[wanted], &notifier).unwrap();
    notifier.stopping().unwrap();
    listening.join().unwrap()
}

#[test]
fn a_stored_path_socket_is_taken_out_of_the_store_when_its_file_is_gone_before_it_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let stored = || passed("kept-listener-path", UnixListener::bind(&path).unwrap());
    let endpoint = Endpoint::Path(path.clone());
    let mut kept = Kept::sort(vec![stored()]);
    assert_eq!(told(&mut kept, &endpoint), [""; 0]);
    assert!(kept.take(&endpoint).is_some());
    std::fs::remove_file(&path).unwrap();
    let mut kept = Kept::sort(vec![stored()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(told(&mut kept, &endpoint), ["FDSTOREREMOVE=1\nFDNAME=kept-listener-path", "BARRIER=1"]);
    assert!(kept.take(&endpoint).is_none());
}

#[test]
fn of_two_stored_sockets_of_one_path_neither_is_believed_to_be_the_one_that_is_reached() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let older = passed("kept-listener-path", UnixListener::bind(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    let newer = UnixListener::bind(&path).unwrap();
    let copy = passed("kept-listener-path", newer.try_clone().unwrap());
    let endpoint = Endpoint::Path(path);
    let mut kept = Kept::sort(vec![older, copy]);
    assert_eq!(told(&mut kept, &endpoint), ["FDSTOREREMOVE=1\nFDNAME=kept-listener-path", "BARRIER=1"]);
    assert!(kept.take(&endpoint).is_none());
}

#[test]
fn a_stored_path_socket_whose_queue_is_full_is_taken_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let address = SocketAddrUnix::new(&path).unwrap();
    let socket =
        || socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    let listener = socket();
    rustix::net::bind(&listener, &address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut waiting = vec![socket()];
    while waiting.last().is_some_and(|last| rustix::net::connect(last, &address).is_ok()) {
        waiting.push(socket());
    }
    let mut kept = Kept::sort(vec![passed("kept-listener-x", listener)]);
    let endpoint = Endpoint::Path(path);
    assert_eq!(kept.clear(&[&endpoint], &Notifier::default()).unwrap(), 0);
    assert!(kept.take(&endpoint).is_some());
}

#[test]
fn names_hold_nothing_that_separates_names() {
    let names = [
        Endpoint::Udp("0.0.0.0:111".parse().unwrap()),
        Endpoint::Tcp("[::]:111".parse().unwrap()),
        Endpoint::Path("/run/rpcbind.sock".into()),
    ]
    .map(|endpoint| listener_name(&endpoint));
    let expected = [
        "kept-listener-udp_0.0.0.0_111",
        "kept-listener-tcp_[__]_111",
        "kept-listener-unix_/run/rpcbind.sock",
    ];
    assert_eq!(names, expected);
}

#[test]
fn without_an_offer_nothing_is_stored() {
    let nobody = Arc::new(Notifier::default());
    assert!(Store::offered(Some("9"), &nobody).is_none(), "there is no manager");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let _manager = UnixDatagram::bind(&path).unwrap();
    let notifier = Arc::new(Notifier::open(Some(path.as_os_str())).unwrap());
    for none in [None, Some("0"), Some(""), Some("many")] {
        assert!(Store::offered(none, &notifier).is_none(), "{none:?}");
    }
    assert_eq!(Store::offered(Some("9"), &notifier).map(|store| store.max), Some(9));
}

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

fn udp(address: &str) -> Endpoint {
    Endpoint::Udp(address.parse().unwrap())
}

fn tcp(address: &str) -> Endpoint {
    Endpoint::Tcp(address.parse().unwrap())
}

#[test]
fn the_endpoint_of_an_open_socket_has_the_real_port() {
    for endpoint in [udp("127.0.0.1:0"), udp("[::1]:0"), tcp("127.0.0.1:0"), tcp("[::1]:0")] {
        let socket = open(endpoint.clone()).unwrap();
        match (endpoint, &socket.endpoint) {
            (Endpoint::Udp(wanted), Endpoint::Udp(bound)) | (Endpoint::Tcp(wanted), Endpoint::Tcp(bound)) => {
                assert_eq!(wanted.ip(), bound.ip());
                assert_ne!(bound.port(), 0);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn ipv4_and_ipv6_have_a_port_each() {
    let four = open(udp("0.0.0.0:0")).unwrap();
    let Endpoint::Udp(address) = four.endpoint else { panic!() };
    open(udp(&format!("[::]:{}", address.port()))).unwrap();
}

#[test]
fn a_datagram_port_is_never_shared_even_with_somebody_who_would() {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    sockopt::set_socket_reuseport(&socket, true).unwrap();
    rustix::net::bind(&socket, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
    let address: SocketAddr = rustix::net::getsockname(&socket).unwrap().try_into().unwrap();
    let error = open(Endpoint::Udp(address)).unwrap_err();
    let us = std::process::id();
    let OpenError::Taken { holder, .. } = &error else { panic!("{error:?}") };
    assert_eq!(holder.pid, Some(us));
    let text = error.to_string();
    assert!(text.starts_with(&format!("udp {address} is taken by ")), "{text}");
    assert!(text.ends_with(&format!("(pid {us}): stop it: kill {us}")), "{text}");
    let ours = open(udp("127.0.0.1:0")).unwrap();
    assert!(!sockopt::socket_reuseaddr(&ours.descriptor).unwrap());
    assert!(!sockopt::socket_reuseport(&ours.descriptor).unwrap());
}

#[test]
fn a_tcp_port_that_somebody_listens_on_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = open(Endpoint::Tcp(listener.local_addr().unwrap())).unwrap_err();
    assert!(matches!(error, OpenError::Taken { .. }), "{error}");
}

#[test]
fn an_address_that_the_host_does_not_have_is_absent() {
    let error = open(udp("192.0.2.1:0")).unwrap_err();
    assert!(matches!(error, OpenError::Absent { .. }), "{error}");
}

#[test]
fn a_path_socket_is_for_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpcbind.sock");
    let socket = open(Endpoint::Path(path.clone())).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    UnixStream::connect(&path).unwrap();
    remove(&socket).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_path_socket_that_nobody_listens_at_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpcbind.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    // A child that another test is just starting may hold the listener a moment longer.
    let socket =
        testkit::wait::until("nobody listens", || Ok(open(Endpoint::Path(path.clone())).ok())).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(socket);
}

#[test]
fn a_unix_name_that_somebody_listens_at_is_left_alone_and_its_holder_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpcbind.sock");
    let abstract_name = format!("{}", path.display()).into_bytes();
    for endpoint in [Endpoint::Path(path.clone()), Endpoint::Abstract(abstract_name)] {
        let first = open(endpoint.clone()).unwrap();
        let error = open(endpoint.clone()).unwrap_err();
        let OpenError::Taken { holder, .. } = &error else { panic!("{error:?}") };
        assert_eq!(holder.pid, Some(std::process::id()));
        let address = unix_address(&endpoint).unwrap();
        assert!(unix_holder(&address).is_ok(), "it is still there");
        drop(first);
        testkit::wait::until("nobody listens", || {
            Ok((unix_holder(&address).err() == Some(Errno::CONNREFUSED)).then_some(()))
        })
        .unwrap();
    }
}

#[test]
fn a_file_in_the_place_of_the_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpcbind.sock");
    fs::write(&path, "precious").unwrap();
    let error = open(Endpoint::Path(path.clone())).unwrap_err();
    assert!(matches!(error, OpenError::NotASocket { .. }), "{error}");
    let mut text = String::new();
    fs::File::open(&path).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "precious");
}

#[test]
fn a_datagram_socket_says_where_datagrams_were_sent_to() {
    let socket = open(udp("0.0.0.0:0")).unwrap();
    let Endpoint::Udp(bound) = socket.endpoint else { panic!() };
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"x", ("127.0.0.7", bound.port())).unwrap();
    let mut batch = os::Batch::new();
    batch.receive(socket.as_fd(), bound).unwrap();
    assert_eq!(batch.slot(0).unwrap().caller().local.ip().to_string(), "127.0.0.7");
}

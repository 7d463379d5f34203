use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use oncrpc::bind;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Call, Procedure, Xid};

use super::*;

fn null() -> Vec<u8> {
    let mut message = [0; 40];
    Call::new(Xid(1), bind::PROGRAM, bind::V2, Procedure(0)).encode(&mut Writer::new(&mut message)).unwrap();
    message.to_vec()
}

fn asked_over(mut stream: impl Read + Write) {
    stream.write_all(&[&[0x80, 0, 0, 40][..], &null()].concat()).unwrap();
    let mut reply = [0; 28];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply[4..8], [0, 0, 0, 1]);
}

#[test]
fn a_server_in_this_program_answers_on_every_transport_until_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let builder = ["127.0.0.1:0", "[::1]:0"].iter().fold(Builder::new(), |builder, address| {
        let address = address.parse().unwrap();
        builder.udp(address).tcp(address)
    });
    let mut server = builder.path(&path).abstract_name(path.to_str().unwrap()).open().unwrap();
    let endpoints: Vec<_> = server.endpoints().cloned().collect();
    assert_eq!(endpoints.len(), 6);
    assert_eq!(server.service().registry().rows().count(), 12, "the abstract socket is not listed");
    let stopper = server.stopper().unwrap();
    let running = std::thread::spawn(move || server.run());
    for endpoint in endpoints {
        match endpoint {
            Endpoint::Udp(address) => {
                let client =
                    UdpSocket::bind((if address.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
                client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                client.send_to(&null(), address).unwrap();
                assert_eq!(client.recv_from(&mut [0; 100]).unwrap(), (24, address));
            }
            Endpoint::Tcp(address) => asked_over(TcpStream::connect(address).unwrap()),
            Endpoint::Path(path) => asked_over(UnixStream::connect(path).unwrap()),
            Endpoint::Abstract(name) => {
                use std::os::linux::net::SocketAddrExt;
                let name = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
                asked_over(UnixStream::connect_addr(&name).unwrap());
            }
        }
    }
    stopper.stop().unwrap();
    running.join().unwrap().unwrap();
    assert!(!path.exists());
}

#[test]
fn an_address_that_is_taken_is_an_error_with_its_holder() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = Builder::new().udp(taken.local_addr().unwrap()).open().unwrap_err();
    assert!(matches!(error, ServerError::Open(OpenError::Taken { .. })), "{error}");
}

#[test]
fn own_rows_are_in_the_c_daemons_order_and_show_the_wildcard_for_several_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let mut server = Builder::new()
        .path(&path)
        .udp("127.0.0.1:0".parse().unwrap())
        .udp("127.0.0.2:0".parse().unwrap())
        .tcp("127.0.0.3:0".parse().unwrap())
        .udp("[::1]:0".parse().unwrap())
        .open()
        .unwrap();
    let service = server.service();
    let rows: Vec<_> = service
        .registry()
        .rows()
        .map(|row| {
            let address = row.address.rsplitn(3, '.').last().unwrap_or_default().to_owned();
            (service.netids().name(row.netid).to_owned(), row.version.0, address)
        })
        .collect();
    let wanted: Vec<(String, u32, String)> = [
        ("udp6", 4, "::1"),
        ("udp6", 3, "::1"),
        ("tcp", 4, "127.0.0.3"),
        ("tcp", 3, "127.0.0.3"),
        ("tcp", 2, "127.0.0.3"),
        ("udp", 4, "0.0.0.0"),
        ("udp", 3, "0.0.0.0"),
        ("udp", 2, "0.0.0.0"),
    ]
    .map(|(netid, version, address)| (netid.into(), version, address.into()))
    .to_vec();
    assert_eq!(rows[..8], wanted[..]);
    assert!(rows[8..].iter().all(|(netid, ..)| netid == "local"));
}

//! What happens when an answer does not come in time, which only the inside of [`SockDiag`] can bring about.

use std::net::UdpSocket;

use testkit::Namespace;

use super::*;

fn inside(test: impl FnOnce(&mut SockDiag, SocketAddr) + Send) {
    testkit::require!();
    let inner = || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let mut diag = SockDiag::open(peer::namespace(socket.as_fd()), &[]).expect("netlink");
        test(&mut diag, socket.local_addr().expect("bound"));
    };
    Namespace::new().expect("a private namespace").within(inner).expect("entered");
}

fn ports(fact: OwnerFact) -> Vec<u16> {
    match fact {
        OwnerFact::Sockets(sockets) => sockets.iter().map(|socket| socket.port).collect(),
        OwnerFact::Unknown => panic!("the kernel did not say"),
    }
}

#[test]
fn an_answer_that_is_not_all_there_in_time_is_unknown_and_does_not_disturb_the_next() {
    inside(|diag, at| {
        // So many sockets that the kernel tells them in several parts.
        let crowd: Vec<_> = (0..400)
            .map(|_| {
                let socket =
                    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).expect("socket");
                socket.set_reuse_address(true).expect("SO_REUSEADDR");
                socket
            })
            .collect();
        let mut crowded = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for socket in &crowd {
            socket.bind(&crowded.into()).expect("bound");
            crowded = socket.local_addr().expect("bound").as_socket().expect("inet");
        }
        for _ in 0..3 {
            (diag.patience, diag.parts) = (Duration::ZERO, 1);
            assert_eq!(diag.owner(Transport::Udp, at, crowded), OwnerFact::Unknown);
            assert_eq!(
                diag.bound("udp", &format!("127.0.0.1.{}.{}", at.port() >> 8, at.port() & 255)),
                BoundFact::Unknown
            );
            (diag.patience, diag.parts) = (PATIENCE_AT_START, PARTS);
            assert_eq!(ports(diag.owner(Transport::Udp, at, at)), [at.port()]);
            assert_eq!(ports(diag.owner(Transport::Udp, at, crowded)).len(), 400);
        }
    });
}

#[test]
fn a_late_answer_to_an_earlier_question_is_not_taken_for_the_answer() {
    inside(|diag, at| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let to = listener.local_addr().expect("bound");
        let client = std::net::TcpStream::connect(to).expect("connected");
        let remote = client.local_addr().expect("connected");
        let mut earlier = on_port(AF_INET, IPPROTO_TCP, to.port());
        (earlier.socket_id.source_address, earlier.socket_id.destination_address) = (to.ip(), remote.ip());
        earlier.socket_id.destination_port = remote.port();
        // Asked, and never read: the server's own end.
        diag.socket.request(SockDiagMessage::InetRequest(earlier), 0).expect("asked");
        assert_eq!(ports(diag.owner(Transport::Tcp, to, remote)), [remote.port()]);

        // A dump that was asked for, and never read.
        diag.socket
            .request(SockDiagMessage::InetRequest(on_port(AF_INET, IPPROTO_UDP, 0)), NLM_F_DUMP)
            .expect("asked");
        diag.unfinished = true;
        assert_eq!(ports(diag.owner(Transport::Udp, at, at)), [at.port()]);
    });
}

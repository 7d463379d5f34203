//! The listing beside exact questions, in a network of its own: what one sees the other does not deny.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};

use oncrpc::bind::Netid;
use oncrpc::{Program, Version};
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::{Service, Settings};
use testkit::Namespace as Sandbox;

use super::*;
use crate::netlink::SockDiag;

fn home() -> Option<Namespace> {
    peer::namespace(UdpSocket::bind("127.0.0.1:0").expect("bound").as_fd())
}

/// A service with these rows, registered from home.
fn service(home: Namespace, rows: &[(Netid, &str)]) -> Service {
    let mut service = Service::new(Settings { home, ..Settings::default() });
    for (number, (netid, address)) in rows.iter().enumerate() {
        let (program, version) = (Program(200_001), Version(u32::try_from(number).expect("few")));
        let (address, owner) = ((*address).into(), Owner::ROOT);
        let row = Row { program, version, netid: *netid, address, owner, namespace: home };
        assert_eq!(service.restore(row), Ok(()), "{netid:?} {address}", address = rows[number].1);
    }
    service
}

/// Reads it all; how many parts that took.
fn read(listing: &mut Listing, service: &Service) -> usize {
    listing.clear();
    service.to_judge(&mut service.sweep(), usize::MAX).for_each(|row| listing.want(&row));
    let mut parts = 1;
    while listing.read() != Progress::Done {
        parts += 1;
        assert!(parts < 10_000, "it does not end");
    }
    parts
}

fn seen(listing: &Listing, service: &Service) -> Vec<BoundFact> {
    service.to_judge(&mut service.sweep(), usize::MAX).map(|row| listing.seen(&row)).collect()
}

#[test]
fn what_is_listed_is_what_exact_questions_find() {
    testkit::require!();
    let inside = || {
        let home = home().expect("namespaces have cookies");
        let dual = TcpListener::bind("[::]:3003").expect("bound");
        let v6_only =
            socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).expect("socket");
        v6_only.set_only_v6(true).expect("IPV6_V6ONLY");
        let any: SocketAddr = "[::]:3004".parse().expect("an address");
        v6_only.bind(&any.into()).expect("bound");
        let open = (
            TcpListener::bind("127.0.0.1:3001").expect("bound"),
            UdpSocket::bind("0.0.0.0:3002").expect("bound"),
            dual,
            UnixListener::bind("/run/service").expect("bound"),
            UnixListener::bind_addr(&UnixAddress::from_abstract_name("service").expect("a name"))
                .expect("bound"),
        );
        let connected = UnixStream::connect("/run/service").expect("connected");
        let port = |port: u16| format!("{}.{}", port >> 8, port & 255);
        let at = |host: &str, number| format!("{host}.{}", port(number));
        use BoundFact::{Bound, Free};
        let rows = [
            (Netid::TCP, at("127.0.0.1", 3001), Bound),
            (Netid::TCP, at("0.0.0.0", 3001), Bound),
            (Netid::TCP, at("127.0.0.2", 3001), Free),
            (Netid::UDP, at("0.0.0.0", 3001), Free),
            (Netid::UDP, at("127.0.0.9", 3002), Bound),
            (Netid::UDP6, at("::", 3002), Free),
            (Netid::TCP, at("0.0.0.0", 3003), Bound),
            (Netid::TCP6, at("::1", 3003), Bound),
            (Netid::UDP, at("0.0.0.0", 3004), Free),
            (Netid::UDP6, at("::", 3004), Bound),
            (Netid::LOCAL, "/run/service".to_owned(), Bound),
            (Netid::LOCAL, "@service".to_owned(), Bound),
            (Netid::LOCAL, "@servic".to_owned(), Free),
            (Netid::LOCAL, "/run/none".to_owned(), Free),
        ];
        let registered: Vec<_> = rows.iter().map(|(netid, address, _)| (*netid, address.as_str())).collect();
        let service = service(home, &registered);
        let mut listing = Listing::open(Some(home)).expect("netlink").expect("at home");
        read(&mut listing, &service);
        let expected: Vec<_> = rows.iter().map(|(.., fact)| *fact).collect();
        assert_eq!(seen(&listing, &service), expected);
        let mut diag = SockDiag::open(Some(home), &[]).expect("netlink");
        let exact =
            registered.iter().map(|(netid, address)| diag.bound(service.netids().name(*netid), address));
        assert_eq!(exact.collect::<Vec<_>>(), expected);

        // All gone: the next reading knows nothing of the last.
        drop((open, connected, v6_only));
        // A child that another test is just starting may hold the sockets a moment longer.
        testkit::wait::until("nothing listed", || {
            read(&mut listing, &service);
            Ok(seen(&listing, &service).iter().all(|fact| *fact == Free).then_some(()))
        })
        .expect("free");
    };
    Sandbox::new().expect("a private namespace").within(inside).expect("entered");
}

#[test]
fn many_sockets_are_read_in_many_parts_and_only_those_of_rows_are_kept() {
    testkit::require!();
    let inside = || {
        let home = home().expect("namespaces have cookies");
        let crowd: Vec<_> = (0..900).map(|_| UdpSocket::bind("127.0.0.1:0").expect("bound")).collect();
        let last = crowd[899].local_addr().expect("bound").port();
        let address = format!("0.0.0.0.{}.{}", last >> 8, last & 255);
        let service = service(home, &[(Netid::UDP, &address)]);
        let mut listing = Listing::open(Some(home)).expect("netlink").expect("at home");
        let parts = read(&mut listing, &service);
        assert!(parts > 5, "900 sockets do not fit into {parts} parts");
        assert_eq!(seen(&listing, &service), [BoundFact::Bound]);
        assert_eq!(listing.sockets.len(), 1);
        // Given up in the middle, it begins again from the start.
        listing.clear();
        service.to_judge(&mut service.sweep(), 100).for_each(|row| listing.want(&row));
        assert_eq!(listing.read(), Progress::More);
        drop(crowd);
        // A child that another test is just starting may hold the sockets a moment longer.
        testkit::wait::until(&address, || {
            read(&mut listing, &service);
            Ok((seen(&listing, &service) == [BoundFact::Free]).then_some(()))
        })
        .expect("free");
    };
    Sandbox::new().expect("a private namespace").within(inside).expect("entered");
}

#[test]
fn elsewhere_there_is_no_listing() {
    testkit::require!();
    let here = home();
    let inside = || {
        assert!(Listing::open(here).expect("netlink").is_none());
        assert!(Listing::open(None).expect("netlink").is_none());
    };
    Sandbox::new().expect("a private namespace").within(inside).expect("entered");
}

#[test]
fn the_kernel_is_asked_for_nothing_that_no_row_is_in_need_of() {
    testkit::require!();
    let inside = || {
        let home = home().expect("namespaces have cookies");
        let mut listing = Listing::open(Some(home)).expect("netlink").expect("at home");
        assert_eq!(read(&mut listing, &service(home, &[])), 1, "with no row there is nothing to read");
        let all_of_unix = read(&mut listing, &service(home, &[(Netid::LOCAL, "/run/service")]));
        let udp_too = [(Netid::LOCAL, "/run/service"), (Netid::UDP, "127.0.0.1.11.186")];
        assert!(1 < all_of_unix && all_of_unix < read(&mut listing, &service(home, &udp_too)));
    };
    Sandbox::new().expect("a private namespace").within(inside).expect("entered");
}

//! The small networks of these tests, the calls that are made in them, and what became of them.

use oncrpc::bind::{self, Mapping, Protocol, RemoteCall, Rpcb, V2, V3, V4};
use oncrpc::xdr::{Encode, Reader, Writer};
use oncrpc::{Answer, Call, Procedure, Program, Reply, Version, Xid};
use rpcbind_core::Settings;
use rpcbind_core::caller::Transport;
use rpcbind_core::outcome::Reason;
use rpcbind_core::registry::Row;
use rpcbind_core::settings::OwnAddress;
use std::net::{IpAddr, SocketAddr};
use testkit::world::{Event, Faults, HostId, LOOPBACK, LinkId, Nic, SocketId, Stream, What, World};

pub(crate) const PROGRAM: Program = Program(200_001);
/// The first interface after loopback.
pub(crate) const ETH0: u32 = LOOPBACK + 1;
pub(crate) const USER: u32 = 1_000;

pub(crate) fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

pub(crate) fn nic(link: LinkId, addresses: &[&str]) -> Nic {
    let addresses = addresses.iter().map(|text| (ip(text), if text.contains(':') { 64 } else { 24 }));
    Nic { link, addresses: addresses.collect() }
}

pub(crate) fn settings() -> Settings {
    let own = |transport, address: &str| OwnAddress { transport, address: address.into() };
    Settings {
        own: vec![own(Transport::Tcp, "0.0.0.0.0.111"), own(Transport::Udp, "0.0.0.0.0.111")],
        ..Settings::default()
    }
}

pub(crate) fn encoded(value: &impl Encode) -> Vec<u8> {
    let mut buffer = vec![0; 9_000];
    let mut writer = Writer::new(&mut buffer);
    value.encode(&mut writer).unwrap();
    writer.written().to_vec()
}

pub(crate) fn call(xid: u32, version: Version, procedure: Procedure, arguments: &[u8]) -> Vec<u8> {
    encoded(&Call { arguments, ..Call::new(Xid(xid), bind::PROGRAM, version, procedure) })
}

pub(crate) fn rpcb(xid: u32, procedure: Procedure, version: u32, netid: &str, address: &str) -> Vec<u8> {
    let (netid, address, version) = (netid.as_bytes(), address.as_bytes(), Version(version));
    call(xid, V4, procedure, &encoded(&Rpcb { program: PROGRAM, version, netid, address, owner: b"" }))
}

pub(crate) fn getport(xid: u32, version: u32) -> Vec<u8> {
    let (version, protocol) = (Version(version), Protocol::UDP);
    call(xid, V2, bind::GETPORT, &encoded(&Mapping { program: PROGRAM, version, protocol, port: 0 }))
}

/// One call of every kind.
pub(crate) fn calls() -> Vec<Vec<u8>> {
    let remote =
        RemoteCall { program: PROGRAM, version: Version(1), procedure: Procedure(0), arguments: &[] };
    let mapping = Mapping { program: PROGRAM, version: Version(1), protocol: Protocol::UDP, port: 5_000 };
    let row =
        Rpcb { program: PROGRAM, version: Version(1), netid: b"udp", address: b"0.0.0.0.8.8", owner: b"" };
    let arguments = [Vec::new(), encoded(&remote), encoded(&mapping), encoded(&row)];
    let versions = [V2, V3, V4].into_iter().flat_map(|version| (0..=13).map(move |number| (version, number)));
    let all = versions.flat_map(|(version, number)| {
        arguments.iter().map(move |arguments| call(number, version, Procedure(number), arguments))
    });
    all.collect()
}

/// TRUE or FALSE.
pub(crate) fn boolean(reply: &[u8]) -> bool {
    match Reply::decode(reply).unwrap().answer {
        Answer::Success([0, 0, 0, value]) => *value == 1,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn text(reply: &[u8]) -> String {
    match Reply::decode(reply).unwrap().answer {
        Answer::Success(results) => {
            String::from_utf8(Reader::new(results).opaque(128).unwrap().to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn rows(world: &World, host: HostId) -> Vec<Row> {
    let rows = world.service(host).unwrap().registry().rows();
    rows.filter(|row| row.program == PROGRAM).cloned().collect()
}

/// The datagrams that port mappers have sent.
pub(crate) fn replies(world: &World) -> Vec<&Event> {
    world.history().iter().filter(|event| matches!(event.what, What::Replied { .. })).collect()
}

/// The reasons for which a host's port mapper ended what it was sent.
pub(crate) fn reasons(world: &World, on: HostId) -> Vec<Reason> {
    let of = |event: &Event| match &event.what {
        What::Handled { why, .. } if event.host == on => Some(why.reason),
        _ => None,
    };
    world.history().iter().filter_map(of).collect()
}

pub(crate) fn unix(world: &World, host: HostId, uid: u32) -> Stream {
    world.connect_unix(host, uid, Settings::default().home)
}

/// A server, 192.0.2.1 and 2001:db8::1, and a client beside it, 192.0.2.2.
pub(crate) fn pair(seed: u64, faults: Faults) -> (World, HostId, HostId, SocketId) {
    let mut world = World::new(seed);
    let link = world.link(faults);
    let server = world.host(vec![nic(link, &["192.0.2.1", "2001:db8::1"])]);
    world.serve(server, settings());
    let client = world.host(vec![nic(link, &["192.0.2.2", "2001:db8::2"])]);
    let socket = world.bind(client, at("192.0.2.2:40000"), USER);
    (world, server, client, socket)
}

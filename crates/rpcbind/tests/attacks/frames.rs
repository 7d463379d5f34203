//! Frames made by hand, so that every address in them can be a lie, and the cable that carries them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;

use crate::{Scene, ask, calls};

/// Sends the frames of a file, then prints each frame that comes in until all of the words wanted were seen.
const TOOL: &str = r#"
import socket, sys, select, time
link, path, wanted = sys.argv[1], sys.argv[2], [bytes.fromhex(word) for word in sys.argv[3:]]
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
packets.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
packets.bind((link, 0))
for number, line in enumerate(open(path)):
    packets.send(bytes.fromhex(line.strip()))
    if number % 64 == 63:
        time.sleep(0.002)
end = time.monotonic() + 20
while wanted:
    if not select.select([packets], [], [], max(0, end - time.monotonic()))[0]:
        sys.exit("never seen: " + repr(wanted))
    frame, (_, _, kind, _, _) = packets.recvfrom(65536)
    if kind != 4:
        print(frame.hex())
        wanted = [word for word in wanted if word not in frame]
"#;

/// What the daemon's answers to everything before cannot overtake: transaction ids of calls that are answered.
const LAST4: u32 = 0x1a57_0004;
const LAST6: u32 = 0x1a57_0006;

/// Where a datagram claims to come from and to go to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) from: (IpAddr, u16),
    pub(crate) to: IpAddr,
}

impl Ends {
    pub(crate) fn new(from: &str, port: u16, to: &str) -> Self {
        Self { from: (from.parse().unwrap(), port), to: to.parse().unwrap() }
    }
}

/// The hardware address of the daemon's end of the cable.
pub(crate) fn hardware(scene: &Scene) -> [u8; 6] {
    let link = scene.home.expect("ip", &["-o", "link", "show", "dev", &scene.cable]).unwrap();
    let address = link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    let bytes: Vec<u8> = address.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// The number of bytes and packets that came in by the daemon's end of the cable, and that went out.
pub(crate) fn counters(scene: &Scene) -> [u64; 4] {
    let name = format!("{}:", scene.cable);
    let table = scene.home.expect("cat", &["/proc/net/dev"]).unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix(&name)).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
    [numbers[0], numbers[1], numbers[8], numbers[9]]
}

/// The sum of RFC 1071.
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap().to_be_bytes()
}

fn v4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0].to_vec();
    header[2..4].copy_from_slice(&length(20 + payload.len()));
    header.extend(from.octets().into_iter().chain(to.octets()));
    let sum = checksum(&[&header]).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    [header, payload.to_vec()].concat()
}

fn v6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = [0x60, 0, 0, 0, 0, 0, protocol, 255].to_vec();
    packet[4..6].copy_from_slice(&length(payload.len()));
    packet.extend(from.octets().into_iter().chain(to.octets()));
    packet.extend_from_slice(payload);
    packet
}

/// The ethernet frame of a packet, to this hardware address, or to everybody it is for.
fn frame(packet: &[u8], to: [u8; 6], group: Option<IpAddr>) -> Vec<u8> {
    let to = match group {
        Some(IpAddr::V4(group)) if group.is_multicast() => {
            let [_, a, b, c] = group.octets();
            [1, 0, 0x5e, a & 0x7f, b, c]
        }
        Some(IpAddr::V6(group)) if group.is_multicast() => {
            let octets = group.octets();
            [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]]
        }
        Some(IpAddr::V4(group)) if group.octets()[3] == 255 => [255; 6],
        _ => to,
    };
    let kind = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
    [&to[..], &[2, 0, 0, 0, 0, 9], &kind, packet].concat()
}

/// A datagram for port 111, to this hardware address.
pub(crate) fn datagram(ends: Ends, message: &[u8], to: [u8; 6]) -> Vec<u8> {
    let mut udp = [&ends.from.1.to_be_bytes()[..], &[0, 111], &length(8 + message.len()), &[0, 0]].concat();
    udp.extend_from_slice(message);
    let packet = match (ends.from.0, ends.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => v4(from, to, 17, &udp),
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let pseudo =
                [&from.octets()[..], &to.octets(), &[0, 0], &length(udp.len()), &[0, 0, 0, 17]].concat();
            let sum = checksum(&[&pseudo, &udp]);
            udp[6..8].copy_from_slice(&if sum == 0 { [255; 2] } else { sum.to_be_bytes() });
            v6(from, to, 17, &udp)
        }
        _ => panic!("two families: {ends:?}"),
    };
    frame(&packet, to, Some(ends.to))
}

/// The complaint that the stranger's port is closed, about an answer of the daemon's.
pub(crate) fn unreachable(to: [u8; 6], port: u16) -> Vec<u8> {
    let (here, there) = (crate::HERE4.parse().unwrap(), crate::THERE4.parse().unwrap());
    let answer = [&[0, 111][..], &port.to_be_bytes(), &length(8 + 24), &[0, 0]].concat();
    let mut icmp = [&[3, 3, 0, 0, 0, 0, 0, 0][..], &v4(here, there, 17, &answer)].concat();
    let sum = checksum(&[&icmp]).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    frame(&v4(there, here, 1, &icmp), to, None)
}

/// Sends frames from the stranger's machine, and two calls of its own after them; answers how many UDP packets came
/// from port 111 besides the answers to these two.
pub(crate) fn answers_to(scene: &Scene, mut frames: Vec<Vec<u8>>) -> Vec<String> {
    let to = hardware(scene);
    let last = [(crate::THERE4, crate::HERE4, LAST4), (crate::THERE6, crate::HERE6, LAST6)];
    // Addresses that nobody else uses, so that no limit is reached; the neighbour is known before.
    for (from, here, xid) in last {
        let call = calls::with_xid(calls::null(4), xid);
        frames.push(datagram(Ends::new(from, 47_000, here), &call, to));
        let socket = std::net::SocketAddr::new(here.parse().unwrap(), 111);
        let client = ask::udp(&scene.other, from, socket);
        assert_eq!(ask::over_udp(&client, &calls::null(4)).unwrap().len(), 24);
    }
    let lines: String = frames.iter().map(|frame| hex(frame) + "\n").collect();
    scene.other.write("/run/frames", &lines).unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", TOOL, &scene.cable, "/run/frames"]);
    // The words: transaction id, REPLY.
    command.args(last.map(|(_, _, xid)| format!("{xid:08x}00000001")));
    let end = scene.other.run(&mut command).unwrap();
    assert!(end.status.success(), "{end:?}");
    let is_answer = |frame: &&str| match (frame.get(24..28), frame.get(46..48), frame.get(40..42)) {
        (Some("0800"), Some("11"), _) => frame.get(68..72) == Some("006f"),
        (Some("86dd"), _, Some("11")) => frame.get(108..112) == Some("006f"),
        _ => false,
    };
    let is_last = |frame: &&str| last.iter().any(|(_, _, xid)| frame.contains(&format!("{xid:08x}00000001")));
    end.stdout.lines().filter(is_answer).filter(|frame| !is_last(frame)).map(str::to_owned).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Clients that ask a thousand times a second over UDP and as fast as they are answered over TCP, and count what they
//! do not get.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use testkit::Namespace;

/// Between two datagrams.
const PACE: Duration = Duration::from_millis(1);
/// After which a call is sent again, and again, as the C clients do.
const AGAIN: Duration = Duration::from_secs(2);
/// After which an answer is not waited for any more.
const LOST: Duration = Duration::from_secs(20);
/// Calls that wait for their answers at a time: fewer than the queue of a socket holds. A client that has not been
/// given the processor for a while must not fill it in one go.
const OPEN_MAX: usize = 128;

/// What became of the calls over UDP.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    pub(crate) calls: u32,
    pub(crate) sent_again: u32,
    pub(crate) lost: u32,
    pub(crate) refused: u32,
}

/// What became of the connections over TCP.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    pub(crate) answered: u32,
    /// Ended without an answer: at most the one that was being served when the daemon ended.
    pub(crate) cut: u32,
    pub(crate) refused: u32,
}

/// NULL of version 2.
fn null(xid: u32) -> [u8; 40] {
    let mut call = [0; 40];
    for (place, word) in call.chunks_exact_mut(4).zip([xid, 0, 2, 100_000, 2, 0, 0, 0, 0, 0]) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    call
}

/// When to stop, and how many answers there are by then.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) stop: AtomicBool,
    pub(crate) answers_udp: AtomicU32,
    pub(crate) answers_tcp: AtomicU32,
}

impl Progress {
    /// Waits until so many more answers have come over each.
    pub(crate) fn wait(&self, udp: u32, tcp: u32) {
        let counts = [(&self.answers_udp, udp), (&self.answers_tcp, tcp)];
        let aims = counts.map(|(count, more)| (count, count.load(Ordering::Relaxed) + more));
        let reached = || aims.iter().all(|(count, aim)| count.load(Ordering::Relaxed) >= *aim);
        testkit::wait::until("answers", || Ok(reached().then_some(()))).unwrap();
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Asks over UDP until told to stop, and then waits for what is missing.
pub(crate) fn datagrams(home: &Namespace, progress: &Progress) -> Datagrams {
    let socket = home.within(|| UdpSocket::bind("127.0.0.1:0")).unwrap().unwrap();
    home.within(|| socket.connect("127.0.0.1:111")).unwrap().unwrap();
    socket.set_read_timeout(Some(PACE)).unwrap();
    let mut seen = Datagrams::default();
    // When each was sent first, and last.
    let mut open: BTreeMap<u32, [Instant; 2]> = BTreeMap::new();
    let began = Instant::now();
    while progress.goes_on() || !open.is_empty() {
        let due = u32::try_from(began.elapsed().as_millis() / PACE.as_millis()).unwrap();
        if progress.goes_on() {
            // What could not be sent in its millisecond is made up for.
            while seen.calls < due && open.len() < OPEN_MAX {
                seen.calls += 1;
                open.insert(seen.calls, [Instant::now(); 2]);
                send(&socket, seen.calls, &mut seen.refused);
            }
        }
        let mut reply = [0; 64];
        match socket.recv(&mut reply) {
            Ok(24) => {
                open.remove(&u32::from_be_bytes(reply[..4].try_into().unwrap()));
                progress.answers_udp.fetch_add(1, Ordering::Relaxed);
            }
            Ok(length) => panic!("a reply of {length} bytes"),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => seen.refused += 1,
            Err(error) => assert!(is_pause(&error), "{error}"),
        }
        open.retain(|xid, [first, last]| {
            if last.elapsed() >= AGAIN {
                *last = Instant::now();
                seen.sent_again += 1;
                send(&socket, *xid, &mut seen.refused);
            }
            let is_lost = first.elapsed() >= LOST;
            seen.lost += u32::from(is_lost);
            !is_lost
        });
    }
    seen
}

fn send(socket: &UdpSocket, xid: u32, refused: &mut u32) {
    match socket.send(&null(xid)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => *refused += 1,
        Err(error) => panic!("{error}"),
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Connects, asks and is answered over TCP, again and again until told to stop.
pub(crate) fn connections(home: &Namespace, progress: &Progress) -> Connections {
    let asked = home.within(|| {
        let mut seen = Connections::default();
        while progress.goes_on() {
            match TcpStream::connect("127.0.0.1:111") {
                Ok(stream) => match answered(&stream) {
                    Ok(()) => {
                        seen.answered += 1;
                        progress.answers_tcp.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        assert!(!is_pause(&error), "neither answered nor closed: {error}");
                        seen.cut += 1;
                    }
                },
                Err(_) => seen.refused += 1,
            }
        }
        seen
    });
    asked.unwrap()
}

fn answered(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(LOST))?;
    stream.write_all(&[&[0x80, 0, 0, 40][..], &null(1)].concat())?;
    stream.read_exact(&mut [0; 28])
}

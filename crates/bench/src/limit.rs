//! The limit server: the least that any server with this event loop costs. One thread, level-triggered epoll, datagrams
//! in batches of 32 with packet information both ways, connections read at once and answered in one write. It copies
//! the xid into a fixed reply of the right size and looks at nothing but the procedure: no table, no check, no clock.

mod answer;
mod datagrams;
mod streams;

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oncrpc::bind;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, Socket, Type};

use answer::Answers;
use datagrams::Datagrams;
use streams::Streams;

/// Descriptors reported by one wait, as in the daemon.
const EVENTS_MAX: usize = 128;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// The events of what is no connection.
const DATAGRAMS: u64 = u64::MAX;
const LISTENERS: [u64; 2] = [u64::MAX - 1, u64::MAX - 2];

/// Serves port 111 of every IPv4 address and the unix socket until it is killed. A DUMP is answered with
/// `dump_bytes` bytes.
///
/// # Errors
/// A socket cannot be opened, or waiting fails.
pub(crate) fn serve(dump_bytes: usize) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, bind::PORT));
    let answers = Answers::new(dump_bytes);
    let mut datagrams = Datagrams::new(address)?;
    let listeners = [listener(Domain::IPV4, &address.into())?, unix_listener(Path::new(bind::SOCKET_PATH))?];
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    watch(&epoll, datagrams.socket(), DATAGRAMS)?;
    for (listener, number) in listeners.iter().zip(LISTENERS) {
        watch(&epoll, listener, number)?;
    }
    let mut streams = Streams::new();
    loop {
        let mut events = [MaybeUninit::uninit(); EVENTS_MAX];
        let events = match epoll::wait(&epoll, &mut events, None) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        for event in events.iter() {
            // Copied: the fields may be unaligned.
            let (data, flags) = (event.data, event.flags);
            match data.u64() {
                DATAGRAMS => datagrams.answer(&answers)?,
                number => match LISTENERS.iter().position(|listener| *listener == number) {
                    Some(index) => streams.accept(&listeners[index], &epoll, &answers)?,
                    None => streams.serve(number, flags, &epoll, &answers)?,
                },
            }
        }
    }
}

fn watch(epoll: &OwnedFd, descriptor: impl AsFd, number: u64) -> io::Result<()> {
    Ok(epoll::add(epoll, descriptor, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?)
}

fn unix_listener(path: &Path) -> io::Result<Socket> {
    listener(Domain::UNIX, &SockAddr::unix(path)?)
}

fn listener(domain: Domain, address: &SockAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    if domain == Domain::IPV4 {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

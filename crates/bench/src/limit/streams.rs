//! Connections of the limit server: accepted, read at once, all whole records answered in one write. What the peer does
//! not take waits until it does; meanwhile the connection is not read.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags};
use socket2::Socket;

use super::answer::Answers;

/// Connections accepted in one turn, and bytes read at once, as in the daemon.
const ACCEPT_MAX: usize = 64;
const READ_MAX: usize = 64 * 1024;
/// A record's mark, and its bit that says that nothing follows.
const MARK: usize = 4;
const LAST: u32 = 0x8000_0000;

/// A connection, with what is under way.
struct Connection {
    socket: OwnedFd,
    /// What it is watched for.
    watched: Option<EventFlags>,
    /// The beginning of a record.
    begun: Vec<u8>,
    output: Option<Output>,
}

/// Replies that the peer has not taken: bytes, the list of DUMP or not, and how much of both is gone.
struct Output {
    head: Vec<u8>,
    list: bool,
    done: usize,
}

/// All connections, known by their places.
pub(super) struct Streams {
    places: Vec<Option<Connection>>,
    free: Vec<usize>,
    input: Vec<u8>,
    head: Vec<u8>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            input: vec![0; READ_MAX],
            head: Vec::with_capacity(2 * READ_MAX),
        }
    }

    /// Accepts who waits and serves each at once.
    pub(super) fn accept(&mut self, listener: &Socket, epoll: &OwnedFd, answers: &Answers) -> io::Result<()> {
        for _ in 0..ACCEPT_MAX {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = match rustix::net::accept_with(listener, flags) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            };
            let connection = Connection { socket, watched: None, begun: Vec::new(), output: None };
            let place = self.free.pop().unwrap_or_else(|| {
                self.places.push(None);
                self.places.len() - 1
            });
            self.places[place] = Some(connection);
            self.turn(place, epoll, answers)?;
        }
        Ok(())
    }

    /// Serves a connection that is ready.
    pub(super) fn serve(
        &mut self,
        number: u64,
        flags: EventFlags,
        epoll: &OwnedFd,
        answers: &Answers,
    ) -> io::Result<()> {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(Some(connection)) = self.places.get_mut(place) else { return Ok(()) };
        if flags.contains(EventFlags::OUT) && connection.output.is_some() {
            let wanted = connection.write(answers);
            return self.watch_or_close(place, wanted, epoll);
        }
        self.turn(place, epoll, answers)
    }

    /// Reads once, answers what is whole.
    fn turn(&mut self, place: usize, epoll: &OwnedFd, answers: &Answers) -> io::Result<()> {
        let Self { places, input, head, .. } = self;
        let Some(Some(connection)) = places.get_mut(place) else { return Ok(()) };
        let wanted = connection.read(input, head, answers);
        self.watch_or_close(place, wanted, epoll)
    }

    /// Goes on with what a connection waits for; nothing more when it is over.
    fn watch_or_close(
        &mut self,
        place: usize,
        wanted: Option<EventFlags>,
        epoll: &OwnedFd,
    ) -> io::Result<()> {
        if let Some(wanted) = wanted {
            return self.watch(place, epoll, wanted);
        }
        self.places[place] = None;
        self.free.push(place);
        Ok(())
    }

    /// Has a connection watched for reading or for writing.
    fn watch(&mut self, place: usize, epoll: &OwnedFd, wanted: EventFlags) -> io::Result<()> {
        let Some(Some(connection)) = self.places.get_mut(place) else { return Ok(()) };
        let number = epoll::EventData::new_u64(u64::try_from(place).unwrap_or(u64::MAX));
        match connection.watched.replace(wanted) {
            None => epoll::add(epoll, &connection.socket, number, wanted)?,
            Some(watched) if watched == wanted => {}
            Some(_) => epoll::modify(epoll, &connection.socket, number, wanted)?,
        }
        Ok(())
    }
}

impl Connection {
    /// Reads once, answers what is whole; what it waits for then, `None` when it is over.
    fn read(&mut self, input: &mut [u8], head: &mut Vec<u8>, answers: &Answers) -> Option<EventFlags> {
        let len = match rustix::net::recv(&self.socket, &mut *input, RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN) => return Some(EventFlags::IN),
            Ok((_, 0)) | Err(_) => return None,
            Ok((_, len)) => len,
        };
        head.clear();
        let list = self.take(input.get(..len)?, head, answers);
        if head.is_empty() {
            return Some(EventFlags::IN);
        }
        let body = if list { answers.list.as_slice() } else { &[] };
        let done = written(rustix::io::writev(&self.socket, &parts(head, body, 0)))?;
        if done == head.len() + body.len() {
            return Some(EventFlags::IN);
        }
        self.output = Some(Output { head: head.clone(), list, done });
        Some(EventFlags::OUT)
    }

    /// Writes what waits; what it waits for then, `None` when it is over.
    fn write(&mut self, answers: &Answers) -> Option<EventFlags> {
        let Some(output) = &mut self.output else { return Some(EventFlags::IN) };
        let body = if output.list { answers.list.as_slice() } else { &[] };
        output.done += written(rustix::io::writev(&self.socket, &parts(&output.head, body, output.done)))?;
        if output.done < output.head.len() + body.len() {
            return Some(EventFlags::OUT);
        }
        self.output = None;
        Some(EventFlags::IN)
    }

    /// Puts the answers to all whole records into `head`; whether the list of DUMP comes after them.
    fn take(&mut self, input: &[u8], head: &mut Vec<u8>, answers: &Answers) -> bool {
        if !self.begun.is_empty() {
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend_from_slice(input);
            return self.take(&whole, head, answers);
        }
        let (mut rest, mut list) = (input, false);
        while let Some((call, after)) = record(rest) {
            let answer = answers.to(call);
            let body = if answer.list { answers.list.len() } else { 0 };
            let len = u32::try_from(answer.head.len() + body).unwrap_or(0);
            head.extend_from_slice(&(len | LAST).to_be_bytes());
            let start = head.len();
            head.resize(start + answer.head.len(), 0);
            answer.write(call, &mut head[start..]);
            list |= answer.list;
            rest = after;
        }
        if !rest.is_empty() {
            self.begun = rest.to_vec();
        }
        list
    }
}

/// The first record and what follows it, if it is whole.
fn record(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mark, rest) = input.split_first_chunk::<MARK>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*mark) & !LAST).ok()?)
}

/// What is left of two parts that are written one after the other.
fn parts<'a>(head: &'a [u8], list: &'a [u8], done: usize) -> [IoSlice<'a>; 2] {
    let (from_head, from_list) = (done.min(head.len()), done.saturating_sub(head.len()));
    [IoSlice::new(&head[from_head..]), IoSlice::new(&list[from_list..])]
}

/// How much was written; `None` when nothing will be any more.
fn written(result: Result<usize, Errno>) -> Option<usize> {
    match result {
        Ok(count) => Some(count),
        Err(Errno::AGAIN) => Some(0),
        Err(_) => None,
    }
}

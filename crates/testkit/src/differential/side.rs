//! One side of the comparison: a port mapper in a namespace of its own, a stranger at the other end of a cable, and
//! a socket for every caller. The two sides have the same addresses, and never hear of each other.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use socket2::{Socket, Type};

use super::callees::Callees;
use super::case::{Arguments, Caller, Case, Place, Rpcb, Transport};
use super::channel::{Channel, alive_sockets, datagram, open, record};
use super::seen::{Ledger, Seen};
use super::wire;
use crate::daemon::SOCKET;
use crate::{Daemon, DaemonKind, Namespace, wait};

/// The host's addresses on the cable, with their prefixes.
const HERE: [&str; 3] = ["10.9.8.7/24", "10.9.8.8/24", "fd00::7/64"];
/// The stranger's.
const THERE: [&str; 2] = ["10.9.8.1/24", "fd00::1/64"];
/// What port mappers remember lies in here.
const STATE: &str = "/run/rpcbind";

/// Ports at which something is bound on every inet transport, so that services registered there are alive.
pub const ALIVE_PORTS: [u16; 2] = [1025, 32_770];

/// The probe's answer takes no longer than this on any machine that gets on at all.
const DEADLINE: Duration = Duration::from_secs(20);
/// `accept_stat` SYSTEM_ERR.
const SYSTEM_ERR: [u8; 4] = [0, 0, 0, 5];

/// A port mapper and everything around it.
#[derive(Debug)]
pub struct Side {
    kind: DaemonKind,
    fragments: bool,
    home: Namespace,
    away: Namespace,
    /// Bound for as long as the side lives.
    alive: Vec<Socket>,
    /// The services that are called remotely, where remote calls are made.
    callees: Option<Callees>,
    daemon: Option<Daemon>,
    channels: BTreeMap<Caller, Channel>,
    /// INDIRECT calls that were met with silence: a port mapper may say later that they have failed.
    unanswered: BTreeSet<u32>,
    ledger: Ledger,
    privileged_port: u16,
}

impl Side {
    /// Makes the namespaces. `fragments` says whether the port mapper puts fragments together.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn new(kind: DaemonKind, fragments: bool) -> io::Result<Self> {
        let (home, away) = (Namespace::new()?, Namespace::new()?);
        home.connect(&away, &HERE, &THERE)?;
        let alive = home.within(|| alive_sockets(&ALIVE_PORTS))??;
        Ok(Self {
            kind,
            fragments,
            home,
            away,
            alive,
            callees: None,
            unanswered: BTreeSet::new(),
            daemon: None,
            channels: BTreeMap::new(),
            ledger: Ledger::default(),
            privileged_port: 600,
        })
    }

    /// The same with services that answer remote calls in many ways, for a port mapper that makes them.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn with_callees(mut self) -> io::Result<Self> {
        self.alive.retain(|socket| socket.r#type().is_ok_and(|kind| kind == Type::STREAM));
        self.callees = Some(Callees::start(&self.home, &ALIVE_PORTS)?);
        Ok(self)
    }

    /// Whether remote calls are made and answered.
    #[must_use]
    pub fn has_callees(&self) -> bool {
        self.callees.is_some()
    }

    /// What this side is called in messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// Starts the port mapper anew, with nothing registered and nobody connected.
    ///
    /// # Errors
    /// It did not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.channels.clear();
        self.ledger = Ledger::default();
        if let Some(daemon) = self.daemon.take() {
            daemon.kill()?;
        }
        self.home.within(forget)??;
        // The lock of the one before is held a moment longer by whoever looks at its descriptors just then.
        let start = || match Daemon::start(&self.home, &self.kind) {
            Err(error) if error.to_string().contains("already running") => Ok(None),
            started => started.map(Some),
        };
        self.daemon = Some(wait::until("a start", start)?);
        self.unanswered.clear();
        if self.has_callees() {
            for (xid, (netid, host)) in (1..).zip([("udp", "0.0.0.0"), ("udp6", "::")]) {
                self.register_witness(xid, netid, host)?;
            }
        }
        Ok(())
    }

    /// Registers the service whose answer shows that those before it have been answered.
    fn register_witness(&mut self, xid: u32, netid: &str, host: &str) -> io::Result<()> {
        let [high, low] = ALIVE_PORTS[0].to_be_bytes();
        let address = format!("{host}.{high}.{low}").into_bytes();
        let row =
            Rpcb { program: wire::WITNESS, version: 1, netid: netid.into(), address, owner: Vec::new() };
        let case = Case::new(Caller::ROOT, 4, 1, Arguments::Rpcb(row));
        self.send(&case, xid)?;
        match self.receive(&case, xid)? {
            Seen::Reply(reply) if reply.ends_with(&[0, 0, 0, 1]) => Ok(()),
            seen => Err(io::Error::other(format!("{}: {seen}", self.name()))),
        }
    }

    /// What the port mapper has written to standard error since it was started.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.daemon.as_ref().map_or_else(String::new, Daemon::stderr)
    }

    /// Sends a call and the probe behind it. What goes wrong here shows when the answer is received.
    ///
    /// # Errors
    /// The caller's socket could not be opened.
    pub fn send(&mut self, case: &Case, xid: u32) -> io::Result<()> {
        let message = wire::message(case, xid);
        let datagram = case.caller.transport.is_datagram();
        let probe = wire::probe(!xid, datagram);
        let fragments = self.fragments;
        let channel = self.channel(case.caller)?;
        if datagram {
            channel.send(&message)?;
            return channel.send(&probe);
        }
        let mut writes = wire::writes(&message, case.framing, fragments);
        match writes.last_mut() {
            Some(last) => last.extend_from_slice(&wire::record(&probe)),
            None => writes.push(wire::record(&probe)),
        }
        for bytes in writes {
            // Fails when the other end has closed, which is what receiving then tells.
            let _ = channel.send(&bytes);
        }
        Ok(())
    }

    /// What became of the call that was sent last by this caller.
    ///
    /// # Errors
    /// The probe was not answered in time, or something came that nobody asked for.
    pub fn receive(&mut self, case: &Case, xid: u32) -> io::Result<Seen> {
        let mut seen = self.receive_until(case, xid, !xid)?;
        if self.has_callees() && case.may_be_remote() && seen != Seen::Closed {
            // What has been called has answered now, if it ever does; the port mapper has heard it before this.
            self.witness(case.caller.transport.is_ipv6(), xid)?;
            let again = !xid ^ 0x0f00_0000;
            let datagram = case.caller.transport.is_datagram();
            let probe = wire::probe(again, datagram);
            let probe = if datagram { probe } else { wire::record(&probe) };
            self.channel(case.caller)?.send(&probe)?;
            seen = match (seen, self.receive_until(case, xid, again)?) {
                (Seen::Silence, later) => later,
                (seen, Seen::Silence) => seen,
                (seen, later) => {
                    return Err(io::Error::other(format!("answered twice: {seen}, then {later}")));
                }
            };
            if seen == Seen::Silence && case.is(&[4], 10) {
                self.unanswered.insert(xid);
            }
        }
        if seen == Seen::Closed {
            self.channels.remove(&case.caller);
        }
        self.ledger.normalise(case, seen).map_err(io::Error::other)
    }

    fn receive_until(&mut self, case: &Case, xid: u32, probe: u32) -> io::Result<Seen> {
        let mut unanswered = std::mem::take(&mut self.unanswered);
        let channel = self.channel(case.caller)?;
        let seen = if case.caller.transport.is_datagram() {
            receive(xid, probe, &mut unanswered, || datagram(&channel.socket).map(Some))
        } else {
            receive(xid, probe, &mut unanswered, || record(&channel.socket))
        };
        self.unanswered = unanswered;
        seen
    }

    /// Calls the witness through the port mapper, over UDP from a loopback address, and waits for its answer.
    fn witness(&mut self, ipv6: bool, xid: u32) -> io::Result<()> {
        let caller =
            Caller { transport: if ipv6 { Transport::Udp6 } else { Transport::Udp }, place: Place::Witness };
        let call = Case::new(caller, 4, 10, Arguments::witness());
        let channel = self.channel(caller)?;
        channel.send(&wire::message(&call, xid))?;
        loop {
            let message = datagram(&channel.socket)?;
            if message.starts_with(&xid.to_be_bytes()) {
                let accepted = message.get(8..12) == Some(&[0; 4]) && message.get(20..24) == Some(&[0; 4]);
                let refused = || io::Error::other(format!("the witness was not called: {message:02x?}"));
                return accepted.then_some(()).ok_or_else(refused);
            }
        }
    }

    fn channel(&mut self, caller: Caller) -> io::Result<&mut Channel> {
        if !self.channels.contains_key(&caller) {
            let port = &mut self.privileged_port;
            let from = if caller.is_stranger() { &self.away } else { &self.home };
            let is_connected = self.callees.is_none() || !caller.transport.is_datagram();
            let channel = from
                .within(|| open(caller, port, is_connected))?
                .map_err(|error| io::Error::new(error.kind(), format!("{caller}: {error}")))?;
            channel.socket.set_read_timeout(Some(DEADLINE))?;
            self.channels.insert(caller, channel);
        }
        self.channels.get_mut(&caller).ok_or_else(|| io::Error::other("no channel"))
    }
}

/// Removes what a killed daemon leaves behind, or left at its last orderly end.
fn forget() -> io::Result<()> {
    for entry in std::fs::read_dir(STATE)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    match std::fs::remove_file(SOCKET) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads up to the probe's answer. `None` from `next` is the connection's end. What was `unanswered` up to now may be
/// said to have failed.
fn receive(
    xid: u32,
    probe: u32,
    unanswered: &mut BTreeSet<u32>,
    mut next: impl FnMut() -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Seen> {
    let mut seen = Seen::Silence;
    loop {
        let Some(mut message) = next()? else {
            return match seen {
                Seen::Silence => Ok(Seen::Closed),
                reply => Err(io::Error::other(format!("closed behind {reply}"))),
            };
        };
        let Some(head) = message.first_chunk_mut::<4>() else {
            return Err(io::Error::other("a message of less than 4 bytes"));
        };
        let answered = u32::from_be_bytes(*head);
        *head = [0; 4];
        if answered == probe {
            return Ok(seen);
        }
        if answered != xid && message.get(20..) == Some(&SYSTEM_ERR) && unanswered.remove(&answered) {
            continue;
        }
        if answered != xid || seen != Seen::Silence {
            return Err(io::Error::other(format!("an answer that nobody waits for, xid {answered:#x}")));
        }
        seen = Seen::Reply(message);
    }
}

//! Time and traffic: what leaves a host, what becomes of it on the way, and what happens where it arrives.

use super::host::{Answered, LOOPBACK, broadcast_of};
use super::link::{Faults, Flight, LinkId, is_group};
use super::{HostId, What, World, remote};
use rpcbind_core::caller::{Caller, Datagram, Now, Transport};
use rpcbind_core::facts::Facts;
use rpcbind_core::outcome::{Handled, Outcome};
use std::collections::btree_map::OccupiedEntry;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// More events than this in one run mean that the network never falls silent.
const MAX_EVENTS: usize = 1_000_000;

impl World {
    /// Lets time pass until nothing is under way and every script has ended.
    ///
    /// # Panics
    /// When the network never falls silent.
    pub fn run(&mut self) {
        while let Some(next) = self.next_moment() {
            self.pass(next);
        }
    }

    /// Lets this much time pass.
    ///
    /// # Panics
    /// When more happens in it than in any sane network.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.pass(next);
        }
        self.now = end;
    }

    /// When something happens next.
    fn next_moment(&self) -> Option<Duration> {
        let arrival = self.flights.keys().next().map(|(at, _)| *at);
        let deadlines = self.scripts.iter().filter_map(|script| script.deadline(self.now));
        deadlines.chain(arrival).chain(self.calls_deadline()).min()
    }

    /// Lets time pass to a moment at which something happens, and lets it happen.
    fn pass(&mut self, moment: Duration) {
        assert!(self.history.len() < MAX_EVENTS, "the network never falls silent");
        self.now = self.now.max(moment);
        for index in 0..self.scripts.len() {
            let script = &mut self.scripts[index];
            if script.deadline(self.now).is_some_and(|deadline| deadline <= self.now) {
                let socket = script.socket;
                if let Some((to, message)) = script.step(self.now) {
                    self.send(socket, to, &message);
                }
            }
        }
        self.end_calls();
        let due = self.flights.first_entry().filter(|flight| flight.key().0 <= self.now);
        if let Some(flight) = due.map(OccupiedEntry::remove) {
            self.arrive(flight);
        }
    }

    /// A datagram leaves a host.
    pub(super) fn transmit(&mut self, sender: HostId, from: SocketAddr, to: SocketAddr, message: &[u8]) {
        for (host, interface) in self.receivers(sender, to.ip()) {
            let faults = self.faults_of(host, interface);
            self.launch(faults, &Flight { host, interface, from, to, message: message.to_vec() });
        }
    }

    pub(super) fn launch(&mut self, faults: Faults, flight: &Flight) {
        for delay in faults.delays(&mut self.random) {
            self.sent += 1;
            self.flights.insert((self.now + delay, self.sent), flight.clone());
        }
    }

    pub(super) fn faults_of(&self, host: HostId, interface: u32) -> Faults {
        let mut nics = self.hosts[host.0].indexed_nics();
        nics.find(|(index, _)| *index == interface).map_or(self.loopback, |(_, nic)| self.links[nic.link.0])
    }

    /// The interfaces that a datagram from a host to an address arrives on.
    fn receivers(&self, sender: HostId, to: IpAddr) -> Vec<(HostId, u32)> {
        if self.hosts[sender.0].owns(to) {
            return vec![(sender, LOOPBACK)];
        }
        let links: Vec<LinkId> = self.hosts[sender.0].nics.iter().map(|nic| nic.link).collect();
        let mut group = Vec::new();
        for (index, host) in self.hosts.iter().enumerate().filter(|(index, _)| *index != sender.0) {
            for (interface, nic) in host.indexed_nics().filter(|(_, nic)| links.contains(&nic.link)) {
                let broadcast = nic.addresses.iter().any(|(own, len)| broadcast_of(*own, *len) == Some(to));
                if broadcast || is_group(to) {
                    group.push((HostId(index), interface));
                }
            }
        }
        if group.is_empty() { self.route(to).into_iter().collect() } else { group }
    }

    /// The host and interface that an address belongs to.
    pub(super) fn route(&self, to: IpAddr) -> Option<(HostId, u32)> {
        self.hosts.iter().enumerate().find_map(|(index, host)| {
            let mut nics = host.indexed_nics();
            let (interface, _) = nics.find(|(_, nic)| nic.addresses.iter().any(|own| own.0 == to))?;
            Some((HostId(index), interface))
        })
    }

    /// A datagram arrives: at the port mapper, or at the sockets that are open there.
    fn arrive(&mut self, flight: Flight) {
        let Flight { host, interface, from, to, message } = flight;
        if self.hosts[host.0].outlets.contains(&to) {
            self.answered(host, from, &message);
            return;
        }
        if self.hosts[host.0].service.as_ref().is_some_and(|(_, port)| *port == to.port()) {
            let local = SocketAddr::new(self.hosts[host.0].delivered_for(to.ip(), interface), to.port());
            let destination = to.ip();
            let caller = Caller::Datagram(Datagram { from, destination, local, interface, mapped: false });
            self.answer_datagram(host, &caller, from, local, &message);
            return;
        }
        let mut answers = Vec::new();
        for (index, socket) in self.hosts[host.0].sockets.iter_mut().enumerate() {
            let udp = matches!(socket.transport, Transport::Udp | Transport::Udp6);
            let here = socket.address == to
                || (socket.address.port() == to.port() && socket.address.ip().is_unspecified());
            if !(udp && here && socket.open) {
                continue;
            }
            for script in self.scripts.iter_mut().filter(|script| script.is_of(host, index)) {
                script.accept(&message);
            }
            socket.inbox.push((from, message.clone()));
            answers.extend(socket.answers.as_ref().and_then(|answers| remote::reply(answers, &message)));
        }
        for reply in answers {
            self.transmit(host, to, from, &reply);
        }
    }

    fn answer_datagram(
        &mut self,
        host: HostId,
        caller: &Caller,
        from: SocketAddr,
        local: SocketAddr,
        message: &[u8],
    ) {
        let Some((handled, reply)) = self.handle(host, caller, message) else { return };
        let len = match handled.outcome {
            Outcome::Reply { len } | Outcome::Commit { len, .. } => len,
            Outcome::Silent | Outcome::Need(_) | Outcome::Forward(_) => return,
            Outcome::Table { .. } => unreachable!("a table does not fit into a datagram"),
        };
        self.note(host, What::Replied { from: local, to: from, len });
        self.transmit(host, local, from, &reply[..len]);
    }

    /// The time as a daemon measures it.
    pub(super) fn time(&self) -> Now {
        let elapsed = u32::try_from(self.now.as_secs()).unwrap_or(u32::MAX);
        Now { monotonic: self.now, unix_seconds: self.epoch_seconds.wrapping_add(elapsed) }
    }

    /// Hands a message to a host's port mapper and answers what it asks, as the daemon's loop does. The buffer lent for
    /// the reply is as long as the budget says.
    pub(super) fn handle(
        &mut self,
        host: HostId,
        caller: &Caller,
        message: &[u8],
    ) -> Option<(Handled, Vec<u8>)> {
        let now = self.time();
        let mut facts = Facts::default();
        loop {
            let (service, _) = self.hosts[host.0].service.as_mut()?;
            let mut reply = vec![0; service.budget(caller, message.len()).bytes()];
            let handled = service.handle(now, caller, &facts, message, &mut reply);
            let Outcome::Need(question) = &handled.outcome else {
                self.note(host, What::Handled { caller: *caller, len: message.len(), why: handled.why });
                if let Outcome::Forward(call) = &handled.outcome {
                    self.call(host, call);
                }
                return Some((handled, reply));
            };
            let again = match self.hosts[host.0].answer(question) {
                Answered::Owner(fact) => facts.owner.replace(fact).is_some(),
                Answered::Bound(fact) => facts.bound.replace(fact).is_some(),
            };
            assert!(!again, "asked twice about one message: {question:?}");
        }
    }
}

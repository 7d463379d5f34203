//! Remote calls under way and their ends: an answer from the service that was called, silence for too long, or no way
//! to it. Each ends once. An answer counts only from the address that was called and with the xid of that call; results
//! never leave as a datagram beyond the budget of the request.

pub(crate) mod table;

use crate::caller::Now;
use crate::hash::HashKey;
use crate::limiter::Charge;
use crate::outcome::{LateReply, Reason, RemoteEnd, RemoteId, Why};
use crate::remote::{Asked, encode_results};
use crate::service::Service;
use crate::settings::Forwarding;
use core::net::SocketAddr;
use core::time::Duration;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Reply, Xid};
use table::{Pending, Table};

/// The calls under way, and where the xids of the next ones come from.
#[derive(Debug)]
pub(crate) struct Forwards {
    /// What they are made with.
    pub(crate) forwarding: Forwarding,
    pub(crate) table: Table,
    key: HashKey,
    /// Words that xids were made from.
    drawn: u64,
    serial: u64,
}

impl Forwards {
    pub(crate) fn new(forwarding: Forwarding) -> Self {
        let table = Table::new(forwarding.calls, forwarding.calls_per_source);
        Self { forwarding, table, key: HashKey::new(forwarding.seed), drawn: 0, serial: 0 }
    }

    /// What the next call is known by.
    pub(crate) fn name(&mut self) -> RemoteId {
        let id = RemoteId { serial: self.serial, xid: self.draw() };
        self.serial = self.serial.wrapping_add(1);
        id
    }

    /// An xid that no call under way has and nobody can foretell.
    fn draw(&mut self) -> Xid {
        loop {
            let [.., a, b, c, d] = self.key.hash(self.drawn, 0).to_be_bytes();
            self.drawn = self.drawn.wrapping_add(1);
            let xid = Xid(u32::from_be_bytes([a, b, c, d]));
            if self.table.find(xid).is_none() {
                return xid;
            }
        }
    }
}

impl Service {
    /// Takes a datagram that has come in on a socket that calls leave from, and writes what has to leave into the lent
    /// buffer, which should hold 9,000 bytes. `None`: it answers no call that is under way, and nothing happens.
    ///
    /// `from` is whom the kernel says that it comes from.
    pub fn answered(
        &mut self,
        now: Now,
        from: SocketAddr,
        datagram: &[u8],
        reply: &mut [u8],
    ) -> Option<RemoteEnd> {
        let pending = self.take(from, Reply::xid_of(datagram)?)?;
        let result = match Reply::decode(datagram) {
            Ok(Reply { answer: Answer::Success(results), .. }) => Ok(results),
            _ => Err(Reason::RemoteCallFailed),
        };
        Some(self.end(now, pending, result, reply))
    }

    /// Ends a call that did not arrive: the kernel gave back what was sent `to` a service, or its beginning. `None`: it
    /// is no call that is under way.
    pub fn unreachable(
        &mut self,
        now: Now,
        to: SocketAddr,
        message: &[u8],
        reply: &mut [u8],
    ) -> Option<RemoteEnd> {
        let pending = self.take(to, Xid::of(message)?)?;
        Some(self.end(now, pending, Err(Reason::RemoteCallFailed), reply))
    }

    /// Takes out the call with this xid, if this is the service that was called.
    fn take(&mut self, service: SocketAddr, xid: Xid) -> Option<Pending> {
        let table = &mut self.forwards.as_mut()?.table;
        let pending = table.find(xid)?;
        let is_called = (pending.to.ip(), pending.to.port()) == (service.ip(), service.port());
        let id = pending.id;
        if is_called { table.take(id) } else { None }
    }

    /// Ends a call that could not be sent. `None`: it has ended already.
    pub fn undeliverable(&mut self, now: Now, call: RemoteId, reply: &mut [u8]) -> Option<RemoteEnd> {
        let pending = self.forwards.as_mut()?.table.take(call)?;
        Some(self.end(now, pending, Err(Reason::RemoteCallFailed), reply))
    }

    /// When [`Service::expire`] has to be called, as [`Now::monotonic`]; `None` while no call is under way.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.forwards.as_ref()?.table.next_deadline()
    }

    /// Ends one call whose service has taken too long; to be called until it answers `None`.
    pub fn expire(&mut self, now: Now, reply: &mut [u8]) -> Option<RemoteEnd> {
        let table = &mut self.forwards.as_mut()?.table;
        let pending = table.first_over(now.monotonic).and_then(|id| table.take(id))?;
        let reason = if pending.given_up { Reason::RemoteCallsFull } else { Reason::RemoteCallTimedOut };
        Some(self.end(now, pending, Err(reason), reply))
    }

    /// How many remote calls are under way.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.forwards.as_ref().map_or(0, |forwards| forwards.table.len())
    }

    fn end(
        &mut self,
        now: Now,
        pending: Pending,
        result: Result<&[u8], Reason>,
        reply: &mut [u8],
    ) -> RemoteEnd {
        let Pending { id: call, asked, .. } = pending;
        let room = asked.budget.bytes().min(reply.len());
        let mut writer = Writer::new(reply.get_mut(..room).unwrap_or_default());
        let Asked { caller, why, xid, form, .. } = asked;
        let mut reason = Reason::Answered;
        let failed = match result {
            Ok(results) => {
                let written = Reply::encode_success(xid, &mut writer)
                    .and_then(|()| encode_results(form, &asked.address, results, &mut writer));
                written.is_err().then_some(Reason::ReplyTooLong)
            }
            Err(reason) => Some(reason),
        };
        let mut leaves = true;
        if let Some(failure) = failed {
            reason = failure;
            writer.truncate(0);
            let answer = match failure {
                Reason::ReplyTooLong => self.answer_too_long(&caller),
                _ => Answer::SystemError,
            };
            leaves = form.is_told()
                && self.may_leave(now, &caller, Charge::Error)
                && Reply { xid, answer }.encode(&mut writer).is_ok();
        }
        let len = writer.len();
        let reply = leaves.then_some(LateReply { len, budget: asked.budget });
        RemoteEnd { call, caller, why: Why { reason, ..why }, reply }
    }
}

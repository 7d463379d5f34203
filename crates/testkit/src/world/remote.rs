//! Remote calls in the virtual network: a port mapper calls the services of its host over its loopback interface, whose
//! faults they meet, and each call ends once.

use super::host::Answers;
use super::{HostId, What, World};
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Reply};
use rpcbind_core::Settings;
use rpcbind_core::caller::Caller;
use rpcbind_core::outcome::{Forward, RemoteEnd};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Where the remote calls of a port mapper with these settings leave from.
pub(super) fn outlets(settings: &Settings) -> Vec<SocketAddr> {
    let forwarding = settings.forwarding.as_ref();
    let inet = forwarding.and_then(|forwarding| forwarding.inet);
    let inet6 = forwarding.and_then(|forwarding| forwarding.inet6);
    let inet = inet.map(|port| (Ipv4Addr::LOCALHOST, port).into());
    let inet6 = inet6.map(|port| (Ipv6Addr::LOCALHOST, port).into());
    inet.into_iter().chain(inet6).collect()
}

/// What a service says to a call; `None` to anything else.
pub(super) fn reply(answers: &Answers, message: &[u8]) -> Option<Vec<u8>> {
    let xid = Call::decode(message).ok()?.xid;
    let answer = match answers {
        Answers::Results(results) => Answer::Success(results),
        Answers::Error => Answer::SystemError,
        Answers::Garbage(bytes) => {
            return Some([&xid.0.to_be_bytes(), &1_u32.to_be_bytes(), &bytes[..]].concat());
        }
    };
    let mut buffer = vec![0; 24 + message.len() + 9_000];
    let mut writer = Writer::new(&mut buffer);
    Reply { xid, answer }.encode(&mut writer).ok()?;
    Some(writer.written().to_vec())
}

impl World {
    /// Sends a call to a service.
    pub(super) fn call(&mut self, host: HostId, forward: &Forward) {
        let outlets = &self.hosts[host.0].outlets;
        let outlet = outlets.iter().find(|outlet| outlet.is_ipv4() == forward.to.is_ipv4()).copied();
        self.note(host, What::Called { call: forward.call, to: forward.to });
        match outlet {
            Some(outlet) => self.transmit(host, outlet, forward.to, &forward.message),
            None => unreachable!("a call of a family that there is no socket for"),
        }
    }

    /// A datagram has come in where calls leave from.
    pub(super) fn answered(&mut self, host: HostId, from: SocketAddr, message: &[u8]) {
        let (now, mut buffer) = (self.time(), vec![0; 9_000]);
        let Some((service, _)) = &mut self.hosts[host.0].service else { return };
        if let Some(end) = service.answered(now, from, message, &mut buffer) {
            self.deliver(host, end, &buffer);
        }
    }

    /// When the next call's time is over, on any host.
    pub(super) fn calls_deadline(&self) -> Option<Duration> {
        let services = self.hosts.iter().filter_map(|host| host.service.as_ref());
        services.filter_map(|(service, _)| service.next_deadline()).min()
    }

    /// Ends the calls whose time is over.
    pub(super) fn end_calls(&mut self) {
        let (now, mut buffer) = (self.time(), vec![0; 9_000]);
        for index in 0..self.hosts.len() {
            while let Some((service, _)) = &mut self.hosts[index].service
                && let Some(end) = service.expire(now, &mut buffer)
            {
                self.deliver(HostId(index), end, &buffer);
            }
        }
    }

    fn deliver(&mut self, host: HostId, end: RemoteEnd, buffer: &[u8]) {
        let RemoteEnd { call, caller, why, reply } = end;
        let bytes = reply.map(|late| {
            assert!(late.len <= late.budget.bytes(), "{} bytes for {:?}", late.len, late.budget);
            buffer[..late.len].to_vec()
        });
        self.note(host, What::Ended { call, caller, why, reply: bytes.clone() });
        if let (Caller::Datagram(datagram), Some(bytes)) = (&caller, bytes) {
            let (from, to) = (datagram.local, datagram.from);
            self.note(host, What::Replied { from, to, len: bytes.len() });
            self.transmit(host, from, to, &bytes);
        }
    }
}

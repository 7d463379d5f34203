//! Remote calls in the life of a port mapper: who is called, what services answer, and how each call ends.

use super::*;

impl Life {
    /// CALLIT, BCAST and INDIRECT.
    pub(super) fn call_remotely(&mut self, bytes: &mut Bytes<'_>) {
        let who = caller(bytes.byte());
        let forms = [(V2, bind::CALLIT), (V3, bind::CALLIT), (V4, bind::BCAST), (V4, bind::INDIRECT)];
        let ((called, form), xid) = (bytes.one_of(&forms), Xid(bytes.byte().into()));
        let (program, version) = (Program(bytes.one_of(&PROGRAMS)), Version(bytes.one_of(&VERSIONS)));
        let (choice, len) = (bytes.byte(), bytes.byte());
        let procedure = Procedure(u32::from(choice % 4));
        let claim = AuthSys {
            stamp: 1,
            machine_name: &b"anybody"[..usize::from(choice >> 4 & 7)],
            uid: choice.into(),
            gid: 0,
            gids: Gids::new(&[7; 16][..usize::from(choice >> 2 & 3)]),
        };
        let credential = match choice {
            0..0x80 => OpaqueAuth::NONE,
            _ => OpaqueAuth { flavor: flavor::SYS, body: &encoded(&claim) },
        };
        let wanted = RemoteCall { program, version, procedure, arguments: bytes.part(len.into()) };
        let arguments = encoded(&wanted);
        let call = Call { credential, arguments: &arguments, ..Call::new(xid, bind::PROGRAM, called, form) };
        let (reply, change) = self.send(&who, 0, &encoded(&call));
        assert!(change.is_none());
        assert!(reply.is_empty() || reply[..4] == xid.0.to_be_bytes());
    }

    /// Only a service of this host is ever called, never ourselves, and no more often than is allowed.
    pub(super) fn is_called(&mut self, forward: Forward, who: &Caller, message: &[u8], room: usize) {
        let call = Call::decode(&forward.message).expect("what is sent is a call");
        assert_ne!(call.program, bind::PROGRAM);
        self.assert_may_be_called(&call);
        self.assert_is_told(&call, message);
        let is_at = |row: &&Row| {
            let family = self.service.netids().family(row.netid).expect("a netid of the table");
            let at =
                UniversalAddress::parse(row.address.as_bytes(), family).and_then(|address| address.port());
            (row.program, row.version, at) == (call.program, call.version, Some(forward.to.port()))
                && matches!(row.netid, Netid::UDP | Netid::UDP6)
        };
        assert!(self.rows.iter().any(|row| is_at(&row)), "{forward:?} is to nobody who is registered");
        assert!(![111, 50_004, 50_006].contains(&forward.to.port()), "{forward:?} is to ourselves");
        let is_own = interfaces().addresses.iter().any(|own| own.address == forward.to.ip());
        assert!(is_own || forward.to.ip().is_loopback(), "{forward:?} leaves this host");
        let xid = *message.first_chunk().expect("a call has an xid");
        self.under_way.push(UnderWay { forward, caller: *who, xid, room, since: self.elapsed });
        assert!(self.service.calls_under_way() <= 8 + 2);
    }

    /// NULL of everything; of programs that are well known nothing else unless everything is allowed, and of NFS not
    /// even then.
    fn assert_may_be_called(&self, call: &Call<'_>) {
        let is_well_known = call.program.0 < 0x2000_0000;
        let is_allowed = !is_well_known || self.calls_everything() && call.program.0 != 100_003;
        assert!(call.procedure == Procedure::NULL || is_allowed, "{call:?} is made for nobody");
    }

    fn calls_everything(&self) -> bool {
        self.policy.remote_calls == calls_of_everything()
    }

    /// A service is told of whoever called us what that one claims, with the time of now, or nothing.
    fn assert_is_told(&self, call: &Call<'_>, message: &[u8]) {
        let asked = Call::decode(message).expect("what asked for it is a call").credential;
        assert_eq!(call.verifier, OpaqueAuth::NONE);
        if !self.calls_everything() || asked.flavor != flavor::SYS {
            assert_eq!(call.credential, OpaqueAuth::NONE);
            return;
        }
        let claim = AuthSys::from_body(asked.body).expect("malformed credentials are refused");
        let told = AuthSys::from_body(call.credential.body).expect("a credential");
        assert_eq!(call.credential.flavor, flavor::SYS);
        assert_eq!(told, AuthSys { stamp: self.now().unix_seconds, ..claim });
    }

    /// A datagram comes in where services answer: only that of the one that was called, with the xid of that call,
    /// ends it, once.
    pub(super) fn answer_remotely(&mut self, bytes: &mut Bytes<'_>) {
        let (which, kind, len) = (usize::from(bytes.byte()), bytes.byte(), bytes.byte());
        let results = bytes.part(len.into());
        let Some(at) = which.checked_rem(self.under_way.len()) else { return };
        let forward = &self.under_way[at].forward;
        let mut from = forward.to;
        let mut xid: [u8; 4] = *forward.message.first_chunk().expect("a call has an xid");
        from.set_port(from.port() ^ u16::from(kind & 1));
        xid[3] ^= kind >> 1 & 1;
        let message_type = u32::from(kind >> 2 & 1 == 0);
        let is_right = kind & 7 == 0;
        let head: &[u32] = if kind & 8 == 0 { &[0, 0, 0, 0] } else { &[] };
        let mut answer = [xid, message_type.to_be_bytes()].concat();
        answer.extend(head.iter().flat_map(|word| word.to_be_bytes()));
        answer.extend_from_slice(results);
        let mut reply = vec![0; 9_000];
        let end = self.service.answered(self.now(), from, &answer, &mut reply);
        assert_eq!(end.as_ref().map(|end| end.call), is_right.then_some(self.under_way[at].forward.call));
        if let Some(end) = end {
            self.ended(end, &reply);
        }
    }

    /// What leaves for a remote call that has ended goes to whoever asked, and is no longer than that may be.
    pub(super) fn ended(&mut self, end: RemoteEnd, reply: &[u8]) {
        let at = self.under_way.iter().position(|call| call.forward.call == end.call);
        let call = self.under_way.remove(at.expect("it was under way"));
        assert_eq!(end.caller, call.caller);
        let Some(late) = end.reply else { return };
        assert!(late.len <= call.room && late.budget.bytes() <= call.room);
        let reply = Reply::decode(&reply[..late.len]).expect("what leaves is a reply");
        assert_eq!(reply.xid.0.to_be_bytes(), call.xid);
    }

    /// Time passes; what has taken too long ends, and one call that cannot be delivered.
    pub(super) fn expire(&mut self, bytes: &mut Bytes<'_>) {
        self.elapsed += Duration::from_millis(u64::from(bytes.byte()) * 64);
        let mut reply = vec![0; 9_000];
        if let Some(at) = usize::from(bytes.byte()).checked_rem(self.under_way.len()) {
            let id = self.under_way[at].forward.call;
            let end = self.service.undeliverable(self.now(), id, &mut reply).expect("it is under way");
            self.ended(end, &reply);
            assert_eq!(self.service.undeliverable(self.now(), id, &mut reply), None);
        }
        while let Some(end) = self.service.expire(self.now(), &mut reply) {
            self.ended(end, &reply);
        }
        let expiry = self.policy.remote_calls.expiry;
        assert!(self.under_way.iter().all(|call| self.elapsed < call.since + expiry));
        assert!(self.service.next_deadline().is_none_or(|deadline| deadline > self.elapsed));
    }
}

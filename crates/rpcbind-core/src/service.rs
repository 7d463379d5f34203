//! Program 100000: the one entrance for messages, from whoever they come and over whatever.
//! One owner of the state, no lock, no clock, no I/O.

use crate::access::ProcedureKind;
use crate::budget::Budget;
use crate::caller::{Caller, Now, Transport};
use crate::facts::Facts;
use crate::forward::Forwards;
use crate::interfaces::{Host, Interfaces};
use crate::limiter::{Charge, Limiter};
use crate::liveness;
use crate::outcome::{Handled, Outcome, Reason, Why};
use crate::policy::{self, Admitted, Class};
use crate::registry::{Owner, Registry, Row};
use crate::settings::{OwnAddress, Policy, Settings};
use crate::statistics::Statistics;
use crate::status::{self, Health};
use crate::{remote, rpcb, v2};
use alloc::vec::Vec;
use oncrpc::auth::flavor;
use oncrpc::bind::{self, Netid, UniversalAddress, V2, V3, V4};
use oncrpc::xdr::{Encode, Error, Writer};
use oncrpc::{Answer, AuthStatus, AuthSys, Call, CallError, Reply, Version, Xid};

/// The port mapper: its registry, what it was told about the host, and what it has counted.
///
/// ```
/// use core::time::Duration;
/// use oncrpc::xdr::{Encode, Writer};
/// use oncrpc::{Answer, Call, Procedure, Reply, Xid, bind};
/// use rpcbind_core::caller::{Caller, Namespace, Now};
/// use rpcbind_core::facts::Facts;
/// use rpcbind_core::outcome::Outcome;
/// use rpcbind_core::{Service, Settings};
///
/// let mut service = Service::new(Settings::default());
/// let now = Now { monotonic: Duration::ZERO, unix_seconds: 1_000_000_000 };
/// let caller = Caller::Unix { uid: Some(0), namespace: Namespace(0) };
///
/// let mut message = [0; 64];
/// let mut writer = Writer::new(&mut message);
/// Call::new(Xid(7), bind::PROGRAM, bind::V3, bind::GETTIME).encode(&mut writer)?;
/// let mut reply = [0; 64];
/// let handled = service.handle(now, &caller, &Facts::default(), writer.written(), &mut reply);
/// assert_eq!(handled.outcome, Outcome::Reply { len: 28 });
/// let seconds = 1_000_000_000_u32.to_be_bytes();
/// assert_eq!(Reply::decode(&reply[..28])?.answer, Answer::Success(&seconds));
/// # Ok::<(), oncrpc::xdr::Error>(())
/// ```
#[derive(Debug)]
pub struct Service {
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    pub(crate) host: Host,
    pub(crate) statistics: Statistics,
    pub(crate) deaths: liveness::Counts,
    pub(crate) health: Health,
    /// Remote calls under way; `None`: none is ever made.
    pub(crate) forwards: Option<Forwards>,
    /// The ports of our own sockets.
    pub(crate) own_ports: Vec<u16>,
    limiter: Option<Limiter>,
}

impl Service {
    /// Starts with the port mapper's own rows and nothing else.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut service = Self {
            registry: Registry::new(settings.seed),
            host: Host::default(),
            statistics: Statistics::default(),
            deaths: liveness::Counts::default(),
            health: Health::default(),
            forwards: settings.forwarding.map(Forwards::new),
            own_ports: ports(&settings),
            limiter: settings.policy.limits.map(|_| Limiter::new(settings.seed)),
            settings,
        };
        service.list_ourselves();
        service
    }

    /// Handles one message, without its record mark, and writes the reply into the lent buffer, whose length is the
    /// most that may leave: [`Service::budget`] tells it.
    ///
    /// After [`Outcome::Need`] nothing has happened yet: call again with the same message and the answer in `facts`.
    /// A message asks for each kind of fact at most once.
    pub fn handle(
        &mut self,
        now: Now,
        caller: &Caller,
        facts: &Facts,
        message: &[u8],
        reply: &mut [u8],
    ) -> Handled {
        let handled = self.decide(now, caller, facts, message, reply);
        match &handled.outcome {
            Outcome::Reply { .. } => self.limit(now, caller, handled),
            _ => handled,
        }
    }

    /// Silence instead of a reply when the caller's prefix has had as many as it gets.
    fn limit(&mut self, now: Now, caller: &Caller, handled: Handled) -> Handled {
        let charge = match handled.why.reason {
            Reason::Answered | Reason::NotRegistered => Charge::Reply,
            _ => Charge::Error,
        };
        if self.may_leave(now, caller, charge) {
            return handled;
        }
        Handled::silent(handled.why, Reason::RateLimited)
    }

    /// Whether this caller's prefix gets another reply, which is charged then.
    pub(crate) fn may_leave(&mut self, now: Now, caller: &Caller, charge: Charge) -> bool {
        let (Some(limits), Some(limiter)) = (self.settings.policy.limits, &mut self.limiter) else {
            return true;
        };
        policy::is_limited(caller, &self.host)
            .is_none_or(|source| limiter.take(now.monotonic, limits, source, charge))
    }

    fn decide(
        &mut self,
        now: Now,
        caller: &Caller,
        facts: &Facts,
        message: &[u8],
        reply: &mut [u8],
    ) -> Handled {
        let reason = Reason::NotACall;
        let mut why = Why { version: None, procedure: None, program: None, target: None, reason };
        let admitted = match policy::admit(self.forwards.is_some(), caller, &self.host, message.len()) {
            Ok(admitted) => admitted,
            Err(reason) => return Handled::silent(why, reason),
        };
        let call = match (admitted, Call::decode(message)) {
            (Admitted::Whole, Ok(call)) => call,
            (Admitted::Whole, Err(error)) => return refuse_undecoded(why, error, Writer::new(reply)),
            (Admitted::BroadcastCall, Ok(call)) if remote::is_broadcast(&call) => call,
            (Admitted::BroadcastCall, _) => return Handled::silent(why, Reason::Unanswerable),
        };
        let writer = Writer::new(reply);
        why.version = Some(call.version);
        why.procedure = Some(call.procedure);
        if let Err((reason, answer)) = admit_call(&call, caller) {
            return match admitted {
                Admitted::Whole => refuse(why, reason, call.xid, answer, writer),
                Admitted::BroadcastCall => Handled::silent(why, Reason::Unanswerable),
            };
        }
        let question = Ask { now, caller, facts, call: &call, message_len: message.len() };
        if call.program == bind::status::PROGRAM {
            return status::handle(self, &question, why, writer);
        }
        match call.version {
            V2 => v2::handle(self, &question, why, writer),
            _ => rpcb::handle(self, &question, why, writer),
        }
    }

    /// The most bytes that may answer a message of this length from this caller.
    #[must_use]
    pub fn budget(&self, caller: &Caller, message_len: usize) -> Budget {
        policy::budget(&self.settings.policy, caller, &self.host, message_len)
    }

    /// Takes the host's interface table, at start and whenever it has changed.
    pub fn set_interfaces(&mut self, interfaces: Interfaces) {
        self.host = Host::new(interfaces);
    }

    /// Whether an interface has this name in the table that was taken last.
    #[must_use]
    pub fn has_interface(&self, name: &str) -> bool {
        self.host.index_of(name).is_some()
    }

    /// Takes new rules; rows that are registered stay.
    pub fn set_policy(&mut self, policy: Policy) {
        if policy.limits.is_some() && self.limiter.is_none() {
            self.limiter = Some(Limiter::new(self.settings.seed));
        }
        self.settings.policy = policy;
    }

    /// The rules in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.settings.policy
    }

    /// The registry, for whoever shows or keeps it.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The netids, which give the rows' netids their names.
    #[must_use]
    pub fn netids(&self) -> &bind::Netids {
        &self.settings.netids
    }

    fn list_ourselves(&mut self) {
        let own = core::mem::take(&mut self.settings.own);
        for OwnAddress { transport, address } in &own {
            let netid = netid(*transport);
            let Some(family) = self.settings.netids.family(netid) else { continue };
            let in_version_2 = matches!(transport, Transport::Udp | Transport::Tcp);
            for version in [V4, V3, V2].into_iter().filter(|version| *version != V2 || in_version_2) {
                let row = Row {
                    program: bind::PROGRAM,
                    version,
                    netid,
                    address: address.clone(),
                    owner: Owner::ROOT,
                    namespace: self.settings.home,
                };
                self.registry.insert(row, family);
            }
        }
        self.settings.own = own;
    }
}

/// One call with everything that came with it.
pub(crate) struct Ask<'a> {
    pub(crate) now: Now,
    pub(crate) caller: &'a Caller,
    pub(crate) facts: &'a Facts,
    pub(crate) call: &'a Call<'a>,
    /// The length of the whole message.
    pub(crate) message_len: usize,
}

impl Ask<'_> {
    /// The netid of the transport that the call arrived on.
    pub(crate) fn netid(&self) -> Netid {
        netid(self.caller.transport())
    }
}

/// The netid of a transport of ours.
pub(crate) fn netid(transport: Transport) -> Netid {
    match transport {
        Transport::Udp => Netid::UDP,
        Transport::Tcp => Netid::TCP,
        Transport::Udp6 => Netid::UDP6,
        Transport::Tcp6 => Netid::TCP6,
        Transport::Local => Netid::LOCAL,
    }
}

/// The ports of our own sockets, as they are listed.
fn ports(settings: &Settings) -> Vec<u16> {
    let listed = settings.own.iter().filter_map(|own| {
        let family = settings.netids.family(netid(own.transport))?;
        UniversalAddress::parse(own.address.as_bytes(), family)?.port()
    });
    listed.chain([settings.port]).collect()
}

/// What is said to a message that does not decode as a call.
fn refuse_undecoded(why: Why, error: CallError, writer: Writer<'_>) -> Handled {
    let bad = |status| (Reason::BadCredential, Answer::AuthError(status));
    let (xid, (reason, answer)) = match error {
        CallError::NotACall => return Handled::silent(why, Reason::NotACall),
        CallError::RpcVersion { xid } => {
            (xid, (Reason::RpcMismatch, Answer::RpcMismatch { low: 2, high: 2 }))
        }
        CallError::Credential { xid } => (xid, bad(AuthStatus::BadCredential)),
        CallError::Verifier { xid } => (xid, bad(AuthStatus::BadVerifier)),
    };
    refuse(why, reason, xid, answer, writer)
}

/// Credentials first, then program, version and procedure.
fn admit_call(call: &Call<'_>, caller: &Caller) -> Result<(), (Reason, Answer<'static>)> {
    match call.credential.flavor {
        flavor::NONE => {}
        flavor::SYS => {
            if AuthSys::from_body(call.credential.body).is_err() {
                return Err((Reason::BadCredential, Answer::AuthError(AuthStatus::BadCredential)));
            }
        }
        _ => return Err((Reason::RejectedCredential, Answer::AuthError(AuthStatus::RejectedCredential))),
    }
    if call.program == bind::status::PROGRAM && matches!(caller, Caller::Unix { .. }) {
        return status::admit(call);
    }
    if call.program != bind::PROGRAM {
        return Err((Reason::ProgramUnavailable, Answer::ProgramUnavailable));
    }
    let (low, high) = (V2.0, V4.0);
    if !matches!(call.version, V2 | V3 | V4) {
        return Err((Reason::VersionMismatch, Answer::ProgramMismatch { low, high }));
    }
    Ok(())
}

/// An error for an answer: silence when not even that fits.
pub(crate) fn refuse(
    why: Why,
    reason: Reason,
    xid: Xid,
    answer: Answer<'_>,
    mut writer: Writer<'_>,
) -> Handled {
    writer.truncate(0);
    let outcome = match (Reply { xid, answer }).encode(&mut writer) {
        Ok(()) => Outcome::Reply { len: writer.len() },
        Err(_) => Outcome::Silent,
    };
    Handled { why: Why { reason, ..why }, outcome }
}

impl Service {
    /// Results for an answer. What does not fit is refused: see [`Service::answer_too_long`].
    pub(crate) fn answer(
        &self,
        ask: &Ask<'_>,
        why: Why,
        reason: Reason,
        mut writer: Writer<'_>,
        results: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Handled {
        let xid = ask.call.xid;
        match Reply::encode_success(xid, &mut writer).and_then(|()| results(&mut writer)) {
            Ok(()) => Handled { why: Why { reason, ..why }, outcome: Outcome::Reply { len: writer.len() } },
            Err(_) => self.too_long(ask, why, writer),
        }
    }

    /// The refusal of a reply that is longer than the lent buffer.
    pub(crate) fn too_long(&self, ask: &Ask<'_>, why: Why, writer: Writer<'_>) -> Handled {
        refuse(why, Reason::ReplyTooLong, ask.call.xid, self.answer_too_long(ask.caller), writer)
    }

    /// What is said instead of a reply that does not fit: that a source that is not verified may not have it, and to
    /// everybody else that we cannot send it.
    pub(crate) fn answer_too_long(&self, caller: &Caller) -> Answer<'static> {
        match policy::class_for_reading(caller, &self.host) {
            Class::Datagram => Answer::AuthError(AuthStatus::TooWeak),
            _ => Answer::SystemError,
        }
    }

    /// Asks the access lists.
    pub(crate) fn permit(&self, ask: &Ask<'_>, why: Why) -> Result<(), Reason> {
        let Some(kind) = ProcedureKind::of(ask.call.version.0, ask.call.procedure.0) else {
            return Err(Reason::ProcedureUnavailable);
        };
        policy::permit(&self.settings.policy, ask.caller, kind, why.program)
    }

    /// Counts a call: when it arrives, but SET and UNSET only when no fact is missing any more.
    pub(crate) fn count(&mut self, version: Version, ask: &Ask<'_>) {
        self.statistics.called(version, ask.call.procedure);
    }
}

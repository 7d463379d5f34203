//! One kind of call to a port mapper without sockets, so many times, for whoever counts the instructions: what two
//! counts differ by is the calls alone. It prints nothing and measures nothing itself, so that runs are alike.

use oncrpc::auth::OpaqueAuth;
use oncrpc::bind::{self, Mapping, Protocol, Rpcb};
use oncrpc::xdr::{Encode, Error, Writer};
use oncrpc::{Call, Procedure, Program, Version, Xid};
use rpcbind_core::access::{
    AccessList, AccessRule, Action, ClientPattern, HostRule, HostRules, Prefix, ProcedureSet,
};
use rpcbind_core::caller::{Caller, Datagram, Namespace, Now};
use rpcbind_core::facts::Facts;
use rpcbind_core::interfaces::Interfaces;
use rpcbind_core::limiter::{Limits, Rate};
use rpcbind_core::outcome::Outcome;
use rpcbind_core::settings::Policy;
use rpcbind_core::{Service, Settings};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: instructions CALL ROWS STRANGE COUNT

  CALL     null, gettime, getport, unregistered, getaddr, getversaddr, getaddrlist, dump, change, refused, far
  ROWS     services registered before
  STRANGE  calls about programs that are not registered, before
  COUNT    how many times";

/// The program of the last of the rows, which is the one looked up.
const FIRST_PROGRAM: u32 = 0x2000_0000;

/// The port mapper and what it is called with.
struct Run {
    service: Service,
    now: Now,
    reply: [u8; 8_800],
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [call, numbers @ ..] = arguments.as_slice() else { return usage() };
    let numbers: Result<Vec<u32>, _> = numbers.iter().map(|number| number.parse()).collect();
    let Ok([rows, strange, count]) = numbers.as_deref() else { return usage() };
    match run(call, *rows, *strange, *count) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Whether there is such a call and every one of them went as it should.
fn run(name: &str, rows: u32, strange: u32, count: u32) -> Result<bool, Error> {
    let mut run = Run::new();
    let program = |number: u32| Program(FIRST_PROGRAM.saturating_add(number));
    for number in 0..rows {
        run.expect(&unix(), &set(program(number))?, |outcome| matches!(outcome, Outcome::Commit { .. }));
    }
    for number in 0..strange {
        let strange = getport(program(rows.saturating_add(number)))?;
        run.expect(&near(), &strange, |outcome| matches!(outcome, Outcome::Reply { len: 28 }));
    }
    if name == "far" {
        run.service.set_policy(guarded());
    }
    let Some(load) = Load::named(name, program(rows.saturating_sub(1)), program(rows))? else {
        return Ok(false);
    };
    for _ in 0..count {
        for message in &load.messages {
            run.expect(&load.caller, message, load.is_right);
        }
    }
    Ok(true)
}

/// What is sent again and again.
struct Load {
    caller: Caller,
    messages: Vec<Vec<u8>>,
    is_right: fn(&Outcome) -> bool,
}

impl Load {
    /// The calls of this name; `registered` is a service's program and `new` nobody's.
    fn named(name: &str, registered: Program, new: Program) -> Result<Option<Self>, Error> {
        let message = match name {
            "null" => call(bind::V2, Procedure::NULL, &[]),
            "gettime" => call(bind::V3, bind::GETTIME, &[]),
            "getport" | "far" => getport(registered),
            "unregistered" => getport(new),
            "getaddr" => rpcb(bind::V3, bind::GETADDR, registered),
            "getversaddr" => rpcb(bind::V4, bind::GETVERSADDR, registered),
            "getaddrlist" => rpcb(bind::V4, bind::GETADDRLIST, registered),
            "dump" => call(bind::V4, bind::DUMP, &[]),
            "change" => set(new),
            "refused" => {
                let credential = OpaqueAuth { flavor: 6, body: &[] };
                encoded(&Call { credential, ..Call::new(Xid(1), bind::PROGRAM, bind::V2, bind::GETPORT) })
            }
            _ => return Ok(None),
        }?;
        let load = |caller, messages, is_right| Ok(Some(Self { caller, messages, is_right }));
        match name {
            "far" => load(far(), vec![message], |outcome| matches!(outcome, Outcome::Reply { .. })),
            "dump" => load(unix(), vec![message], |outcome| matches!(outcome, Outcome::Table { .. })),
            // A row comes and goes, so that their number stays.
            "change" => load(unix(), vec![message, rpcb(bind::V4, bind::UNSET, new)?], |outcome| {
                matches!(outcome, Outcome::Commit { .. })
            }),
            _ => load(near(), vec![message], |outcome| matches!(outcome, Outcome::Reply { .. })),
        }
    }
}

impl Run {
    /// A host with two interfaces.
    fn new() -> Self {
        let mut service = Service::new(Settings { seed: [1, 2], ..Settings::default() });
        service.set_interfaces(Interfaces::of([(1, LOOPBACK, 8), (2, OURS, 24)]));
        let now = Now { monotonic: Duration::from_secs(1), unix_seconds: 1_700_000_000 };
        Self { service, now, reply: [0; 8_800] }
    }

    /// One call, as the daemon's loop makes it.
    fn expect(&mut self, caller: &Caller, message: &[u8], is_right: impl Fn(&Outcome) -> bool) {
        let budget = self.service.budget(caller, message.len());
        let reply = self.reply.get_mut(..budget.bytes()).unwrap_or_default();
        let handled = self.service.handle(self.now, caller, &Facts::default(), black_box(message), reply);
        assert!(is_right(&handled.outcome), "{handled:?}");
        black_box(&self.reply);
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Root on the unix socket.
fn unix() -> Caller {
    Caller::Unix { uid: Some(0), namespace: Namespace(0) }
}

/// A datagram of this host's.
fn near() -> Caller {
    datagram(LOOPBACK, LOOPBACK, 1)
}

/// A datagram of somebody else's.
fn far() -> Caller {
    datagram(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), OURS, 2)
}

fn datagram(from: IpAddr, to: IpAddr, interface: u32) -> Caller {
    Caller::Datagram(Datagram {
        from: SocketAddr::new(from, 40_000),
        destination: to,
        local: SocketAddr::new(to, bind::PORT),
        interface,
        mapped: false,
    })
}

/// Limits that are never reached and rules that are looked through to their end.
fn guarded() -> Policy {
    let rate = Rate::new(1_000_000_000, 1_000_000_000);
    let elsewhere = [Ipv4Addr::new(203, 0, 113, 0), Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(172, 16, 0, 0)];
    let hosts = elsewhere.map(|net| HostRule {
        clients: vec![vec![ClientPattern::Masked { net: net.to_bits(), mask: 0xffff_ff00 }]],
        admit: true,
    });
    let access = elsewhere.map(|net| AccessRule {
        action: Action::Deny,
        from: Prefix::new(IpAddr::V4(net), 24).into_iter().collect(),
        procedures: ProcedureSet::ALL,
        programs: Vec::new(),
    });
    Policy {
        limits: Some(Limits { replies: rate, errors: rate }),
        hosts: HostRules::new(hosts.to_vec(), Vec::new()),
        access: AccessList::new(access.to_vec()),
        ..Policy::default()
    }
}

fn getport(program: Program) -> Result<Vec<u8>, Error> {
    let mut arguments = [0; 16];
    let wanted = Mapping { program, version: Version(1), protocol: Protocol::UDP, port: 0 };
    wanted.encode(&mut Writer::new(&mut arguments))?;
    call(bind::V2, bind::GETPORT, &arguments)
}

fn set(program: Program) -> Result<Vec<u8>, Error> {
    rpcb(bind::V4, bind::SET, program)
}

/// A call with a service's address, which look-ups take for the one that the caller used.
fn rpcb(version: Version, procedure: Procedure, program: Program) -> Result<Vec<u8>, Error> {
    let mut arguments = [0; 96];
    let mut writer = Writer::new(&mut arguments);
    let address = if procedure == bind::SET { "0.0.0.0.8.1" } else { "127.0.0.1.0.111" };
    let wanted = Rpcb {
        program,
        version: Version(1),
        netid: b"udp",
        address: address.as_bytes(),
        owner: b"superuser",
    };
    wanted.encode(&mut writer)?;
    call(version, procedure, writer.written())
}

fn call(version: Version, procedure: Procedure, arguments: &[u8]) -> Result<Vec<u8>, Error> {
    encoded(&Call { arguments, ..Call::new(Xid(1), bind::PROGRAM, version, procedure) })
}

fn encoded(call: &Call<'_>) -> Result<Vec<u8>, Error> {
    let mut message = [0; 160];
    let mut writer = Writer::new(&mut message);
    call.encode(&mut writer)?;
    Ok(writer.written().to_vec())
}

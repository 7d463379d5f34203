//! The daemon from its command line to its end: what is wrong is said before anything is opened; what needs root is
//! done first, then privileges end, and only then the first byte from outside is read.
//! It must never say that it is ready and serve less than it was told to, unless it was told to.

mod adopt;
mod by_hand;
mod call_log;
mod check;
mod rows;
mod rules;
mod running;
mod sockets;
mod storing;
mod watch;

use std::path::Path;
use std::sync::{Arc, Mutex};

use log::{error, info, warn};
use rpcbind_core::settings::Credentials;

use crate::args::Args;
use crate::config::{self, Faults, RemoteCaps, Settings};
use crate::confine::{self, Missing};
use crate::hosts::Unreadable;
use crate::kept::Kept;
use crate::lock::{self, Lock, LockError};
use crate::logging::{self, Destination, ProgramNames, START};
use crate::net::dispatch::NoJournal;
use crate::net::forward::Outlets;
use crate::net::inherit::InheritError;
use crate::net::listen::Socket;
use crate::net::signals::Signals;
use crate::notify::Notifier;
use crate::privilege::{self, PrivilegeError, User, UserError};
use crate::process::{self, Detached, PassedError, Starting};
use crate::server::{Endpoint, Limits, LoopError, Parts, Remote, Server};
use crate::state::beginning::Adopted;
use crate::state::durable::status_line;
use crate::state::prepare::{self, PrepareError, Prepared};
use rows::Place;
use rules::Rules;
use sockets::SocketsError;
use storing::Storing;

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] Faults),
    #[error("{0}; nobody can be let in by rules that are not known")]
    Hosts(#[from] Unreadable),
    #[error("{0} faults in the hosts files, and strict-hosts is set")]
    StrictHosts(usize),
    #[error(transparent)]
    Passed(#[from] PassedError),
    #[error("{0}; see systemd.socket(5)")]
    Inherit(#[from] InheritError),
    #[error(transparent)]
    Sockets(#[from] SocketsError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error(transparent)]
    State(#[from] PrepareError),
    #[error("--adopt: {0}")]
    Adopt(String),
    #[error("{0}")]
    ByHand(String),
    #[error("cannot {0}: {1}")]
    System(&'static str, #[source] std::io::Error),
    #[error("{0}, and --require-sandbox is set")]
    Sandbox(Missing),
    #[error(transparent)]
    Loop(#[from] LoopError),
}

/// Runs the daemon to its end; answers the exit status. In the background mode the process that was started returns
/// as soon as the daemon is ready or has failed. To be called once, from `main`, before there are threads.
#[must_use]
pub fn run(args: &Args) -> u8 {
    // It fails only when somebody else's logging has begun, and then that one is used.
    let _ = logging::install(args.debug);
    match start(args) {
        Ok(status) => status,
        Err(StartError::Config(Faults(faults))) => {
            for fault in faults {
                error!(target: START, "{fault}");
            }
            1
        }
        Err(error) => {
            // One event a line: an error with its remedy may have several.
            for line in error.to_string().lines() {
                error!(target: START, "{line}");
            }
            1
        }
    }
}

fn start(args: &Args) -> Result<u8, StartError> {
    let names = Arc::new(ProgramNames::load().unwrap_or_else(|error| {
        warn!(target: START, "/etc/rpc: {error}; programs are logged by number");
        ProgramNames::default()
    }));
    if args.check {
        return Ok(check::run(args, &names));
    }
    let config::Loaded { settings, warnings } = config::load(args, &names)?;
    if args.self_test {
        return Ok(confine::self_test::run(&settings));
    }
    if let Some(from) = &args.import {
        return by_hand::import(&settings, from).map(|()| 0);
    }
    if let Some(to) = &args.export {
        return by_hand::export(&settings, to).map(|()| 0);
    }
    let mut kept = Kept::sort(process::passed()?);
    let starting = if settings.foreground {
        None
    } else {
        match process::detach().map_err(|error| StartError::System("go to the background", error))? {
            Detached::Child(starting) => Some(starting),
            Detached::Parent { status } => return Ok(u8::try_from(status).unwrap_or(1)),
        }
    };
    begin_to_log(&settings);
    for warning in warnings.into_iter().chain(doubts(&settings)) {
        warn!(target: START, "{warning}");
    }
    let limit = process::raise_descriptor_limit();
    let adopted = if args.adopt { adopt::adopt(&settings)? } else { None };
    let notifier = notifier();
    let sockets = sockets::gather(&settings, &mut kept, &notifier)?;
    let found = Found { sockets, storing: Storing::new(kept, &notifier), adopted };
    let result = serve(args, settings, (&names, &notifier), found, limit, starting);
    if let Err(StartError::Loop(error)) = &result
        && args.abort
        && args.debug > 0
    {
        error!(target: START, "{error}");
        std::process::abort();
    }
    result
}

/// What there is before anything is served.
struct Found {
    sockets: Vec<Socket>,
    storing: Storing,
    adopted: Option<Adopted>,
}

/// Everything after the sockets are open. Dropping out of it closes them.
fn serve(
    args: &Args,
    settings: Settings,
    (names, notifier): (&Arc<ProgramNames>, &Arc<Notifier>),
    found: Found,
    limit: u64,
    starting: Option<Starting>,
) -> Result<u8, StartError> {
    let Found { mut sockets, mut storing, adopted } = found;
    let system = |step| move |error| StartError::System(step, error);
    let _lock = take_lock(&sockets)?;
    let user = if is_root() { Some(User::find(settings.daemon_user, settings.user)?) } else { None };
    let directory = state_directory(&settings, user.as_ref())?;
    storing.listeners(&mut sockets);
    let rules = Rules::load(args.clone(), settings.clone(), names.clone())?;
    let signals = Signals::take().map_err(system("take over the signals"))?;
    for file in rules.out_of_reach() {
        let (file, readable) = (file.display(), confine::READABLE);
        warn!(target: START, "{file} is not under {readable}: after the start it cannot be read again");
    }
    let remote = remote(&settings, &sockets)?;
    let parts = Parts {
        sockets,
        policy: rules.policy(),
        netids: settings.netids.clone(),
        caps: settings.caps,
        limits: limits(&settings, limit),
        journal: Box::new(NoJournal),
        observer: rules.observer(),
        remote,
    };
    let mut server = Server::new(parts).map_err(system("set up the event loop"))?;
    let endpoints: Vec<String> = server.endpoints().map(Endpoint::to_string).collect();
    rules.name_absent_interfaces(server.service());
    attend(&mut server, signals, rules, notifier)?;
    let place = Place::new(directory, storing.tables(), server.home());
    privilege::drop_to(user.as_ref())?;
    confined(confine::files(place.as_ref().and_then(Place::directory)), args)?;
    rows::begin(place, adopted, &mut server, notifier);
    storing.connections(&mut server);
    confined(confine::calls(), args)?;
    let name = user.as_ref().map_or_else(own_name, |user| user.name.clone());
    info!(target: START, "ready: {}; running as {name}", endpoints.join(", "));
    if let Err(error) = notifier.ready(&status_line(server.service())) {
        warn!(target: START, "the service manager cannot be told: {error}");
    }
    if let Some(starting) = starting
        && let Err(error) = starting.ready()
    {
        warn!(target: START, "whoever started this cannot be told that it is ready: {error}");
    }
    let result = server.run();
    // A manager that is gone does not need to know.
    let _ = notifier.stopping();
    server.finish();
    result?;
    info!(target: START, "ended");
    Ok(0)
}

/// Has the server heed what there is beside its sockets: signals, the hosts files, the time.
fn attend(
    server: &mut Server,
    signals: Signals,
    rules: Rules,
    notifier: &Arc<Notifier>,
) -> Result<(), StartError> {
    let system = |step| move |error| StartError::System(step, error);
    let files = watch::Files::new(&rules);
    let rules = Arc::new(Mutex::new(rules));
    let control = watch::Control::new(signals, rules.clone(), notifier.clone());
    server.watch(Box::new(control)).map_err(system("watch for signals"))?;
    if let Some(files) = files {
        server.watch(Box::new(files.reloading(rules))).map_err(system("watch the hosts files"))?;
    }
    server.time(Box::new(watch::Suppressed));
    if let Some(interval) = storing::watchdog() {
        server.time(Box::new(watch::SignsOfLife::new(notifier.clone(), interval)));
    }
    Ok(())
}

/// What is missing of the confinement is said, or is fatal where it was asked for.
fn confined(part: Result<(), Missing>, args: &Args) -> Result<(), StartError> {
    match part {
        Err(missing) if args.require_sandbox => Err(StartError::Sandbox(missing)),
        Err(missing) => {
            warn!(target: START, "{missing}; going on without it");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Logging from here on goes where the daemon's belongs; in the background complaints about the start are printed too.
fn begin_to_log(settings: &Settings) {
    match Destination::choose(settings.foreground, settings.debug > 0) {
        Ok(destination) => logging::redirect(destination),
        Err(error) => warn!(target: START, "the system log: {error}; logging to standard error"),
    }
}

/// What is accepted and deserves a word at each start.
fn doubts(settings: &Settings) -> impl Iterator<Item = String> + use<> {
    let insecure =
        "insecure (-i): anybody who reaches a TCP port of ours can register and unregister programs";
    let claims =
        "remote-call-credentials: anybody who is heard can be root to the services that are called for it";
    let claimed = settings.reloadable.remote_calls.credentials == Credentials::Claimed;
    [(settings.reloadable.insecure, insecure), (settings.remote_calls && claimed, claims)]
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, warning)| warning.to_owned())
}

/// The sockets that remote calls leave from, where they are made.
fn remote(settings: &Settings, sockets: &[Socket]) -> Result<Option<Remote>, StartError> {
    if !settings.remote_calls {
        return Ok(None);
    }
    let taken: Vec<u16> =
        sockets.iter().filter_map(|socket| socket.endpoint.inet()).map(|address| address.port()).collect();
    let outlets = Outlets::open(&taken)
        .map_err(|error| StartError::System("open a socket for remote calls (-r)", error))?;
    let RemoteCaps { calls, calls_per_source } = settings.remote_caps;
    Ok(Some(Remote { outlets, calls, calls_per_source }))
}

/// The lock of whoever serves port 111 of this host.
fn take_lock(sockets: &[Socket]) -> Result<Option<Lock>, StartError> {
    let mut addresses = sockets.iter().filter_map(|socket| socket.endpoint.inet());
    let serves_111 = addresses.any(|address| address.port() == oncrpc::bind::PORT);
    if !serves_111 {
        return Ok(None);
    }
    match lock::take(Path::new(lock::PATH)) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ LockError::Unavailable { .. }) if !is_root() => {
            warn!(target: START, "{error}; going on without it");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn state_directory(settings: &Settings, user: Option<&User>) -> Result<Option<Prepared>, StartError> {
    let trusted = User::trusted(settings.user)?;
    match prepare::prepare(&settings.state_directory, &trusted, user) {
        Ok(prepared) => {
            let path = settings.state_directory.display();
            for (name, why) in &prepared.left {
                warn!(target: START, "{path}/{name} is left as it is: {why}");
            }
            if !prepared.volatile {
                warn!(target: START, "{path} survives a reboot, which the services registered in it do not");
            }
            Ok(Some(prepared))
        }
        Err(error) => {
            warn!(target: START, "{error}; what is registered is kept in memory only");
            Ok(None)
        }
    }
}

fn notifier() -> Arc<Notifier> {
    Arc::new(Notifier::open(std::env::var_os("NOTIFY_SOCKET").as_deref()).unwrap_or_else(|error| {
        warn!(target: START, "{error}; the service manager is told nothing");
        Notifier::default()
    }))
}

/// What the descriptors allow, and not more than is configured.
fn limits(settings: &Settings, descriptors: u64) -> Limits {
    let limits = Limits::of(descriptors);
    let configured = settings.connections;
    Limits {
        unix: limits.unix.min(configured.unix),
        unix_per_uid: limits.unix_per_uid.min(configured.unix_per_uid),
        tcp: limits.tcp.min(configured.tcp),
        ..limits
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn own_name() -> String {
    format!("uid {}", rustix::process::geteuid().as_raw())
}

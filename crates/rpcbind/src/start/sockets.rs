//! Which sockets the daemon has: those that were passed to it as they are, and those that it opens besides.

use std::net::{IpAddr, SocketAddr};

use log::{error, info, warn};

use super::{StartError, is_root};
use crate::config::{Listen, Settings};
use crate::kept::Kept;
use crate::logging::START;
use crate::net::inherit;
use crate::net::listen::{self, Endpoint, OpenError, Socket};
use crate::notify::Notifier;

/// How often a port is looked for that is free for all sockets, when any will do.
const TRIES: usize = 16;

/// Why there are no sockets to serve at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketsError {
    /// One could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One may not be opened by this user.
    #[error(
        "{0}\nWays out: run as root; or give the binary the capability: setcap cap_net_bind_service=ep {1}; or have \
         a service manager pass the sockets: systemctl start rpcbind.socket; or serve elsewhere: rpcbind -f --port \
         10111 --socket /tmp/rpcbind.sock"
    )]
    NotRoot(OpenError, String),
    /// None is left.
    #[error("no socket could be opened: there is nothing to serve")]
    None,
}

/// A socket to be opened.
struct Wanted {
    endpoint: Endpoint,
    /// The host may have no such address.
    may_be_absent: bool,
    /// Without root it may be left out.
    may_be_denied: bool,
}

/// Takes the sockets that were passed and opens the others that there should be, unless an earlier run has: what that
/// has stored and nobody wants any more is closed.
pub(super) fn gather(
    settings: &Settings,
    kept: &mut Kept,
    notifier: &Notifier,
) -> Result<Vec<Socket>, StartError> {
    let inherited = std::mem::take(&mut kept.inherited);
    let mut sockets = inherited.into_iter().map(inherit::recognise).collect::<Result<Vec<_>, _>>()?;
    for socket in &sockets {
        info!(target: START, "inherited {}", socket.endpoint);
    }
    if !sockets.is_empty() && settings.listen_is_given {
        warn!(target: START, "sockets were inherited: -h and listen do not apply to them");
    }
    let wanted = wanted(settings, &sockets);
    let addresses: Vec<&Endpoint> = wanted.iter().map(|one| &one.endpoint).collect();
    for fault in kept.faults.drain(..) {
        warn!(target: START, "{fault}");
    }
    match kept.clear(&addresses, notifier) {
        Ok(0) => {}
        Ok(useless) => info!(target: START, "{useless} stored descriptors are of no use and closed"),
        Err(error) => warn!(target: START, "stored descriptors cannot be taken out: {error}"),
    }
    sockets.extend(if settings.port == 0 {
        open_at_one_port(&wanted, settings, kept)?
    } else {
        open_all(&wanted, settings, kept)?
    });
    if sockets.is_empty() { Err(SocketsError::None.into()) } else { Ok(sockets) }
}

fn wanted(settings: &Settings, inherited: &[Socket]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    if inherited.is_empty() || settings.open_missing {
        for Listen { address, may_be_absent } in &settings.listen {
            for endpoint in [Endpoint::Udp(*address), Endpoint::Tcp(*address)] {
                if !inherited.iter().any(|socket| covers(socket, &endpoint)) {
                    wanted.push(Wanted { endpoint, may_be_absent: *may_be_absent, may_be_denied: false });
                }
            }
        }
    }
    let path = settings.socket.as_ref().map(|unix| (Endpoint::Path(unix.name.clone()), unix.is_given));
    let name = settings.abstract_socket.as_ref();
    let name = name.map(|unix| (Endpoint::Abstract(unix.name.clone().into_bytes()), unix.is_given));
    for (endpoint, is_given) in path.into_iter().chain(name) {
        if !inherited.iter().any(|socket| covers(socket, &endpoint)) {
            wanted.push(Wanted { endpoint, may_be_absent: false, may_be_denied: !is_given });
        }
    }
    wanted
}

/// Whether a socket that was passed stands for one that would be opened: of the same transport, wherever it is bound.
fn covers(socket: &Socket, wanted: &Endpoint) -> bool {
    let family = |inherited: &SocketAddr, wanted: &SocketAddr| match wanted.ip() {
        IpAddr::V4(_) => socket.dual_stack || inherited.ip().to_canonical().is_ipv4(),
        IpAddr::V6(_) => inherited.ip().to_canonical().is_ipv6(),
    };
    match (&socket.endpoint, wanted) {
        (Endpoint::Udp(inherited), Endpoint::Udp(wanted))
        | (Endpoint::Tcp(inherited), Endpoint::Tcp(wanted)) => family(inherited, wanted),
        (Endpoint::Path(_), Endpoint::Path(_)) | (Endpoint::Abstract(_), Endpoint::Abstract(_)) => true,
        _ => false,
    }
}

fn open_all(wanted: &[Wanted], settings: &Settings, kept: &mut Kept) -> Result<Vec<Socket>, SocketsError> {
    let mut sockets = Vec::new();
    for one in wanted {
        let opened = match kept.take(&one.endpoint) {
            Some(socket) => Ok(socket),
            None => listen::open(one.endpoint.clone()),
        };
        match opened {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_bearable(&error, one) => info!(target: START, "{error}; going on without it"),
            Err(error) if settings.allow_partial => error!(target: START, "{error}; going on without it"),
            Err(error) => return Err(explained(error)),
        }
    }
    Ok(sockets)
}

/// Whether the daemon is whole without this socket.
fn is_bearable(error: &OpenError, wanted: &Wanted) -> bool {
    match error {
        OpenError::Absent { .. } => wanted.may_be_absent,
        _ => wanted.may_be_denied && !is_root(),
    }
}

fn explained(error: OpenError) -> SocketsError {
    match error {
        OpenError::Denied { .. } if !is_root() => {
            let program = std::env::current_exe().unwrap_or_else(|_| "rpcbind".into());
            SocketsError::NotRoot(error, program.display().to_string())
        }
        error => SocketsError::Open(error),
    }
}

/// Opens all inet sockets at one port, whichever is free for all of them.
fn open_at_one_port(
    wanted: &[Wanted],
    settings: &Settings,
    kept: &mut Kept,
) -> Result<Vec<Socket>, SocketsError> {
    let mut result = open_with_port_of_first(wanted, settings, kept);
    for _ in 0..TRIES {
        match result {
            Err(SocketsError::Open(OpenError::Taken {
                endpoint: Endpoint::Udp(_) | Endpoint::Tcp(_),
                ..
            })) => {
                result = open_with_port_of_first(wanted, settings, kept);
            }
            result => return result,
        }
    }
    result
}

fn open_with_port_of_first(
    wanted: &[Wanted],
    settings: &Settings,
    kept: &mut Kept,
) -> Result<Vec<Socket>, SocketsError> {
    let Some((first, rest)) = wanted.split_first() else { return Ok(Vec::new()) };
    let mut sockets = open_all(std::slice::from_ref(first), settings, kept)?;
    let first = sockets.first().and_then(|socket| socket.endpoint.inet());
    let port = first.map_or(0, |address| address.port());
    let at = |address: &SocketAddr| SocketAddr::new(address.ip(), port);
    let rest: Vec<Wanted> = rest
        .iter()
        .map(|one| {
            let endpoint = match &one.endpoint {
                Endpoint::Udp(address) => Endpoint::Udp(at(address)),
                Endpoint::Tcp(address) => Endpoint::Tcp(at(address)),
                other => other.clone(),
            };
            Wanted { endpoint, ..*one }
        })
        .collect();
    sockets.extend(open_all(&rest, settings, kept)?);
    Ok(sockets)
}

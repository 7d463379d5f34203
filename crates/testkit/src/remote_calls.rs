//! Who needs remote calls, with any port mapper that makes them: programs that find their servers by broadcast, on a
//! network of a client, which is the first host, and two servers. Called by the tests of this crate with the C daemon
//! and by the daemon's own tests with ours.

use std::io;
use std::process::Command;

use crate::daemon::{Daemon, DaemonKind};
use crate::lan::Lan;
use crate::namespace::Namespace;
use crate::programs::{remote_steps, serve_remotely};
use crate::services::{MOUNTD, YPSERV};
use crate::wait;

/// The NIS domain.
const DOMAIN: &str = "portmap.test";
/// Makes its one map, as `ypinit` does.
const MAKE_MAP: &str = "mkdir /var/yp/portmap.test && echo 'alice alice:x:2000:2000::/:/bin/sh' | \
                        /usr/lib/yp/makedbm - /var/yp/portmap.test/passwd.byname";

/// What [`ypbind_finds_ypserv`] needs.
pub const NIS: [&str; 5] =
    [YPSERV.program, "/usr/sbin/ypbind", "/usr/bin/ypwhich", "/usr/bin/ypcat", "/usr/lib/yp/makedbm"];

/// What [`libnfs_finds_servers`] needs.
pub const LIBNFS: [&str; 2] = [MOUNTD.program, "/usr/bin/nfs-ls"];

/// So many hosts, of which all but the first run the port mapper, and the port mappers.
///
/// # Errors
/// Something could not be made or started.
pub fn network(kind: &DaemonKind, hosts: u8) -> io::Result<(Lan, Vec<Daemon>)> {
    let lan = Lan::new(hosts)?;
    for host in &lan.hosts {
        // No name is looked up outside.
        host.write("/etc/resolv.conf", "")?;
    }
    let daemons = lan.hosts.iter().skip(1).map(|host| Daemon::start(host, kind));
    let daemons = daemons.collect::<io::Result<Vec<_>>>()?;
    Ok((lan, daemons))
}

/// The client, and the servers.
fn roles(lan: &Lan) -> io::Result<(&Namespace, &[Namespace])> {
    lan.hosts.split_first().ok_or_else(|| io::Error::other("a network without hosts"))
}

/// `ypbind -broadcast` finds one of two `ypserv`, and what is in its map is read through it.
///
/// # Errors
/// Something could not be started, or the server is not found; an answer that is wrong panics.
pub fn ypbind_finds_ypserv(kind: &DaemonKind) -> io::Result<()> {
    let (lan, _daemons) = network(kind, 3)?;
    let (client, servers) = roles(&lan)?;
    let serve = |server: &Namespace| {
        server.expect("sh", &["-c", MAKE_MAP])?;
        YPSERV.start(server)
    };
    let _services = servers.iter().map(serve).collect::<io::Result<Vec<_>>>()?;
    // ypbind registers too.
    let _daemon = Daemon::start(client, kind)?;
    client.expect("domainname", &[DOMAIN])?;
    client.write("/etc/yp.conf", &format!("domain {DOMAIN} broadcast\n"))?;
    let ypbind = client.spawn(Command::new("/usr/sbin/ypbind").args(["-n", "-broadcast"]))?;
    let server = wait::until("ypbind's server", || {
        let said = client.run(&mut Command::new("ypwhich"))?;
        Ok(said.status.success().then_some(said.stdout))
    });
    let server = server.map_err(|error| io::Error::other(format!("{error}: {}", ypbind.stderr())))?;
    assert!(["10.7.0.2\n", "10.7.0.3\n"].contains(&server.as_str()), "{server}");
    assert_eq!(client.expect("ypcat", &["passwd.byname"])?, "alice:x:2000:2000::/:/bin/sh\n");
    Ok(())
}

/// libnfs lists the NFS servers of the network, for the MOUNT service on each.
///
/// # Errors
/// Something could not be started, or the tool failed; an answer that is wrong panics.
pub fn libnfs_finds_servers(kind: &DaemonKind) -> io::Result<()> {
    let (lan, _daemons) = network(kind, 3)?;
    let (client, servers) = roles(&lan)?;
    let _services = servers.iter().map(|server| MOUNTD.start(server)).collect::<io::Result<Vec<_>>>()?;
    let found = client.expect("nfs-ls", &["--discovery", "nfs://"])?;
    let mut found: Vec<_> = found.lines().collect();
    found.sort_unstable();
    assert_eq!(found, ["nfs://10.7.0.2", "nfs://10.7.0.3"]);
    Ok(())
}

/// Calls a service through libtirpc: `rpcb_rmtcall`, `pmap_rmtcall`, `clnt_broadcast`, `rpc_broadcast`. Answers what
/// was printed, which is [`REMOTE_STEPS`](crate::programs::REMOTE_STEPS) when all is well.
///
/// # Errors
/// Something could not be compiled or started, or failed.
pub fn libtirpc_calls_remotely(kind: &DaemonKind) -> io::Result<String> {
    let (lan, _daemons) = network(kind, 3)?;
    let (client, servers) = roles(&lan)?;
    let _services = serve_remotely(servers)?;
    remote_steps(client, ["10.7.0.2", "fd07::2"], 2)
}

//! What every port mapper must stand: all the real services register with it, are found through it, and leave.
//! Called by the tests of this crate with the C daemon and by the daemon's own tests with ours.

use std::io;

use super::{ALONE, GANESHA, INETD, Registered, ServiceKind, TOGETHER};
use crate::daemon::{Daemon, DaemonKind};
use crate::namespace::Namespace;
use crate::table;

/// Starts all services against `kind`, compares the whole table with what they register, owners included, reaches
/// each row's service by `rpcinfo`, stops all and compares again.
///
/// # Errors
/// Something could not be started or ended; a row that is wrong panics.
pub fn all_services_register(kind: &DaemonKind) -> io::Result<()> {
    register(kind, TOGETHER)?;
    for alone in ALONE {
        register(kind, &[alone])?;
    }
    Ok(())
}

fn register(kind: &DaemonKind, services: &[&ServiceKind]) -> io::Result<()> {
    let home = Namespace::new()?;
    let _daemon = Daemon::start(&home, kind)?;
    let mut running = Vec::new();
    for service in services {
        running.push(service.start(&home)?);
    }
    let mut expected: Vec<Registered> = services.iter().flat_map(|service| service.registered()).collect();
    expected.sort();
    assert_eq!(registered(&home)?, expected, "{}: the table after all have started", kind.name);
    for row in table::dump(&home)?.iter().filter(|row| row.program != 100_000 && !is_inetd(services)) {
        let (program, version) = (row.program.to_string(), row.version.to_string());
        let host = if row.netid.ends_with('6') { "::1" } else { "127.0.0.1" };
        let said = home.expect("rpcinfo", &["-T", &row.netid, host, &program, &version])?;
        assert_eq!(said, format!("program {program} version {version} ready and waiting\n"), "{row}");
    }
    while let Some(service) = running.pop() {
        let leaving = service.kind.clone();
        if leaving.unregisters {
            expected.retain(|row| !leaving.registered().contains(row));
        }
        service.stop()?;
        assert_eq!(registered(&home)?, expected, "{}: the table after {} has ended", kind.name, leaving.name);
    }
    Ok(())
}

/// inetd answers nobody before it has started the service, which its configuration here does only once.
fn is_inetd(services: &[&ServiceKind]) -> bool {
    services.iter().any(|service| service.name == INETD.name)
}

/// All rows but the daemon's own, sorted, without addresses.
fn registered(home: &Namespace) -> io::Result<Vec<Registered>> {
    let mut rows: Vec<Registered> =
        table::dump(home)?.iter().filter(|row| row.program != 100_000).map(Registered::from).collect();
    rows.sort();
    Ok(rows)
}

/// `showmount`, `nfs-ls` and `nfs-cat` find Ganesha's services through `kind`: no port is given to them.
///
/// # Errors
/// Something could not be started, or a tool failed; an answer that is wrong panics.
pub fn ganesha_is_found_and_read(kind: &DaemonKind) -> io::Result<()> {
    let home = Namespace::new()?;
    let _daemon = Daemon::start(&home, kind)?;
    let _ganesha = GANESHA.start(&home)?;
    for host in ["127.0.0.1", "localhost"] {
        let exports = home.expect("showmount", &["-e", host])?;
        assert_eq!(exports, format!("Export list for {host}:\n/export (everyone)\n"));
    }
    let listing = home.expect("nfs-ls", &["nfs://127.0.0.1/export/"])?;
    assert!(listing.trim_end().ends_with(" 6 hello.txt"), "{listing}");
    assert_eq!(home.expect("nfs-cat", &["nfs://127.0.0.1/export/hello.txt"])?, "hello\n");
    Ok(())
}

//! Restarts, reloads, kills and upgrades while clients ask.

use std::sync::atomic::Ordering;

use rustix::process::Signal;
use testkit::kernel::{Door, Kernel};

use crate::{NO_SOCKETS, SOCKETS, install, load, registered, supervised};

#[test]
fn under_load_restarts_reloads_kills_and_upgrades_lose_no_datagram_refuse_no_connection_and_keep_all_rows() {
    testkit::require!();
    for sockets in [NO_SOCKETS, SOCKETS] {
        let (home, service) = supervised(sockets, "");
        Kernel::connect(&home, Door::Abstract).unwrap().start_nfs_server().unwrap();
        let before = registered(&home);
        let progress = load::Progress::default();
        let (datagrams, connections) = std::thread::scope(|scope| {
            let datagrams = scope.spawn(|| load::datagrams(&home, &progress));
            let connections = scope.spawn(|| load::connections(&home, &progress));
            // Told to stop also when something below fails, or the test would never end.
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                progress.wait(500, 100);
                service.restart().unwrap();
                progress.wait(500, 100);
                service.reload().unwrap();
                progress.wait(500, 100);
                install(&home);
                service.restart().unwrap();
                progress.wait(500, 100);
                service.signal(Signal::KILL).unwrap();
                service.wait_ready(4).unwrap();
                progress.wait(500, 100);
                service.reload().unwrap();
                progress.wait(500, 100);
            }));
            progress.stop.store(true, Ordering::Relaxed);
            let seen = (datagrams.join().unwrap(), connections.join().unwrap());
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            seen
        });
        eprintln!("{datagrams:?}, {connections:?}");
        assert!(datagrams.calls > 0 && (datagrams.lost, datagrams.refused) == (0, 0), "{datagrams:?}");
        assert!(connections.answered > 0 && connections.refused == 0, "{connections:?}");
        // Three runs have ended, and the client has one connection at a time.
        assert!(connections.cut <= 3, "{connections:?}");
        assert_eq!(registered(&home), before);
        assert_eq!(service.starts(), 4);
    }
}

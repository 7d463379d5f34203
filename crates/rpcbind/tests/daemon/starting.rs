use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use testkit::{Activator, Daemon, DaemonKind, Namespace, Process, wait};

use crate::{RPCBIND, ask, ours, shell};

#[test]
fn it_serves_everywhere_as_its_own_user_without_any_privilege() {
    testkit::require!("/usr/sbin/rpcinfo");
    let (home, daemon) = crate::house();
    for host in ["127.0.0.1", "::1"] {
        for transport in if host == "::1" { ["udp6", "tcp6"] } else { ["udp", "tcp"] } {
            home.expect("rpcinfo", &["-T", transport, host, "100000", "4"]).unwrap();
        }
    }
    let listed = home.expect("rpcinfo", &[]).unwrap();
    assert_eq!(listed.lines().count(), 13, "{listed}");
    assert_eq!(testkit::table::dump_at(&home, "/run/rpcbind.sock").unwrap().len(), 12);
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let user = testkit::namespace::uid_of("_rpc").expect("the package that brings the user");
    assert_eq!(field("Uid:"), [user; 4].map(|uid| uid.to_string()).join("\t"));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Threads:"), "1");
}

#[test]
fn in_the_background_whoever_started_it_waits_until_it_is_ready() {
    testkit::require!("/usr/sbin/rpcinfo");
    let home = Namespace::new().unwrap();
    // At once, without a pause between the two.
    let end = shell(&home, "\"$RPCBIND\" && rpcinfo -p");
    assert!(end.status.success(), "{end:?}");
    assert!(end.stdout.contains("portmapper"), "{end:?}");
    // It has left the terminal and the directory, and leads a session of its own.
    let looked =
        shell(&home, "cd /proc/$(pgrep -x rpcbind) && readlink cwd fd/0 fd/1 fd/2 && cut -d' ' -f1,6 stat");
    let lines: Vec<&str> = looked.stdout.lines().collect();
    assert_eq!(lines[..4], ["/", "/dev/null", "/dev/null", "/dev/null"], "{looked:?}");
    let (pid, session) = lines[4].split_once(' ').unwrap();
    assert_eq!(pid, session);
}

#[test]
fn in_the_background_whoever_started_it_gets_its_failure() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    home.write("/etc/rpcbind.toml", "port = 99999\n").unwrap();
    assert_eq!(shell(&home, "\"$RPCBIND\"").status.code(), Some(1));
    home.write("/etc/rpcbind.toml", "").unwrap();
    let _running = Daemon::start(&home, &ours()).unwrap();
    let end = shell(&home, "\"$RPCBIND\"");
    assert_eq!(end.status.code(), Some(1), "{end:?}");
}

#[test]
fn a_port_that_is_taken_is_named_with_who_has_it_and_what_to_type() {
    testkit::require!(DaemonKind::DEBIAN);
    let home = Namespace::new().unwrap();
    let debian = Daemon::start(&home, &DaemonKind::debian()).unwrap();
    let end = shell(&home, "exec \"$RPCBIND\" -f");
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.stderr.starts_with("rpcbind: error: udp 0.0.0.0:111 is taken by rpcbind (pid "), "{end:?}");
    assert!(
        end.stderr.contains("): stop it: systemctl stop rpcbind.socket rpcbind.service, or kill "),
        "{end:?}"
    );
    drop(debian);
}

#[test]
fn a_lock_that_is_held_is_named_with_who_holds_it() {
    testkit::require!("/usr/bin/flock");
    let home = Namespace::new().unwrap();
    let mut command = Command::new("/usr/bin/flock");
    let holder =
        Process::spawn(&home, command.args(["/run/rpcbind.lock", "-c", "echo held; exec sleep 1000"]))
            .unwrap();
    wait::until("the lock", || Ok(holder.stdout().contains("held").then_some(()))).unwrap();
    let end = shell(&home, "exec \"$RPCBIND\" -f");
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let wanted = "another rpcbind is already running: /run/rpcbind.lock is locked by ";
    assert!(end.stderr.contains(wanted), "{end:?}");
}

#[test]
fn another_port_needs_no_lock_and_no_unix_socket() {
    testkit::require!();
    let (home, _daemon) = crate::house();
    let other = Daemon::start(&home, &ours().argument("--port").argument("10111")).unwrap();
    let reply = ask::over(ask::tcp(&home, "127.0.0.1:10111"), &ask::getport()).unwrap();
    assert_eq!(ask::results(&reply), 10_111_u32.to_be_bytes());
    let listed = other.stderr();
    assert!(!listed.contains("unix"), "{listed}");
}

#[test]
fn any_port_is_one_for_all_sockets() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let daemon = Daemon::start(&home, &ours().argument("--port").argument("0")).unwrap();
    let said = wait::until("the line", || {
        Ok(daemon.stderr().lines().find(|line| line.contains("ready: ")).map(str::to_owned))
    });
    let said = said.unwrap();
    let ports: Vec<&str> =
        said.split([',', ';']).filter_map(|part| part.rsplit_once(':').map(|(_, port)| port)).collect();
    assert_eq!(ports.len(), 4, "{said}");
    assert!(ports.iter().all(|port| *port == ports[0]), "{said}");
}

#[test]
fn an_abstract_name_that_somebody_else_has_is_not_given_up_for() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let squatter = ours().arguments(["-f", "--port", "10111", "--abstract-socket", "@/run/rpcbind.sock"]);
    let squatter = Daemon::start(&home, &squatter).unwrap();
    let end = shell(&home, "exec \"$RPCBIND\" -f");
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    assert!(end.stderr.contains("unix @/run/rpcbind.sock is taken by rpcbind (pid "), "{end:?}");
    drop(squatter);
    // What it had opened before is free again, but for the path socket, which is stale and replaced.
    let _daemon = Daemon::start(&home, &ours()).unwrap();
}

#[test]
fn without_root_the_ways_out_are_named_and_work() {
    testkit::require!("/usr/bin/setpriv", "/usr/sbin/rpcinfo");
    let home = Namespace::new().unwrap();
    // Where another user can execute it, and where it can make a socket.
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("rpcbind");
    testkit::programs::copy(&home, RPCBIND, &binary).unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (binary, directory) = (binary.display(), directory.path().display());
    let user = "setpriv --reuid 1000 --regid 1000 --clear-groups";
    let end = shell(&home, &format!("exec {user} {binary} -f"));
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let first =
        "rpcbind: error: udp 0.0.0.0:111 may not be opened by this user (Permission denied (os error 13))";
    assert!(end.stderr.starts_with(first), "{end:?}");
    for way in
        ["run as root", "setcap cap_net_bind_service=ep ", "systemctl start rpcbind.socket", "--port 10111"]
    {
        assert!(end.stderr.contains(way), "{way}: {end:?}");
    }
    let line =
        format!("{user} {binary} --port 10111 --socket {directory}/socket && rpcinfo -p 127.0.0.1 2>&1; id");
    let end = shell(&home, &line);
    let end = format!("{end:?}");
    let dump = testkit::table::dump_at(&home, &format!("{directory}/socket")).expect(&end);
    assert_eq!(dump.len(), 12);
    // The capability works too, with the sockets that nobody needs root for.
    let able = "--inh-caps=+net_bind_service --ambient-caps=+net_bind_service";
    let end = shell(&home, &format!("{user} {able} {binary} && rpcinfo -T tcp 127.0.0.1 100000 4"));
    assert!(end.status.success(), "{end:?}");
}

#[test]
fn a_missing_address_family_is_gone_on_without() {
    testkit::require!("/usr/bin/strace", "/usr/sbin/rpcinfo");
    let home = Namespace::new().unwrap();
    // The first socket is for the service manager; the fourth and the fifth are the IPv6 ones.
    let inject = "inject=socket:error=EAFNOSUPPORT:when=4..5";
    let daemon = Daemon::start(&home, &ours().traced(["-o", "/dev/null", "-e", inject])).unwrap();
    home.expect("rpcinfo", &["-p", "127.0.0.1"]).unwrap();
    let said = daemon.stderr();
    assert!(said.contains("udp [::]:111: this host has no such address"), "{said}");
    let transports: Vec<_> = testkit::table::dump(&home).unwrap().into_iter().map(|row| row.netid).collect();
    assert!(!transports.iter().any(|netid| netid.ends_with('6')), "{transports:?}");
}

#[test]
fn debians_units_start_it_unchanged_and_leave_their_sockets_to_it() {
    testkit::require!("/lib/systemd/system/rpcbind.service", "/usr/sbin/rpcinfo");
    let home = Namespace::new().unwrap();
    let activator = Activator::debian().unwrap().binary(RPCBIND);
    let sockets = activator.open(&home).unwrap();
    // This datagram starts it, as it were: it is there before anybody asked for packet information.
    let early = ask::udp(&home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
    early.send(&ask::getport()).unwrap();
    let mut rpcbind = activator.start(&home, &sockets).unwrap();
    rpcbind.wait_ready().unwrap();
    let mut reply = [0; 100];
    let len = early.recv(&mut reply).unwrap();
    assert_eq!(ask::results(&reply[..len]), 111_u32.to_be_bytes());
    for host in ["127.0.0.1", "::1"] {
        home.expect("rpcinfo", &["-p", host]).unwrap();
    }
    assert_eq!(testkit::table::dump(&home).unwrap().len(), 12);
    let (end, _) = rpcbind.stop().unwrap();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    // It did not make the path socket, so it leaves it.
    home.within(|| std::fs::metadata("/run/rpcbind.sock")).unwrap().unwrap();
}

#[test]
fn dual_stack_sockets_that_were_passed_serve_both_families() {
    testkit::require!("/lib/systemd/system/rpcbind.service", "/usr/sbin/rpcinfo");
    let home = Namespace::new().unwrap();
    let socket = "[Socket]\nListenStream=[::]:111\nListenDatagram=[::]:111\nBindIPv6Only=both\n";
    let activator = Activator::debian().unwrap().sockets(socket).unwrap().binary(RPCBIND);
    let sockets = activator.open(&home).unwrap();
    let mut rpcbind = activator.start(&home, &sockets).unwrap();
    rpcbind.wait_ready().unwrap();
    for (transport, host) in [("udp", "127.0.0.1"), ("tcp", "127.0.0.1"), ("udp6", "::1"), ("tcp6", "::1")] {
        home.expect("rpcinfo", &["-T", transport, host, "100000", "4"]).unwrap();
    }
    // From the very address that was asked.
    let client = ask::udp(&home, "127.0.0.1", "127.0.0.9:111".parse().unwrap());
    ask::over_udp(&client, &ask::getport()).unwrap();
    // The unix sockets were not passed, and are opened.
    assert_eq!(testkit::table::dump(&home).unwrap().len(), 12);
}

#[test]
fn a_passed_descriptor_of_the_wrong_kind_is_an_error_that_names_it() {
    testkit::require!("/lib/systemd/system/rpcbind.service");
    let home = Namespace::new().unwrap();
    let socket = "[Socket]\nListenStream=127.0.0.1:111\nListenDatagram=/run/datagrams\n";
    let activator = Activator::debian().unwrap().sockets(socket).unwrap().binary(RPCBIND);
    let sockets = activator.open(&home).unwrap();
    let rpcbind = activator.start(&home, &sockets).unwrap();
    let end = rpcbind.finish().unwrap();
    assert_eq!(end.status.code(), Some(1), "{end:?}");
    let wanted = "inherited descriptor 4: neither udp, nor tcp, nor a unix stream socket";
    assert!(end.stderr.contains(wanted), "{end:?}");
}

#[test]
fn a_check_prints_all_that_is_wrong_and_opens_nothing() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    assert_eq!(shell(&home, "\"$RPCBIND\" --check").status.code(), Some(0));
    home.write("/etc/rpcbind.toml", "colour = 1\nport = 99999\n").unwrap();
    home.write("/etc/hosts.deny", "rpcbind: .example.org\n").unwrap();
    let end = shell(&home, "\"$RPCBIND\" --check");
    assert_eq!(end.status.code(), Some(1));
    for wrong in ["colour", "99999", ".example.org"] {
        assert!(end.stderr.contains(wrong), "{wrong}: {end:?}");
    }
    assert!(!end.stderr.contains("ready"), "{end:?}");
}

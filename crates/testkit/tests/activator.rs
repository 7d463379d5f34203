//! The Activator keeps the protocol of a service manager, shown with programs that use systemd's own library.

use std::net::TcpStream;
use std::process::Command;

use testkit::{Activator, DaemonKind, Namespace};

#[test]
fn debians_rpcbind_starts_by_its_own_unit_and_socket_files() {
    testkit::require!(DaemonKind::DEBIAN, "/lib/systemd/system/rpcbind.service");
    let home = Namespace::new().unwrap();
    let activator = Activator::debian().unwrap();
    let sockets = activator.open(&home).unwrap();
    // Before it runs, clients wait in the sockets.
    let waiting = home.within(|| TcpStream::connect("127.0.0.1:111")).unwrap();
    let mut rpcbind = activator.start(&home, &sockets).unwrap();
    rpcbind.wait_ready().unwrap();
    assert_eq!(rpcbind.command(), ["/sbin/rpcbind", "-f", "-w"]);
    drop(waiting.unwrap());
    let listed = home.expect("rpcinfo", &["-p", "127.0.0.1"]).unwrap();
    assert_eq!(listed.lines().count(), 7, "{listed}");
    let (end, _) = rpcbind.stop().unwrap();
    assert_eq!(end.status.code(), Some(0), "{end:?}");
    // It did not make the unix socket, so it leaves it, and the next one is served by it.
    let mut again = activator.start(&home, &sockets).unwrap();
    again.wait_ready().unwrap();
    assert!(home.expect("rpcinfo", &[]).unwrap().contains("/run/rpcbind.sock"));
}

#[test]
fn descriptors_begin_at_three_and_the_environment_is_a_service_managers() {
    testkit::require!();
    let home = Namespace::new().unwrap();
    let script =
        "echo pid $LISTEN_PID is $$; echo $LISTEN_FDS $LISTEN_FDNAMES; ls /proc/$$/fd; env; pwd >&2; echo";
    let service = format!("[Service]\nType=simple\nExecStart=/bin/sh -c \"{}\"\n", script.replace('$', "$$"));
    let socket =
        "[Socket]\nListenStream=@a\nListenStream=/run/x\nListenDatagram=127.0.0.1:99\nFileDescriptorName=n\n";
    let activator = Activator::parse(&service, socket).unwrap().variable("MORE", "1");
    let started = activator.start(&home, &activator.open(&home).unwrap()).unwrap();
    let (stdout, stderr) = started.finish().map(|end| (end.stdout, end.stderr)).unwrap();
    let lines: Vec<&str> = stdout.lines().collect();
    let [pid, names, rest @ ..] = lines.as_slice() else { panic!("{stdout}") };
    let [_, told, _, own] = pid.split(' ').collect::<Vec<_>>()[..] else { panic!("{stdout}") };
    assert_eq!(told, own);
    assert_eq!(*names, "3 n:n:n");
    assert_eq!(rest[..6], ["0", "1", "2", "3", "4", "5"], "{stdout}");
    let mut variables: Vec<&str> = rest[6..].iter().filter_map(|line| line.split('=').next()).collect();
    variables.retain(|name| !["", "PWD", "_", "OLDPWD"].contains(name));
    variables.sort_unstable();
    assert_eq!(variables, ["LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "MORE", "NOTIFY_SOCKET", "PATH"]);
    assert_eq!(stderr, "/\n");
}

#[test]
fn notifications_of_systemds_own_tool_arrive_with_their_values() {
    testkit::require!("/usr/bin/systemd-notify");
    let home = Namespace::new().unwrap();
    // The tool speaks for the process that called it; an inner shell's word does not count, the main one's does.
    let service = "[Service]\nType=notify\nExecStart=/bin/sh -c \"sh -c 'systemd-notify STATUS=other; :'; \
                   exec systemd-notify --ready --status='one two' --no-block\"\n";
    let activator = Activator::parse(service, "[Socket]\n").unwrap();
    let mut started = activator.start(&home, &activator.open(&home).unwrap()).unwrap();
    started.wait_ready().unwrap();
    let notifications = started.notifications().unwrap();
    let statuses: Vec<_> = notifications.iter().filter_map(|told| told.value("STATUS")).collect();
    assert_eq!(statuses, ["one two"], "{notifications:?}");
}

#[test]
fn ipv6_wildcards_are_dual_stack_as_the_unit_says() {
    testkit::require!("/bin/ss");
    for (setting, v6only) in [("", "0"), ("BindIPv6Only=both", "0"), ("BindIPv6Only=ipv6-only", "1")] {
        let home = Namespace::new().unwrap();
        let socket = format!("[Socket]\n{setting}\nListenStream=111\nListenDatagram=[::]:111\n");
        let service = "[Service]\nExecStart=/bin/true\n";
        let sockets = Activator::parse(service, &socket).unwrap().open(&home).unwrap();
        let listed = home.run(Command::new("ss").args(["-Hlntue"])).unwrap().stdout;
        assert_eq!(listed.matches(&format!("v6only:{v6only}")).count(), 2, "{setting}: {listed}");
        drop(sockets);
    }
}

//! The interface table against the kernel's, in private network namespaces: after whatever happened to the
//! interfaces, the table kept by events is the one that a fresh read gives, order included.

#![expect(clippy::expect_used, reason = "a test's own functions are tests too")]

use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rpcbind::netlink::InterfaceMonitor;
use rpcbind_core::interfaces::Interfaces;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use testkit::Namespace;

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn a_fresh_table_has_every_interface_by_index_and_every_address_in_the_kernels_order() {
    inside(|| {
        ip(
            "link add red type bridge\nlink add blue type bridge\nlink set red up\naddr add 10.0.2.1/24 dev blue\n\
            addr add 10.0.1.1/24 dev red\naddr add 10.0.1.2/24 dev red\naddr add 10.9.0.1/16 dev red\n\
            addr add fd00:1::1/64 dev red nodad\naddr add fd00:2::1/48 dev blue nodad",
        );
        let table = fresh();
        let listed = |family| -> Vec<String> {
            let text = output(&["-o", family, "addr", "show"]);
            text.lines().map(|line| line.split_whitespace().nth(3).expect("an address").to_owned()).collect()
        };
        let expected: Vec<String> = [listed("-4"), listed("-6")].concat();
        let found: Vec<String> =
            table.addresses.iter().map(|own| format!("{}/{}", own.address, own.prefix_length)).collect();
        assert_eq!(found, expected);
        assert!(found.contains(&"127.0.0.1/8".to_owned()) && found.contains(&"fd00:2::1/48".to_owned()));
        let indices: Vec<u32> = table.interfaces.iter().map(|interface| interface.index).collect();
        assert!(indices.is_sorted() && indices.len() == 3, "{indices:?}");
        let lo = table.interfaces[0];
        assert!(lo.index == 1 && lo.loopback && lo.up);
        let (red, blue) = (table.interfaces[1], table.interfaces[2]);
        let names = [("lo", lo.index), ("red", red.index), ("blue", blue.index)];
        assert_eq!(table.names, names.map(|(name, index)| (name.into(), index)).into());
        assert!(red.up && !blue.up && !red.point_to_point && red.multicast && !red.loopback);
    });
}

#[test]
fn each_change_is_told_once_and_leaves_the_table_that_a_fresh_read_gives() {
    // Whether the step changes anything that the table holds.
    let steps = [
        ("link add red type bridge", true),
        ("link set red addrgenmode none", false),
        ("addr add 10.0.1.1/24 dev red", true),
        ("addr add 10.0.1.2/24 dev red", true),
        ("addr add 10.0.1.3/24 dev red", true),
        ("addr add 10.0.0.7/8 dev lo", true),
        ("addr add fd00::7/64 dev lo nodad", true),
        ("link set red up", true),
        ("addr add fd00::1/64 dev red nodad", true),
        ("addr replace fd00::1/64 dev red nodad valid_lft 9000 preferred_lft 8000", false),
        ("addr replace 10.0.1.2/24 dev red valid_lft 9000 preferred_lft 8000", false),
        ("link set red multicast off", true),
        // With the first address of a subnet its others go, or move up where the host says so.
        ("addr del 10.0.1.1/24 dev red", true),
        ("addr add 10.0.3.1/24 dev red", true),
        // The same address towards two other ends: two entries, of which one goes.
        ("addr add 10.7.0.1 peer 10.7.0.2/32 dev red", true),
        ("addr add 10.7.0.1 peer 10.7.0.3/32 dev red", false),
        ("addr del 10.7.0.1 peer 10.7.0.2/32 dev red", false),
        ("link set red down", true),
        ("link set red name green", true),
        ("link set green up", true),
        // Other names of an interface that is up are told at once.
        ("link property add dev green altname a-name-that-is-longer-than-another", true),
        ("link property add dev green altname verdant", true),
        ("link property del dev green altname verdant", true),
        ("link set green mtu 1400", false),
        ("link add one type veth peer name two", true),
        // A bridge announces its ports, and their leaving, as if they were links of its own.
        ("link set one master green", false),
        ("link set one nomaster", false),
        ("tuntap add mode tun name tun", true),
        ("link set lo down", true),
        ("link set lo up", true),
        ("link del green", true),
        ("link del one", true),
    ];
    inside(|| {
        let mut monitor = InterfaceMonitor::open().expect("netlink");
        let mut kept = monitor.load().expect("a table");
        for (step, changes) in steps {
            ip(step);
            // The kernel speaks of IPv6 addresses a moment later.
            let end = Instant::now() + DEADLINE;
            let mut told = monitor.on_readable().expect("events");
            while changes && told.is_none() && Instant::now() < end {
                readable(&monitor, Duration::from_millis(50));
                told = monitor.on_readable().expect("events");
            }
            assert_eq!(told.is_some(), changes, "{step}: {told:?}");
            kept = told.unwrap_or(kept);
            wait_until(&mut monitor, &mut kept, step, |table| *table == fresh());
            assert_eq!(monitor.on_readable().expect("events"), None, "{step}: told twice");
        }
        let tun = kept.interfaces[1];
        assert!(kept.interfaces.len() == 2 && tun.point_to_point, "lo and tun are left: {kept:?}");
        assert_eq!(kept.names, [("lo".into(), 1), ("tun".into(), tun.index)].into());
    });
}

#[test]
fn a_point_to_point_address_is_our_end() {
    inside(|| {
        ip("link add tun type bridge\naddr add 10.1.0.1 peer 10.1.0.2/32 dev tun\n\
            addr add fd00::1 peer fd00::2/128 dev tun nodad");
        let own: BTreeSet<IpAddr> = fresh().addresses.iter().map(|own| own.address).collect();
        assert!(
            own.contains(&"10.1.0.1".parse().expect("v4")) && own.contains(&"fd00::1".parse().expect("v6"))
        );
        assert!(
            !own.contains(&"10.1.0.2".parse().expect("v4")) && !own.contains(&"fd00::2".parse().expect("v6"))
        );
    });
}

#[test]
fn when_more_happens_than_the_kernel_keeps_the_table_is_read_again() {
    inside(|| {
        let mut monitor = InterfaceMonitor::open().expect("netlink");
        let mut kept = monitor.load().expect("a table");
        ip(&many(300));
        // Nothing was read meanwhile: far more events than the socket's buffer holds.
        kept = monitor.on_readable().expect("events").unwrap_or(kept);
        wait_until(&mut monitor, &mut kept, "300 interfaces", |table| *table == fresh());
        assert_eq!((kept.interfaces.len(), kept.addresses.len()), (301, 2 + 600));
        let last = IpAddr::from([10, 1, 43, 1]);
        let has = |address| kept.addresses.iter().any(|own| own.address == address);
        assert!(has(last) && !has(IpAddr::from([10, 1, 44, 1])));
        ip("link del group 7");
        wait_until(&mut monitor, &mut kept, "20 fewer", |table| table.interfaces.len() == 281);
        assert_eq!(kept, fresh());
    });
}

#[test]
fn while_interfaces_come_and_go_the_table_is_right_as_soon_as_they_rest() {
    inside(|| {
        let mut monitor = InterfaceMonitor::open().expect("netlink");
        let mut kept = monitor.load().expect("a table");
        let churn: String =
            (0..8).map(|n| format!("{}link del d{}\n", many_from(n * 12, 12), n * 12 + 1)).collect();
        let mut child = batch(&churn);
        while child.try_wait().expect("ip").is_none() {
            readable(&monitor, Duration::from_millis(20));
            kept = monitor.on_readable().expect("events").unwrap_or(kept);
        }
        assert!(child.wait().expect("ip").success());
        wait_until(&mut monitor, &mut kept, "rest", |table| *table == fresh());
        assert_eq!(kept.interfaces.len(), 1 + 80);
    });
}

#[test]
fn where_the_kernel_refuses_a_socket_the_reason_is_said() {
    const CHILD: &str = "INTERFACES_WITHOUT_DESCRIPTORS";
    if std::env::var_os(CHILD).is_some() {
        let mut files = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
        let error = InterfaceMonitor::open().expect_err("no descriptor is left");
        drop(files);
        assert!(error.to_string().starts_with("interfaces are not known: netlink socket: "), "{error}");
        return;
    }
    let name = "where_the_kernel_refuses_a_socket_the_reason_is_said";
    let child = Command::new("prlimit")
        .args(["--nofile=64:64"])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name])
        .env(CHILD, "1")
        .output()
        .expect("prlimit");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
}

fn inside(test: impl FnOnce() + Send) {
    testkit::require!("/usr/sbin/ip");
    Namespace::new().expect("a private namespace").within(test).expect("entered");
}

fn fresh() -> Interfaces {
    InterfaceMonitor::open().expect("netlink").load().expect("a table")
}

/// Takes in events until the condition holds: some of the kernel's own doings come a moment later.
fn wait_until(
    monitor: &mut InterfaceMonitor,
    kept: &mut Interfaces,
    what: &str,
    holds: impl Fn(&Interfaces) -> bool,
) {
    let end = Instant::now() + DEADLINE;
    while !holds(kept) {
        assert!(Instant::now() < end, "{what}: kept {kept:?}, the kernel has {:?}", fresh());
        readable(monitor, Duration::from_millis(50));
        if let Some(table) = monitor.on_readable().expect("events") {
            *kept = table;
        }
    }
}

fn readable(monitor: &InterfaceMonitor, patience: Duration) {
    let fd = monitor.as_fd();
    let timeout = Timespec::try_from(patience).expect("a short time");
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).expect("poll");
}

fn many(count: usize) -> String {
    many_from(0, count)
}

/// Interfaces `d{first}` and on, an even number of them, for they come in pairs.
fn many_from(first: usize, count: usize) -> String {
    (first..first + count)
        .map(|n| {
            let (high, low, peer, group) = (n / 256, n % 256, n + 1, if n < 20 { 7 } else { 8 });
            let pair = format!("link add d{n} group {group} type veth peer name d{peer}\n");
            format!(
                "{}link set d{n} addrgenmode none\naddr add 10.{high}.{low}.1/24 dev d{n}\n\
                 addr add fd00:{n}::1/64 dev d{n} nodad\nlink set d{n} up\n",
                if n % 2 == 0 { pair.as_str() } else { "" }
            )
        })
        .collect()
}

fn ip(lines: &str) {
    assert!(batch(lines).wait().expect("ip").success(), "{lines}");
}

fn batch(lines: &str) -> std::process::Child {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
    child.stdin.take().expect("input").write_all(lines.as_bytes()).expect("ip reads");
    child
}

fn output(arguments: &[&str]) -> String {
    String::from_utf8(Command::new("ip").args(arguments).output().expect("ip").stdout).expect("text")
}

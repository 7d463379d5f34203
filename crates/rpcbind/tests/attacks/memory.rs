//! Everything that has a limit at its limit at the same time: what the shipped unit gives is enough.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::{DaemonKind, wait};

use crate::frames::{self, Ends, answers_to, datagram};
use crate::group::Group;
use crate::{HERE4, RPCBIND, Scene, as_user, ask, calls, count, here4, is_full};

const MIB: usize = 1 << 20;
/// MemoryMax= and LimitNOFILE= of the unit that is shipped.
const MEMORY_MAX: usize = 256 * MIB;
const DESCRIPTORS: usize = 20_480;
/// With so few, the limits on connections are small and all others the same.
const FEW_DESCRIPTORS: usize = 2_128;
/// Unix connections of one user.
const OF_A_USER: usize = 1_024;
/// What the daemon lets the kernel hold of what a TCP connection has received.
const RECEIVED_MAX: usize = 8 * 1024;
/// Before this time no connection is closed that does not get on.
const STALLED_MIN: Duration = Duration::from_secs(9);
/// Connections that do what takes memory: they hold unfinished messages (more than is allowed), let replies queue up,
/// read no list.
const UNFINISHED: usize = 940;
const QUEUEING: usize = 280;
const NOT_READING: usize = 100;
/// The bytes of a message that is not finished, and those it says that it has.
const BEGUN: usize = 8_994;
const ANNOUNCED: u32 = 9_000;
/// Calls of one statement after the other, on one connection.
const CALLS: usize = 200;
/// The most that the daemon holds of calls that are not answered.
const UNANSWERED: usize = 8 * MIB;
/// What the daemon leaves to the kernel when that held too much for all connections, and the most it holds for one.
const UNDELIVERED: usize = 32 * MIB;
const UNDELIVERED_OF_ONE: usize = 512 * 1024;

/// How many connections there can be with so many descriptors: TCP, unix.
fn connections(descriptors: usize) -> (usize, usize) {
    let free = descriptors - 128;
    let unix = (free / 4).min(4_096);
    ((free - unix).min(12_288), unix)
}

/// So many idle unix connections, of as many users as it takes.
fn idle_users(scene: &Scene, connections: usize) -> Vec<UnixStream> {
    let mut idle = Vec::new();
    for uid in (1_001..).take(connections.div_ceil(OF_A_USER)) {
        let these = (connections - idle.len()).min(OF_A_USER);
        idle.extend(as_user(&scene.home, uid, || {
            (0..these).map(|_| UnixStream::connect(testkit::daemon::SOCKET).unwrap()).collect::<Vec<_>>()
        }));
    }
    idle
}

/// Idle TCP connections in the places of those that were closed, or not made yet.
fn fill_up(scene: &Scene, crowd: &mut Vec<TcpStream>, connections: usize) {
    crowd.retain(is_open);
    let missing = connections - crowd.len();
    let connect = || (0..missing).map(|_| TcpStream::connect(here4()).unwrap()).collect::<Vec<_>>();
    crowd.extend(scene.other.within(connect).unwrap());
    crowd.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
}

/// The other end is open: also where there is much to read before its end would be seen.
fn is_open(stream: &TcpStream) -> bool {
    let mut watched = [PollFd::new(stream, PollFlags::RDHUP)];
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 0
}

/// Sends as much as goes in; whatever comes of it.
fn push(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write(bytes);
}

/// Fills the table: root has no limit of its own. Answers how many rows went in.
fn fill_the_table(scene: &Scene) -> u32 {
    let stream = ask::unix(&scene.home, testkit::daemon::SOCKET);
    let mut added = 0;
    loop {
        let sets = (added..added + 64).map(|number| {
            let address = format!("/run/{number:0>102}");
            ask::as_record(&calls::set(400_000 + number, 1, "local", address))
        });
        (&stream).write_all(&sets.flatten().collect::<Vec<u8>>()).unwrap();
        for _ in 0..64 {
            let mut reply = [0; 32];
            (&stream).read_exact(&mut reply).unwrap();
            if reply.ends_with(&calls::FALSE) {
                return added;
            }
            added += 1;
        }
    }
}

/// Looks up more programs than statistics are kept of.
fn fill_the_statistics(scene: &Scene) {
    let stream = ask::unix(&scene.home, testkit::daemon::SOCKET);
    for number in 0..200 {
        ask::over(&stream, &calls::mapper(3, 3, &calls::row(400_000 + number, 1, "local", ""))).unwrap();
    }
}

/// Has strangers of very many networks ask.
fn fill_the_limiter(scene: &Scene) {
    let to = frames::hardware(scene);
    let networks = u32::try_from(count(60_000, 6_000)).unwrap();
    let frames = (0..networks).map(|number| {
        let [_, a, b, c] = number.to_be_bytes();
        datagram(Ends::new(&format!("{}.{b}.{c}.9", 100 + a), 4_000, HERE4), &calls::null(4), to)
    });
    answers_to(scene, frames.collect());
}

/// Another table than before: who is in the middle of reading it keeps the old one.
fn change(scene: &Scene) {
    let stream = ask::unix(&scene.home, testkit::daemon::SOCKET);
    for message in [calls::unset(400_000, 1, ""), calls::set(400_000, 1, "local", "/run/changed")] {
        assert_eq!(ask::results(&ask::over(&stream, &message).unwrap()), calls::TRUE);
    }
}

/// Calls whose replies are many times as long.
fn statistics() -> Vec<u8> {
    ask::as_record(&calls::mapper(4, 12, &[])).repeat(CALLS)
}

/// Has the first of the crowd do what takes memory: not read lists, let replies queue up, begin messages.
fn be_busy(scene: &Scene, crowd: &[TcpStream]) {
    let lists = ask::as_record(&calls::mapper(4, 4, &[])).repeat(CALLS);
    let statistics = statistics();
    // Five generations of the table, four of them old.
    for readers in crowd.chunks(NOT_READING / 5).take(5) {
        readers.iter().for_each(|stream| push(stream, &lists));
        change(scene);
    }
    for _ in 0..4 {
        // Their own buffers fill up, then the kernel's at both ends, then the daemon's.
        crowd.iter().skip(NOT_READING).take(QUEUEING).for_each(|stream| push(stream, &statistics));
        change(scene);
    }
    let mut begun = vec![0; BEGUN];
    begun[..4].copy_from_slice(&(0x8000_0000 | ANNOUNCED).to_be_bytes());
    for stream in crowd.iter().skip(NOT_READING + QUEUEING).take(UNFINISHED) {
        // It goes in piece by piece.
        let mut sent = 0;
        wait::until("room", || {
            match (&mut &*stream).write(&begun[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Its time is over: it is not counted below.
                Err(_) => return Ok(Some(())),
            }
            Ok((sent == begun.len()).then_some(()))
        })
        .unwrap();
    }
}

/// Whether those that are busy since `began` have met their limits and no more of them have been closed than it takes:
/// else idle connections would be measured.
fn are_still_there(crowd: &[TcpStream], began: Instant) {
    let left = |kind: std::ops::Range<usize>| crowd[kind].iter().filter(|stream| is_open(stream)).count();
    let (reading, all) = (NOT_READING + QUEUEING, NOT_READING + QUEUEING + UNFINISHED);
    wait::until("the limit on messages that are not finished", || {
        // A record's mark is not kept.
        Ok((left(reading..all) * (BEGUN - 4) <= UNANSWERED).then_some(()))
    })
    .unwrap();
    let [lists, queueing, unfinished] =
        [left(0..NOT_READING), left(NOT_READING..reading), left(reading..all)];
    let took = began.elapsed();
    println!("left after {took:?}: {lists} and {queueing} that do not read, {unfinished} unfinished");
    if is_full() || took < STALLED_MIN {
        // The oldest of these were closed. Calls that wait behind replies nobody reads are part of that limit.
        let (held, calls) = (unfinished * BEGUN, QUEUEING * statistics().len());
        assert!(held + calls >= UNANSWERED, "{unfinished} of {UNFINISHED}");
        // Some of these were closed, when what the kernel holds for them met its limit.
        assert!(queueing >= UNDELIVERED / UNDELIVERED_OF_ONE, "{queueing} of {QUEUEING}");
    } else {
        testkit::skip::say("too slow a machine for busy connections: most are idle instead");
    }
}

#[test]
fn with_every_limit_reached_at_once_the_units_memory_and_descriptors_are_enough() {
    testkit::require!("/usr/bin/python3");
    let _alone = crate::alone();
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let given = usize::try_from(most.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let wanted = count(DESCRIPTORS, FEW_DESCRIPTORS);
    let descriptors = wanted.min(given);
    if descriptors < wanted {
        testkit::skip::say(&format!("{wanted} descriptors, of which {given} may be had here"));
    }
    let group = Group::new(MEMORY_MAX);
    if let Err(why) = &group {
        if is_full() {
            testkit::skip!("no memory control group: {why}");
        }
        testkit::skip::say(&format!("the unit's limit on memory, no control group for it: {why}"));
    }
    let join =
        group.as_ref().map_or(String::new(), |group| format!("echo $$ >{} && ", group.members().display()));
    let script = format!("{join}ulimit -n {descriptors} && exec {RPCBIND} -f -w");
    let scene = Scene::started("", &DaemonKind::ours("/bin/sh").arguments(["-c", &script]));

    println!("{} rows", fill_the_table(&scene));
    fill_the_statistics(&scene);
    fill_the_limiter(&scene);
    let (tcp, unix) = connections(descriptors);
    let _idle = idle_users(&scene, unix);
    let mut crowd = Vec::new();
    fill_up(&scene, &mut crowd, tcp);
    println!("{tcp} TCP and {unix} unix connections");
    let began = Instant::now();
    be_busy(&scene, &crowd);
    are_still_there(&crowd, began);
    wait::until("all connections", || {
        // Those whose time is over go on being closed.
        fill_up(&scene, &mut crowd, tcp);
        Ok((scene.descriptors() >= tcp + unix).then_some(()))
    })
    .unwrap();
    let open = scene.descriptors();
    assert!(open <= descriptors, "{open} of {descriptors}");
    scene.is_well();

    let anonymous = scene.kilobytes("Anonymous") * 1024;
    println!("{} MiB of anonymous memory", anonymous / MIB);
    assert!(anonymous <= 64 * MIB, "{anonymous} bytes");
    if let Ok(group) = &group {
        stayed_below_the_limit(group, tcp);
    }
    drop(scene);
}

fn stayed_below_the_limit(group: &Group, tcp: usize) {
    let ((all, of_tcp), peak) = (group.charged(), group.peak());
    println!("{} MiB charged, {} of that for TCP; at most {}", all / MIB, of_tcp / MIB, peak / MIB);
    assert_eq!(group.failures(), 0, "the limit was met");
    // What nobody can be made to receive and not to read in order: every connection's receive buffer full.
    let received = tcp * RECEIVED_MAX;
    assert!(peak + received <= MEMORY_MAX, "{peak} and {received} bytes");
}

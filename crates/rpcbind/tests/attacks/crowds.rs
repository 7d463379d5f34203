//! Crowds that do nothing, too much, or everything a byte at a time: others do not notice them.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::wait::DEADLINE;

use crate::{Scene, ask, calls, count, here4, is_full};

/// Room for a crowd in this process.
fn make_room() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
}

/// Waits of clients that are not of the crowd.
struct Others<'s> {
    scene: &'s Scene,
    udp: std::net::UdpSocket,
    unix: std::os::unix::net::UnixStream,
    waits: Vec<Duration>,
}

impl<'s> Others<'s> {
    fn new(scene: &'s Scene) -> Self {
        let udp = ask::udp(&scene.home, "127.0.0.1", "127.0.0.1:111".parse().unwrap());
        Self { scene, udp, unix: ask::unix(&scene.home, testkit::daemon::SOCKET), waits: Vec::new() }
    }

    fn ask(&mut self) {
        let look_up = ask::getport();
        let began = Instant::now();
        assert_eq!(ask::over_udp(&self.udp, &look_up).unwrap().len(), 28);
        self.waits.push(began.elapsed());
        let began = Instant::now();
        assert_eq!(ask::over(&self.unix, &look_up).unwrap().len(), 28);
        self.waits.push(began.elapsed());
    }

    /// All were; in the full run 99 of 100 within this time.
    fn were_served_within(mut self, most: Duration) {
        self.waits.sort();
        let of = |percent: usize| self.waits[self.waits.len() * percent / 100];
        println!("{} waits: half below {:?}, 99 of 100 below {:?}", self.waits.len(), of(50), of(99));
        assert!(!is_full() || of(99) < most, "{:?}", of(99));
        self.scene.is_well();
    }
}

#[test]
fn ten_thousand_idle_connections_disturb_nobody() {
    testkit::require!();
    let _alone = crate::alone();
    make_room();
    let scene = Scene::new("");
    let crowd: Vec<TcpStream> = (0..count(10_000, 1_000))
        .map(|number| match number % 2 {
            0 => ask::tcp(&scene.other, &here4().to_string()),
            _ => ask::tcp(&scene.home, "127.0.0.1:111"),
        })
        .collect();
    let began = Instant::now();
    let newcomer = ask::tcp(&scene.other, &here4().to_string());
    assert_eq!(ask::over(newcomer, &ask::getport()).unwrap().len(), 28);
    assert!(!is_full() || began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    if is_full() {
        // Nobody asks anything: nothing is done.
        let (began, ticks) = (Instant::now(), scene.cpu_ticks());
        std::thread::sleep(Duration::from_secs(1));
        let used = scene.cpu_ticks() - ticks;
        assert!(used <= 2, "{used} hundredths of a second in {:?}", began.elapsed());
    }
    let mut others = Others::new(&scene);
    for _ in 0..500 {
        others.ask();
    }
    others.were_served_within(Duration::from_millis(5));
    drop(crowd);
}

#[test]
fn clients_that_ask_for_lists_and_never_read_are_closed_and_disturb_nobody() {
    testkit::require!();
    let _alone = crate::alone();
    let scene = Scene::new("");
    scene.register(1_000);
    let memory = scene.kilobytes("Rss");
    let lists = ask::as_record(&calls::mapper(4, 4, &[])).repeat(100);
    let mut crowd: Vec<TcpStream> = (0..32).map(|_| ask::tcp(&scene.other, &here4().to_string())).collect();
    crowd.iter().for_each(|one| one.set_nonblocking(true).unwrap());
    let (began, ticks) = (Instant::now(), scene.cpu_ticks());
    let mut others = Others::new(&scene);
    let mut most = 0;
    while !crowd.is_empty() {
        // As much as goes in; an error that is not that nothing goes in says that it is closed.
        crowd.retain_mut(|one| match one.write(&lists) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        });
        others.ask();
        most = most.max(scene.kilobytes("Rss"));
        std::thread::sleep(Duration::from_millis(5));
        assert!(began.elapsed() < DEADLINE, "{} are not closed", crowd.len());
    }
    let (took, used) = (began.elapsed(), scene.cpu_ticks() - ticks);
    println!("closed after {took:?}, {used} hundredths of a second, {} kB more", most.saturating_sub(memory));
    // Ten seconds after the last that went in: the kernel offers again and again, and the client's may take a little
    // more.
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert!(!is_full() || took < Duration::from_secs(24), "{took:?}");
    let is_little = used * 5 <= u64::try_from(took.as_millis() / 10).unwrap();
    assert!(!is_full() || is_little, "{used} hundredths in {took:?}");
    // 64 KiB a connection, and the list.
    assert!(most.saturating_sub(memory) < 4_096, "{} kB more", most - memory);
    others.were_served_within(Duration::from_millis(10));
}

#[test]
fn clients_that_send_a_byte_at_a_time_are_closed_in_ten_seconds_and_disturb_nobody() {
    testkit::require!();
    let _alone = crate::alone();
    make_room();
    let scene = Scene::new("");
    let began = Instant::now();
    let mut crowd: Vec<(TcpStream, usize)> =
        (0..count(500, 200)).map(|_| (ask::tcp(&scene.other, &here4().to_string()), 0)).collect();
    let all_there = Instant::now();
    let record = ask::as_record(&calls::null(4));
    let mut others = Others::new(&scene);
    while !crowd.is_empty() {
        // The last byte is never sent.
        crowd.retain_mut(|(one, sent)| {
            *sent = (*sent + 1).min(record.len() - 1);
            let byte = &record[*sent - 1..*sent];
            one.set_nonblocking(true).unwrap();
            if *sent < record.len() - 1 {
                return one.write(byte).is_ok();
            }
            matches!(one.peek(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        });
        for _ in 0..20 {
            others.ask();
        }
        std::thread::sleep(Duration::from_millis(200));
        assert!(began.elapsed() < DEADLINE, "{} are not closed", crowd.len());
    }
    let took = all_there.elapsed();
    println!("closed after {took:?}");
    // The first byte was sent after all were there, and it takes a round to see the end.
    assert!(took > Duration::from_secs(9), "{took:?}");
    assert!(!is_full() || took < Duration::from_secs(13), "{took:?}");
    others.were_served_within(Duration::from_millis(5));
}

//! A port mapper that tells which services are dead, one that tells nothing, and those that tell it badly.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oncrpc::bind::status::{self, Head, Liveness, RowStatus, State};
use oncrpc::bind::{self, Mapping, Protocol, Rpcb};
use oncrpc::record::mark;
use oncrpc::xdr::{Encode, Error, Writer, encode_list};
use oncrpc::{Answer, Call, Program, Reply, Version};
use testkit::{Finished, Namespace};

/// What the pretended port mapper does when it is asked for its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// It tells it, with this known of the second row.
    Of(Liveness),
    Unavailable,
    Mismatch,
    Garbage,
    /// It closes the connection.
    Nothing,
    /// It does not answer.
    Never,
}

const ADDRESSES: [&str; 3] = ["0.0.0.0.128.1", "0.0.0.0.128.2", "0.0.0.0.128.3"];

fn encoded(write: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>) -> Vec<u8> {
    let mut buffer = [0; 4_000];
    let mut writer = Writer::new(&mut buffer);
    write(&mut writer).expect("it fits");
    writer.written().to_vec()
}

/// The third row is not told of, or was registered anew at another address between the two answers.
fn statuses(second: Liveness) -> Vec<u8> {
    let row = |number: usize, liveness, address: &'static str| RowStatus {
        program: Program(600_000_001),
        version: Version(u32::try_from(number).expect("few")),
        netid: b"tcp",
        address: address.as_bytes(),
        from_home: true,
        liveness,
        since_seconds: 1_000,
    };
    let head = Head {
        version: b"0",
        clock_seconds: 1_075,
        state: State::Durable,
        why: b"",
        judges: true,
        last_sweep_seconds: Some(1_074),
        rows: 3,
        dead: 1,
        died: 1,
        came_back: 0,
        replaced: 0,
        expired: 0,
    };
    let rows = [
        row(0, Liveness::Alive, ADDRESSES[0]),
        row(1, second, ADDRESSES[1]),
        row(2, Liveness::Dead, if second == Liveness::Dead { "0.0.0.0.9.9" } else { ADDRESSES[2] }),
    ];
    let rows = if second == Liveness::Alive { &rows[..2] } else { &rows[..] };
    encoded(|writer| {
        head.encode(writer)?;
        encode_list(rows.iter().copied(), writer)
    })
}

fn serve(mut stream: UnixStream, tells: Tells, asked: &AtomicUsize) -> io::Result<()> {
    loop {
        let mut head = [0; 4];
        stream.read_exact(&mut head)?;
        let mut message = vec![0; (u32::from_be_bytes(head) & 0x7fff_ffff) as usize];
        stream.read_exact(&mut message)?;
        let Ok(call) = Call::decode(&message) else { panic!("no call: {message:?}") };
        let dump = encoded(|writer| {
            let rows = ADDRESSES.iter().enumerate().map(|(number, address)| Rpcb {
                program: Program(600_000_001),
                version: Version(u32::try_from(number).unwrap_or(0)),
                netid: b"tcp",
                address: address.as_bytes(),
                owner: b"superuser",
            });
            encode_list(rows, writer)
        });
        let mappings = encoded(|writer| {
            let rows = (0..3_u32).map(|number| Mapping {
                program: Program(600_000_001),
                version: Version(number),
                protocol: Protocol::TCP,
                port: 0x8001 + number,
            });
            encode_list(rows, writer)
        });
        let known = if let Tells::Of(liveness) = tells { statuses(liveness) } else { vec![7; 40] };
        let is_status = call.program == status::PROGRAM;
        asked.fetch_add(usize::from(is_status), Ordering::Relaxed);
        let answer = match tells {
            _ if !is_status && call.version == bind::V2 => Answer::Success(&mappings),
            _ if !is_status => Answer::Success(&dump),
            Tells::Of(_) | Tells::Garbage => Answer::Success(&known),
            Tells::Unavailable => Answer::ProgramUnavailable,
            Tells::Mismatch => Answer::ProgramMismatch { low: 2, high: 3 },
            Tells::Nothing => return Ok(()),
            Tells::Never => continue,
        };
        let reply = encoded(|writer| Reply { xid: call.xid, answer }.encode(writer));
        stream.write_all(&[&mark(reply.len()).expect("short")[..], &reply].concat())?;
    }
}

struct House {
    home: Namespace,
    asked: Arc<AtomicUsize>,
}

impl House {
    fn new(tells: Tells) -> Self {
        let home = Namespace::new().expect("a namespace");
        let listener =
            home.within(|| UnixListener::bind(bind::SOCKET_PATH)).expect("entered").expect("bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // The client has gone: it has heard all it wanted.
                let _ = serve(stream, tells, &counter);
            }
        });
        Self { home, asked }
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let end =
            self.home.run(Command::new(env!("CARGO_BIN_EXE_rpcinfo")).args(arguments)).expect("it runs");
        assert!(end.status.success(), "{end:?}");
        assert_eq!(end.stderr, "");
        end
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.run(arguments).stdout).expect("JSON")
    }
}

const PLAIN_ROWS: &str = "   program version netid     address                service    owner
 600000001    0    tcp       0.0.0.0.128.1          -          superuser
 600000001    1    tcp       0.0.0.0.128.2          -          superuser
 600000001    2    tcp       0.0.0.0.128.3          -          superuser
";

#[test]
fn a_dead_service_is_shown_in_every_list_of_this_host() {
    testkit::require!();
    let house = House::new(Tells::Of(Liveness::Dead));
    let rows = "   program version netid     address                service    owner      liveness
 600000001    0    tcp       0.0.0.0.128.1          -          superuser  alive
 600000001    1    tcp       0.0.0.0.128.2          -          superuser  dead for 75 s
 600000001    2    tcp       0.0.0.0.128.3          -          superuser  -
";
    assert_eq!(house.run(&[]).stdout, rows);
    let programs = "   program version(s) netid(s)                         service     owner       dead
 600000001  2,1,0     tcp                              -           superuser   1
";
    assert_eq!(house.run(&["-s"]).stdout, programs);
    let mappings = "   program vers proto   port  service     liveness
 600000001    0   tcp  32769              alive
 600000001    1   tcp  32770              dead for 75 s
 600000001    2   tcp  32771              -
";
    assert_eq!(house.run(&["-p"]).stdout, mappings);
    for (arguments, list) in [(&["--json"][..], "rows"), (&["--json", "-p"], "mappings")] {
        let document = house.json(arguments);
        let known: Vec<_> = (0..3)
            .map(|row| {
                let row = &document[list][row];
                (row["liveness"].as_str(), row["liveness_seconds"].as_u64())
            })
            .collect();
        assert_eq!(known, [(Some("alive"), Some(75)), (Some("dead"), Some(75)), (None, None)]);
        assert!(document[list][2]["liveness"].is_null(), "the field is there");
    }
    assert_eq!(house.json(&["--json", "-s"])["programs"][0]["dead_rows"], 1);
    assert_eq!(house.asked.load(Ordering::Relaxed), 6, "once each");
}

#[test]
fn while_no_service_is_dead_the_text_is_as_ever() {
    testkit::require!();
    let house = House::new(Tells::Of(Liveness::Alive));
    assert_eq!(house.run(&[]).stdout, PLAIN_ROWS);
    assert_eq!(house.json(&["--json"])["rows"][1]["liveness"], "alive");
    assert_eq!(house.json(&["--json", "-s"])["programs"][0]["dead_rows"], 0);
}

#[test]
fn a_port_mapper_that_does_not_tell_is_done_without() {
    testkit::require!();
    for tells in [Tells::Unavailable, Tells::Mismatch, Tells::Garbage, Tells::Nothing, Tells::Never] {
        let house = House::new(tells);
        assert_eq!(house.run(&[]).stdout, PLAIN_ROWS, "{tells:?}");
        assert_eq!(house.asked.load(Ordering::Relaxed), 1, "{tells:?}");
        if tells != Tells::Never {
            let plain = "   program vers proto   port  service\n 600000001    0   tcp  32769\n \
                         600000001    1   tcp  32770\n 600000001    2   tcp  32771\n";
            assert_eq!(house.run(&["-p"]).stdout, plain, "{tells:?}");
            let document = house.json(&["--json"]);
            assert!(document["rows"][0].get("liveness").is_some_and(serde_json::Value::is_null));
            assert!(document["error"].is_null());
        }
    }
}

#[test]
fn a_port_mapper_that_is_named_is_not_asked() {
    testkit::require!(testkit::DaemonKind::DEBIAN);
    let house = House::new(Tells::Of(Liveness::Dead));
    // Another one serves the host's addresses.
    let kind = testkit::DaemonKind::debian();
    let other = Namespace::new().expect("another");
    house.home.connect(&other, &["10.9.8.7/24"], &["10.9.8.1/24"]).expect("a cable");
    let _daemon = testkit::Daemon::start(&other, &kind).expect("it starts");
    let text = house.run(&["10.9.8.1"]).stdout;
    assert!(text.starts_with("   program version netid     address                service    owner\n"));
    assert_eq!(house.asked.load(Ordering::Relaxed), 0);
}

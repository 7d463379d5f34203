//! Lines as they leave, for each style and through a real datagram socket.

use super::*;
use crate::logging::Escaped;
use std::os::unix::net::UnixDatagram;

const NOW: Duration = Duration::from_secs(100);

fn lines(lines: &mut Lines, style: Style, now: Duration, kind: (Level, &str), text: &str) -> Vec<String> {
    let mut written = Vec::new();
    lines.message((style, now), kind, format_args!("{text}"), &mut |line| written.push(line.to_owned()));
    written
}

fn line(style: Style, kind: (Level, &str), text: &str) -> String {
    let mut written = lines(&mut Lines::new(), style, NOW, kind, text);
    assert_eq!(written.len(), 1);
    written.remove(0)
}

#[test]
fn each_style_puts_its_own_words_before_the_message() {
    let syslog = Style::Syslog { pid: 7 };
    let cases = [
        (Style::Plain, (Level::Info, "x"), "rpcbind: hello\n"),
        (Style::Plain, (Level::Warn, "x"), "rpcbind: warning: hello\n"),
        (Style::Plain, (Level::Error, "x"), "rpcbind: error: hello\n"),
        (Style::Journal, (Level::Error, "x"), "<27>hello\n"),
        (Style::Journal, (Level::Info, CONNECT), "<38>hello\n"),
        (syslog, (Level::Info, "x"), "<30>rpcbind[7]: hello"),
        (syslog, (Level::Debug, "x"), "<31>rpcbind[7]: hello"),
        (syslog, (Level::Info, CONNECT), "<38>rpcbind[7]: hello"),
        (syslog, (Level::Warn, CONNECT), "<36>rpcbind[7]: hello"),
    ];
    for (style, kind, expected) in cases {
        assert_eq!(line(style, kind, "hello"), expected);
    }
}

#[test]
fn a_message_is_one_line_of_ascii_whatever_is_in_it() {
    let kind = (Level::Info, "x");
    assert_eq!(line(Style::Plain, kind, "a\nb\x1b[1mé"), "rpcbind: a\\x0ab\\x1b[1m\\xc3\\xa9\n");
    let netid = Escaped(b"\"\n\\");
    assert_eq!(line(Style::Plain, kind, &format!("netid \"{netid}\"")), "rpcbind: netid \"\\\"\\x0a\\\\\"\n");
    let long = line(Style::Plain, kind, &"x".repeat(1 << 20));
    assert_eq!(long.len(), LINE_LIMIT + 1);
    assert!(long.ends_with("x...\n"));
}

#[test]
fn a_flood_is_ten_lines_and_then_one_that_counts_the_rest() {
    let mut sink = Lines::new();
    let kind = (Level::Warn, "calls");
    let written: usize =
        (0..1_000).map(|_| lines(&mut sink, Style::Plain, NOW, kind, "bad call").len()).sum();
    assert_eq!(written, 10);
    let later = NOW + Duration::from_secs(1);
    let mut said = Vec::new();
    sink.ended(Style::Plain, later, &mut |line| said.push(line.to_owned()));
    assert_eq!(said, ["rpcbind: warning: 990 more suppressed (calls)\n"]);
    assert_eq!(lines(&mut sink, Style::Plain, later, kind, "bad call").len(), 1);
}

#[test]
fn what_was_suppressed_is_said_before_the_next_line() {
    let mut sink = Lines::new();
    let kind = (Level::Info, CONNECT);
    for _ in 0..12 {
        lines(&mut sink, Style::Journal, NOW, kind, "connect");
    }
    let written = lines(&mut sink, Style::Journal, NOW + Duration::from_secs(5), (Level::Info, "x"), "other");
    assert_eq!(written, ["<38>2 more suppressed (connect)\n", "<30>other\n"]);
}

#[test]
fn what_is_said_at_start_is_never_suppressed() {
    let mut sink = Lines::new();
    let kind = (Level::Error, START);
    let written: usize = (0..1_000).map(|_| lines(&mut sink, Style::Plain, NOW, kind, "fault").len()).sum();
    assert_eq!(written, 1_000);
}

#[test]
fn the_journal_is_recognised_by_device_and_inode() {
    let cases = [
        (Some("9:12345"), true),
        (Some("9:12346"), false),
        (Some("8:12345"), false),
        (Some("9"), false),
        (Some("9:12345:"), false),
        (Some(""), false),
        (Some("a:b"), false),
        (None, false),
    ];
    for (stream, expected) in cases {
        assert_eq!(names(stream.map(OsStr::new), 9, 12_345), expected, "{stream:?}");
    }
}

#[test]
fn the_system_log_gets_one_datagram_a_line_and_hears_of_lost_ones() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let mut state = State {
        destination: Destination::Syslog(Syslog::to(&path).expect("a socket")),
        lines: Lines::new(),
        began: None,
    };
    state.destination.write("<30>rpcbind[1]: nobody listens");
    state.destination.write("<30>rpcbind[1]: nobody listens");
    state.lost();

    let receiver = UnixDatagram::bind(&path).expect("a receiver");
    receiver.set_nonblocking(true).expect("datagrams are there at once");
    state.lost();
    state.destination.write("<30>rpcbind[1]: hello");
    let received = || {
        let mut buffer = [0; 2_048];
        let length = receiver.recv(&mut buffer).expect("a datagram is there");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert!(received().ends_with("]: 2 lines could not be sent here"));
    assert_eq!(received(), "<30>rpcbind[1]: hello");

    // A receiver that came back at the same path is found.
    drop(receiver);
    std::fs::remove_file(&path).expect("the name goes");
    let receiver = UnixDatagram::bind(&path).expect("a receiver again");
    receiver.set_nonblocking(true).expect("datagrams are there at once");
    let mut buffer = [0; 16];
    // A child that another test is just starting may hold the first one a moment longer.
    let length = testkit::wait::until("a datagram", || {
        state.destination.write("again");
        Ok(receiver.recv(&mut buffer).ok())
    });
    assert_eq!(length.expect("it is found"), 5);
}

#[test]
fn a_system_log_that_does_not_read_never_stops_us() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let _receiver = UnixDatagram::bind(&path).expect("a receiver");
    let mut syslog = Syslog::to(&path).expect("a socket");
    for _ in 0..10_000 {
        syslog.send("<30>rpcbind[1]: hello");
    }
    assert!(syslog.take_lost() > 0);
}

//! What servers may do to a client, and how each call ends all the same: soon, and without keeping what came.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::pretender::{record, reply, string, tcp, udp, words};
use oncrpc::record::RecordError;
use oncrpc::{Answer, Program, Version, xdr};
use rpcbind_client::{CallError, Client, ConnectError, Endpoint, MAX_ROWS, PortMapper, RpcbVersion};

const LIMIT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

fn mapper(endpoint: &Endpoint, limit: Duration) -> PortMapper {
    PortMapper::connect(endpoint, limit).expect("somebody listens")
}

/// What DUMP of version 3 comes to when its results are these bytes.
fn rows_of(results: Vec<u8>) -> Result<usize, CallError> {
    let server = tcp(move |heard| record(heard.xid, Answer::Success(&results)));
    mapper(&server.endpoint, LONG).rows(RpcbVersion::V3).map(|rows| rows.len())
}

#[test]
fn a_silent_stream_ends_at_the_limit() {
    let server = tcp(|_| {
        std::thread::park();
        Vec::new()
    });
    let began = Instant::now();
    let error = mapper(&server.endpoint, LIMIT).null(Version(2)).expect_err("nothing came");
    assert!(matches!(error, CallError::TimedOut { limit: LIMIT }), "{error}");
    assert!(began.elapsed() >= LIMIT && began.elapsed() < LONG);
}

#[test]
fn bytes_that_trickle_do_not_put_the_limit_off() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = Endpoint::Tcp(server.local_addr().expect("its address"));
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut connection, _) = server.accept().expect("a client");
        // A record of one megabyte, a byte at a time, while anybody reads.
        let mut byte = 0x80;
        while connection.write_all(&[byte]).is_ok() {
            byte = 0x10;
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    let began = Instant::now();
    let error = mapper(&endpoint, LIMIT).null(Version(2)).expect_err("never whole");
    assert!(matches!(error, CallError::TimedOut { .. } | CallError::Record(_)), "{error}");
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_lost_datagram_is_sent_again_with_the_same_xid() {
    let mut calls = 0;
    let server = udp(move |socket, from, heard| {
        calls += 1;
        if calls == 2 {
            socket.send_to(&reply(heard.xid, Answer::Success(&[])), from).expect("sent");
        }
    });
    mapper(&server.endpoint, LONG).null(Version(4)).expect("the second one is answered");
    let heard: Vec<_> = server.heard.try_iter().collect();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], heard[1]);
}

#[test]
fn a_reply_from_another_address_is_not_taken() {
    let server = udp(|_, from, heard| {
        let other = UdpSocket::bind("127.0.0.1:0").expect("a port");
        other.send_to(&reply(heard.xid, Answer::Success(&[])), from).expect("sent");
    });
    let error = mapper(&server.endpoint, LIMIT).null(Version(4)).expect_err("not from the server");
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
}

#[test]
fn datagrams_that_answer_something_else_are_skipped() {
    let server = udp(|socket, from, heard| {
        let stale = oncrpc::Xid(heard.xid.0.wrapping_add(1));
        for message in
            [vec![], vec![1, 2, 3], reply(stale, Answer::SystemError), reply(heard.xid, Answer::Success(&[]))]
        {
            socket.send_to(&message, from).expect("sent");
        }
    });
    mapper(&server.endpoint, LONG).null(Version(4)).expect("the last one counts");
}

#[test]
fn records_that_answer_something_else_are_skipped() {
    let server = tcp(|heard| {
        let stale = oncrpc::Xid(heard.xid.0.wrapping_sub(1));
        let empty = vec![0x80, 0, 0, 0];
        let call = vec![0x80, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        [empty, record(stale, Answer::SystemError), call, record(heard.xid, Answer::Success(&[]))].concat()
    });
    mapper(&server.endpoint, LONG).null(Version(4)).expect("the last one counts");
}

#[test]
fn a_late_reply_is_not_taken_for_the_next_call() {
    let mut late = None;
    let server = udp(move |socket, from, heard| match late.take() {
        None => late = Some(reply(heard.xid, Answer::SystemError)),
        Some(late) => {
            socket.send_to(&late, from).expect("sent");
            socket.send_to(&reply(heard.xid, Answer::Success(&[])), from).expect("sent");
        }
    });
    let mut mapper = mapper(&server.endpoint, LIMIT);
    assert!(matches!(mapper.null(Version(4)), Err(CallError::TimedOut { .. })));
    mapper.set_limit(LONG);
    mapper.null(Version(4)).expect("its own reply");
}

#[test]
fn a_refused_datagram_is_told_at_once() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let endpoint = Endpoint::Udp(socket.local_addr().expect("its address"));
    drop(socket);
    let began = Instant::now();
    let error = mapper(&endpoint, LONG).null(Version(4)).expect_err("nobody is there");
    assert!(matches!(&error, CallError::Receive(why) if why.kind() == std::io::ErrorKind::ConnectionRefused));
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_string_of_four_gigabytes_is_refused() {
    let results = words(&[1, 100_000, 4, u32::MAX]);
    let error = rows_of(results).expect_err("too long");
    assert!(matches!(error, CallError::Results(xdr::Error::TooLong { len: u32::MAX, .. })), "{error}");
}

#[test]
fn a_list_without_end_is_refused() {
    let error = rows_of(words(&[1, 100_000, 4, 0, 0, 0, 1])).expect_err("cut");
    assert!(matches!(error, CallError::Results(xdr::Error::Short { .. })), "{error}");
}

#[test]
fn bytes_after_the_results_are_refused() {
    let error = rows_of(words(&[0, 7])).expect_err("too many bytes");
    assert!(matches!(error, CallError::Results(xdr::Error::Leftover(4))), "{error}");
}

#[test]
fn a_list_may_have_so_many_rows_and_no_more() {
    let row = [1, 100_000, 4, 0, 0, 0];
    let mut list = words(&row.repeat(MAX_ROWS));
    list.extend(words(&[0]));
    assert_eq!(rows_of(list.clone()).expect("the most there may be"), MAX_ROWS);
    let mut more = words(&row);
    more.extend(list);
    let error = rows_of(more).expect_err("one too many");
    assert!(matches!(error, CallError::TooMany { max: MAX_ROWS }), "{error}");
}

#[test]
fn a_record_of_two_gigabytes_is_refused_before_it_is_read() {
    let server = tcp(|_| vec![0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let error = mapper(&server.endpoint, LONG).null(Version(4)).expect_err("too long");
    assert!(matches!(error, CallError::Record(RecordError::TooLong { .. })), "{error}");
}

#[test]
fn fragments_without_end_are_refused() {
    let server = tcp(|_| [0, 0, 0, 1, 7].repeat(100));
    let error = mapper(&server.endpoint, LONG).null(Version(4)).expect_err("never the last");
    assert!(matches!(error, CallError::Record(RecordError::TooManyFragments)), "{error}");
}

#[test]
fn a_closed_connection_is_told() {
    let server = tcp(|_| Vec::new());
    let error = mapper(&server.endpoint, LONG).null(Version(4)).expect_err("closed");
    assert!(matches!(error, CallError::Closed), "{error}");
}

#[test]
fn every_refusal_is_told_apart() {
    use oncrpc::AuthStatus;
    type Check = fn(&CallError) -> bool;
    let cases: [(Answer<'static>, Check); 7] = [
        (Answer::ProgramUnavailable, |e| matches!(e, CallError::ProgramUnavailable)),
        (Answer::ProgramMismatch { low: 3, high: 7 }, |e| {
            matches!(e, CallError::ProgramMismatch { low: 3, high: 7 })
        }),
        (Answer::ProcedureUnavailable, |e| matches!(e, CallError::ProcedureUnavailable)),
        (Answer::GarbageArguments, |e| matches!(e, CallError::GarbageArguments)),
        (Answer::SystemError, |e| matches!(e, CallError::SystemError)),
        (Answer::RpcMismatch { low: 3, high: 4 }, |e| {
            matches!(e, CallError::RpcMismatch { low: 3, high: 4 })
        }),
        (Answer::AuthError(AuthStatus::TooWeak), |e| matches!(e, CallError::Rejected(AuthStatus::TooWeak))),
    ];
    for (answer, is_it) in cases {
        let server = tcp(move |heard| record(heard.xid, answer));
        let mut client = Client::connect(&server.endpoint, LONG).expect("it listens");
        let error = client.null(Program(100_003), Version(3)).expect_err("a refusal");
        assert!(is_it(&error), "{answer:?}: {error}");
    }
}

#[test]
fn a_port_that_is_none_is_refused() {
    let server = tcp(|heard| record(heard.xid, Answer::Success(&words(&[65_536]))));
    let found = mapper(&server.endpoint, LONG).port(Program(1), Version(1), oncrpc::bind::Protocol::TCP);
    assert!(matches!(found, Err(CallError::Results(_))), "{found:?}");
}

#[test]
fn statistics_are_checked_to_their_end() {
    let one = [0; 15 + 2];
    let whole = words(&one.repeat(3));
    let server = tcp(move |heard| {
        let cut = usize::try_from(heard.version).map_or(0, |_| whole.len());
        record(heard.xid, Answer::Success(&whole[..cut]))
    });
    let found = mapper(&server.endpoint, LONG).statistics().expect("three empty tables");
    assert!(found.versions().iter().all(|version| version.addresses.is_empty()));
    let cut = tcp(move |heard| record(heard.xid, Answer::Success(&words(&one.repeat(2)))));
    let found = mapper(&cut.endpoint, LONG).statistics();
    assert!(matches!(found, Err(CallError::Results(xdr::Error::Short { .. }))), "{found:?}");
}

#[test]
fn arguments_that_fit_in_no_message_are_not_sent() {
    let server = tcp(|heard| record(heard.xid, Answer::Success(&string(""))));
    let long = vec![b'x'; 9000];
    let row = oncrpc::bind::Rpcb {
        program: Program(1),
        version: Version(1),
        netid: &long,
        address: b"",
        owner: b"",
    };
    let found = mapper(&server.endpoint, LONG).address(RpcbVersion::V4, &row);
    assert!(matches!(found, Err(CallError::Arguments { .. })), "{found:?}");
    assert_eq!(server.called(), []);
}

#[test]
fn connecting_to_a_full_unix_socket_ends_at_the_limit() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let listener =
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    listener.bind(&socket2::SockAddr::unix(&path).expect("short")).expect("bound");
    listener.listen(0).expect("listening");
    let endpoint = Endpoint::Path(path);
    let first = Client::connect(&endpoint, LIMIT).expect("one fits in the queue");
    let began = Instant::now();
    let error = Client::connect(&endpoint, LIMIT).expect_err("the queue is full");
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    assert!(began.elapsed() >= LIMIT && began.elapsed() < LONG);
    drop(first);
}

#[test]
fn a_name_that_nobody_has_is_unknown() {
    let error = PortMapper::on_host("no such host", rpcbind_client::Transport::Tcp, None, LONG);
    assert!(matches!(error, Err(ConnectError::UnknownHost(_))), "{error:?}");
    let family = Some(oncrpc::bind::Family::Inet6);
    let error = rpcbind_client::addresses("127.0.0.1", 111, family, LONG);
    assert!(matches!(error, Err(ConnectError::UnknownHost(_))), "{error:?}");
}

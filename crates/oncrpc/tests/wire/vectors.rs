//! Traffic captured from Debian's rpcbind and libtirpc: each call and reply decodes, and encodes to the same bytes.

use crate::hex::encoded;
use oncrpc::bind::sockaddr::{self, Sockaddr};
use oncrpc::bind::stat::{VersionTable, encode_version};
use oncrpc::bind::{
    self, AddressText, CallResult, Entry, Family, Mapping, Netbuf, PortCallResult, RemoteCall, Rpcb,
    UniversalAddress,
};
use oncrpc::record::RecordReader;
use oncrpc::xdr::{Decode, Encode, Error, List, Reader, Writer, encode_list};
use oncrpc::{Answer, AuthSys, Call, CallError, Procedure, Reply, Version, auth};
use std::collections::BTreeSet;
use testkit::vectors::{self, Vector};

/// Calls whose header is wrong on purpose, by the start of their name.
fn header_error(vector: &Vector, call: Result<Call<'_>, CallError>) -> bool {
    match call {
        Ok(_) => false,
        Err(CallError::Credential { .. }) => vector.name.starts_with("long-cred"),
        Err(CallError::Verifier { .. }) => vector.name.starts_with("long-verf"),
        Err(CallError::RpcVersion { .. }) => vector.name.starts_with("rpc-version-3"),
        Err(CallError::NotACall) => false,
    }
}

/// The XDR types that arguments and results are made of.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Void,
    Number,
    Text,
    Mapping,
    Mappings,
    Row,
    Rows,
    Entries,
    Netbuf,
    RemoteCall,
    PortResult,
    Result,
    Statistics,
}

/// What goes in and what comes out of a procedure (RFC 1833 sections 2.1 and 3.1).
fn shapes(version: Version, procedure: Procedure) -> Option<(Shape, Shape)> {
    Some(match (version.0, procedure.0) {
        (2..=4, 0) => (Shape::Void, Shape::Void),
        (2, 1..=3) => (Shape::Mapping, Shape::Number),
        (2, 4) => (Shape::Void, Shape::Mappings),
        (2, 5) => (Shape::RemoteCall, Shape::PortResult),
        (3 | 4, 1 | 2) => (Shape::Row, Shape::Number),
        (3 | 4, 3) | (4, 9) => (Shape::Row, Shape::Text),
        (3 | 4, 4) => (Shape::Void, Shape::Rows),
        (3 | 4, 5) | (4, 10) => (Shape::RemoteCall, Shape::Result),
        (3 | 4, 6) => (Shape::Void, Shape::Number),
        (3 | 4, 7) => (Shape::Text, Shape::Netbuf),
        (3 | 4, 8) => (Shape::Netbuf, Shape::Text),
        (4, 11) => (Shape::Row, Shape::Entries),
        (4, 12) => (Shape::Void, Shape::Statistics),
        _ => return None,
    })
}

/// Decodes the whole of some bytes and encodes what was found.
fn again(shape: Shape, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buffer = vec![0; 64 * 1024];
    let mut writer = Writer::new(&mut buffer);
    let mut reader = Reader::new(bytes);
    match shape {
        Shape::Void => {}
        Shape::Number => writer.u32(reader.u32()?)?,
        Shape::Text => writer.opaque(reader.opaque(bind::MAX_STRING)?)?,
        Shape::Mapping => Mapping::decode(&mut reader)?.encode(&mut writer)?,
        Shape::Row => Rpcb::decode(&mut reader)?.encode(&mut writer)?,
        Shape::Netbuf => Netbuf::decode(&mut reader)?.encode(&mut writer)?,
        Shape::RemoteCall => RemoteCall::decode(&mut reader)?.encode(&mut writer)?,
        Shape::PortResult => PortCallResult::decode(&mut reader)?.encode(&mut writer)?,
        Shape::Result => CallResult::decode(&mut reader)?.encode(&mut writer)?,
        Shape::Mappings => list::<Mapping>(&mut reader, &mut writer)?,
        Shape::Rows => list::<Rpcb<'_>>(&mut reader, &mut writer)?,
        Shape::Entries => list::<Entry<'_>>(&mut reader, &mut writer)?,
        Shape::Statistics => {
            for _ in 0..bind::stat::VERSIONS {
                let VersionTable { counters, addresses, remote } = VersionTable::decode(&mut reader)?;
                encode_version(&counters, addresses.flatten(), remote.flatten(), &mut writer)?;
            }
        }
    }
    reader.finish()?;
    Ok(writer.written().to_vec())
}

fn list<'a, T: Decode<'a> + Encode>(reader: &mut Reader<'a>, writer: &mut Writer<'_>) -> Result<(), Error> {
    let mut list = List::<T>::new(*reader);
    let elements = list.by_ref().collect::<Result<Vec<_>, _>>()?;
    *reader = list.reader();
    encode_list(elements, writer)
}

/// Calls whose arguments are wrong or have bytes behind them on purpose, by the start of their name.
fn has_odd_arguments(vector: &Vector) -> bool {
    ["garbage-args-", "trailing-"].iter().any(|start| vector.name.starts_with(start))
}

#[test]
fn every_call_encodes_to_the_bytes_it_was_decoded_from() {
    for vector in vectors::all().unwrap() {
        let message = vector.call_message();
        let call = Call::decode(message);
        if header_error(&vector, call) {
            continue;
        }
        let call = call.unwrap_or_else(|error| panic!("{}: {error:?}", vector.name));
        assert_eq!(encoded(&call), message, "{}", vector.name);
        if call.credential.flavor == auth::flavor::SYS {
            let is_bad = vector.name.starts_with("badcred-");
            match AuthSys::from_body(call.credential.body) {
                Ok(sys) => assert_eq!(encoded(&sys), call.credential.body, "{}", vector.name),
                Err(error) => assert!(is_bad, "{}: {error}", vector.name),
            }
        }
    }
}

#[test]
fn every_reply_encodes_to_the_bytes_it_was_decoded_from() {
    for vector in vectors::all().unwrap() {
        let Some(message) = vector.reply_message() else { continue };
        let reply = Reply::decode(message).unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert_eq!(encoded(&reply), message, "{}", vector.name);
    }
}

#[test]
fn arguments_and_results_of_every_procedure_encode_to_the_bytes_they_were_decoded_from() {
    let (mut called, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for vector in vectors::all().unwrap() {
        let Ok(call) = Call::decode(vector.call_message()) else { continue };
        if call.program != bind::PROGRAM {
            continue;
        }
        let Some((arguments, results)) = shapes(call.version, call.procedure) else { continue };
        let key = (call.version.0, call.procedure.0);
        if has_odd_arguments(&vector) {
            assert!(again(arguments, call.arguments).is_err(), "{}: {arguments:?}", vector.name);
        } else {
            assert_eq!(again(arguments, call.arguments).as_deref(), Ok(call.arguments), "{}", vector.name);
            called.insert(key);
        }
        let answer = vector.reply_message().map(|reply| Reply::decode(reply).unwrap().answer);
        if let Some(Answer::Success(bytes)) = answer {
            assert_eq!(again(results, bytes).as_deref(), Ok(bytes), "{}: {results:?}", vector.name);
            answered.insert(key);
        }
    }
    let all: BTreeSet<_> = [(2, 5), (3, 8), (4, 12)]
        .iter()
        .flat_map(|(version, last)| (0..=*last).map(|proc| (*version, proc)))
        .collect();
    assert_eq!(called, all);
    assert_eq!(answered, all);
}

#[test]
fn every_cut_of_what_was_captured_is_refused_or_shorter_in_its_last_part() {
    for vector in vectors::all().unwrap() {
        let message = vector.call_message();
        if let Ok(whole) = Call::decode(message) {
            for len in 0..message.len() {
                if let Ok(cut) = Call::decode(&message[..len]) {
                    assert_eq!(cut.arguments, &whole.arguments[..cut.arguments.len()], "{}", vector.name);
                }
            }
            if let Some((shape, _)) = shapes(whole.version, whole.procedure)
                && !has_odd_arguments(&vector)
            {
                for len in 0..whole.arguments.len() {
                    assert!(again(shape, &whole.arguments[..len]).is_err(), "{}: {len} bytes", vector.name);
                }
            }
        }
    }
}

#[test]
fn streams_give_the_captured_messages_at_any_split() {
    for vector in vectors::all().unwrap().iter().filter(|vector| vector.is_stream()) {
        let reply = vector.reply.as_deref().zip(vector.reply_message());
        for (bytes, message) in [(&vector.call[..], vector.call_message())].into_iter().chain(reply) {
            for cut in 0..=bytes.len().min(200) {
                let mut reader = RecordReader::new(64 * 1024);
                let (mut head, mut tail) = bytes.split_at(cut);
                let first = reader.next(&mut head).unwrap().map(<[u8]>::to_vec);
                let record = first.or_else(|| reader.next(&mut tail).unwrap().map(<[u8]>::to_vec));
                assert_eq!(record.as_deref(), Some(message), "{} cut at {cut}", vector.name);
            }
        }
    }
}

#[test]
fn addresses_are_converted_as_the_captured_daemon_converted_them() {
    let mut converted = 0;
    for vector in vectors::all().unwrap() {
        let call = Call::decode(vector.call_message());
        let Some((call, reply)) = call.ok().zip(vector.reply_message()) else { continue };
        let Answer::Success(results) = Reply::decode(reply).unwrap().answer else { continue };
        if call.program != bind::PROGRAM || has_odd_arguments(&vector) {
            continue;
        }
        let family = match &*vector.transport {
            "udp" | "tcp" => Family::Inet,
            "udp6" | "tcp6" => Family::Inet6,
            _ => Family::Local,
        };
        let (mut arguments, mut results) = (Reader::new(call.arguments), Reader::new(results));
        if call.procedure == bind::UADDR2TADDR {
            let text = arguments.opaque(bind::MAX_STRING).unwrap();
            let layout = UniversalAddress::parse(text, family).map(|address| Sockaddr::new(&address));
            let theirs = Netbuf::decode(&mut results).unwrap().bytes;
            assert_eq!(layout.as_ref().map_or(&[][..], Sockaddr::as_bytes), theirs, "{}", vector.name);
        } else if call.procedure == bind::TADDR2UADDR {
            let netbuf = Netbuf::decode(&mut arguments).unwrap();
            let text = sockaddr::parse(netbuf.bytes, family).map(|address| address.text());
            let theirs = results.opaque(bind::MAX_STRING).unwrap();
            assert_eq!(text.as_ref().map_or(&[][..], AddressText::as_bytes), theirs, "{}", vector.name);
        } else {
            continue;
        }
        converted += 1;
    }
    assert!(converted >= 20, "{converted}");
}

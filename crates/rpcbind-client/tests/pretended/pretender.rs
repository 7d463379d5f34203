//! Pretended port mappers inside the test process: they answer what the test says, however wrong.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender};

use oncrpc::record::mark;
use oncrpc::xdr::{Encode, Writer};
use oncrpc::{Answer, Call, Procedure, Reply, Version, Xid};
use rpcbind_client::Endpoint;

/// Version and procedure of a call, its xid and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) version: u32,
    pub(crate) procedure: u32,
    pub(crate) xid: Xid,
    pub(crate) arguments: Vec<u8>,
}

/// A pretended port mapper and what it has heard.
pub(crate) struct Pretender {
    pub(crate) endpoint: Endpoint,
    pub(crate) heard: Receiver<Heard>,
}

impl Pretender {
    /// Versions and procedures called up to now.
    pub(crate) fn called(&self) -> Vec<(u32, u32)> {
        self.heard.try_iter().map(|heard| (heard.version, heard.procedure)).collect()
    }
}

/// Over TCP: `answer` gives the bytes that follow each call, marks and all.
pub(crate) fn tcp(answer: impl FnMut(&Heard) -> Vec<u8> + Send + Clone + 'static) -> Pretender {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let endpoint = Endpoint::Tcp(listener.local_addr().expect("its address"));
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (answer, tell) = (answer.clone(), tell.clone());
            std::thread::spawn(move || serve(connection, answer, &tell));
        }
    });
    Pretender { endpoint, heard }
}

fn serve(mut connection: TcpStream, mut answer: impl FnMut(&Heard) -> Vec<u8>, tell: &Sender<Heard>) {
    loop {
        let mut mark = [0; 4];
        if connection.read_exact(&mut mark).is_err() {
            return;
        }
        let mut message = vec![0; usize::try_from(u32::from_be_bytes(mark) & 0x7fff_ffff).expect("a length")];
        if connection.read_exact(&mut message).is_err() {
            return;
        }
        let heard = hear(&message);
        // The test may have ended.
        let _ = tell.send(heard.clone());
        let bytes = answer(&heard);
        if bytes.is_empty() || connection.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// Over UDP: `answer` does the sending itself.
pub(crate) fn udp(mut answer: impl FnMut(&UdpSocket, SocketAddr, &Heard) + Send + 'static) -> Pretender {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let endpoint = Endpoint::Udp(socket.local_addr().expect("its address"));
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut message = [0; 9000];
        while let Ok((length, from)) = socket.recv_from(&mut message) {
            let heard = hear(&message[..length]);
            let _ = tell.send(heard.clone());
            answer(&socket, from, &heard);
        }
    });
    Pretender { endpoint, heard }
}

fn hear(message: &[u8]) -> Heard {
    let call = Call::decode(message).expect("a call");
    let (Version(version), Procedure(procedure)) = (call.version, call.procedure);
    Heard { version, procedure, xid: call.xid, arguments: call.arguments.to_vec() }
}

/// One reply without record mark.
pub(crate) fn reply(xid: Xid, answer: Answer<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 8 * 1024 * 1024];
    let mut writer = Writer::new(&mut buffer);
    Reply { xid, answer }.encode(&mut writer).expect("it fits");
    writer.written().to_vec()
}

/// One reply as one record.
pub(crate) fn record(xid: Xid, answer: Answer<'_>) -> Vec<u8> {
    let message = reply(xid, answer);
    [&mark(message.len()).expect("short enough")[..], &message].concat()
}

/// Numbers as XDR.
pub(crate) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A string as XDR.
pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut bytes = words(&[u32::try_from(text.len()).expect("short")]);
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

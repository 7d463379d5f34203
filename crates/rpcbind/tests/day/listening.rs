//! What is really listening, and whose it is: the kernel's socket tables by `ss`, never the port mapper's word.

use std::io;

use testkit::Namespace;

/// A socket that takes connections or datagrams on all addresses of a family, or at a path.
#[derive(Debug)]
struct Socket {
    /// `tcp`, `udp` or `u_str`, as `ss` calls them.
    kind: String,
    /// `0.0.0.0`, `[::]`, `*` for both, or a path.
    address: String,
    port: u16,
    /// The process's name, its first 15 letters.
    process: String,
}

/// All of a machine's.
#[derive(Debug)]
pub(crate) struct Listening(Vec<Socket>);

impl Listening {
    /// What is there now.
    pub(crate) fn on(home: &Namespace) -> io::Result<Self> {
        let lines = home.expect("ss", &["-Hlntupx"])?;
        Ok(Self(lines.lines().filter_map(socket).collect()))
    }

    /// The process that listens where a row says that its service is.
    pub(crate) fn at(&self, netid: &str, address: &str) -> Option<&str> {
        let here = |socket: &&Socket| match netid {
            "local" => socket.kind == "u_str" && socket.address == address,
            _ => {
                let family = if netid.ends_with('6') { "[::]" } else { "0.0.0.0" };
                socket.kind == netid.trim_end_matches('6')
                    && [family, "*"].contains(&&*socket.address)
                    && Some(socket.port) == port(address)
            }
        };
        self.0.iter().find(here).map(|socket| &*socket.process)
    }

    /// The ports of a process on all addresses, `tcp` or `udp` each.
    pub(crate) fn of(&self, process: &str) -> impl Iterator<Item = (&str, u16)> {
        let wild = |socket: &&Socket| ["0.0.0.0", "[::]", "*"].contains(&&*socket.address);
        let own = self.0.iter().filter(move |socket| socket.process == process).filter(wild);
        own.map(|socket| (&*socket.kind, socket.port))
    }
}

/// `tcp LISTEN 0 4096 0.0.0.0:111 0.0.0.0:* users:(("rpcbind",pid=6,fd=7))`; a path is followed by a number instead.
fn socket(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace();
    let kind = words.next()?.to_owned();
    let place = words.nth(3)?;
    let (address, port) = match kind.as_str() {
        "u_str" => (place, 0),
        _ => place.rsplit_once(':').map(|(address, port)| Some((address, port.parse().ok()?)))??,
    };
    let (_, users) = line.split_once("users:((\"")?;
    let process = users.split('"').next()?.to_owned();
    Some(Socket { kind, address: address.to_owned(), port, process })
}

/// The port at the end of a universal address.
pub(crate) fn port(address: &str) -> Option<u16> {
    let mut numbers = address.rsplit('.').map(|number| number.parse::<u8>().ok());
    let (low, high) = (numbers.next()??, numbers.next()??);
    Some(u16::from_be_bytes([high, low]))
}

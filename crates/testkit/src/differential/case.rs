//! One call of the differential test as data: who makes it, over what, with which header, credentials and arguments,
//! and how it is spoilt. A case knows its bytes (`wire.rs`) and its words (`words.rs`), and nothing of replies.

/// The uid of the ordinary user among the callers.
pub const USER: u32 = 4711;

/// A transport of the port mapper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// The path socket.
    Unix,
    /// UDP over IPv4.
    Udp,
    /// TCP over IPv4.
    Tcp,
    /// UDP over IPv6.
    Udp6,
    /// TCP over IPv6.
    Tcp6,
}

impl Transport {
    /// Whether each message is a datagram.
    #[must_use]
    pub const fn is_datagram(self) -> bool {
        matches!(self, Self::Udp | Self::Udp6)
    }

    /// Whether it runs over IPv6.
    #[must_use]
    pub const fn is_ipv6(self) -> bool {
        matches!(self, Self::Udp6 | Self::Tcp6)
    }
}

/// Where a caller sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Root on this host; over a network from a loopback address and a port from 1024 on.
    Root,
    /// The ordinary user [`USER`] on this host, likewise.
    User,
    /// Root on this host, from a loopback address and a port below 1024.
    PrivilegedPort,
    /// Root on this host, from 127.0.0.2: a loopback address, but not the usual one. IPv4 only.
    OtherLoopback,
    /// Root on this host, from its own address on the cable to that same address.
    OwnAddress,
    /// A stranger at the other end of the cable.
    Stranger,
    /// The stranger, asking at the host's second address. IPv4 only.
    StrangerAtSecond,
    /// Root on this host, over UDP: the harness itself, to see that remote calls have been answered.
    Witness,
}

/// Who calls over what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The transport.
    pub transport: Transport,
    /// The place; on [`Transport::Unix`] only [`Place::Root`] and [`Place::User`].
    pub place: Place,
}

impl Caller {
    /// Root on the path socket, who may do everything: the harness itself calls as this one.
    pub const ROOT: Self = Self { transport: Transport::Unix, place: Place::Root };

    /// Whether the caller is on another host.
    #[must_use]
    pub const fn is_stranger(self) -> bool {
        matches!(self.place, Place::Stranger | Place::StrangerAtSecond)
    }

    /// Whether the caller comes from a loopback address.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.transport != Transport::Unix && !self.is_stranger() && self.place != Place::OwnAddress
    }
}

/// The header's fields before the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 0 for a call; anything else is not one.
    pub message_type: u32,
    /// The version of the RPC protocol, 2.
    pub rpc_version: u32,
    /// The program called.
    pub program: u32,
    /// Its version.
    pub version: u32,
    /// The procedure.
    pub procedure: u32,
}

/// A credential, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// AUTH_NONE with a body of so many bytes, 0 for the usual.
    None(usize),
    /// AUTH_SYS.
    Sys {
        /// The uid claimed.
        uid: u32,
        /// The length of the machine name in bytes; over 255 is wrong.
        name: usize,
        /// The number of groups; over 16 is wrong.
        gids: usize,
        /// Bytes that follow inside the body, which is wrong.
        more: usize,
        /// Bytes that are missing at its end, which is wrong.
        cut: usize,
    },
    /// Another flavour with a body of so many bytes.
    Other {
        /// The flavour.
        flavor: u32,
        /// The length of the body in bytes; over 400 is wrong.
        length: usize,
    },
}

/// A verifier: a flavour and a body of so many bytes, over 400 being wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifier {
    /// The flavour.
    pub flavor: u32,
    /// The length of the body in bytes.
    pub length: usize,
}

/// The arguments, whether or not they are those of the procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// None.
    Void,
    /// Version 2's.
    Mapping {
        /// Program.
        program: u32,
        /// Version.
        version: u32,
        /// Protocol: 6, 17 or wrong.
        protocol: u32,
        /// Port, with more than 16 bits if need be.
        port: u32,
    },
    /// Versions 3 and 4's.
    Rpcb(Rpcb),
    /// A remote call's.
    Remote {
        /// Program.
        program: u32,
        /// Version.
        version: u32,
        /// Procedure.
        procedure: u32,
        /// The length of its arguments in bytes.
        length: usize,
    },
    /// UADDR2TADDR's.
    Text(Vec<u8>),
    /// TADDR2UADDR's.
    Netbuf {
        /// What it says about the buffer.
        max_len: u32,
        /// The address.
        bytes: Vec<u8>,
    },
}

impl Arguments {
    /// NULL of the service that shows whether remote calls have been answered.
    pub(super) const fn witness() -> Self {
        Self::Remote { program: super::wire::WITNESS, version: 1, procedure: 0, length: 0 }
    }
}

/// The arguments of most procedures of versions 3 and 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rpcb {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Netid.
    pub netid: Vec<u8>,
    /// Address, or the hint of a look-up.
    pub address: Vec<u8>,
    /// Owner, which means nothing.
    pub owner: Vec<u8>,
}

/// What happens to the end of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Whole,
    /// So many bytes are missing.
    Cut(usize),
    /// So many bytes follow.
    Junk(usize),
}

/// How a message travels over a stream; datagrams are always whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One record of one fragment, in one write with the probe behind it: pipelined.
    Whole,
    /// The same bytes in so many writes.
    Writes(usize),
    /// So many fragments. A side that does not put fragments together gets one.
    Fragments(usize),
    /// An empty record in front.
    EmptyRecordFirst,
    /// A mark that announces a record of this length, which is over the limit.
    Announced(u32),
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Who calls.
    pub caller: Caller,
    /// The header.
    pub header: Header,
    /// The credential.
    pub credential: Credential,
    /// The verifier.
    pub verifier: Verifier,
    /// The arguments.
    pub arguments: Arguments,
    /// The end.
    pub tail: Tail,
    /// The way it travels.
    pub framing: Framing,
}

impl Case {
    /// A plain call of program 100000: AUTH_NONE, whole, in one piece.
    #[must_use]
    pub const fn new(caller: Caller, version: u32, procedure: u32, arguments: Arguments) -> Self {
        let header = Header { message_type: 0, rpc_version: 2, program: 100_000, version, procedure };
        Self {
            caller,
            header,
            credential: Credential::None(0),
            verifier: Verifier { flavor: 0, length: 0 },
            arguments,
            tail: Tail::Whole,
            framing: Framing::Whole,
        }
    }

    /// Whether this is procedure `procedure` of one of `versions` of program 100000, as a call.
    #[must_use]
    pub fn is(&self, versions: &[u32], procedure: u32) -> bool {
        let Header { message_type, rpc_version, program, version, procedure: called } = self.header;
        (message_type, rpc_version, program, called) == (0, 2, 100_000, procedure)
            && versions.contains(&version)
    }

    /// Whether this asks for a remote call, as it stands or if it were whole.
    #[must_use]
    pub const fn may_be_remote(&self) -> bool {
        self.header.program == 100_000 && matches!(self.header.procedure, 5 | 10)
    }

    /// Whether this is a SET of any version.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is(&[2, 3, 4], 1)
    }

    /// Whether this is an UNSET of any version.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        self.is(&[2, 3, 4], 2)
    }

    /// The length of the message in bytes, without its record mark.
    #[must_use]
    pub fn message_len(&self) -> usize {
        super::wire::message(self, 0).len()
    }

    /// The arguments as they are encoded, before anything is cut or added.
    #[must_use]
    pub fn argument_bytes(&self) -> Vec<u8> {
        super::wire::argument_bytes(self)
    }

    /// The program that the arguments name.
    #[must_use]
    pub const fn program(&self) -> Option<u32> {
        match &self.arguments {
            Arguments::Mapping { program, .. } | Arguments::Remote { program, .. } => Some(*program),
            Arguments::Rpcb(rpcb) => Some(rpcb.program),
            Arguments::Void | Arguments::Text(_) | Arguments::Netbuf { .. } => None,
        }
    }
}

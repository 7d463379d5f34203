//! The call message (RFC 5531 section 9).

use crate::auth::OpaqueAuth;
use crate::number::{Procedure, Program, Version, Xid};
use oncrpc_xdr::{Decode, Encode, Error, Reader, Writer};

/// `msg_type` CALL.
pub(crate) const CALL: u32 = 0;
/// The version of the RPC protocol itself (RFC 5531 section 9).
pub(crate) const RPC_VERSION: u32 = 2;

/// One call, its arguments still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// Comes back in the reply.
    pub xid: Xid,
    /// The program called.
    pub program: Program,
    /// Its version.
    pub version: Version,
    /// The procedure.
    pub procedure: Procedure,
    /// Who the caller claims to be.
    pub credential: OpaqueAuth<'a>,
    /// What the flavour wants as a proof.
    pub verifier: OpaqueAuth<'a>,
    /// Everything after the header.
    pub arguments: &'a [u8],
}

/// Why a message is not a call that can be answered with its results, by how far it could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Too short to hold a procedure number, or a reply: there is nothing to answer.
    NotACall,
    /// Another version of the RPC protocol: RPC_MISMATCH answers it.
    RpcVersion {
        /// The call's xid.
        xid: Xid,
    },
    /// The credential is cut or over 400 bytes.
    Credential {
        /// The call's xid.
        xid: Xid,
    },
    /// The verifier is cut or over 400 bytes.
    Verifier {
        /// The call's xid.
        xid: Xid,
    },
}

impl<'a> Call<'a> {
    /// A call without arguments, credential and verifier AUTH_NONE.
    #[must_use]
    pub const fn new(xid: Xid, program: Program, version: Version, procedure: Procedure) -> Self {
        let (credential, verifier) = (OpaqueAuth::NONE, OpaqueAuth::NONE);
        Self { xid, program, version, procedure, credential, verifier, arguments: &[] }
    }

    /// Reads one message without its record mark.
    ///
    /// # Errors
    /// [`CallError`], which says what can still be answered.
    #[inline]
    pub fn decode(message: &'a [u8]) -> Result<Self, CallError> {
        let mut reader = Reader::new(message);
        let header = Header::decode(&mut reader).map_err(|_| CallError::NotACall)?;
        if header.message_type != CALL {
            return Err(CallError::NotACall);
        }
        let xid = header.xid;
        if header.rpc_version != RPC_VERSION {
            return Err(CallError::RpcVersion { xid });
        }
        let credential = OpaqueAuth::decode(&mut reader).map_err(|_| CallError::Credential { xid })?;
        let verifier = OpaqueAuth::decode(&mut reader).map_err(|_| CallError::Verifier { xid })?;
        let Header { program, version, procedure, .. } = header;
        Ok(Self { xid, program, version, procedure, credential, verifier, arguments: reader.rest() })
    }
}

impl Encode for Call<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.xid.0)?;
        writer.u32(CALL)?;
        writer.u32(RPC_VERSION)?;
        writer.u32(self.program.0)?;
        writer.u32(self.version.0)?;
        writer.u32(self.procedure.0)?;
        self.credential.encode(writer)?;
        self.verifier.encode(writer)?;
        writer.raw(self.arguments)
    }
}

/// The 24 bytes before the credential.
struct Header {
    xid: Xid,
    message_type: u32,
    rpc_version: u32,
    program: Program,
    version: Version,
    procedure: Procedure,
}

impl<'a> Decode<'a> for Header {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self {
            xid: Xid(reader.u32()?),
            message_type: reader.u32()?,
            rpc_version: reader.u32()?,
            program: Program(reader.u32()?),
            version: Version(reader.u32()?),
            procedure: Procedure(reader.u32()?),
        })
    }
}

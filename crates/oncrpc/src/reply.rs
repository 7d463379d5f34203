//! The reply message with every accept and reject status (RFC 5531 section 9).

use crate::auth::{AuthStatus, OpaqueAuth};
use crate::number::Xid;
use oncrpc_xdr::{Decode, Encode, Error, Reader, Writer};

const REPLY: u32 = 1;
const MSG_ACCEPTED: u32 = 0;
const MSG_DENIED: u32 = 1;

/// One reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The xid of the call.
    pub xid: Xid,
    /// What the server says.
    pub answer: Answer<'a>,
}

/// What a server says to a call. Verifiers of accepted calls are skipped when read and AUTH_NONE when written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// SUCCESS, with the encoded results.
    Success(&'a [u8]),
    /// PROG_UNAVAIL: the program is not served here.
    ProgramUnavailable,
    /// PROG_MISMATCH: the program is served, in these versions.
    ProgramMismatch {
        /// The lowest version served.
        low: u32,
        /// The highest version served.
        high: u32,
    },
    /// PROC_UNAVAIL: the version has no such procedure.
    ProcedureUnavailable,
    /// GARBAGE_ARGS: the arguments do not decode.
    GarbageArguments,
    /// SYSTEM_ERR: the server cannot answer.
    SystemError,
    /// RPC_MISMATCH: these versions of the RPC protocol are spoken.
    RpcMismatch {
        /// The lowest version spoken.
        low: u32,
        /// The highest version spoken.
        high: u32,
    },
    /// AUTH_ERROR: the call was rejected over who made it.
    AuthError(AuthStatus),
}

impl<'a> Reply<'a> {
    /// Reads one message without its record mark.
    ///
    /// # Errors
    /// [`Error::Discriminant`] for a call or an unknown status; otherwise what the [`Reader`] finds wrong.
    pub fn decode(message: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(message);
        let xid = begun(&mut reader)?;
        let answer = match reader.u32()? {
            MSG_ACCEPTED => accepted(&mut reader)?,
            MSG_DENIED => denied(&mut reader)?,
            other => return Err(Error::Discriminant(other)),
        };
        Ok(Self { xid, answer })
    }

    /// The xid of a message that is a reply by its first eight bytes, whatever follows them: it answers the call with
    /// that xid, even where [`Reply::decode`] finds that it says nothing. `None`: it is no reply.
    #[must_use]
    pub fn xid_of(message: &[u8]) -> Option<Xid> {
        begun(&mut Reader::new(message)).ok()
    }

    /// Writes the head of a SUCCESS, 24 bytes; the results are written after it.
    ///
    /// # Errors
    /// [`Error::Full`] when the buffer is shorter than the head.
    #[inline]
    pub fn encode_success(xid: Xid, writer: &mut Writer<'_>) -> Result<(), Error> {
        accepted_head(xid, 0, writer)
    }
}

/// The xid, and that it is one of a reply.
fn begun(reader: &mut Reader<'_>) -> Result<Xid, Error> {
    let xid = Xid(reader.u32()?);
    match reader.u32()? {
        REPLY => Ok(xid),
        other => Err(Error::Discriminant(other)),
    }
}

fn accepted<'a>(reader: &mut Reader<'a>) -> Result<Answer<'a>, Error> {
    OpaqueAuth::decode(reader)?;
    let answer = match reader.u32()? {
        0 => return Ok(Answer::Success(reader.rest())),
        1 => Answer::ProgramUnavailable,
        2 => Answer::ProgramMismatch { low: reader.u32()?, high: reader.u32()? },
        3 => Answer::ProcedureUnavailable,
        4 => Answer::GarbageArguments,
        5 => Answer::SystemError,
        other => return Err(Error::Discriminant(other)),
    };
    reader.finish()?;
    Ok(answer)
}

fn denied<'a>(reader: &mut Reader<'a>) -> Result<Answer<'a>, Error> {
    let answer = match reader.u32()? {
        0 => Answer::RpcMismatch { low: reader.u32()?, high: reader.u32()? },
        1 => Answer::AuthError(AuthStatus::from_number(reader.u32()?)),
        other => return Err(Error::Discriminant(other)),
    };
    reader.finish()?;
    Ok(answer)
}

#[inline]
fn accepted_head(xid: Xid, status: u32, writer: &mut Writer<'_>) -> Result<(), Error> {
    // In one piece, as every reply begins with it. The verifier is AUTH_NONE, which is a 0, with an empty body.
    let words = [xid.0, REPLY, MSG_ACCEPTED, 0, 0, status];
    let mut head = [0; 24];
    for (place, word) in head.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    writer.raw(&head)
}

fn denied_head(xid: Xid, status: u32, writer: &mut Writer<'_>) -> Result<(), Error> {
    writer.u32(xid.0)?;
    writer.u32(REPLY)?;
    writer.u32(MSG_DENIED)?;
    writer.u32(status)
}

impl Encode for Reply<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let xid = self.xid;
        match self.answer {
            Answer::Success(results) => {
                accepted_head(xid, 0, writer)?;
                writer.raw(results)
            }
            Answer::ProgramUnavailable => accepted_head(xid, 1, writer),
            Answer::ProgramMismatch { low, high } => {
                accepted_head(xid, 2, writer)?;
                writer.u32(low)?;
                writer.u32(high)
            }
            Answer::ProcedureUnavailable => accepted_head(xid, 3, writer),
            Answer::GarbageArguments => accepted_head(xid, 4, writer),
            Answer::SystemError => accepted_head(xid, 5, writer),
            Answer::RpcMismatch { low, high } => {
                denied_head(xid, 0, writer)?;
                writer.u32(low)?;
                writer.u32(high)
            }
            Answer::AuthError(status) => {
                denied_head(xid, 1, writer)?;
                writer.u32(status.number())
            }
        }
    }
}

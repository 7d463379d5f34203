//! Credentials and verifiers (RFC 5531 section 8.2 and appendix A).
//! What a credential says is a claim of the sender's: nothing here establishes who somebody is.

use oncrpc_xdr::{Decode, Encode, Error, Reader, Writer};

/// The longest body of a credential or verifier in bytes (RFC 5531 section 8.2).
pub const MAX_BODY: u32 = 400;
/// The longest machine name in AUTH_SYS in bytes (RFC 5531 appendix A).
pub const MAX_MACHINE_NAME: u32 = 255;
/// The most supplementary groups in AUTH_SYS (RFC 5531 appendix A).
pub const MAX_GIDS: u32 = 16;

/// The flavour numbers of RFC 5531 section 8.2 and RFC 9289 section 4.1.
pub mod flavor {
    /// No authentication.
    pub const NONE: u32 = 0;
    /// A claimed uid and groups.
    pub const SYS: u32 = 1;
    /// A short hand for an earlier AUTH_SYS.
    pub const SHORT: u32 = 2;
    /// Diffie-Hellman.
    pub const DH: u32 = 3;
    /// RPCSEC_GSS (RFC 2203).
    pub const GSS: u32 = 6;
    /// The probe for RPC-with-TLS (RFC 9289).
    pub const TLS: u32 = 7;
}

/// A credential or a verifier: a flavour and an opaque body of at most [`MAX_BODY`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpaqueAuth<'a> {
    /// The flavour, known or not: see [`flavor`].
    pub flavor: u32,
    /// The body.
    pub body: &'a [u8],
}

impl OpaqueAuth<'_> {
    /// AUTH_NONE with an empty body.
    pub const NONE: OpaqueAuth<'static> = OpaqueAuth { flavor: flavor::NONE, body: &[] };
}

impl<'a> Decode<'a> for OpaqueAuth<'a> {
    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(Self { flavor: reader.u32()?, body: reader.opaque(MAX_BODY)? })
    }
}

impl Encode for OpaqueAuth<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.flavor)?;
        writer.opaque(self.body)
    }
}

/// The body of an AUTH_SYS credential (RFC 5531 appendix A). Everything in it can be forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthSys<'a> {
    /// An arbitrary number of the sender's.
    pub stamp: u32,
    /// The sender's name, at most [`MAX_MACHINE_NAME`] bytes.
    pub machine_name: &'a [u8],
    /// The claimed effective uid.
    pub uid: u32,
    /// The claimed effective gid.
    pub gid: u32,
    /// The claimed supplementary groups, at most [`MAX_GIDS`].
    pub gids: Gids,
}

/// At most [`MAX_GIDS`] group numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gids {
    values: [u32; MAX_GIDS as usize],
    count: usize,
}

impl Gids {
    /// The groups, the first [`MAX_GIDS`] of them.
    #[must_use]
    pub fn new(gids: &[u32]) -> Self {
        let mut list = Self::default();
        for (slot, gid) in list.values.iter_mut().zip(gids) {
            *slot = *gid;
        }
        list.count = gids.len().min(list.values.len());
        list
    }

    /// The groups.
    #[must_use]
    pub fn as_slice(&self) -> &[u32] {
        self.values.get(..self.count).unwrap_or_default()
    }
}

impl<'a> AuthSys<'a> {
    /// Reads the body of a credential whose flavour is AUTH_SYS.
    ///
    /// # Errors
    /// When it is cut, a count is over its limit, or bytes follow.
    pub fn from_body(body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let stamp = reader.u32()?;
        let machine_name = reader.opaque(MAX_MACHINE_NAME)?;
        let (uid, gid) = (reader.u32()?, reader.u32()?);
        let count = reader.u32()?;
        if count > MAX_GIDS {
            return Err(Error::TooLong { len: count, max: MAX_GIDS });
        }
        let mut gids = Gids { values: [0; MAX_GIDS as usize], count: count as usize };
        for slot in gids.values.iter_mut().take(gids.count) {
            *slot = reader.u32()?;
        }
        reader.finish()?;
        Ok(Self { stamp, machine_name, uid, gid, gids })
    }
}

impl Encode for AuthSys<'_> {
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u32(self.stamp)?;
        writer.opaque(self.machine_name)?;
        writer.u32(self.uid)?;
        writer.u32(self.gid)?;
        let gids = self.gids.as_slice();
        writer.u32(u32::try_from(gids.len()).unwrap_or(MAX_GIDS))?;
        gids.iter().try_for_each(|gid| writer.u32(*gid))
    }
}

/// Why a call was rejected over its credential (RFC 5531 section 9, `auth_stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthStatus {
    /// AUTH_BADCRED: the credential is malformed.
    BadCredential,
    /// AUTH_REJECTEDCRED: the flavour is not served, or its session is over.
    RejectedCredential,
    /// AUTH_BADVERF: the verifier is malformed.
    BadVerifier,
    /// AUTH_TOOWEAK: the caller may not do this.
    TooWeak,
    /// Any other value, known to some RFC or not.
    Other(u32),
}

impl AuthStatus {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::BadCredential => 1,
            Self::RejectedCredential => 2,
            Self::BadVerifier => 3,
            Self::TooWeak => 5,
            Self::Other(number) => number,
        }
    }

    /// The status of a number on the wire.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::BadCredential,
            2 => Self::RejectedCredential,
            3 => Self::BadVerifier,
            5 => Self::TooWeak,
            other => Self::Other(other),
        }
    }
}

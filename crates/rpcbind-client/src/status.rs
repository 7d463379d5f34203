//! What our own daemon tells beyond program 100000, over its unix sockets only: which services behind the rows are
//! still there, and how the daemon is (`docs/status-protocol.md`). Other port mappers do not have it.

use oncrpc::bind::status::{Head, PROGRAM, RowStatus, STATUS, VERSION};
use oncrpc::xdr::{Decode, List, Reader};

use crate::client::Void;
use crate::{CallError, MAX_ROWS, PortMapper};

/// A daemon's status, kept as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonStatus {
    results: Vec<u8>,
}

impl PortMapper {
    /// STATUS of the status program.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::ProgramUnavailable`] by other port mappers, and by ours over UDP and TCP.
    pub fn daemon_status(&mut self) -> Result<DaemonStatus, CallError> {
        self.call_program(PROGRAM, VERSION, STATUS, &Void).and_then(DaemonStatus::new)
    }
}

impl DaemonStatus {
    fn new(results: Vec<u8>) -> Result<Self, CallError> {
        let mut reader = Reader::new(&results);
        Head::decode(&mut reader).map_err(CallError::Results)?;
        let mut walk = List::<RowStatus<'_>>::new(reader);
        for (count, row) in walk.by_ref().enumerate() {
            row.map_err(CallError::Results)?;
            if count >= MAX_ROWS {
                return Err(CallError::TooMany { max: MAX_ROWS });
            }
        }
        walk.reader().finish().map_err(CallError::Results)?;
        Ok(Self { results })
    }

    /// The daemon itself; `None` never, since it was decoded when it came.
    #[must_use]
    pub fn head(&self) -> Option<Head<'_>> {
        Head::decode(&mut Reader::new(&self.results)).ok()
    }

    /// The rows, at most [`MAX_ROWS`], in the order of DUMP.
    pub fn rows(&self) -> impl Iterator<Item = RowStatus<'_>> {
        let mut reader = Reader::new(&self.results);
        // It was checked to its end: there is no error to lose.
        let list = Head::decode(&mut reader).ok().map(|_| List::new(reader).map_while(Result::ok));
        list.into_iter().flatten()
    }
}

//! Registrations: SETs over the unix socket one after the other; each has to be durable before its reply leaves.

use std::time::Instant;

use oncrpc::Program;

use super::{Load, Stream, Transport, connect, read_record};
use crate::wire::{self, Programs, Result};

/// SETs in one burst.
const BURST: u32 = 64;

/// A caller on the unix socket.
pub(crate) struct Caller {
    stream: Box<dyn Stream>,
    reply: Vec<u8>,
}

/// Rows that come, measured, and go, not measured.
pub(super) struct Changes {
    caller: Caller,
}

impl Caller {
    /// In the namespace of the calling thread.
    pub(crate) fn new() -> Result<Self> {
        let nowhere = ([0, 0, 0, 0], 0).into();
        Ok(Self { stream: connect(Transport::Unix, nowhere)?, reply: Vec::new() })
    }

    /// Registers or takes back; the port mapper must agree.
    fn change(&mut self, call: &[u8]) -> Result<()> {
        self.stream.write_all(&wire::record(call)?)?;
        let len = read_record(&mut self.stream, &mut self.reply)?;
        wire::check_reply(&self.reply[..len], 0, true)
    }

    /// Registers `program`.
    pub(crate) fn set(&mut self, program: Program) -> Result<()> {
        self.change(&wire::set(program)?)
    }

    /// Asks for the whole table; the length of the reply in bytes.
    pub(crate) fn dump(&mut self) -> Result<usize> {
        self.stream.write_all(&wire::record(&wire::dump()?)?)?;
        let len = read_record(&mut self.stream, &mut self.reply)?;
        wire::check_reply(&self.reply[..len], 0, true)?;
        Ok(len)
    }
}

impl Changes {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { caller: Caller::new()? })
    }
}

impl Load for Changes {
    fn burst(&mut self, _: Instant) -> Result<u64> {
        for program in Programs::passing(BURST).all() {
            self.caller.set(program)?;
        }
        Ok(u64::from(BURST))
    }

    fn between(&mut self) -> Result<()> {
        for program in Programs::passing(BURST).all() {
            self.caller.change(&wire::unset(program)?)?;
        }
        Ok(())
    }
}

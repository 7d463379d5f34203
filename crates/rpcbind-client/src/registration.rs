//! Services registered for as long as a guard lives.
//! It must never remove rows that it did not make, except where the caller asks for them to be replaced.

use std::time::Duration;

use oncrpc::bind::Rpcb;
use oncrpc::{Program, Version};

use crate::deadline::Deadline;
use crate::fallback::owner;
use crate::{Endpoint, PortMapper, RegisterError};

/// How long registering may take in all when nothing else is said.
pub const REGISTER_LIMIT: Duration = Duration::from_secs(60);
/// How long dropping the guard may take.
pub const UNREGISTER_LIMIT: Duration = Duration::from_secs(5);

/// A service to register: program, version, netid, universal address (RFC 5665 section 5.2.3), for example
/// `(Program(100_003), Version(3), "tcp", "0.0.0.0.8.1")`.
pub type Service<'a> = (Program, Version, &'a str, &'a str);

/// Services that are registered until this is dropped. Dropping unregisters them as well as it can, within
/// [`UNREGISTER_LIMIT`]; [`Registration::end`] tells how that went.
#[derive(Debug)]
#[must_use = "dropping it unregisters the services"]
pub struct Registration {
    port_mapper: Vec<Endpoint>,
    rows: Vec<(Program, Version, String)>,
}

impl Registration {
    /// Registers all of these with the port mapper of this host, or none.
    ///
    /// # Errors
    /// [`RegisterError`], within [`REGISTER_LIMIT`].
    pub fn register(services: &[Service<'_>]) -> Result<Self, RegisterError> {
        Self::register_at(Endpoint::local_port_mapper(), services, false, REGISTER_LIMIT)
    }

    /// As [`Registration::register`], after removing what is registered for the same programs, versions and netids:
    /// what an earlier run left behind when it was killed.
    ///
    /// # Errors
    /// [`RegisterError`], within [`REGISTER_LIMIT`].
    pub fn replace(services: &[Service<'_>]) -> Result<Self, RegisterError> {
        Self::register_at(Endpoint::local_port_mapper(), services, true, REGISTER_LIMIT)
    }

    /// Registers with the first port mapper of these that can be reached, all within `limit`.
    ///
    /// # Errors
    /// [`RegisterError`]; whatever had been registered has been taken back.
    pub fn register_at(
        port_mapper: Vec<Endpoint>,
        services: &[Service<'_>],
        replace: bool,
        limit: Duration,
    ) -> Result<Self, RegisterError> {
        let deadline = Deadline::after(limit);
        let mut mapper = PortMapper::first(&port_mapper, limit)?;
        // From here on an error drops it, which takes back what was registered.
        let mut registration = Self { port_mapper, rows: Vec::new() };
        let owner = owner();
        for (program, version, netid, address) in services {
            let row = Rpcb {
                program: *program,
                version: *version,
                netid: netid.as_bytes(),
                address: address.as_bytes(),
                owner: owner.as_bytes(),
            };
            mapper.set_limit(deadline.left().unwrap_or_default());
            if replace && !mapper.unregister(&row)? {
                return Err(RegisterError::Refused(crate::error::row_text(&row)));
            }
            mapper.set_limit(deadline.left().unwrap_or_default());
            mapper.register(&row)?;
            registration.rows.push((*program, *version, (*netid).to_owned()));
        }
        Ok(registration)
    }

    /// Unregisters the services.
    ///
    /// # Errors
    /// [`RegisterError`]: the first that failed; the others have been tried.
    pub fn end(mut self) -> Result<(), RegisterError> {
        self.unregister()
    }

    /// Leaves the services registered for good: for a process that hands its sockets on.
    pub fn keep(mut self) {
        self.rows.clear();
    }

    fn unregister(&mut self) -> Result<(), RegisterError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let deadline = Deadline::after(UNREGISTER_LIMIT);
        let mut mapper = PortMapper::first(&self.port_mapper, UNREGISTER_LIMIT)?;
        let mut result = Ok(());
        let owner = owner();
        for (program, version, netid) in self.rows.drain(..) {
            let row =
                Rpcb { program, version, netid: netid.as_bytes(), address: b"", owner: owner.as_bytes() };
            mapper.set_limit(deadline.left().unwrap_or_default());
            let one = match mapper.unregister(&row) {
                Ok(true) => Ok(()),
                Ok(false) => Err(RegisterError::Refused(crate::error::row_text(&row))),
                Err(error) => Err(error.into()),
            };
            result = result.and(one);
        }
        result
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Nobody is left to be told; a port mapper that is gone has forgotten the rows anyway.
        let _ = self.unregister();
    }
}

//! Rows that come from a file and not from a caller: what another run of the port mapper has kept. They are taken
//! under the checks of SET, with the owner and the namespace that the file says, and never replace anything.

use crate::change::checked_address;
use crate::outcome::Refusal;
use crate::policy::{self, Identity};
use crate::registry::{Owner, Row};
use crate::service::Service;
use oncrpc::bind;

impl Service {
    /// Takes a row from a file, at the end of the list.
    ///
    /// # Errors
    /// Why SET would have answered FALSE to the row's owner, whichever rows came first; [`Refusal::Conflict`] when
    /// there is one of the same program, version and netid already. Nothing is changed then.
    pub fn restore(&mut self, row: Row) -> Result<(), Refusal> {
        if row.program == bind::PROGRAM {
            return Err(Refusal::PortMapper);
        }
        let family = self.settings.netids.family(row.netid).ok_or(Refusal::Netid)?;
        let (_, socket) = checked_address(self, row.netid, row.address.as_bytes())?;
        let who = Identity { owner: row.owner, namespace: row.namespace };
        let settings = &self.settings;
        policy::may_register(&settings.policy, settings.home, who, row.program, socket, &self.host)?;
        if self.registry.exact(row.program, row.version, row.netid).is_some() {
            return Err(Refusal::Conflict);
        }
        let (of_root, owned) = (self.registry.owned_by(Owner::ROOT), self.registry.owned_by(row.owner));
        policy::has_room_again(settings.caps, row.owner, self.registry.len(), of_root, owned)?;
        self.registry.insert(row, family);
        Ok(())
    }
}

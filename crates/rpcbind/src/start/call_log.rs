//! The log of calls over UDP and TCP: every one with `-l`, those that were refused always, in the C daemon's words.
//! And of every change that was refused to a caller of this host; with debugging output, of the ends of remote calls.

use std::sync::Arc;

use log::{debug, info, warn};
use oncrpc::bind;
use rpcbind_core::caller::Caller;
use rpcbind_core::facts::Facts;
use rpcbind_core::outcome::{Reason, Why};

use crate::logging::{CONNECT, ConnectLine, Declined, ProgramNames, REFUSED, RefusedLine, RemoteLine};
use crate::net::dispatch::Observer;

/// Logs calls.
pub(super) struct CallLog {
    all: bool,
    names: Arc<ProgramNames>,
}

impl CallLog {
    pub(super) fn new(all: bool, names: Arc<ProgramNames>) -> Self {
        Self { all, names }
    }
}

impl Observer for CallLog {
    fn handled(&mut self, caller: &Caller, facts: &Facts, why: &Why) {
        if let Reason::Refused(refusal) = why.reason {
            let is_unset = why.procedure == Some(bind::UNSET);
            let (program, names) = (why.program, &*self.names);
            let line = RefusedLine { caller, facts, is_unset, program, refusal, names };
            warn!(target: REFUSED, "{line}");
        }
        let declined = match why.reason {
            Reason::NotLocal => Some(Declined::NotLocal),
            Reason::AccessDenied => Some(Declined::Unauthorized),
            Reason::RemoteCallRefused => Some(Declined::RemoteCall),
            _ if self.all => None,
            _ => return,
        };
        let procedure = if declined == Some(Declined::RemoteCall) { why.target } else { why.procedure };
        let (Some(from), Some(procedure)) = (caller.from(), procedure) else { return };
        let line =
            ConnectLine { from: from.ip(), procedure, program: why.program, declined, names: &self.names };
        info!(target: CONNECT, "{line}");
    }

    fn ended(&mut self, caller: &Caller, why: &Why) {
        debug!("{}", RemoteLine { caller, why, names: &self.names });
    }
}

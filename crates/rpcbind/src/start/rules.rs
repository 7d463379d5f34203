//! Who may do what, from the configuration and the hosts files, at start and at every change. What cannot be read, or
//! is wrong, leaves the rules that hold as they are. It makes rules; it applies none.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use log::{error, info, warn};
use rpcbind_core::Service;
use rpcbind_core::settings::Policy;

use super::StartError;
use super::call_log::CallLog;
use crate::args::Args;
use crate::config::{self, Faults, Settings};
use crate::confine;
use crate::hosts::{self, Hosts};
use crate::logging::{ProgramNames, START};
use crate::net::dispatch::{Dispatch, Observer};
use crate::privilege;

/// The rules that hold, and what they are made from.
#[derive(Debug)]
pub(super) struct Rules {
    args: Args,
    settings: Settings,
    names: Arc<ProgramNames>,
    hosts: Hosts,
    started_by: Option<u32>,
    privileged_ports_below: u16,
}

impl Rules {
    /// Makes the rules of a start.
    ///
    /// # Errors
    /// The hosts files cannot be read, or have faults where they may have none.
    pub(super) fn load(args: Args, settings: Settings, names: Arc<ProgramNames>) -> Result<Self, StartError> {
        let hosts = hosts::load()?;
        report(&hosts);
        if settings.reloadable.strict_hosts && !hosts.faults.is_empty() {
            return Err(StartError::StrictHosts(hosts.faults.len()));
        }
        let uid = rustix::process::getuid();
        Ok(Self {
            args,
            settings,
            names,
            hosts,
            started_by: (!uid.is_root()).then_some(uid.as_raw()),
            privileged_ports_below: privilege::privileged_ports_below(),
        })
    }

    /// The rules, for the service.
    pub(super) fn policy(&self) -> Policy {
        let rules = &self.settings.reloadable;
        Policy {
            insecure: rules.insecure,
            started_by: self.started_by,
            privileged_ports_below: self.privileged_ports_below,
            grants: rules.grants.clone(),
            hosts: self.hosts.rules.clone(),
            access: rules.access.clone(),
            udp_full: rules.udp_full.clone(),
            nat: rules.nat,
            limits: Some(rules.replies),
            liveness: rules.liveness,
            remote_calls: rules.remote_calls.clone(),
        }
    }

    /// Says which rules hold for nobody as long as there is no interface of that name.
    pub(super) fn name_absent_interfaces(&self, service: &Service) {
        for rule in &self.settings.reloadable.udp_full {
            let name = &rule.interface;
            if !service.has_interface(name) {
                let meaning = "until there is, the rule holds for nobody";
                warn!(target: START, "udp-full: there is no interface {name}; {meaning}");
            }
        }
    }

    /// Who logs calls.
    pub(super) fn observer(&self) -> Box<dyn Observer + Send> {
        Box::new(CallLog::new(self.settings.reloadable.log_connections, self.names.clone()))
    }

    /// The files whose change changes the rules without a signal.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        let own = [hosts::ALLOW, hosts::DENY].map(PathBuf::from);
        own.into_iter().chain(self.hosts.pattern_files.iter().cloned()).collect()
    }

    /// The files that the confined daemon cannot read again.
    pub(super) fn out_of_reach(&self) -> impl Iterator<Item = PathBuf> {
        let files = self.files().into_iter().chain(self.args.config.clone());
        files.filter(|file| !std::path::absolute(file).is_ok_and(|file| file.starts_with(confine::READABLE)))
    }

    /// Reads everything again, and has what is new hold.
    pub(super) fn reload(&mut self, dispatch: &mut Dispatch) {
        // Names after -h were looked up at the start; now nobody could be asked.
        let args = Args { listen: Vec::new(), ..self.args.clone() };
        match config::load(&args, &self.names) {
            Ok(config::Loaded { mut settings, warnings }) => {
                if !self.args.listen.is_empty() {
                    settings.listen.clone_from(&self.settings.listen);
                }
                for warning in warnings {
                    warn!(target: START, "{warning}");
                }
                let unchanged = self.settings.restart_needed(&settings);
                if !unchanged.is_empty() {
                    warn!(target: START, "only a restart changes {}", unchanged.join(", "));
                }
                // The rest stays, so that it is named again until the restart.
                self.settings.reloadable = settings.reloadable;
            }
            Err(Faults(faults)) => {
                for fault in faults {
                    error!(target: START, "{fault}");
                }
                error!(target: START, "the older configuration stays");
            }
        }
        self.reload_hosts(dispatch);
        dispatch.set_observer(self.observer());
    }

    /// Reads the hosts files again, and has them hold.
    pub(super) fn reload_hosts(&mut self, dispatch: &mut Dispatch) {
        match hosts::load() {
            Ok(hosts) => {
                report(&hosts);
                if self.settings.reloadable.strict_hosts && !hosts.faults.is_empty() {
                    error!(target: START, "the older rules of the hosts files stay: strict-hosts is set");
                } else {
                    self.hosts = hosts;
                }
            }
            Err(error) => error!(target: START, "{error}; the older rules of the hosts files stay"),
        }
        dispatch.service.set_policy(self.policy());
        self.name_absent_interfaces(&dispatch.service);
        info!(target: START, "the rules were read again");
    }
}

fn report(hosts: &Hosts) {
    for fault in &hosts.faults {
        error!(target: START, "{fault}");
    }
}

//! Beside idle connections: what a look-up costs then, and what each of them takes.

use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Bars, Clients, Column, Compared, NONE, Plan, Side, Sides, Who};
use crate::load::{Workload, idle_connections};
use crate::table::Line;
use crate::wire::{Question, Result};

/// Descriptors that are not for connections.
const RESERVED: u64 = 512;

/// A look-up beside them, and resident memory.
pub(super) fn beside(plan: &Plan, report: &mut dyn FnMut(Line)) -> Result<()> {
    let idle = plan.sizes.idle;
    let look_up = format!("UDP GETPORT beside {idle} idle TCP connections");
    let growth = format!("resident growth with {idle} idle TCP connections");
    let (wants_look_up, wants_growth) = (plan.wants(&look_up), plan.wants(&growth));
    if !wants_look_up && !wants_growth {
        return Ok(());
    }
    let start = |who| Side::start(who, &plan.rpcbind, plan.cores, plan.sizes.ordinary, Clients::Here);
    let (ours, before) = (start(Who::Ours)?, start(Who::Ours)?);
    let _limit = DescriptorLimit::raise(idle)?;
    let limit_kb = if wants_growth { Some(opened(&start(Who::Limit(0))?, idle)?.1) } else { None };
    let (held, ours_kb) = opened(&ours, idle)?;
    if wants_look_up {
        let sides: &Sides<'_> = &[(Column::Ours, &ours), (Column::Before, &before)];
        let compared = Compared::run(plan, sides, Workload::Window(Question::GetPort, 64))?;
        report(compared.cpu(&look_up, Bars { before: Some(1.15), ..NONE }));
    }
    if wants_growth {
        let columns = [vec![ours_kb], Vec::new(), limit_kb.into_iter().collect(), Vec::new()];
        report(Line { name: growth, unit: "kB", columns, bars: Bars { absolute: Some(4_096.0), ..NONE } });
    }
    drop(held);
    Ok(())
}

/// Opens connections that have made one call each and then say nothing; how much resident memory that took in kB.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn opened(side: &Side, count: u32) -> Result<(Vec<TcpStream>, f64)> {
    let before = side.resident_kb()?;
    let held = side.as_client(|| idle_connections(&side.target, count))?;
    Ok((held, side.resident_kb()?.saturating_sub(before) as f64))
}

/// The limit of descriptors, raised as long as this lives.
pub(crate) struct DescriptorLimit(Rlimit);

impl DescriptorLimit {
    /// For so many connections.
    pub(crate) fn raise(connections: u32) -> Result<Self> {
        let limit = getrlimit(Resource::Nofile);
        let needed = u64::from(connections) + RESERVED;
        if limit.maximum.is_some_and(|maximum| maximum < needed) {
            return Err(format!("{connections} connections need {needed} descriptors (ulimit -Hn)").into());
        }
        if limit.current.is_some_and(|current| current < needed) {
            setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })?;
        }
        Ok(Self(limit))
    }
}

impl Drop for DescriptorLimit {
    fn drop(&mut self) {
        // Lower than before is always allowed, and nothing depends on it.
        let _ = setrlimit(Resource::Nofile, self.0);
    }
}

//! What is compared, with the bars: one stage for each state that the servers are in.

pub(crate) mod calls;
pub(crate) mod idle;
mod start;

use oncrpc::bind;

use crate::load::{Transport, Workload};
use crate::plan::Plan;
use crate::rounds::{Compared, Sides};
use crate::side::{Clients, Side, Who};
use crate::table::{Bars, Column, Line};
use crate::wire::{Question, Result};

/// A stage: what it measures goes to `report`, line by line.
pub(crate) type Stage = fn(&Plan, &mut dyn FnMut(Line)) -> Result<()>;

/// All of them, in their order.
pub(crate) const ALL: [Stage; 7] =
    [ordinary, calls::counted, elsewhere, unknown, full, idle::beside, start::first_answer];

/// A workload with the name of its line and its bars.
type Wanted = (&'static str, Workload, Bars);

const NONE: Bars = Bars { debian: None, limit: None, before: None, absolute: None };

/// So much of Debian's and of the limit server's.
const fn at_most(debian: f64, limit: f64) -> Bars {
    Bars { debian: Some(debian), limit: Some(limit), ..NONE }
}

const GETADDR_V3: Question = Question::GetAddr(bind::V3);
const GETADDR_V4: Question = Question::GetAddr(bind::V4);

/// A host with a few services, asked by itself.
fn ordinary(plan: &Plan, report: &mut dyn FnMut(Line)) -> Result<()> {
    use Workload::{Connect, Lone, Pipelined, Window};
    let all: [Wanted; 9] = [
        ("UDP GETPORT, 64 in flight", Window(Question::GetPort, 64), at_most(0.22, 1.10)),
        ("UDP GETADDR v3, 64 in flight", Window(GETADDR_V3, 64), at_most(0.08, 1.15)),
        ("UDP GETADDR v4, 64 in flight", Window(GETADDR_V4, 64), at_most(0.08, 1.15)),
        ("UDP GETPORT, one in flight", Lone(Question::GetPort), at_most(0.75, 1.10)),
        ("UDP GETADDR v4, one in flight", Lone(GETADDR_V4), at_most(0.75, 1.10)),
        ("TCP connect, GETPORT, close, one at a time", Connect(1), at_most(0.70, 1.15)),
        ("TCP connect, GETPORT, close, 32 at a time", Connect(32), at_most(0.70, 1.15)),
        ("TCP GETPORT, 64 calls at once", Pipelined(Transport::Tcp, 64), at_most(0.04, 2.0)),
        ("unix GETPORT, 64 calls at once", Pipelined(Transport::Unix, 64), at_most(0.04, 2.0)),
    ];
    three_sides(plan, &all, Clients::Here, report)
}

/// The same host, asked from another one: budgets, buckets and access lists are in the path.
fn elsewhere(plan: &Plan, report: &mut dyn FnMut(Line)) -> Result<()> {
    let limit = Bars { limit: Some(1.15), ..NONE };
    let all: [Wanted; 2] = [
        ("UDP GETPORT from another host, 64 in flight", Workload::Window(Question::GetPort, 64), limit),
        ("UDP GETADDR v4 from another host, 64 in flight", Workload::Window(GETADDR_V4, 64), limit),
    ];
    three_sides(plan, &all, Clients::Elsewhere, report)
}

fn three_sides(plan: &Plan, all: &[Wanted], clients: Clients, report: &mut dyn FnMut(Line)) -> Result<()> {
    let wanted: Vec<&Wanted> = all.iter().filter(|(name, ..)| plan.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let start = |who| Side::start(who, &plan.rpcbind, plan.cores, plan.sizes.ordinary, clients);
    let (ours, debian, limit) = (start(Who::Ours)?, start(Who::Debian)?, start(Who::Limit(0))?);
    let sides: &Sides<'_> = &[(Column::Ours, &ours), (Column::Debian, &debian), (Column::Limit, &limit)];
    for (name, workload, bars) in wanted {
        let compared = Compared::run(plan, sides, *workload)?;
        report(compared.cpu(name, *bars));
        if matches!(workload, Workload::Lone(_)) {
            // The processor's waking up is most of it; the ratio to Debian's has a bar of its own.
            let bars = Bars { debian: Some(0.9), ..*bars };
            report(compared.p50(&format!("{name}: the client waits"), bars));
        }
    }
    Ok(())
}

/// After strangers asked about many programs that nobody knows.
fn unknown(plan: &Plan, report: &mut dyn FnMut(Line)) -> Result<()> {
    let name = format!("UDP GETPORT after {} unknown programs", plan.sizes.unknown);
    if !plan.wants(&name) {
        return Ok(());
    }
    let start = || Side::start(Who::Ours, &plan.rpcbind, plan.cores, plan.sizes.ordinary, Clients::Here);
    let (ours, before) = (start()?, start()?);
    ours.asked_about_unknown(0, plan.sizes.unknown)?;
    let sides: &Sides<'_> = &[(Column::Ours, &ours), (Column::Before, &before)];
    let compared = Compared::run(plan, sides, Workload::Window(Question::GetPort, 64))?;
    report(compared.cpu(&name, Bars { before: Some(1.05), ..NONE }));
    Ok(())
}

/// With a large table.
fn full(plan: &Plan, report: &mut dyn FnMut(Line)) -> Result<()> {
    let (few, many) = (plan.sizes.few, plan.sizes.many);
    let itself = |bar| Bars { before: Some(bar), ..NONE };
    let dump = format!("TCP DUMP of {many} rows, again and again");
    let set = format!("SET, durable, {many} rows (before: {few})");
    let get = format!("UDP GETPORT, {many} rows (before: {few})");
    let wanted = [plan.wants(&dump), plan.wants(&set), plan.wants(&get)];
    if wanted == [false; 3] {
        return Ok(());
    }
    let start = |who, rows| Side::start(who, &plan.rpcbind, plan.cores, rows, Clients::Here);
    let (ours, debian, before) = (start(Who::Ours, many)?, start(Who::Debian, many)?, start(Who::Ours, few)?);
    let limit = start(Who::Limit(ours.dump_bytes()?), many)?;
    let (ours, debian) = ((Column::Ours, &ours), (Column::Debian, &debian));
    let (limit, before) = ((Column::Limit, &limit), (Column::Before, &before));
    let [wants_dump, wants_set, wants_get] = wanted;
    if wants_dump {
        let compared = Compared::run(plan, &[ours, debian, limit], Workload::Dump)?;
        report(compared.cpu(&dump, at_most(0.40, 1.3)));
    }
    if wants_set {
        let compared = Compared::run(plan, &[ours, debian, before], Workload::Set)?;
        report(compared.cpu(&set, Bars { debian: Some(0.6), ..itself(1.3) }));
    }
    if wants_get {
        let workload = Workload::Window(Question::GetPort, 64);
        let compared = Compared::run(plan, &[ours, debian, limit, before], workload)?;
        report(compared.cpu(&get, itself(1.05)));
    }
    Ok(())
}

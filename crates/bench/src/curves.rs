//! How the cost of a look-up grows: with the rows of the table, with idle connections, and with questions about
//! programs that nobody knows. Drawn into files.

use std::path::Path;

use crate::load::Workload;
use crate::plan::Plan;
use crate::rounds::{Compared, Sides};
use crate::side::{Clients, Side, Who};
use crate::stages::idle::{DescriptorLimit, opened};
use crate::svg::Chart;
use crate::table::Column;
use crate::wire::{Question, Result};

const LOOK_UP: Workload = Workload::Window(Question::GetPort, 64);
const OURS: &str = "rpcbind of Portmap";
const DEBIAN: &str = "rpcbind 1.2.6 of Debian";
const LIMIT: &str = "limit server";

/// Draws all curves into `directory`.
pub(crate) fn draw(plan: &Plan, directory: &Path) -> Result<()> {
    for (name, chart) in
        [("rows", rows(plan)?), ("idle-connections", idle(plan)?), ("unknown-programs", unknown(plan)?)]
    {
        let path = directory.join(format!("{name}.svg"));
        std::fs::write(&path, chart.svg()).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}:", path.display());
        println!("  {}: {:?}", chart.grows, chart.at);
        for (line, values) in &chart.lines {
            println!("  {line}: {values:.2?}");
        }
    }
    Ok(())
}

fn start(plan: &Plan, who: Who) -> Result<Side> {
    Side::start(who, &plan.rpcbind, plan.cores, plan.sizes.ordinary, Clients::Here)
}

/// Over the rows.
fn rows(plan: &Plan) -> Result<Chart> {
    let at = if plan.quick { vec![30, 100] } else { vec![20, 100, 1_000, 4_000, 10_000, 16_000] };
    let (mut ours, mut debian, mut limit) =
        (start(plan, Who::Ours)?, start(plan, Who::Debian)?, start(plan, Who::Limit(0))?);
    let mut values = [const { Vec::new() }; 3];
    for rows in &at {
        ours.has_rows(*rows, true)?;
        debian.has_rows(*rows, true)?;
        limit.has_rows(*rows, false)?;
        let sides: &Sides<'_> = &[(Column::Ours, &ours), (Column::Debian, &debian), (Column::Limit, &limit)];
        note(plan, sides, &mut values)?;
    }
    let [ours, debian, limit] = values;
    let lines = vec![(OURS, ours), (DEBIAN, debian), (LIMIT, limit)];
    Ok(Chart { title: "CPU time of a UDP GETPORT, 64 in flight", grows: "rows in the table", at, lines })
}

/// Over idle connections; the limit server has none.
fn idle(plan: &Plan) -> Result<Chart> {
    let at = if plan.quick { vec![0, 100] } else { vec![0, 10, 100, 1_000, 3_000, 10_000] };
    let (ours, limit) = (start(plan, Who::Ours)?, start(plan, Who::Limit(0))?);
    let _limit = DescriptorLimit::raise(at.last().copied().unwrap_or(0))?;
    let (mut held, mut values) = (Vec::new(), [const { Vec::new() }; 3]);
    for count in &at {
        let more = count.saturating_sub(u32::try_from(held.len())?);
        held.extend(opened(&ours, more)?.0);
        note(plan, &[(Column::Ours, &ours), (Column::Limit, &limit)], &mut values)?;
    }
    let [ours, limit, _] = values;
    let lines = vec![(OURS, ours), ("limit server without connections", limit)];
    Ok(Chart { title: "CPU time of a UDP GETPORT, 64 in flight", grows: "idle TCP connections", at, lines })
}

/// Over strange questions; the limit server was asked none.
fn unknown(plan: &Plan) -> Result<Chart> {
    let at = if plan.quick { vec![0, 1_000] } else { vec![0, 1_000, 10_000, 100_000, 1_000_000] };
    let (ours, limit) = (start(plan, Who::Ours)?, start(plan, Who::Limit(0))?);
    let (mut asked, mut values) = (0, [const { Vec::new() }; 3]);
    for count in &at {
        ours.asked_about_unknown(asked, count - asked)?;
        asked = *count;
        note(plan, &[(Column::Ours, &ours), (Column::Limit, &limit)], &mut values)?;
    }
    let [ours, limit, _] = values;
    let lines = vec![(OURS, ours), ("limit server without such questions", limit)];
    let grows = "programs asked about before that nobody knows";
    Ok(Chart { title: "CPU time of a UDP GETPORT, 64 in flight", grows, at, lines })
}

/// Measures a look-up at all sides and notes it.
fn note(plan: &Plan, sides: &Sides<'_>, values: &mut [Vec<f64>; 3]) -> Result<()> {
    let compared = Compared::run(plan, sides, LOOK_UP)?;
    for ((column, _), values) in sides.iter().zip(values) {
        values.push(compared.median_cpu(*column).ok_or("nothing was measured")?);
    }
    Ok(())
}

//! Plays calls to both sides and compares. A difference that a rule allows is put right where it has left the tables
//! different: what they do not share is removed on both. Any other difference ends the run, made as small as can be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use oncrpc::bind::Rpcb;
use oncrpc::xdr::{List, Reader};
use oncrpc::{Answer, Reply};

use super::case::{Arguments, Caller, Case, Rpcb as RpcbCase};
use super::rule::{Difference, Rule};
use super::seen::Seen;
use super::shrink;
use super::side::Side;
use super::{generator, remote};
use crate::table::Row;

/// Calls of one episode; the port mappers are started anew for each.
const EPISODE: usize = 400;

/// How much to play, and from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The first episode's seed; the next ones count up from it.
    pub seed: u64,
    /// At least so many calls, harness's own not counted.
    pub calls: usize,
}

impl Plan {
    /// The plan, with the variables `PORTMAP_SEED` and `PORTMAP_CALLS` in place of what it says.
    #[must_use]
    pub fn or_environment(self) -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let calls = number("PORTMAP_CALLS").and_then(|calls| usize::try_from(calls).ok());
        Self { seed: number("PORTMAP_SEED").unwrap_or(self.seed), calls: calls.unwrap_or(self.calls) }
    }
}

/// What a run has shown.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Calls made to each side.
    pub calls: usize,
    /// Episodes played.
    pub episodes: usize,
    /// Calls whose replies differed, by the rule that allows it; rules that no case used are there with 0.
    pub uses: BTreeMap<&'static str, usize>,
    /// How the reference answered, by kind of answer.
    pub answers: BTreeMap<&'static str, usize>,
    /// How long it took.
    pub took: Duration,
}

impl Summary {
    /// The rules that no case used.
    #[must_use]
    pub fn unused(&self) -> Vec<&'static str> {
        self.uses.iter().filter(|(_, uses)| **uses == 0).map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differences: usize = self.uses.values().sum();
        let Self { calls, episodes, took, .. } = self;
        write!(f, "{calls} calls in {episodes} episodes, {differences} allowed differences, {took:.1?}")?;
        for (title, counts) in [("answers of the reference:", &self.answers), ("rules:", &self.uses)] {
            write!(f, "\n{title}")?;
            counts.iter().try_for_each(|(name, count)| write!(f, "\n{count:8}  {name}"))?;
        }
        Ok(())
    }
}

/// A difference that no rule allows.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The call.
    pub case: Case,
    /// What the two sides did.
    pub seen: [Seen; 2],
    /// Their tables right after it.
    pub rows: [Vec<Row>; 2],
}

/// How a list of calls ended.
#[derive(Debug)]
pub(super) enum Played {
    /// All of them were played.
    Through,
    /// Program 100000 differs, which cannot be put right: nothing after that call was played.
    Spoilt,
    /// At this call.
    Found(usize, Box<Finding>),
}

/// Both sides, and the rules.
#[derive(Debug)]
pub struct Harness {
    /// The reference and the subject.
    sides: [Side; 2],
    rules: Vec<Rule>,
    uses: BTreeMap<&'static str, usize>,
    answers: BTreeMap<&'static str, usize>,
    /// Calls of this episode that were answered differently, as rules allow.
    differed: Vec<Case>,
    calls: usize,
    xid: u32,
}

impl Harness {
    /// The reference, the subject, and what may differ between them.
    #[must_use]
    pub fn new(reference: Side, subject: Side, rules: &[Rule]) -> Self {
        let uses = rules.iter().map(|rule| (rule.name, 0)).collect();
        Self {
            sides: [reference, subject],
            rules: rules.to_vec(),
            uses,
            answers: BTreeMap::new(),
            differed: Vec::new(),
            calls: 0,
            xid: 0x1000,
        }
    }

    /// Plays episodes until the plan is done.
    ///
    /// # Errors
    /// A difference that no rule allows, with the fewest calls that show it, in words; or what went wrong otherwise.
    pub fn run(&mut self, plan: Plan) -> io::Result<Summary> {
        let start = Instant::now();
        let mut seed = plan.seed;
        let mut episodes = 0;
        while self.calls < plan.calls {
            let has_callees = self.sides.iter().all(Side::has_callees);
            let cases =
                if has_callees { remote::episode(seed, EPISODE) } else { generator::episode(seed, EPISODE) };
            match self.play(&cases).map_err(|error| io::Error::other(format!("seed {seed}: {error}")))? {
                Played::Through | Played::Spoilt => {}
                Played::Found(index, finding) => {
                    let cases = cases.get(..=index).unwrap_or(&cases).to_vec();
                    let (cases, finding) = shrink::shrink(self, cases, *finding)?;
                    return Err(io::Error::other(self.words(seed, &cases, &finding)));
                }
            }
            seed = seed.wrapping_add(1);
            episodes += 1;
        }
        let (uses, answers) = (self.uses.clone(), self.answers.clone());
        Ok(Summary { calls: self.calls, episodes, uses, answers, took: start.elapsed() })
    }

    /// Starts both port mappers and plays these calls.
    pub(super) fn play(&mut self, cases: &[Case]) -> io::Result<Played> {
        for side in &mut self.sides {
            side.restart()?;
        }
        self.differed.clear();
        for (index, case) in cases.iter().enumerate() {
            self.calls += 1;
            match self
                .compare(case, cases.get(..index).unwrap_or_default())
                .map_err(|error| io::Error::other(format!("{case}: {error}")))?
            {
                Compared::Same => {}
                Compared::Spoilt => return Ok(Played::Spoilt),
                Compared::Found(finding) => return Ok(Played::Found(index, finding)),
            }
        }
        Ok(Played::Through)
    }

    fn compare(&mut self, case: &Case, history: &[Case]) -> io::Result<Compared> {
        let seen = self.call(case)?;
        *self.answers.entry(seen[0].kind()).or_default() += 1;
        let changes = case.is_set() || case.is_unset();
        if seen[0] == seen[1] && !changes {
            return Ok(Compared::Same);
        }
        let tables = self.tables()?;
        if seen[0] == seen[1] && tables.are_equal() {
            return Ok(Compared::Same);
        }
        let difference = Difference {
            case,
            reference: &seen[0],
            subject: &seen[1],
            reference_rows: &tables.rows[0],
            subject_rows: &tables.rows[1],
            history,
            differed: &self.differed,
        };
        let Some(rule) = self.rules.iter().find(|rule| (rule.allows)(&difference)) else {
            return Ok(Compared::Found(Box::new(Finding { case: case.clone(), seen, rows: tables.rows })));
        };
        *self.uses.entry(rule.name).or_default() += 1;
        self.differed.push(case.clone());
        if tables.are_equal() { Ok(Compared::Same) } else { self.settle(case, &tables) }
    }

    /// After an allowed difference: makes the tables equal again, and sees that they are.
    fn settle(&mut self, case: &Case, tables: &Tables) -> io::Result<Compared> {
        let services = unshared(&tables.rows);
        if services.iter().any(|(program, _)| *program == 100_000) {
            return Ok(Compared::Spoilt);
        }
        // What was removed in part may be gone from one of a side's two lists only.
        let named = named(&case.arguments).filter(|(program, _)| *program != 100_000);
        for (program, version) in services.into_iter().chain(named) {
            self.forget(program, version)?;
        }
        let settled = self.tables()?;
        if settled.are_equal() {
            return Ok(Compared::Same);
        }
        if unshared(&settled.rows).is_empty() {
            // Version 2's lists alone: nothing that can be called puts them right.
            return Ok(Compared::Spoilt);
        }
        Err(io::Error::other(format!("the tables stay different: {:#?}", settled.rows)))
    }

    /// Removes a program's version from both tables.
    fn forget(&mut self, program: u32, version: u32) -> io::Result<()> {
        let mapping = Arguments::Mapping { program, version, protocol: 0, port: 0 };
        let all = RpcbCase { program, version, netid: vec![], address: vec![], owner: vec![] };
        for case in
            [Case::new(Caller::ROOT, 2, 2, mapping), Case::new(Caller::ROOT, 4, 2, Arguments::Rpcb(all))]
        {
            for (seen, side) in self.call(&case)?.iter().zip(&self.sides) {
                let Seen::Reply(reply) = seen else {
                    return Err(io::Error::other(format!("{}: {case}: {seen}", side.name())));
                };
                if !matches!(
                    Reply::decode(reply).map(|reply| reply.answer),
                    Ok(Answer::Success([0, 0, 0, 1]))
                ) {
                    return Err(io::Error::other(format!("{}: {case}: {seen}", side.name())));
                }
            }
        }
        Ok(())
    }

    /// Makes a call to both sides, at the same time.
    fn call(&mut self, case: &Case) -> io::Result<[Seen; 2]> {
        self.xid = self.xid.wrapping_add(1);
        let xid = self.xid;
        for side in &mut self.sides {
            side.send(case, xid)?;
        }
        let [reference, subject] = &mut self.sides;
        let receive = |side: &mut Side| {
            side.receive(case, xid).map_err(|error| {
                io::Error::other(format!("{}: {error}; it wrote: {:?}", side.name(), side.stderr()))
            })
        };
        Ok([receive(reference)?, receive(subject)?])
    }

    /// Both tables, as versions 4 and 2 list them.
    fn tables(&mut self) -> io::Result<Tables> {
        let [reference, subject] = self.call(&Case::new(Caller::ROOT, 4, 4, Arguments::Void))?;
        let rows = |seen: Seen| decode(&seen).ok_or_else(|| io::Error::other(format!("no table: {seen}")));
        let rows = [rows(reference)?, rows(subject)?];
        let [reference, subject] = self.call(&Case::new(Caller::ROOT, 2, 4, Arguments::Void))?;
        Ok(Tables { rows, same_mappings: reference == subject })
    }

    fn words(&self, seed: u64, cases: &[Case], finding: &Finding) -> String {
        use fmt::Write as _;
        let mut words =
            format!("a difference that no rule allows, from seed {seed}; the fewest calls that show it:\n");
        // Writing to a string cannot fail.
        for case in cases {
            let _ = writeln!(words, "  {case}");
        }
        let _ = writeln!(words, "the call: {}", finding.case);
        for ((seen, rows), side) in finding.seen.iter().zip(&finding.rows).zip(&self.sides) {
            let _ = writeln!(words, "{}: {seen}", side.name());
            for row in rows.iter().filter(|row| row.program != 100_000) {
                let _ = writeln!(words, "    {row}");
            }
        }
        words
    }
}

/// The outcome of one comparison.
enum Compared {
    Same,
    Spoilt,
    Found(Box<Finding>),
}

/// The tables of both sides.
struct Tables {
    rows: [Vec<Row>; 2],
    /// Whether the lists of version 2 are the same bytes.
    same_mappings: bool,
}

impl Tables {
    /// The same rows, whoever owns them, and the same list in version 2.
    fn are_equal(&self) -> bool {
        self.same_mappings && unshared(&self.rows).is_empty()
    }
}

/// The services of rows that only one of the tables has.
fn unshared([reference, subject]: &[Vec<Row>; 2]) -> BTreeSet<(u32, u32)> {
    let key = |row: &Row| (row.program, row.version, row.netid.clone(), row.address.clone());
    let [left, right] = [reference, subject].map(|rows| rows.iter().map(key).collect::<BTreeSet<_>>());
    left.symmetric_difference(&right).map(|(program, version, ..)| (*program, *version)).collect()
}

fn named(arguments: &Arguments) -> Option<(u32, u32)> {
    match arguments {
        Arguments::Mapping { program, version, .. } => Some((*program, *version)),
        Arguments::Rpcb(rpcb) => Some((rpcb.program, rpcb.version)),
        Arguments::Void | Arguments::Remote { .. } | Arguments::Text(_) | Arguments::Netbuf { .. } => None,
    }
}

/// The rows of a reply to DUMP of version 3 or 4; `None` when it is not one.
#[must_use]
pub fn decode(seen: &Seen) -> Option<Vec<Row>> {
    let Seen::Reply(reply) = seen else { return None };
    let Ok(Reply { answer: Answer::Success(results), .. }) = Reply::decode(reply) else { return None };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    List::<Rpcb<'_>>::new(Reader::new(results))
        .map(|row| {
            let row = row.ok()?;
            Some(Row {
                program: row.program.0,
                version: row.version.0,
                netid: text(row.netid),
                address: text(row.address),
                owner: text(row.owner),
            })
        })
        .collect()
}

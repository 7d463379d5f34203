//! Makes a failing list of calls small: fewer calls first, then a plainer last call. Every attempt starts both port
//! mappers anew.

use std::io;

use super::case::{Case, Credential, Framing, Tail, Verifier};
use super::harness::{Finding, Harness, Played};

/// Attempts at most; each takes a fraction of a second.
const ATTEMPTS: usize = 120;

/// The smallest list found, and what it shows.
pub(super) fn shrink(
    harness: &mut Harness,
    mut cases: Vec<Case>,
    mut finding: Finding,
) -> io::Result<(Vec<Case>, Finding)> {
    let mut attempts = 0;
    let mut attempt = |cases: &[Case]| {
        attempts += 1;
        if attempts > ATTEMPTS {
            return Ok(None);
        }
        Ok::<_, io::Error>(match harness.play(cases)? {
            Played::Found(index, found) => Some((index, *found)),
            Played::Through | Played::Spoilt => None,
        })
    };
    let mut size = cases.len().div_ceil(2);
    while size > 0 && cases.len() > 1 {
        let mut start = 0;
        // The last call is the one that differs; it stays.
        while start + 1 < cases.len() {
            let end = (start + size).min(cases.len() - 1);
            let fewer = [&cases[..start], &cases[end..]].concat();
            match attempt(&fewer)? {
                Some((index, found)) => {
                    cases = fewer.get(..=index).unwrap_or(&fewer).to_vec();
                    finding = found;
                }
                None => start = end,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    for plainer in PLAINER {
        let mut simple = cases.clone();
        let Some(last) = simple.last_mut() else { break };
        plainer(last);
        if simple == cases {
            continue;
        }
        if let Some((index, found)) = attempt(&simple)?
            && index + 1 == simple.len()
        {
            cases = simple;
            finding = found;
        }
    }
    Ok((cases, finding))
}

/// Ways to make a call plainer.
const PLAINER: [fn(&mut Case); 4] = [
    |case| case.credential = Credential::None(0),
    |case| case.verifier = Verifier { flavor: 0, length: 0 },
    |case| case.framing = Framing::Whole,
    |case| case.tail = Tail::Whole,
];

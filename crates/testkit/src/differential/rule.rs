//! What may differ, and why: rules are data that the test brings; this is their form.

use oncrpc::{Answer, Reply};

use super::case::Case;
use super::seen::Seen;
use crate::table::Row;

/// A difference that is meant to be.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// A short name, for the count of its uses.
    pub name: &'static str,
    /// Why it is meant to be, in a sentence.
    pub reason: &'static str,
    /// Whether it is this difference. It looks at the call and at what both sides did, never at the procedure alone.
    pub allows: fn(&Difference<'_>) -> bool,
}

/// A call and what the two sides did with it. What they said is the same where only their tables differ.
#[derive(Debug, Clone, Copy)]
pub struct Difference<'a> {
    /// The call.
    pub case: &'a Case,
    /// What the reference did, the C port mapper.
    pub reference: &'a Seen,
    /// What the subject did.
    pub subject: &'a Seen,
    /// The reference's table right after the call.
    pub reference_rows: &'a [Row],
    /// The subject's table right after the call.
    pub subject_rows: &'a [Row],
    /// All calls since both sides were started.
    pub history: &'a [Case],
    /// Those of them that were answered differently, as rules allow.
    pub differed: &'a [Case],
}

impl<'a> Difference<'a> {
    /// What the reference answered; `None` when it did not.
    #[must_use]
    pub fn reference_answer(&self) -> Option<Answer<'a>> {
        answer(self.reference)
    }

    /// What the subject answered; `None` when it did not.
    #[must_use]
    pub fn subject_answer(&self) -> Option<Answer<'a>> {
        answer(self.subject)
    }
}

fn answer(seen: &Seen) -> Option<Answer<'_>> {
    match seen {
        Seen::Reply(reply) => Reply::decode(reply).ok().map(|reply| reply.answer),
        Seen::Silence | Seen::Closed | Seen::Statistics(_) => None,
    }
}

//! How many lines may be written: so many a second for each category, and then one that says how many were not. Time
//! comes in as an argument.

use std::time::Duration;

/// Lines a second that a category may have.
pub const LINES_PER_SECOND: u32 = 10;
/// Categories that are told apart; those beyond share one. They are names in our code, never a stranger's words.
const CATEGORIES_LIMIT: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is written.
    Write,
    /// It is not, but counted.
    Suppress,
}

/// Counts the lines of each category.
#[derive(Debug, Default)]
pub struct RateLimit {
    categories: Vec<Category>,
}

/// A category and the second that began with its latest first line.
#[derive(Debug)]
struct Category {
    name: Box<str>,
    began: Duration,
    written: u32,
    suppressed: u64,
}

impl RateLimit {
    /// Knows no category yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { categories: Vec::new() }
    }

    /// Whether a line of `category` may be written at `now`. Call [`RateLimit::ended`] first, so that what was
    /// suppressed before is said before.
    pub fn admit(&mut self, category: &str, now: Duration) -> Admission {
        let Some(category) = self.category(category, now) else {
            return Admission::Suppress;
        };
        if now.saturating_sub(category.began) >= SECOND {
            *category =
                Category { name: std::mem::take(&mut category.name), began: now, written: 0, suppressed: 0 };
        }
        if category.written < LINES_PER_SECOND {
            category.written += 1;
            Admission::Write
        } else {
            category.suppressed = category.suppressed.saturating_add(1);
            Admission::Suppress
        }
    }

    /// Gives each category whose second has ended with lines suppressed, and their number, once. The line that says so
    /// is the first of a new second.
    pub fn ended(&mut self, now: Duration, mut say: impl FnMut(&str, u64)) {
        for category in &mut self.categories {
            if category.suppressed > 0 && now.saturating_sub(category.began) >= SECOND {
                say(&category.name, category.suppressed);
                (category.began, category.written, category.suppressed) = (now, 1, 0);
            }
        }
    }

    /// When [`RateLimit::ended`] has something to give at the earliest.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let suppressing = self.categories.iter().filter(|category| category.suppressed > 0);
        suppressing.map(|category| category.began.saturating_add(SECOND)).min()
    }

    fn category(&mut self, name: &str, now: Duration) -> Option<&mut Category> {
        let is_full = self.categories.len() >= CATEGORIES_LIMIT;
        let index = match self.categories.iter().position(|category| *category.name == *name) {
            Some(index) => index,
            None if is_full => self.categories.len().checked_sub(1)?,
            None => {
                self.categories.push(Category { name: name.into(), began: now, written: 0, suppressed: 0 });
                self.categories.len().checked_sub(1)?
            }
        };
        self.categories.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(limit: &mut RateLimit, now: Duration) -> Vec<(String, u64)> {
        let mut said = Vec::new();
        limit.ended(now, |category, suppressed| said.push((category.to_owned(), suppressed)));
        said
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn ten_lines_a_second_are_written_and_the_rest_is_counted() {
        let mut limit = RateLimit::new();
        let written = |limit: &mut RateLimit, from: u64, count: u64| {
            (0..count).filter(|index| limit.admit("calls", millis(from + index)) == Admission::Write).count()
        };
        assert_eq!(written(&mut limit, 5_000, 900), 10);
        assert_eq!(limit.deadline(), Some(millis(6_000)));
        assert_eq!(ended(&mut limit, millis(5_999)), []);
        assert_eq!(ended(&mut limit, millis(6_000)), [("calls".to_owned(), 890)]);
        assert_eq!(limit.deadline(), None);
        assert_eq!(ended(&mut limit, millis(9_000)), [], "it is said once");
        assert_eq!(written(&mut limit, 6_001, 900), 9, "the line that said so was one of the ten");
        assert_eq!(ended(&mut limit, millis(7_000)), [("calls".to_owned(), 891)]);
    }

    #[test]
    fn categories_do_not_take_lines_from_each_other() {
        let mut limit = RateLimit::new();
        for _ in 0..100 {
            limit.admit("noisy", millis(0));
        }
        assert_eq!(limit.admit("quiet", millis(0)), Admission::Write);
    }

    #[test]
    fn a_slow_category_is_never_suppressed() {
        let mut limit = RateLimit::new();
        for index in 0..1_000 {
            let now = millis(index * 101);
            assert_eq!(ended(&mut limit, now), []);
            assert_eq!(limit.admit("slow", now), Admission::Write, "line {index}");
        }
    }

    #[test]
    fn time_that_stands_still_suppresses_for_ever_and_does_not_panic() {
        let mut limit = RateLimit::new();
        let written = (0..1_000).filter(|_| limit.admit("calls", Duration::MAX) == Admission::Write).count();
        assert_eq!(written, 10);
        assert_eq!(limit.admit("calls", Duration::ZERO), Admission::Suppress, "time went backwards");
        assert_eq!(limit.deadline(), Some(Duration::MAX));
    }

    #[test]
    fn the_number_of_categories_is_bounded() {
        let mut limit = RateLimit::new();
        let written = (0..10_000)
            .filter(|index| limit.admit(&index.to_string(), millis(0)) == Admission::Write)
            .count();
        assert_eq!(limit.categories.len(), CATEGORIES_LIMIT);
        assert_eq!(written, CATEGORIES_LIMIT - 1 + 10);
    }
}

//! What one setting is: its key, type, default and limits, when a change takes effect, and what it does.

/// One key of the configuration file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key with the tables that it is in: `limits.rows`; `grant[].user` in each `[[grant]]`.
    pub key: &'static str,
    /// Its type, default and limits.
    pub kind: Kind,
    /// When a change takes effect.
    pub applies: Applies,
    /// The flag that does the same, if there is one.
    pub flag: Option<&'static str>,
    /// What it does.
    pub about: &'static str,
}

/// The type of a setting, with its default and its limits.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch {
        /// The default.
        default: bool,
    },
    /// A whole number.
    Number {
        /// The default.
        default: i64,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A whole number without a default.
    OptionalNumber {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
        /// An example.
        example: &'static str,
    },
    /// Text.
    Text {
        /// The default.
        default: &'static str,
        /// The most bytes.
        longest: usize,
    },
    /// One of several words.
    Choice {
        /// The default.
        default: &'static str,
        /// The words.
        of: &'static [&'static str],
    },
    /// One of several words, in a table of an array; it must be there.
    RequiredChoice {
        /// The words.
        of: &'static [&'static str],
    },
    /// A list. Without it there is no restriction, or nothing is added.
    List {
        /// What its elements are.
        of: &'static str,
        /// The most elements.
        most: usize,
        /// An example.
        example: &'static str,
    },
    /// A value of a table of an array, which must be there.
    Required {
        /// What it is.
        of: &'static str,
        /// An example.
        example: &'static str,
    },
    /// An array of tables.
    Tables {
        /// The most tables.
        most: usize,
    },
}

/// When a change of a setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// At the next start: it opens or closes sockets, changes the user, or sizes what was made at start.
    AtRestart,
    /// At a reload (SIGHUP).
    AtReload,
}

impl Entry {
    /// The key inside of its table.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }
}

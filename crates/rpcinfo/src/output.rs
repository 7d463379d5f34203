//! The one way out: standard output and standard error, in the order of events.
//! A reader that has gone away ends the tool without a word.

use std::io::{self, BufWriter, Write};

/// Both outputs.
#[derive(Debug)]
pub struct Output {
    out: BufWriter<io::Stdout>,
}

impl Output {
    /// Takes both outputs of the process.
    #[must_use]
    pub fn new() -> Self {
        Self { out: BufWriter::new(io::stdout()) }
    }

    /// Writes results.
    ///
    /// # Errors
    /// The system's.
    pub fn result(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// Shows now what was written.
    ///
    /// # Errors
    /// The system's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes a complaint after the results that came before it.
    ///
    /// # Errors
    /// The system's, of writing results.
    pub fn complaint(&mut self, text: &str) -> io::Result<()> {
        self.out.flush()?;
        // Where complaints cannot be written nobody can be told.
        let _ = io::stderr().write_all(text.as_bytes());
        Ok(())
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

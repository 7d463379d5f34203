//! The little of the man macros that the pages need, with text that cannot be taken for macros.

use std::fmt::Write as _;

/// A page in the making.
pub(crate) struct Page(String);

impl Page {
    /// The line that every page begins with. It has no date, so that the same definitions always give the same page.
    pub(crate) fn new(name: &str, section: &str) -> Self {
        let mut page = Self(String::new());
        let version = env!("CARGO_PKG_VERSION");
        page.line(&format!(".TH {} {section} \"\" \"Portmap {version}\"", name.to_uppercase()));
        page
    }

    /// `.SH`
    pub(crate) fn heading(&mut self, heading: &str) {
        self.line(&format!(".SH {heading}"));
    }

    /// `.SS`
    pub(crate) fn subheading(&mut self, heading: &str) {
        self.line(&format!(".SS {}", escape(heading)));
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        let last = self.0.lines().next_back().unwrap_or_default();
        if !last.starts_with(".SH") && !last.starts_with(".SS") {
            self.line(".PP");
        }
        self.text(text);
    }

    /// `.TP`, a term in bold and what it means.
    pub(crate) fn term(&mut self, term: &str, text: &str) {
        self.line(".TP");
        self.line(&format!("\\fB{}\\fR", escape(term)));
        self.text(text);
    }

    /// Lines as they are, in a fixed width.
    pub(crate) fn example(&mut self, lines: &str) {
        self.line(".PP\n.nf\n.RS 4");
        for line in lines.lines() {
            self.text(line);
        }
        self.line(".RE\n.fi");
    }

    /// Lines that are man macros already.
    pub(crate) fn raw(&mut self, lines: &str) {
        for line in lines.lines() {
            self.line(line);
        }
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }

    fn text(&mut self, text: &str) {
        let escaped = escape(text);
        // A line must not begin like a macro.
        let guard = if escaped.starts_with(['.', '\'']) { "\\&" } else { "" };
        self.line(&format!("{guard}{escaped}"));
    }

    fn line(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{line}");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

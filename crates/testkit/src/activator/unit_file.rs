//! The syntax of unit files and of environment files (systemd.syntax(7), systemd.exec(5)), as far as the files of a
//! port mapper use it. What is not understood is an error: it must never be passed over.

use std::fmt;

/// A fault in a unit file, with the line or the setting it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitError {
    /// A line that is neither a section, nor a comment, nor a setting in a section.
    Line(String),
    /// A quote that is not closed.
    Quote(String),
    /// A `%` specifier, which this does not know.
    Specifier(String),
    /// A setting that is not played, and that matters.
    Unplayed(String),
    /// A value that does not mean anything to the setting.
    Value(&'static str, String),
    /// A setting that has to be there.
    Missing(&'static str),
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "not a section, comment or setting: {line}"),
            Self::Quote(text) => write!(f, "a quote is not closed: {text}"),
            Self::Specifier(text) => write!(f, "specifiers are not known: {text}"),
            Self::Unplayed(key) => write!(f, "{key} is not played"),
            Self::Value(key, value) => write!(f, "{key} cannot be {value:?}"),
            Self::Missing(key) => write!(f, "{key} is missing"),
        }
    }
}

impl std::error::Error for UnitError {}

/// The settings of a unit file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFile {
    settings: Vec<Setting>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    section: String,
    key: String,
    value: String,
}

impl UnitFile {
    /// Reads the text of a unit file.
    ///
    /// # Errors
    /// [`UnitError::Line`].
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let mut settings = Vec::new();
        let mut section = None;
        for line in joined_lines(text) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = Some(name.to_owned());
                continue;
            }
            let (Some(section), Some((key, value))) = (&section, line.split_once('=')) else {
                return Err(UnitError::Line(line.to_owned()));
            };
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            settings.push(Setting { section: section.clone(), key, value });
        }
        Ok(Self { settings })
    }

    /// The values of a setting that may be given several times; an empty one takes back those before it.
    #[must_use]
    pub fn all(&self, section: &str, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for setting in self.in_section(section).filter(|setting| setting.key == key) {
            if setting.value.is_empty() {
                values.clear();
            } else {
                values.push(setting.value.as_str());
            }
        }
        values
    }

    /// The value of a setting that counts once: the last one.
    #[must_use]
    pub fn one(&self, section: &str, key: &str) -> Option<&str> {
        self.all(section, key).last().copied()
    }

    /// Keys and values of a section, in the file's order.
    pub fn section(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        self.in_section(section).map(|setting| (setting.key.as_str(), setting.value.as_str()))
    }

    fn in_section<'a, 's>(&'a self, section: &'s str) -> impl Iterator<Item = &'a Setting> + use<'a, 's> {
        self.settings.iter().filter(move |setting| setting.section == section)
    }
}

/// The lines without comments, those that end in a backslash joined with the next one by a blank.
fn joined_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        // A comment between two joined lines does not end them.
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let mut whole = open.take().unwrap_or_default();
        match line.strip_suffix('\\') {
            Some(start) => {
                whole.push_str(start);
                whole.push(' ');
                open = Some(whole);
            }
            None => {
                whole.push_str(line);
                lines.push(whole);
            }
        }
    }
    lines.extend(open);
    lines
}

/// Splits a value at blanks; single and double quotes keep blanks, a backslash takes the next character as it is.
///
/// # Errors
/// [`UnitError::Quote`], [`UnitError::Specifier`].
pub fn words(value: &str) -> Result<Vec<String>, UnitError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, Some(open)) if character == open => quote = None,
            ('\\', _) => word.get_or_insert_default().extend(characters.next()),
            ('%', _) if characters.next_if_eq(&'%').is_none() => {
                return Err(UnitError::Specifier(value.to_owned()));
            }
            (' ' | '\t', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(UnitError::Quote(value.to_owned()));
    }
    words.extend(word);
    Ok(words)
}

/// The assignments of an environment file: `NAME=value` lines, a value in quotes as in a shell, nothing expanded.
///
/// # Errors
/// [`UnitError::Quote`].
pub fn environment_file(text: &str) -> Result<Vec<(String, String)>, UnitError> {
    let mut variables = Vec::new();
    for line in joined_lines(text) {
        // A line without `=` is passed over, as systemd does, which logs it.
        let Some((name, value)) = line.split_once('=') else { continue };
        variables.push((name.trim().to_owned(), unquoted(value.trim())?));
    }
    Ok(variables)
}

/// A value whose quoted parts may hold anything; blanks inside stay where they are.
fn unquoted(value: &str) -> Result<String, UnitError> {
    let mut plain = String::new();
    let mut quote = None;
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            ('\\', None | Some('"')) => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    if quote.is_some() { Err(UnitError::Quote(value.to_owned())) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_section_and_key_and_an_empty_value_takes_back() {
        let text = "# c\n; c\n[A]\nK=1\nK = 2 \nK=\nK=3\n[B]\nK=4\nL=a\\\n# c\n b\n";
        let unit = UnitFile::parse(text).unwrap();
        assert_eq!(unit.all("A", "K"), ["3"]);
        assert_eq!(unit.one("B", "K"), Some("4"));
        assert_eq!(unit.one("B", "L"), Some("a  b"));
        assert_eq!(unit.one("C", "L"), None);
        assert_eq!(UnitFile::parse("K=1"), Err(UnitError::Line("K=1".into())));
    }

    #[test]
    fn words_are_split_at_blanks_outside_quotes() {
        let split = |text| words(text).unwrap();
        assert_eq!(split("a  b\tc"), ["a", "b", "c"]);
        assert_eq!(split("\"A=b c\" 'd e'"), ["A=b c", "d e"]);
        assert_eq!(split("\"\" 100%% a\\ b"), ["", "100%", "a b"]);
        assert_eq!(words("'a"), Err(UnitError::Quote("'a".into())));
        assert_eq!(words("%i"), Err(UnitError::Specifier("%i".into())));
    }

    #[test]
    fn environment_files_expand_nothing() {
        let text = "# c\n\nOPTIONS=\"\"\nOPTIONS=\"${OPTIONS} -h 1\"\nB='x \"y'\nC=a b\nno assignment\n";
        let expected = [("OPTIONS", ""), ("OPTIONS", "${OPTIONS} -h 1"), ("B", "x \"y"), ("C", "a b")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(environment_file(text).unwrap(), expected);
    }
}

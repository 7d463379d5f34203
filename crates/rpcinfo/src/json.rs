//! What was found, as one JSON document of the form that `docs/json.md` describes.
//! The text is ASCII: everything else is escaped, so that nothing a server says reaches a terminal as a control.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::arguments::{Asked, Form};
use crate::audit::Audit;
use crate::found::{Address, Answer, Failure, Found, Mapping, Program, Reply, Row, VersionStatistics};

/// The version of the document's form. Fields may be added without a new one.
const FORMAT: u32 = 1;

/// One run of the tool.
#[derive(Debug, Serialize)]
pub struct Document {
    format: u32,
    form: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    programs: Option<Vec<Program>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mappings: Option<Vec<Mapping>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<Vec<VersionStatistics>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<Vec<Answer>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replies: Option<Vec<Reply>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<Audit>,
    error: Option<String>,
}

impl Document {
    /// The document for what was asked, with nothing found yet.
    #[must_use]
    pub fn new(asked: &Asked) -> Self {
        let mut document = Self {
            format: FORMAT,
            form: "",
            host: None,
            netid: None,
            program: None,
            version: None,
            service: None,
            rows: None,
            programs: None,
            mappings: None,
            addresses: None,
            statistics: None,
            answers: None,
            replies: None,
            deleted: None,
            audit: None,
            error: None,
        };
        document.describe(&asked.form);
        document
    }

    fn describe(&mut self, form: &Form) {
        match form {
            Form::Rows { host, netid, short } => {
                (self.host, self.netid) = (host.clone(), netid.clone());
                if *short {
                    (self.form, self.programs) = ("programs", Some(Vec::new()));
                } else {
                    (self.form, self.rows) = ("rows", Some(Vec::new()));
                }
            }
            Form::Mappings { host } => {
                (self.form, self.host, self.mappings) = ("mappings", host.clone(), Some(Vec::new()));
            }
            Form::Statistics { host } => {
                (self.form, self.host, self.statistics) = ("statistics", host.clone(), Some(Vec::new()));
            }
            Form::Addresses { host, netid, .. } => {
                (self.host, self.netid) = (Some(host.clone()), netid.clone());
                (self.form, self.addresses) = ("addresses", Some(Vec::new()));
            }
            Form::PingProtocol { host, .. } => {
                (self.form, self.host, self.answers) = ("ping", Some(host.clone()), Some(Vec::new()));
            }
            Form::PingNetid { netid, host, .. } => {
                (self.host, self.netid) = (Some(host.clone()), Some(netid.clone()));
                (self.form, self.answers) = ("ping", Some(Vec::new()));
            }
            Form::PingAddress { netid, .. } => {
                (self.form, self.netid, self.answers) = ("ping", Some(netid.clone()), Some(Vec::new()));
            }
            Form::Audit { host } => (self.form, self.host) = ("audit", Some(host.clone())),
            Form::Broadcast { .. } => (self.form, self.replies) = ("broadcast", Some(Vec::new())),
            Form::Delete { netid, .. } => {
                (self.form, self.netid, self.deleted) = ("delete", netid.clone(), Some(false));
            }
        }
    }

    /// Adds something found.
    pub fn add(&mut self, found: Found) {
        match found {
            Found::Rows(rows) => self.rows = Some(rows),
            Found::Programs(programs) => self.programs = Some(programs),
            Found::Mappings(mappings) => self.mappings = Some(mappings),
            Found::Addresses { program, version, service, addresses } => {
                (self.program, self.version, self.service) = (Some(program), Some(version), service);
                self.addresses = Some(addresses);
            }
            Found::Statistics(statistics) => self.statistics = Some(statistics),
            Found::Answer(answer) => self.answers.get_or_insert_default().push(answer),
            Found::Reply(reply) => self.replies.get_or_insert_default().push(reply),
            Found::Audit(audit) => self.audit = Some(audit),
            Found::Deleted { program, version } => {
                (self.program, self.version, self.deleted) = (Some(program), Some(version), Some(true));
            }
        }
    }

    /// Adds why nothing more was found.
    pub fn fail(&mut self, failure: &Failure) {
        self.error = Some(failure.0.clone());
    }

    /// The text, one line.
    ///
    /// # Errors
    /// None that can happen: it is written to memory.
    pub fn text(&self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
        self.serialize(&mut serializer)?;
        bytes.push(b'\n');
        String::from_utf8(bytes).map_err(io::Error::other)
    }
}

/// Compact JSON in ASCII, without the one control character that JSON lets through.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for character in fragment.chars() {
            if (' '..='~').contains(&character) {
                writer.write_all(&[u8::try_from(character).unwrap_or(b'?')])?;
                continue;
            }
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Document;
    use crate::arguments::{Asked, Form};
    use crate::escape::Text;
    use crate::found::{Found, Known, Row};

    #[test]
    fn strings_are_exact_and_ascii() {
        let asked =
            Asked { form: Form::Rows { host: None, netid: None, short: false }, json: true, timeout: None };
        let mut document = Document::new(&asked);
        let odd = "\u{1b}[2J \"\\ \u{7f} \u{9b} \u{1f980}";
        let text = Text(odd.into());
        document.add(Found::Rows(vec![Row {
            program: 1,
            version: 2,
            netid: text,
            address: Text(vec![b'a', 0xff]),
            service: None,
            owner: Text::default(),
            known: Known::default(),
        }]));
        let json = document.text().expect("in memory");
        assert!(json.trim_end().chars().all(|character| (' '..='~').contains(&character)), "{json:?}");
        let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(read["rows"][0]["netid"], odd);
        assert_eq!(read["rows"][0]["address"], "a\\xff");
    }
}

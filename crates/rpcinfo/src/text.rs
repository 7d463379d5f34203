//! What was found, as text: columns and quirks as the classic tool prints them, since scripts read them.
//! Columns are counted in bytes, as C counts them.

mod audit;
mod statistics;
#[cfg(test)]
mod tests;

use crate::escape::Text;
use crate::found::{Address, Answer, Found, Known, Liveness, Mapping, Program, Reply, Row, protocol_name};

/// The longest list of netids that is shown on one line, in bytes.
const MAX_NETIDS: usize = 255;

/// The lines for something found.
#[must_use]
pub fn render(found: &Found) -> String {
    match found {
        Found::Rows(rows) if rows.is_empty() => NOTHING.into(),
        Found::Rows(found) => rows(found),
        Found::Programs(programs) if programs.is_empty() => NOTHING.into(),
        Found::Programs(found) => programs(found),
        Found::Mappings(mappings) if mappings.is_empty() => NOTHING.into(),
        Found::Mappings(found) => mappings(found),
        Found::Addresses { addresses, .. } if addresses.is_empty() => NOTHING.into(),
        Found::Addresses { program, version, service, addresses: found } => {
            addresses(*program, *version, service.as_deref(), found)
        }
        Found::Statistics(versions) => statistics::render(versions),
        Found::Answer(found) => answer(found),
        Found::Reply(found) => reply(found),
        Found::Audit(found) => audit::render(found),
        Found::Deleted { .. } => String::new(),
    }
}

const NOTHING: &str = "No remote programs registered.\n";

fn rows(rows: &[Row]) -> String {
    let mut text = "   program version netid     address                service    owner\n".to_owned();
    let column = Column::new(rows.iter().map(|row| row.known));
    column.head(&mut text, 10 - "owner".len());
    for row in rows {
        text += &format!("{:>10}{:>5}    ", row.program, row.version);
        text += &padded(&row.netid.shown(), 9);
        text.push(' ');
        text += &padded(&row.address.shown(), 22);
        text.push(' ');
        text += &padded(row.service.as_deref().unwrap_or("-"), 10);
        text.push(' ');
        let owner = row.owner.shown();
        text += &owner;
        column.entry(&mut text, 10_usize.saturating_sub(owner.len()), row.known);
        text.push('\n');
    }
    text
}

fn programs(programs: &[Program]) -> String {
    let mut text = "   program version(s) netid(s)                         service     owner\n".to_owned();
    let any_dead = programs.iter().any(|program| program.dead_rows > Some(0));
    if any_dead {
        text.insert_str(text.len() - 1, "       dead");
    }
    for program in programs {
        let versions: Vec<_> =
            program.versions.iter().map(|version| version.cast_signed().to_string()).collect();
        text += &format!("{:>10}  ", program.program);
        text += &padded(&versions.join(","), 10);
        text += &padded(&netids(&program.netids), 32);
        text.push(' ');
        text += &padded(program.service.as_deref().unwrap_or("-"), 11);
        text.push(' ');
        let owner = program.owner.shown();
        text += &owner;
        if any_dead {
            let dead = program.dead_rows.map_or_else(|| "-".to_owned(), |dead| dead.to_string());
            text += &format!("{:blanks$} {dead}", "", blanks = 11_usize.saturating_sub(owner.len()));
        }
        text.push('\n');
    }
    text
}

/// As many netids as fit, the last one cut.
fn netids(netids: &[Text]) -> String {
    let mut list = netids.iter().map(Text::shown).collect::<Vec<_>>().join(",");
    let mut end = list.len().min(MAX_NETIDS);
    while !list.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    list.truncate(end);
    list
}

fn mappings(mappings: &[Mapping]) -> String {
    let mut text = "   program vers proto   port  service\n".to_owned();
    let column = Column::new(mappings.iter().map(|mapping| mapping.known));
    column.head(&mut text, 11 - "service".len());
    for mapping in mappings {
        let protocol = protocol_name(mapping.protocol);
        text += &format!("{:>10}{:>5}{protocol:>6}{:>7}", mapping.program, mapping.version, mapping.port);
        if let Some(service) = &mapping.service {
            text += "  ";
            text += service;
        }
        let used = mapping.service.as_ref().map_or(0, |service| service.len() + 2);
        column.entry(&mut text, 13_usize.saturating_sub(used), mapping.known);
        text.push('\n');
    }
    text
}

fn addresses(program: u32, version: u32, service: Option<&str>, addresses: &[Address]) -> String {
    let mut text = "   program vers  tp_family/name/class    address\t\t  service\n".to_owned();
    for address in addresses {
        let class = match address.semantics {
            1 => "clts",
            2 => "cots",
            _ => "cots_ord",
        };
        let transport = format!("{}/{}/{class} ", address.family.shown(), address.protocol.shown());
        text += &format!("{program:>10}{version:>3}    ");
        text += &padded(&transport, 24);
        text += &padded(&address.address.shown(), 24);
        text.push(' ');
        text += &padded(service.unwrap_or("-"), 13);
        text.push('\n');
    }
    text
}

fn answer(answer: &Answer) -> String {
    let state = if answer.available { "ready and waiting" } else { "is not available" };
    format!("program {} version {} {state}\n", answer.program, answer.version)
}

fn reply(reply: &Reply) -> String {
    let host = reply.host.as_ref().map_or_else(|| "unknown".to_owned(), Text::shown);
    format!("{}\t{host}\n", reply.address.shown())
}

/// The column that is there only when some service is dead.
struct Column {
    is_shown: bool,
}

impl Column {
    fn new(mut services: impl Iterator<Item = Known>) -> Self {
        Self { is_shown: services.any(|known| known.is_dead()) }
    }

    /// Puts the title before the end of the first line, after so many blanks and one.
    fn head(&self, text: &mut String, blanks: usize) {
        if self.is_shown {
            text.insert_str(text.len() - 1, &format!("{:blanks$} liveness", ""));
        }
    }

    fn entry(&self, text: &mut String, blanks: usize, known: Known) {
        if !self.is_shown {
            return;
        }
        *text += &format!("{:blanks$} ", "");
        *text += &match (known.liveness, known.liveness_seconds) {
            (Some(Liveness::Dead), Some(seconds)) => format!("dead for {}", duration(seconds)),
            (Some(Liveness::Dead), None) => "dead".to_owned(),
            (Some(Liveness::Alive), _) => "alive".to_owned(),
            (None, _) => "-".to_owned(),
        };
    }
}

/// Seconds in the largest unit of which there are at least two.
fn duration(seconds: u32) -> String {
    let units = [(86_400, "days"), (3_600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(unit, _)| seconds / unit >= 2);
    unit.map_or_else(|| format!("{seconds} s"), |(unit, name)| format!("{} {name}", seconds / unit))
}

/// Text with blanks after it up to a width in bytes.
fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.len());
    format!("{text}{:blanks$}", "")
}

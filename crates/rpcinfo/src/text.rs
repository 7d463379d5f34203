//! What was found, as text: columns and quirks as the classic tool prints them, since scripts read them.
//! Columns are counted in bytes, as C counts them.

mod statistics;
#[cfg(test)]
mod tests;

use crate::escape::Text;
use crate::found::{Address, Answer, Found, Mapping, Program, Reply, Row};

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
        Found::Deleted { .. } => String::new(),
    }
}

const NOTHING: &str = "No remote programs registered.\n";

fn rows(rows: &[Row]) -> String {
    let mut text = "   program version netid     address                service    owner\n".to_owned();
    for row in rows {
        text += &format!("{:>10}{:>5}    ", row.program, row.version);
        text += &padded(&row.netid.shown(), 9);
        text.push(' ');
        text += &padded(&row.address.shown(), 22);
        text.push(' ');
        text += &padded(row.service.as_deref().unwrap_or("-"), 10);
        text.push(' ');
        text += &row.owner.shown();
        text.push('\n');
    }
    text
}

fn programs(programs: &[Program]) -> String {
    let mut text = "   program version(s) netid(s)                         service     owner\n".to_owned();
    for program in programs {
        let versions: Vec<_> =
            program.versions.iter().map(|version| version.cast_signed().to_string()).collect();
        text += &format!("{:>10}  ", program.program);
        text += &padded(&versions.join(","), 10);
        text += &padded(&netids(&program.netids), 32);
        text.push(' ');
        text += &padded(program.service.as_deref().unwrap_or("-"), 11);
        text.push(' ');
        text += &program.owner.shown();
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
    for mapping in mappings {
        let protocol = match mapping.protocol {
            17 => "udp".to_owned(),
            6 => "tcp".to_owned(),
            number => number.to_string(),
        };
        text += &format!("{:>10}{:>5}{protocol:>6}{:>7}", mapping.program, mapping.version, mapping.port);
        if let Some(service) = &mapping.service {
            text += "  ";
            text += service;
        }
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

/// Text with blanks after it up to a width in bytes.
fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.len());
    format!("{text}{:blanks$}", "")
}

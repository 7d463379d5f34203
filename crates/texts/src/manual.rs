//! The three manual pages: what `--help` says, then what it has no room for, from the folder `sections`.

use crate::roff::Page;
use clap::Command;
use clap_mangen::Man;
use rpcbind::config::{ManualEntry, manual_entries};
use std::io;

/// rpcbind(8)
pub(crate) fn rpcbind(command: Command) -> io::Result<String> {
    let mut page = from_command(command)?;
    page.raw(include_str!("../sections/rpcbind.8"));
    page.heading("LIMITS");
    page.paragraph("Everything that grows has a limit. These can be lowered in rpcbind.toml(5):");
    for entry in manual_entries().iter().filter(|entry| entry.table == "[limits]") {
        page.term(entry.key, &format!("{} ({})", entry.about, entry.value));
    }
    page.raw(include_str!("../sections/rpcbind-limits.8"));
    Ok(page.finish())
}

/// rpcinfo(8)
pub(crate) fn rpcinfo(command: Command) -> io::Result<String> {
    let mut page = from_command(command)?;
    page.raw(include_str!("../sections/rpcinfo.8"));
    Ok(page.finish())
}

/// The head and the options by `clap_mangen`, the paragraphs after the options by their headings.
fn from_command(command: Command) -> io::Result<Page> {
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let mut page = Page::new(command.get_name(), "8");
    let man = Man::new(command);
    let mut bytes = Vec::new();
    man.render_name_section(&mut bytes)?;
    man.render_synopsis_section(&mut bytes)?;
    man.render_description_section(&mut bytes)?;
    man.render_options_section(&mut bytes)?;
    page.raw(&String::from_utf8_lossy(&bytes));
    for paragraph in after.split("\n\n") {
        section(&mut page, paragraph);
    }
    Ok(page)
}

/// `Exit status:` begins a section; lines `  0  meaning` in it are terms. A paragraph without such a word goes on where
/// the page has got to.
fn section(page: &mut Page, paragraph: &str) {
    let (heading, text) = match paragraph.split_once(':') {
        Some((heading, text)) if heading.len() < 20 && !heading.contains('\n') => {
            (Some(heading), text.trim_start())
        }
        _ => (None, paragraph),
    };
    if let Some(heading) = heading {
        page.heading(&heading.to_uppercase());
    }
    let terms: Option<Vec<_>> = text.lines().map(|line| line.trim().split_once("  ")).collect();
    match terms {
        Some(terms) if !terms.is_empty() => {
            for (term, meaning) in terms {
                page.term(term, meaning.trim());
            }
        }
        _ => page.paragraph(&text.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

/// rpcbind.toml(5)
pub(crate) fn rpcbind_toml() -> String {
    let mut page = Page::new("rpcbind.toml", "5");
    page.heading("NAME");
    page.paragraph("rpcbind.toml - settings of the port mapper");
    page.raw(include_str!("../sections/rpcbind.toml.5"));
    let mut table = String::new();
    page.heading("SETTINGS");
    for entry in manual_entries() {
        if entry.table != table {
            table.clone_from(&entry.table);
            page.subheading(&table);
        }
        setting(&mut page, &entry);
    }
    page.heading("EXAMPLE");
    page.paragraph("Registrations are listed to one network only, and a tool of user nfsd may register NFS:");
    page.example(include_str!("../sections/rpcbind.toml.example"));
    page.heading("SEE ALSO");
    page.paragraph("rpcbind(8), rpcinfo(8), hosts_access(5)");
    page.finish()
}

fn setting(page: &mut Page, entry: &ManualEntry) {
    if entry.table.trim_matches(['[', ']']) == entry.key {
        page.paragraph(&format!("{} {}.", entry.about, capitalised(&entry.value)));
        return;
    }
    let flag = entry.flag.map(|flag| format!(" Flag: {flag}.")).unwrap_or_default();
    let term = format!("{} ({})", entry.key, entry.applies);
    page.term(&term, &format!("{} {}.{flag}", entry.about, capitalised(&entry.value)));
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

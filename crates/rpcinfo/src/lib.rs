#![forbid(unsafe_code)]
//! `rpcinfo`: report what a port mapper knows, and call RPC services.
//!
//! Two steps: [`arguments`] says what was asked, [`find`] what was found; [`text`] and [`json`] show the same data.
//! The text, the messages and the exit status are those that scripts know from the classic tool.
//!
//! ```
//! use rpcinfo::arguments::{Command, Form, parse};
//!
//! let words = ["-p".to_owned(), "nfs.example.net".to_owned()];
//! let Ok(Command::Find(asked)) = parse("rpcinfo", &words, false) else { panic!("a form of the command") };
//! assert_eq!(asked.form, Form::Mappings { host: Some("nfs.example.net".to_owned()) });
//! ```

pub mod arguments;
pub mod audit;
pub mod escape;
pub mod find;
pub mod found;
pub mod json;
pub mod netconfig;
mod numbers;
pub mod output;
pub mod reason;
pub mod services;
pub mod text;
pub mod usage;

use std::io;
use std::process::ExitCode;

use arguments::{Asked, Command, Refused};
use find::{Known, Stop};
use found::Found;
use json::Document;
use output::Output;

/// The exit status of an audit that found a danger.
const DANGER: u8 = 2;

/// Runs the tool: `words` are the process's arguments, its own name first.
#[must_use]
pub fn run(words: &[String]) -> ExitCode {
    let mut output = Output::new();
    let outcome = obey(words, &mut output).and_then(|status| output.flush().map(|()| status));
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Standard output is what failed; the complaint does not go there.
            let _ = Output::new().complaint(&format!("rpcinfo: cannot write: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Answers the exit status: 0 when everything asked for was found.
fn obey(words: &[String], output: &mut Output) -> io::Result<u8> {
    let own_name = words.first().map_or("rpcinfo", String::as_str);
    let in_order = std::env::var_os("POSIXLY_CORRECT").is_some();
    match arguments::parse(own_name, words.get(1..).unwrap_or_default(), in_order) {
        Ok(Command::Help) => output.result(&usage::command().render_long_help().to_string()).map(|()| 0),
        Ok(Command::Version) => output.result(&usage::command().render_version()).map(|()| 0),
        Ok(Command::Find(asked)) => find_and_show(&asked, output),
        Err(Refused { lines, usage }) => {
            let mut complaint: String = lines.iter().map(|line| format!("{line}\n")).collect();
            if usage {
                complaint.push_str(usage::USAGE);
            }
            output.complaint(&complaint).map(|()| 1)
        }
    }
}

fn find_and_show(asked: &Asked, output: &mut Output) -> io::Result<u8> {
    let netpath = std::env::var("NETPATH").ok();
    let known = Known {
        services: services::Services::load(services::FILE.as_ref()),
        netconfig: netconfig::Netconfig::load(netconfig::FILE.as_ref(), netpath),
    };
    let mut document = asked.json.then(|| Document::new(asked));
    let mut status = 0;
    let outcome = find::find(asked, &known, &mut |found| {
        if matches!(&found, Found::Audit(audit) if !audit.passed) {
            status = DANGER;
        }
        show(found, document.as_mut(), output)
    });
    match outcome {
        Ok(()) => {}
        Err(Stop::Unavailable) => status = 1,
        Err(Stop::Output(error)) => return Err(error),
        Err(Stop::Failed(failure)) => {
            if let Some(document) = &mut document {
                document.fail(&failure);
            }
            if !failure.0.is_empty() {
                output.complaint(&format!("{}\n", failure.0))?;
            }
            status = 1;
        }
    }
    if let Some(document) = document {
        output.result(&document.text()?)?;
    }
    Ok(status)
}

/// Shows something found: as text at once, in a document at the end.
fn show(found: Found, document: Option<&mut Document>, output: &mut Output) -> io::Result<()> {
    if let Found::Answer(found::Answer { error: Some(error), .. }) = &found {
        output.complaint(&format!("rpcinfo: {error}\n"))?;
    }
    match document {
        Some(document) => document.add(found),
        None => {
            output.result(&text::render(&found))?;
            if matches!(found, Found::Answer(_) | Found::Reply(_)) {
                output.flush()?;
            }
        }
    }
    Ok(())
}

//! The command line: letters as `getopt` reads them, in any place and together, plus the long options.
//! What the classic tool refuses is refused in its words.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::numbers::{low_u16, strtol};

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What to find out.
    pub form: Form,
    /// Print JSON instead of text.
    pub json: bool,
    /// The limit of each wait, instead of the usual ones.
    pub timeout: Option<Duration>,
}

/// The forms of the command. Programs and versions are as written: they are read when they are needed, as names may
/// have to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// All rows.
    Rows {
        /// The host; this one without.
        host: Option<String>,
        /// The transport to ask over.
        netid: Option<String>,
        /// One line a program.
        short: bool,
    },
    /// All rows of version 2.
    Mappings {
        /// The host; this one without.
        host: Option<String>,
    },
    /// The port mapper's statistics.
    Statistics {
        /// The host; this one without.
        host: Option<String>,
    },
    /// The addresses of one service.
    Addresses {
        /// The host.
        host: String,
        /// The transport to ask over.
        netid: Option<String>,
        /// The program.
        program: String,
        /// Its version.
        version: String,
    },
    /// Call a service over UDP or TCP.
    PingProtocol {
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// Its port; 0 when the port mapper has to be asked.
        port: u16,
        /// The host.
        host: String,
        /// What to call.
        service: Service,
    },
    /// Call a service over a transport.
    PingNetid {
        /// The transport.
        netid: String,
        /// The host.
        host: String,
        /// What to call.
        service: Service,
    },
    /// Call a service at an address.
    PingAddress {
        /// Its universal address.
        address: String,
        /// The transport.
        netid: String,
        /// What to call.
        service: Service,
    },
    /// Call a service on all hosts of the networks here.
    Broadcast {
        /// The program.
        program: String,
        /// Its version.
        version: String,
    },
    /// What a stranger could learn from a host's port mapper, and do with it.
    Audit {
        /// The host.
        host: String,
    },
    /// Unregister a service of this host.
    Delete {
        /// The transport; all without.
        netid: Option<String>,
        /// The program.
        program: String,
        /// Its version.
        version: String,
    },
}

/// A program, and a version or all of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The program.
    pub program: String,
    /// Its version; all without.
    pub version: Option<String>,
}

/// What the command line comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Find something out.
    Find(Asked),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Why the command line cannot be obeyed: lines for standard error, and whether the usage follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The lines.
    pub lines: Vec<String>,
    /// Whether the usage is printed after them.
    pub usage: bool,
}

/// Reads the arguments after the program's own name, which is used in messages.
///
/// # Errors
/// [`Refused`].
pub fn parse(own_name: &str, arguments: &[String], in_order: bool) -> Result<Command, Refused> {
    let written = Written::read(own_name, arguments, in_order)?;
    if written.version {
        return Ok(Command::Version);
    }
    if written.help {
        return Ok(Command::Help);
    }
    let (json, timeout) = (written.json, written.timeout);
    let form = written.form()?;
    Ok(Command::Find(Asked { form, json, timeout }))
}

/// What the letters stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Mappings,
    Tcp,
    Udp,
    Address,
    Broadcast,
    Delete,
    Addresses,
    Statistics,
    Short,
}

/// The letters with their functions.
const FUNCTIONS: [(char, Function); 9] = [
    ('p', Function::Mappings),
    ('t', Function::Tcp),
    ('u', Function::Udp),
    ('a', Function::Address),
    ('b', Function::Broadcast),
    ('d', Function::Delete),
    ('l', Function::Addresses),
    ('m', Function::Statistics),
    ('s', Function::Short),
];
/// The letters that take an argument.
const WITH_ARGUMENT: [char; 3] = ['a', 'n', 'T'];

/// The command line as written.
#[derive(Debug, Default)]
struct Written {
    function: Option<Function>,
    netid: Option<String>,
    address: String,
    port: u16,
    operands: Vec<String>,
    refused: Refused,
    json: bool,
    timeout: Option<Duration>,
    help: bool,
    version: bool,
}

impl Written {
    fn read(own_name: &str, arguments: &[String], in_order: bool) -> Result<Self, Refused> {
        let mut written = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let letters = match argument.strip_prefix('-') {
                Some("-") => {
                    written.operands.extend(rest.by_ref().cloned());
                    break;
                }
                Some(letters) if !letters.is_empty() => letters,
                _ => {
                    written.operands.push(argument.clone());
                    if in_order {
                        written.operands.extend(rest.by_ref().cloned());
                    }
                    continue;
                }
            };
            if !written.long(letters, &mut rest)? {
                written.letters(own_name, letters, &mut rest)?;
            }
        }
        Ok(written)
    }

    /// Takes `-name` after the first dash; false when it is none of ours, and then its letters count.
    fn long<'a>(
        &mut self,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<bool, Refused> {
        let (name, value) = match letters.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (letters, None),
        };
        match (name, value) {
            ("-json", None) => self.json = true,
            ("-help", None) => self.help = true,
            ("-version", None) => self.version = true,
            ("-timeout", value) => {
                let Some(value) = value.or_else(|| rest.next().cloned()) else {
                    return Err(Refused {
                        lines: vec!["rpcinfo: option requires an argument -- 'timeout'".into()],
                        usage: true,
                    });
                };
                self.timeout = Some(seconds(&value).ok_or_else(|| Refused {
                    lines: vec![format!("rpcinfo: {value} is illegal timeout")],
                    usage: false,
                })?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn letters<'a>(
        &mut self,
        own_name: &str,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), Refused> {
        let mut left = letters.chars();
        while let Some(letter) = left.next() {
            if !WITH_ARGUMENT.contains(&letter) {
                match FUNCTIONS.iter().find(|(name, _)| *name == letter) {
                    Some((_, function)) => self.choose(*function),
                    None => self.wrong(format!("{own_name}: invalid option -- '{letter}'")),
                }
                continue;
            }
            let value = match left.as_str() {
                "" => rest.next().cloned(),
                joined => Some(joined.to_owned()),
            };
            match value {
                Some(value) => return self.with_argument(letter, value),
                None => self.wrong(format!("{own_name}: option requires an argument -- '{letter}'")),
            }
        }
        Ok(())
    }

    fn with_argument(&mut self, letter: char, value: String) -> Result<(), Refused> {
        match letter {
            'a' => {
                self.address = value;
                self.choose(Function::Address);
            }
            'T' => self.netid = Some(value),
            _ => match strtol(&value) {
                Some(port) => self.port = low_u16(port),
                None => {
                    let mut refused = std::mem::take(&mut self.refused);
                    refused.lines.push(format!("rpcinfo: {value} is illegal port number"));
                    refused.usage = false;
                    return Err(refused);
                }
            },
        }
        Ok(())
    }

    fn choose(&mut self, function: Function) {
        if self.function.is_some() {
            self.refused.usage = true;
        } else {
            self.function = Some(function);
        }
    }

    fn wrong(&mut self, line: String) {
        self.refused.lines.push(line);
        self.refused.usage = true;
    }

    /// Checks what was written and gives it its meaning.
    fn form(self) -> Result<Form, Refused> {
        if self.refused.usage {
            return Err(self.refused);
        }
        let usage = || Refused { lines: Vec::new(), usage: true };
        let Self { function, netid, address, port, operands, .. } = self;
        let is_audit = operands.first().is_some_and(|word| word == "audit");
        let mut operands = operands.into_iter();
        let count = operands.len();
        let mut next = || operands.next().unwrap_or_default();
        let form = match (function, count) {
            (None, 0) => Form::Rows { host: None, netid, short: false },
            (Some(Function::Short), 0) => Form::Rows { host: None, netid, short: true },
            (None, 1) => Form::Rows { host: Some(next()), netid, short: false },
            (Some(Function::Short), 1) => Form::Rows { host: Some(next()), netid, short: true },
            // Two operands mean nothing without -T in the classic tool: a host called audit is listed as ever.
            (None, 2) if netid.is_none() && is_audit => {
                next();
                Form::Audit { host: next() }
            }
            (None, 2 | 3) => match netid {
                Some(netid) => Form::PingNetid { netid, host: next(), service: service(next, count - 1) },
                None => return Err(usage()),
            },
            (Some(Function::Mappings), 0 | 1) if port == 0 => {
                Form::Mappings { host: (count == 1).then(next) }
            }
            (Some(Function::Statistics), _) => Form::Statistics { host: (count > 0).then(next) },
            (Some(Function::Addresses), 3) => {
                Form::Addresses { host: next(), netid, program: next(), version: next() }
            }
            (Some(Function::Tcp), 2 | 3) => {
                Form::PingProtocol { protocol: "tcp", port, host: next(), service: service(next, count - 1) }
            }
            (Some(Function::Udp), 2 | 3) => {
                Form::PingProtocol { protocol: "udp", port, host: next(), service: service(next, count - 1) }
            }
            (Some(Function::Address), 1 | 2) => match netid {
                Some(netid) => Form::PingAddress { address, netid, service: service(next, count) },
                None => return Err(usage()),
            },
            (Some(Function::Broadcast), 2) => Form::Broadcast { program: next(), version: next() },
            (Some(Function::Delete), 2) => Form::Delete { netid, program: next(), version: next() },
            _ => return Err(usage()),
        };
        Ok(form)
    }
}

fn service(mut next: impl FnMut() -> String, count: usize) -> Service {
    Service { program: next(), version: (count > 1).then(next) }
}

/// A positive number of seconds, at most a day.
fn seconds(text: &str) -> Option<Duration> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| plain)?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|limit| !limit.is_zero() && *limit <= Duration::from_hours(24))
}

/// The letters that are understood and whether each takes an argument, for the check against the manual.
#[must_use]
pub fn known_letters() -> Vec<(char, bool)> {
    let functions = FUNCTIONS.iter().map(|(letter, _)| *letter);
    let mut letters: Vec<_> = functions.chain(['n', 'T']).map(|c| (c, WITH_ARGUMENT.contains(&c))).collect();
    letters.sort_unstable();
    letters
}

//! The `log` crate's sink: formats a line, asks the rate limit, writes to stderr or the system log. Never waits for the
//! system log, never lets a line break.

use super::escaped::OneLine;
use super::rate::{Admission, RateLimit};
use super::syslog::{Facility, Syslog, severity};
use super::{CONNECT, START};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest line in bytes, whatever is in it.
pub const LINE_LIMIT: usize = 1_024;

/// Where lines go.
#[derive(Debug)]
pub enum Destination {
    /// Standard error, for people.
    Stderr,
    /// Standard error with a priority before each line, for the journal (sd-daemon(3)).
    Journal,
    /// The system log.
    Syslog(Syslog),
}

impl Destination {
    /// The destination of a daemon: the journal when it reads our standard error, standard error when the daemon stays
    /// in the foreground or prints debugging output, else the system log.
    ///
    /// # Errors
    /// No socket for the system log can be made.
    pub fn choose(foreground: bool, debug: bool) -> std::io::Result<Self> {
        if stderr_is_journal(std::env::var_os("JOURNAL_STREAM").as_deref()) {
            Ok(Self::Journal)
        } else if foreground || debug {
            Ok(Self::Stderr)
        } else {
            Syslog::open().map(Self::Syslog)
        }
    }

    fn style(&self) -> Style {
        match self {
            Self::Stderr => Style::Plain,
            Self::Journal => Style::Journal,
            Self::Syslog(_) => Style::Syslog { pid: std::process::id() },
        }
    }

    fn write(&mut self, line: &str) {
        match self {
            Self::Syslog(syslog) => syslog.send(line),
            // One write a line. There is nowhere left to report that standard error is closed or full.
            Self::Stderr | Self::Journal => drop(std::io::stderr().write_all(line.as_bytes())),
        }
    }
}

/// Whether `JOURNAL_STREAM` (systemd.exec(5)) names the device and inode of our standard error.
fn stderr_is_journal(stream: Option<&OsStr>) -> bool {
    rustix::fs::fstat(rustix::stdio::stderr()).is_ok_and(|stat| names(stream, stat.st_dev, stat.st_ino))
}

/// Whether `device:inode`, both decimal, is this one.
fn names(stream: Option<&OsStr>, device: u64, inode: u64) -> bool {
    let Some((left, right)) = stream.and_then(OsStr::to_str).and_then(|text| text.split_once(':')) else {
        return false;
    };
    left.parse() == Ok(device) && right.parse() == Ok(inode)
}

/// What stands before and after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Journal,
    Syslog { pid: u32 },
}

/// Makes lines of messages, and counts them.
#[derive(Debug)]
pub(super) struct Lines {
    limit: RateLimit,
    line: String,
}

impl Lines {
    pub(super) const fn new() -> Self {
        Self { limit: RateLimit::new(), line: String::new() }
    }

    /// Makes the lines that a message at `now` causes: what was suppressed before, and itself.
    pub(super) fn message(
        &mut self,
        (style, now): (Style, Duration),
        (level, target): (Level, &str),
        message: fmt::Arguments<'_>,
        write: &mut dyn FnMut(&str),
    ) {
        self.ended(style, now, write);
        if target == START || self.limit.admit(target, now) == Admission::Write {
            format(&mut self.line, style, level, target, message);
            write(&self.line);
        }
    }

    /// Makes the lines that say what was suppressed in seconds that have ended.
    pub(super) fn ended(&mut self, style: Style, now: Duration, write: &mut dyn FnMut(&str)) {
        let Self { limit, line } = self;
        limit.ended(now, |target, suppressed| {
            let level = if target == CONNECT { Level::Info } else { Level::Warn };
            format(line, style, level, target, format_args!("{suppressed} more suppressed ({target})"));
            write(line);
        });
    }
}

fn format(line: &mut String, style: Style, level: Level, target: &str, message: fmt::Arguments<'_>) {
    line.clear();
    let facility = if target == CONNECT { Facility::Auth } else { Facility::Daemon };
    let severity = severity(level);
    // Writing to a string does not fail; a message over the limit is cut, which is reported in the line itself.
    let _ = match (style, level) {
        (Style::Plain, Level::Error) => write!(line, "rpcbind: error: "),
        (Style::Plain, Level::Warn) => write!(line, "rpcbind: warning: "),
        (Style::Plain, _) => write!(line, "rpcbind: "),
        (Style::Journal, _) => write!(line, "<{}>", facility.priority(severity)),
        (Style::Syslog { pid }, _) => write!(line, "<{}>rpcbind[{pid}]: ", facility.priority(severity)),
    };
    let _ = OneLine::new(line, LINE_LIMIT).write_fmt(message);
    if !matches!(style, Style::Syslog { .. }) {
        line.push('\n');
    }
}

/// The process's sink. The event loop is one thread; the mutex is there because `log` asks for it.
struct Sink(Mutex<State>);

struct State {
    destination: Destination,
    lines: Lines,
    /// When the first line was written.
    began: Option<Instant>,
}

static SINK: Sink =
    Sink(Mutex::new(State { destination: Destination::Stderr, lines: Lines::new(), began: None }));

/// Begins logging to standard error. `debug` counts the `-d` flags: one shows debugging output, two trace output.
///
/// # Errors
/// Logging has begun already.
pub fn install(debug: u8) -> Result<(), log::SetLoggerError> {
    log::set_logger(&SINK)?;
    log::set_max_level(match debug {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    });
    Ok(())
}

/// Sends what follows elsewhere. To be called before confinement: nothing is opened later.
pub fn redirect(destination: Destination) {
    SINK.state().destination = destination;
}

/// How long from now until [`log::Log::flush`] of [`log::logger`] has something to say about suppressed lines; `None`
/// when nothing was suppressed.
#[must_use]
pub fn flush_in() -> Option<Duration> {
    let mut state = SINK.state();
    let now = state.now();
    state.lines.limit.deadline().map(|deadline| deadline.saturating_sub(now))
}

impl Sink {
    /// A panic while a line was made leaves nothing behind that the next line minds.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now(&mut self) -> Duration {
        self.began.get_or_insert_with(Instant::now).elapsed()
    }

    fn lost(&mut self) {
        if let Destination::Syslog(syslog) = &mut self.destination {
            let lost = syslog.take_lost();
            if lost > 0 {
                let mut line = String::new();
                let style = Style::Syslog { pid: std::process::id() };
                format(
                    &mut line,
                    style,
                    Level::Warn,
                    START,
                    format_args!("{lost} lines could not be sent here"),
                );
                syslog.send(&line);
                if syslog.take_lost() > 0 {
                    syslog.restore_lost(lost);
                }
            }
        }
    }
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut state = self.state();
        let now = state.now();
        state.lost();
        let State { destination, lines, .. } = &mut *state;
        let kind = (record.level(), record.target());
        lines.message((destination.style(), now), kind, *record.args(), &mut |line| destination.write(line));
    }

    fn flush(&self) {
        let mut state = self.state();
        let now = state.now();
        let State { destination, lines, .. } = &mut *state;
        lines.ended(destination.style(), now, &mut |line| destination.write(line));
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;

//! The settings of a service that one start of it needs (systemd.service(5), systemd.exec(5)).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::lifetime::Lifetime;
use super::unit_file::{UnitError, UnitFile, environment_file, words};

/// Settings of `[Service]` that make no difference to one start.
const WITHOUT_EFFECT: [&str; 2] = ["KillMode", "TimeoutStartSec"];

/// How a service says that it has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceType {
    /// By `READY=1`.
    Notify,
    /// So, and a reload is SIGHUP, `RELOADING=1` with the time, and `READY=1` again.
    NotifyReload,
    /// Not at all.
    Simple,
}

/// One service, ready to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// How it says that it has started.
    pub kind: ServiceType,
    /// When it is started again, and what is kept for it until then.
    pub lifetime: Lifetime,
    environment: Vec<(String, String)>,
    /// Paths, and whether one may be missing.
    environment_files: Vec<(String, bool)>,
    /// The program and its arguments before variables are put in.
    command: Vec<String>,
}

impl Service {
    /// Reads `[Service]`.
    ///
    /// # Errors
    /// [`UnitError`], for settings that are not played too.
    pub fn new(unit: &UnitFile) -> Result<Self, UnitError> {
        let played = ["Environment", "EnvironmentFile", "ExecStart", "Type"];
        for (key, _) in unit.section("Service") {
            if !played.contains(&key) && !WITHOUT_EFFECT.contains(&key) && !Lifetime::PLAYED.contains(&key) {
                return Err(UnitError::Unplayed(key.to_owned()));
            }
        }
        let kind = match unit.one("Service", "Type") {
            Some("notify") => ServiceType::Notify,
            Some("notify-reload") => ServiceType::NotifyReload,
            Some("simple" | "exec") | None => ServiceType::Simple,
            Some(other) => return Err(UnitError::Value("Type", other.to_owned())),
        };
        let mut environment = Vec::new();
        for value in unit.all("Service", "Environment") {
            for word in words(value)? {
                let (name, value) =
                    word.split_once('=').ok_or_else(|| UnitError::Value("Environment", word.clone()))?;
                environment.push((name.to_owned(), value.to_owned()));
            }
        }
        let files = unit.all("Service", "EnvironmentFile").into_iter();
        let environment_files = files.map(|path| match path.strip_prefix('-') {
            Some(path) => (path.to_owned(), true),
            None => (path.to_owned(), false),
        });
        let command = words(unit.one("Service", "ExecStart").ok_or(UnitError::Missing("ExecStart"))?)?;
        if !command.first().is_some_and(|program| program.starts_with('/')) {
            // Prefixes such as `-` and `+` come before the path.
            return Err(UnitError::Value("ExecStart", command.join(" ")));
        }
        let lifetime = Lifetime::new(unit)?;
        Ok(Self { kind, lifetime, environment, environment_files: environment_files.collect(), command })
    }

    /// The program's path as the unit names it.
    #[must_use]
    pub fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }

    /// The environment, files over settings; read where the caller is, so that it may be in a namespace.
    ///
    /// # Errors
    /// A file that has to be there is not, or is not an environment file.
    pub fn environment(&self) -> io::Result<BTreeMap<String, String>> {
        let mut variables: BTreeMap<String, String> = self.environment.iter().cloned().collect();
        for (path, may_be_missing) in &self.environment_files {
            match std::fs::read_to_string(Path::new(path)) {
                Ok(text) => variables.extend(environment_file(&text).map_err(io::Error::other)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound && *may_be_missing => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{path}: {error}"))),
            }
        }
        Ok(variables)
    }

    /// Program and arguments with the variables put in: `$NAME` as a word of its own becomes as many words as the
    /// value has, `${NAME}` stays inside its word, and `$$` is a dollar sign.
    #[must_use]
    pub fn command(&self, environment: &BTreeMap<String, String>) -> Vec<String> {
        let mut command = Vec::new();
        for word in &self.command {
            let value = |name: &str| environment.get(name).map_or("", String::as_str);
            match word.strip_prefix('$') {
                Some(name) if is_name(name) => {
                    command.extend(value(name).split_whitespace().map(str::to_owned));
                }
                _ => command.push(filled(word, value)),
            }
        }
        command
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A word with `${NAME}` and `$$` replaced.
fn filled<'a>(word: &str, value: impl Fn(&str) -> &'a str) -> String {
    let mut filled = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let named = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        rest = match (named, after.strip_prefix('$')) {
            (Some((name, behind)), _) if is_name(name) => {
                filled.push_str(value(name));
                behind
            }
            (_, Some(behind)) => {
                filled.push('$');
                behind
            }
            _ => {
                filled.push('$');
                after
            }
        };
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(settings: &str) -> Result<Service, UnitError> {
        Service::new(&UnitFile::parse(&format!("[Service]\n{settings}")).unwrap())
    }

    #[test]
    fn variables_become_words_of_their_own_or_stay_inside_one() {
        let service = service("Type=notify\nExecStart=/bin/x -f $A ${A} -${B}- $$A $NONE ${NONE}").unwrap();
        let environment = [("A", "-w  -l"), ("B", "b b")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let command = service.command(&environment.into());
        assert_eq!(command, ["/bin/x", "-f", "-w", "-l", "-w  -l", "-b b-", "$A", ""]);
        assert_eq!((service.kind, service.program()), (ServiceType::Notify, "/bin/x"));
    }

    #[test]
    fn environment_settings_are_words_and_files_may_be_optional() {
        let optional = service("ExecStart=/x\nEnvironment=\"A=1 2\" B=3\nEnvironmentFile=-/nowhere/at/all");
        let environment = optional.unwrap().environment().unwrap();
        assert_eq!(environment.get("A").map(String::as_str), Some("1 2"));
        assert_eq!(environment.get("B").map(String::as_str), Some("3"));
        let needed = service("ExecStart=/x\nEnvironmentFile=/nowhere/at/all").unwrap();
        assert_eq!(needed.environment().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_not_played_is_refused() {
        assert_eq!(service("ExecStart=/x\nUser=y"), Err(UnitError::Unplayed("User".into())));
        assert_eq!(service("Type=notify"), Err(UnitError::Missing("ExecStart")));
        assert_eq!(service("ExecStart=-/x"), Err(UnitError::Value("ExecStart", "-/x".into())));
        assert_eq!(service("ExecStart=/x\nType=dbus"), Err(UnitError::Value("Type", "dbus".into())));
    }
}

//! What decides when a service is started again (Restart=, RestartSec=, WatchdogSec= of systemd.service(5),
//! StartLimitBurst= of systemd.unit(5)), and the times that these are written in (systemd.time(7)).

use std::time::Duration;

use super::unit_file::{UnitError, UnitFile};

/// Which ends are followed by a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// None.
    #[default]
    No,
    /// Those by a failure: another status than 0, a signal that is not an ordinary one, or the watchdog.
    OnFailure,
    /// All that nobody asked for.
    Always,
}

/// The settings of a service that outlive one start of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetime {
    /// Which ends are followed by a start.
    pub restart: Restart,
    /// How long after the end.
    pub restart_delay: Duration,
    /// Within which time a sign of life is wanted after each one before.
    pub watchdog: Option<Duration>,
    /// How many descriptors are kept.
    pub store_max: usize,
    /// How many starts are too many for [`Self::start_interval`].
    pub start_burst: usize,
    /// In which time starts are counted.
    pub start_interval: Duration,
}

impl Lifetime {
    /// The settings of `[Service]` that are read here.
    pub(super) const PLAYED: [&str; 4] = ["FileDescriptorStoreMax", "Restart", "RestartSec", "WatchdogSec"];

    /// Reads a unit, with systemd's defaults.
    ///
    /// # Errors
    /// [`UnitError::Value`].
    pub(super) fn new(unit: &UnitFile) -> Result<Self, UnitError> {
        let restart = match unit.one("Service", "Restart") {
            Some("no") | None => Restart::No,
            Some("on-failure") => Restart::OnFailure,
            Some("always") => Restart::Always,
            Some(other) => return Err(UnitError::Value("Restart", other.to_owned())),
        };
        let time = |section, key: &'static str, otherwise| match unit.one(section, key) {
            None => Ok(otherwise),
            Some(value) => time_span(value).ok_or_else(|| UnitError::Value(key, value.to_owned())),
        };
        let number = |section, key: &'static str, otherwise| match unit.one(section, key) {
            None => Ok(otherwise),
            Some(value) => value.parse().map_err(|_| UnitError::Value(key, value.to_owned())),
        };
        let watchdog = time("Service", "WatchdogSec", Duration::ZERO)?;
        Ok(Self {
            restart,
            restart_delay: time("Service", "RestartSec", Duration::from_millis(100))?,
            watchdog: (!watchdog.is_zero()).then_some(watchdog),
            store_max: number("Service", "FileDescriptorStoreMax", 0)?,
            start_burst: number("Unit", "StartLimitBurst", 5)?,
            start_interval: time("Unit", "StartLimitIntervalSec", Duration::from_secs(10))?,
        })
    }
}

/// A time such as `1min 30s`, `100ms` or `5`, which is seconds.
fn time_span(value: &str) -> Option<Duration> {
    let mut whole = Duration::ZERO;
    for word in value.split_whitespace() {
        let digits = word.find(|character: char| !character.is_ascii_digit()).unwrap_or(word.len());
        let (number, unit) = word.split_at(digits);
        let number = number.parse().ok()?;
        whole += match unit {
            "us" => Duration::from_micros(number),
            "ms" => Duration::from_millis(number),
            "" | "s" | "sec" => Duration::from_secs(number),
            "min" => Duration::from_secs(number.checked_mul(60)?),
            _ => return None,
        };
    }
    (!value.trim().is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_systemds_defaults() {
        let read = |text| Lifetime::new(&UnitFile::parse(text).unwrap());
        let plain = read("[Service]\n").unwrap();
        assert_eq!((plain.restart, plain.watchdog, plain.store_max), (Restart::No, None, 0));
        assert_eq!((plain.start_burst, plain.start_interval), (5, Duration::from_secs(10)));
        let set = "[Unit]\nStartLimitBurst=7\n[Service]\nRestart=on-failure\nWatchdogSec=1min 500ms\n\
                   FileDescriptorStoreMax=64\nRestartSec=2\n";
        let set = read(set).unwrap();
        assert_eq!(set.watchdog, Some(Duration::from_millis(60_500)));
        assert_eq!((set.restart, set.restart_delay), (Restart::OnFailure, Duration::from_secs(2)));
        assert_eq!((set.store_max, set.start_burst), (64, 7));
        let wrong = read("[Service]\nWatchdogSec=soon\n");
        assert_eq!(wrong, Err(UnitError::Value("WatchdogSec", "soon".into())));
    }
}

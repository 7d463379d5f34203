//! Whose life the rows in a file belong to: this boot of the machine and the network namespace of our sockets. Rows of
//! another life name sockets that are gone.

use std::io;
use std::time::{Duration, SystemTime};

use rpcbind_core::caller::Namespace;
use rustix::time::{ClockId, clock_gettime};

use super::format::Life;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Digits of a boot id, its hyphens not counted.
const DIGITS: usize = 32;

impl Life {
    /// The present life; it reads `/proc`.
    ///
    /// # Errors
    /// The kernel does not tell its boot id: then no row can be known to be of this life.
    pub fn present(home: Namespace) -> io::Result<Self> {
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{BOOT_ID}: {error}"));
        let text = std::fs::read_to_string(BOOT_ID).map_err(at)?;
        let boot = boot_id(&text).ok_or_else(|| at(io::Error::other("not a boot id")))?;
        Ok(Self { boot, home })
    }
}

/// When this boot began, by the clock of files.
#[must_use]
pub fn began() -> Option<SystemTime> {
    SystemTime::now().checked_sub(since_boot())
}

/// How long ago this boot began, sleep included.
#[must_use]
pub fn since_boot() -> Duration {
    clock_gettime(ClockId::Boottime).try_into().unwrap_or_default()
}

fn boot_id(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim_end().chars().filter(|digit| *digit != '-').collect();
    let id = u128::from_str_radix(&digits, 16).ok()?;
    (digits.len() == DIGITS).then(|| id.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_is_32_hexadecimal_digits() {
        let id = boot_id("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n").unwrap();
        assert_eq!((id[0], id[15]), (0x0f, 0xf0));
        for wrong in
            ["", "0f1e2d3c", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0f", "xf1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"]
        {
            assert_eq!(boot_id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_present_life_is_the_same_each_time_it_is_asked_for() {
        let life = Life::present(Namespace(7)).unwrap();
        assert_eq!(life, Life::present(Namespace(7)).unwrap());
        assert_ne!(life.boot, [0; 16]);
        assert!(began().unwrap() < SystemTime::now());
        assert!(since_boot() > Duration::ZERO);
    }
}

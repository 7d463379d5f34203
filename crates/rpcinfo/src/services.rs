//! Names of programs: `/etc/rpc`, or the well-known ones where that is missing.
//! The file is the administrator's: its names are trusted, its lines may be broken.

use std::collections::HashMap;
use std::path::Path;

use oncrpc::Program;

/// Where the names are.
pub const FILE: &str = "/etc/rpc";

/// Number, name, other names.
const WELL_KNOWN: &[(u32, &str, &[&str])] = &[
    (100_000, "portmapper", &["portmap", "sunrpc", "rpcbind"]),
    (100_001, "rstatd", &["rstat", "rstat_svc", "rup", "perfmeter"]),
    (100_002, "rusersd", &["rusers"]),
    (100_003, "nfs", &["nfsprog"]),
    (100_004, "ypserv", &["ypprog"]),
    (100_005, "mountd", &["mount", "showmount"]),
    (100_007, "ypbind", &[]),
    (100_008, "walld", &["rwall", "shutdown"]),
    (100_009, "yppasswdd", &["yppasswd"]),
    (100_011, "rquotad", &["rquotaprog", "quota", "rquota"]),
    (100_012, "sprayd", &["spray"]),
    (100_020, "llockmgr", &[]),
    (100_021, "nlockmgr", &[]),
    (100_024, "status", &[]),
    (100_026, "bootparam", &[]),
    (100_028, "ypupdated", &["ypupdate"]),
    (100_029, "keyserv", &["keyserver"]),
    (100_069, "ypxfrd", &[]),
    (100_227, "nfs_acl", &[]),
    (150_001, "pcnfsd", &[]),
    (300_019, "amd", &["amq"]),
    (391_002, "sgi_fam", &[]),
];

/// The table of names. The first line wins, as in the C library.
#[derive(Clone, Debug, Default)]
pub struct Services {
    names: HashMap<u32, String>,
    numbers: HashMap<String, u32>,
}

impl Services {
    /// Reads a file; the built-in table when it cannot be read.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        std::fs::read(path)
            .map_or_else(|_| Self::well_known(), |bytes| Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// The built-in table.
    #[must_use]
    pub fn well_known() -> Self {
        let mut services = Self::default();
        for (number, name, others) in WELL_KNOWN {
            services.add(*number, name, others.iter().copied());
        }
        services
    }

    /// Reads lines of a name, a number, other names, and comments after `#`. Other lines are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut services = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            if let (Some(name), Some(number)) = (words.next(), words.next())
                && let Ok(number) = number.parse()
            {
                services.add(number, name, words);
            }
        }
        services
    }

    fn add<'a>(&mut self, number: u32, name: &'a str, others: impl Iterator<Item = &'a str>) {
        self.names.entry(number).or_insert_with(|| name.to_owned());
        for name in std::iter::once(name).chain(others) {
            self.numbers.entry(name.to_owned()).or_insert(number);
        }
    }

    /// The first name of a program.
    #[must_use]
    pub fn name(&self, program: Program) -> Option<&str> {
        self.names.get(&program.0).map(String::as_str)
    }

    /// The program of a name.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<Program> {
        self.numbers.get(name).copied().map(Program)
    }
}

#[cfg(test)]
mod tests {
    use super::Services;
    use oncrpc::Program;

    #[test]
    fn names_comments_and_broken_lines_are_read() {
        let services = Services::parse(
            "# comment\nportmapper\t100000 portmap sunrpc # rpcbind\n\nnonumber\nbad x\nnfs 100003\nnfs2 100003\n",
        );
        assert_eq!(services.name(Program(100_000)), Some("portmapper"));
        assert_eq!(services.program("sunrpc"), Some(Program(100_000)));
        assert_eq!(services.program("rpcbind"), None);
        assert_eq!(services.name(Program(100_003)), Some("nfs"));
        assert_eq!(services.program("nfs2"), Some(Program(100_003)));
        assert_eq!(services.program("bad"), None);
    }

    #[test]
    fn the_well_known_names_are_there_without_a_file() {
        let services = Services::load("/nonexistent/rpc".as_ref());
        assert_eq!(services.name(Program(100_005)), Some("mountd"));
        assert_eq!(services.program("rpcbind"), Some(Program(100_000)));
    }
}

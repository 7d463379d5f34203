//! A memory control group of a test's own, of either version: what is charged to the processes in it, sockets and all.

use std::path::{Path, PathBuf};

/// The mount points that are looked at.
const UNIFIED: &str = "/sys/fs/cgroup";
const FIRST_VERSION: &str = "/sys/fs/cgroup/memory";

/// A group; removed when dropped, with nobody in it.
#[derive(Debug)]
pub(crate) struct Group {
    directory: PathBuf,
    /// The one hierarchy of version 2. In version 1 the memory of TCP is counted beside the rest.
    is_unified: bool,
}

impl Group {
    /// A group with so much memory.
    ///
    /// # Errors
    /// Why none can be made here.
    pub(crate) fn new(limit: usize) -> Result<Self, String> {
        let name = format!("portmap-test-{}", std::process::id());
        let limited = std::fs::read_to_string(Path::new(UNIFIED).join("cgroup.subtree_control"));
        let is_unified = limited.is_ok_and(|controllers| controllers.contains("memory"));
        let parent = if is_unified { UNIFIED } else { FIRST_VERSION };
        let directory = Path::new(parent).join(name);
        std::fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        let group = Self { directory, is_unified };
        let limits = if is_unified {
            &["memory.max"][..]
        } else {
            &["memory.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes"]
        };
        for file in limits {
            group.write(file, &limit.to_string())?;
        }
        Ok(group)
    }

    /// The file into which a process writes its number to be in the group.
    pub(crate) fn members(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// The most that was ever charged, in bytes. In version 1 the sum of two that need not have been at once.
    pub(crate) fn peak(&self) -> usize {
        if self.is_unified {
            return self.read("memory.peak");
        }
        self.read("memory.max_usage_in_bytes") + self.read("memory.kmem.tcp.max_usage_in_bytes")
    }

    /// What is charged now: everything, and the buffers of TCP of that.
    pub(crate) fn charged(&self) -> (usize, usize) {
        if self.is_unified {
            return (self.read("memory.current"), self.stat("sock"));
        }
        let of_tcp = self.read("memory.kmem.tcp.usage_in_bytes");
        (self.read("memory.usage_in_bytes") + of_tcp, of_tcp)
    }

    /// How often the limit was met.
    pub(crate) fn failures(&self) -> usize {
        if self.is_unified {
            let events = std::fs::read_to_string(self.directory.join("memory.events")).unwrap();
            return number_after(&events, "max");
        }
        self.read("memory.failcnt") + self.read("memory.kmem.tcp.failcnt")
    }

    fn stat(&self, name: &str) -> usize {
        number_after(&std::fs::read_to_string(self.directory.join("memory.stat")).unwrap(), name)
    }

    fn read(&self, file: &str) -> usize {
        std::fs::read_to_string(self.directory.join(file)).unwrap().trim().parse().unwrap()
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        std::fs::write(self.directory.join(file), text).map_err(|error| format!("{file}: {error}"))
    }
}

fn number_after(table: &str, name: &str) -> usize {
    let found = table.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or(0)
}

impl Drop for Group {
    fn drop(&mut self) {
        // It may take a moment until the kernel has let go of the last process.
        let removed = || Ok(std::fs::remove_dir(&self.directory).is_ok().then_some(()));
        if let Err(error) = testkit::wait::until("an empty group", removed) {
            eprintln!("{}: {error}", self.directory.display());
        }
    }
}

//! A compiler's home with core and alloc in it and nothing else, made of links to the installed one's files.
//! Any use of the standard library fails there with E0463, "can't find crate for `std`".

use crate::command::{Failure, at, output, program};
use crate::fuzz::host;
use std::path::{Path, PathBuf};

/// The crates that code without the standard library is linked with.
const CRATES: [&str; 3] = ["core", "alloc", "compiler_builtins"];

/// Such a home.
pub(super) struct Sysroot {
    path: PathBuf,
}

impl Sysroot {
    /// Makes it anew.
    pub(super) fn without_std(path: &Path) -> Result<Self, Failure> {
        let installed = output(&mut program("rustc", &["--print", "sysroot"]))?;
        let libraries = Path::new("lib/rustlib").join(host()?).join("lib");
        let from = Path::new(installed.trim()).join(&libraries);
        let to = path.join(&libraries);
        if path.exists() {
            std::fs::remove_dir_all(path).map_err(at(path))?;
        }
        std::fs::create_dir_all(&to).map_err(at(&to))?;
        for entry in std::fs::read_dir(&from).map_err(at(&from))? {
            let file = entry.map_err(at(&from))?;
            let name = file.file_name();
            if is_needed(&name.to_string_lossy()) {
                let link = to.join(name);
                std::os::unix::fs::symlink(file.path(), &link).map_err(at(&link))?;
            }
        }
        Ok(Self { path: path.to_path_buf() })
    }

    /// Where it is, for `--sysroot`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// `libcore-120cbae4e86ec454.rlib` and its like.
fn is_needed(file: &str) -> bool {
    CRATES.iter().any(|name| {
        file.strip_prefix("lib")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('-'))
    })
}

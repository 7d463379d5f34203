//! What the sources of the pure crates name: the compiler cannot see what a feature or a platform hides from it.

use super::PURE;
use crate::command::{Failure, at, root};
use std::path::Path;

/// What the top of each pure crate must say.
const DECLARATIONS: [&str; 2] = ["#![no_std]", "#![forbid(unsafe_code)]"];

/// Reads every source file of the pure crates but those of tests.
pub(super) fn check() -> Result<(), Failure> {
    let mut files = 0_usize;
    for (_, folder) in PURE {
        let dir = root().join("crates").join(folder).join("src");
        let top = dir.join("lib.rs");
        let text = std::fs::read_to_string(&top).map_err(at(&top))?;
        for declaration in DECLARATIONS {
            if !text.lines().any(|line| line == declaration) {
                return Err(Failure::Found(format!("{} lacks {declaration}", top.display())));
            }
        }
        check_dir(&dir, &mut files)?;
    }
    println!("purity: {files} files name no standard library");
    Ok(())
}

fn check_dir(dir: &Path, files: &mut usize) -> Result<(), Failure> {
    for entry in std::fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() {
            if !is_test {
                check_dir(&path, files)?;
            }
        } else if !is_test && path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).map_err(at(&path))?;
            if let Some(line) = names_std(&text) {
                return Err(Failure::Found(format!("{}:{line} names std", path.display())));
            }
            *files = files.saturating_add(1);
        }
    }
    Ok(())
}

/// The number of the first line that names `std` outside comments, before the file's own tests.
pub(super) fn names_std(text: &str) -> Option<usize> {
    let mut previous = "";
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if previous.trim() == "#[cfg(test)]" && code.trim_start().starts_with("mod ") && code.contains('{') {
            return None;
        }
        let is_part_of_name = |byte: char| byte.is_alphanumeric() || byte == '_';
        let names_it = code.match_indices("std").any(|(at, _)| {
            let before = code.get(..at).and_then(|before| before.chars().next_back());
            let after = code.get(at.saturating_add(3)..).and_then(|after| after.chars().next());
            !before.is_some_and(is_part_of_name) && !after.is_some_and(is_part_of_name)
        });
        if names_it && code.trim() != "#![no_std]" {
            return Some(index.saturating_add(1));
        }
        previous = line;
    }
    None
}

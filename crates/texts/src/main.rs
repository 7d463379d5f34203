//! Writes manual pages, completions and the sample configuration, or with `--check` holds the files in the tree against
//! what would be written. Everything that a program says about itself by `--help` is taken from there.

mod manual;
mod roff;

use clap::Command;
use clap_complete::Shell;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// A file below the workspace's directory, and what is in it.
struct Text {
    path: String,
    contents: String,
}

fn main() -> ExitCode {
    let check = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--check") => true,
        Some(_) => {
            eprintln!("usage: texts [--check]");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let outcome = texts().and_then(|texts| if check { compare(&root, &texts) } else { write(&root, &texts) });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("texts: {error}");
            ExitCode::FAILURE
        }
    }
}

fn texts() -> io::Result<Vec<Text>> {
    let text = |path: &str, contents| Text { path: path.into(), contents };
    let mut texts = vec![
        text("docs/man/rpcbind.8", manual::rpcbind(rpcbind::args::command())?),
        text("docs/man/rpcinfo.8", manual::rpcinfo(rpcinfo::usage::command())?),
        text("docs/man/rpcbind.toml.5", manual::rpcbind_toml()),
        text("packaging/rpcbind.toml", rpcbind::config::sample()),
    ];
    for command in [rpcbind::args::command(), rpcinfo::usage::command()] {
        for (shell, folder, before, after) in
            [(Shell::Bash, "bash", "", ""), (Shell::Zsh, "zsh", "_", ""), (Shell::Fish, "fish", "", ".fish")]
        {
            let name = command.get_name().to_owned();
            let path = format!("packaging/completions/{folder}/{before}{name}{after}");
            texts.push(Text { path, contents: completion(shell, command.clone(), &name) });
        }
    }
    Ok(texts)
}

fn completion(shell: Shell, mut command: Command, name: &str) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write(root: &Path, texts: &[Text]) -> io::Result<bool> {
    for text in texts {
        let path = root.join(&text.path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(&path, &text.contents)?;
        println!("{} written", text.path);
    }
    Ok(true)
}

fn compare(root: &Path, texts: &[Text]) -> io::Result<bool> {
    let mut same = true;
    for text in texts {
        let found = std::fs::read_to_string(root.join(&text.path)).unwrap_or_default();
        if found != text.contents {
            let line =
                found.lines().zip(text.contents.lines()).take_while(|(found, made)| found == made).count();
            println!(
                "{}:{} is not what the definitions give: run `cargo xtask dist`",
                text.path,
                line.saturating_add(1)
            );
            same = false;
        }
    }
    if same {
        println!("{} generated texts are what the definitions give", texts.len());
    }
    Ok(same)
}

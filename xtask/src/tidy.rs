//! `xtask tidy`: the rules of the house that no compiler knows.
//!
//! Who may know whom (`rooms`), habits of writing (`habits`) and files that belong together
//! (`pairs`). A rule is a plain function over all files; what it finds is a file, a line and a
//! sentence.

mod habits;
mod pairs;
mod rooms;
mod source;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};

use self::source::File;
use crate::{command, usage};

/// A broken rule.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Violation {
    path: String,
    /// Counted from 1.
    line: usize,
    sentence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.sentence)
    }
}

type Rule = fn(&[File]) -> Vec<Violation>;

const RULES: [Rule; 9] = [
    rooms::table,
    habits::length,
    habits::names,
    habits::unsafe_code,
    habits::prints,
    habits::machine_paths,
    pairs::command_and_test,
    pairs::probe_and_wire,
    pairs::probe_and_prototype,
];

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        return Ok(usage());
    }
    let files = read()?;
    let mut violations: Vec<Violation> = RULES.iter().flat_map(|rule| rule(&files)).collect();
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    println!("{}", habits::lengths(&files));
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All files of the repository that are text.
fn read() -> Result<Vec<File>> {
    let root = command::root()?;
    let mut files = Vec::new();
    for path in list(&root)? {
        // git also lists what was deleted but not committed yet, and links to directories.
        if !root.join(&path).is_file() {
            continue;
        }
        let bytes = fs::read(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File::new(&path, text));
        }
    }
    Ok(files)
}

/// What git tracks or would track; where there is no git, everything but hidden and built files.
fn list(root: &Path) -> Result<Vec<String>> {
    let root_text = root.to_string_lossy();
    let args = ["-C", &root_text, "ls-files", "-z", "-co", "--exclude-standard"];
    if let Some(answer) = command::ask("git", &args) {
        return Ok(answer.split_terminator('\0').map(str::to_owned).collect());
    }
    let mut paths = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let place = root.join(&directory);
        let entries = fs::read_dir(&place);
        for entry in entries.with_context(|| format!("cannot list {}", place.display()))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = directory.join(&name);
            if name == "target" || name.to_string_lossy().starts_with('.') {
                continue;
            }
            if entry.file_type()?.is_dir() {
                directories.push(path);
            } else {
                paths.push(path.to_string_lossy().into_owned());
            }
        }
    }
    Ok(paths)
}

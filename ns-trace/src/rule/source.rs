//! Where files of rules are.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{File, shipped};

/// The word that stands for the rules that come with ns-trace.
const SHIPPED: &str = "shipped";
/// Where the rules of this machine are.
pub const RULES_D: &str = "/etc/ns-trace/rules.d";

/// Why rules cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A directory has none.
    #[error("no rules in {0}: no *.yaml, no *.yml")]
    Empty(PathBuf),
    /// A file or directory cannot be read.
    #[error("cannot read rules from {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads the files that are meant: files, the `*.yaml` and `*.yml` of directories in the order of
/// their names, and `shipped` for the rules that come along; without any, these and what is in
/// [`RULES_D`].
///
/// # Errors
///
/// If one cannot be read, or a directory that is named has none.
pub fn files(paths: &[PathBuf]) -> Result<Vec<Arc<File>>, SourceError> {
    let mut files = Vec::new();
    if paths.is_empty() {
        files.extend(shipped());
        installed(Path::new(RULES_D), &mut files)?;
    }
    for path in paths {
        if path == Path::new(SHIPPED) {
            files.extend(shipped());
        } else if path.is_dir() {
            let before = files.len();
            directory(path, &mut files)?;
            if files.len() == before {
                return Err(SourceError::Empty(path.clone()));
            }
        } else {
            files.push(read(path)?);
        }
    }
    // Named twice, a file is read once.
    let mut seen = Vec::new();
    files.retain(|file| {
        let is_new = !seen.contains(&file.name);
        seen.push(file.name.clone());
        is_new
    });
    Ok(files)
}

/// Whether something is in a place where nothing need be. A link that leads nowhere is something, and
/// so is what cannot be looked at: whoever put it there does not want to go without.
#[must_use]
pub fn is_installed(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn installed(path: &Path, files: &mut Vec<Arc<File>>) -> Result<(), SourceError> {
    if is_installed(path) { directory(path, files) } else { Ok(()) }
}

fn directory(path: &Path, files: &mut Vec<Arc<File>>) -> Result<(), SourceError> {
    let told = |source| SourceError::Read { path: path.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if path.extension().is_some_and(|name| name == "yaml" || name == "yml") {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        files.push(read(&path)?);
    }
    Ok(())
}

fn read(path: &Path) -> Result<Arc<File>, SourceError> {
    let told = |source| SourceError::Read { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(told)?;
    Ok(File::new(path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::fs::symlink, process};

    use super::*;

    #[test]
    fn only_a_place_where_nothing_is_has_no_rules() {
        let root = env::temp_dir().join(format!("ns-trace-test-{}-rules.d", process::id()));
        fs::create_dir_all(root.join("none")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        symlink("around", root.join("around")).unwrap();
        symlink("none", root.join("link")).unwrap();
        fs::write(root.join("file"), "rules: []").unwrap();
        for (name, is_fine) in [
            ("absent", true),
            ("none", true),
            ("link", true),
            ("dangling", false),
            ("around", false),
            ("file", false),
            ("file/below", false),
        ] {
            let installed = installed(&root.join(name), &mut Vec::new());
            assert_eq!(installed.is_ok(), is_fine, "{name}: {installed:?}");
        }
        fs::remove_dir_all(root).unwrap();
    }
}

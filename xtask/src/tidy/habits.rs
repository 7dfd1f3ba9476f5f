//! Habits of writing: short files, telling names, and dangerous or loud code only in its place.

use super::{Violation, source::File};

/// Lines of a file, and of a file of tests.
const LIMIT: usize = 600;
const TEST_LIMIT: usize = 900;

/// Names that say nothing about what is in a module.
const EMPTY_NAMES: [&str; 4] = ["utils", "helpers", "manager", "common"];

/// Where `unsafe` may stand.
const UNSAFE: [&str; 7] = [
    "ns-trace-ebpf/",
    "ns-trace/src/sys/",
    "ns-trace/src/sys.rs",
    "ns-trace/src/probe/",
    "ns-trace/src/probe.rs",
    "ns-trace/tests/actor/syscall.rs",
    "ns-trace/tests/actor/syscall/",
];

/// Who speaks on the standard streams; everybody else returns what is to be said.
const LOUD: [&str; 13] = [
    "ns-trace/build.rs",
    "ns-trace/build/",
    "ns-trace/src/cmd.rs",
    "ns-trace/src/cmd/",
    "ns-trace/src/main.rs",
    "ns-trace/src/report.rs",
    "ns-trace/src/sink.rs",
    "ns-trace/src/sink/",
    "ns-trace/src/view.rs",
    "ns-trace/src/view/",
    "ns-trace/tests/",
    "xtask/",
    "ns-trace/benches/",
];
const PRINTS: [&str; 4] = ["print", "println", "eprint", "eprintln"];

/// Directories of developers' machines.
const MACHINE: [&str; 3] = ["work", "root", "home"];

/// Files are short enough to be read in one sitting.
pub(super) fn length(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        let limit = if file.path.contains("/tests/") { TEST_LIMIT } else { LIMIT };
        if lines > limit {
            let sentence = format!("{lines} lines, the limit is {limit}");
            violations.push(file.violation(limit + 1, sentence));
        }
    }
    violations
}

/// How long the files are, in one line.
pub(super) fn lengths(files: &[File]) -> String {
    let rust = files.iter().filter(|file| file.is_rust());
    let mut lengths: Vec<_> = rust.map(|file| (file.text.lines().count(), &file.path)).collect();
    lengths.sort();
    let (median, _) = lengths.get(lengths.len() / 2).copied().unzip();
    let (longest, path) = lengths.last().copied().unzip();
    format!(
        "{} files of Rust, half of them up to {} lines, the longest {} ({})",
        lengths.len(),
        median.unwrap_or_default(),
        longest.unwrap_or_default(),
        path.map_or("none", String::as_str),
    )
}

/// Modules have the name of what they do, and lie in a file of that name.
pub(super) fn names(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        if file.stem() == "mod" {
            violations.push(file.violation(1, "`mod.rs`: name the file after its module"));
        }
        if EMPTY_NAMES.contains(&file.stem()) {
            let sentence = format!("`{}` does not say what is in here", file.stem());
            violations.push(file.violation(1, sentence));
        }
        // A module without a file of its own.
        for pair in file.tokens.windows(3) {
            if let [keyword, name, end] = pair
                && (keyword.text == "mod" && end.text == "{")
                && EMPTY_NAMES.contains(&name.text.as_str())
            {
                let sentence = format!("`{}` does not say what is in here", name.text);
                violations.push(file.violation(name.line, sentence));
            }
        }
    }
    violations
}

/// `unsafe` stands only where it is the job.
pub(super) fn unsafe_code(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| !lies_in(file, &UNSAFE)) {
        let found = file.tokens.iter().filter(|token| token.text == "unsafe");
        let sentence = "`unsafe` belongs into sys, probe and the probes";
        violations.extend(found.map(|token| file.violation(token.line, sentence)));
    }
    violations
}

/// Only who presents something prints.
pub(super) fn prints(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| !lies_in(file, &LOUD)) {
        for pair in file.outside_of_tests().windows(2) {
            if let [name, mark] = pair
                && PRINTS.contains(&name.text.as_str())
                && mark.text == "!"
            {
                let sentence = format!("`{}!` belongs into view, sink, report and cmd", name.text);
                violations.push(file.violation(name.line, sentence));
            }
        }
    }
    violations
}

/// Nothing depends on where somebody keeps the repository.
pub(super) fn machine_paths(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(directory) = machine_path(line) {
                let sentence = format!("a path below /{directory} exists on one machine only");
                violations.push(file.violation(index + 1, sentence));
            }
        }
    }
    violations
}

/// The directory of a developer's machine below which a line names something.
fn machine_path(line: &str) -> Option<&'static str> {
    MACHINE.into_iter().find(|directory| {
        line.match_indices(&format!("/{directory}/")).any(|(at, found)| {
            let (before, after) = line.split_at(at);
            let after = after.strip_prefix(found).unwrap_or_default();
            // /proc/1/root/etc is no path of ours, nor is "…/home/".
            let absolute = !before
                .ends_with(|letter: char| letter.is_alphanumeric() || "_-.}*".contains(letter));
            absolute && after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '.')
        })
    })
}

fn lies_in(file: &File, places: &[&str]) -> bool {
    // A place that ends with a slash is a directory, any other one a file.
    places.iter().any(|place| {
        if place.ends_with('/') { file.path.starts_with(place) } else { file.path == *place }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::Rule;

    fn count(rule: Rule, path: &str, text: &str) -> usize {
        rule(&[File::new(path, text.to_owned())]).len()
    }

    #[test]
    fn tests_may_be_longer() {
        let text = "//\n".repeat(700);
        assert_eq!(count(length, "ns-trace/src/cli.rs", &text), 1);
        assert_eq!(count(length, "ns-trace/tests/trace.rs", &text), 0);
        assert_eq!(count(length, "CHANGES.md", &text), 0);
    }

    #[test]
    fn the_median_is_reported() {
        let files: Vec<_> = ["a", "b\nb", "c\nc\nc"]
            .map(|text| File::new(&format!("{}.rs", text.len()), text.to_owned()))
            .into();
        assert_eq!(
            lengths(&files),
            "3 files of Rust, half of them up to 2 lines, the longest 3 (5.rs)"
        );
        assert_eq!(
            lengths(&[]),
            "0 files of Rust, half of them up to 0 lines, the longest 0 (none)"
        );
    }

    #[test]
    fn empty_names_are_refused() {
        assert_eq!(count(names, "ns-trace/src/sys/mod.rs", ""), 1);
        assert_eq!(count(names, "ns-trace/src/helpers.rs", ""), 1);
        assert_eq!(count(names, "ns-trace/src/sys.rs", "mod utils { }\nmod mount;"), 1);
        assert_eq!(count(names, "ns-trace-common/src/lib.rs", "mod kind;"), 0);
    }

    #[test]
    fn unsafe_has_its_places() {
        let text = "// unsafe\nfn f() { unsafe { g() } }";
        assert_eq!(count(unsafe_code, "ns-trace/src/model.rs", text), 1);
        assert_eq!(count(unsafe_code, "ns-trace/src/sys/spawn.rs", text), 0);
        assert_eq!(count(unsafe_code, "ns-trace/src/system.rs", text), 1);
    }

    #[test]
    fn printing_has_its_places() {
        let text = "fn f() { println!(); write!(f, \"\"); eprint!(); }";
        assert_eq!(count(prints, "ns-trace/src/table.rs", text), 2);
        assert_eq!(count(prints, "ns-trace/src/cmd/list.rs", text), 0);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for [directory, rest] in [["work", "main"], ["root", ".cargo"], ["home", "me/x"]] {
            let path = format!("/{directory}/{rest}");
            assert_eq!(machine_path(&path), Some(directory));
            assert_eq!(machine_path(&format!("cd \"{path}\"")), Some(directory));
            assert_eq!(machine_path(&format!("/proc/1{path}")), None);
        }
        assert_eq!(machine_path("root:x:0:0:root:/root:/bin/sh, ./work/ and /home"), None);
    }
}

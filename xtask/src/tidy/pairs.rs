//! Files that belong together: a command and its test, a probe and its record.

use super::{Violation, source::File};

/// Attributes that make a function a probe.
const PROBES: [&str; 8] = [
    "#[raw_tracepoint",
    "#[btf_tracepoint",
    "#[tracepoint",
    "#[fentry",
    "#[fexit",
    "#[kprobe",
    "#[kretprobe",
    "#[unsafe(link_section = \"iter",
];

/// Files with probes that send no record of their own.
const SUPPORT: [&str; 1] = ["main"];

/// The doc line that names the kernel versions and the C prototype of what a probe hooks.
const PROTOTYPE: &str = "/// match-proto";

/// Each command has a test file of the same name.
pub(super) fn command_and_test(files: &[File]) -> Vec<Violation> {
    let commands = in_directory(files, "ns-trace/src/cmd/");
    missing(commands, files, "ns-trace/tests/", "a command without its test")
}

/// Each probe has a record of the same name on the wire.
pub(super) fn probe_and_wire(files: &[File]) -> Vec<Violation> {
    let probes = files.iter().filter(|file| {
        file.path.starts_with("ns-trace-ebpf/src/")
            && !SUPPORT.contains(&file.stem())
            && file.text.lines().any(is_probe)
    });
    missing(probes, files, "ns-trace-common/src/", "a probe without its record")
}

/// Each probe says which prototypes it was written for; where a macro writes probes, each use of
/// the macro says it.
pub(super) fn probe_and_prototype(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        if !file.path.starts_with("ns-trace-ebpf/src/") {
            continue;
        }
        let lines: Vec<&str> = file.text.lines().map(str::trim_start).collect();
        let mut makers = Vec::new();
        let mut silent = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let (before, after) = lines.split_at(index);
            let above: Vec<_> = before.iter().rev().take_while(|line| is_attached(line)).collect();
            if is_probe(line) && above.iter().any(|line| line.starts_with("$(#[")) {
                makers.extend(before.iter().rev().find_map(|line| macro_name(line)));
            } else if is_probe(line) {
                silent.extend((!above.iter().any(|line| is_prototype(line))).then_some(index));
            } else if makers.iter().any(|maker| is_use(line, maker)) {
                let mut inside = after.iter().skip(1).take_while(|line| is_attached(line));
                silent.extend((!inside.any(|line| is_prototype(line))).then_some(index));
            }
        }
        let sentence = format!("a probe without a `{PROTOTYPE}` line");
        violations.extend(silent.iter().map(|index| file.violation(index + 1, &sentence)));
    }
    violations
}

/// Doc lines and attributes belong to the function below them.
fn is_attached(line: &str) -> bool {
    ["///", "#[", "$(#["].iter().any(|start| line.starts_with(start))
}

fn is_prototype(line: &str) -> bool {
    line.starts_with(PROTOTYPE)
}

fn macro_name(line: &str) -> Option<&str> {
    line.strip_prefix("macro_rules! ")?.split_whitespace().next()
}

fn is_use(line: &str, maker: &str) -> bool {
    line.strip_prefix(maker).is_some_and(|rest| rest.starts_with('!'))
}

fn is_probe(line: &str) -> bool {
    PROBES.iter().any(|probe| {
        let rest = line.trim_start().strip_prefix(probe);
        rest.is_some_and(|rest| rest.starts_with(['(', ']', '/']))
    })
}

fn missing<'a, I: Iterator<Item = &'a File>>(
    those: I,
    files: &[File],
    directory: &str,
    what: &str,
) -> Vec<Violation> {
    let partner = |file: &File| format!("{directory}{}.rs", file.stem());
    those
        .filter(|file| !files.iter().any(|other| other.path == partner(file)))
        .map(|file| file.violation(1, format!("{what}: {} is missing", partner(file))))
        .collect()
}

/// The Rust files of one directory, not those further down.
fn in_directory<'a>(files: &'a [File], directory: &str) -> impl Iterator<Item = &'a File> {
    files.iter().filter(move |file| {
        let name = file.path.strip_prefix(directory);
        file.is_rust() && name.is_some_and(|name| !name.contains('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[(&str, &str)]) -> Vec<File> {
        paths.iter().map(|(path, text)| File::new(path, (*text).to_owned())).collect()
    }

    #[test]
    fn a_command_has_its_test() {
        let list = ("ns-trace/src/cmd/list.rs", "");
        let column = ("ns-trace/src/cmd/list/column.rs", "");
        assert_eq!(command_and_test(&files(&[list, column])).len(), 1);
        let test = ("ns-trace/tests/list.rs", "");
        assert_eq!(command_and_test(&files(&[list, column, test])).len(), 0);
    }

    #[test]
    fn a_probe_has_its_record() {
        let probe = ("ns-trace-ebpf/src/fentry/create.rs", "#[fexit(function = \"f\")]");
        let plain = ("ns-trace-ebpf/src/ring.rs", "fn submit() {}");
        assert_eq!(probe_and_wire(&files(&[probe, plain])).len(), 1);
        let record = ("ns-trace-common/src/create.rs", "");
        assert_eq!(probe_and_wire(&files(&[probe, plain, record])).len(), 0);
    }

    #[test]
    fn a_probe_has_its_prototype() {
        let good =
            "/// Says it.\n/// match-proto 5.10..: void f(int)\n#[inline]\n#[fentry(f)]\nfn f()";
        let bad =
            "/// match-proto 5.10..: void f(int)\nfn f() {}\n/// Does not.\n    #[kprobe]\nfn g()";
        let path = "ns-trace-ebpf/src/create.rs";
        assert_eq!(probe_and_prototype(&files(&[(path, good)])).len(), 0);
        let violations = probe_and_prototype(&files(&[(path, bad)]));
        assert_eq!(violations.iter().map(|it| it.line).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn each_use_of_a_macro_of_probes_has_its_prototype() {
        let text = "macro_rules! probe {\n($(#[$doc:meta])+ $name:ident) => {\n\
                    $(#[$doc])+\n#[fexit]\nfn $name() {}\n};\n}\n\
                    probe! {\n/// match-proto: v5.10+: void f(int)\nf\n}\n\
                    probe! {\n/// Does not.\ng\n}\n";
        let violations = probe_and_prototype(&files(&[("ns-trace-ebpf/src/create.rs", text)]));
        assert_eq!(violations.iter().map(|it| it.line).collect::<Vec<_>>(), [12]);
    }
}

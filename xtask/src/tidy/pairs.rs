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
    "#[iter",
];

/// Files with probes that send no record of their own.
const SUPPORT: [&str; 1] = ["main"];

/// The doc line that names the kernel versions and the C prototype of what a probe hooks.
const PROTOTYPE: &str = "/// match-proto";

/// Each command has a test file of the same name.
pub(super) fn command_and_test(files: &[File]) -> Vec<Violation> {
    let commands = in_directory(files, "ns-trace/src/cmd/");
    missing(
        commands,
        files,
        "ns-trace/tests/",
        "a command without its test",
    )
}

/// Each probe has a record of the same name on the wire.
pub(super) fn probe_and_wire(files: &[File]) -> Vec<Violation> {
    let probes = files.iter().filter(|file| {
        file.path.starts_with("ns-trace-ebpf/src/")
            && !SUPPORT.contains(&file.stem())
            && file.text.lines().any(is_probe)
    });
    missing(
        probes,
        files,
        "ns-trace-common/src/",
        "a probe without its record",
    )
}

/// Each probe says which prototypes it was written for.
pub(super) fn probe_and_prototype(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.path.starts_with("ns-trace-ebpf/src/"))
    {
        let mut named = false;
        for (index, line) in file.text.lines().map(str::trim_start).enumerate() {
            if is_probe(line) && !named {
                let sentence = format!("a probe without a `{PROTOTYPE}` line above it");
                violations.push(file.violation(index + 1, sentence));
            }
            // Doc lines and attributes belong to the same function, anything else ends them.
            let belongs = line.starts_with("///") || line.starts_with("#[");
            named = belongs && (named || line.starts_with(PROTOTYPE));
        }
    }
    violations
}

fn is_probe(line: &str) -> bool {
    PROBES.iter().any(|probe| {
        let rest = line.trim_start().strip_prefix(probe);
        rest.is_some_and(|rest| rest.starts_with(['(', ']']))
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
        paths
            .iter()
            .map(|(path, text)| File::new(path, (*text).to_owned()))
            .collect()
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
        let probe = (
            "ns-trace-ebpf/src/fentry/create.rs",
            "#[fexit(function = \"f\")]",
        );
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
}

//! Bad input: one clear sentence, what is allowed, and the exit status.

use std::{fs, process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use ns_trace::sys::host;

use super::run::{Folder, run, trace, trial};
use crate::{
    context::{Context, Room},
    tracer::program,
};

const KINDS: &str = "mnt, pid, ipc, uts, net, user, cgroup, time";
const EVENTS: &str = "create, enter, fail, destroy, map, exist, fork, exec, exit, lost, sync";

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![
        trial(context, "trace::usage::bad_values_are_named", bad_values_are_named),
        trial(
            context,
            "trace::usage::options_that_exclude_each_other",
            options_that_exclude_each_other,
        ),
        trial(context, "trace::usage::values_that_are_missing", values_that_are_missing),
        trial(context, "trace::usage::bad_usage_with_a_command_is_125", bad_usage_with_a_command),
        trial(context, "trace::usage::help_and_version", help_and_version),
        trial(context, "trace::usage::a_backend_that_cannot_run", a_backend_that_cannot_run)
            .with_ignored_flag(context.runs("fentry")),
        trial(context, "trace::usage::no_btf", no_btf),
        trial(context, "trace::usage::a_kernel_that_is_too_old", too_old)
            .with_ignored_flag(no_setarch()),
        trial(context, "trace::usage::a_command_that_cannot_run", a_command_that_cannot_run),
        trial(
            context,
            "trace::usage::an_output_that_cannot_be_opened",
            an_output_that_cannot_be_opened,
        ),
    ];
    trials.extend(context.per_backend("trace::usage::limits_are_allowed", limits_are_allowed));
    trials.push(context.once("trace::usage::btf_from_a_file", btf_from_a_file));
    trials.push(context.once("trace::usage::btf_of_another_kernel", btf_of_another_kernel));
    trials
}

/// Runs each and checks that it is refused as bad usage with all these words.
fn refused(cases: &[(&[&str], &[&str])]) -> Result<()> {
    for (args, words) in cases {
        let run = trace(args)?;
        run.ends(2, words)?;
        ensure!(run.stdout.is_empty(), "{run:?}");
    }
    Ok(())
}

fn bad_values_are_named() -> Result<()> {
    refused(&[
        (&["-t", "bogus"], &["'bogus'", "--type", KINDS]),
        (&["--"], &["a command must follow `--`"]),
        (&["-t", "net,bogus"], &["'bogus'", "--type", KINDS]),
        (&["--type", ""], &["--type", KINDS]),
        (&["-t", "mount"], &["'mount'", KINDS]),
        (&["-e", "bogus"], &["'bogus'", "--event", EVENTS]),
        (&["--probe", "kprobes"], &["'kprobes'", "--probe", "auto, fentry, kprobe, tracepoint"]),
        (&["--color", "red"], &["'red'", "--color", "auto, always, never"]),
        (&["-o", "xml"], &["'xml'", "--format", "text, json"]),
        (&["--fields", "some"], &["'some'", "--fields", "full, compact"]),
        (&["--timeout", "soon"], &["'soon'", "--timeout", "try 10s, 1m30s, 500ms or 1d"]),
        (&["--timeout=-1s"], &["'-1s'", "--timeout", "try 10s"]),
        (&["--timeout", ""], &["--timeout", "try 10s"]),
        (&["--timeout", "nan"], &["'nan'", "--timeout", "try 10s"]),
        (&["--timeout", "0"], &["'0'", "--timeout", "longer than 0"]),
        (&["--buffer", "5000"], &["'5000'", "--buffer", "power of two; try 4KiB or 8KiB"]),
        (&["--buffer", "0"], &["'0'", "--buffer", "between 4KiB and 1GiB"]),
        (&["--buffer", "2K"], &["'2K'", "--buffer", "between 4KiB and 1GiB"]),
        (&["--buffer", "2G"], &["'2G'", "--buffer", "between 4KiB and 1GiB"]),
        (&["--buffer", "18446744073709551615"], &["--buffer", "between 4KiB and 1GiB"]),
        (&["--buffer", "99999999999G"], &["--buffer", "too large"]),
        (&["--buffer", "16X"], &["'16X'", "--buffer", "use K, M or G"]),
        (&["--buffer", "much"], &["'much'", "--buffer"]),
        (&["--count", "0"], &["'0'", "--count", "not in 1.."]),
        (&["--count=-1"], &["'-1'", "--count"]),
        (&["--pid", "0"], &["'0'", "--pid", "not in 1.."]),
        (&["--pid", "init"], &["'init'", "--pid"]),
        (&["--bogus"], &["'--bogus'"]),
        (&["bogus"], &["'bogus'"]),
    ])
}

fn options_that_exclude_each_other() -> Result<()> {
    refused(&[
        (&["--follow"], &["--pid <PID>"]),
        (&["--replay", "x", "--probe", "auto"], &["--replay", "--probe"]),
        (&["--replay", "x", "--buffer", "4K"], &["--replay", "--buffer"]),
        (&["--replay", "x", "--btf", "y"], &["--replay", "--btf"]),
        (&["--replay", "x", "--snapshot"], &["--replay", "--snapshot"]),
        (&["--replay", "x", "--backlog", "1M"], &["--replay", "--backlog"]),
    ])
}

fn values_that_are_missing() -> Result<()> {
    for option in [
        "--type",
        "--event",
        "--pid",
        "--where",
        "--format",
        "--fields",
        "--replay",
        "--output",
        "--count",
        "--timeout",
        "--probe",
        "--buffer",
        "--backlog",
        "--btf",
        "--color",
        "-t",
        "-e",
        "-p",
        "-o",
    ] {
        let run = trace(&[option])?;
        let long = if option.starts_with("--") { option } else { "--" };
        run.ends(2, &["a value is required for", long])?;
    }
    Ok(())
}

/// Its statuses are the command's; ns-trace's own failures must not look like one of them.
fn bad_usage_with_a_command() -> Result<()> {
    trace(&["-p", "1", "--", "true"])?.ends(125, &["--pid", "[COMMAND]"])?;
    trace(&["--replay", "x", "--", "true"])?.ends(125, &["--replay", "[COMMAND]"])?;
    trace(&["--type", "bogus", "--", "true"])?.ends(125, &["--type", KINDS])?;
    trace(&["--where", "1", "--", "true"])?.ends(125, &["--where", "column 1"])?;
    trace(&["--type", "bogus", "--"])?.ends(2, &["--type"])
}

fn help_and_version() -> Result<()> {
    for args in [&["--help"][..], &["-h"], &["trace", "--help"], &["trace", "-h"], &["help"]] {
        let run = run(Command::new(program()).args(args), b"")?;
        run.ends(0, &[])?;
        ensure!(run.stdout.contains("Usage: ns-trace"), "{run:?}");
        ensure!(run.stdout.contains("Exit status:"), "{run:?}");
        ensure!(run.stderr.is_empty(), "{run:?}");
    }
    let help = trace(&["--help"])?.stdout;
    for word in ["--type", "--where", "--replay", "124 when", "125 for failures", "sync"] {
        ensure!(help.contains(word), "no {word} in the help");
    }
    let version = run(Command::new(program()).arg("--version"), b"")?;
    version.ends(0, &[])?;
    ensure!(version.stdout.starts_with("ns-trace ") && version.stdout.lines().count() == 1);
    run(&mut Command::new(program()), b"")?.ends(2, &["Usage: ns-trace"])
}

fn a_backend_that_cannot_run() -> Result<()> {
    let run = trace(&["--probe", "fentry", "--timeout", "1ms"])?;
    let words =
        ["ns-trace: cannot trace: the fentry backend cannot run here: ", "hint: ", "doctor"];
    run.ends(4, &words)?;
    ensure!(run.stdout.is_empty(), "{run:?}");
    trace(&["--probe", "fentry", "--", "true"])?.ends(125, &words)
}

fn no_btf() -> Result<()> {
    let folder = Folder::new()?;
    let missing = folder.path("missing");
    trace(&["--btf", &missing])?.ends(4, &[&missing, "No such file", "hint: ", "--btf FILE"])?;
    let text = folder.file("text", "this is no BTF, but it is long enough for a header")?;
    trace(&["--btf", &text])?.ends(4, &[&text, "not BTF"])?;
    let empty = folder.file("empty", "")?;
    trace(&["--btf", &empty])?.ends(4, &[&empty, "not BTF"])?;
    let own = fs::read("/sys/kernel/btf/vmlinux").context("this kernel has no BTF")?;
    for len in [10, 24, own.len() / 2, own.len() - 1] {
        let cut = folder.file("cut", own.get(..len).unwrap_or_default())?;
        trace(&["--btf", &cut])?.ends(4, &[&cut, "BTF"])?;
    }
    trace(&["--btf", &folder.path(".")])?.ends(4, &["Is a directory"])?;
    let own = std::env::current_exe()?.display().to_string();
    trace(&["--btf", &missing, "--", &own])?.ends(125, &[&missing])
}

/// Offsets that are not this kernel's: the verifier or the self-check finds out, in one sentence.
fn btf_of_another_kernel() -> Result<()> {
    const OTHERS: [((u32, u32), &[u8]); 2] = [
        ((5, 10), include_bytes!("../../src/probe/fixtures/5.10-x86_64.btf")),
        ((7, 2), include_bytes!("../../src/probe/fixtures/7.2-x86_64.btf")),
    ];
    let folder = Folder::new()?;
    for (version, other) in OTHERS {
        if host::version() == Some(version) {
            continue;
        }
        let file = folder.file("other", other)?;
        let run = trace(&["--btf", &file, "--timeout", "1ms"])?;
        run.ends(4, &["ns-trace: cannot trace: ", "hint: "])?;
        ensure!(run.stdout.is_empty() && run.stderr.lines().count() == 2, "{run:?}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "whoever skips says why")]
fn no_setarch() -> bool {
    let is_missing = Command::new("setarch").arg("--version").output().is_err();
    if is_missing {
        println!("skipped: trace::usage::a_kernel_that_is_too_old: setarch is missing");
    }
    is_missing
}

/// `setarch --uname-2.6` has the kernel say that it is one.
fn too_old() -> Result<()> {
    let old = |command: &str| {
        let mut setarch = Command::new("setarch");
        setarch.arg("--uname-2.6").arg(program()).args(["trace", "--timeout", "1ms"]);
        run(setarch.args(command.split_whitespace()), b"")
    };
    let words =
        ["ns-trace: cannot trace: Linux 2.6.", " is too old: ", "since Linux 5.10", "hint: "];
    old("")?.ends(4, &words)?;
    old("-- true")?.ends(125, &words)
}

/// What a kernel that does not tell its types is told by: a file, which is as good.
fn btf_from_a_file() -> Result<()> {
    let folder = Folder::new()?;
    let file = folder.file("btf", fs::read("/sys/kernel/btf/vmlinux")?)?;
    let mut command = Command::new(program());
    command.args(["trace", "-o", "json", "--btf", &file, "--"]).arg(program()).arg("--version");
    let run = run(&mut command, b"")?;
    run.ends(0, &[" 0 lost"])?;
    ensure!(run.stdout.starts_with("{\"schema\"") && run.stdout.contains("\nns-trace "), "{run:?}");
    Ok(())
}

fn a_command_that_cannot_run() -> Result<()> {
    let folder = Folder::new()?;
    let text = folder.file("text", "no program")?;
    let missing = folder.path("missing");
    trace(&["--", "no-such-program"])?
        .ends(127, &["ns-trace: cannot run no-such-program: not found in PATH"])?;
    trace(&["--", &missing])?.ends(127, &[&missing, "no such file"])?;
    trace(&["--", &format!("{text}/below")])?.ends(127, &["no such file"])?;
    trace(&["--", ""])?.ends(127, &["not found"])?;
    trace(&["--", &text])?.ends(126, &[&text, "not an executable file"])?;
    trace(&["--", "/"])?.ends(126, &["cannot run /:"])
}

fn an_output_that_cannot_be_opened() -> Result<()> {
    let folder = Folder::new()?;
    let here = folder.path(".");
    trace(&["--output", &here])?.ends(1, &["cannot write", &here, "Is a directory"])?;
    let nowhere = folder.path("missing/file");
    trace(&["--output", &nowhere])?.ends(1, &["cannot write", &nowhere, "No such file"])?;
    trace(&["--output", &here, "--", "true"])?.ends(125, &["Is a directory"])
}

fn limits_are_allowed(room: &Room) -> Result<()> {
    // Longer than the clock can count.
    for timeout in ["18400000000000000000", "1ns"] {
        let tracer = room.start(&["--buffer", "64KiB", "--timeout", timeout]);
        if timeout == "1ns" {
            // It may end before `sync`.
            drop(tracer);
        } else {
            tracer?.finish()?;
        }
    }
    Ok(())
}

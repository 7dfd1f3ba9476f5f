//! `ns-trace completions`: scripts that shells understand and that complete.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;

use crate::{context::Context, tracer::program};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The trials of this file.
#[expect(clippy::print_stdout, reason = "whoever skips says why")]
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial = |name: &str, test: fn() -> Result<()>| context.here(name, test);
    let has_fish = Command::new("fish").arg("--version").output().is_ok();
    if !has_fish {
        println!("skipped: completions::in_fish: there is no fish here");
    }
    let has_bash = Command::new("bash").arg("--version").output().is_ok();
    vec![
        trial("completions::name_every_command", every_command_is_named),
        trial("completions::unknown_shell", an_unknown_shell_is_a_usage_error),
        trial("completions::bash_completes", bash_completes).with_ignored_flag(!has_bash),
        trial("completions::live_namespaces", live_namespaces).with_ignored_flag(!has_bash),
        trial("completions::in_fish", in_fish).with_ignored_flag(!has_fish),
    ]
}

fn script(shell: &str) -> Result<String> {
    let output = Command::new(program()).args(["completions", shell]).output()?;
    ensure!(output.status.success(), "{shell}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn every_command_is_named() -> Result<()> {
    for shell in SHELLS {
        let script = script(shell)?;
        for word in ["trace", "doctor", "completions", "tracepoint"] {
            ensure!(script.contains(word), "{shell} does not know `{word}`");
        }
    }
    Ok(())
}

fn an_unknown_shell_is_a_usage_error() -> Result<()> {
    let output = Command::new(program()).args(["completions", "tcsh"]).output()?;
    ensure!(output.status.code() == Some(2), "{}", output.status);
    ensure!(String::from_utf8_lossy(&output.stderr).contains("tcsh"));
    Ok(())
}

/// What bash offers after some words.
fn offered(words: &[&str]) -> Result<String> {
    offered_of(words, &words.join(" "))
}

/// What it offers if it has broken the line into these words.
fn offered_of(words: &[&str], line: &str) -> Result<String> {
    let last = words.len() - 1;
    let words = words.join(" ");
    let program = program();
    let program = program.to_str().context("a strange path")?;
    // Bash knows which function completes ns-trace, and gives it the command and two words.
    let ask = format!(
        "ns-trace() {{ '{program}' \"$@\"; }}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}\n\
         how=$(complete -p ns-trace); how=${{how#*-F }}; COMP_WORDS=({words}); COMP_CWORD={last}\n\
         ${{how%% *}} ns-trace \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
    );
    let mut bash = Command::new("bash")
        .args(["--noprofile", "--norc"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = bash.stdin.take().context("no stdin")?;
    stdin.write_all(script("bash")?.as_bytes())?;
    stdin.write_all(ask.as_bytes())?;
    drop(stdin);
    let output = bash.wait_with_output()?;
    ensure!(output.status.success(), "{}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn bash_completes() -> Result<()> {
    for (words, wanted) in [
        (&["ns-trace", "do"][..], "doctor"),
        (&["ns-trace", "trace", "--sn"], "--snapshot"),
        (&["ns-trace", "netns", "id"], "identify"),
        (&["ns-trace", "netns", "--ba"], "--batch"),
        (&["ns-trace", "trace", "--probe", "fen"], "fentry"),
        (&["ns-trace", "trace", "--probe", "kp"], "kprobe"),
        (&["ns-trace", "trace", "--type", "cg"], "cgroup"),
    ] {
        let offered = offered(words)?;
        ensure!(offered.lines().any(|line| line == wanted), "{words:?}: {offered}");
    }
    Ok(())
}

/// Bash breaks words at colons, and wants what follows the last one.
fn live_namespaces() -> Result<()> {
    let link = std::fs::read_link("/proc/self/ns/uts")?;
    let inode = link.to_string_lossy().replace(|c: char| !c.is_ascii_digit(), "");
    let (start, pid) = (inode.get(..6).context("a short inode")?, std::process::id().to_string());
    let typed = format!("uts:{start}");
    let by_pid = format!("pid:{pid}");
    for command in ["why", "show"] {
        for (words, typed, wanted) in [
            (&["ns-trace", command, "uts", ":", start][..], &*typed, &*inode),
            (&["ns-trace", command, start], start, &inode),
            (&["ns-trace", command, "ne"], "ne", "net:"),
            (&["ns-trace", command, "pid", ":", &pid], &by_pid, &pid),
            (&["ns-trace", command, "--js"], "--js", "--json"),
        ] {
            let offered = offered_of(words, &format!("ns-trace {command} {typed}"))?;
            ensure!(offered.lines().any(|line| line == wanted), "{words:?}: {offered}");
        }
    }
    for before in [&["enter"][..], &["create", "-m", "--join"]] {
        let words = [&["ns-trace"], before, &["uts", ":", start]].concat();
        let offered = offered_of(&words, &format!("ns-trace {} {typed}", before.join(" ")))?;
        ensure!(offered.lines().any(|line| line == inode), "{before:?}: {offered}");
    }
    let words = ["ns-trace", "enter", "uts:1", "--", "uts", ":", start];
    let offered = offered_of(&words, &format!("ns-trace enter uts:1 -- {typed}"))?;
    ensure!(!offered.contains(&inode), "a program's own words: {offered}");
    let words = ["ns-trace", "netns", "pin", "uts", ":", start];
    let offered = offered_of(&words, &format!("ns-trace netns pin {typed}"))?;
    ensure!(offered.lines().any(|line| line == inode), "netns pin: {offered}");
    let offered = offered_of(&["ns-trace", "why", "uts", ":", "1"], "ns-trace why uts:1")?;
    ensure!(offered.trim().is_empty(), "no such namespace: {offered}");
    Ok(())
}

fn in_fish() -> Result<()> {
    let link = std::fs::read_link("/proc/self/ns/uts")?;
    let uts = link.to_string_lossy().replace(['[', ']'], "");
    let program = program();
    let place = Path::new(&program).parent().and_then(Path::to_str).context("a strange path")?;
    for (typed, wanted) in [
        ("trace --sn", "--snapshot"),
        ("why uts:4", &*uts),
        ("enter uts:4", &uts),
        ("create --join uts:4", &uts),
        ("create --join=uts:4", &format!("--join={uts}")),
        ("netns pin uts:4", &uts),
    ] {
        let ask = format!("set -x PATH {place} $PATH; source; complete -C 'ns-trace {typed}'");
        let mut fish = Command::new("fish")
            .args(["--no-config", "-c", &ask])
            .env("HOME", std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        fish.stdin.take().context("no stdin")?.write_all(script("fish")?.as_bytes())?;
        let output = fish.wait_with_output()?;
        let offered = String::from_utf8(output.stdout)?;
        let is_it = |line: &str| line.split('\t').next() == Some(wanted);
        ensure!(offered.lines().any(is_it), "{typed}: {offered}");
    }
    Ok(())
}

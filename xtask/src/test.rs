//! `xtask test`: every check and test there is, in one command.

mod failures;
mod tally;

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use self::{failures::Failures, tally::Tally};
use crate::{command, setup, tested, usage};

/// One command that checks something; later ones run whether it succeeds or not.
struct Stage {
    name: &'static str,
    cargo: fn(&[&str]) -> Result<Command>,
    command: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// A stage of cargo that needs no environment.
const fn stage(name: &'static str, command: &'static [&'static str]) -> Stage {
    Stage { name, cargo: |words| command::cargo(words), command, environment: &[] }
}

/// A stage that runs what the virtual machines run, too.
const fn tests(name: &'static str, command: &'static [&'static str]) -> Stage {
    Stage { cargo: |words| tested::cargo(env::consts::ARCH, words), ..stage(name, command) }
}

/// The cheap ones first. The probes are left out where a host compiler cannot read them: their
/// build is part of every stage that compiles ns-trace.
#[rustfmt::skip]
const STAGES: [Stage; 8] = [
    stage("format", &["fmt", "--all", "--check"]),
    stage("tidy", &["xtask", "tidy"]),
    stage("lints", &["clippy", "--workspace", "--exclude", "ns-trace-ebpf", "--all-targets", "--", "-D", "warnings"]),
    Stage {
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        ..stage("documentation", &["doc", "--no-deps", "--workspace", "--exclude", "ns-trace-ebpf"])
    },
    stage("other architectures", &["xtask", "arch"]),
    tests("unit tests", &["test", "--no-fail-fast", "--lib", "--bins"]),
    tests("room tests", &["test", "--test", "rooms"]),
    stage("kernels", &["xtask", "vm"]),
];

/// What became of a stage.
struct Report {
    name: &'static str,
    tally: Tally,
    took: Duration,
}

/// Runs the verb. Its last line is the sum of all stages: `N passed, N failed, N skipped`.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        return Ok(usage());
    }
    setup::for_tests()?;
    let mut reports = Vec::new();
    let mut failures = Failures::default();
    for stage in &STAGES {
        reports.push(run(stage, &mut failures)?);
    }
    println!();
    // Once more, where nobody has to look for them.
    for line in failures.take() {
        println!("{line}");
    }
    println!();
    let mut sum = Tally::default();
    for Report { name, tally, took } in reports {
        println!("{:>7.1} s  {name}: {tally}", took.as_secs_f64());
        sum += tally;
    }
    println!("{sum}");
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(stage: &Stage, failures: &mut Failures) -> Result<Report> {
    let mut command = (stage.cargo)(stage.command)?;
    command.envs(stage.environment.iter().copied());
    println!("\n== {}\n$ {}", stage.name, command::show(&command));
    let start = Instant::now();
    let tally = follow(&mut command, failures)?;
    Ok(Report { name: stage.name, tally, took: start.elapsed() })
}

/// Passes the output of a stage on, counts what it reports and keeps what it says of failures.
fn follow(command: &mut Command, failures: &mut Failures) -> Result<Tally> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        // Bytes, not text: what a test prints need not be UTF-8.
        while stdout.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            failures.hear(&text);
            tally += Tally::of_line(&text).unwrap_or_default();
            line.clear();
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    Ok(tally.with_status(status.success()))
}

//! `xtask vm`: the room tests as the only process of Debian's kernels, in QEMU.
//!
//! The program of the room tests is the init of the machine: it mounts the file systems, runs
//! itself for the tests and powers off (`ns-trace/tests/init.rs`).

mod guest;
mod initramfs;
mod kernel;
mod programs;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};

use self::guest::Guest;
use crate::{setup, usage};

/// What a machine probes with; each kernel boots once per backend.
const BACKENDS: [&str; 2] = ["fentry", "tracepoint"];

/// What to run.
#[derive(Debug, Eq, PartialEq)]
struct Plan {
    kernels: Vec<&'static str>,
    backends: Vec<&'static str>,
    timeout: Duration,
    filter: Option<String>,
}

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let plan = match parse(args) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            return Ok(usage());
        }
    };
    setup::for_tests()?;
    let programs = programs::build()?;
    let initramfs = initramfs::write(&programs)?;
    let mut failed = Vec::new();
    for version in &plan.kernels {
        let kernel = match kernel::fetch(version) {
            Ok(kernel) => kernel,
            Err(error) => {
                // The other kernels are still worth a try.
                println!("{version} | cannot get this kernel: {error:#}");
                failed.push(format!("{version}: {error:#}"));
                continue;
            }
        };
        for backend in &plan.backends {
            let guest = Guest {
                name: format!("{version} {backend}"),
                kernel: &kernel,
                initramfs: &initramfs,
                backend,
                filter: plan.filter.as_deref(),
                timeout: plan.timeout,
            };
            if let Err(error) = guest.run() {
                println!("{} | {error:#}", guest.name);
                failed.push(format!("{}: {error:#}", guest.name));
            }
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("virtual machines failed:\n  {}", failed.join("\n  "));
}

fn parse(args: &[String]) -> Result<Plan> {
    let mut plan = Plan {
        kernels: kernel::VERSIONS.to_vec(),
        backends: BACKENDS.to_vec(),
        timeout: Duration::from_mins(10),
        filter: None,
    };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg {
            "--kernel" => plan.kernels = vec![one_of(&kernel::VERSIONS, value()?)?],
            "--backend" => plan.backends = vec![one_of(&BACKENDS, value()?)?],
            "--timeout" => {
                let seconds = value()?.parse().context("--timeout takes a number of seconds")?;
                plan.timeout = Duration::from_secs(seconds);
            }
            filter if !filter.starts_with('-') && plan.filter.is_none() => {
                // It travels on the command line of the kernel, which knows no quotes.
                let special = |letter: char| letter.is_whitespace() || letter == '"';
                ensure!(!filter.contains(special), "a filter may not contain blanks or quotes");
                plan.filter = Some(filter.to_owned());
            }
            _ => bail!("unexpected `{arg}`"),
        }
    }
    Ok(plan)
}

fn one_of(choices: &[&'static str], value: &str) -> Result<&'static str> {
    let choice = choices.iter().copied().find(|choice| *choice == value);
    choice.with_context(|| format!("`{value}` is none of {}", choices.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Plan> {
        parse(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_options_everything_boots() {
        let plan = parse_words("").unwrap();
        assert_eq!(plan.kernels, kernel::VERSIONS);
        assert_eq!(plan.backends, BACKENDS);
    }

    #[test]
    fn options_narrow_it_down() {
        let plan = parse_words("--kernel 6.12 --backend fentry --timeout 5 trace::").unwrap();
        assert_eq!((plan.kernels, plan.backends), (vec!["6.12"], vec!["fentry"]));
        assert_eq!(plan.timeout, Duration::from_secs(5));
        assert_eq!(plan.filter.as_deref(), Some("trace::"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in ["--kernel", "--kernel 2.4", "--backend x", "a b", "--frob", "--timeout x"] {
            assert!(parse_words(words).is_err(), "{words}");
        }
        assert!(parse(&["a b".to_owned()]).is_err());
    }
}

//! `xtask vm`: the room tests as the only process of Debian's kernels, in QEMU.
//!
//! The program of the room tests is the init of the machine: it mounts the file systems, runs
//! itself for the tests and powers off (`ns-trace/tests/init.rs`).

mod apt;
mod guest;
mod initramfs;
mod kernel;
mod machine;
mod programs;

use std::{
    collections::VecDeque,
    env,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use self::{
    guest::Guest,
    kernel::{FOREIGN, RELEASES, Release},
};
use crate::{setup, usage};

/// What a machine probes with; each kernel boots once per backend.
const BACKENDS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

/// What to run.
#[derive(Debug, Eq, PartialEq)]
struct Plan {
    releases: Vec<&'static Release>,
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
    let mut failed = Vec::new();
    let kernels = fetch(&plan.releases, &mut failed);
    // Those of one plan have the same machine.
    let Some((Release { machine, .. }, _)) = kernels.first() else {
        bail!("there is no kernel to boot");
    };
    setup::for_machines(machine.arch)?;
    let initramfs = initramfs::write(&programs::build(machine.arch)?, None)?;
    let mut guests = VecDeque::new();
    // What is the same on every kernel runs on the newest that must be there.
    let once = kernels.iter().map(|(release, _)| release).find(|release| release.is_must());
    for (place, (release, kernel)) in kernels.iter().enumerate() {
        let elsewhere = once.filter(|once| *once != release);
        // There is an older and a newer one.
        let is_between = elsewhere.is_some() && place > 0 && place + 1 < kernels.len();
        let filter = plan.filter.as_deref();
        for backend in &plan.backends {
            guests.push_back(Guest {
                name: format!("{release} {backend}"),
                machine,
                kernel,
                initramfs: &initramfs,
                options: options(backend, filter, elsewhere, is_between),
                parallel: false,
                timeout: plan.timeout,
            });
        }
    }
    failed.extend(run(guests));
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("virtual machines failed:\n  {}", failed.join("\n  "));
}

/// A kernel that is known here by this name, such as `6.12` or `6.12-arm64`; None if there is none.
pub(crate) fn kernel(name: &str) -> Option<Result<PathBuf>> {
    named(name).map(kernel::fetch)
}

fn named(name: &str) -> Option<&'static Release> {
    known().find(|release| release.to_string() == name)
}

/// All kernels.
fn known() -> impl Iterator<Item = &'static Release> {
    RELEASES.iter().chain(&FOREIGN)
}

/// Gets the kernels; one that cannot be had is a failure if it is a must, and is skipped otherwise.
fn fetch<'a>(releases: &[&'a Release], failed: &mut Vec<String>) -> Vec<(&'a Release, PathBuf)> {
    let mut kernels = Vec::new();
    for release in releases {
        match kernel::fetch(release) {
            Ok(kernel) => kernels.push((*release, kernel)),
            // The other kernels are still worth a try.
            Err(error) if release.is_must() => {
                println!("{release} | cannot get this kernel: {error:#}");
                failed.push(format!("{release}: {error:#}"));
            }
            Err(error) => println!("{release} | not tested: cannot get this kernel: {error:#}"),
        }
    }
    kernels
}

/// What init is told (`ns-trace/tests/init.rs`).
fn options(
    backend: &str,
    filter: Option<&str>,
    elsewhere: Option<&&Release>,
    is_between: bool,
) -> String {
    let filter = filter.map(|filter| format!(" rooms.filter={filter}")).unwrap_or_default();
    let between = if is_between { " rooms.between=1" } else { "" };
    let once = elsewhere.map(|release| format!(" rooms.once={release}")).unwrap_or_default();
    let seed = env::var("NS_TRACE_TEST_SEED").map(|seed| format!(" rooms.seed={seed}"));
    format!("rooms.backend={backend}{}{once}{between}{filter}", seed.unwrap_or_default())
}

/// Boots a machine with this very program in it, to do `args` there with an ns-trace that probes by
/// `backend`; passes on the lines that it prints.
pub(crate) fn with_xtask(args: &[&str], hear: impl FnMut(&str)) -> Result<()> {
    setup::for_tests()?;
    let release = RELEASES.iter().find(|release| release.is_must()).context("no kernel")?;
    let Release { machine, .. } = release;
    let programs = programs::build(machine.arch)?;
    let initramfs = initramfs::write(&programs, Some(&programs::xtask(machine.arch)?))?;
    let guest = Guest {
        name: release.to_string(),
        machine,
        kernel: &kernel::fetch(release)?,
        initramfs: &initramfs,
        options: format!("rooms.run=/bin/xtask,{}", args.join(",")),
        parallel: true,
        timeout: Duration::from_mins(15),
    };
    guest.run(hear)
}

/// Runs as many machines at once as there are processors, each of which one keeps busy; says what
/// went wrong.
fn run(guests: VecDeque<Guest<'_>>) -> Vec<String> {
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let (queue, failed) = (Mutex::new(guests), Mutex::new(Vec::new()));
    let work = || {
        // Not in the loop's head: the lock would be held while the machine runs.
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        while let Some(guest) = next() {
            if let Err(error) = guest.test() {
                println!("{} | {error:#}", guest.name);
                let failure = format!("{}: {error:#}", guest.name);
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(work);
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn parse(args: &[String]) -> Result<Plan> {
    let mut plan = Plan {
        releases: RELEASES.iter().collect(),
        backends: BACKENDS.to_vec(),
        timeout: Duration::from_mins(40),
        filter: None,
    };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
        match arg {
            "--kernel" => {
                let names: Vec<_> = known().map(Release::to_string).collect();
                let name = one_of(names.iter().map(String::as_str), value()?)?;
                plan.releases = named(name).into_iter().collect();
            }
            "--backend" => plan.backends = vec![one_of(BACKENDS, value()?)?],
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

fn one_of<'a>(choices: impl IntoIterator<Item = &'a str>, value: &str) -> Result<&'a str> {
    let choices: Vec<_> = choices.into_iter().collect();
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
        assert_eq!(plan.releases, RELEASES.iter().collect::<Vec<_>>());
        assert_eq!(plan.backends, BACKENDS);
    }

    #[test]
    fn options_narrow_it_down() {
        let plan = parse_words("--kernel 6.12 --backend fentry --timeout 5 trace::").unwrap();
        let versions: Vec<_> = plan.releases.iter().map(|release| release.version).collect();
        assert_eq!((versions, plan.backends), (vec!["6.12"], vec!["fentry"]));
        assert_eq!(plan.timeout, Duration::from_secs(5));
        assert_eq!(plan.filter.as_deref(), Some("trace::"));
    }

    #[test]
    fn a_kernel_of_the_other_processor_is_named_so() {
        let plan = parse_words("--kernel 6.12-arm64").unwrap();
        let arch: Vec<_> = plan.releases.iter().map(|release| release.machine.arch).collect();
        assert_eq!(arch, ["aarch64"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in ["--kernel", "--kernel 2.4", "--backend x", "a b", "--frob", "--timeout x"] {
            assert!(parse_words(words).is_err(), "{words}");
        }
        assert!(parse(&["a b".to_owned()]).is_err());
    }
}

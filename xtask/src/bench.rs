//! `xtask bench`: what tracing costs, beside other tracers.

mod child;
mod count;
mod create;
pub(crate) mod crowd;
mod decode;
pub(crate) mod emulated;
pub(crate) mod floor;
mod latency;
pub(crate) mod list;
pub(crate) mod peer;
mod place;
mod ratio;
mod rounds;
mod serve;
mod start;
mod storm;
mod table;
pub(crate) mod worker;

use std::{
    cell::RefCell,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity},
    unistd::Pid,
};

use self::{peer::Peer, table::Row};
use crate::{command, process, setup, tracer::Tracer, usage};

/// What can be measured alone.
const NAMES: [&str; 11] = [
    "getppid", "exec", "unshare", "storm", "decode", "latency", "start", "list", "create", "serve",
    "fentry",
];

/// The least that a median means anything of.
const ROUNDS: u32 = 5;
const QUICK_ROUNDS: u32 = 3;
/// How much less is done with `--quick`.
const HASTE: u64 = 5;

/// A run.
struct Bench {
    /// By what the numbers of calls are divided.
    haste: u64,
    rounds: u32,
    peers: Vec<Peer>,
    random: fastrand::Rng,
    /// The cores that may be used.
    cpus: Vec<usize>,
    /// The directory of the smallest program.
    children: String,
    /// What the tracers said that they probe with.
    backend: RefCell<String>,
}

/// What was asked for.
#[derive(Debug, Default, Eq, PartialEq)]
struct Wish {
    quick: bool,
    peers: bool,
    readme: bool,
    only: Option<&'static str>,
}

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let wish = match parse(args) {
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            return Ok(usage());
        }
    };
    become_release("bench", args)?;
    let tracers = process::tracers();
    if !tracers.is_empty() {
        eprintln!("xtask: what is measured is not untraced: {} at work", tracers.join(", "));
    }
    let mut bench = Bench::new(&wish, &command::target()?)?;
    let mut rows = Vec::new();
    for name in NAMES.into_iter().filter(|name| wish.only.is_none_or(|only| only == *name)) {
        rows.extend(bench.run(name)?);
    }
    let table = table::markdown(&bench.about(), &rows);
    if wish.readme && table::publish(&table)? {
        println!("{table}");
        eprintln!("the table is in README.md");
    } else {
        println!("{}", table::section(&table));
    }
    let missed = rows.iter().filter(|row| !row.met).count();
    eprintln!("{} of {} rows reach what they should", rows.len() - missed, rows.len());
    Ok(ExitCode::SUCCESS)
}

/// Goes on as an optimised build of this program: a loop of a debug build costs more than the
/// call in it.
pub(crate) fn become_release(verb: &str, args: &[String]) -> Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    setup::for_build()?;
    // One after the other: together their libraries would get the features that both want, and
    // the ns-trace that is measured would not be the one that users build.
    for package in ["ns-trace", "xtask"] {
        command::run(&mut command::cargo(["build", "--release", "--package", package])?)?;
    }
    let program = command::target()?.join("release/xtask");
    let error = Command::new(&program).arg(verb).args(args).exec();
    Err(anyhow!(error).context(format!("cannot run {}", program.display())))
}

impl Bench {
    /// `children` is a directory for the smallest program.
    fn new(wish: &Wish, children: &Path) -> Result<Self> {
        let children = child::write(children)?;
        let children = children.to_str().context("the path of the target directory is no text")?;
        let affinity = sched_getaffinity(Pid::from_raw(0))?;
        let is_ours = |cpu: &usize| affinity.is_set(*cpu).unwrap_or(false);
        Ok(Self {
            haste: if wish.quick { HASTE } else { 1 },
            rounds: if wish.quick { QUICK_ROUNDS } else { ROUNDS },
            peers: if wish.peers { Peer::installed() } else { Vec::new() },
            random: fastrand::Rng::new(),
            cpus: (0..CpuSet::count()).filter(is_ours).collect(),
            children: children.to_owned(),
            backend: RefCell::default(),
        })
    }

    fn run(&mut self, name: &str) -> Result<Vec<Row>> {
        let row = |row: Result<Row>| row.map(|row| vec![row]);
        match name {
            "getppid" => row(ratio::GETPPID.row(self)),
            "exec" => row(ratio::EXEC.row(self)),
            "unshare" => row(ratio::UNSHARE.row(self)),
            "storm" => storm::rows(self),
            "decode" => decode::rows(),
            "latency" => row(latency::row(self)),
            "start" => start::rows(self),
            "list" => list::rows(self),
            "create" => create::rows(self),
            "serve" => serve::rows(self),
            _ => emulated::rows(),
        }
        .with_context(|| format!("cannot measure `{name}`"))
    }

    /// How often to call.
    const fn scaled(&self, calls: u64) -> u64 {
        calls / self.haste
    }

    /// Notes what a tracer probes with.
    fn saw_backend(&self, tracer: &Tracer) {
        self.backend.replace(tracer.backend.clone());
    }

    /// What the table is about.
    fn about(&self) -> String {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // What follows the version names the machine, not the kernel.
        let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
        let (backend, rounds, cpus) = (self.backend.borrow(), self.rounds, self.cpus.len());
        let backend =
            if backend.is_empty() { String::new() } else { format!(", backend `{backend}`") };
        format!(
            "Linux {kernel}, {cpus} cores{backend}. Ratios are traced to untraced, medians (least…most) \
             of {rounds} rounds in random order; the noise is untraced to untraced. ✗ misses its reach."
        )
    }
}

fn parse(args: &[String]) -> Result<Wish> {
    let mut wish = Wish::default();
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "--quick" => wish.quick = true,
            "--peers" => wish.peers = true,
            "--readme" => wish.readme = true,
            "--only" => {
                let name = args.next().context("--only needs a name")?;
                let found = NAMES.into_iter().find(|known| *known == name);
                let names = NAMES.join(", ");
                wish.only = Some(found.with_context(|| format!("`{name}` is none of {names}"))?);
            }
            _ => return Err(anyhow!("unexpected `{arg}`")),
        }
    }
    ensure!(!(wish.readme && wish.only.is_some()), "--readme wants every row");
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Wish> {
        parse(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_understood() {
        let wish = parse_words("--quick --peers --only storm").unwrap();
        assert_eq!(wish, Wish { quick: true, peers: true, readme: false, only: Some("storm") });
        assert_eq!(parse_words("").unwrap(), Wish::default());
        for words in ["--only", "--only x", "--frob", "storm", "--readme --only storm"] {
            assert!(parse_words(words).is_err(), "{words}");
        }
    }
}

//! Listing what exists, beside lsns.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::Value;

use super::{
    Bench,
    crowd::{Crowd, SET},
    rounds::Spread,
    table::Row,
};
use crate::command;

/// The verb that runs a program which finds no types of the kernel, and so loads no BPF.
pub(crate) const VERB: &str = "bench-without-bpf";

/// A crowd, and how many times quicker than lsns a listing of it has to be.
struct Size {
    processes: usize,
    sets: usize,
    reach: f64,
    /// The same without BPF, if that is asked for.
    reach_without: Option<f64>,
    /// How often lsns is measured, and how often ns-trace is for each of these.
    rounds: u32,
    times: u32,
}

const SIZES: [Size; 4] = [
    Size { processes: 100, sets: 25, reach: 2.0, reach_without: None, rounds: 25, times: 1 },
    Size { processes: 1_000, sets: 250, reach: 8.0, reach_without: None, rounds: 15, times: 1 },
    Size { processes: 5_000, sets: 250, reach: 25.0, reach_without: None, rounds: 5, times: 3 },
    // lsns takes the better part of a minute.
    Size {
        processes: 20_000,
        sets: 1_000,
        reach: 300.0,
        reach_without: Some(100.0),
        rounds: 1,
        times: 5,
    },
];

/// How much memory a listing may take, in MiB, and of how many processes and sets.
const MEMORY: f64 = 60.0;
const PROCESSES: usize = 20_000;
const SETS: usize = 2_500;

/// Who lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lister {
    Lsns,
    NsTrace,
    NsTraceAgain,
    WithoutBpf,
}

/// Measures the rows.
pub(super) fn rows(bench: &mut Bench) -> Result<Vec<Row>> {
    let has_lsns = Command::new("lsns").arg("--version").stdout(Stdio::null()).status().is_ok();
    ensure!(has_lsns, "lsns is not installed: the package util-linux has it");
    let program = command::target()?.join("release/ns-trace");
    let mut rows = Vec::new();
    for size in SIZES {
        rows.extend(size.rows(bench, &program)?);
    }
    rows.push(memory(bench, &program)?);
    Ok(rows)
}

impl Size {
    fn rows(&self, bench: &mut Bench, program: &Path) -> Result<Vec<Row>> {
        let Self { processes, sets, .. } = *self;
        let crowd = Crowd::gather(&bench.children, processes, sets)?;
        let namespaces = sets * SET;
        let mut listers = vec![Lister::NsTrace, Lister::NsTraceAgain];
        listers.extend(self.reach_without.map(|_| Lister::WithoutBpf));
        let alike = same_rows(&listers, program, &crowd, namespaces)?;
        let mut took: BTreeMap<u8, Vec<f64>> = BTreeMap::new();
        let rounds = self.rounds.min(bench.rounds * 5);
        for round in 1..=rounds {
            eprintln!("list of {processes} processes: round {round} of {rounds}");
            let mut order = vec![Lister::Lsns];
            order.extend((0..self.times).flat_map(|_| listers.iter().copied()));
            bench.random.shuffle(&mut order);
            for lister in order {
                took.entry(lister as u8).or_default().push(lister.time(program)?);
            }
        }
        let of =
            |lister: Lister| Spread::of(took.get(&(lister as u8)).cloned().unwrap_or_default());
        let theirs = of(Lister::Lsns);
        let noise = of(Lister::NsTraceAgain).median / of(Lister::NsTrace).median;
        let row = |lister: Lister, how: &str, reach: f64| {
            let ours = of(lister);
            let ratio = theirs.median / ours.median;
            Row {
                what: format!(
                    "`list` of {processes} processes more, in {namespaces} namespaces{how}: times \
                     quicker than lsns ({alike} rows are the same)"
                ),
                reach: format!("≥ {reach}"),
                measured: format!("{ratio:.1}; {ours:.1} ms"),
                noise: format!("{noise:.2}"),
                peers: format!("lsns {theirs:.0} ms"),
                met: ratio >= reach,
            }
        };
        let mut rows = vec![row(Lister::NsTrace, "", self.reach)];
        if let Some(reach) = self.reach_without {
            rows.push(row(Lister::WithoutBpf, ", without BPF", reach));
        }
        Ok(rows)
    }
}

impl Lister {
    fn command(self, program: &Path) -> Result<Command> {
        Ok(match self {
            Self::Lsns => Command::new("lsns"),
            Self::NsTrace | Self::NsTraceAgain => {
                let mut command = Command::new(PathBuf::from(program));
                command.arg("list");
                command
            }
            Self::WithoutBpf => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg(VERB).arg(program).arg("list");
                command
            }
        })
    }

    /// Milliseconds that the whole command takes.
    fn time(self, program: &Path) -> Result<f64> {
        let mut command = self.command(program)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let status = command.status()?;
        let took = begin.elapsed().as_secs_f64() * 1e3;
        ensure!(status.success(), "{self:?}: {status}");
        Ok(took)
    }

    /// The rows of the crowd's namespaces by inode, as this one lists them.
    fn rows(self, program: &Path, crowd: &Crowd) -> Result<BTreeMap<u64, Value>> {
        let output = self.command(program)?.arg("-Jl").output()?;
        ensure!(output.status.success(), "{self:?}: {}", output.status);
        let table: Value = serde_json::from_slice(&output.stdout)?;
        let rows = table["namespaces"].as_array().context("no rows")?;
        let command = crowd.program.to_str().context("the path of the program is no text")?;
        let of_crowd = rows.iter().filter(|row| row["command"] == command);
        of_crowd.map(|row| Ok((row["ns"].as_u64().context("no inode")?, row.clone()))).collect()
    }
}

/// Checks that all list the same as lsns; returns how many rows.
fn same_rows(
    listers: &[Lister],
    program: &Path,
    crowd: &Crowd,
    namespaces: usize,
) -> Result<usize> {
    let theirs = Lister::Lsns.rows(program, crowd)?;
    for lister in listers {
        let ours = lister.rows(program, crowd)?;
        for (inode, row) in &theirs {
            ensure!(ours.get(inode) == Some(row), "{:?}, lsns {row}", ours.get(inode));
        }
        ensure!(ours.len() == theirs.len(), "{} rows, lsns {}", ours.len(), theirs.len());
    }
    // The first of the crowd is in the last set, with another command and mostly the lowest number.
    let expected = [namespaces - SET, namespaces];
    ensure!(expected.contains(&theirs.len()), "{} rows of {namespaces}", theirs.len());
    Ok(theirs.len())
}

/// The memory of a listing that has all it needs, and waits for its reader.
fn memory(bench: &Bench, program: &Path) -> Result<Row> {
    let _crowd = Crowd::gather(&bench.children, PROCESSES, SETS)?;
    let mut list = Lister::NsTrace.command(program)?;
    let mut list = list.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut output = list.stdout.take().context("no pipe")?;
    // More than a pipe takes is still to come.
    output.read_exact(&mut [0; 1])?;
    let kib = |file: &str, name: &str| -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", list.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.with_context(|| format!("no {name} in {file}"))?.parse()?)
    };
    let (pss, peak) = (kib("smaps_rollup", "Pss:")? / 1024.0, kib("status", "VmHWM:")? / 1024.0);
    let written = output.read_to_end(&mut Vec::new())?;
    ensure!(written > 1 << 16, "{written} bytes are too few: it did not wait");
    ensure!(list.wait()?.success(), "{} failed", program.display());
    Ok(Row {
        what: format!(
            "memory (Pss) of `list` of {PROCESSES} processes more, in {} namespaces",
            SETS * SET
        ),
        reach: format!("≤ {MEMORY} MiB"),
        measured: format!("{pss:.1} MiB; at most resident, with the ring {peak:.1} MiB"),
        met: pss <= MEMORY,
        ..Row::default()
    })
}

/// Runs a program where the kernel's types are hidden.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    let (program, args) = args.split_first().context("not for people")?;
    unshare(CloneFlags::CLONE_NEWNS).context("cannot unshare the mount namespace")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(none, "/sys/kernel/btf", Some("tmpfs"), MsFlags::empty(), none)?;
    Err(anyhow!(Command::new(program).args(args).exec()).context(format!("cannot run {program}")))
}

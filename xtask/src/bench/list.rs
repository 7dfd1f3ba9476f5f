//! Listing what exists, beside lsns.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    Bench,
    crowd::{Crowd, SET},
    rounds::Spread,
    table::Row,
};
use crate::command;

/// A crowd, and how many times quicker than lsns a listing of it has to be.
struct Size {
    processes: usize,
    sets: usize,
    reach: f64,
    /// How many times each round is measured: what lasts long is measured less often.
    times: u32,
}

const SIZES: [Size; 4] = [
    Size { processes: 100, sets: 25, reach: 2.0, times: 5 },
    Size { processes: 1_000, sets: 25, reach: 8.0, times: 3 },
    Size { processes: 5_000, sets: 250, reach: 25.0, times: 1 },
    Size { processes: 20_000, sets: 250, reach: 300.0, times: 1 },
];

/// From here on lsns takes the better part of a minute.
const HUGE: usize = 20_000;
/// How often it is measured there.
const HUGE_ROUNDS: u32 = 2;

/// Who lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lister {
    Lsns,
    NsTrace,
    NsTraceAgain,
}

/// Measures the rows.
pub(super) fn rows(bench: &mut Bench) -> Result<Vec<Row>> {
    let has_lsns = Command::new("lsns").arg("--version").stdout(Stdio::null()).status().is_ok();
    ensure!(has_lsns, "lsns is not installed: the package util-linux has it");
    let program = command::target()?.join("release/ns-trace");
    SIZES.iter().map(|size| size.row(bench, &program)).collect()
}

impl Size {
    fn row(&self, bench: &mut Bench, program: &Path) -> Result<Row> {
        let Self { processes, sets, reach, times } = *self;
        let crowd = Crowd::gather(&bench.children, processes, sets)?;
        let namespaces = sets * SET;
        let alike = same_rows(program, &crowd, namespaces)?;
        let rounds =
            if processes >= HUGE { HUGE_ROUNDS.min(bench.rounds) } else { bench.rounds * times };
        let mut listers = [Lister::Lsns, Lister::NsTrace, Lister::NsTraceAgain];
        let (mut ratios, mut noise) = (Vec::new(), Vec::new());
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            eprintln!("list of {processes} processes: round {round} of {rounds}");
            bench.random.shuffle(&mut listers);
            let mut took = BTreeMap::new();
            for lister in listers {
                took.insert(lister as u8, lister.time(program)?);
            }
            let took = |lister: Lister| took.get(&(lister as u8)).copied().unwrap_or(f64::NAN);
            ratios.push(took(Lister::Lsns) / took(Lister::NsTrace));
            noise.push(took(Lister::NsTraceAgain) / took(Lister::NsTrace));
            theirs.push(took(Lister::Lsns));
            ours.push(took(Lister::NsTrace));
        }
        let (ratio, ours, theirs) = (Spread::of(ratios), Spread::of(ours), Spread::of(theirs));
        Ok(Row {
            what: format!(
                "`list` of {processes} processes more, in {namespaces} namespaces: times quicker than \
                 lsns ({alike} rows are the same)"
            ),
            reach: format!("≥ {reach}"),
            measured: format!("{ratio:.1}; {:.1} ms", ours.median),
            noise: Spread::of(noise).to_string(),
            peers: format!("lsns {:.0} ms", theirs.median),
            met: ratio.median >= reach,
        })
    }
}

impl Lister {
    fn command(self, program: &Path) -> Command {
        match self {
            Self::Lsns => Command::new("lsns"),
            Self::NsTrace | Self::NsTraceAgain => {
                let mut command = Command::new(PathBuf::from(program));
                command.arg("list");
                command
            }
        }
    }

    /// Milliseconds that the whole command takes.
    fn time(self, program: &Path) -> Result<f64> {
        let mut command = self.command(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let status = command.status()?;
        let took = begin.elapsed().as_secs_f64() * 1e3;
        ensure!(status.success(), "{self:?}: {status}");
        Ok(took)
    }

    /// The rows of the crowd's namespaces by inode, as this one lists them.
    fn rows(self, program: &Path, crowd: &Crowd) -> Result<BTreeMap<u64, Value>> {
        let output = self.command(program).arg("-Jl").output()?;
        ensure!(output.status.success(), "{self:?}: {}", output.status);
        let table: Value = serde_json::from_slice(&output.stdout)?;
        let rows = table["namespaces"].as_array().context("no rows")?;
        let command = crowd.program.to_str().context("the path of the program is no text")?;
        let of_crowd = rows.iter().filter(|row| row["command"] == command);
        of_crowd.map(|row| Ok((row["ns"].as_u64().context("no inode")?, row.clone()))).collect()
    }
}

/// Checks that both list the same; returns how many rows.
fn same_rows(program: &Path, crowd: &Crowd, namespaces: usize) -> Result<usize> {
    let theirs = Lister::Lsns.rows(program, crowd)?;
    let ours = Lister::NsTrace.rows(program, crowd)?;
    for (inode, row) in &theirs {
        ensure!(ours.get(inode) == Some(row), "{:?}, lsns {row}", ours.get(inode));
    }
    ensure!(ours.len() == theirs.len(), "{} rows, lsns {}", ours.len(), theirs.len());
    // The first of the crowd is in the last set, with a lower number and another command.
    ensure!(ours.len() + SET == namespaces, "{} rows of {namespaces}", ours.len());
    Ok(ours.len())
}

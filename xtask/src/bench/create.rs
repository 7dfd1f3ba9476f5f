//! Making a namespace and running the smallest program in it, beside unshare.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Result, ensure};

use super::{Bench, child, rounds::Spread, table::Row};
use crate::command;

/// How much of what unshare takes.
const REACH: f64 = 1.0;
/// Runs of each in a round.
const RUNS: u32 = 100;

/// Who does it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Maker {
    Unshare,
    NsTrace,
    NsTraceAgain,
}

/// Measures the row.
pub(super) fn rows(bench: &mut Bench) -> Result<Vec<Row>> {
    let has_unshare = Command::new("unshare").arg("--version").stdout(Stdio::null()).status();
    ensure!(has_unshare.is_ok(), "unshare is not installed: the package util-linux has it");
    let program = command::target()?.join("release/ns-trace");
    let child = PathBuf::from(&bench.children).join(child::NAME);
    let mut makers = [Maker::Unshare, Maker::NsTrace, Maker::NsTraceAgain];
    let (mut ratios, mut noise) = (Vec::new(), Vec::new());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        eprintln!("create: round {round} of {}", bench.rounds);
        let mut runs = [const { Vec::new() }; 3];
        for _ in 0..RUNS {
            bench.random.shuffle(&mut makers);
            for maker in makers {
                let mut command = match maker {
                    Maker::Unshare => Command::new("unshare"),
                    Maker::NsTrace | Maker::NsTraceAgain => {
                        let mut command = Command::new(&program);
                        command.arg("create");
                        command
                    }
                };
                command.arg("-u").arg(&child);
                let begin = Instant::now();
                let status = command.status()?;
                let took = begin.elapsed().as_secs_f64() * 1e6;
                ensure!(status.success(), "{command:?}: {status}");
                if let Some(runs) = runs.get_mut(maker as usize) {
                    runs.push(took);
                }
            }
        }
        let [unshare, ns_trace, again] = runs.map(|runs| Spread::of(runs).median);
        ratios.push(ns_trace / unshare);
        noise.push(again / ns_trace);
        ours.push(ns_trace);
        theirs.push(unshare);
    }
    let (ratio, ours, theirs) = (Spread::of(ratios), Spread::of(ours), Spread::of(theirs));
    Ok(vec![Row {
        what: "`create -u` of the smallest program, from start to end: times what unshare takes"
            .to_owned(),
        reach: format!("≤ {REACH:.1}"),
        measured: format!("{ratio:.2}; {:.0} µs", ours.median),
        noise: format!("{:.2}", Spread::of(noise)),
        peers: format!("unshare {:.0} µs", theirs.median),
        met: ratio.median <= REACH,
    }])
}

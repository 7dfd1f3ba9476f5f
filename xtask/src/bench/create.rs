//! Running the smallest program in other namespaces, beside the tools that do the same.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Result, ensure};

use super::{Bench, child, place::Place, rounds::Spread, table::Row};
use crate::command;

/// How much of what the other tool takes.
const REACH: f64 = 1.0;
/// Runs of each in a round.
const RUNS: u32 = 100;

/// The other tools: how they tell that they are there, and which package has them.
const PEERS: [(&str, &str, &str); 3] = [
    ("unshare", "--version", "util-linux"),
    ("nsenter", "--version", "util-linux"),
    ("ip", "-V", "iproute2"),
];

/// Who does it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Runner {
    Peer,
    NsTrace,
    NsTraceAgain,
}

/// The same, done by another tool and by us: words, where `@` stands for the place.
struct Contest {
    peer: &'static str,
    ours: &'static str,
    place: Place,
}

/// Measures the rows.
pub(super) fn rows(bench: &mut Bench) -> Result<Vec<Row>> {
    for (peer, version, package) in PEERS {
        let found = Command::new(peer).arg(version).stdout(Stdio::null()).status();
        ensure!(found.is_ok(), "{peer} is not installed: the package {package} has it");
    }
    let program = command::target()?.join("release/ns-trace");
    let contests = [
        Contest { peer: "unshare -u", ours: "create -u", place: Place::elsewhere() },
        Contest {
            peer: "nsenter -t @ -a",
            ours: "enter -t @ -a",
            place: Place::process(&bench.children)?,
        },
        Contest { peer: "ip netns exec @", ours: "netns exec @", place: Place::named()? },
    ];
    contests.iter().map(|contest| contest.row(bench, &program)).collect()
}

impl Contest {
    fn command(&self, runner: Runner, program: &Path) -> Command {
        let (mut command, words) = match (runner, self.peer.split_once(' ')) {
            (Runner::Peer, Some((peer, words))) => (Command::new(peer), words),
            _ => (Command::new(program), self.ours),
        };
        command
            .args(words.split(' ').map(|word| if word == "@" { &self.place.name } else { word }));
        command
    }

    fn row(&self, bench: &mut Bench, program: &Path) -> Result<Row> {
        let child = PathBuf::from(&bench.children).join(child::NAME);
        let of = if self.ours.starts_with("enter") { "PID" } else { "NAME" };
        let (peer, what) = (self.peer.replace('@', of), self.ours.replace('@', of));
        let mut runners = [Runner::Peer, Runner::NsTrace, Runner::NsTraceAgain];
        for runner in runners {
            self.place.check(|| self.command(runner, program))?;
        }
        let (mut ratios, mut noise) = (Vec::new(), Vec::new());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=bench.rounds {
            eprintln!("{what}: round {round} of {}", bench.rounds);
            let mut runs = [const { Vec::new() }; 3];
            for _ in 0..RUNS {
                bench.random.shuffle(&mut runners);
                for runner in runners {
                    let mut command = self.command(runner, program);
                    command.arg(&child);
                    let begin = Instant::now();
                    let status = command.status()?;
                    let took = begin.elapsed().as_secs_f64() * 1e6;
                    ensure!(status.success(), "{command:?}: {status}");
                    if let Some(runs) = runs.get_mut(runner as usize) {
                        runs.push(took);
                    }
                }
            }
            let [theirs_now, ns_trace, again] = runs.map(|runs| Spread::of(runs).median);
            ratios.push(ns_trace / theirs_now);
            noise.push(again / ns_trace);
            ours.push(ns_trace);
            theirs.push(theirs_now);
        }
        let (ratio, ours, theirs) = (Spread::of(ratios), Spread::of(ours), Spread::of(theirs));
        Ok(Row {
            what: format!(
                "`{what}` of the smallest program, from start to end: times what `{peer}` takes"
            ),
            reach: format!("≤ {REACH:.1}"),
            measured: format!("{ratio:.2}; {:.0} µs", ours.median),
            noise: format!("{:.2}", Spread::of(noise)),
            peers: format!("{:.0} µs", theirs.median),
            met: ratio.median <= REACH,
        })
    }
}

//! What a traced loop costs, as a multiple of the same loop untraced.

use anyhow::Result;

use super::{
    Bench,
    count::Counted,
    floor::Floor,
    peer::Peer,
    rounds::{Cost, Judged, Rounds, Watcher},
    storm,
    table::Row,
    worker::{self, Load},
};
use crate::tracer::{Recording, Tracer};

/// A loop and the reach of its ratio.
pub(super) struct Ratio {
    pub(super) what: &'static str,
    pub(super) reach: f64,
    pub(super) judged: Judged,
    pub(super) name: &'static str,
    /// Calls in one batch, and for a peer whose tax is counted in microseconds.
    pub(super) calls: u64,
    pub(super) calls_of_peer: u64,
    /// Whether to measure the least beside it that a tracer of system calls can cost.
    pub(super) floor: bool,
}

pub(super) const GETPPID: Ratio = Ratio {
    what: "getppid loop, every hook attached",
    reach: 1.10,
    judged: Judged::Cpu,
    name: "getppid",
    calls: 3_000_000,
    calls_of_peer: 100_000,
    floor: true,
};

pub(super) const EXEC: Ratio = Ratio {
    what: "fork+exec+exit of a libc-free static child",
    reach: 1.10,
    judged: Judged::Cpu,
    name: "exec",
    calls: 2_500,
    calls_of_peer: 500,
    floor: false,
};

pub(super) const UNSHARE: Ratio = Ratio {
    what: "unshare(NEWUTS) loop, one core",
    reach: 3.0,
    judged: Judged::Wall,
    name: "unshare",
    calls: 200_000,
    calls_of_peer: 10_000,
    floor: false,
};

/// Batches of one measurement, of which the fastest counts.
const BATCHES: u64 = 3;

impl Ratio {
    /// Measures the row.
    pub(super) fn row(&self, bench: &mut Bench) -> Result<Row> {
        let rounds = Rounds::measure(bench, self.name, self.floor, |bench, watcher| {
            self.once(bench, watcher)
        })?;
        let traced = rounds.ratios(Watcher::NsTrace, self.judged);
        let (other, other_name) = self.judged.other();
        let bare = rounds.bare(self.judged);
        Ok(Row {
            what: format!("{} ({})", self.what, nanoseconds(bare.median)),
            reach: format!("≤ {:.2}", self.reach),
            measured: format!(
                "{traced}; {other_name} {:.2}",
                rounds.ratios(Watcher::NsTrace, other).median
            ),
            noise: rounds.ratios(Watcher::NobodyAgain, self.judged).to_string(),
            peers: self.others(bench, &rounds),
            met: traced.median <= self.reach,
        })
    }

    /// The ratios of other tracers, the least of all first.
    fn others(&self, bench: &Bench, rounds: &Rounds) -> String {
        let floor = self.floor.then(|| {
            let ratio = rounds.ratios(Watcher::Floor, self.judged).median;
            format!("any one system call exit tracepoint without a program {ratio:.2}")
        });
        let peers = Some(peers(bench, rounds, self.judged)).filter(|peers| !peers.is_empty());
        floor.into_iter().chain(peers).collect::<Vec<_>>().join(", ")
    }

    fn once(&self, bench: &Bench, watcher: Watcher) -> Result<Cost> {
        let slow = matches!(watcher, Watcher::Peer(peer) if peer == Peer::Strace || self.name != "getppid");
        let calls = if slow { self.calls_of_peer } else { bench.scaled(self.calls) };
        let load = Load {
            name: self.name,
            calls,
            batches: BATCHES,
            cpu: bench.cpus.last().copied(),
            argument: &bench.children,
        };
        let measured = match watcher {
            Watcher::Nobody | Watcher::NobodyAgain => worker::run(&load, &[])?,
            Watcher::Floor => {
                let _on = Floor::on()?;
                worker::run(&load, &[])?
            }
            Watcher::NsTrace => {
                let recording = Recording::new("bench")?;
                let tracer = Tracer::record(&recording, &[])?;
                bench.saw_backend(&tracer);
                let measured = worker::run(&load, &[])?;
                storm::settled(&recording)?;
                tracer.stop()?;
                let unshares = if self.name == "unshare" { measured.calls } else { 0 };
                Counted::of(&recording, &[measured.pid])?.check(unshares)?;
                measured
            }
            Watcher::Peer(Peer::Strace) => {
                let recording = Recording::new("peer")?;
                worker::run(&load, &Peer::before(recording.path())?)?
            }
            Watcher::Peer(peer) => {
                let recording = Recording::new("peer")?;
                let (running, _) = peer.start(&recording, false)?;
                let measured = worker::run(&load, &[])?;
                running.stop()?;
                measured
            }
        };
        Ok(Cost { wall: measured.wall, cpu: measured.cpu })
    }
}

/// The peers' ratios.
pub(super) fn peers(bench: &Bench, rounds: &Rounds, judged: Judged) -> String {
    let ratio = |peer: &Peer| {
        // What strace costs, it costs while the traced process waits.
        let judged = if *peer == Peer::Strace { Judged::Wall } else { judged };
        let ratio = rounds.ratios(Watcher::Peer(*peer), judged);
        format!("{} {:.2}", peer.name(), ratio.median)
    };
    bench.peers.iter().map(ratio).collect::<Vec<_>>().join(", ")
}

/// A duration with the unit that suits it.
pub(super) fn nanoseconds(count: f64) -> String {
    if count < 1_000.0 { format!("{count:.0} ns") } else { format!("{:.1} µs", count / 1_000.0) }
}

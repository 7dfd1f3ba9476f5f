//! Getting going, and doing nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Bench, peer::Peer, rounds::Spread, table::Row};
use crate::{
    process,
    tracer::{Recording, Tracer},
};

/// Milliseconds.
const REACH_START: f64 = 100.0;
/// MiB.
const REACH_MEMORY: f64 = 20.0;
/// Runs of a tracer, and of a peer.
const RUNS: u32 = 11;
const RUNS_OF_PEER: u32 = 3;
/// How long to be idle before memory is looked at.
const IDLE: Duration = Duration::from_secs(1);

/// Measures the rows.
pub(super) fn rows(bench: &Bench) -> Result<Vec<Row>> {
    eprintln!("start");
    let (mut starts, mut memories) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let begin = Instant::now();
        let (tracer, output) = Tracer::pipe()?;
        starts.push(begin.elapsed().as_secs_f64() * 1e3);
        bench.saw_backend(&tracer);
        if run < RUNS_OF_PEER {
            thread::sleep(IDLE);
            memories.push(mebibytes(process::memory(tracer.pid())?));
        }
        tracer.stop()?;
        // Until now: a pipe that nobody holds would end the tracer.
        drop(output);
    }
    let mut peer_starts = Vec::new();
    let mut peer_memories = Vec::new();
    // strace has nothing to start: it watches only what it runs.
    for peer in bench.peers.iter().filter(|peer| **peer != Peer::Strace) {
        let (start, memory) = measure(*peer)?;
        peer_starts.push(format!("{} {:.0} ms", peer.name(), start.median));
        peer_memories.push(format!("{} {:.0} MiB", peer.name(), memory.median));
    }
    let (start, memory) = (Spread::of(starts), Spread::of(memories));
    Ok(vec![
        Row {
            what: "from start to the first `sync` (peers: to the first event)".to_owned(),
            reach: format!("≤ {REACH_START} ms"),
            measured: format!("{start:.0} ms"),
            peers: peer_starts.join(", "),
            met: start.median <= REACH_START,
            ..Row::default()
        },
        Row {
            what: "memory while idle (Pss without the ring's mapping)".to_owned(),
            reach: format!("≤ {REACH_MEMORY} MiB"),
            measured: format!("{memory:.1} MiB"),
            peers: peer_memories.join(", "),
            met: memory.median <= REACH_MEMORY,
            ..Row::default()
        },
    ])
}

fn measure(peer: Peer) -> Result<(Spread, Spread)> {
    let (mut starts, mut memories) = (Vec::new(), Vec::new());
    for _ in 0..RUNS_OF_PEER {
        let recording = Recording::new("peer")?;
        let (running, took) = peer.start(&recording, true)?;
        starts.push(took.as_secs_f64() * 1e3);
        thread::sleep(IDLE);
        memories.push(mebibytes(process::memory(running.pid())?));
        running.stop()?;
    }
    Ok((Spread::of(starts), Spread::of(memories)))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

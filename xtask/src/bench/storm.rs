//! Two cores that do nothing but unshare, and a tracer that must keep up.

use std::{
    fs::OpenOptions,
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Bench,
    count::Counted,
    peer::Peer,
    ratio::{nanoseconds, peers},
    rounds::{Cost, Judged, Rounds, Spread, Watcher},
    table::Row,
    worker::{Load, Measured, Worker},
};
use crate::{
    process,
    tracer::{Recording, Tracer},
};

/// Calls of one producer.
const CALLS: u64 = 500_000;
const CALLS_OF_PEER: u64 = 15_000;

/// The file is complete when it has hardly grown for this long.
const CALM: Duration = Duration::from_millis(400);
/// Bytes in 10 ms that may be the life of the rest of the machine.
const TRICKLE: u64 = 1 << 15;
/// How long that may take.
const PATIENCE: Duration = Duration::from_mins(1);

const REACH: f64 = 2.0;
/// Seconds.
const REACH_COMPLETE: f64 = 5.0;
/// Microseconds per event.
const REACH_CPU: f64 = 0.8;

/// What only a traced storm has.
#[derive(Debug, Default)]
struct Aftermath {
    /// Seconds from the last call until the file did not grow any more.
    complete: Vec<f64>,
    /// Microseconds of the tracer's CPU time per event.
    cpu: Vec<f64>,
    /// The same of a program that does no more than write as many bytes.
    writing: Vec<f64>,
}

/// Measures the rows of the storm.
pub(super) fn rows(bench: &mut Bench) -> Result<Vec<Row>> {
    let [.., first, second] = *bench.cpus else {
        bail!("a storm on two cores needs two cores");
    };
    let cpus = [first, second];
    let mut aftermath = Aftermath::default();
    let rounds = Rounds::measure(bench, "storm", false, |bench, watcher| {
        once(bench, watcher, cpus, &mut aftermath)
    })?;
    let traced = rounds.ratios(Watcher::NsTrace, Judged::Wall);
    let bare = rounds.bare(Judged::Wall);
    let (complete, cpu) = (Spread::of(aftermath.complete), Spread::of(aftermath.cpu));
    let writing = Spread::of(aftermath.writing);
    let calls = 2 * bench.scaled(CALLS);
    let storm = Row {
        what: format!(
            "two-core unshare(NEWUTS) storm, {calls} calls to NDJSON, wall time ({} a call)",
            nanoseconds(bare.median)
        ),
        reach: format!("≤ {REACH:.1}, nothing lost"),
        measured: format!("{traced}, nothing lost"),
        noise: rounds.ratios(Watcher::NobodyAgain, Judged::Wall).to_string(),
        peers: peers(bench, &rounds, Judged::Wall),
        met: traced.median <= REACH,
    };
    let file = Row {
        what: "from the end of the storm to the complete file".to_owned(),
        reach: format!("≤ {REACH_COMPLETE} s"),
        measured: format!("{complete} s"),
        met: complete.most <= REACH_COMPLETE,
        ..Row::default()
    };
    let processor = Row {
        what: "CPU of the tracer per event in the storm".to_owned(),
        reach: format!("≤ {REACH_CPU} µs"),
        measured: format!("{cpu} µs"),
        peers: format!("only to write as many bytes {writing} µs"),
        met: cpu.median <= REACH_CPU,
        ..Row::default()
    };
    Ok(vec![storm, file, processor])
}

fn once(
    bench: &Bench,
    watcher: Watcher,
    cpus: [usize; 2],
    aftermath: &mut Aftermath,
) -> Result<Cost> {
    let calls = bench.scaled(CALLS);
    let measured = match watcher {
        Watcher::Nobody | Watcher::NobodyAgain => storm(cpus, calls, &[])?,
        Watcher::Floor => bail!("not measured here"),
        Watcher::NsTrace => traced(bench, cpus, calls, aftermath)?,
        Watcher::Peer(Peer::Strace) => {
            let recording = Recording::on_disk("peer")?;
            storm(cpus, CALLS_OF_PEER, &Peer::before(recording.path())?)?
        }
        Watcher::Peer(peer) => {
            let recording = Recording::on_disk("peer")?;
            let (running, _) = peer.start(&recording, false)?;
            let measured = storm(cpus, CALLS_OF_PEER, &[])?;
            running.stop()?;
            measured
        }
    };
    // From the first call of either to the last of both.
    let start = measured.iter().map(|one| one.start).min().unwrap_or_default();
    let end = measured.iter().map(|one| one.end).max().unwrap_or_default();
    let calls: u64 = measured.iter().map(|one| one.calls).sum();
    let cpu = measured.iter().map(|one| one.cpu).sum::<f64>() / 2.0;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let wall = end.saturating_sub(start) as f64 / calls as f64;
    Ok(Cost { wall, cpu })
}

/// Both producers, each on a core of its own.
fn storm(cpus: [usize; 2], calls: u64, before: &[&str]) -> Result<Vec<Measured>> {
    let prepare = |cpu| {
        let load = Load { name: "unshare", calls, batches: 1, cpu: Some(cpu), argument: "" };
        Worker::prepare(&load, before)
    };
    let mut producers = cpus.into_iter().map(prepare).collect::<Result<Vec<_>>>()?;
    for producer in &mut producers {
        producer.go()?;
    }
    producers.into_iter().map(Worker::finish).collect()
}

fn traced(
    bench: &Bench,
    cpus: [usize; 2],
    calls: u64,
    aftermath: &mut Aftermath,
) -> Result<Vec<Measured>> {
    let recording = Recording::on_disk("storm")?;
    let tracer = Tracer::record(&recording, &[])?;
    bench.saw_backend(&tracer);
    let cpu = process::cpu(tracer.pid())?;
    let producers = storm(cpus, calls, &[])?;
    let end = Instant::now();
    let complete = settled(&recording)?.saturating_duration_since(end);
    let cpu = process::cpu(tracer.pid())?.saturating_sub(cpu);
    let said = tracer.stop()?;
    let pids: Vec<_> = producers.iter().map(|producer| producer.pid).collect();
    let counted = Counted::of(&recording, &pids)?;
    counted.check(2 * calls).with_context(|| format!("ns-trace said `{said}`"))?;
    aftermath.complete.push(complete.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let per_event = |cpu: Duration| cpu.as_secs_f64() * 1e6 / counted.lines as f64;
    aftermath.cpu.push(per_event(cpu));
    let len = recording.len()?;
    drop(recording);
    aftermath.writing.push(per_event(writing(len)?));
    Ok(producers)
}

/// How much CPU time it takes to write so many bytes where recordings lie, in pieces as large as the
/// tracer's, and nothing else.
fn writing(len: u64) -> Result<Duration> {
    const PIECE: usize = 1 << 18;
    let recording = Recording::on_disk("floor")?;
    let mut file = OpenOptions::new().write(true).open(recording.path())?;
    let piece = vec![b'\n'; PIECE];
    let before = process::cpu(std::process::id())?;
    for _ in 0..len / PIECE as u64 {
        file.write_all(&piece)?;
    }
    Ok(process::cpu(std::process::id())?.saturating_sub(before))
}

/// Waits until a recording hardly grows any more, and returns since when.
///
/// The deaths of the last namespaces come a little later than that; whether they came is for
/// [`Counted::check`] to say.
pub(super) fn settled(recording: &Recording) -> Result<Instant> {
    let deadline = Instant::now() + PATIENCE;
    let (mut len, mut since) = (recording.len()?, Instant::now());
    while since.elapsed() < CALM {
        ensure!(Instant::now() < deadline, "the recording does not stop growing");
        thread::sleep(Duration::from_millis(10));
        let now = recording.len()?;
        if now - len > TRICKLE {
            since = Instant::now();
        }
        len = now;
    }
    Ok(since)
}

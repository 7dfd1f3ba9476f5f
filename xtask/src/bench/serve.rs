//! The collector: a flood that it must hand on whole, what it costs when nothing happens, and how
//! soon it answers about a crowd.

mod collector;
mod reader;

use std::{
    io, iter,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::{collector::Collector, reader::Readers};
use super::{
    Bench,
    crowd::{Crowd, SET},
    rounds::Spread,
    storm::settled,
    table::Row,
    worker::{self, Load, RARE, Worker},
};
use crate::{process, tracer::Recording};

/// Events of one call of the flood: the new namespace, the change, and the end of the former one.
const EVENTS: u64 = 3;
/// Events per second, without and with a history, and for how many seconds.
const FLOOD: u64 = 100_000;
const REMEMBERED: u64 = 20_000;
const SECONDS: u64 = 60;
/// For how many seconds there is a reader that is too slow, and how long it rests after an event.
const LATE: u64 = 5;
const RESTS: Duration = Duration::from_micros(200);
/// Who reads one event of a hundred.
const READERS: usize = 10;
const WHERE: &str = "event == 'create' && ns.type == 'ipc'";

/// How long nothing happens, and how much of a core that may cost, in percent.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_REACH: f64 = 0.2;

/// How many processes and sets of namespaces are kept, and how much memory that may take in MiB.
const PROCESSES: [usize; 2] = [20_000, SETS];
const SETS: usize = 2_500;
const MEMORY_REACH: f64 = 80.0;

/// In how many milliseconds a command is answered.
const ANSWER_REACH: f64 = 10.0;
/// And one about the past.
const PAST_REACH: f64 = 200.0;
/// How often it is asked for: fewer times where that takes long.
const ANSWERS: usize = 15;
const FEWEST: usize = 3;
const ASKING: Duration = Duration::from_secs(10);

/// Measures the rows.
pub(super) fn rows(bench: &mut Bench) -> Result<Vec<Row>> {
    let mut rows = flood(bench, FLOOD, false)?;
    if Collector::can_remember()? {
        // So that there is something to be found at any time.
        let crowd = Crowd::gather(&bench.children, SETS, SETS)?;
        rows.extend(flood(bench, REMEMBERED, true)?);
        drop(crowd);
    }
    rows.push(late(bench)?);
    rows.push(idle(bench)?);
    for processes in PROCESSES {
        rows.extend(crowd(bench, processes)?);
    }
    Ok(rows)
}

/// What came of a flood.
#[derive(Debug, Default)]
struct Flood {
    events: u64,
    lost: u64,
    /// `create` events.
    made: u64,
}

fn flood(bench: &Bench, rate: u64, remembers: bool) -> Result<Vec<Row>> {
    let calls = bench.scaled(rate * SECONDS / EVENTS);
    let recording = Recording::new("serve")?;
    let collector = Collector::start(&recording, remembers)?;
    let readers = Readers::start(READERS, &collector.http(), Some(WHERE), Duration::ZERO)?;
    let argument = (rate / EVENTS).to_string();
    let load = Load {
        name: "paced",
        calls,
        batches: 1,
        cpu: bench.cpus.first().copied(),
        argument: &argument,
    };
    let before = process::cpu(collector.pid())?;
    let start = Instant::now();
    let mut worker = Worker::prepare(&load, &[])?;
    worker.go()?;
    let measured = worker.finish()?;
    let took = start.elapsed().as_secs_f64();
    settled(&recording)?;
    let cpu = process::cpu(collector.pid())?.saturating_sub(before).as_secs_f64();
    let past = if remembers { past(&collector, &recording, calls)? } else { Vec::new() };
    collector.stop()?;
    let read = readers.finish()?;
    let flood = count(&recording, measured.pid)?;
    let wanted = calls.div_ceil(RARE);
    let missed = read.iter().filter(|reader| reader.events != wanted || reader.lost > 0).count();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let reached = (calls * EVENTS) as f64 / took;
    let how = if remembers { "history, " } else { "" };
    let is_whole = flood.lost == 0 && flood.made == calls && missed == 0;
    // Somebody else's work may slow the producer down.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let is_fast = reached >= rate as f64 * 0.95;
    let row = Row {
        what: format!(
            "collector: {rate} events/s into {how}a file and to {READERS} readers of server-sent \
             events that select 1 %, {} events",
            flood.events
        ),
        reach: "nothing lost".to_owned(),
        measured: format!(
            "{} lost, {} of {calls} births in the file, {missed} readers missed some; {reached:.0} \
             events/s, {:.0} % of a core",
            flood.lost,
            flood.made,
            100.0 * cpu / took
        ),
        met: is_whole && is_fast,
        ..Row::default()
    };
    Ok(iter::once(row).chain(past).collect())
}

/// How soon a history of so many calls answers, while the collector goes on.
fn past(collector: &Collector, recording: &Recording, calls: u64) -> Result<Vec<Row>> {
    use std::io::BufRead as _;
    let half = usize::try_from(calls * EVENTS / 2)?;
    let mut later = recording.read()?.lines().skip(half);
    let is_birth = |line: &io::Result<String>| {
        line.as_ref().is_ok_and(|line| line.contains("\"event\":\"create\""))
    };
    let born = later.find(is_birth).context("no birth in the second half")??;
    let born: Value = serde_json::from_str(&born)?;
    let time = born["time"].as_str().context("no time")?;
    // Inodes are used again and again: only an id names one life, where the kernel has them (6.18).
    let who = match born["ns"]["id"].as_u64() {
        Some(id) => format!("id:{id}"),
        None => inode("/proc/self/ns/uts")?,
    };
    let questions: [(&str, &[&str]); 3] = [
        ("who", &["who", &who]),
        ("list --at", &["list", "--at", time]),
        ("diff", &["diff", time, "now"]),
    ];
    let answered = |(what, words): (&str, &[&str])| {
        let times: Result<_> = (0..ANSWERS).map(|_| collector.remember(words)).collect();
        let times = Spread::of(times?);
        Ok(Row {
            what: format!(
                "history: answer to `{what}` of {} events and {} living namespaces, milliseconds",
                calls * EVENTS,
                SETS * SET
            ),
            reach: format!("< {PAST_REACH}"),
            measured: times.to_string(),
            met: times.median < PAST_REACH,
            ..Row::default()
        })
    };
    questions.into_iter().map(answered).collect()
}

/// A reader that wants everything and is too slow for it.
fn late(bench: &Bench) -> Result<Row> {
    // In less time it would not fall behind what is kept.
    let calls = REMEMBERED * LATE / EVENTS;
    let recording = Recording::new("serve")?;
    let collector = Collector::start(&recording, false)?;
    let reader = Readers::start(1, &collector.http(), None, RESTS)?;
    let argument = (REMEMBERED / EVENTS).to_string();
    let cpu = bench.cpus.first().copied();
    let load = Load { name: "paced", calls, batches: 1, cpu, argument: &argument };
    worker::run(&load, &[])?;
    settled(&recording)?;
    collector.stop()?;
    let read = reader.finish()?;
    let read = read.first().context("no reader")?;
    let flood = count(&recording, 0)?;
    Ok(Row {
        what: format!(
            "collector: a reader of everything that is too slow for {REMEMBERED} events/s, {} events",
            flood.events
        ),
        reach: "told what it missed".to_owned(),
        measured: format!("told of {} missed, {} untold", read.lost, read.untold),
        met: read.lost > 0 && read.untold == 0,
        ..Row::default()
    })
}

/// Counts what is in the file of a sink, whose numbers must have no gap.
fn count(recording: &Recording, pid: u32) -> Result<Flood> {
    use std::io::BufRead as _;
    let mut flood = Flood::default();
    let maker = format!("\"pid\":{pid},");
    let mut last = None;
    for line in recording.read()?.lines() {
        let line = line?;
        let number = line.split_once("\"seq\":").context("an event without a number")?.1;
        let number = number.split(|letter: char| !letter.is_ascii_digit()).next();
        let number: u64 = number.unwrap_or_default().parse()?;
        if line.contains("\"event\":\"lost\"") {
            let event: Value = serde_json::from_str(&line)?;
            flood.lost += event["lost"]["count"].as_u64().unwrap_or_default();
        } else if let Some(last) = last {
            ensure!(number == last + 1 || flood.lost > 0, "{number} follows {last}");
        }
        flood.made += u64::from(line.contains("\"event\":\"create\"") && line.contains(&maker));
        flood.events += 1;
        last = Some(number);
    }
    Ok(flood)
}

fn idle(bench: &Bench) -> Result<Row> {
    let recording = Recording::new("serve")?;
    let collector = Collector::start(&recording, Collector::can_remember()?)?;
    // What belongs to the start is over.
    thread::sleep(Duration::from_secs(3));
    let long = IDLE / u32::try_from(bench.haste)?;
    let (before, start) = (process::cpu(collector.pid())?, Instant::now());
    thread::sleep(long);
    let cpu = process::cpu(collector.pid())?.saturating_sub(before);
    let share = 100.0 * cpu.as_secs_f64() / start.elapsed().as_secs_f64();
    collector.stop()?;
    Ok(Row {
        what: "collector: CPU when nothing happens, of one core".to_owned(),
        reach: format!("< {IDLE_REACH} %"),
        measured: format!("{share:.2} %"),
        met: share < IDLE_REACH,
        ..Row::default()
    })
}

fn crowd(bench: &Bench, processes: usize) -> Result<Vec<Row>> {
    let crowd = Crowd::gather(&bench.children, processes, SETS)?;
    let recording = Recording::new("serve")?;
    let collector = Collector::start(&recording, Collector::can_remember()?)?;
    settled(&recording)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let memory = process::memory(collector.pid())? as f64 / f64::from(1 << 20);
    let uts = inode("/proc/self/ns/uts")?;
    // The last one to come; it waits for the end of what it reads, as the crowd does.
    let mut apart =
        Command::new("unshare").arg("-U").arg(&crowd.program).stdin(Stdio::piped()).spawn()?;
    let pid = apart.id().to_string();
    let place = format!("/proc/{pid}/ns/user");
    let user = loop {
        let user = inode(&place)?;
        if user != inode("/proc/self/ns/user")? {
            break user;
        }
    };
    let mut rows = vec![Row {
        what: format!(
            "collector: memory (Pss without the ring) with {processes} processes in {} namespaces",
            SETS * SET
        ),
        reach: format!("≤ {MEMORY_REACH} MiB"),
        measured: format!("{memory:.1} MiB"),
        met: memory <= MEMORY_REACH,
        ..Row::default()
    }];
    let questions: [(&str, &[&str]); 6] = [
        ("`list`", &["list"]),
        ("`tree`", &["tree"]),
        ("`show` of a namespace", &["show", &uts]),
        ("`why` of a namespace", &["why", &uts]),
        ("`why` of a user namespace", &["why", &user]),
        ("`show` of a process", &["show", &pid]),
    ];
    for (what, words) in questions {
        let (begun, mut times) = (Instant::now(), Vec::new());
        while times.len() < FEWEST || (times.len() < ANSWERS && begun.elapsed() < ASKING) {
            times.push(collector.ask(words)?);
        }
        let times = Spread::of(times);
        rows.push(Row {
            what: format!(
                "collector: answer to {what} with {processes} processes in {} namespaces, milliseconds",
                SETS * SET
            ),
            reach: format!("< {ANSWER_REACH}"),
            measured: times.to_string(),
            met: times.median < ANSWER_REACH,
            ..Row::default()
        });
    }
    collector.stop()?;
    drop(apart.stdin.take());
    apart.wait()?;
    drop(crowd);
    Ok(rows)
}

fn inode(namespace: &str) -> Result<String> {
    Ok(std::fs::metadata(namespace)?.ino().to_string())
}

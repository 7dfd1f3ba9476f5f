//! How many events a second one core makes of records: decode, table, selection and JSON, in the
//! code that a trace runs; only the ring and the file are left out.
//!
//! Prints `decode LOAD FIELDS MEDIAN LEAST MOST`, in events per second of CPU time. `cargo xtask
//! bench` reads that.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod records;

use std::{cell::RefCell, error::Error, fs::File, io, rc::Rc, sync::Arc};

use ns_trace::{
    model::{Event, Fields, JsonWriter, Placement},
    pipeline::{End, Scope, Selection, Stream},
    probe::RecordBuffer,
    sink::{Render, Sink},
    table::{Program, Surroundings, Table},
};
use rustix::time::{ClockId, clock_gettime};

/// Repetitions, of which the median counts.
const ROUNDS: usize = 7;
/// Calls, or lives, of one repetition.
const CALLS: u64 = 60_000;
const LIVES: u64 = 12_000;

fn main() -> Result<(), Box<dyn Error>> {
    let loads = [
        Load::new("storm", records::storm(CALLS), false),
        Load::new("life", records::life(LIVES), true),
    ];
    for load in &loads {
        let least = if load.tasks {
            records::least_events_of_life(LIVES)
        } else {
            records::least_events_of_storm(CALLS)
        };
        for (name, fields) in [("full", Fields::Full), ("compact", Fields::Compact)] {
            measure(load.name, name, || {
                let (events, seconds) = load.run(Box::new(JsonWriter::new(fields)))?;
                if events < least {
                    return Err(format!("{events} events, but at least {least} are due").into());
                }
                Ok((events, seconds))
            })?;
        }
    }
    for load in &loads {
        let events = load.events()?;
        measure(load.name, "serde_json", || {
            let (mut out, mut written, start) = (Vec::new(), 0, cpu_seconds());
            for event in &events {
                out.clear();
                serde_json::to_writer(&mut out, event)?;
                out.push(b'\n');
                written += 1;
            }
            Ok((written, cpu_seconds() - start))
        })?;
    }
    Ok(())
}

/// Repeats a measurement of events and seconds, and prints what came of it.
fn measure(
    load: &str,
    fields: &str,
    once: impl Fn() -> Result<(u64, f64), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let (events, seconds) = once()?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        rates.push(events as f64 / seconds);
    }
    rates.sort_by(f64::total_cmp);
    if let (Some(least), Some(most), Some(median)) =
        (rates.first(), rates.last(), rates.get(ROUNDS / 2))
    {
        println!("decode {load} {fields} {median:.0} {least:.0} {most:.0}");
    }
    Ok(())
}

/// Records as the reader of the ring hands them on.
struct Load {
    name: &'static str,
    pieces: Vec<RecordBuffer>,
    /// Whether `fork`, `exec` and `exit` are events.
    tasks: bool,
}

impl Load {
    const fn new(name: &'static str, pieces: Vec<RecordBuffer>, tasks: bool) -> Self {
        Self { name, pieces, tasks }
    }

    /// Makes events of all records; returns how many, and the CPU time in seconds.
    fn run(&self, render: Box<dyn Render>) -> Result<(u64, f64), Box<dyn Error>> {
        let selection = Selection { tasks: self.tasks, ..Selection::default() };
        let sink = Sink::new(render, Box::new(File::options().write(true).open("/dev/null")?));
        let mut stream = Stream::new(selection, Scope::everybody(), sink, None);
        stream.set_realtime_offset(1_790_000_000_000_000_000);
        let mut table = Table::new(stream.needs_tasks());
        let mut world = World { cgroup: "/user.slice/user-1000.slice".into() };
        table.begin_walk(0);
        take(&records::snapshot(), &mut table, &mut world, &mut stream)?;
        drop(table.take_strangers());
        let start = cpu_seconds();
        for piece in &self.pieces {
            take(piece, &mut table, &mut world, &mut stream)?;
            // A live trace asks the kernel about them; here the next owner of the inode tells of
            // the death, as in any storm.
            drop(table.take_orphans());
        }
        let outcome = stream.finish(Ok(End::Source))?;
        Ok((outcome.events, cpu_seconds() - start))
    }

    /// The events themselves.
    fn events(&self) -> Result<Vec<Event>, Box<dyn Error>> {
        let events = Rc::default();
        self.run(Box::new(Keep(Rc::clone(&events))))?;
        Ok(events.take())
    }
}

fn take(
    piece: &RecordBuffer,
    table: &mut Table,
    world: &mut World,
    stream: &mut Stream,
) -> io::Result<()> {
    let mut findings = Vec::new();
    for record in piece.records() {
        table.apply(&record, world, &mut findings);
        for finding in findings.drain(..) {
            stream.find(finding, table)?;
        }
    }
    stream.flush()
}

/// Keeps events instead of rendering them.
struct Keep(Rc<RefCell<Vec<Event>>>);

impl Render for Keep {
    fn render(&mut self, event: &Event, _out: &mut Vec<u8>) {
        self.0.borrow_mut().push(event.clone());
    }
}

/// A machine that is quick to answer.
struct World {
    cgroup: Arc<str>,
}

impl Surroundings for World {
    fn placement(&mut self, _cgroup: u64, _legacy: u64) -> Placement {
        Placement { cgroup: Some(Arc::clone(&self.cgroup)), ..Placement::default() }
    }

    fn program(&mut self, _pid: u32) -> Option<Program> {
        Some(Program::new(Some(b"/usr/bin/unshare"), Some(b"unshare\0--uts\0true\0"), false))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few seconds")]
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

//! From the return of a call to its line in the hands of a reader.

use std::{
    io::Read as _,
    process::ChildStdout,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    Bench, count,
    rounds::quantile,
    table::Row,
    worker::{self, Load, PULSE},
};
use crate::{clock, tracer::Tracer};

/// Calls of one measurement: ten seconds.
const CALLS: u64 = 1_000;
/// Milliseconds.
const REACH: f64 = 20.0;
/// How long the last line may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Measures the row.
pub(super) fn row(bench: &Bench) -> Result<Row> {
    eprintln!("latency");
    let calls = bench.scaled(CALLS);
    let (tracer, output) = Tracer::pipe()?;
    bench.saw_backend(&tracer);
    let reader = thread::spawn(move || arrivals(output.into_inner()));
    let cpu = bench.cpus.last().copied();
    let load = Load { name: "pulse", calls, batches: 1, cpu, argument: "" };
    let producer = worker::run(&load, &[])?;
    let deadline = Instant::now() + PATIENCE;
    thread::sleep(deadline.saturating_duration_since(Instant::now()));
    tracer.stop()?;
    let lines = reader.join().map_err(|_panic| anyhow::anyhow!("the reader failed"))??;
    let arrived = lines.iter().filter(|(_, line)| count::is_create_of(line, producer.pid));
    let arrived: Vec<u64> = arrived.map(|(time, _)| *time).collect();
    let foreign = lines.len().saturating_sub(3 * arrived.len());
    if foreign > arrived.len() {
        eprintln!("xtask: {foreign} events of others came between: the machine is not quiet");
    }
    ensure!(arrived.len() as u64 == calls, "{calls} calls, but {} `create` lines", arrived.len());
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let took = |(arrival, done): (&u64, &u64)| arrival.saturating_sub(*done) as f64 / 1e6;
    let mut latencies: Vec<f64> = arrived.iter().zip(&producer.returns).map(took).collect();
    latencies.sort_by(f64::total_cmp);
    let [half, most, all] = [0.5, 0.99, 1.0].map(|share| quantile(&latencies, share));
    Ok(Row {
        what: format!("return of the call to line read, {} calls/s", 1_000 / PULSE.as_millis()),
        reach: format!("p99 ≤ {REACH} ms"),
        measured: format!("p99 {most:.2} ms (median {half:.2}, worst {all:.2})"),
        met: most <= REACH,
        ..Row::default()
    })
}

/// All lines until the end, and when each was complete.
fn arrivals(mut output: ChildStdout) -> Result<Vec<(u64, Vec<u8>)>> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = output.read(&mut buffer)?;
        let now = clock::boot()?;
        if len == 0 {
            return Ok(lines);
        }
        for byte in buffer.iter().take(len) {
            line.push(*byte);
            if *byte == b'\n' {
                lines.push((now, std::mem::take(&mut line)));
            }
        }
    }
}

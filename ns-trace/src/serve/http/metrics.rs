//! How the collector is.

use std::{
    fs,
    os::fd::AsFd as _,
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::State as Extract,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio::{sync::oneshot, time::timeout};

use super::{State, aside, problem::Problem, query::picture};
use crate::{
    history::Store,
    model::{Kind, Time},
    pipeline::Inquiry,
    serve::{
        Shared,
        statistics::{family, sample},
    },
    sink::worker::Figures,
    sys::bpf,
};

/// How long a healthy pipeline may take to say so.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of what it was built, if whoever built it has said so.
const COMMIT: &str = match option_env!("NS_TRACE_COMMIT") {
    Some(commit) => commit,
    None => "",
};

pub(super) async fn metrics(Extract(state): Extract<State>) -> Result<Response, Problem> {
    let picture = picture(&state.shared).await?;
    let shared = &state.shared;
    let mut out = String::new();
    family(&mut out, "build_info", "gauge", "Which ns-trace this is.");
    let version = env!("CARGO_PKG_VERSION");
    sample(&mut out, "build_info", &format!("version=\"{version}\",commit=\"{COMMIT}\""), 1);
    probes(shared, &mut out);
    let sinks = shared.outgoing.lock().unwrap_or_else(PoisonError::into_inner).figures();
    let lost = sinks.iter().map(|(_, figures)| figures.lost).sum();
    let statistics = shared.statistics.lock().unwrap_or_else(PoisonError::into_inner).clone();
    statistics.write(lost, &mut out);
    family(&mut out, "namespaces", "gauge", "Namespaces that exist.");
    for kind in Kind::ALL {
        let rows = picture.world.namespaces.iter().filter(|row| row.info.kind == kind);
        sample(&mut out, "namespaces", &format!("type=\"{}\"", kind.name()), rows.count());
    }
    family(&mut out, "processes", "gauge", "Processes that exist.");
    sample(&mut out, "processes", "", picture.world.processes.len());
    shared.refused.write(&mut out);
    let name = "journal_errors_total";
    family(&mut out, name, "counter", "Times that a restart came to lose what happens during it.");
    sample(&mut out, name, "", shared.journal_errors.load(Ordering::Relaxed));
    let mut of_sinks = |name: &str, kind: &str, help: &str, figure: fn(&Figures) -> u64| {
        family(&mut out, name, kind, help);
        for (sink, figures) in &sinks {
            sample(&mut out, name, &format!("sink={sink:?}"), figure(figures));
        }
    };
    let (name, help) = ("sink_events_total", "Events that a sink has handed on.");
    of_sinks(name, "counter", help, |figures| figures.written);
    let (name, help) = ("sink_errors_total", "Attempts of a sink that failed.");
    of_sinks(name, "counter", help, |figures| figures.errors);
    let (name, help) = ("sink_lost_total", "Events that a sink has missed.");
    of_sinks(name, "counter", help, |figures| figures.lost);
    let (name, help) = ("sink_waiting", "Events that wait for a sink.");
    of_sinks(name, "gauge", help, |figures| figures.waiting);
    if let Some((path, status)) = &shared.history {
        let path = path.clone();
        let scrape = Arc::clone(&state.scrape).acquire_owned().await.map_err(Problem::broken)?;
        let kept = aside(scrape, move || Kept::of(&path)).await?;
        family(&mut out, "history_bytes", "gauge", "How large the history's files are.");
        sample(&mut out, "history_bytes", "", kept.bytes);
        if let Some(oldest) = kept.oldest {
            let name = "history_oldest_timestamp_seconds";
            family(&mut out, name, "gauge", "When the oldest event of the history was.");
            sample(&mut out, name, "", oldest);
        }
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        family(&mut out, "history_events_total", "counter", "Events that the history has stored.");
        sample(&mut out, "history_events_total", "", number(&status.written));
        family(&mut out, "history_lost_total", "counter", "Events that the history missed.");
        sample(&mut out, "history_lost_total", "", number(&status.lost));
        family(&mut out, "history_errors_total", "counter", "Attempts to store that failed.");
        sample(&mut out, "history_errors_total", "", number(&status.errors));
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, out).into_response())
}

/// Writes what hangs in the kernel, and what the kernel counts of it.
fn probes(shared: &Shared, out: &mut String) {
    let Some(probes) = shared.probes.get() else { return };
    family(out, "probe_attached", "gauge", "Programs that hang in the kernel.");
    for (probe, _) in probes {
        sample(out, "probe_attached", &format!("probe=\"{probe}\""), 1);
    }
    let name = "probe_run_seconds_total";
    family(out, name, "counter", "How long a program ran while kernel.bpf_stats_enabled was 1.");
    for (probe, program) in probes {
        // Where nothing is measured there is nothing to tell.
        if let Ok(runs) = bpf::runs(program.as_fd())
            && runs.measured > 0
        {
            let time = Duration::from_nanos(runs.time_ns).as_secs_f64();
            sample(out, name, &format!("probe=\"{probe}\""), time);
        }
    }
}

/// What the history has.
#[derive(Default)]
struct Kept {
    bytes: u64,
    /// Seconds since 1970.
    oldest: Option<f64>,
}

impl Kept {
    fn of(path: &Path) -> Self {
        // What is not in the file yet (https://www.sqlite.org/wal.html).
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let len = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let span = Store::read(path).and_then(|store| store.span());
        #[expect(clippy::cast_precision_loss, reason = "microseconds are lost")]
        let oldest = span.ok().flatten().map(|(Time(first), _)| first as f64 / 1e9);
        Self { bytes: len(path) + len(Path::new(&log)), oldest }
    }
}

/// Whether the pipeline goes on.
pub(super) async fn healthz(Extract(state): Extract<State>) -> Result<&'static str, Problem> {
    let (answer, answered) = oneshot::channel();
    state.shared.inquiries.ask(Inquiry::Alive(Box::new(move || {
        // It may be too late.
        let _told = answer.send(());
    })));
    let in_time = timeout(PATIENCE, answered).await;
    in_time.ok().and_then(Result::ok).map(|()| "ok\n").ok_or_else(Problem::silent)
}

/// Whether events are seen.
pub(super) async fn readyz(Extract(state): Extract<State>) -> Result<&'static str, Problem> {
    let is_ready = state.shared.start.get().is_some();
    let early = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the first snapshot is not taken");
    is_ready.then_some("ok\n").ok_or_else(early)
}

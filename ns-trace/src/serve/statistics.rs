//! Counters, and how Prometheus reads them.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use crate::model::{
    Event, Kind,
    event::{Body, EventKind, Stage},
};

/// The upper bounds of the lifetimes that are counted, in seconds.
const BOUNDS: [f64; 8] = [0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

/// What has passed so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    /// By sort; the last is of no type.
    events: [[u64; 9]; EventKind::ALL.len()],
    lost: [u64; Stage::ALL.len()],
    lifetimes: [Lifetimes; 8],
    alerts: BTreeMap<(Arc<str>, &'static str), u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lifetimes {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    seconds: f64,
}

impl Statistics {
    /// Counts an event.
    pub(super) fn count(&mut self, event: &Event) {
        let kind = match &event.body {
            Body::Create(event) => Some(event.ns.kind),
            Body::Destroy(event) => Some(event.ns.kind),
            Body::Map(event) => Some(event.ns.kind),
            Body::Exist(event) => Some(event.ns.kind),
            _ => None,
        };
        let of_sort = self.events.get_mut(event.body.kind() as usize);
        let place = kind.map_or(8, |kind| kind as usize);
        if let Some(count) = of_sort.and_then(|counts| counts.get_mut(place)) {
            *count += 1;
        }
        match &event.body {
            Body::Lost(lost) => {
                let place = Stage::ALL.iter().position(|stage| *stage == lost.lost.stage);
                if let Some(count) = place.and_then(|place| self.lost.get_mut(place)) {
                    *count += lost.lost.count;
                }
            }
            Body::Alert(alert) => {
                let key = (Arc::clone(&alert.rule), alert.severity.name());
                *self.alerts.entry(key).or_default() += 1;
            }
            Body::Destroy(gone) => {
                if let Some(lifetime) = gone.lifetime_ns
                    && let Some(lifetimes) = self.lifetimes.get_mut(gone.ns.kind as usize)
                {
                    lifetimes.add(lifetime);
                }
            }
            _ => {}
        }
    }

    /// Writes them in the text format of Prometheus; `sinks` missed so many.
    pub(super) fn write(&self, sinks: u64, out: &mut String) {
        family(out, "events_total", "counter", "Events, by sort and type of namespace.");
        for (sort, counts) in EventKind::ALL.iter().zip(&self.events) {
            let names = Kind::ALL.map(Kind::name).into_iter().chain([""]);
            for (name, count) in names.zip(counts).filter(|(_, count)| **count > 0) {
                let labels = format!("event=\"{}\",type=\"{name}\"", sort.name());
                sample(out, "events_total", &labels, *count);
            }
        }
        family(out, "events_lost_total", "counter", "Events that are missing, by stage.");
        for (stage, count) in Stage::ALL.into_iter().zip(self.lost) {
            let count = if stage == Stage::Sink { count + sinks } else { count };
            sample(out, "events_lost_total", &format!("stage=\"{}\"", stage.name()), count);
        }
        family(out, "rule_matches_total", "counter", "Alerts, by rule and severity.");
        for ((rule, severity), count) in &self.alerts {
            let labels = format!("rule={rule:?},severity=\"{severity}\"");
            sample(out, "rule_matches_total", &labels, count);
        }
        let name = "namespace_lifetime_seconds";
        family(
            out,
            name,
            "histogram",
            "How long namespaces lived whose birth and death were seen.",
        );
        for (kind, lifetimes) in Kind::ALL.iter().zip(&self.lifetimes) {
            lifetimes.write(name, kind.name(), out);
        }
    }
}

impl Lifetimes {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a lifetime need no more")]
    fn add(&mut self, lifetime_ns: u64) {
        let seconds = lifetime_ns as f64 / 1e9;
        self.count += 1;
        self.seconds += seconds;
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    fn write(&self, name: &str, kind: &str, out: &mut String) {
        for (count, bound) in self.buckets.iter().zip(BOUNDS) {
            let labels = format!("type=\"{kind}\",le=\"{bound}\"");
            sample(out, &format!("{name}_bucket"), &labels, count);
        }
        let labels = format!("type=\"{kind}\",le=\"+Inf\"");
        sample(out, &format!("{name}_bucket"), &labels, self.count);
        sample(out, &format!("{name}_sum"), &format!("type=\"{kind}\""), self.seconds);
        sample(out, &format!("{name}_count"), &format!("type=\"{kind}\""), self.count);
    }
}

/// Begins a family of samples.
pub(super) fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP nstrace_{name} {help}\n# TYPE nstrace_{name} {kind}");
}

/// Writes one sample.
pub(super) fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(out, "nstrace_{name}{labels} {value}");
}

//! Clients that were turned away, so that they are in nobody's way.

use std::sync::atomic::{AtomicU64, Ordering};

use super::statistics::{family, sample};

/// Where clients come in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Door {
    Control,
    Http,
}

/// Why one was turned away.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    /// There were too many, of all or of one user.
    Many,
    /// It took too long to say what it wants.
    Slow,
    /// It took nothing of its answer for too long.
    Stalled,
    /// What it said is no request.
    Malformed,
}

const DOORS: [(Door, &str); 2] = [(Door::Control, "control"), (Door::Http, "http")];
const REASONS: [(Reason, &str); 4] = [
    (Reason::Many, "many"),
    (Reason::Slow, "slow"),
    (Reason::Stalled, "stalled"),
    (Reason::Malformed, "malformed"),
];

/// How many there were.
#[derive(Debug, Default)]
pub(super) struct Refused([[AtomicU64; REASONS.len()]; DOORS.len()]);

impl Refused {
    pub(super) fn count(&self, door: Door, reason: Reason) {
        self.at(door, reason).fetch_add(1, Ordering::Relaxed);
    }

    /// Writes them in the text format of Prometheus.
    pub(super) fn write(&self, out: &mut String) {
        let name = "clients_refused_total";
        family(out, name, "counter", "Clients that were turned away, by socket and reason.");
        for (door, socket) in DOORS {
            for (reason, word) in REASONS {
                let labels = format!("socket=\"{socket}\",reason=\"{word}\"");
                sample(out, name, &labels, self.at(door, reason).load(Ordering::Relaxed));
            }
        }
    }

    const fn at(&self, door: Door, reason: Reason) -> &AtomicU64 {
        &self.0[door as usize][reason as usize]
    }
}

//! Losses, and the snapshots that heal them.

use std::time::{Duration, Instant};

use super::{Error, LOSSES, Live, PATIENCE, REPEATS};
use crate::{
    model::event::{Body, ByEvent, Loss, Lost, Source, Stage},
    pipeline::journal::Note,
    sys::clock,
    table::Finding,
};

/// How long there must be no loss before the snapshot that heals it: one taken in the middle would
/// be lost as well.
pub(super) const QUIET: Duration = Duration::from_millis(200);
/// How long that can put the snapshot off: where something is always lost, it must do.
const UNQUIET: Duration = Duration::from_secs(1);

impl Live {
    /// Stands back as far as the backlog allows; reads the probes' counters if no records are
    /// waiting, which tell of losses in their place, and heals what was lost, when that is due.
    pub(super) fn care(&mut self, now: Instant, is_idle: bool) -> Result<(), Error> {
        self.turn.take(!self.backlog.is_half_full());
        if is_idle && now >= self.losses_due {
            self.losses_due = now + LOSSES;
            let losses = self.losses.look(self.probes.ledgers());
            let is_new = !losses.is_empty();
            for (cpu, by_event) in losses {
                self.lose(Stage::Ring, Some(cpu.into()), by_event)?;
            }
            if is_new {
                self.note(&Note::Losses(self.losses.clone()));
            }
        }
        if now >= self.repeats_due {
            self.repeats_due = now + REPEATS;
            self.probes.repeats()?;
            let missed = self.probes.missed()?;
            if missed.sum() != 0 {
                self.lose(Stage::Kernel, None, missed)?;
                self.note(&Note::Misses(self.probes.misses().clone()));
            }
        }
        if self.table.is_walking() && now >= self.walk_ends {
            self.heal_due = Some(now);
        }
        if self.heal_due.is_some_and(|due| due <= now) {
            self.heal_due = None;
            self.walk()?;
        }
        Ok(())
    }

    /// Takes a snapshot.
    pub(super) fn walk(&mut self) -> Result<(), Error> {
        self.unhealed = None;
        self.is_rest_due = false;
        self.walk_began = clock::boot_ns();
        self.table.begin_walk(self.walk_began);
        self.walk_ends = Instant::now() + PATIENCE;
        Ok(self.probes.snapshot()?)
    }

    /// Whether the snapshot needs another run, since rows of this one found no room in the ring: there
    /// is some again, now that its end mark was read. Starts it.
    pub(super) fn goes_on(&mut self) -> Result<bool, Error> {
        let lost = self.probes.lost_members();
        if lost == std::mem::replace(&mut self.lost_members, lost) {
            return Ok(false);
        }
        self.walk_ends = Instant::now() + PATIENCE;
        self.is_rest_due = true;
        if self.keeping.is_none() {
            self.go_on()?;
        }
        Ok(true)
    }

    /// Starts the next run of the snapshot if there is room in the ring for it.
    pub(super) fn go_on(&mut self) -> Result<(), Error> {
        let keeping = self.keeping.as_ref();
        let has_room = keeping.is_none_or(|keeping| keeping.has_released(self.position));
        if self.is_rest_due && has_room {
            self.is_rest_due = false;
            self.walk_ends = Instant::now() + PATIENCE;
            self.probes.rest_of_snapshot()?;
        }
        Ok(())
    }

    /// Says what is missing, and has the table healed.
    pub(super) fn lose(
        &mut self,
        stage: Stage,
        cpu: Option<u32>,
        by_event: ByEvent,
    ) -> Result<(), Error> {
        let by_event = self.stream.missed(by_event);
        let count = by_event.sum();
        self.say_lost(Loss { count, stage, by_event, cpu })
    }

    /// Says that `count` events are missing, and has the table healed.
    pub(super) fn say_lost(&mut self, lost: Loss) -> Result<(), Error> {
        let now = Instant::now();
        let latest = *self.unhealed.get_or_insert(now) + UNQUIET;
        self.heal_due = Some((now + QUIET).min(latest));
        self.table.set_complete(false);
        if lost.count == 0 {
            return Ok(());
        }
        let body = Body::Lost(Lost { lost });
        let boot_ns = clock::boot_ns();
        self.findings.push(Finding { boot_ns, source: Source::Probe, body, row: None });
        self.tell()
    }
}

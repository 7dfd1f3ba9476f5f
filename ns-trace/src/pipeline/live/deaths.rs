//! What the kernel answers about namespaces: who owns them, and whether they still live.

use std::time::Instant;

use ns_trace_common::inspect::{ALIVE, Inspect, RELATIVES};

use super::{Error, Live};
use crate::{pipeline::journal::Note, sys::clock, table::RowId};

/// How long a call takes that makes namespaces: those that it makes are in the kernel's lists before it
/// is over.
const CALL_NS: u64 = 900_000_000;

impl Live {
    /// Finds owner and parent of the namespaces whose birth was not seen.
    pub(super) fn relate(&mut self) -> Result<(), Error> {
        loop {
            // Owners and parents may be strangers themselves.
            let strangers = self.table.take_strangers();
            if strangers.is_empty() {
                return Ok(());
            }
            for (id, answer) in self.inspect(&strangers, RELATIVES)? {
                self.table.relate(id, &answer);
            }
        }
    }

    /// Takes in all namespaces that there are, as the kernel's own lists have them: those that nobody is
    /// in may be older than the probes, or born unseen or while events were lost. A birth that was in
    /// the ring when this was asked was taken before; of a call that was still under way it comes
    /// afterwards, so whatever is new here is told of a while later. They were listed from `began` on
    /// (nanoseconds of the boot clock).
    pub(super) fn meet(&mut self, began: u64, all: &[Inspect]) -> Result<(), Error> {
        let boot_ns = clock::boot_ns();
        let due = self.table.listed_before(began.saturating_sub(CALL_NS));
        for id in &due {
            self.table.exists(*id, boot_ns, &mut self.findings);
        }
        let met: Vec<_> = all.iter().filter_map(|one| self.table.meet_listed(one, began)).collect();
        for (id, answer) in self.inspect(&met, ALIVE)? {
            if answer.alive == 0 {
                self.table.forget(id);
            }
        }
        self.relate()?;
        if let Some(keeping) = self.keeping.as_mut().filter(|_| !(met.is_empty() && due.is_empty()))
        {
            keeping.renew();
        }
        let is_healed = self.heal_due.is_none() && !self.table.is_walking();
        // What was lost before the last snapshot began is in the lists.
        self.table.set_complete(is_healed && began >= self.walk_began);
        self.tell()
    }

    /// Asks the kernel about namespaces.
    fn inspect(&mut self, ids: &[RowId], want: u32) -> Result<Vec<(RowId, Inspect)>, Error> {
        let asked: Vec<_> = ids
            .iter()
            .filter_map(|id| {
                let row = self.table.row(*id)?;
                let kind = row.kind as u32;
                Some((*id, Inspect { ns: row.ns, kind, want, ..Inspect::default() }))
            })
            .collect();
        let mut questions: Vec<_> = asked.iter().map(|(_, question)| *question).collect();
        self.probes.inspect(&mut questions)?;
        Ok(asked.into_iter().map(|(id, _)| id).zip(questions).collect())
    }

    /// Looks at namespaces without tasks and tells of those that are gone.
    pub(super) fn bury(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let orphans = self.table.take_orphans();
        let Some(pause) = self.probes.backend().looks_after() else {
            return Ok(());
        };
        // Most are gone already when many come at once: another has their inode.
        let is_empty = |id: &RowId| self.table.row(*id).is_some_and(|row| row.members == 0);
        for id in orphans.into_iter().filter(is_empty) {
            self.watch.add(id, now + pause);
        }
        let mut due = self.watch.due(now);
        due.retain(|id| {
            let is_empty = is_empty(id);
            if !is_empty {
                self.watch.forget(*id);
            }
            is_empty
        });
        if due.is_empty() {
            return Ok(());
        }
        let answers = self.inspect(&due, ALIVE)?;
        // Not before they were asked: what lets go in between is gone already, and held until then.
        let boot_ns = clock::boot_ns();
        for (id, answer) in answers {
            if answer.alive == 0 {
                self.watch.forget(id);
                let note = self.table.row(id).map(|row| Note::died(row.kind, &row.ns, boot_ns));
                self.table.died(id, boot_ns, &mut self.findings);
                self.tell()?;
                if let Some(note) = note {
                    self.note(&note);
                }
            } else {
                self.watch.again(id, now);
            }
        }
        self.tell()
    }

    /// After a loss: looks at every namespace, whoever is thought to be in it.
    pub(super) fn bury_all(&mut self) -> Result<(), Error> {
        let all: Vec<_> = self.table.rows().map(|(id, _)| id).collect();
        let answers = self.inspect(&all, RELATIVES)?;
        let boot_ns = clock::boot_ns();
        for (id, answer) in answers {
            if answer.alive == 0 {
                self.table.died(id, boot_ns, &mut self.findings);
            } else {
                self.table.confirm(id, &answer);
            }
        }
        self.tell()
    }
}

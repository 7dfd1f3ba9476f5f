//! What a live stream leaves behind, so that another process goes on where it ended.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Error, Live, world::World};
use crate::{
    pipeline::journal::{Change, Found, Journal, Note},
    probe::{Gaps, Loaded, Losses, Misses, Probes, Record, RecordBuffer},
    table::Table,
};

/// How soon the kernel is given back what has arrived.
pub(super) const SETTLE: Duration = Duration::from_millis(10);

/// That another process is to go on when this one has ended.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Where files about the stream are; they go with the machine's next start, or earlier.
    pub directory: PathBuf,
    /// The number of the last event of former processes that has arrived for good; `None` if
    /// whatever they told has.
    pub arrived: Option<u64>,
}

/// What is kept while the stream goes on.
#[derive(Debug)]
pub(super) struct Keeping {
    journal: Journal,
    /// The numbers of the records that were taken.
    gaps: Gaps,
    /// Up to where the kernel may have the ring back.
    pub(super) settled: Arc<AtomicU64>,
    /// Marks that have not arrived yet.
    pending: VecDeque<(u64, u64)>,
    /// Whether the state is to be written anew.
    is_due: bool,
}

/// What a former process has left.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) table: Table,
    pub(super) losses: Losses,
}

impl Keeping {
    pub(super) fn gaps(&self) -> Gaps {
        self.gaps.clone()
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Has the state written anew.
    pub(super) const fn renew(&mut self) {
        self.is_due = true;
    }
}

/// Takes up what a former process has left, if it has; else sees to it that nothing of it is left.
pub(super) fn take_up(
    keep: &Keep,
    loaded: &mut Loaded,
    table: Table,
    world: &mut World,
) -> Result<(Keeping, Result<Former, Table>), Error> {
    let mut journal = Journal::new(&keep.directory, loaded.probes.ring_name()?);
    let found = journal.find(keep.arrived).map_err(Error::Keep)?;
    let mut keeping = Keeping {
        journal,
        gaps: Gaps::default(),
        settled: Arc::new(AtomicU64::new(0)),
        pending: VecDeque::new(),
        is_due: true,
    };
    let former = match found.filter(|_| loaded.probes.were_there()) {
        Some(found) => Ok(replay(found, loaded, table, &mut keeping, world)),
        None => Err(table),
    };
    keeping.settled.store(loaded.ring.released(), Ordering::Release);
    Ok((keeping, former))
}

/// Leads the state through what was told already.
fn replay(
    found: Found,
    loaded: &mut Loaded,
    table: Table,
    keeping: &mut Keeping,
    world: &mut World,
) -> Former {
    let Found { state, changes, position } = found;
    let (mut losses, mut misses): (_, Misses) = (state.losses, state.misses);
    keeping.gaps = state.gaps;
    let mut table = table.restored(state.table);
    let mut told = Vec::new();
    for change in changes {
        match change {
            Change::Records(records) => {
                records.headers().for_each(|header| keeping.gaps.came(header));
                for record in records.records() {
                    if let Record::Lost(lost) = record {
                        losses.learn(lost.header.cpu, &lost.lost);
                    }
                    table.apply(&record, world, &mut told);
                    told.clear();
                }
                // Those were said to be lost.
                table.take_unheard();
            }
            Change::Note(Note::Died { kind, address, id, inode, boot_ns }) => {
                let ns = ns_trace_common::Ns { address, id, inode, reserved: 0 };
                if let Some(row) = table.find(kind, &ns) {
                    table.died(row, boot_ns, &mut told);
                    told.clear();
                }
            }
            Change::Note(Note::Losses(told)) => losses = told,
            Change::Note(Note::Missing { cpu, records }) => keeping.gaps.said(cpu, records),
            Change::Note(Note::Misses(told)) => misses = told,
        }
    }
    loaded.probes.set_misses(misses);
    loaded.ring.seek(position);
    Former { table, losses }
}

/// Loads the probes anew, as what was left of a former process cannot be taken up.
pub(super) fn afresh(probes: Probes, options: &crate::probe::Options) -> Result<Loaded, Error> {
    probes.unpin()?;
    Ok(Probes::load(options)?)
}

impl Live {
    /// Notes records, all of whose events were told.
    pub(super) fn note_records(&mut self, records: &RecordBuffer) -> Result<(), Error> {
        let seq = self.stream.outlet().last();
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        records.headers().for_each(|header| keeping.gaps.came(header));
        if !keeping.journal.has_begun() {
            // Nothing was told that could be taken up.
            keeping.settled.store(records.end, Ordering::Release);
        }
        self.position = records.end;
        keeping.journal.records(records, seq).map_err(Error::Keep)
    }

    /// Notes something that was told and is in no record.
    pub(super) fn note(&mut self, note: &Note) -> Result<(), Error> {
        let seq = self.stream.outlet().last();
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        if let Note::Missing { cpu, records } = note {
            keeping.gaps.said(*cpu, *records);
        }
        keeping.journal.note(note, seq).map_err(Error::Keep)
    }

    /// Marks where the stream can be taken up, and gives the kernel back what has arrived.
    pub(super) fn keep(&mut self) -> Result<(), Error> {
        let Some(keeping) = self.keeping.as_mut().filter(|_| self.started) else { return Ok(()) };
        if (keeping.is_due || keeping.journal.is_long()) && !self.table.is_walking() {
            keeping.is_due = false;
            let accounts = (&self.losses, &keeping.gaps, self.probes.misses());
            let mark = (self.stream.outlet().last(), self.position);
            let state = self.table.state();
            keeping.journal.begin(mark, accounts, state).map_err(Error::Keep)?;
        }
        if !keeping.journal.has_begun() {
            return Ok(());
        }
        let mark = keeping.journal.mark();
        if keeping.pending.back() != Some(&mark) {
            self.stream.outlet().mark(mark.0);
            keeping.pending.push_back(mark);
        }
        let arrived = self.stream.outlet().arrived();
        while let Some((_, position)) = keeping.pending.pop_front_if(|(seq, _)| *seq <= arrived) {
            keeping.settled.store(position, Ordering::Release);
        }
        keeping.journal.arrived(arrived);
        Ok(())
    }
}

//! What a live stream leaves behind, so that another process goes on where it ended.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Error, Live, world::World};
use crate::{
    model::event::{Body, ByEvent, Loss, Reason, Source, Stage, Sync},
    pipeline::journal::{Change, Found, Journal, Note},
    probe::{
        self, Gaps, Loaded, Losses, Misses, Overlap, Probes, Record, RecordBuffer, reader::Settled,
    },
    sys::clock,
    table::{Finding, Table},
};

/// How soon the kernel is given back what has arrived.
pub(super) const SETTLE: Duration = Duration::from_millis(10);

/// When it is tried again to write what could not be written.
const AGAIN: Duration = Duration::from_secs(2);

/// How long two sets of probes are attached together.
const TOGETHER: Duration = Duration::from_millis(100);

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
    pub(super) settled: Arc<Settled>,
    /// Marks that have not arrived yet.
    pending: VecDeque<(u64, u64)>,
    /// Whether the state is to be written anew.
    is_due: bool,
    /// When to try again; `None` unless it could not be written.
    again: Option<Instant>,
    /// After that, the event that must have arrived before the stream can be taken up again.
    resumed: Option<u64>,
    /// Probes that were replaced, and the event that must have arrived before they go.
    replaced: Option<(probe::Former, Option<u64>)>,
}

/// What a former process has left.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) table: Table,
    pub(super) losses: Losses,
    /// Whether the start of the stream is to be told again.
    pub(super) is_start: bool,
}

impl Keeping {
    pub(super) fn gaps(&self) -> Gaps {
        self.gaps.clone()
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the kernel has back all that is before `position`.
    pub(super) fn has_released(&self, position: u64) -> bool {
        self.settled.released() >= position
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
        settled: Arc::default(),
        pending: VecDeque::new(),
        is_due: true,
        again: None,
        resumed: None,
        replaced: None,
    };
    let former = match found.filter(|_| loaded.probes.were_there()) {
        Some(found) => {
            let replayed = replay(found, table, world);
            loaded.probes.set_misses(replayed.misses);
            loaded.ring.seek(replayed.position);
            keeping.gaps = replayed.gaps;
            let Replayed { table, losses, is_start, .. } = replayed;
            Ok(Former { table, losses, is_start })
        }
        None => Err(table),
    };
    keeping.settled.settle(loaded.ring.released());
    Ok((keeping, former))
}

/// Where the state has led.
struct Replayed {
    table: Table,
    losses: Losses,
    gaps: Gaps,
    misses: Misses,
    position: u64,
    is_start: bool,
}

/// Leads the state through what was told already.
fn replay(found: Found, table: Table, world: &mut World) -> Replayed {
    let Found { state, changes, position, is_start } = found;
    let (mut losses, mut misses, mut gaps) = (state.losses, state.misses, state.gaps);
    let mut table = table.restored(state.table);
    let mut told = Vec::new();
    for change in changes {
        match change {
            Change::Records(records) => {
                records.headers().for_each(|header| gaps.came(header));
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
            Change::Note(Note::Missing { cpu, records }) => gaps.said(cpu, records),
            Change::Note(Note::Misses(told)) => misses = told,
        }
    }
    Replayed { table, losses, gaps, misses, position, is_start }
}

/// Probes of another make that are to be replaced, and how far they were read.
#[derive(Debug)]
pub(super) struct Switch {
    probes: probe::Former,
    position: u64,
    losses: Losses,
    gaps: Gaps,
}

/// Takes up what was left of a collector with probes of another make, if there is something.
pub(super) fn switch(
    keep: &Keep,
    probes: &Probes,
    table: Table,
    world: &mut World,
) -> Result<Option<(Former, Switch)>, Error> {
    for probes in probes.formers() {
        let mut journal = Journal::new(&keep.directory, probes.ring_name().to_owned());
        if let Some(found) = journal.find(keep.arrived).map_err(Error::Keep)? {
            let Replayed { table, losses, gaps, position, is_start, .. } =
                replay(found, table, world);
            let switch = Switch { probes, position, losses, gaps };
            return Ok(Some((Former { table, losses: Losses::default(), is_start }, switch)));
        }
    }
    Ok(None)
}

/// Loads the probes anew, as what was left of a former process cannot be taken up.
pub(super) fn afresh(probes: Probes, options: &probe::Options) -> Result<Loaded, Error> {
    probes.unpin()?;
    Ok(Probes::load(options)?)
}

impl Live {
    /// Tells again that the stream begins, as that has not arrived.
    pub(super) fn start_again(&mut self) -> Result<(), Error> {
        let now = clock::boot_ns();
        self.stream.set_realtime_offset(clock::realtime_offset());
        let body = Body::Sync(Sync { reason: Reason::Start, host: self.host() });
        self.findings.push(Finding { boot_ns: now, source: Source::Probe, body, row: None });
        if self.options.snapshot {
            let rows: Vec<_> = self.table.rows().map(|(id, _)| id).collect();
            for id in rows {
                self.table.exists(id, now, &mut self.findings);
            }
        }
        self.tell()
    }

    /// Tells what probes of another make have told until now, when those of this process are attached
    /// too, and removes them. What both have told of is left out of what these tell.
    pub(super) fn take_over(&mut self, switch: Switch) -> Result<(), Error> {
        let Switch { mut probes, position, mut losses, mut gaps } = switch;
        let mut overlap = Overlap::default();
        // What only one of the sets has told of must not be taken for what only the other has.
        thread::sleep(TOGETHER);
        probes.detach().map_err(Error::Keep)?;
        for records in probes.rest(position, &mut gaps) {
            self.stream.set_realtime_offset(clock::realtime_offset());
            for record in records.records() {
                if let Record::Lost(lost) = record {
                    let by_event = losses.learn(lost.header.cpu, &lost.lost);
                    self.lose(Stage::Ring, Some(lost.header.cpu.into()), by_event)?;
                }
                overlap.tell(&record);
                self.table.apply(&record, &mut self.world, &mut self.findings);
                self.tell()?;
            }
        }
        let unheard = self.table.take_unheard();
        self.lose(Stage::Backlog, None, unheard)?;
        let (events, records) = probes.lost(&mut losses, &mut gaps);
        for (cpu, by_event) in events {
            self.lose(Stage::Ring, Some(cpu.into()), by_event)?;
        }
        for (cpu, count) in records {
            let (stage, by_event) = (Stage::Ring, ByEvent::default());
            self.say_lost(Loss { count, stage, by_event, cpu: Some(cpu.into()) })?;
        }
        self.table.forget_heard();
        self.overlap = Some(overlap);
        // Its end comes by when both sets have told all that they have in common.
        self.heal_due = Some(Instant::now() + TOGETHER);
        if let Some(keeping) = &mut self.keeping {
            keeping.replaced = Some((probes, None));
        }
        Ok(())
    }

    /// Notes records, all of whose events were told.
    pub(super) fn note_records(&mut self, records: &RecordBuffer) {
        let seq = self.stream.outlet().last();
        let Some(keeping) = &mut self.keeping else { return };
        records.headers().for_each(|header| keeping.gaps.came(header));
        if !self.started || keeping.again.is_some() {
            // Nothing was told that could be taken up.
            keeping.settled.settle(records.end);
        }
        self.position = records.end;
        let written = keeping.journal.records(records, seq);
        self.go_on_without(written);
    }

    /// Notes something that was told and is in no record.
    pub(super) fn note(&mut self, note: &Note) {
        let seq = self.stream.outlet().last();
        let Some(keeping) = &mut self.keeping else { return };
        if let Note::Missing { cpu, records } = note {
            keeping.gaps.said(*cpu, *records);
        }
        let written = keeping.journal.note(note, seq);
        self.go_on_without(written);
    }

    /// Goes on without what another process needs if that could not be written: the kernel gets back
    /// all that was told, and no event waits for a mark, until the state can be written anew.
    fn go_on_without(&mut self, written: io::Result<()>) {
        let (Err(error), Some(keeping)) = (written, &mut self.keeping) else { return };
        keeping.journal.give_up();
        keeping.pending.clear();
        keeping.settled.settle(self.position);
        keeping.is_due = true;
        let was_resumed = keeping.resumed.take().is_some();
        let was_given_up = keeping.again.replace(Instant::now() + AGAIN).is_some();
        if !(was_resumed || was_given_up) {
            self.stream.outlet().can_be_taken_up(Err(&error));
        }
    }

    /// Marks where the stream can be taken up, and gives the kernel back what has arrived.
    pub(super) fn keep(&mut self) -> Result<(), Error> {
        let can_be_taken_up = self.started && self.overlap.is_none();
        let Some(keeping) = self.keeping.as_mut().filter(|_| can_be_taken_up) else {
            return Ok(());
        };
        // Until there is a state, what a snapshot needs room for stays in the ring.
        let is_time = (!self.table.is_walking() || !keeping.journal.has_begun())
            && keeping.again.is_none_or(|again| again <= Instant::now());
        if (keeping.is_due || keeping.journal.is_long()) && is_time {
            keeping.is_due = false;
            let accounts = (&self.losses, &keeping.gaps, self.probes.misses());
            let mark = (self.stream.outlet().last(), self.position);
            let state = self.table.state();
            let begun = keeping.journal.begin(mark, accounts, state);
            if begun.is_err() {
                self.go_on_without(begun);
                return Ok(());
            }
            if keeping.again.take().is_some() {
                keeping.resumed = Some(mark.0);
            }
            if let Some((_, until)) = &mut keeping.replaced {
                until.get_or_insert(mark.0);
            }
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
            keeping.settled.settle(position);
        }
        keeping.journal.arrived(arrived);
        // Until then there is no state that what has arrived leads to.
        if keeping.resumed.take_if(|seq| *seq <= arrived).is_some() {
            self.stream.outlet().can_be_taken_up(Ok(()));
        }
        let is_over = |until: &Option<u64>| until.is_some_and(|until| until <= arrived);
        if let Some((replaced, _)) = keeping.replaced.take_if(|(_, until)| is_over(until)) {
            replaced.remove().map_err(Error::Keep)?;
            self.probes.unpin_others()?;
        }
        Ok(())
    }
}

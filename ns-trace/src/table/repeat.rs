//! Calls that were counted instead of told, each like one that was.

use std::rc::Rc;

use ns_trace_common::{
    Ns, SLOTS, Task,
    repeat::{Held, KINDS, Repeat as RepeatRecord},
};
use serde::{Deserialize, Serialize};

use super::{
    Finding, Table,
    member::Set,
    state::{Sets, raw},
    tell::found,
};
use crate::{
    model::event::{Body, ByEvent},
    probe::untold,
};

/// The kinds of calls of one thread that later ones may be like.
#[derive(Debug, Default)]
pub(super) struct Heard {
    start_ns: u64,
    kinds: [Option<Kind>; KINDS],
}

#[derive(Debug)]
struct Kind {
    serial: u64,
    /// How many calls have been told.
    told: u64,
    /// What was told of the first; nothing if it changed nothing.
    body: Option<Body>,
    /// Where a setns has led.
    after: Option<Rc<Set>>,
}

/// The same, written down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeardState {
    start_ns: u64,
    kinds: Vec<KindState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KindState {
    serial: u64,
    told: u64,
    body: Option<Body>,
    after: Option<Place>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Place(#[serde(with = "raw")] [Ns; SLOTS]);

impl Heard {
    pub(super) fn state(&self) -> HeardState {
        let kinds = self.kinds.iter().flatten().map(|kind| KindState {
            serial: kind.serial,
            told: kind.told,
            body: kind.body.clone(),
            after: kind.after.as_ref().map(|set| Place(set.key)),
        });
        HeardState { start_ns: self.start_ns, kinds: kinds.collect() }
    }

    pub(super) fn restored(state: HeardState, sets: &mut Sets, table: &Table) -> Self {
        let mut heard = Self { start_ns: state.start_ns, ..Self::default() };
        for KindState { serial, told, body, after } in state.kinds {
            let after = after.map(|Place(key)| sets.of(&key, table));
            if let Some(place) = heard.place(serial) {
                *place = Some(Kind { serial, told, body, after });
            }
        }
        heard
    }

    /// The place of a kind, which another may have.
    fn place(&mut self, serial: u64) -> Option<&mut Option<Kind>> {
        self.kinds.get_mut(usize::try_from(serial % KINDS as u64).ok()?)
    }
}

impl Table {
    /// Remembers a call that later ones may be like; `body` is what was told of it.
    pub(super) fn hear(
        &mut self,
        task: &Task,
        serial: u64,
        body: Option<&Body>,
        after: Option<&Rc<Set>>,
    ) {
        if serial == 0 {
            return;
        }
        let heard = self.heard.entry(task.tid).or_default();
        if heard.start_ns != task.start_ns {
            *heard = Heard { start_ns: task.start_ns, ..Heard::default() };
        }
        let Some(kind) = heard.place(serial) else { return };
        let told = kind.as_ref().filter(|kind| kind.serial == serial).map_or(0, |kind| kind.told);
        *kind = Some(Kind { serial, told, body: body.cloned(), after: after.cloned() });
    }

    /// A thread has made calls that were not told.
    pub(super) fn repeated(&mut self, record: &RepeatRecord, out: &mut Vec<Finding>) {
        let mut held: Vec<&Held> = record.held.iter().filter(|held| held.serial != 0).collect();
        held.sort_by_key(|held| held.last_ns);
        for held in held {
            let kind = self.kind(record.tid, record.start_ns, held.serial);
            let before = kind.as_ref().map_or(0, |kind| kind.told).max(held.told);
            let calls = held.held.saturating_sub(before);
            if calls == 0 {
                continue;
            }
            let Some(kind) = kind else {
                self.unheard += untold(held, calls);
                continue;
            };
            kind.told = held.held;
            let mut body = kind.body.clone();
            let next_op = self.ops + 1;
            let (op, repeat) = match &mut body {
                Some(Body::Enter(enter)) => (&mut enter.op, &mut enter.repeat),
                Some(Body::Fail(fail)) => (&mut fail.op, &mut fail.repeat),
                _ => continue,
            };
            (*op, *repeat) = (next_op, Some(calls));
            self.ops = next_op;
            out.extend(body.map(|body| found(held.last_ns, body)));
        }
        self.catch_up(record.tid, record.start_ns, record.last, record.header.boot_ns, out);
    }

    /// Puts a thread where its last setns has led, which was like the one with this number.
    pub(super) fn catch_up(
        &mut self,
        tid: u32,
        start_ns: u64,
        serial: u64,
        boot_ns: u64,
        out: &mut Vec<Finding>,
    ) {
        let kind = self.kind(tid, start_ns, serial);
        let Some(after) = kind.and_then(|kind| kind.after.clone()) else { return };
        let member = self.tasks.get(&tid).filter(|member| member.task.start_ns == start_ns);
        let Some(before) = member.map(|member| Rc::clone(&member.set)) else { return };
        if Rc::ptr_eq(&before, &after) {
            return;
        }
        // What it has left since may be gone, and made room for what looks the same.
        let after = if self.is_alive(&after) {
            after
        } else {
            Rc::new(self.resolve(&after.key, Some(&after), boot_ns, out))
        };
        if let Some(member) = self.tasks.get_mut(&tid) {
            member.set = Rc::clone(&after);
            member.task.slots = after.key;
            member.seen_ns = member.seen_ns.max(boot_ns);
        }
        self.move_over(Some(&before), &after, boot_ns);
    }

    /// Forgets all calls: whoever counts them from now on begins anew.
    pub fn forget_heard(&mut self) {
        self.heard.clear();
    }

    /// Calls of kinds of which none was heard since the last time: the first was lost.
    pub fn take_unheard(&mut self) -> ByEvent {
        std::mem::take(&mut self.unheard)
    }

    fn kind(&mut self, tid: u32, start_ns: u64, serial: u64) -> Option<&mut Kind> {
        let heard = self.heard.get_mut(&tid).filter(|heard| heard.start_ns == start_ns)?;
        heard.place(serial)?.as_mut().filter(|kind| kind.serial == serial && serial != 0)
    }
}

//! The world written down, to be taken up by another process on the same kernel.

use std::{cell::OnceCell, rc::Rc};

use ns_trace_common::{Ns, SLOTS, Task};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::{
    Program, Row, Table,
    birth::{Known, MakingState},
    member::{Member, Set},
    repeat::{Heard, HeardState},
};
use crate::model::{Kind, Placement};

/// A table between two records.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    initial: [u32; 8],
    ops: u64,
    rows: Vec<Row>,
    programs: Vec<Option<Program>>,
    tasks: Vec<TaskState>,
    unfinished: Vec<(u32, MakingState)>,
    heard: Vec<(u32, HeardState)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct TaskState {
    #[serde(with = "raw")]
    task: Task,
    seen_ns: u64,
    /// Its place among the programs, which many share.
    program: usize,
    placement: Placement,
}

/// Sets of namespaces that are shared by the tasks that have the same.
#[derive(Default)]
pub(super) struct Sets(FxHashMap<[Ns; SLOTS], Rc<Set>>);

impl Sets {
    /// The set with these namespaces, of which those are found that live.
    pub(super) fn of(&mut self, key: &[Ns; SLOTS], table: &Table) -> Rc<Set> {
        let made = self.0.entry(*key).or_insert_with(|| {
            let mut set = table.names(key);
            for ((row, ns), slot) in set.rows.iter_mut().zip(key).zip(crate::model::Slot::ALL) {
                *row = table.rows.find(slot.kind(), ns);
            }
            Rc::new(set)
        });
        Rc::clone(made)
    }
}

impl Table {
    /// What another process needs to go on from here; it has to take a snapshot of its own if one is
    /// under way.
    #[must_use]
    pub fn state(&self) -> State {
        let mut programs = Vec::new();
        let mut places = FxHashMap::default();
        let mut tasks = Vec::with_capacity(self.tasks.len());
        for member in self.tasks.values() {
            let program = *places.entry(Rc::as_ptr(&member.program)).or_insert_with(|| {
                programs.push(member.program.get().cloned());
                programs.len() - 1
            });
            let task = Task { slots: member.set.key, ..*member.task };
            let placement = member.placement.clone();
            tasks.push(TaskState { task, seen_ns: member.seen_ns, program, placement });
        }
        let unfinished = self.unfinished.iter();
        let heard = self.heard.iter();
        State {
            initial: self.initial,
            ops: self.ops,
            rows: self.rows.iter().map(|(_, row)| row.clone()).collect(),
            programs,
            tasks,
            unfinished: unfinished.map(|(tid, making)| (*tid, making.state(&self.rows))).collect(),
            heard: heard.map(|(tid, heard)| (*tid, heard.state())).collect(),
        }
    }

    /// Goes on from where another process was.
    #[must_use]
    pub fn restored(mut self, state: State) -> Self {
        self.initial = state.initial;
        self.ops = state.ops;
        for mut row in state.rows {
            row.members = 0;
            let has_level = row.level.is_some() || !row.kind.nests();
            let is_known = row.owner.is_some() && has_level;
            let id = self.rows.add(row);
            if !is_known {
                self.strangers.push(id);
            }
        }
        let programs: Vec<_> = state.programs.into_iter().map(cell).collect();
        let mut sets = Sets::default();
        for TaskState { task, seen_ns, program, placement } in state.tasks {
            let set = sets.of(&task.slots, &self);
            self.join(&set);
            let program = programs.get(program).map_or_else(Rc::default, Rc::clone);
            let mut known = Known { placement };
            let member = Member::new(&task, set, program, seen_ns, &mut known);
            self.tasks.insert(task.tid, member);
        }
        for (tid, making) in state.unfinished {
            let making = making.making(&self.rows);
            self.unfinished.insert(tid, making);
        }
        for (tid, heard) in state.heard {
            let heard = Heard::restored(heard, &mut sets, &self);
            self.heard.insert(tid, heard);
        }
        let empty = self.rows.iter().filter(|(_, row)| row.members == 0 && !row.initial);
        self.orphans = empty.map(|(id, _)| id).collect();
        self
    }

    /// The namespace of this kind that the probes know by this.
    #[must_use]
    pub fn find(&self, kind: Kind, ns: &Ns) -> Option<super::RowId> {
        self.rows.find(kind, ns)
    }
}

fn cell(program: Option<Program>) -> Rc<OnceCell<Program>> {
    Rc::new(program.map_or_else(OnceCell::new, OnceCell::from))
}

/// Plain data in hexadecimal digits.
pub(super) mod raw {
    use std::borrow::Cow;

    use bytemuck::{AnyBitPattern, NoUninit};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(in crate::table) fn serialize<T: NoUninit, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
        let bytes = bytemuck::bytes_of(value).iter();
        let text: String = bytes.flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }

    pub(in crate::table) fn deserialize<'de, T: AnyBitPattern, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
        let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
        let bytes = bytes.ok_or_else(|| D::Error::custom("not hexadecimal"))?;
        bytemuck::try_pod_read_unaligned(&bytes)
            .map_err(|_length| D::Error::custom("of another length"))
    }
}

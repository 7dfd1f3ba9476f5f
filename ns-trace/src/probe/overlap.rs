//! What two sets of probes have told of the same events, while both were attached.

use std::{
    collections::VecDeque,
    hash::{Hash as _, Hasher as _},
};

use ns_trace_common::{Header, Kind, RecordKind};
use rustc_hash::{FxHashMap, FxHasher};

use super::record::Record;

/// How far apart the records of one event can be: the programs run one after the other.
const APART_NS: u64 = 50_000_000;

/// The records of one set that may have a twin in the other's.
#[derive(Debug, Default)]
pub struct Overlap {
    /// By CPU and sort, in order: when each was written, and what it says.
    told: FxHashMap<(u16, u16), VecDeque<(u64, u64)>>,
    latest: u64,
}

impl Overlap {
    /// A record of the one set that was told.
    pub fn tell(&mut self, record: &Record<'_>) {
        let Some((header, said)) = said(record) else { return };
        let told = &mut self.told;
        let mut put = |kind: u16, said| {
            told.entry((header.cpu, kind)).or_default().push_back((header.boot_ns, said));
        };
        put(header.kind, said);
        // The other set may have told of births by themselves.
        let (births, tid) = match record {
            Record::Enter(enter) => (enter.births, enter.task.tid),
            Record::Clone(clone) => (clone.births, clone.fork.creator_tid),
            _ => (0, 0),
        };
        for kind in Kind::ALL.into_iter().filter(|kind| births & kind.flag() != 0) {
            put(RecordKind::Create as u16, birth(kind as u32, tid));
        }
        self.latest = self.latest.max(header.boot_ns);
    }

    /// Whether a record of the other set says what was told.
    pub fn was_told(&mut self, record: &Record<'_>) -> bool {
        let Some((header, said)) = said(record) else { return false };
        let Some(told) = self.told.get_mut(&(header.cpu, header.kind)) else { return false };
        let is_it = |(boot_ns, other): &(u64, u64)| {
            *other == said && boot_ns.abs_diff(header.boot_ns) <= APART_NS
        };
        let Some(place) = told.iter().position(is_it) else { return false };
        // Births of one call may be told in another order.
        if header.kind == RecordKind::Create as u16 {
            told.remove(place);
        } else {
            told.drain(..=place);
        }
        true
    }

    /// Whether no record from `boot_ns` on can say what was told.
    #[must_use]
    pub const fn is_over(&self, boot_ns: u64) -> bool {
        boot_ns > self.latest + APART_NS
    }
}

/// A birth by a thread.
fn birth(kind: u32, tid: u32) -> u64 {
    hash(|hasher| (kind, tid).hash(hasher))
}

/// What a record says that is the same whoever has written it; nothing for what is no event.
fn said<'r>(record: &Record<'r>) -> Option<(&'r Header, u64)> {
    Some(match *record {
        Record::Create(one) => (&one.header, birth(one.kind, one.task.tid)),
        Record::Enter(one) => {
            let said = (one.cause, one.fd, one.flags, one.task.tid, one.task.start_ns);
            (&one.header, hash(|hasher| (said, one.task.slots).hash(hasher)))
        }
        Record::Fail(one) => {
            let said = (one.cause, one.errno, one.flags, one.task.tid, one.task.start_ns);
            (&one.header, hash(|hasher| said.hash(hasher)))
        }
        Record::Destroy(one) => (&one.header, hash(|hasher| one.inode.hash(hasher))),
        Record::Fork(one) => {
            (&one.header, hash(|hasher| (one.task.tid, one.task.start_ns).hash(hasher)))
        }
        Record::Clone(one) => {
            let task = &one.fork.task;
            (&one.fork.header, hash(|hasher| (task.tid, task.start_ns).hash(hasher)))
        }
        Record::Exec { exec, exe, args } => {
            let said = (exec.task.tid, exec.task.start_ns, exe, args);
            (&exec.header, hash(|hasher| said.hash(hasher)))
        }
        Record::Exit(one) => (&one.header, hash(|hasher| (one.tid, one.start_ns).hash(hasher))),
        Record::Map(one) => {
            let said = (one.task.tid, one.file, one.len, one.text);
            (&one.header, hash(|hasher| said.hash(hasher)))
        }
        Record::Member(_) | Record::End(_) | Record::Lost(_) | Record::Repeat(_) => return None,
    })
}

fn hash(say: impl FnOnce(&mut FxHasher)) -> u64 {
    let mut hasher = FxHasher::default();
    say(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;
    use ns_trace_common::{Task, destroy::Destroy, enter::Enter};

    use super::*;

    fn destroy(boot_ns: u64, inode: u32) -> Destroy {
        let header = Header { kind: RecordKind::Destroy as u16, boot_ns, ..Header::default() };
        Destroy { header, inode, reserved: 0 }
    }

    #[test]
    fn each_event_is_told_once() {
        let mut overlap = Overlap::default();
        let told = [(1, 7), (2, 8), (3, 7)].map(|(at, inode)| destroy(at, inode));
        for one in &told {
            overlap.tell(&Record::Destroy(one));
        }
        let mut was_told = |at, inode| overlap.was_told(&Record::Destroy(&destroy(at, inode)));
        // The other set was attached after the first.
        assert!(was_told(2, 8));
        assert!(was_told(3, 7));
        assert!(!was_told(4, 7), "another namespace of that inode");
        assert!(overlap.is_over(APART_NS + 4) && !overlap.is_over(4));
    }

    #[test]
    fn a_call_tells_of_births_that_others_tell_of_by_themselves() {
        let header = Header { kind: RecordKind::Enter as u16, ..Header::default() };
        let births = Kind::Uts.flag() | Kind::Net.flag();
        let task = Task { tid: 5, ..Task::default() };
        let enter = Enter { header, births, task, ..Enter::zeroed() };
        let mut overlap = Overlap::default();
        overlap.tell(&Record::Enter(&enter));
        for kind in [Kind::Net, Kind::Uts] {
            let mut create = ns_trace_common::create::Create::zeroed();
            create.header.kind = RecordKind::Create as u16;
            (create.kind, create.task.tid) = (kind as u32, 5);
            assert!(overlap.was_told(&Record::Create(&create)));
            assert!(!overlap.was_told(&Record::Create(&create)));
        }
        assert!(overlap.was_told(&Record::Enter(&Enter { births: 0, ..enter })));
    }
}

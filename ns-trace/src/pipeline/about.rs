//! The part of the world that is about what a selector names.

use std::io;

use rustc_hash::FxHashSet;

use super::resolve;
use crate::{
    discover,
    model::{Holder, Kind, Kinds, Mounts, NsRow, ProcessRow, Selector, Want, World},
};

/// What has to be looked for: of everything all but what namespaces are asked for one by one, and of
/// what holds them only what may hold this one.
fn want(selector: &Selector, known: Option<&World>) -> Want {
    let all = Want { netnsid: false, maps: false, ..Want::ALL };
    let kind = match selector {
        // Of processes it is told where they are.
        Selector::Pid { slot: None, .. } | Selector::Container(_) => {
            return Want { files: false, mounts: Mounts::Own, ..all };
        }
        Selector::Pid { slot: Some(slot), .. } => Some(slot.kind()),
        Selector::Kind { kind, .. } => Some(*kind),
        _ => known.and_then(|known| Some(resolve::one(selector, known).ok()?.info.kind)),
    };
    match kind {
        // What it owns may be of any kind, and held by a file alone.
        None | Some(Kind::User) => all,
        Some(kind) => Want { held: Kinds::NONE.with(kind), ..all },
    }
}

/// Finds out by a look all about what `selector` names: the namespaces and who is in them or holds
/// them, or the process and where it is; and of those that are owners and parents, what they are.
///
/// Where it names nothing, or too much, everything is there: [`resolve`] tells what was near. If it
/// is among what is `known` already, the look is shorter.
///
/// # Errors
///
/// Those of the look.
pub fn about(
    selector: &Selector,
    known: Option<&World>,
    look: impl FnOnce(&Want) -> io::Result<World>,
) -> io::Result<World> {
    let mut world = look(&want(selector, known))?;
    let Some(subject) = Subject::of(selector, &world) else { return Ok(world) };
    world.namespaces.retain(|row| subject.namespaces.contains(&key(row)));
    discover::detail(&mut world.namespaces);
    for row in &mut world.namespaces {
        if !subject.shown.contains(&key(row)) {
            row.processes.clear();
            row.holders.clear();
        }
    }
    world.processes.retain(|process| subject.processes.contains(&process.pid));
    Ok(world)
}

/// What is told of.
#[derive(Default)]
struct Subject {
    /// What is named, with its owners and parents.
    namespaces: FxHashSet<Key>,
    /// Those of which all is told.
    shown: FxHashSet<Key>,
    processes: FxHashSet<u32>,
}

type Key = (Kind, u32);

const fn key(row: &NsRow) -> Key {
    (row.info.kind, row.info.inode)
}

impl Subject {
    fn of(selector: &Selector, world: &World) -> Option<Self> {
        let mut subject = Self::default();
        // Against whose namespaces those of a process are held.
        subject.processes.insert(1);
        let named;
        if let Some(ProcessRow { pid, .. }) = resolve::process_of(selector, world).ok()? {
            subject.processes.insert(*pid);
            let all = Selector::Pid { pid: *pid, slot: None };
            named = resolve::namespaces(&all, world).ok()?;
        } else {
            named = resolve::namespaces(selector, world).ok()?;
            for row in &named {
                subject.shown.insert(key(row));
                subject.processes.extend(&row.processes);
                subject.processes.extend(row.holders.iter().filter_map(Holder::pid));
            }
        }
        let mut open = named;
        while let Some(row) = open.pop() {
            if subject.namespaces.insert(key(row)) {
                let relatives = [row.info.owner, row.info.parent].into_iter().flatten();
                open.extend(relatives.filter_map(|ns| world.namespace(ns.kind, ns.inode)));
            }
        }
        Some(subject)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{NsRef, SLOTS, Slot, Slots};

    fn ns(kind: Kind, inode: u32) -> NsRef {
        NsRef { kind, inode, id: None, initial: false }
    }

    /// Two network namespaces of one user namespace, below another; each has a process.
    fn world() -> World {
        let row = |kind, inode, owner: u32, pid| {
            let mut row =
                NsRow { processes: [pid].into_iter().collect(), ..NsRow::new(ns(kind, inode)) };
            row.info.owner = (owner != 0).then(|| ns(Kind::User, owner));
            row
        };
        let mut held = row(Kind::Net, 3, 2, 30);
        held.holders = vec![Holder::Fd { pid: 40, tid: 40, fd: 3 }];
        let process = |pid, net| {
            let mut slots = [None; SLOTS];
            slots[Slot::Net as usize] = Some(ns(Kind::Net, net));
            ProcessRow { pid, slots: Slots(Arc::new(slots)), ..ProcessRow::default() }
        };
        World {
            namespaces: vec![
                row(Kind::User, 1, 0, 1),
                row(Kind::User, 2, 1, 30),
                held,
                row(Kind::Net, 4, 2, 40),
            ],
            processes: vec![process(1, 9), process(30, 3), process(40, 4), process(50, 9)],
            unreadable: 7,
        }
    }

    fn told(selector: &str) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let selector = selector.parse().unwrap();
        let found = about(&selector, None, |_| Ok(world())).unwrap();
        assert_eq!(found.unreadable, 7);
        let with_members = found.namespaces.iter().filter(|row| !row.processes.is_empty());
        (
            found.namespaces.iter().map(|row| row.info.inode).collect(),
            with_members.map(|row| row.info.inode).collect(),
            found.processes.iter().map(|process| process.pid).collect(),
        )
    }

    #[test]
    fn what_is_named_is_told_with_whom_it_leads_to_and_no_more() {
        assert_eq!(told("net:3"), (vec![1, 2, 3], vec![3], vec![1, 30, 40]));
        assert_eq!(told("user:1"), (vec![1], vec![1], vec![1]));
        assert_eq!(told("pid:30:net"), (vec![1, 2, 3], vec![3], vec![1, 30, 40]));
        assert_eq!(told("pid:40"), (vec![1, 2, 4], vec![], vec![1, 40]));
    }

    #[test]
    fn where_nothing_is_named_all_is_there_to_suggest_from() {
        let all = (vec![1, 2, 3, 4], vec![1, 2, 3, 4], vec![1, 30, 40, 50]);
        assert_eq!(told("net:5"), all);
        assert_eq!(told("pid:60"), all);
    }

    #[test]
    fn it_is_looked_for_what_may_hold_it() {
        let held = |selector: &str, known| want(&selector.parse().unwrap(), known).held;
        assert_eq!(held("net:3", None), Kinds::NONE.with(Kind::Net));
        assert_eq!(held("pid:1:pid_for_children", None), Kinds::NONE.with(Kind::Pid));
        let uts = NsRow::new(ns(Kind::Uts, 4_026_531_840));
        let known = World { namespaces: vec![uts], ..World::default() };
        assert_eq!(held("4026531840", Some(&known)), Kinds::NONE.with(Kind::Uts));
        assert_eq!(held("4026531841", Some(&known)), Kinds::ALL);
        assert_eq!(held("4026531840", None), Kinds::ALL);
        assert_eq!(held("user:1", None), Kinds::ALL);
        assert!(!want(&"pid:1".parse().unwrap(), None).files);
    }
}

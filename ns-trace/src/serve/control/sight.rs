//! What somebody may see of the world and of what happens.

use rustc_hash::FxHashMap;

use crate::{
    model::{Event, World, event::Body},
    serve::config::Sight,
    sys::process::effective_uid,
};

/// What a user sees: root everything, others what the configuration lets them.
pub(in crate::serve) const fn of_user(uid: u32, members: Sight) -> Sight {
    if uid == 0 { Sight::All } else { members }
}

/// The part of the world that `uid` sees.
pub(in crate::serve) fn world(world: World, sight: Sight, uid: u32) -> World {
    // The table may not know yet that a process is another user's by now.
    seen(world, sight, uid, |pid| effective_uid(pid) == Some(uid))
}

fn seen(mut world: World, sight: Sight, uid: u32, is_still: impl Fn(u32) -> bool) -> World {
    match sight {
        Sight::All => return world,
        Sight::Nothing => return World::default(),
        Sight::Own => {}
    }
    world.processes.retain(|process| process.uid == uid && is_still(process.pid));
    let threads: FxHashMap<u32, u32> =
        world.processes.iter().map(|process| (process.pid, process.count)).collect();
    for row in &mut world.namespaces {
        row.processes.retain(|pid| threads.contains_key(pid));
        row.nprocs = u32::try_from(row.processes.len()).unwrap_or(u32::MAX);
        row.threads = row.processes.iter().filter_map(|pid| threads.get(pid)).sum();
        row.holders.retain(|holder| holder.pid().is_some_and(|pid| threads.contains_key(&pid)));
        row.creator.take_if(|creator| creator.uid != uid);
    }
    world.namespaces.retain(|row| {
        let is_own = !row.processes.is_empty() || !row.holders.is_empty();
        is_own || row.creator.is_some() || row.info.initial
    });
    world
}

/// Whether `uid` sees an event.
pub(in crate::serve) fn event(event: &Event, sight: Sight, uid: u32) -> bool {
    match sight {
        Sight::All => true,
        Sight::Nothing => matches!(event.body, Body::Lost(_) | Body::Sync(_)),
        Sight::Own => event.is_of(uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Holder, Kind, NsRef, NsRow, ProcessRow};

    #[test]
    fn members_see_what_is_theirs() {
        let process = |pid, uid| ProcessRow { pid, uid, count: 2, ..ProcessRow::default() };
        let row = |inode, initial, processes: &[u32], holder: Option<u32>| {
            let ns = NsRef { kind: Kind::Net, inode, id: None, initial };
            let holders = holder.map(|pid| Holder::Fd { pid, tid: pid, fd: 3 });
            NsRow {
                processes: processes.into(),
                holders: holders.into_iter().collect(),
                ..NsRow::new(ns)
            }
        };
        let whole = World {
            namespaces: vec![
                row(1, true, &[1, 7], None),
                row(2, false, &[1], None),
                row(3, false, &[7], Some(1)),
                row(4, false, &[], Some(7)),
                row(5, false, &[], Some(1)),
            ],
            processes: vec![process(1, 0), process(7, 1000)],
            unreadable: 0,
        };
        assert_eq!(world(whole.clone(), of_user(0, Sight::Own), 0), whole);
        assert_eq!(world(whole.clone(), Sight::Nothing, 1000), World::default());
        let changed = seen(whole.clone(), Sight::Own, 1000, |pid| pid != 7);
        assert!(changed.processes.is_empty() && changed.namespaces.len() == 1);
        let own = seen(whole, of_user(1000, Sight::Own), 1000, |_| true);
        assert_eq!(own.namespaces[0].threads, 2);
        let inodes: Vec<_> = own.namespaces.iter().map(|row| row.info.inode).collect();
        assert_eq!(inodes, [1, 3, 4]);
        assert_eq!(own.namespaces[0].processes.as_slice(), [7]);
        assert!(own.namespaces[1].holders.is_empty());
        assert_eq!(own.processes.len(), 1);
    }
}

//! One namespace that somebody asks about.

use ns_trace_common::Slot;
use rustc_hash::FxHashMap;

use super::{Table, World, ns, task, with_uts};
use crate::model::{Kind, Selector};

#[test]
fn a_namespace_is_found_with_what_is_above_it() {
    let mut world = World::new();
    world.unshare(Kind::Uts.flag(), &with_uts(10, ns(42)));
    let focus = |selector: &str| {
        let witnesses = [(1, 10)].into_iter().collect();
        // What is so small is taken for the number of a process.
        let inode = selector.strip_prefix("inode ").map(|inode| inode.parse().unwrap());
        let selector = inode.map_or_else(|| selector.parse().unwrap(), Selector::Inode);
        world.table.focus(&selector, &witnesses)
    };
    for selector in ["inode 42", "uts:42", "pid:10:uts"] {
        let found = focus(selector).unwrap();
        assert_eq!((found.kind, found.ns), (Kind::Uts, ns(42)), "{selector}");
        let above: Vec<_> = found.rows.iter().map(|row| row.info.inode).collect();
        // The one that owns it.
        assert_eq!(above, [7, 42], "{selector}");
        let [(mnt, row)] = &found.mounts[..] else { panic!("{:?}", found.mounts) };
        assert_eq!((mnt.inode, row.processes.as_slice()), (1, &[10][..]), "{selector}");
    }
    for selector in ["inode 43", "net:42", "id:0", "id:42", "pid:11:uts", "pid:10"] {
        assert!(focus(selector).is_none(), "{selector}");
    }
}

#[test]
fn a_namespace_is_found_with_what_is_below_it() {
    let mut world = World::new();
    let mut moved = with_uts(10, ns(42));
    moved.slots[Slot::User as usize] = ns(41);
    moved.slots[Slot::PidForChildren as usize] = ns(43);
    let flags = Kind::User.flag() | Kind::Uts.flag() | Kind::Pid.flag();
    world.unshare(flags, &moved);
    let below = |table: &Table, inode| {
        let focus = table.focus(&Selector::Inode(inode), &FxHashMap::default()).unwrap();
        let below: Vec<_> = focus.below.iter().map(|(kind, ns)| (*kind, ns.inode)).collect();
        (below, focus.may_have_more)
    };
    let both = vec![(Kind::Uts, 42), (Kind::Pid, 43)];
    assert_eq!(below(&world.table, 41), (both.clone(), true));
    assert_eq!(below(&world.table, 42), (vec![], false), "nothing can be below it");
    let above = moved.slot(Slot::Pid).inode;
    assert_eq!(below(&world.table, above), (vec![(Kind::Pid, 43)], true));
    assert!(!world.table.is_nowhere(44), "nobody knows");
    world.table.set_complete(true);
    assert_eq!(below(&world.table, 41), (both, false));
    assert!(world.table.is_nowhere(44) && !world.table.is_nowhere(43));
}

#[test]
fn witnesses_are_those_that_are_still_there() {
    let mut world = World::new();
    let mut moved = task(10);
    moved.slots[Slot::Mnt as usize] = ns(42);
    world.unshare(Kind::Mnt.flag(), &moved);
    let mounts = |known: &[(u32, u32)]| {
        let focus = world.table.focus(&Selector::Inode(5), &known.iter().copied().collect());
        let mounts = focus.unwrap().mounts.into_iter();
        let mut mounts: Vec<_> =
            mounts.map(|(ns, row)| (ns.inode, row.processes.to_vec())).collect();
        mounts.sort();
        mounts
    };
    let all = [(1, vec![2]), (42, vec![10])];
    assert_eq!(mounts(&[]), all);
    assert_eq!(mounts(&[(1, 10), (42, 11)]), all, "one has left, one is gone");
    assert_eq!(mounts(&[(1, 2), (42, 10)]), all);
}

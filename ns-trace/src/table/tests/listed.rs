//! Namespaces that only the kernel's own lists have told of.

use ns_trace_common::{Ns, inspect::Inspect};

use super::{World, ns, with_uts};
use crate::model::Kind;

#[test]
fn what_the_kernel_lists_is_met_once() {
    let mut world = World::new();
    world.unshare(Kind::Uts.flag(), &with_uts(10, ns(42)));
    let listed = |kind, inode| Inspect { ns: ns(inode), kind: kind as u32, ..Inspect::default() };
    world.orphans();
    assert!(world.table.meet_listed(&listed(Kind::Uts, 42), 1).is_none(), "it is known");
    assert!(world.table.meet_listed(&listed(Kind::Net, 42), 1).is_none(), "it is gone");
    assert!(world.table.meet_listed(&listed(Kind::Net, 0), 1).is_none(), "it is none");
    let met = world.table.meet_listed(&listed(Kind::Net, 50), 1).unwrap();
    assert!(world.table.meet_listed(&listed(Kind::Net, 50), 1).is_none());
    assert_eq!(world.table.listed_before(1), [met]);
    assert!(world.table.listed_before(0).is_empty());
    assert_eq!(world.orphans(), [50]);
    world.table.forget(met);
    assert!(world.table.row(met).is_none());
}

#[test]
fn what_was_listed_before_its_call_was_over_is_born_by_that() {
    let mut world = World::new();
    let made = Ns { id: 7, ..ns(42) };
    let listed = Inspect { ns: made, kind: Kind::Uts as u32, ..Inspect::default() };
    let met = world.table.meet_listed(&listed, 1).unwrap();
    let told = world.unshare(Kind::Uts.flag(), &with_uts(10, made));
    assert!(told.len() == 2 && told.iter().all(|told| !told.contains("destroy")), "{told:?}");
    assert_eq!(world.table.row(met).map(|row| (row.born.is_some(), row.members)), Some((true, 1)));
    assert!(world.table.listed_before(u64::MAX).is_empty());
}

#[test]
fn what_was_listed_has_no_end_before_it_was_told_of() {
    let mut world = World::new();
    let listed = |inode| Inspect { ns: ns(inode), kind: Kind::Net as u32, ..Inspect::default() };
    let mut out = Vec::new();
    for (inode, told) in [(50, 0), (51, 2)] {
        let met = world.table.meet_listed(&listed(inode), 1).unwrap();
        if told > 0 {
            world.table.exists(met, 2, &mut out);
        }
        world.table.died(met, 3, &mut out);
        assert_eq!(out.len(), told);
    }
}

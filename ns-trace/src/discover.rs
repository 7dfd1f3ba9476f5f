//! What exists now, as /proc and the namespaces themselves tell: one pass per file.
//!
//! Nothing here keeps a namespace open longer than the pass that needs it, and no process that ends
//! meanwhile spoils what is said of the others.

mod crowd;
mod draft;
mod files;
mod listns;
mod maps;
mod members;
mod mounts;
mod open;
mod picture;
mod relatives;
mod stat;
pub mod tasks;

use std::sync::Mutex;

use self::{draft::Draft, tasks::Tasks};
pub use self::{
    files::Seen,
    mounts::Remembered,
    open::open,
    picture::{Known, Picture},
    tasks::count,
};
use crate::model::{Kind, NsRow, Want, World};

/// Looks at /proc.
///
/// # Errors
///
/// If /proc cannot be listed.
pub fn look(want: &Want) -> std::io::Result<World> {
    Ok(around(tasks::scan(want)?, &[], None, None, &Mutex::default(), want))
}

/// Where each namespace is mounted in our own mount namespace, into the rows of `world`.
pub fn mounted(world: &mut World) {
    for row in &mut world.namespaces {
        row.nsfs.clear();
    }
    for (ns, place) in mounts::own() {
        let key = (ns.inode, ns.kind);
        let rows = &mut world.namespaces;
        let at = rows.binary_search_by_key(&key, |row| (row.info.inode, row.info.kind));
        if let Some(row) = at.ok().and_then(|at| rows.get_mut(at))
            && !row.nsfs.contains(&place)
        {
            row.nsfs.push(place);
        }
    }
}

/// How users are mapped, and by which number our own network namespace knows others, into `rows`.
pub fn detail(rows: &mut [NsRow]) {
    let want = Want { netnsid: true, maps: true, ..Want::MEMBERS };
    let asked: Vec<_> =
        rows.iter().filter(|row| matches!(row.info.kind, Kind::Net | Kind::User)).collect();
    let answers = relatives::ask(&asked, &want, |_| true);
    for answer in answers {
        let found = rows
            .iter_mut()
            .find(|row| (row.info.kind, row.info.inode) == (answer.ns.kind, answer.ns.inode));
        if let Some(row) = found {
            row.netnsid = answer.netnsid;
            row.maps = answer.maps;
        }
    }
}

/// What a look at no more than one namespace must be told, since it meets some tasks only.
#[derive(Clone, Copy, Debug)]
pub struct Narrow<'a> {
    /// Whether files and mounts may lead to what is below it and not known.
    pub may_find: bool,
    /// Who is in which mount namespace, with what tells of changes there.
    pub mnt: &'a [(NsRow, u64)],
}

/// Finds out the rest about the namespaces that `tasks` are in, and about those that are `known`
/// already; what memory tells of open files is in `seen`, and what was mounted before `remembered`. A
/// look may be `narrow`.
#[must_use]
pub fn around(
    tasks: Tasks,
    known: &[Known],
    seen: Option<Seen>,
    narrow: Option<Narrow<'_>>,
    remembered: &Mutex<Remembered>,
    want: &Want,
) -> World {
    let mut draft = Draft::new(want);
    draft.members(&tasks.processes);
    draft.known(known);
    let mut unreadable = tasks.unreadable;
    // What else these tasks are in is not what was asked about.
    if narrow.is_some() {
        draft.settle();
    }
    if want.files {
        // Whose namespaces /proc hides, whose files it hides as well; memory hides neither.
        unreadable = unreadable.max(draft.files(&tasks.processes, seen));
    }
    draft.mounts(narrow.map(|narrow| narrow.mnt), remembered);
    // Nor what else files and mounts lead to.
    if narrow.is_some_and(|narrow| !narrow.may_find) {
        draft.settle();
    }
    draft.ask();
    if want.complete {
        draft.listed();
        draft.ask();
    }
    let mut processes = tasks.processes;
    let namespaces = draft.finish(&mut processes);
    World { namespaces, processes, unreadable }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd as _};

    use super::*;
    use crate::{model::Holder, sys::process::own_namespace};

    #[test]
    fn a_look_finds_the_own_namespaces_and_who_holds_them() {
        let file = File::open("/proc/self/ns/uts").expect("the own namespace");
        let world = look(&Want { complete: false, ..Want::ALL }).expect("a look at /proc");
        let pid = std::process::id();
        let own = world.process(pid).expect("this process");
        assert!(own.count >= 2, "the tests run in a thread of their own");
        for kind in Kind::ALL {
            let Ok(inode) = own_namespace(kind.name()) else {
                continue;
            };
            let row = world.namespace(kind, inode).expect("a row");
            assert!(row.processes.contains(&pid), "{kind:?}");
            assert!(row.threads >= own.count, "{kind:?}");
        }
        let uts = own_namespace("uts").expect("the own namespace");
        let held = Holder::Fd { pid, tid: pid, fd: file.as_raw_fd().cast_unsigned() };
        assert!(world.namespace(Kind::Uts, uts).is_some_and(|row| row.holders.contains(&held)));
        assert!(world.namespaces.is_sorted_by_key(|row| (row.info.inode, row.info.kind)));
    }

    #[test]
    fn only_wanted_kinds_are_there() {
        let want = Want { kinds: [Kind::Uts].into_iter().collect(), ..Want::ALL };
        let world = look(&want).expect("a look at /proc");
        assert!(!world.namespaces.is_empty());
        assert!(world.namespaces.iter().all(|row| row.info.kind == Kind::Uts));
    }
}

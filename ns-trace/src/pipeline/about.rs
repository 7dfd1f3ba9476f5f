//! The part of the world that is about what a selector names.

use std::io;

use rustc_hash::FxHashSet;

use super::resolve;
use crate::{
    discover,
    model::{Kind, NsRow, Selector, Want, World},
};

/// What has to be looked for: of everything all but what namespaces are asked for one by one.
const WANT: Want = Want { netnsid: false, maps: false, ..Want::ALL };

/// Finds out by a look all about what `selector` names: the namespaces and who is in them or holds
/// them, or the process and where it is; and of those that are owners and parents, what they are.
///
/// Where it names nothing, or too much, everything is there: [`resolve`] tells what was near.
///
/// # Errors
///
/// Those of the look.
pub fn about(
    selector: &Selector,
    look: impl FnOnce(&Want) -> io::Result<World>,
) -> io::Result<World> {
    let mut world = look(&WANT)?;
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
        let named = resolve::namespaces(selector, world).ok()?;
        let mut subject = Self::default();
        // Against whose namespaces those of a process are held.
        subject.processes.insert(1);
        if let Some(process) = resolve::process_of(selector, world).ok()? {
            subject.processes.insert(process.pid);
        } else {
            for row in &named {
                subject.shown.insert(key(row));
                subject.processes.extend(&row.processes);
                subject.processes.extend(row.holders.iter().filter_map(|holder| holder.pid()));
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

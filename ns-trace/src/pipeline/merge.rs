//! A look and the live table, put together.

use rustc_hash::FxHashSet;

use super::Picture;
use crate::model::{Kinds, NsRow, World};

/// What a look found, with what only the probes know: births, what nothing in /proc leads to, and the
/// dead.
#[must_use]
pub fn merged(mut world: World, picture: &Picture, kinds: Kinds) -> World {
    let looked = std::mem::take(&mut world.namespaces);
    let mut rows: Vec<NsRow> = Vec::with_capacity(looked.len());
    // The dead first: where an inode is in use again, the living one counts.
    rows.extend(picture.dead.iter().cloned());
    let key = |row: &NsRow| (row.info.inode, row.info.kind);
    for mut row in looked {
        if let Some(seen) = find(&picture.world, &row) {
            row.info.born = seen.info.born;
            row.creator.clone_from(&seen.creator);
            row.cause = seen.cause;
        }
        rows.push(row);
    }
    let known: FxHashSet<_> = rows.iter().map(key).collect();
    let unseen = picture.world.namespaces.iter().filter(|row| !known.contains(&key(row)));
    rows.extend(unseen.cloned());
    rows.retain(|row| kinds.contains(row.info.kind));
    rows.sort_by_key(key);
    World { namespaces: rows, ..world }
}

/// The same namespace in a picture: of the same id if both are known.
fn find<'p>(picture: &'p World, row: &NsRow) -> Option<&'p NsRow> {
    let seen = picture.namespace(row.info.kind, row.info.inode)?;
    let differs = row.info.id.zip(seen.info.id).is_some_and(|(one, other)| one != other);
    (!differs).then_some(seen)
}

//! Namespaces as the store has them.

use std::sync::Arc;

use rusqlite::Row;

use crate::model::{Creator, Kind, NsInfo, NsRef};

/// The columns of a namespace from which [`info`] reads, its relatives included.
pub(super) const INFO: &str = "n.id, n.kind, n.inode, n.ns_id, n.initial, n.born, n.level, \
    o.kind, o.inode, o.ns_id, o.initial, p.kind, p.inode, p.ns_id, p.initial";

/// Where they come from; the namespace itself is `n`.
pub(super) const JOIN: &str = "LEFT JOIN namespace o ON o.id = n.owner \
    LEFT JOIN namespace p ON p.id = n.parent";

/// How many columns [`INFO`] names.
pub(super) const INFO_COLUMNS: usize = 15;

/// Reads the columns of [`INFO`].
pub(super) fn info(row: &Row<'_>) -> rusqlite::Result<NsInfo> {
    let at = reference(row, 1)?;
    Ok(NsInfo {
        kind: at.kind,
        inode: at.inode,
        id: at.id,
        initial: at.initial,
        born: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
        level: row.get(6)?,
        owner: optional(row, 7)?,
        parent: optional(row, 11)?,
    })
}

/// Reads kind, inode, id and whether it is initial from the column `at` on.
pub(super) fn reference(row: &Row<'_>, at: usize) -> rusqlite::Result<NsRef> {
    Ok(NsRef {
        kind: kind(row.get(at)?),
        inode: row.get(at + 1)?,
        id: row.get::<_, Option<i64>>(at + 2)?.map(i64::cast_unsigned),
        initial: row.get(at + 3)?,
    })
}

pub(super) fn optional(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<NsRef>> {
    row.get::<_, Option<u8>>(at)?.map(|_| reference(row, at)).transpose()
}

/// The type with this number.
pub(super) fn kind(number: u8) -> Kind {
    Kind::ALL.get(usize::from(number)).copied().unwrap_or(Kind::Mnt)
}

/// Reads the creator from the columns `at` on: pid, tid, start, comm, exe, uid; there is none if the
/// first is null.
pub(super) fn creator(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Arc<Creator>>> {
    let Some(pid) = row.get(at)? else { return Ok(None) };
    Ok(Some(Arc::new(Creator {
        pid,
        tid: row.get(at + 1)?,
        start_ns: row.get::<_, i64>(at + 2)?.cast_unsigned(),
        comm: row.get::<_, String>(at + 3)?.into(),
        exe: row.get::<_, Option<String>>(at + 4)?.map(Into::into),
        uid: row.get(at + 5)?,
    })))
}

/// The columns from which [`creator`] reads, and where they come from.
pub(super) const CREATOR: &str = "c.pid, c.tid, c.start_ns, c.comm, g.exe, c.uid";
pub(super) const CREATOR_JOIN: &str =
    "LEFT JOIN process c ON c.id = n.creator LEFT JOIN program g ON g.id = c.program";

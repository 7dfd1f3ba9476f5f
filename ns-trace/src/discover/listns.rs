//! What the kernel itself lists (`listns(2)`, Linux 6.19): also namespaces that no file of /proc leads
//! to, such as those held by a descriptor in flight.
//!
//! It leaves out namespaces that are not in use, kept only by what is below or behind them.

use std::os::fd::AsFd as _;

use crate::{model::NsRef, sys::nsfs};

/// Those in the list whose ids are not among `known`, as far as the caller may see them; nothing on
/// older kernels.
pub(super) fn scan(known: impl Fn(u64) -> bool) -> Vec<NsRef> {
    let ids = nsfs::list().unwrap_or_default();
    let unknown = ids.into_iter().filter(|id| !known(*id));
    let named = unknown.filter_map(|id| {
        let fd = nsfs::open_by_id(id, None).ok()?;
        Some(NsRef { id: Some(id), ..nsfs::reference(fd.as_fd()).ok()? })
    });
    named.collect()
}

//! Writes of `uid_map`, `gid_map`, `projid_map` and `setgroups`, where functions can be hooked.

use aya_ebpf::{helpers::generated::bpf_probe_read_user, macros::fexit, programs::FExitContext};
use ns_trace_common::{
    Due, Kind, RecordKind,
    map::{Map, MapFile, TEXT_LEN},
};

use crate::{
    call::current,
    emit,
    memory::{Memory as _, Probed, offset},
    task::{self, namespace},
};

/// A hook on what writes one of the files.
macro_rules! writer {
    ($(#[$doc:meta])+ $name:ident, $file:ident) => {
        $(#[$doc])+
        #[fexit]
        pub fn $name(context: FExitContext) {
            written(MapFile::$file, context.arg(0), context.arg(1), context.arg(2), context.arg(4));
        }
    };
}

writer! {
    /// match-proto: v5.10+: ssize_t proc_uid_map_write(struct file *file, const char *buf, size_t size, loff_t *ppos)
    proc_uid_map_write, UidMap
}
writer! {
    /// match-proto: v5.10+: ssize_t proc_gid_map_write(struct file *file, const char *buf, size_t size, loff_t *ppos)
    proc_gid_map_write, GidMap
}
writer! {
    /// match-proto: v5.10+: ssize_t proc_projid_map_write(struct file *file, const char *buf, size_t size, loff_t *ppos)
    proc_projid_map_write, ProjidMap
}
writer! {
    /// match-proto: v5.10+: ssize_t proc_setgroups_write(struct file *file, const char *buf, size_t count, loff_t *ppos)
    proc_setgroups_write, Setgroups
}

#[inline(always)]
fn written(which: MapFile, file: *const u8, text: *const u8, size: u64, result: i64) {
    let Some(mut entry) = emit::reserve::<Map>(RecordKind::Map) else {
        return emit::lost(Due::MAP, 1);
    };
    let record = entry.as_mut_ptr();
    let len = if size < TEXT_LEN as u64 { size as u32 } else { TEXT_LEN as u32 };
    // SAFETY: `record` is the reserved room; integers and pointers may have any bits; the helper
    // checks the address, and `len` is bounded by the room for the text.
    unsafe {
        (*record).file = which as u32;
        (*record).errno = if result < 0 { -result as u32 } else { 0 };
        (*record).total = if size < u64::from(u32::MAX) { size as u32 } else { u32::MAX };
        // The file's sequence (fs/proc/base.c, `proc_id_map_open`) holds the namespace.
        let sequence = Probed::pointer(file, offset!(file_private));
        let ns = Probed::pointer(sequence, offset!(seq_private));
        namespace::<Probed, { Kind::User as usize }>(ns, &raw mut (*record).ns);
        task::fill::<Probed>(current(), &raw mut (*record).task);
        let to = (&raw mut (*record).text).cast();
        let failed = bpf_probe_read_user(to, len, text.cast());
        (*record).len = if failed == 0 { len } else { 0 };
    }
    entry.submit(0);
}

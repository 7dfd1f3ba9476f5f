//! Lists behind what is open: messages on their way and the files in them, the files of a ring, the
//! mappings of a process.
//!
//! A list may lead to another one, which is gone through first. All of them change under the walk, as
//! the tables do.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use ns_trace_common::{
    Kind,
    files::{Hold, Way},
};

use super::{
    Walk,
    look::{self, note},
    operations,
};
use crate::{
    memory::{Memory as _, Probed, offset, present},
    task::{namespace, pid_namespace},
};

/// How deep lists may lie in each other. The tree of mappings needs ten; sockets that are sent through
/// each other may be endless.
const DEPTH: u32 = 16;

/// `AF_UNIX`, and the state of a socket that others connect to (`TCP_LISTEN`).
const UNIX: u16 = 1;
const LISTENING: u8 = 10;

/// Where `fp` may have flags: a file is at a multiple of 8 at least.
const ALIGNED: usize = !7;

/// The entries of a node that leads to others by ranges with gaps, and of any other; on 64 bits
/// (`MAPLE_ARANGE64_SLOTS`, `MAPLE_RANGE64_SLOTS`).
const ARANGE: u32 = 10;
const RANGE: u32 = 16;
/// Nodes are at multiples of 256; the bits below tell their type (`include/linux/maple_tree.h`).
const NODE: usize = !255;

/// What the entries of a list are.
#[derive(Clone, Copy, Eq, PartialEq)]
#[repr(u32)]
pub(super) enum Sort {
    /// Messages to a socket, linked.
    Messages,
    /// Sockets that ask to be accepted, as the senders of messages, linked.
    Requests,
    /// Files in a message.
    Files,
    /// Files of a ring, with flags.
    Slots,
    /// Nodes of a ring with a file each, with flags.
    Nodes,
    /// Nodes of the tree of mappings.
    Branches,
    /// Mappings.
    Mappings,
}

/// How far a list has been gone through.
#[derive(Clone, Copy)]
#[repr(C)]
struct List {
    /// The next entry.
    next: u64,
    /// The end, if they are linked.
    end: u64,
    /// How many are left, if they are not.
    left: u32,
    /// A [`Sort`].
    sort: u32,
    /// The entries of a node: to read them one by one would take longer than all else.
    entries: [u64; RANGE as usize],
}

/// The lists that are being gone through, the innermost last.
#[map]
static LISTS: PerCpuArray<List> = PerCpuArray::with_max_entries(DEPTH, 0);

/// Goes into a list; one that is too deep is left out.
#[inline(always)]
unsafe fn push(walk: *mut Walk, sort: Sort, next: *const u8, end: *const u8, left: u32) {
    // SAFETY: as promised by the caller; the entry is in bounds.
    unsafe {
        if let Some(list) = LISTS.get_ptr_mut((*walk).depth) {
            (*list).next = next as u64;
            (*list).end = end as u64;
            (*list).left = left;
            (*list).sort = sort as u32;
            (*walk).depth += 1;
        }
    }
}

/// Takes one entry of the innermost list; returns the file that it is, if it is one.
#[inline(always)]
pub(super) unsafe fn next(walk: *mut Walk) -> *const u8 {
    let none = core::ptr::null();
    // SAFETY: as promised by the caller; the entry is in bounds, pointers may have any bits.
    unsafe {
        let Some(list) = LISTS.get_ptr_mut((*walk).depth - 1) else {
            (*walk).depth = 0;
            return none;
        };
        if (*walk).left == 0 {
            (*walk).depth = 0;
            return none;
        }
        (*walk).left -= 1;
        let sort = (*list).sort;
        let place = (*list).next as *const u8;
        let is = |other: Sort| sort == other as u32;
        if is(Sort::Messages) || is(Sort::Requests) {
            if place.is_null() || (*list).next == (*list).end {
                (*walk).depth -= 1;
                return none;
            }
            (*list).next = Probed::pointer(place, offset!(skb_next)) as u64;
            if is(Sort::Messages) {
                message(walk, place);
            } else {
                socket(walk, Probed::pointer(place, offset!(skb_sk)));
            }
            return none;
        }
        if (*list).left == 0 {
            (*walk).depth -= 1;
            return none;
        }
        (*list).left -= 1;
        if is(Sort::Branches) || is(Sort::Mappings) {
            let at = (*list).left % RANGE;
            let entry = (&raw const (*list).entries[at as usize]).read() as *const u8;
            if entry.is_null() {
                return none;
            }
            if is(Sort::Branches) {
                node(walk, entry);
            } else {
                mapping(walk, entry);
            }
            return none;
        }
        (*list).next += 8;
        let entry = Probed::pointer(place, 0);
        if entry.is_null() {
            return none;
        }
        if is(Sort::Files) {
            (*walk).way = Way::Message as u32;
            return entry;
        }
        (*walk).way = Way::Ring as u32;
        let entry = if is(Sort::Nodes) && present(offset!(ring_node_file)) {
            Probed::pointer(entry, offset!(ring_node_file))
        } else {
            entry
        };
        entry.map_addr(|address| address & ALIGNED)
    }
}

/// Notes who is at the other end of a unix socket, and goes into what waits in it.
#[inline(always)]
pub(super) unsafe fn socket(walk: *mut Walk, socket: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        let family: u16 = Probed::read(socket, offset!(sock_family));
        if family != UNIX {
            return;
        }
        look::user(walk, socket, offset!(sock_peer_cred), Hold::Peer);
        if (*walk).of_pid != 0 {
            let peer = Probed::pointer(socket, offset!(sock_peer_pid));
            note!(walk, Pid, of_pid, pid_namespace(peer), Hold::Peer);
        }
        let queue = socket.wrapping_add(offset!(sock_queue) as usize);
        let first = Probed::pointer(queue, 0);
        if first == queue || !present(offset!(unix_fp)) {
            return;
        }
        let state: u8 = Probed::read(socket, offset!(sock_state));
        let sort = if state == LISTENING { Sort::Requests } else { Sort::Messages };
        push(walk, sort, first, queue, 0);
    }
}

/// Notes who sent a message, and goes into the files in it.
#[inline(always)]
unsafe fn message(walk: *mut Walk, message: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        (*walk).way = Way::Message as u32;
        let pid = Probed::pointer(message, offset!(skb_cb) + offset!(unix_pid));
        note!(walk, Pid, of_pid, pid_namespace(pid), Hold::Peer);
        let files = Probed::pointer(message, offset!(skb_cb) + offset!(unix_fp));
        if !files.is_null() {
            let count: u16 = Probed::read(files, offset!(scm_count));
            let first = files.wrapping_add(offset!(scm_fp) as usize);
            push(walk, Sort::Files, first, core::ptr::null(), count.into());
        }
    }
}

/// Goes into the files of a ring.
#[inline(always)]
pub(super) unsafe fn ring(walk: *mut Walk, ring: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        if present(offset!(ring_nodes)) {
            let count: u32 = Probed::read(ring, offset!(ring_nodes_count));
            let nodes = Probed::pointer(ring, offset!(ring_nodes));
            push(walk, Sort::Nodes, nodes, core::ptr::null(), count);
        } else if present(offset!(ring_files)) {
            let count: u32 = Probed::read(ring, offset!(ring_files_count));
            let slots = Probed::pointer(ring, offset!(ring_files));
            push(walk, Sort::Slots, slots, core::ptr::null(), count);
        }
    }
}

/// Goes into the mappings of a process.
#[inline(always)]
pub(super) unsafe fn memory(walk: *mut Walk) {
    if !present(offset!(mm_tree)) || !present(offset!(shm_ns)) {
        return;
    }
    // SAFETY: as promised by the caller; pointers may have any bits.
    unsafe {
        let root = Probed::pointer((*walk).mm, offset!(mm_tree));
        // `xa_is_node`: a lonely mapping would be there itself.
        if root.addr() & 3 == 2 && root.addr() > 4096 {
            node(walk, root);
        }
    }
}

/// Goes into a node of the tree of mappings.
#[inline(always)]
unsafe fn node(walk: *mut Walk, node: *const u8) {
    const LEAF: usize = 1;
    const BRANCH: usize = 2;
    const BRANCH_WITH_GAPS: usize = 3;
    let (sort, place, count) = match node.addr() >> 3 & 0xf {
        LEAF => (Sort::Mappings, offset!(maple_slots), RANGE),
        BRANCH => (Sort::Branches, offset!(maple_slots), RANGE),
        BRANCH_WITH_GAPS => (Sort::Branches, offset!(maple_arange_slots), ARANGE),
        _ => return,
    };
    let null = core::ptr::null();
    // SAFETY: as promised by the caller; the entry is in bounds. A node is large enough to read as many
    // entries of it as the largest has.
    unsafe {
        if let Some(list) = LISTS.get_ptr_mut((*walk).depth) {
            let at = node.map_addr(|address| address & NODE);
            (*list).entries = Probed::read(at, place);
        }
        push(walk, sort, null, null, count);
    }
}

/// Notes the namespace of memory of System V that is mapped (`struct shm_file_data`).
#[inline(always)]
unsafe fn mapping(walk: *mut Walk, mapping: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        let file = Probed::pointer(mapping, offset!(vma_file));
        let data = if file.is_null() { file } else { Probed::pointer(file, offset!(file_private)) };
        // Behind the last entry of a node old ones may stand.
        if data.is_null() || Probed::pointer(mapping, offset!(vma_mm)) != (*walk).mm {
            return;
        }
        let ns = Probed::pointer(data, offset!(shm_ns));
        if operations!(Ipc, ns) == (*walk).of_ipc {
            (*walk).at = Probed::read(data, offset!(shm_id));
            note!(walk, Ipc, of_ipc, ns, Hold::Memory);
        }
    }
}

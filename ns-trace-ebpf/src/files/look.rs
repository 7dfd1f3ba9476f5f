//! What one open file keeps.

use ns_trace_common::{
    Kind,
    files::{BATCH, Held, Hold, IN_SIGHT, Way},
};

use super::{FILES, Walk, inner, operations};
use crate::{
    memory::{Memory as _, Probed, offset, present},
    task::{namespace, pid_namespace},
};

/// Magic numbers of file systems (include/uapi/linux/magic.h).
const PROC: u64 = 0x9fa0;
const CGROUP: u64 = 0x0027_e0eb;
const CGROUP2: u64 = 0x6367_7270;
const PIDFS: u64 = 0x5049_4446;
const ANONYMOUS: u64 = 0x0904_1934;
const SOCKETS: u64 = 0x534f_434b;
const NSFS: u64 = 0x6e73_6673;

/// The name of a pidfd before there was pidfs (6.9), which ends in a zero.
const PIDFD: u64 = u64::from_ne_bytes(*b"[pidfd]\0");
/// The name of the file that tap devices are made with, which ends in a zero.
const TUN: u32 = u32::from_ne_bytes(*b"tun\0");
/// How the name of a ring begins, `[io_uring]`.
const RING: u64 = u64::from_ne_bytes(*b"[io_urin");

/// Notes a namespace of a kind, if that is what stands at an address.
macro_rules! note {
    ($walk:ident, $kind:ident, $operations:ident, $address:expr, $hold:expr) => {{
        let address: *const u8 = $address;
        let operations = (*$walk).$operations;
        if operations != 0 && operations!($kind, address) == operations {
            if let Some(held) = $crate::files::look::place($walk) {
                namespace::<Probed, { Kind::$kind as usize }>(address, &raw mut (*held).ns);
                (*held).kind = Kind::$kind as u32;
                (*held).hold = $hold as u32;
                (*held).way = (*$walk).way;
                (*held).pid = (*$walk).pid;
                (*held).tid = (*$walk).tid;
                (*held).fd = (*$walk).at;
            }
        }
    }};
}
pub(super) use note;

/// Where the next find is told; nowhere if it is to be passed over.
#[inline(always)]
pub(super) unsafe fn place(walk: *mut Walk) -> Option<*mut Held> {
    // SAFETY: as promised by the caller.
    unsafe {
        if (*walk).skip > 0 {
            (*walk).skip -= 1;
            return None;
        }
        let place = FILES.get_ptr_mut(((*walk).share * u64::from(BATCH) + (*walk).found) as u32)?;
        (*walk).found += 1;
        Some(place)
    }
}

/// Notes once that the process has files that tell of themselves.
#[inline(always)]
unsafe fn in_sight(walk: *mut Walk, file: *const u8) {
    // SAFETY: as promised by the caller.
    unsafe {
        if (*walk).is_told != 0 {
            return;
        }
        (*walk).is_told = 1;
        if let Some(held) = place(walk) {
            (*held).ns.address = file as u64;
            (*held).hold = IN_SIGHT;
            (*held).pid = (*walk).pid;
        }
    }
}

/// Looks at one open file.
#[inline(always)]
pub(super) unsafe fn look(walk: *mut Walk, file: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        // Every read counts: there are more files than anything else.
        user(walk, file, offset!(file_cred), Hold::Cred);
        if (*walk).of_pid != 0 {
            let signalled = signalled(file);
            if !signalled.is_null() {
                note!(walk, Pid, of_pid, pid_namespace(signalled), Hold::Signal);
            }
        }
        let private = Probed::pointer(file, offset!(file_private));
        let inode = Probed::pointer(file, offset!(file_inode));
        let block = Probed::pointer(inode, offset!(inode_sb));
        let magic: u64 = Probed::read(block, offset!(sb_magic));
        match magic {
            PIDFS => {
                let pid = Probed::pointer(inode, offset!(inode_private));
                note!(walk, Pid, of_pid, pid_namespace(pid), Hold::Pidfd);
            }
            ANONYMOUS => {
                let dentry = Probed::pointer(file, offset!(file_dentry));
                let name = Probed::pointer(dentry, offset!(dentry_name));
                let name: u64 = Probed::read(name, 0);
                if name == PIDFD {
                    note!(walk, Pid, of_pid, pid_namespace(private), Hold::Pidfd);
                }
                if name == RING {
                    if !(present(offset!(ring_nodes)) || present(offset!(ring_files))) {
                        in_sight(walk, file);
                    }
                    inner::ring(walk, private);
                }
            }
            SOCKETS => {
                let socket = Probed::pointer(private, offset!(socket_sk));
                if (*walk).of_net != 0 {
                    let net = Probed::pointer(socket, offset!(sock_net));
                    // Every socket would be one that holds what its process does already.
                    if (*walk).way != Way::Open as u32 || net != (*walk).net {
                        note!(walk, Net, of_net, net, Hold::Socket);
                    }
                }
                inner::socket(walk, socket);
            }
            NSFS if (*walk).way == Way::Open as u32 => in_sight(walk, file),
            NSFS => {
                let common = Probed::pointer(inode, offset!(inode_private));
                macro_rules! either {
                    ($($kind:ident $operations:ident)+) => {$({
                        let before = offset!(namespaces[Kind::$kind as usize].common) as usize;
                        note!(walk, $kind, $operations, common.wrapping_sub(before), Hold::Nsfs);
                    })+};
                }
                either!(Mnt of_mnt Pid of_pid Ipc of_ipc Uts of_uts);
                either!(Net of_net User of_user Cgroup of_cgroup Time of_time);
            }
            PROC => {
                let vfs = offset!(proc_inode_vfs);
                if present(vfs) {
                    let inode = inode.wrapping_sub(vfs as usize);
                    let pid = Probed::pointer(inode, offset!(proc_inode_pid));
                    note!(walk, Pid, of_pid, pid_namespace(pid), Hold::Proc);
                }
                // What most files keep here are sequences; if it is none, nothing is found.
                let sequence = Probed::pointer(private, offset!(seq_private));
                if present(offset!(mounts_ns)) {
                    let mnt = Probed::pointer(sequence, offset!(mounts_ns));
                    note!(walk, Mnt, of_mnt, mnt, Hold::Proc);
                }
                // The namespace itself (`single_open_net`), or `struct seq_net_private`, whose first
                // member it is (include/linux/seq_file_net.h).
                note!(walk, Net, of_net, sequence, Hold::Proc);
                note!(walk, Net, of_net, Probed::pointer(sequence, 0), Hold::Proc);
            }
            CGROUP | CGROUP2 if present(offset!(cgroup_file_ns)) => {
                let open = Probed::pointer(private, offset!(seq_private));
                let context = Probed::pointer(open, offset!(kernfs_open_priv));
                let ns = Probed::pointer(context, offset!(cgroup_file_ns));
                note!(walk, Cgroup, of_cgroup, ns, Hold::Cgroup);
            }
            _ if (*walk).of_net != 0 && (*walk).way == Way::Open as u32 => {
                let dentry = Probed::pointer(file, offset!(file_dentry));
                let name = Probed::pointer(dentry, offset!(dentry_name));
                let name: u32 = Probed::read(name, 0);
                if name == TUN {
                    in_sight(walk, file);
                }
            }
            _ => {}
        }
    }
}

/// Notes the user namespace of the credentials that stand at an offset, unless it is the process' own.
#[inline(always)]
pub(super) unsafe fn user(walk: *mut Walk, place: *const u8, offset: u32, hold: Hold) {
    // SAFETY: as promised by the caller; pointers may have any bits.
    unsafe {
        if (*walk).of_user != 0 {
            let cred = Probed::pointer(place, offset);
            let user = Probed::pointer(cred, offset!(cred_user_ns));
            if user != (*walk).user {
                note!(walk, User, of_user, user, hold);
            }
        }
    }
}

/// The `struct pid` that signals about a file go to.
#[inline(always)]
unsafe fn signalled(file: *const u8) -> *const u8 {
    // SAFETY: as promised by the caller; pointers may have any bits.
    unsafe {
        if present(offset!(file_owner)) {
            let owner = Probed::pointer(file, offset!(file_owner));
            if owner.is_null() { owner } else { Probed::pointer(owner, offset!(fown_pid)) }
        } else {
            Probed::pointer(file, offset!(file_owner_pid))
        }
    }
}

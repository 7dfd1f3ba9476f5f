//! A walk over all file tables: open files that keep a namespace, which neither their link in /proc
//! nor any request of theirs tells.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_loop,
    macros::{map, raw_tracepoint},
    maps::Array,
    programs::RawTracePointContext,
};
use ns_trace_common::{
    Kind, Slot,
    files::{self as argument, BATCH, Held, Hold},
};

use crate::{
    maps::MMAPABLE,
    memory::{Memory as _, Probed, offset, present},
    snapshot::first_task,
    task::{namespace, own_pid, pid_namespace},
};

/// What was found.
#[map]
static FILES: Array<Held> = Array::with_max_entries(BATCH, MMAPABLE);

/// The most descriptors and tasks that are visited in one run: `BPF_MAX_LOOPS`.
const STEPS: u32 = 1 << 23;

/// Magic numbers of file systems (include/uapi/linux/magic.h).
const PROC: u64 = 0x9fa0;
const CGROUP: u64 = 0x0027_e0eb;
const CGROUP2: u64 = 0x6367_7270;
const PIDFS: u64 = 0x5049_4446;
const ANONYMOUS: u64 = 0x0904_1934;

/// The name of a pidfd before there was pidfs (6.9), which ends in a zero.
const PIDFD: u64 = u64::from_ne_bytes(*b"[pidfd]\0");

/// Where the walk stands.
struct Walk {
    /// The first task of all, where the list of leaders ends.
    init: *const u8,
    /// The thread group being visited.
    leader: *const u8,
    /// The end of its list of threads.
    head: *const u8,
    /// The next entry of that list.
    node: *const u8,
    /// The file table that its threads share.
    shared: *const u8,
    /// The user namespace of the thread whose table is being visited.
    user: *const u8,
    /// Where the next file of that table stands.
    next: u64,
    /// The next descriptor, and the first that there is no room for.
    fd: u32,
    end: u32,
    pid: u32,
    tid: u32,
    /// The operations of a kind of namespace: what has them is one of that kind, whatever led there.
    of_mnt: u64,
    of_pid: u64,
    of_net: u64,
    of_user: u64,
    of_cgroup: u64,
    skip: u64,
    found: u64,
}

/// The operations of a namespace.
macro_rules! operations {
    ($kind:ident, $address:expr) => {{
        let common = offset!(namespaces[Kind::$kind as usize].common);
        Probed::pointer($address, common + offset!(ops)) as u64
    }};
}

/// Never attached: userspace runs it with `BPF_PROG_TEST_RUN`, with the arguments of
/// [`ns_trace_common::files`].
///
/// The tables change under it, guarded by RCU only: what is opened or closed meanwhile may be missed
/// or met. Therefore every pointer is checked for leading to a namespace.
///
/// match-proto: none
#[raw_tracepoint]
pub fn files(context: RawTracePointContext) {
    let first: u64 = context.arg(argument::FIRST);
    let init = first_task();
    // SAFETY: the callback matches its context, which outlives the call; pointers may have any bits.
    unsafe {
        let nsproxy = Probed::pointer(init, offset!(task_nsproxy));
        let cred = Probed::pointer(init, offset!(task_real_cred));
        let user = Probed::pointer(cred, offset!(cred_user_ns));
        macro_rules! proxied {
            ($kind:ident) => {
                operations!($kind, Probed::pointer(nsproxy, offset!(nsproxy[Slot::$kind as usize])))
            };
        }
        // The first task itself begins the list of its threads. As in the walk over tasks, nothing
        // that a branch depends on may be known to the verifier.
        let signal = Probed::pointer(init, offset!(task_signal));
        let head = signal.wrapping_add(offset!(signal_thread_head) as usize);
        let mut walk = Walk {
            init,
            leader: init,
            head,
            node: Probed::pointer(head, 0),
            shared: first as *const u8,
            user,
            next: 0,
            fd: first as u32,
            end: first as u32,
            pid: first as u32,
            tid: first as u32,
            of_mnt: proxied!(Mnt),
            of_pid: operations!(Pid, own_pid::<Probed>(init).0),
            of_net: proxied!(Net),
            of_user: operations!(User, user),
            of_cgroup: proxied!(Cgroup),
            skip: context.arg(argument::SKIP),
            found: first,
        };
        bpf_loop(STEPS, step as *const () as *mut c_void, (&raw mut walk).cast(), 0);
    }
}

/// Visits one descriptor, or goes on to the next thread or thread group.
unsafe extern "C" fn step(_: u64, walk: *mut Walk) -> i64 {
    // SAFETY: the loop passes the context that it was given; pointers may have any bits.
    unsafe {
        if (*walk).found >= u64::from(BATCH) {
            return 1;
        }
        if (*walk).fd < (*walk).end {
            let file = Probed::pointer((*walk).next as *const u8, 0);
            if !file.is_null() {
                look(walk, file);
            }
            (*walk).next += 8;
            (*walk).fd += 1;
            return 0;
        }
        let node = (*walk).node;
        if node != (*walk).head && !node.is_null() {
            (*walk).node = Probed::pointer(node, 0);
            enter(walk, node.wrapping_sub(offset!(task_thread_node) as usize));
            return 0;
        }
        let next = Probed::pointer((*walk).leader, offset!(task_tasks));
        let leader = next.wrapping_sub(offset!(task_tasks) as usize);
        if next.is_null() || leader == (*walk).init {
            return 1;
        }
        let signal = Probed::pointer(leader, offset!(task_signal));
        (*walk).leader = leader;
        (*walk).head = signal.wrapping_add(offset!(signal_thread_head) as usize);
        (*walk).node = Probed::pointer((*walk).head, 0);
        (*walk).shared = core::ptr::null();
    }
    0
}

/// Goes into the table of a thread, unless it is the one that others of its process have as well.
#[inline(always)]
unsafe fn enter(walk: *mut Walk, task: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        let table = Probed::pointer(task, offset!(task_files));
        if table.is_null() || table == (*walk).shared {
            return;
        }
        (*walk).pid = Probed::read(task, offset!(task_tgid));
        (*walk).tid = Probed::read(task, offset!(task_pid));
        // What has ended has no table; then the first of the others stands for it.
        if (*walk).shared.is_null() {
            (*walk).shared = table;
            (*walk).tid = (*walk).pid;
        }
        let cred = Probed::pointer(task, offset!(task_real_cred));
        (*walk).user = Probed::pointer(cred, offset!(cred_user_ns));
        let table = Probed::pointer(table, offset!(files_fdt));
        (*walk).next = Probed::pointer(table, offset!(fdt_fd)) as u64;
        (*walk).fd = 0;
        (*walk).end = Probed::read(table, offset!(fdt_max_fds));
    }
}

/// Notes a namespace of a kind, if that is what stands at an address.
macro_rules! note {
    ($walk:ident, $kind:ident, $operations:ident, $address:expr, $hold:ident) => {{
        let address: *const u8 = $address;
        let operations = (*$walk).$operations;
        if operations != 0 && operations!($kind, address) == operations {
            if (*$walk).skip > 0 {
                (*$walk).skip -= 1;
            } else if let Some(held) = FILES.get_ptr_mut((*$walk).found as u32) {
                namespace::<Probed, { Kind::$kind as usize }>(address, &raw mut (*held).ns);
                (*held).kind = Kind::$kind as u32;
                (*held).hold = Hold::$hold as u32;
                (*held).pid = (*$walk).pid;
                (*held).tid = (*$walk).tid;
                (*held).fd = (*$walk).fd;
                (*$walk).found += 1;
            }
        }
    }};
}

/// Looks at one open file.
#[inline(always)]
unsafe fn look(walk: *mut Walk, file: *const u8) {
    // SAFETY: as promised by the caller; integers and pointers may have any bits.
    unsafe {
        let cred = Probed::pointer(file, offset!(file_cred));
        let user = Probed::pointer(cred, offset!(cred_user_ns));
        if user != (*walk).user {
            note!(walk, User, of_user, user, Cred);
        }
        let private = Probed::pointer(file, offset!(file_private));
        let inode = Probed::pointer(file, offset!(file_inode));
        let block = Probed::pointer(inode, offset!(inode_sb));
        let magic: u64 = Probed::read(block, offset!(sb_magic));
        match magic {
            PIDFS => {
                let pid = Probed::pointer(inode, offset!(inode_private));
                note!(walk, Pid, of_pid, pid_namespace(pid), Pidfd);
            }
            ANONYMOUS => {
                let dentry = Probed::pointer(file, offset!(file_dentry));
                let name = Probed::pointer(dentry, offset!(dentry_name));
                let name: u64 = Probed::read(name, 0);
                if name == PIDFD {
                    note!(walk, Pid, of_pid, pid_namespace(private), Pidfd);
                }
            }
            PROC => {
                let vfs = offset!(proc_inode_vfs);
                if present(vfs) {
                    let inode = inode.wrapping_sub(vfs as usize);
                    let pid = Probed::pointer(inode, offset!(proc_inode_pid));
                    note!(walk, Pid, of_pid, pid_namespace(pid), Proc);
                }
                // What most files keep here are sequences; if it is none, nothing is found.
                let sequence = Probed::pointer(private, offset!(seq_private));
                if present(offset!(mounts_ns)) {
                    let mnt = Probed::pointer(sequence, offset!(mounts_ns));
                    note!(walk, Mnt, of_mnt, mnt, Proc);
                }
                // The namespace itself (`single_open_net`), or `struct seq_net_private`, whose first
                // member it is (include/linux/seq_file_net.h).
                note!(walk, Net, of_net, sequence, Proc);
                note!(walk, Net, of_net, Probed::pointer(sequence, 0), Proc);
            }
            CGROUP | CGROUP2 if present(offset!(cgroup_file_ns)) => {
                let open = Probed::pointer(private, offset!(seq_private));
                let context = Probed::pointer(open, offset!(kernfs_open_priv));
                let ns = Probed::pointer(context, offset!(cgroup_file_ns));
                note!(walk, Cgroup, of_cgroup, ns, Cgroup);
            }
            _ => {}
        }
    }
}

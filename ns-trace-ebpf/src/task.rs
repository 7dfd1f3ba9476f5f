//! A task's picture: the only pointer chasing.

use ns_trace_common::{COMM_LEN, Kind, Ns, Slot, Task};

use crate::{
    call::current,
    maps::legacy,
    memory::{Direct, Memory, Probed, has, offset, present},
};

/// The deepest that pid namespaces nest (`MAX_PID_NS_LEVEL`), as a mask that bounds the level.
const LEVEL_MASK: u32 = 63;

const PID: usize = Kind::Pid as usize;
const USER: usize = Kind::User as usize;

/// Reads the namespace of kind `KIND` (the discriminant of a `Kind`) at `address`.
///
/// # Safety
///
/// `out` must be valid for writes; `M` must be able to read `address`.
#[inline(always)]
pub unsafe fn namespace<M: Memory, const KIND: usize>(address: *const u8, out: *mut Ns) {
    let common = offset!(namespaces[KIND].common);
    let id = offset!(namespaces[KIND].id);
    // SAFETY: integers have no invalid bits; the rest as promised by the caller.
    unsafe {
        (*out).address = address as u64;
        (*out).id = if present(id) { M::read(address, id) } else { 0 };
        (*out).inode = M::read(address, common + offset!(inum));
        (*out).reserved = 0;
    }
}

/// Writes all that is known of `task`.
///
/// # Safety
///
/// `out` must be valid for writes; `M` must be able to read `task`.
#[inline(always)]
pub unsafe fn fill<M: Memory>(task: *const u8, out: *mut Task) {
    // SAFETY: as promised by the caller.
    unsafe {
        let pid = identity::<M>(task, out);
        cgroup::<M>(task, out);
        shared::<M>(task, pid, out);
    }
}

/// Writes all that is known of the current task, in the fastest way.
///
/// # Safety
///
/// `out` must be valid for writes.
#[inline(always)]
pub unsafe fn own(out: *mut Task) {
    // SAFETY: as promised by the caller.
    unsafe {
        if has!(current_task_btf) {
            fill::<Direct>(current(), out);
        } else {
            fill::<Probed>(current(), out);
        }
    }
}

/// Writes a child that shares its namespaces and credentials with `creator`, the current task.
///
/// # Safety
///
/// `out` must be valid for writes.
#[inline(always)]
pub unsafe fn fill_child(child: *const u8, creator: *const u8, out: *mut Task) {
    // SAFETY: as promised by the caller.
    unsafe {
        let pid = identity::<Probed>(child, out);
        // CLONE_INTO_CGROUP puts the child elsewhere.
        cgroup::<Probed>(child, out);
        if has!(current_task_btf) {
            shared::<Direct>(creator, pid, out);
        } else {
            shared::<Probed>(creator, pid, out);
        }
    }
}

/// A number that two sets of ten namespaces share only if they are the same, never 0: addresses, which
/// nobody outside the kernel chooses or knows, are part of it.
#[inline(never)]
pub fn digest(task: *const u8) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut digest = 0_u64;
    let mut mix = |word: u64| digest = (digest ^ word).wrapping_mul(ODD).rotate_left(29);
    macro_rules! slot {
        ($kind:ident, $address:expr) => {{
            let mut ns = Ns::NONE;
            // SAFETY: any address may be probed.
            unsafe {
                namespace::<Probed, { Kind::$kind as usize }>($address, &raw mut ns);
            }
            mix(ns.address);
            mix(ns.id ^ u64::from(ns.inode) << 32);
        }};
    }
    // SAFETY: pointers may have any bits.
    unsafe {
        let cred = Probed::pointer(task, offset!(task_real_cred));
        slot!(User, Probed::pointer(cred, offset!(cred_user_ns)));
        slot!(Pid, own_pid::<Probed>(task).0);
        let nsproxy = Probed::pointer(task, offset!(task_nsproxy));
        macro_rules! proxied {
            ($($slot:ident $kind:ident)+) => {
                $(slot!($kind, Probed::pointer(nsproxy, offset!(nsproxy[Slot::$slot as usize])));)+
            };
        }
        proxied!(Mnt Mnt Ipc Ipc Uts Uts Net Net Cgroup Cgroup Time Time);
        proxied!(TimeForChildren Time PidForChildren Pid);
    }
    digest | 1
}

/// The address of the pid namespace that the number of `task` is in, and that number.
///
/// # Safety
///
/// `M` must be able to read `task`.
#[inline(always)]
pub unsafe fn own_pid<M: Memory>(task: *const u8) -> (*const u8, u32) {
    // SAFETY: integers and pointers may have any bits.
    unsafe {
        let pid = M::pointer(task, offset!(task_thread_pid));
        let level: u32 = M::read(pid, offset!(pid_level));
        // Outside of all containers, where most tasks are, nothing needs probing.
        if level == 0 {
            let number = innermost(0);
            return (M::pointer(pid, number + 8), M::read(pid, number));
        }
        let number = innermost(level);
        (Probed::pointer(pid, number + 8), Probed::read(pid, number))
    }
}

/// The address of the pid namespace that a `struct pid` belongs to.
#[inline(always)]
pub fn pid_namespace(pid: *const u8) -> *const u8 {
    // SAFETY: integers and pointers may have any bits.
    unsafe {
        let level: u32 = Probed::read(pid, offset!(pid_level));
        Probed::pointer(pid, innermost(level) + 8)
    }
}

/// Where in a `struct pid` its number in its own namespace is, with the namespace behind it: `numbers`
/// ends in an array whose index the verifier cannot bound by type, so that it must be probed but for
/// the first.
#[inline(always)]
fn innermost(level: u32) -> u32 {
    offset!(pid_numbers) + (level & LEVEL_MASK) * 16
}

/// Writes numbers and name; returns the address of the task's own pid namespace.
#[inline(always)]
unsafe fn identity<M: Memory>(task: *const u8, out: *mut Task) -> *const u8 {
    // SAFETY: integers have no invalid bits; `out` is valid.
    unsafe {
        (*out).tid = M::read(task, offset!(task_pid));
        (*out).pid = M::read(task, offset!(task_tgid));
        let parent = M::pointer(task, offset!(task_real_parent));
        (*out).ppid = M::read(parent, offset!(task_tgid));
        (*out).start_ns = M::read(task, offset!(task_start_boottime));
        (*out).flags = M::read(task, offset!(task_flags));
        // As words, or the compiler would move byte by byte; the record has it where words are.
        let comm: [u64; COMM_LEN / 8] = M::read(task, offset!(task_comm));
        (&raw mut (*out).comm).cast::<[u64; COMM_LEN / 8]>().write(comm);
        let (namespace, number) = own_pid::<M>(task);
        (*out).vpid = number;
        namespace
    }
}

/// Writes the ids of the cgroups in the unified hierarchy and, if there is one, in one of version 1.
#[inline(always)]
unsafe fn cgroup<M: Memory>(task: *const u8, out: *mut Task) {
    // SAFETY: integers have no invalid bits; `out` is valid.
    unsafe {
        let css_set = M::pointer(task, offset!(task_cgroups));
        let cgroup = M::pointer(css_set, offset!(css_dfl_cgrp));
        let node = M::pointer(cgroup, offset!(cgroup_kn));
        (*out).cgroup_id = M::read(node, offset!(kernfs_id));
        (*out).legacy_cgroup_id = if present(legacy()) {
            let state = M::pointer(css_set, legacy());
            let cgroup = M::pointer(state, offset!(css_cgroup));
            let node = M::pointer(cgroup, offset!(cgroup_kn));
            M::read(node, offset!(kernfs_id))
        } else {
            0
        };
    }
}

/// Writes what a plain fork leaves as it is: user numbers, capabilities and the ten namespaces;
/// `pid` is the address of the task's own pid namespace.
#[inline(always)]
unsafe fn shared<M: Memory>(task: *const u8, pid: *const u8, out: *mut Task) {
    // SAFETY: `out` is valid; integers and pointers may have any bits.
    unsafe {
        let cred = M::pointer(task, offset!(task_real_cred));
        (*out).uid = M::read(cred, offset!(cred_uid));
        (*out).gid = M::read(cred, offset!(cred_gid));
        (*out).euid = M::read(cred, offset!(cred_euid));
        (*out).caps = M::read(cred, offset!(cred_caps));
        let slots = &raw mut (*out).slots;
        let user = M::pointer(cred, offset!(cred_user_ns));
        namespace::<M, USER>(user, &raw mut (*slots)[Slot::User as usize]);

        /// Reads the namespace that `nsproxy` holds for a slot; evaluates to its address.
        macro_rules! proxied {
            ($slot:ident, $kind:ident, $nsproxy:expr) => {{
                let address = M::pointer($nsproxy, offset!(nsproxy[Slot::$slot as usize]));
                let out = &raw mut (*slots)[Slot::$slot as usize];
                namespace::<M, { Kind::$kind as usize }>(address, out);
                address
            }};
        }
        let nsproxy = M::pointer(task, offset!(task_nsproxy));
        proxied!(Mnt, Mnt, nsproxy);
        proxied!(Ipc, Ipc, nsproxy);
        proxied!(Uts, Uts, nsproxy);
        proxied!(Net, Net, nsproxy);
        proxied!(Cgroup, Cgroup, nsproxy);
        proxied!(Time, Time, nsproxy);
        proxied!(TimeForChildren, Time, nsproxy);
        let children = proxied!(PidForChildren, Pid, nsproxy);
        // Mostly the same, and then the probed reads can be spared.
        if pid as u64 == children as u64 {
            (*slots)[Slot::Pid as usize] = (*slots)[Slot::PidForChildren as usize];
        } else {
            namespace::<Probed, PID>(pid, &raw mut (*slots)[Slot::Pid as usize]);
        }
    }
}

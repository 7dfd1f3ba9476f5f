//! Namespaces that come to be, where functions can be hooked.

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use ns_trace_common::{Due, Kind, Ns, RecordKind, Slot, create::Create};

use crate::{
    birth,
    call::{cause, current, flags},
    emit,
    enter::returned,
    memory::{Memory as _, Probed, offset, present},
    task::{self, namespace},
};

/// The largest error number, `MAX_ERRNO`: a pointer this close to the top is an error.
const MAX_ERRNO: u64 = 4095;

/// Writes the record of a new namespace of kind `$kind` at `$address`.
macro_rules! born {
    ($kind:ident, $address:expr, $flags:expr) => {{
        let address: *const u8 = $address;
        let cause = cause();
        if cause.ends() {
            birth::seen(Kind::$kind.flag());
        }
        let Some(mut entry) = emit::reserve::<Create>(RecordKind::Create) else {
            return emit::lost(Due::CREATE, 1);
        };
        let record = entry.as_mut_ptr();
        let owner = offset!(namespaces[Kind::$kind as usize].owner);
        let parent = offset!(namespaces[Kind::$kind as usize].parent);
        let level = offset!(namespaces[Kind::$kind as usize].level);
        // SAFETY: `record` is the reserved room; pointers may have any bits.
        unsafe {
            (*record).cause = cause as u32;
            (*record).kind = Kind::$kind as u32;
            (*record).flags = flags(cause).unwrap_or($flags);
            (*record).level = if present(level) { Probed::read(address, level) } else { 0 };
            (*record).reserved = 0;
            namespace::<Probed, { Kind::$kind as usize }>(address, &raw mut (*record).ns);
            let owner = Probed::pointer(address, owner);
            namespace::<Probed, { Kind::User as usize }>(owner, &raw mut (*record).owner);
            (*record).parent = Ns::NONE;
            if present(parent) {
                let parent = Probed::pointer(address, parent);
                namespace::<Probed, { Kind::$kind as usize }>(parent, &raw mut (*record).parent);
            }
            task::fill::<Probed>(current(), &raw mut (*record).task);
        }
        entry.submit(0);
    }};
}

/// Two hooks on the return of the constructor of one kind. It also runs without the kind's flag, and
/// then returns the namespace that it was given: what the current task has in the slot. A kretprobe
/// knows the result only.
macro_rules! constructor {
    ($(#[$doc:meta])+ $name:ident, $returned:ident, $kind:ident, $arguments:literal) => {
        $(#[$doc])+
        #[fexit]
        pub fn $name(context: FExitContext) {
            let flags: u64 = context.arg(0);
            let address: u64 = context.arg($arguments);
            if flags & Kind::$kind.flag() != 0 && address < MAX_ERRNO.wrapping_neg() {
                born!($kind, address as *const u8, flags);
            }
        }

        $(#[$doc])+
        #[kretprobe]
        pub fn $returned(context: RetProbeContext) {
            let address: u64 = context.ret();
            let slot = offset!(nsproxy[Slot::unshared(Kind::$kind) as usize]);
            // SAFETY: pointers may have any bits.
            let given = unsafe {
                Probed::pointer(Probed::pointer(current(), offset!(task_nsproxy)), slot)
            };
            if address != given as u64 && address < MAX_ERRNO.wrapping_neg() {
                born!($kind, address as *const u8, Kind::$kind.flag());
            }
        }
    };
}

constructor! {
    /// match-proto: v5.10..v6.17: struct mnt_namespace *copy_mnt_ns(unsigned long flags, struct mnt_namespace *ns, struct user_namespace *user_ns, struct fs_struct *new_fs)
    copy_mnt_ns, copy_mnt_ns_returned, Mnt, 4
}
constructor! {
    /// match-proto: v5.10..v6.17: struct pid_namespace *copy_pid_ns(unsigned long flags, struct user_namespace *user_ns, struct pid_namespace *old)
    copy_pid_ns, copy_pid_ns_returned, Pid, 3
}
constructor! {
    /// match-proto: v5.10..v6.17: struct ipc_namespace *copy_ipcs(unsigned long flags, struct user_namespace *user_ns, struct ipc_namespace *ns)
    copy_ipcs, copy_ipcs_returned, Ipc, 3
}
constructor! {
    /// match-proto: v5.10..v6.17: struct uts_namespace *copy_utsname(unsigned long flags, struct user_namespace *user_ns, struct uts_namespace *old)
    copy_utsname, copy_utsname_returned, Uts, 3
}
constructor! {
    /// match-proto: v5.10..v6.17: struct net *copy_net_ns(unsigned long flags, struct user_namespace *user_ns, struct net *old)
    copy_net_ns, copy_net_ns_returned, Net, 3
}
constructor! {
    /// match-proto: v5.10..v6.17: struct cgroup_namespace *copy_cgroup_ns(unsigned long flags, struct user_namespace *user_ns, struct cgroup_namespace *old)
    copy_cgroup_ns, copy_cgroup_ns_returned, Cgroup, 3
}
constructor! {
    /// match-proto: v5.10..v6.17: struct time_namespace *copy_time_ns(unsigned long flags, struct user_namespace *user_ns, struct time_namespace *old)
    copy_time_ns, copy_time_ns_returned, Time, 3
}

/// User namespaces, which are made before the others of a call.
///
/// match-proto: v5.10+: int create_user_ns(struct cred *new)
#[fexit(function = "create_user_ns")]
pub fn create_user_ns(context: FExitContext) {
    if returned(&context, 1) == 0 {
        let cred: *const u8 = context.arg(0);
        // SAFETY: pointers may have any bits.
        let address = unsafe { Probed::pointer(cred, offset!(cred_user_ns)) };
        born!(User, address, Kind::User.flag());
    }
}

/// User namespaces, once the new one is whole but for the sysctls that this function adds: if it has
/// no memory for them, what was born here is freed at once.
///
/// match-proto: v5.10..v6.17: bool setup_userns_sysctls(struct user_namespace *ns)
#[kprobe]
pub fn setup_userns_sysctls(context: ProbeContext) {
    if let Some(address) = context.arg::<u64>(0) {
        born!(User, address as *const u8, Kind::User.flag());
    }
}

/// Every namespace, from 6.18 on: when it becomes findable in the kernel's tree, and so never one
/// whose constructor failed, nor an anonymous mount namespace.
///
/// match-proto: v6.18: void __ns_tree_add_raw(struct ns_common *ns, struct ns_tree *ns_tree)
/// match-proto: v6.19+: void __ns_tree_add_raw(struct ns_common *ns, struct ns_tree_root *ns_tree)
#[fentry(function = "__ns_tree_add_raw")]
pub fn ns_tree_add(context: FEntryContext) {
    findable(context.arg(0));
}

/// The same, as a kprobe.
///
/// match-proto: v6.18: void __ns_tree_add_raw(struct ns_common *ns, struct ns_tree *ns_tree)
/// match-proto: v6.19+: void __ns_tree_add_raw(struct ns_common *ns, struct ns_tree_root *ns_tree)
#[kprobe]
pub fn ns_tree_add_entered(context: ProbeContext) {
    if let Some(common) = context.arg(0) {
        findable(common);
    }
}

#[inline(always)]
fn findable(common: u64) {
    if !present(offset!(ns_type)) {
        return;
    }
    // SAFETY: an integer may have any bits.
    let flag: u32 = unsafe { Probed::read(common as *const u8, offset!(ns_type)) };
    macro_rules! of_kind {
        ($($kind:ident)+) => {
            $(if u64::from(flag) == Kind::$kind.flag() {
                let start = common - u64::from(offset!(namespaces[Kind::$kind as usize].common));
                born!($kind, start as *const u8, u64::from(flag));
                return;
            })+
        };
    }
    of_kind!(Mnt Pid Ipc Uts Net User Cgroup Time);
}

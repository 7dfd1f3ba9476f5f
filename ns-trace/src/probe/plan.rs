//! Which hooks a backend uses on this kernel.

use std::{fmt, io, path::Path};

use super::{
    arch,
    offsets::{KERNEL_BTF, Layout},
};
use crate::sys::bpf;

/// A way of getting into the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// Programs on functions: exact, and free for every other system call.
    Fentry,
    /// Tracepoints only: for kernels that refuse programs on functions.
    Tracepoint,
}

impl Backend {
    /// Every backend, best first.
    pub const ALL: [Self; 2] = [Self::Fentry, Self::Tracepoint];

    /// The name, as `--probe` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Tracepoint => "tracepoint",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a program hangs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HookKind {
    /// A raw tracepoint.
    RawTracepoint(&'static str),
    /// A tracepoint of the `syscalls` category, through perf.
    Syscall(&'static str),
    /// The entry of a function.
    Entry(&'static str),
    /// The return of a function.
    Return(&'static str),
    /// Nothing: userspace runs it.
    OnDemand,
}

/// One program and what it hangs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hook {
    /// The program's name in the object.
    pub program: &'static str,
    /// What it hangs on.
    pub kind: HookKind,
}

const fn hook(program: &'static str, kind: HookKind) -> Hook {
    Hook { program, kind }
}

/// What every backend needs: tasks, and the programs that are run on demand.
const ALWAYS: [Hook; 6] = [
    hook("task_newtask", HookKind::RawTracepoint("task_newtask")),
    hook("sched_process_exec", HookKind::RawTracepoint("sched_process_exec")),
    hook("sched_process_exit", HookKind::RawTracepoint("sched_process_exit")),
    hook("snapshot", HookKind::OnDemand),
    hook("inspect", HookKind::OnDemand),
    hook("repeats", HookKind::OnDemand),
];

/// Exit tracepoints only: those of entries would cost every system call of the machine more.
const SYSCALLS: [Hook; 4] = [
    hook("sys_exit_unshare", HookKind::Syscall("sys_exit_unshare")),
    hook("sys_exit_setns", HookKind::Syscall("sys_exit_setns")),
    hook("sys_exit_clone", HookKind::Syscall("sys_exit_clone")),
    hook("sys_exit_clone3", HookKind::Syscall("sys_exit_clone3")),
];

/// The calls and deaths of the `fentry` backend.
const FUNCTIONS: [Hook; 4] = [
    hook("proc_free_inum", HookKind::Entry("proc_free_inum")),
    hook("ksys_unshare", HookKind::Return("ksys_unshare")),
    hook("native_setns", HookKind::Return(arch::NATIVE_SETNS)),
    hook("kernel_clone", HookKind::Return("kernel_clone")),
];

/// Writes of the number maps of user namespaces; absent where the kernel has none.
const MAPS: [Hook; 4] = [
    hook("proc_uid_map_write", HookKind::Return("proc_uid_map_write")),
    hook("proc_gid_map_write", HookKind::Return("proc_gid_map_write")),
    hook("proc_projid_map_write", HookKind::Return("proc_projid_map_write")),
    hook("proc_setgroups_write", HookKind::Return("proc_setgroups_write")),
];

/// Births, from 6.18 on.
const TREE: Hook = hook("ns_tree_add", HookKind::Entry("__ns_tree_add_raw"));

/// Births, before 6.18.
const CONSTRUCTORS: [Hook; 8] = [
    hook("copy_mnt_ns", HookKind::Return("copy_mnt_ns")),
    hook("copy_pid_ns", HookKind::Return("copy_pid_ns")),
    hook("copy_ipcs", HookKind::Return("copy_ipcs")),
    hook("copy_utsname", HookKind::Return("copy_utsname")),
    hook("copy_net_ns", HookKind::Return("copy_net_ns")),
    hook("copy_cgroup_ns", HookKind::Return("copy_cgroup_ns")),
    hook("copy_time_ns", HookKind::Return("copy_time_ns")),
    hook("create_user_ns", HookKind::Return("create_user_ns")),
];

/// Whether a kernel has the function that a hook hangs on.
fn is_there(hook: &Hook, layout: &Layout) -> bool {
    match hook.kind {
        HookKind::Entry(name) | HookKind::Return(name) => layout.functions.contains(&name),
        _ => true,
    }
}

/// What to load.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The backend.
    pub backend: Backend,
    /// Its programs.
    pub hooks: Vec<Hook>,
}

impl Plan {
    /// The best hooks that `backend` has on a kernel with this layout.
    #[must_use]
    pub fn new(backend: Backend, layout: &Layout) -> Self {
        let mut hooks = ALWAYS.to_vec();
        match backend {
            Backend::Tracepoint => hooks.extend(SYSCALLS),
            Backend::Fentry => {
                hooks.extend(FUNCTIONS);
                hooks.extend(MAPS.iter().filter(|hook| is_there(hook, layout)));
                if layout.functions.contains(&"__ns_tree_add_raw") {
                    hooks.push(TREE);
                } else {
                    hooks.extend(CONSTRUCTORS);
                }
            }
        }
        Self { backend, hooks }
    }

    /// Every function that some plan hooks.
    #[must_use]
    pub fn functions() -> Vec<&'static str> {
        let all = FUNCTIONS.iter().chain(&MAPS).chain([&TREE]).chain(&CONSTRUCTORS);
        all.filter_map(|hook| match hook.kind {
            HookKind::Entry(name) | HookKind::Return(name) => Some(name),
            _ => None,
        })
        .collect()
    }
}

/// Why a backend cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// The kernel lacks a helper function that the probes call.
    #[error("this kernel is too old: its BPF has no `bpf_loop` (Linux 5.17)")]
    Helper,
    /// The kernel lacks a function that must be hooked.
    #[error("this kernel has no function `{0}` to hook")]
    Function(&'static str),
    /// The kernel refuses programs on functions.
    #[error("the kernel refuses programs on functions (BPF_PROG_TYPE_TRACING: {0})")]
    Tracing(io::Error),
    /// The kernel has no system call tracepoints, or they are out of reach.
    #[error("the system call tracepoints are out of reach: {0}")]
    Tracepoints(io::Error),
}

/// Looks for a reason why `backend` could not run on this kernel; leaves nothing behind.
#[must_use]
pub fn obstacle(backend: Backend, layout: &Layout) -> Option<Obstacle> {
    // The youngest of the helpers that every backend calls.
    if bpf::has_helper(bpf::LOOP).is_ok_and(|has| !has) {
        return Some(Obstacle::Helper);
    }
    match backend {
        Backend::Fentry => {
            let plan = Plan::new(backend, layout);
            for hook in &plan.hooks {
                if let HookKind::Entry(name) | HookKind::Return(name) = hook.kind
                    && !layout.functions.contains(&name)
                {
                    return Some(Obstacle::Function(name));
                }
            }
            let btf_is_own = Path::new(KERNEL_BTF).exists();
            let id = layout.function_ids.first().copied().filter(|_| btf_is_own);
            let tried = id.map_or_else(|| Err(io::ErrorKind::NotFound.into()), bpf::try_fentry);
            tried.err().map(Obstacle::Tracing)
        }
        Backend::Tracepoint => {
            let found = crate::sys::tracefs::Tracefs::open()
                .and_then(|tracefs| tracefs.id("syscalls", "sys_exit_unshare"));
            found.err().map(Obstacle::Tracepoints)
        }
    }
}

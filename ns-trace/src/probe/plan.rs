//! Which hooks a backend uses on this kernel.

use std::{fmt, io, path::Path};

use super::{
    abilities::Abilities,
    arch,
    offsets::{KERNEL_BTF, Layout},
};
use crate::sys::{
    bpf,
    process::{initial_namespace, own_namespace},
};

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
    /// An iterator over the kernel's objects of this sort: userspace reads from it.
    Iterator(&'static str),
    /// Nothing: userspace runs it.
    OnDemand,
}

impl HookKind {
    /// Whether it takes a program of type `BPF_PROG_TYPE_TRACING`.
    #[must_use]
    pub const fn is_tracing(self) -> bool {
        matches!(self, Self::Entry(_) | Self::Return(_) | Self::Iterator(_))
    }
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

/// What every backend needs: tasks, and who tells what was counted.
const ALWAYS: [Hook; 4] = [
    hook("task_newtask", HookKind::RawTracepoint("task_newtask")),
    hook("sched_process_exec", HookKind::RawTracepoint("sched_process_exec")),
    hook("sched_process_exit", HookKind::RawTracepoint("sched_process_exit")),
    hook("repeats", HookKind::OnDemand),
];

/// Who asks the kernel on demand.
const LOOPING: [Hook; 2] =
    [hook("snapshot", HookKind::OnDemand), hook("inspect", HookKind::OnDemand)];

/// The same where programs cannot loop.
const STEPPING: [Hook; 2] = [
    hook("snapshot_iterator", HookKind::Iterator("task")),
    hook("inspect_one", HookKind::OnDemand),
];

/// What a program that iterates over tasks hangs on.
const ITERATOR: &str = "bpf_iter_task";

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
    pub fn new(backend: Backend, layout: &Layout, abilities: &Abilities) -> Self {
        let mut hooks = ALWAYS.to_vec();
        hooks.extend(if abilities.loops { LOOPING } else { STEPPING });
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
        .chain([ITERATOR])
        .collect()
    }
}

/// Why a backend cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// The kernel is older than any that is supported.
    #[error("this kernel is too old: its BPF runs no program on demand (Linux 5.10)")]
    TooOld,
    /// The iterator that lists tasks would not list all.
    #[error(
        "before Linux 5.17 the kernel lists only the tasks of the own pid namespace, and this is not \
         the initial one"
    )]
    PidNamespace,
    /// The iterator that lists tasks is refused.
    #[error(
        "before Linux 5.17 tasks are listed by a BPF iterator, which this kernel refuses \
         (BPF_PROG_TYPE_TRACING: {0})"
    )]
    Iterator(io::Error),
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
pub fn obstacle(backend: Backend, layout: &Layout, abilities: &Abilities) -> Option<Obstacle> {
    if !abilities.loops
        && let Some(obstacle) = obstacle_to_stepping(layout)
    {
        return Some(obstacle);
    }
    match backend {
        Backend::Fentry => {
            let plan = Plan::new(backend, layout, abilities);
            for hook in &plan.hooks {
                if let HookKind::Entry(name) | HookKind::Return(name) = hook.kind
                    && !layout.functions.contains(&name)
                {
                    return Some(Obstacle::Function(name));
                }
            }
            try_tracing(layout.function_ids.first().copied(), bpf::TRACE_FENTRY)
                .err()
                .map(Obstacle::Tracing)
        }
        Backend::Tracepoint => {
            let found = crate::sys::tracefs::Tracefs::open()
                .and_then(|tracefs| tracefs.id("syscalls", "sys_exit_unshare"));
            found.err().map(Obstacle::Tracepoints)
        }
    }
}

/// Why this kernel, which cannot loop, lists no tasks either.
fn obstacle_to_stepping(layout: &Layout) -> Option<Obstacle> {
    if bpf::can_run_on_demand().is_ok_and(|can| !can) {
        return Some(Obstacle::TooOld);
    }
    let initial = initial_namespace("pid");
    if own_namespace("pid").is_ok_and(|own| Some(own) != initial) {
        return Some(Obstacle::PidNamespace);
    }
    let id = layout.function_id(ITERATOR);
    try_tracing(id, bpf::TRACE_ITERATOR).err().map(Obstacle::Iterator)
}

/// Tries to load a program for the function with this number in the kernel's BTF.
fn try_tracing(function: Option<u32>, attach_type: u32) -> io::Result<()> {
    // The number is one in the kernel's own BTF, whichever file it was read from.
    let id = function.filter(|_| Path::new(KERNEL_BTF).exists());
    id.map_or_else(|| Err(io::ErrorKind::NotFound.into()), |id| bpf::try_tracing(id, attach_type))
}

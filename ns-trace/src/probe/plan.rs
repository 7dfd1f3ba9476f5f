//! Which hooks a backend uses on this kernel.

use std::{fmt, io, path::Path, time::Duration};

use ns_trace_common::Births;

use super::{
    abilities::Abilities,
    arch,
    offsets::{KERNEL_BTF, Layout},
};
use crate::sys::{
    bpf,
    process::{initial_namespace, own_namespace},
    tracefs::Tracefs,
};

/// A way of getting into the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Backend {
    /// Programs on functions: exact, and free for every other system call.
    Fentry,
    /// Breakpoints on functions, and the tracepoints of the calls: as exact, a little dearer.
    Kprobe,
    /// Tracepoints only: for kernels that refuse programs on functions.
    Tracepoint,
}

impl Backend {
    /// Every backend, best first.
    pub const ALL: [Self; 3] = [Self::Fentry, Self::Kprobe, Self::Tracepoint];

    /// The name, as `--probe` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }

    /// How long after its last task a namespace must be looked at, lest its death go unseen.
    #[must_use]
    pub const fn looks_after(self) -> Option<Duration> {
        match self {
            // The kernel passes over a program while the processor is in it already (for a kprobe's:
            // in any of them), and before 6.14 an interrupt may free a pid namespace.
            Self::Fentry | Self::Kprobe => Some(Duration::from_secs(1)),
            Self::Tracepoint => Some(Duration::ZERO),
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
    /// A tracepoint by category and name, through perf.
    Tracepoint(&'static str, &'static str),
    /// The entry of a function.
    Entry(&'static str),
    /// The return of a function.
    Return(&'static str),
    /// The entry of a function, as a kprobe.
    Kprobe(&'static str),
    /// The return of a function, as a kretprobe: missed while the kernel is out of instances of it.
    Kretprobe(&'static str),
    /// The return of a function, through fprobe (`kprobe.multi`): misses none, and programs run with
    /// preemption off.
    Fprobe(&'static str),
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

impl Hook {
    /// The function that it hangs on.
    #[must_use]
    pub const fn function(&self) -> Option<&'static str> {
        match self.kind {
            HookKind::Entry(name)
            | HookKind::Return(name)
            | HookKind::Kprobe(name)
            | HookKind::Kretprobe(name)
            | HookKind::Fprobe(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the kernel has that function.
    fn is_on(&self, layout: &Layout) -> bool {
        self.function().is_some_and(|name| layout.functions.contains(&name))
    }
}

const fn hook(program: &'static str, kind: HookKind) -> Hook {
    Hook { program, kind }
}

/// Tasks, before 7.0.
const TASKS: [Hook; 3] = [
    hook("task_newtask", HookKind::RawTracepoint("task_newtask")),
    hook("sched_process_exec", HookKind::RawTracepoint("sched_process_exec")),
    hook("sched_process_exit", HookKind::RawTracepoint("sched_process_exit")),
];

/// A function of the kernels (7.0+) that may preempt the programs of raw tracepoints, of functions and
/// of the tracepoints of single calls. While they have, they leave the same program out for every
/// other task on that processor (`bpf_prog_get_recursion_context`). Kprobes and other tracepoints
/// through perf run their programs with preemption off.
pub(super) const PREEMPTING: &str = "trace_call_bpf_faultable";

/// Tasks, from 7.0 on.
const PERF_TASKS: [Hook; 3] = [
    hook("perf_newtask", HookKind::Tracepoint("task", "task_newtask")),
    hook("perf_process_exec", HookKind::Tracepoint("sched", "sched_process_exec")),
    hook("perf_process_exit", HookKind::Tracepoint("sched", "sched_process_exit")),
];

/// Calls, from 7.0 on, and who counts those that are not told.
const PERF_CALLS: [Hook; 5] = [
    hook(ALL_CALLS, HookKind::Tracepoint("raw_syscalls", "sys_exit")),
    hook("unshare_witness", HookKind::Tracepoint("syscalls", "sys_exit_unshare")),
    hook("setns_witness", HookKind::Tracepoint("syscalls", "sys_exit_setns")),
    hook("clone_witness", HookKind::Tracepoint("syscalls", "sys_exit_clone")),
    hook("clone3_witness", HookKind::Tracepoint("syscalls", "sys_exit_clone3")),
];
/// The program that is run for all calls: how often it was not says nothing.
pub(super) const ALL_CALLS: &str = "sys_exit";

/// A function of kernels that have fprobe.
const FPROBE: &str = "register_fprobe_syms";

/// The same of the `fentry` backend: it costs other calls nothing.
const FPROBE_CALLS: [Hook; 8] = [
    hook("native_unshare_returned", HookKind::Fprobe(arch::NATIVE[0])),
    hook("native_setns_returned", HookKind::Fprobe(arch::NATIVE_SETNS)),
    hook("native_clone_returned", HookKind::Fprobe(arch::NATIVE[1])),
    hook("native_clone3_returned", HookKind::Fprobe(arch::NATIVE[2])),
    hook("compat_unshare_returned", HookKind::Fprobe(arch::COMPAT_UNSHARE)),
    hook("compat_setns_returned", HookKind::Fprobe(arch::COMPAT_SETNS)),
    hook("compat_clone_returned", HookKind::Fprobe(arch::COMPAT_CLONE)),
    hook("compat_clone3_returned", HookKind::Fprobe(arch::COMPAT_CLONE3)),
];

/// Who tells what was counted.
const REPEATS: Hook = hook("repeats", HookKind::OnDemand);

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
    hook("sys_exit_unshare", HookKind::Tracepoint("syscalls", "sys_exit_unshare")),
    hook("sys_exit_setns", HookKind::Tracepoint("syscalls", "sys_exit_setns")),
    hook("sys_exit_clone", HookKind::Tracepoint("syscalls", "sys_exit_clone")),
    hook("sys_exit_clone3", HookKind::Tracepoint("syscalls", "sys_exit_clone3")),
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

/// Where only x86 kernels have it that run 32-bit programs.
const COMPAT_SETNS: Hook = hook("compat_setns", HookKind::Return(arch::COMPAT_SETNS));

/// The deaths of the `kprobe` backend; its calls are those of [`SYSCALLS`], which never miss.
const KPROBE_FREE: Hook = hook("proc_free_inum_entered", HookKind::Kprobe("proc_free_inum"));

/// Births, from 6.18 on.
const KPROBE_TREE: Hook = hook("ns_tree_add_entered", HookKind::Kprobe("__ns_tree_add_raw"));

/// Births, before 6.18.
const KPROBE_CONSTRUCTORS: [Hook; 8] = [
    hook("copy_mnt_ns_returned", HookKind::Kretprobe("copy_mnt_ns")),
    hook("copy_pid_ns_returned", HookKind::Kretprobe("copy_pid_ns")),
    hook("copy_ipcs_returned", HookKind::Kretprobe("copy_ipcs")),
    hook("copy_utsname_returned", HookKind::Kretprobe("copy_utsname")),
    hook("copy_net_ns_returned", HookKind::Kretprobe("copy_net_ns")),
    hook("copy_cgroup_ns_returned", HookKind::Kretprobe("copy_cgroup_ns")),
    hook("copy_time_ns_returned", HookKind::Kretprobe("copy_time_ns")),
    hook("setup_userns_sysctls", HookKind::Kprobe("setup_userns_sysctls")),
];

/// The calls of 32-bit programs, which the tracepoints leave out.
const KPROBE_COMPAT: [Hook; 4] = [
    hook("compat_unshare_returned", HookKind::Kretprobe(arch::COMPAT_UNSHARE)),
    hook("compat_setns_returned", HookKind::Kretprobe(arch::COMPAT_SETNS)),
    hook("compat_clone_returned", HookKind::Kretprobe(arch::COMPAT_CLONE)),
    hook("compat_clone3_returned", HookKind::Kretprobe(arch::COMPAT_CLONE3)),
];

/// What to load.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// The backend.
    pub backend: Backend,
    /// Its programs.
    pub hooks: Vec<Hook>,
    /// How it learns of births.
    pub births: Births,
}

impl Plan {
    /// The best hooks that `backend` has on a kernel with this layout.
    #[must_use]
    pub fn new(backend: Backend, layout: &Layout, abilities: &Abilities) -> Self {
        let preempts = layout.functions.contains(&PREEMPTING);
        let mut hooks = if preempts { PERF_TASKS } else { TASKS }.to_vec();
        hooks.push(REPEATS);
        hooks.extend(if abilities.loops { LOOPING } else { STEPPING });
        if preempts && backend == Backend::Fentry {
            hooks.extend(FPROBE_CALLS.into_iter().filter(|hook| hook.is_on(layout)));
        } else if preempts {
            hooks.extend(PERF_CALLS);
        } else if backend != Backend::Fentry {
            hooks.extend(SYSCALLS);
        }
        match backend {
            Backend::Tracepoint => {}
            _ if preempts => {
                hooks.extend([KPROBE_FREE, KPROBE_TREE]);
                if backend == Backend::Fentry {
                    hooks.extend(MAPS.into_iter().filter(|hook| hook.is_on(layout)));
                }
            }
            Backend::Kprobe => {
                hooks.push(KPROBE_FREE);
                if KPROBE_TREE.is_on(layout) {
                    hooks.push(KPROBE_TREE);
                } else {
                    hooks.extend(KPROBE_CONSTRUCTORS);
                }
                hooks.extend(KPROBE_COMPAT.into_iter().filter(|hook| hook.is_on(layout)));
            }
            Backend::Fentry => {
                hooks.extend(FUNCTIONS);
                let mine = [COMPAT_SETNS].into_iter().chain(MAPS);
                hooks.extend(mine.filter(|hook| hook.is_on(layout)));
                if TREE.is_on(layout) {
                    hooks.push(TREE);
                } else {
                    hooks.extend(CONSTRUCTORS);
                }
            }
        }
        let births = match backend {
            Backend::Tracepoint => Births::Derived,
            Backend::Fentry if !preempts => Births::Hooked,
            Backend::Fentry | Backend::Kprobe => Births::Completed,
        };
        Self { backend, hooks, births }
    }

    /// Every function that some plan hooks.
    #[must_use]
    pub fn functions() -> Vec<&'static str> {
        let fentry = FUNCTIONS.iter().chain([&COMPAT_SETNS, &TREE]).chain(&CONSTRUCTORS);
        let kprobe = [KPROBE_FREE, KPROBE_TREE].iter().chain(&KPROBE_CONSTRUCTORS);
        let all = fentry.chain(&MAPS).chain(kprobe).chain(&KPROBE_COMPAT).chain(&FPROBE_CALLS);
        let named = all.filter_map(Hook::function);
        let mut all: Vec<_> = named.chain([ITERATOR, PREEMPTING, FPROBE]).collect();
        all.sort_unstable();
        all.dedup();
        all
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
    /// The kernel has no kprobes, or they are out of reach.
    #[error("the kernel offers no kprobes: {0}")]
    Kprobes(io::Error),
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
    let functions = Plan::new(backend, layout, abilities).hooks;
    let mut functions = functions.iter().filter_map(Hook::function);
    if let Some(name) = functions.find(|name| !layout.functions.contains(name)) {
        return Some(Obstacle::Function(name));
    }
    match backend {
        Backend::Fentry => {
            let preempts = layout.functions.contains(&PREEMPTING);
            if preempts && !layout.functions.contains(&FPROBE) {
                return Some(Obstacle::Function(FPROBE));
            }
            // Any function will do.
            let tried = try_tracing(layout.function_ids.first().copied(), bpf::TRACE_FENTRY);
            let rest = || preempts.then(no_kprobes).flatten();
            tried.err().map(Obstacle::Tracing).or_else(rest)
        }
        Backend::Kprobe => no_kprobes(),
        Backend::Tracepoint => no_tracepoints(),
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

fn no_kprobes() -> Option<Obstacle> {
    let tried = bpf::open_kprobe("proc_free_inum", false);
    tried.err().map(Obstacle::Kprobes).or_else(no_tracepoints)
}

fn no_tracepoints() -> Option<Obstacle> {
    let found = Tracefs::open().and_then(|tracefs| tracefs.id("syscalls", "sys_exit_unshare"));
    found.err().map(Obstacle::Tracepoints)
}

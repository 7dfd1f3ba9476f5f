//! The kernel's side: its types, and what the backends need of it.

use std::{fs, io, path::Path};

use super::report::{Backend, Btf, Hook, Kernel};
use crate::{
    probe::{
        self, Abilities, Backend as Name, HookKind, Obstacle, Options, Plan, obstacle,
        offsets::{self, Layout},
        trial,
    },
    sys::{capability, host, process, setting, tracefs::Tracefs},
};

/// The ring of a trial: as large as that of a trace, since all tasks must fit.
const RING: u32 = 16 << 20;

pub(super) fn kernel() -> Kernel {
    Kernel { release: host::kernel(), machine: host::machine(), lockdown: setting::lockdown().ok() }
}

/// Describes a BTF file; whether it describes this kernel is for [`backends`] to find out.
pub(super) fn btf(path: &Path, layout: &Result<Layout, offsets::Error>) -> Btf {
    let named = layout.as_ref().map(|layout| offsets::named(&layout.offsets)).unwrap_or_default();
    let (found, absent): (Vec<_>, Vec<_>) = named.into_iter().partition(|(_, at)| at.is_some());
    Btf {
        path: path.display().to_string(),
        bytes: fs::metadata(path).ok().map(|file| file.len()),
        error: layout.as_ref().err().map(ToString::to_string),
        offsets: found.len(),
        absent: absent
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !offsets::is_void(name))
            .collect(),
        self_check: None,
    }
}

/// What a backend's trial came to.
struct Trial {
    available: Option<bool>,
    obstacle: Option<String>,
    hopeless: bool,
    /// Whether the probes read what /proc says; `None` if they never ran.
    self_check: Option<bool>,
}

impl Trial {
    fn unknown(why: String) -> Self {
        Self { available: None, obstacle: Some(why), hopeless: false, self_check: None }
    }

    fn refused(why: String, hopeless: bool) -> Self {
        Self { available: Some(false), obstacle: Some(why), hopeless, self_check: None }
    }
}

/// Tries every backend; also says whether the offsets proved right.
pub(super) fn backends(
    btf: Option<&Path>,
    layout: &Result<Layout, offsets::Error>,
) -> (Vec<Backend>, Option<bool>) {
    let tracefs = Tracefs::open().ok();
    let _lift = setting::MemoryLockLift::new();
    let abilities = Abilities::ask();
    let mut self_check = None;
    let backends = Name::ALL.map(|name| {
        let (trial, hooks) = match layout {
            Ok(layout) => {
                let plan = Plan::new(name, layout, &abilities);
                (examine(name, btf, layout, &abilities), hooks(plan, layout, tracefs.as_ref()))
            }
            Err(error) => (without_types(error), Vec::new()),
        };
        self_check = self_check.or(trial.self_check);
        let Trial { available, obstacle, hopeless, .. } = trial;
        Backend { name: name.name(), available, obstacle, hopeless, hooks }
    });
    (backends.into(), self_check)
}

fn without_types(error: &offsets::Error) -> Trial {
    let is_denied = matches!(error, offsets::Error::Read { source, .. } if is_refusal(source));
    Trial::refused(format!("the kernel's types are unknown: {error}"), !is_denied)
}

fn examine(backend: Name, btf: Option<&Path>, layout: &Layout, abilities: &Abilities) -> Trial {
    let powerless = powerless();
    match (obstacle(backend, layout, abilities), powerless) {
        (
            Some(
                Obstacle::Tracing(error)
                | Obstacle::Iterator(error)
                | Obstacle::Kprobes(error)
                | Obstacle::Tracepoints(error),
            ),
            Some(why),
        ) if is_refusal(&error) => Trial::unknown(why),
        (Some(obstacle), _) => Trial::refused(obstacle.to_string(), true),
        (None, Some(why)) => Trial::unknown(why),
        (None, None) => {
            let btf = btf.map(Path::to_path_buf);
            match trial(&Options { backend: Some(backend), ring_bytes: RING, btf, pins: None }) {
                Ok(()) => Trial {
                    available: Some(true),
                    obstacle: None,
                    hopeless: false,
                    self_check: Some(true),
                },
                Err(error) => Trial {
                    self_check: matches!(error, probe::Error::SelfCheck(_)).then_some(false),
                    ..Trial::refused(error.to_string(), true)
                },
            }
        }
    }
}

/// Why this process has no say about probes.
fn powerless() -> Option<String> {
    let initial = process::initial_namespace("user");
    if process::own_namespace("user").ok() != initial {
        return Some("cannot be tried outside of the initial user namespace".to_owned());
    }
    let missing = capability::TRACE.iter().filter(|needed| !capability::held(needed));
    let names: Vec<_> = missing.map(|needed| needed.name).collect();
    (!names.is_empty()).then(|| format!("cannot be tried without {}", names.join(", ")))
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// What a backend hangs its probes on, and whether it is there.
fn hooks(plan: Plan, layout: &Layout, tracefs: Option<&Tracefs>) -> Vec<Hook> {
    let function = |name| Some(layout.functions.contains(&name));
    let tracepoint =
        |category: &str, name: &str| tracefs.map(|tracefs| tracefs.id(category, name).is_ok());
    plan.hooks
        .into_iter()
        .filter_map(|hook| {
            let (sort, name, present) = match hook.kind {
                HookKind::RawTracepoint(name) => {
                    let category = if name == "task_newtask" { "task" } else { "sched" };
                    ("raw_tracepoint", name, tracepoint(category, name))
                }
                HookKind::Tracepoint(category, name) => {
                    ("tracepoint", name, tracepoint(category, name))
                }
                HookKind::Entry(name) => ("fentry", name, function(name)),
                HookKind::Return(name) => ("fexit", name, function(name)),
                HookKind::Kprobe(name) => ("kprobe", name, function(name)),
                HookKind::Kretprobe(name) => ("kretprobe", name, function(name)),
                HookKind::Fprobe(name) => ("fprobe", name, function(name)),
                HookKind::Iterator(_) | HookKind::OnDemand => return None,
            };
            Some(Hook { sort, name, present })
        })
        .collect()
}

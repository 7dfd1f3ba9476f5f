//! What each backend sees, and when: the one table that the program and its documentation share.
//!
//! A row is an event, the cause that it names, and the situation in which it comes about. The cells
//! follow from where the probes hang; they are what tests may hold the backends to, `never` included.

use serde::Serialize;

use super::{
    arch,
    offsets::Layout,
    plan::{Backend, PREEMPTING},
};

/// Whether and when an event is seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    /// When it happens, each time.
    Exact,
    /// Each time, but some time after it happened.
    Late,
    /// Not at all.
    Never,
}

impl Sight {
    /// The name, as it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Late => "late",
            Self::Never => "never",
        }
    }
}

/// What one backend sees in one situation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Cell {
    /// Whether and when.
    pub sight: Sight,
    /// Why it is late or never; null if it is exact.
    pub note: Option<&'static str>,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Row {
    /// The event, as its `event` field says it.
    pub event: &'static str,
    /// The cause, as the `cause` field says it; several are separated by commas. Null where the
    /// event has none.
    pub cause: Option<&'static str>,
    /// In which situation; null is in every other one.
    pub situation: Option<&'static str>,
    /// The `fentry` backend.
    pub fentry: Cell,
    /// The `kprobe` backend.
    pub kprobe: Cell,
    /// The `tracepoint` backend.
    pub tracepoint: Cell,
    /// Whether it can only happen where mount namespaces can be opened (Linux 7.0).
    #[serde(skip)]
    needs_opening: bool,
    /// Whether it can only happen where 32-bit programs run beside 64-bit ones.
    #[serde(skip)]
    needs_compat: bool,
    /// Whether it can only happen where births are seen on the return of functions (before 6.18).
    #[serde(skip)]
    needs_returns: bool,
    /// Whether it can only happen where the kernel preempts programs (from 7.0 on), or only where it
    /// does not.
    #[serde(skip)]
    needs_preempting: Option<bool>,
}

impl Row {
    /// What a backend sees.
    #[must_use]
    pub const fn cell(&self, backend: Backend) -> Cell {
        match backend {
            Backend::Fentry => self.fentry,
            Backend::Kprobe => self.kprobe,
            Backend::Tracepoint => self.tracepoint,
        }
    }
}

const EXACT: Cell = Cell { sight: Sight::Exact, note: None };

const fn never(note: &'static str) -> Cell {
    Cell { sight: Sight::Never, note: Some(note) }
}

const fn late(note: &'static str) -> Cell {
    Cell { sight: Sight::Late, note: Some(note) }
}

const fn row(
    event: &'static str,
    cause: Option<&'static str>,
    situation: Option<&'static str>,
    fentry: Cell,
    kprobe: Cell,
    tracepoint: Cell,
) -> Row {
    Row {
        event,
        cause,
        situation,
        fentry,
        kprobe,
        tracepoint,
        needs_opening: false,
        needs_compat: false,
        needs_returns: false,
        needs_preempting: None,
    }
}

impl Row {
    const fn before_preempting(self) -> Self {
        Self { needs_preempting: Some(false), ..self }
    }

    const fn since_preempting(self) -> Self {
        Self { needs_preempting: Some(true), ..self }
    }

    const fn where_opening(self) -> Self {
        Self { needs_opening: true, ..self }
    }

    const fn where_compat(self) -> Self {
        Self { needs_compat: true, ..self }
    }

    const fn before_trees(self) -> Self {
        Self { needs_returns: true, ..self }
    }
}

/// Births are derived from the flags and the result of a call.
const UNDONE: Cell = never("made and freed within a call that fails: no task is ever in it");
/// `arch_trace_is_compat_syscall`; from 7.0 on the tracepoint of all calls is used.
const COMPAT: Cell =
    never("the kernel's tracepoints of single system calls leave 32-bit callers out");
const SHORT: Cell = never(
    "the kernel keeps a fixed number of instances of a return probe (before 5.18 one per processor, \
     then 10 or more) and passes over the calls beyond it",
);
const TASKLESS: Cell = never("no task is in it, and no call that is traced made it");
const NO_MAPS: Cell =
    never("no tracepoint tells of it: writes are hooked where the kernel's functions are");
const NO_RETURNS: Cell =
    never("a return probe knows no arguments, and at the entry nobody knows what will be refused");
/// `bpf_prog_get_recursion_context`: from 7.0 on programs of functions run with preemption, and not
/// twice at once on a processor.
const PREEMPTED: Cell = never(
    "a program does not run on a processor on which it is under way for another task; it is counted, \
     and told as lost",
);
/// `bpf_disable_instrumentation`: it stops the programs of kprobes and perf events alone.
const SUSPENDED: Cell = never(
    "the kernel runs no programs of kprobes and perf events on a processor on which it handles such a \
     call; they are counted, and told as lost",
);
const HIDDEN: Cell = never(
    "nothing that the start-up snapshot walks leads to it; the collector finds it in the kernel's \
     lists (6.18)",
);
const EARLY: Cell = never("the call ends before the kernel function that is hooked");
const LOOKS: Cell = late(
    "found by looking: at most 100 ms after the kernel freed it, or 1 s if something held it for \
     more than 10 s after its last task",
);

const COMPAT_BEFORE: Option<&str> = Some("32-bit caller, before Linux 7.0");
const COMPAT_SINCE: Option<&str> = Some("32-bit caller, from Linux 7.0 on");
const FAILING: Option<&str> = Some("undone, as the call fails later on");
const OLDER: Option<&str> = Some("older than the tracer, and held without a task in it since");

#[rustfmt::skip]
const ROWS: [Row; 28] = [
    row("create", Some("clone, clone3"), None, EXACT, EXACT, EXACT),
    row("create", Some("unshare"), None, EXACT, EXACT, EXACT),
    row("create", Some("unshare"), COMPAT_BEFORE, EXACT, EXACT, COMPAT).where_compat().before_preempting(),
    row("create", Some("unshare"), COMPAT_SINCE, EXACT, EXACT, EXACT).where_compat().since_preempting(),
    row("create", Some("clone, clone3, unshare"), FAILING, EXACT, EXACT, UNDONE),
    row("create", Some("clone, clone3, unshare"), Some("freed within the call, while very many such calls are under way (before Linux 6.18)"), EXACT, SHORT, UNDONE).before_trees(),
    row("create", Some("open_tree, fsmount"), Some("with a namespace flag (Linux 7.0)"), EXACT, EXACT, TASKLESS).where_opening(),
    row("enter", Some("clone, clone3, exec"), None, EXACT, EXACT, EXACT),
    row("enter", Some("unshare, setns"), None, EXACT, EXACT, EXACT),
    row("enter", Some("unshare, setns"), COMPAT_BEFORE, EXACT, EXACT, COMPAT).where_compat().before_preempting(),
    row("enter", Some("unshare, setns"), COMPAT_SINCE, EXACT, EXACT, EXACT).where_compat().since_preempting(),
    row("fail", Some("clone, clone3, unshare, setns"), None, EXACT, EXACT, EXACT),
    row("fail", Some("clone, clone3, unshare, setns"), COMPAT_BEFORE, EXACT, EXACT, COMPAT).where_compat().before_preempting(),
    row("fail", Some("clone, clone3, unshare, setns"), COMPAT_SINCE, EXACT, EXACT, EXACT).where_compat().since_preempting(),
    row("fail", Some("clone, clone3, unshare, setns"), Some("refused by a seccomp filter"), EARLY, EXACT, EXACT),
    row("fail", Some("clone3"), Some("malformed arguments, refused at first sight, before Linux 7.0"), EARLY, EXACT, EXACT).before_preempting(),
    row("fail", Some("clone3"), Some("malformed arguments, refused at first sight, from Linux 7.0 on"), EXACT, EXACT, EXACT).since_preempting(),
    row("create, enter, fail", Some("clone, clone3, unshare, setns"), Some("32-bit callers, while very many of their calls are under way (before Linux 7.0)"), EXACT, SHORT, COMPAT).where_compat().before_preempting(),
    row("destroy", None, None, EXACT, EXACT, LOOKS),
    row("destroy", None, Some("made by a call that fails later on"), EXACT, EXACT, UNDONE),
    row("destroy", None, Some("made by open_tree or fsmount, and never entered (Linux 7.0)"), EXACT, EXACT, TASKLESS).where_opening(),
    row("destroy", None, OLDER, HIDDEN, HIDDEN, HIDDEN),
    row("map", None, None, EXACT, NO_RETURNS, NO_MAPS),
    row("exist", None, None, EXACT, EXACT, EXACT),
    row("exist", None, Some("held without a task in it"), HIDDEN, HIDDEN, HIDDEN),
    row("enter, fail, fork, exec, exit", None, Some("while the kernel has preempted a bpf(2) call on a map on that processor (Linux 7.0)"), SUSPENDED, SUSPENDED, SUSPENDED).since_preempting(),
    row("map", None, Some("while the kernel has preempted the same probe on that processor (Linux 7.0)"), PREEMPTED, NO_RETURNS, NO_MAPS).since_preempting(),
    row("fork, exec, exit", None, None, EXACT, EXACT, EXACT),
];

/// A function that only kernels have that open mount namespaces (`OPEN_TREE_NAMESPACE`).
const OPENING: &str = "create_new_namespace";

/// A function of the kernels whose namespaces stand in trees (6.18+).
const TREES: &str = "__ns_tree_add_raw";

/// What the table depends on, to be asked for when reading a [`Layout`].
#[must_use]
pub const fn functions() -> [&'static str; 4] {
    [OPENING, arch::COMPAT_SETNS, TREES, PREEMPTING]
}

/// Every row there is, whatever the kernel.
#[must_use]
pub const fn everywhere() -> &'static [Row] {
    &ROWS
}

/// The rows that a kernel of this layout can come to.
#[must_use]
pub fn coverage(layout: &Layout) -> Vec<Row> {
    let has = |function| layout.functions.contains(&function);
    let possible = |row: &&Row| {
        (!row.needs_opening || has(OPENING))
            && (!row.needs_compat || has(arch::COMPAT_SETNS))
            && !(row.needs_returns && has(TREES))
            && row.needs_preempting.is_none_or(|needs| needs == has(PREEMPTING))
    };
    ROWS.iter().filter(possible).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_that_is_not_exact_says_why() {
        for row in ROWS {
            for backend in Backend::ALL {
                let cell = row.cell(backend);
                assert_eq!(cell.sight == Sight::Exact, cell.note.is_none(), "{row:?}");
            }
        }
    }

    #[test]
    fn no_situation_stands_twice() {
        for (index, row) in ROWS.iter().enumerate() {
            let same = |other: &Row| {
                (other.event, other.cause, other.situation) == (row.event, row.cause, row.situation)
            };
            assert_eq!(ROWS.iter().position(same), Some(index));
        }
    }
}

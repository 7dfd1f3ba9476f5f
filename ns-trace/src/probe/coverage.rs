//! What each backend sees, and when: the one table that the program and its documentation share.
//!
//! A row is an event, the cause that it names, and the situation in which it comes about. The cells
//! follow from where the probes hang; they are what tests may hold the backends to, `never` included.

use serde::Serialize;

use super::{arch, offsets::Layout, plan::Backend};

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
    }
}

impl Row {
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
/// The kernel's syscall tracepoints leave 32-bit callers out (`arch_trace_is_compat_syscall`).
const COMPAT: Cell = never("the kernel's system call tracepoints leave 32-bit callers out");
const SHORT: Cell = never(
    "the kernel keeps a fixed number of instances of a return probe (before 5.18 one per processor, \
     then 10 or more) and passes over the calls beyond it",
);
const TASKLESS: Cell = never("no task is in it, and no call that is traced made it");
const NO_MAPS: Cell =
    never("no tracepoint tells of it: writes are hooked where the kernel's functions are");
const NO_RETURNS: Cell =
    never("a return probe knows no arguments, and at the entry nobody knows what will be refused");
/// `bpf_prog_get_recursion_context`: from 7.0 on programs run with preemption, and not twice at once on
/// a processor.
const PREEMPTED: Cell = never(
    "a program does not run on a processor on which it is under way for another task; it is counted, \
     and told as lost",
);
const HIDDEN: Cell = never("nothing that the start-up snapshot walks leads to it");
const EARLY: Cell = never("the call ends before the kernel function that is hooked");
const LOOKS: Cell = late(
    "found by looking: at most 100 ms after the kernel freed it, or 1 s if something held it for \
     more than 10 s after its last task",
);

const COMPAT_CALLER: Option<&str> = Some("32-bit caller");
const FAILING: Option<&str> = Some("undone, as the call fails later on");
const OLDER: Option<&str> = Some("older than the tracer, and held without a task in it since");

#[rustfmt::skip]
const ROWS: [Row; 23] = [
    row("create", Some("clone, clone3"), None, EXACT, EXACT, EXACT),
    row("create", Some("unshare"), None, EXACT, EXACT, EXACT),
    row("create", Some("unshare"), COMPAT_CALLER, EXACT, EXACT, COMPAT).where_compat(),
    row("create", Some("clone, clone3, unshare"), FAILING, EXACT, EXACT, UNDONE),
    row("create", Some("clone, clone3, unshare"), Some("freed within the call, while very many such calls are under way (before Linux 6.18)"), EXACT, SHORT, UNDONE).before_trees(),
    row("create", Some("open_tree, fsmount"), Some("with a namespace flag (Linux 7.0)"), EXACT, EXACT, TASKLESS).where_opening(),
    row("enter", Some("clone, clone3, exec"), None, EXACT, EXACT, EXACT),
    row("enter", Some("unshare, setns"), None, EXACT, EXACT, EXACT),
    row("enter", Some("unshare, setns"), COMPAT_CALLER, EXACT, EXACT, COMPAT).where_compat(),
    row("fail", Some("clone, clone3, unshare, setns"), None, EXACT, EXACT, EXACT),
    row("fail", Some("clone, clone3, unshare, setns"), COMPAT_CALLER, EXACT, EXACT, COMPAT).where_compat(),
    row("fail", Some("clone, clone3, unshare, setns"), Some("refused by a seccomp filter"), EARLY, EXACT, EXACT),
    row("fail", Some("clone3"), Some("malformed arguments, refused at first sight"), EARLY, EXACT, EXACT),
    row("create, enter, fail", Some("clone, clone3, unshare, setns"), Some("32-bit callers, while very many of their calls are under way"), EXACT, SHORT, COMPAT).where_compat(),
    row("destroy", None, None, EXACT, EXACT, LOOKS),
    row("destroy", None, Some("made by a call that fails later on"), EXACT, EXACT, UNDONE),
    row("destroy", None, Some("made by open_tree or fsmount, and never entered (Linux 7.0)"), EXACT, EXACT, TASKLESS).where_opening(),
    row("destroy", None, OLDER, HIDDEN, HIDDEN, HIDDEN),
    row("map", None, None, EXACT, NO_RETURNS, NO_MAPS),
    row("exist", None, None, EXACT, EXACT, EXACT),
    row("exist", None, Some("held without a task in it"), HIDDEN, HIDDEN, HIDDEN),
    row("create, enter, fail, destroy, fork, exec, exit", None, Some("while the kernel has preempted the same probe on that processor (Linux 7.0)"), PREEMPTED, PREEMPTED, PREEMPTED).where_opening(),
    row("fork, exec, exit", None, None, EXACT, EXACT, EXACT),
];

/// A function that only kernels have that open mount namespaces (`OPEN_TREE_NAMESPACE`).
const OPENING: &str = "create_new_namespace";

/// A function of the kernels whose namespaces stand in trees (6.18+).
const TREES: &str = "__ns_tree_add_raw";

/// What the table depends on, to be asked for when reading a [`Layout`].
#[must_use]
pub const fn functions() -> [&'static str; 3] {
    [OPENING, arch::COMPAT_SETNS, TREES]
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

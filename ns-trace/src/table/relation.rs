//! What a namespace is to a task that enters it, or tries to.

use std::sync::Arc;

use ns_trace_common::{Ns, Task};

use super::{Row, RowId, Table, member::Set};
use crate::model::{
    Container, Creator,
    event::{Change, Relation},
};

/// How many ancestors of a task are looked at: the numbers of parents may be old, and lead in circles.
const ANCESTORS: usize = 256;

/// A namespace that is entered or attempted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entered {
    pub(super) ns: Ns,
    pub(super) row: Option<RowId>,
    pub(super) initial: bool,
}

/// Who enters: the task as it was before the call.
pub(super) struct Entrant<'a> {
    pub(super) task: &'a Task,
    pub(super) container: Option<&'a Arc<Container>>,
    /// Its namespaces before; `None` if they are unknown.
    pub(super) before: Option<&'a [Ns]>,
}

/// The namespaces that `changes` lead to, as they are in the set after them.
pub(super) fn entered<'a>(
    changes: &'a [Change],
    after: &'a Set,
) -> impl Iterator<Item = Option<Entered>> + 'a {
    changes.iter().map(|change| {
        let at = change.slot as usize;
        let (ns, row) = (*after.key.get(at)?, *after.rows.get(at)?);
        Some(Entered { ns, row, initial: change.to?.initial })
    })
}

impl Table {
    /// What all of them are to the task: the host's if one is, another's if one is, its own if all
    /// are; `None` if there are none or one is unknown.
    pub(super) fn relation(
        &self,
        entrant: &Entrant<'_>,
        all: impl IntoIterator<Item = Option<Entered>>,
        made: &[(RowId, u64)],
    ) -> Option<Relation> {
        let mut sum = None;
        let mut is_known = true;
        for entered in all {
            let Some(entered) = entered else {
                is_known = false;
                continue;
            };
            let one = if made.iter().any(|(row, _)| Some(*row) == entered.row) {
                Relation::Own
            } else {
                self.relation_to(entrant, &entered)
            };
            sum = match (sum, one) {
                (Some(Relation::Host), _) | (_, Relation::Host) => Some(Relation::Host),
                (Some(Relation::Other), _) | (_, Relation::Other) => Some(Relation::Other),
                _ => Some(Relation::Own),
            };
        }
        sum.filter(|sum| is_known || *sum != Relation::Own)
    }

    /// What one is, unless the call made it.
    fn relation_to(&self, entrant: &Entrant<'_>, entered: &Entered) -> Relation {
        if entrant.before.is_some_and(|before| before.contains(&entered.ns)) {
            return Relation::Own;
        }
        if entered.initial {
            return Relation::Host;
        }
        let row = entered.row.and_then(|id| Some((id, self.rows.get(id)?)));
        let Some((id, row)) = row else { return Relation::Other };
        if let Some(container) = entrant.container
            && row.members > 0
        {
            // Whoever made it: it is in use by this container or by somebody else.
            let is_own = self.is_used_by(id, container, entrant.task);
            return if is_own { Relation::Own } else { Relation::Other };
        }
        if self.is_made_in_line(row, entrant.task) || self.is_used_in_line(id, entrant.task) {
            Relation::Own
        } else {
            Relation::Other
        }
    }

    /// Whether a task of `container` other than `task` is in a namespace.
    fn is_used_by(&self, id: RowId, container: &Arc<Container>, task: &Task) -> bool {
        self.tasks.values().any(|member| {
            member.task.tid != task.tid
                && member.set.rows.contains(&Some(id))
                && member.placement.container.as_ref() == Some(container)
        })
    }

    /// Whether the process of `task` or an ancestor made a namespace.
    fn is_made_in_line(&self, row: &Row, task: &Task) -> bool {
        let Some(creator) = row.creator.as_deref() else { return false };
        self.line(task).any(|ancestor| is_same(ancestor, creator))
    }

    /// Whether an ancestor of `task`, or another thread of its process, is in a namespace: of those
    /// older than the tracer nobody knows who made them.
    fn is_used_in_line(&self, id: RowId, task: &Task) -> bool {
        self.line(task).any(|ancestor| {
            let member = self.tasks.get(&ancestor.tid);
            ancestor.tid != task.tid
                && member.is_some_and(|member| member.set.rows.contains(&Some(id)))
        })
    }

    /// The first threads of the process of `task`, of its parent, and so on.
    fn line<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a Task> {
        let leader = self.tasks.get(&task.pid).map_or(task, |member| &*member.task);
        let parent = |task: &&Task| self.tasks.get(&task.ppid).map(|member| &*member.task);
        std::iter::successors(Some(leader), parent).take(ANCESTORS)
    }
}

/// Whether the maker of a namespace was of this process: a number may have been another's before.
fn is_same(process: &Task, creator: &Creator) -> bool {
    process.pid == creator.pid && process.start_ns <= creator.start_ns
}

//! Which events are wanted, by type, sort and expression.

use crate::{
    expr::Filter,
    model::{
        Event, Kind, NsRef,
        event::{Body, EventKind, Target},
    },
};

/// What to let through. `sync` and `lost` always pass: without them a stream cannot be judged.
#[derive(Debug, Default)]
pub struct Selection {
    /// Types of namespace; empty means all.
    pub kinds: Vec<Kind>,
    /// Sorts of event; empty means all but those of tasks.
    pub events: Vec<EventKind>,
    /// Whether `fork`, `exec` and `exit` pass when no sorts are named.
    pub tasks: bool,
    /// Whether `fail` is left out.
    pub no_fail: bool,
    /// An expression that must be true.
    pub filter: Option<Filter>,
}

impl Selection {
    /// Whether events of tasks are wanted at all.
    #[must_use]
    pub fn wants_tasks(&self) -> bool {
        self.tasks || self.events.iter().any(|kind| is_of_tasks(*kind))
    }

    /// Whether `event` passes.
    pub fn admits(&mut self, event: &Event) -> bool {
        let kind = event.body.kind();
        if matches!(kind, EventKind::Sync | EventKind::Lost) {
            return true;
        }
        self.admits_sort(kind) && self.chooses(event)
    }

    /// Whether events of a sort pass.
    #[must_use]
    pub fn admits_sort(&self, kind: EventKind) -> bool {
        let wanted = if self.events.is_empty() {
            self.tasks || !is_of_tasks(kind)
        } else {
            self.events.contains(&kind)
        };
        wanted && !(self.no_fail && kind == EventKind::Fail)
    }

    /// Whether an event would pass if its sort does.
    pub fn chooses(&mut self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.concerns(&event.body))
            && self.filter.as_mut().is_none_or(|filter| filter.matches(event))
    }

    /// Whether an event is about one of the wanted types. A failed call is about the types that it
    /// asked for; one that named none, about its target. Events of tasks are about every type.
    fn concerns(&self, body: &Body) -> bool {
        let wanted = |kind: Kind| self.kinds.contains(&kind);
        let any = |namespaces: &[NsRef]| namespaces.iter().any(|ns| wanted(ns.kind));
        match body {
            Body::Create(event) => wanted(event.ns.kind),
            Body::Destroy(event) => wanted(event.ns.kind),
            Body::Map(event) => wanted(event.ns.kind),
            Body::Exist(event) => wanted(event.ns.kind),
            Body::Enter(event) => event.changes.iter().any(|change| wanted(change.slot.kind())),
            Body::Fail(event) => {
                event.flags.kinds().any(wanted)
                    || match &event.target {
                        Some(Target::Namespace(ns)) => any(std::slice::from_ref(ns)),
                        Some(Target::Process(target)) => any(&target.ns),
                        None => false,
                    }
            }
            Body::Alert(event) => event.ns.as_ref().is_none_or(|ns| wanted(ns.kind)),
            Body::Fork(_) | Body::Exec(_) | Body::Exit(_) | Body::Lost(_) | Body::Sync(_) => true,
        }
    }
}

const fn is_of_tasks(kind: EventKind) -> bool {
    matches!(kind, EventKind::Fork | EventKind::Exec | EventKind::Exit)
}

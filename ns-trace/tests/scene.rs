//! A tracer, an actor, and what the one tells of the other.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    actor::Actor,
    compare::{ANY, expect},
    context::Room,
    facts::{SLOTS, Task, flag_names},
    tracer::Tracer,
};

/// What was seen of one call.
pub(crate) struct Step {
    /// The caller's slots before.
    pub(crate) before: Value,
    /// The caller after, as `process` of events.
    pub(crate) process: Value,
}

impl Step {
    /// The `changes` that /proc shows.
    pub(crate) fn changes(&self) -> Value {
        changes(&self.before, &self.process["ns"])
    }
}

/// A part of a tracer's stream.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) tracer: Arc<Tracer>,
    /// Where it begins.
    place: usize,
}

/// An actor on a stage.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) actor: Actor,
}

impl Scene {
    /// Starts an actor under the tracer that trials share.
    pub(crate) fn new(room: &Room) -> Result<Self> {
        Ok(Self { stage: Stage::new(room.tracer()?), actor: Actor::start()? })
    }

    /// The stage that also others play on.
    pub(crate) fn on(stage: &Stage) -> Result<Self> {
        Ok(Self { stage: stage.clone(), actor: Actor::start()? })
    }

    /// Has the task in front make a call that must succeed, and looks at it before and after.
    pub(crate) fn call(&mut self, line: &str) -> Result<Step> {
        let task = self.actor.who()?;
        let before = task.slots()?;
        self.actor.act(line)?;
        Ok(Step { before, process: task.process()? })
    }

    /// Ends the actor and then expects the ends of what it made.
    pub(crate) fn end(self, creates: &[Arc<Value>]) -> Result<()> {
        let Self { stage, actor } = self;
        let alive = boot_ns();
        actor.end()?;
        for create in creates {
            stage.expect_destroy(create, alive)?;
        }
        creates.iter().try_for_each(|create| stage.expect_once(create))
    }
}

impl Stage {
    /// What the tracer tells from here on.
    pub(crate) fn new(tracer: Arc<Tracer>) -> Self {
        Self { place: tracer.len(), tracer }
    }

    /// The first event that `is_it` says yes to, waited for.
    pub(crate) fn wait(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Arc<Value>> {
        self.tracer.wait_since(self.place, what, is_it)
    }

    /// What it tells so far.
    pub(crate) fn events_so_far(&self) -> Vec<Arc<Value>> {
        self.tracer.since(self.place)
    }

    /// The events about `task` since the scene began, complete as of now; destroys have none.
    pub(crate) fn events(&self, task: Task) -> Result<Vec<Arc<Value>>> {
        settle(&self.tracer)?;
        let is_its = |event: &Arc<Value>| {
            event["process"]["pid"] == task.pid && event["process"]["tid"] == task.tid
        };
        Ok(self.tracer.since(self.place).into_iter().filter(is_its).collect())
    }

    /// Waits for the end of a namespace, as its `create` has it, and checks all there is to say
    /// about it; `held_until` is a moment of the boot clock when it was still there.
    pub(crate) fn expect_destroy(&self, create: &Value, held_until: u64) -> Result<Arc<Value>> {
        let (ns, process) = (&create["ns"], &create["process"]);
        let is_it = |event: &Value| event["event"] == "destroy" && event["ns"] == *ns;
        let what = format!("`destroy` of {ns}");
        let event = self.tracer.wait_since(self.place, &what, is_it)?;
        let born = ns["born"].as_u64().unwrap_or_default();
        let died = event["boot_ns"].as_u64().unwrap_or_default();
        let expected = json!({
            "event": "destroy",
            "ns": ns,
            "creator": {
                "pid": process["pid"], "tid": process["tid"], "start_ns": process["start_ns"],
                "comm": process["comm"], "exe": process["exe"], "uid": process["uid"],
            },
            "lifetime_ns": died - born,
            "last_task_boot_ns": ANY,
        });
        expect(&event, &expected)?;
        ensure!(died >= held_until, "destroyed at {died}, held until {held_until}: {event}");
        if let Some(last) = event["last_task_boot_ns"].as_u64() {
            ensure!((born..=died).contains(&last), "{event}");
        }
        Ok(event)
    }

    /// Checks that nothing was told of the end of a namespace yet.
    pub(crate) fn expect_alive(&self, create: &Value) -> Result<()> {
        settle(&self.tracer)?;
        let is_it = |event: &Arc<Value>| event["event"] == "destroy" && event["ns"] == create["ns"];
        let early = self.tracer.since(self.place).into_iter().find(is_it);
        ensure!(early.is_none(), "too early: {early:?}");
        Ok(())
    }

    /// Checks that a namespace was told of exactly once at each end.
    pub(crate) fn expect_once(&self, create: &Value) -> Result<()> {
        settle(&self.tracer)?;
        for name in ["create", "destroy"] {
            let is_it = |event: &&Arc<Value>| event["event"] == name && event["ns"] == create["ns"];
            let events = self.tracer.since(self.place);
            let count = events.iter().filter(is_it).count();
            ensure!(count == 1, "{count} times `{name}` of {}", create["ns"]);
        }
        Ok(())
    }
}

/// The `create` that is expected of a call; `ns` as nsfs has it, `process` as /proc.
pub(crate) fn create(cause: &str, flags: u64, ns: &Value, process: &Value) -> Value {
    let mut ns = ns.clone();
    ns["born"] = ANY.into();
    json!({
        "event": "create", "cause": cause, "flags": flag_names(flags), "op": ANY,
        "ns": ns, "process": process,
    })
}

/// The `enter` that is expected of a call.
pub(crate) fn enter(
    cause: &str,
    flags: u64,
    changes: &Value,
    relation: Option<&str>,
    process: &Value,
) -> Value {
    json!({
        "event": "enter", "cause": cause, "flags": flag_names(flags), "op": ANY,
        "changes": changes, "relation": relation, "process": process,
    })
}

/// What differs between two sets of slots, as `changes` of events.
pub(crate) fn changes(before: &Value, after: &Value) -> Value {
    let change = |slot: &&str| {
        let (from, to) = (&before[slot], &after[slot]);
        // What /proc hides has changed, too.
        let to = if to.is_null() { json!(ANY) } else { to.clone() };
        (*from != to).then(|| json!({ "slot": slot, "from": from, "to": to }))
    };
    SLOTS.iter().filter_map(change).collect()
}

/// Waits until the tracer has told of everything that happened before now: something happens, and
/// it tells of that.
pub(crate) fn settle(tracer: &Tracer) -> Result<()> {
    let place = tracer.len();
    let mut marker = Actor::start()?;
    let task = marker.who()?;
    marker.act("unshare 4000000")?;
    let is_it = |event: &Value| event["event"] == "enter" && event["process"]["tid"] == task.tid;
    tracer.wait_since(place, "marker", is_it)?;
    marker.end()
}

/// Now, on the boot clock.
pub(crate) fn boot_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanoseconds = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    nanoseconds.cast_unsigned()
}

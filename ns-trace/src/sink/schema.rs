//! Events in the words of others: the Elastic Common Schema and the Open Cybersecurity Schema
//! Framework.
//!
//! Neither has words for namespaces. What they have no field for stays as it is, in one of its own:
//! `ns_trace` in ECS, `unmapped` in OCSF.

mod ecs;
mod ocsf;

use serde_json::{Map, Value};

use crate::{
    model::{
        Event, Fields, Time,
        event::{Body, Severity},
        write_json,
    },
    sys::host,
};

/// In whose words events are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Schema {
    /// The own ones, `ns-trace/1`.
    #[default]
    Native,
    /// The Elastic Common Schema.
    Ecs,
    /// The Open Cybersecurity Schema Framework.
    Ocsf,
}

/// What is said of the machine in each event.
#[derive(Clone, Debug, Default)]
struct Machine {
    name: String,
    boot_id: String,
    kernel: String,
}

/// From 1 to 5: what OCSF has for them, and what Kibana sorts by.
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

/// Writes events in the words of a schema.
#[derive(Clone, Debug)]
pub struct Translator {
    schema: Schema,
    machine: Machine,
}

impl Translator {
    /// One who knows this machine.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        let machine =
            Machine { name: host::name(), boot_id: host::boot_id(), kernel: host::kernel() };
        Self { schema, machine }
    }

    /// Whether it is to be written as it is.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.schema == Schema::Native
    }

    /// Appends an event as one line, the newline included.
    pub fn write(&self, event: &Event, out: &mut Vec<u8>) {
        let value = match self.schema {
            Schema::Native => return write_json(event, Fields::Full, out),
            Schema::Ecs => ecs::event(event, &self.machine),
            Schema::Ocsf => ocsf::event(event, &self.machine),
        };
        // Writing to memory cannot fail, nor has it keys that are no text.
        out.extend_from_slice(value.to_string().as_bytes());
        out.push(b'\n');
    }
}

/// The fields of an event that neither schema has a place for.
fn rest(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        // The process' namespaces have no place elsewhere.
        let slots = fields.remove("process").and_then(|mut process| {
            let fields = process.as_object_mut()?;
            let kept = ["ns", "cgroup", "cgroup_id", "start_ns"];
            fields.retain(|name, _| kept.contains(&name.as_str()));
            Some(process)
        });
        fields.extend(slots.map(|slots| ("process".to_owned(), slots)));
        for name in ["time", "container", "pod"] {
            fields.remove(name);
        }
    }
    value
}

/// An object of the fields that have a value.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let known = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(known.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// When a task was made, by the clock on the wall.
fn started(event: &Event, start_ns: u64) -> Time {
    let ago = event.boot_ns.saturating_sub(start_ns);
    Time(event.time.0.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)))
}

/// What names a process for good on all machines.
fn identity(machine: &Machine, tid: u32, start_ns: u64) -> String {
    format!("{}:{tid}:{start_ns}", machine.boot_id)
}

/// What happened in a few words.
fn sentence(event: &Event) -> String {
    let who = event.body.process().map(|process| format!("{}[{}]", process.comm, process.pid));
    let who = who.unwrap_or_else(|| "kernel".to_owned());
    match &event.body {
        Body::Create(made) => format!("{who} made {} by {}", made.ns.to_ref(), made.cause.name()),
        Body::Destroy(gone) => format!("{} was freed", gone.ns.to_ref()),
        Body::Exist(found) => format!("{} exists", found.ns.to_ref()),
        Body::Map(map) => format!("{who} wrote {} of {}", map.map.file.name(), map.ns.to_ref()),
        Body::Enter(enter) => {
            let to = enter.changes.iter().filter_map(|change| change.to);
            let to: Vec<_> = to.map(|ns| ns.to_string()).collect();
            format!("{who} entered {} by {}", to.join(", "), enter.cause.name())
        }
        Body::Fail(fail) => format!("{who} failed to {}: {}", fail.cause.name(), fail.errno),
        Body::Fork(fork) => format!("{who} made task {}", fork.child.tid),
        Body::Exec(_) => format!("{who} runs a program"),
        Body::Exit(_) => format!("{who} ended"),
        Body::Lost(lost) => format!("{} events are missing", lost.lost.count),
        Body::Sync(sync) => format!("events are complete from here on ({})", sync.host.backend),
        Body::Alert(alert) => alert.message.clone(),
    }
}

#[cfg(test)]
mod tests;

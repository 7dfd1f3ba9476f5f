//! Events as JSON lines, written by hand because the rate at which events leave is decided here.
//!
//! The output is byte for byte what serde makes of the same event (the tests compare them), so the
//! types stay the one description of the schema. What repeats from event to event is kept as text:
//! the second of the time, and the calls, namespaces and tasks seen last.

mod body;
mod namespace;
mod process;
mod scalar;
#[cfg(test)]
mod tests;
mod time;

use self::{body::Bodies, process::Tasks, scalar::number, time::Clock};
use super::{
    Event,
    event::{Body, Source},
};

/// How much of an event is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fields {
    /// Everything.
    #[default]
    Full,
    /// Of a process only `pid`, `tid`, `ppid`, `start_ns`, `comm` and `uid`.
    Compact,
}

/// Writes events as JSON lines; one for each stream, since it remembers what it wrote last.
#[derive(Debug, Default)]
pub struct JsonWriter {
    clock: Clock,
    bodies: Bodies,
    tasks: Tasks,
}

impl JsonWriter {
    /// A writer that has not seen any event.
    #[must_use]
    pub fn new(fields: Fields) -> Self {
        Self { tasks: Tasks::new(fields), ..Self::default() }
    }

    /// Appends `event` as one line of JSON, the newline included.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        let Event { schema: _, seq, time, boot_ns, source, body, container, pod, lossy } = event;
        if matches!(body, Body::Lost(_) | Body::Sync(_)) {
            return write_rare(event, out);
        }
        out.extend_from_slice(br#"{"schema":"ns-trace/1","seq":"#);
        number(*seq, out);
        out.extend_from_slice(br#","time":""#);
        self.clock.write(*time, out);
        out.extend_from_slice(br#"","boot_ns":"#);
        number(*boot_ns, out);
        out.extend_from_slice(match source {
            Source::Probe => br#","source":"probe","event":""#,
            Source::Snapshot => br#","source":"snapshot","event":""#,
            Source::Replay => br#","source":"replay","event":""#,
        });
        self.bodies.write(body, out);
        if let Some(process) = body.process() {
            out.extend_from_slice(br#","process":"#);
            self.tasks.write(process, &mut self.bodies.namespaces, out);
        }
        if let Some(container) = container {
            process::container(container, out);
        }
        if let Some(pod) = pod {
            process::pod(pod, out);
        }
        if *lossy {
            out.extend_from_slice(br#","lossy":true"#);
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Appends `event` as one line of JSON, the newline included; for many events use a [`JsonWriter`].
pub fn write_json(event: &Event, fields: Fields, out: &mut Vec<u8>) {
    JsonWriter::new(fields).write(event, out);
}

/// Events that come a few times in an hour are not worth code of their own.
fn write_rare(event: &Event, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    if serde_json::to_writer(&mut *out, event).is_ok() {
        out.push(b'\n');
    }
}

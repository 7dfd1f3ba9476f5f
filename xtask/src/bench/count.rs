//! Whether a recording holds the events that it must.

use std::io::BufRead as _;

use anyhow::{Result, ensure};
use memchr::memmem::{Finder, find};

use crate::tracer::Recording;

/// Events of some processes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counted {
    pub(super) create: u64,
    pub(super) enter: u64,
    pub(super) destroy: u64,
    /// Lines that say that events are missing, whosesoever.
    pub(super) lost: u64,
    /// All lines.
    pub(super) lines: u64,
}

impl Counted {
    /// Counts the events of these processes; the destroys of what they made.
    pub(super) fn of(recording: &Recording, pids: &[u32]) -> Result<Self> {
        let mut counted = Self::default();
        let pids: Vec<String> = pids.iter().map(|pid| format!(r#"{{"pid":{pid},"tid""#)).collect();
        let pids: Vec<_> = pids.iter().map(Finder::new).collect();
        let event = Finder::new(br#","event":""#);
        let (mut input, mut line) = (recording.read()?, Vec::new());
        while input.read_until(b'\n', &mut line)? > 0 {
            let ours = || pids.iter().any(|pid| pid.find(&line).is_some());
            counted.lines += 1;
            let name = event.find(&line).and_then(|at| line.get(at + event.needle().len()..));
            match name.unwrap_or_default() {
                name if name.starts_with(b"create\"") => counted.create += u64::from(ours()),
                name if name.starts_with(b"enter\"") => counted.enter += u64::from(ours()),
                name if name.starts_with(b"destroy\"") => counted.destroy += u64::from(ours()),
                name if name.starts_with(b"lost\"") => counted.lost += 1,
                _ => {}
            }
            ensure!(line.ends_with(b"}\n"), "line {} is cut", counted.lines);
            line.clear();
        }
        Ok(counted)
    }

    /// Fails unless each of `calls` made, entered and left behind one namespace.
    pub(super) fn check(&self, calls: u64) -> Result<()> {
        let Self { create, enter, destroy, lost, .. } = *self;
        ensure!(
            (create, enter, destroy, lost) == (calls, calls, calls, 0),
            "{calls} calls of unshare gave {create} create, {enter} enter, {destroy} destroy and \
             {lost} lost"
        );
        Ok(())
    }
}

/// Whether a line is the `create` of a process.
pub(super) fn is_create_of(line: &[u8], pid: u32) -> bool {
    find(line, br#","event":"create""#).is_some()
        && find(line, format!(r#""process":{{"pid":{pid},"tid""#).as_bytes()).is_some()
}

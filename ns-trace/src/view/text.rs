//! One event as one line for people.
//!
//! ```text
//! 10:00:00.123  create     4242 unshare          net:4026532281  by unshare(NEWNET|NEWUSER)  owner user:4026532280
//! 10:00:00.123  enter      4242 unshare          net:4026531840 → net:4026532281  by unshare(NEWNET|NEWUSER)
//! ```

mod alert;
mod call;
mod health;
mod life;
mod line;
mod task;
#[cfg(test)]
mod tests;
mod time;

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use jiff::tz::TimeZone;

use self::{line::Line, time::Clock};
use super::{Charset, color::Style};
use crate::model::{
    Event, Process,
    event::{Body, EventKind},
};

/// How a line looks.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// Whether to use colours.
    pub color: bool,
    /// What the terminal understands.
    pub charset: Charset,
    /// Whether the time of an event has its date.
    pub dates: bool,
    /// How many columns there are; command lines are shortened to fit. Nothing else is, and nothing
    /// is wrapped.
    pub width: Option<usize>,
    /// The zone of the times: for people [`TimeZone::system`].
    pub zone: TimeZone,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            color: false,
            charset: Charset::Utf8,
            dates: false,
            width: None,
            zone: TimeZone::UTC,
        }
    }
}

/// Writes events as lines of text; one for each stream, since its columns grow with what they hold.
#[derive(Debug)]
pub struct TextWriter {
    options: TextOptions,
    clock: Clock,
    /// The width of the column of task numbers.
    numbers: usize,
    /// The line that is being written.
    text: String,
}

impl TextWriter {
    /// A writer that has not seen any event.
    #[must_use]
    pub fn new(options: TextOptions) -> Self {
        Self {
            options,
            clock: Clock::default(),
            // The largest number that a 64-bit kernel gives out has seven digits.
            numbers: 7,
            text: String::new(),
        }
    }

    /// Appends `event` as one line of text, the newline included.
    pub fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = self.line(event);
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'\n');
    }

    fn line(&mut self, event: &Event) -> fmt::Result {
        let mut line = Line::new(&mut self.text, &self.options);
        let time = self.clock.text(event.time, &self.options);
        line.paint(Style::DIM, format_args!("{time}"))?;
        let kind = event.body.kind();
        line.write_str("  ")?;
        line.paint(style(kind), format_args!("{:<7}", kind.name()))?;
        if let Body::Lost(_) | Body::Sync(_) = event.body {
            line.write_str("  ")?;
        } else {
            who(event.body.process(), &mut self.numbers, &mut line)?;
            place(event, &mut line)?;
        }
        match &event.body {
            Body::Create(body) => life::create(body, &mut line),
            Body::Destroy(body) => life::destroy(body, event.boot_ns, &mut line),
            Body::Map(body) => life::map(body, &mut line),
            Body::Exist(body) => life::exist(body, &mut line),
            Body::Enter(body) => call::enter(body, &mut line),
            Body::Fail(body) => call::fail(body, &mut line),
            Body::Fork(body) => task::fork(body, &mut line),
            Body::Exec(body) => task::exec(body, &mut line),
            Body::Exit(body) => task::exit(body, &mut line),
            Body::Lost(body) => health::lost(body, &mut line),
            Body::Sync(body) => health::sync(body, &mut line),
            Body::Alert(body) => alert::alert(body, &mut line),
        }
    }
}

/// The columns of the task: its number, then its name; blank if there is none.
fn who(process: Option<&Arc<Process>>, width: &mut usize, line: &mut Line<'_>) -> fmt::Result {
    let (number, name) = match process {
        Some(process) => (number(process), line.escape(&process.comm)),
        None => (String::new(), "".into()),
    };
    *width = number.len().max(*width);
    let width = *width;
    write!(line, "  {number:>width$} ")?;
    line.paint(Style::BOLD, format_args!("{name}"))?;
    // A name has at most 15 characters (TASK_COMM_LEN), unless some of them are escaped.
    let rest = 15_usize.saturating_sub(name.chars().count());
    write!(line, "{:rest$}  ", "")
}

/// The container of the task, or its pod if that is all that is known: `[3f2a9c1d2e4f] `.
fn place(event: &Event, line: &mut Line<'_>) -> fmt::Result {
    /// How much of an id is enough to tell it from others, as in what docker prints.
    const SHORT: usize = 12;
    let place = match (&event.container, &event.pod) {
        (Some(container), _) => {
            let id = line.escape(&container.id);
            // Names are shown in full.
            let short = id.get(..SHORT).filter(|_| id.len() == 64);
            short.map_or_else(|| id.to_string(), ToOwned::to_owned)
        }
        (None, Some(pod)) => format!("pod {}", line.escape(&pod.uid)),
        (None, None) => return Ok(()),
    };
    line.paint(Style::DIM, format_args!("[{place}] "))
}

/// The number of a process, and that of the thread if it is not the first.
fn number(process: &Process) -> String {
    if process.pid == process.tid {
        process.pid.to_string()
    } else {
        format!("{}/{}", process.pid, process.tid)
    }
}

const fn style(kind: EventKind) -> Style {
    match kind {
        EventKind::Create => Style::GREEN,
        EventKind::Enter => Style::CYAN,
        EventKind::Fail => Style::RED,
        EventKind::Destroy => Style::MAGENTA,
        EventKind::Map => Style::NOTABLE,
        EventKind::Exist | EventKind::Sync => Style::DIM,
        EventKind::Fork | EventKind::Exec | EventKind::Exit => Style::PLAIN,
        EventKind::Lost | EventKind::Alert => Style::ALARM,
    }
}

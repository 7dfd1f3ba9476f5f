//! `ns-trace list --watch`: the list again whenever it changes.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use rustix::termios::tcgetwinsize;

use super::{Choice, Filters, render, table};
use crate::{
    cli::ListArgs,
    cmd::trace::{check_capabilities, failure},
    model::{Cell, Want, event::EventKind},
    pipeline::{Channel, Ended, LiveOptions, Pictures as _, Selection, Update, merged},
    probe::Options,
    report::{Failure, note, sight},
    sys::signal,
    view::table::Table,
};

/// How often it is looked whether something has changed.
const EVERY: Duration = Duration::from_millis(500);
/// How long a signal may go unnoticed.
const BLINK: Duration = Duration::from_millis(50);
/// Sizes of the ring and of what may wait behind it.
const RING: u32 = 16 << 20;
const BACKLOG: usize = 256 << 20;

/// Shows the list until told to end, or until nobody reads it.
pub(super) fn run(
    args: &ListArgs,
    mut choice: Choice,
    filters: &Filters,
) -> Result<ExitCode, Failure> {
    // By it the namespaces that the probes and those that the looks know are matched.
    choice.want.ids = true;
    // The probes may know of a namespace that the look missed, and so whose first process is no other's.
    choice.want.first = false;
    let cannot = |error: io::Error| Failure::new(format!("cannot watch: {error}"));
    let signals = signal::ending().map_err(cannot)?;
    let mut pictures = source(args).map_err(cannot)?;
    let mut screen = Screen::default();
    loop {
        match pictures.next(BLINK) {
            Some(Update::Picture(picture)) => {
                let world = merged(sight::scan(&choice.want)?, &picture, choice.want.kinds);
                let table = table(args, &choice, filters, &world)?;
                if !screen.show(args, table).map_err(cannot)? {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            Some(Update::Ended(Ended::Trace(error))) => {
                note(&format!("{}; births are not seen", failure::of_live(&error).sentence()));
                pictures = Channel::looks(Want::MEMBERS, EVERY).map_err(cannot)?;
            }
            Some(Update::Ended(Ended::Look(error))) => return Err(cannot(error)),
            Some(Update::Ended(Ended::Over(_))) => return Ok(ExitCode::SUCCESS),
            Some(Update::Event(_) | Update::Closely(_)) | None => {}
        }
        if signal::has_come(&signals) {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The probes if they may be used, else looks at /proc.
fn source(args: &ListArgs) -> io::Result<Channel> {
    if let Err(failure) = check_capabilities() {
        note(&format!("{}; births are not seen", failure.sentence()));
        return Channel::looks(Want::MEMBERS, EVERY);
    }
    let options = LiveOptions {
        probes: Options { backend: None, ring_bytes: RING, btf: None, pins: None },
        backlog_bytes: BACKLOG,
        snapshot: false,
        timeout: None,
        command: None,
        output: None,
        viewer: None,
        attached: None,
        inquiries: None,
        keep: None,
    };
    let no_event = Selection { events: vec![EventKind::Sync], ..Selection::default() };
    Channel::live(options, no_event, EVERY, args.dead.unwrap_or_default())
}

/// What was shown last.
#[derive(Debug, Default)]
struct Screen {
    last: Option<Table>,
    text: String,
}

impl Screen {
    /// Shows a table if it differs from the last one; tells whether anybody reads it.
    fn show(&mut self, args: &ListArgs, table: Table) -> io::Result<bool> {
        let text = render(args, &table);
        let is_terminal = io::stdout().is_terminal() && !args.json && !args.raw;
        let is_same = match &self.last {
            None => false,
            Some(_) if is_terminal => self.text == text,
            // That time passes is no change.
            Some(last) => ageless(last).eq(ageless(&table)),
        };
        if is_same {
            return Ok(true);
        }
        let drawn = match (is_terminal, self.last.is_some()) {
            (true, is_second) => drawn(&text, is_second),
            (false, true) if !args.json => format!("\n{text}"),
            (false, _) => text.clone(),
        };
        self.text = text;
        self.last = Some(table);
        let mut out = io::stdout().lock();
        match out.write_all(drawn.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true),
        }
    }
}

/// The cells that do not change by themselves.
fn ageless(table: &Table) -> impl Iterator<Item = (usize, Vec<&Cell>)> {
    table.cells().map(|(depth, cells)| {
        (depth, cells.iter().filter(|cell| !matches!(cell, Cell::Seconds(_))).collect())
    })
}

/// The text over what the terminal showed before, as many lines as it has.
fn drawn(text: &str, is_second: bool) -> String {
    let height = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
    let height = if height > 1 { height - 1 } else { usize::MAX };
    let lines = text.lines().count();
    let mut drawn = String::from(if is_second { "\x1b[H" } else { "\x1b[H\x1b[2J" });
    let shown = if lines > height { height - 1 } else { lines };
    for line in text.lines().take(shown) {
        drawn.push_str(line);
        drawn.push_str("\x1b[K\n");
    }
    if lines > shown {
        // Writing to a string cannot fail.
        let _ = writeln!(drawn, "… and {} lines more\x1b[K", lines - shown);
    }
    drawn.push_str("\x1b[J");
    drawn
}

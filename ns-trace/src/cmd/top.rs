//! `ns-trace top`: the live screen.

mod screen;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use jiff::tz::TimeZone;
use ratatui::crossterm::event;

use self::screen::Screen;
use super::trace::{check_capabilities, failure};
use crate::{
    cli::{Color, TopArgs},
    expr::Filter,
    model::Want,
    pipeline::{Channel, Ended, LiveOptions, Pictures as _, Selection, Update},
    probe::Options,
    report::{Class, Failure},
    sys::signal::{self, JobControl},
    view::{
        terminal,
        top::{Look, Request, Top},
    },
};

/// How long keys are waited for before it is looked for something else: what a person does not
/// notice.
const BLINK: Duration = Duration::from_millis(50);
/// The shortest time between two pictures.
const SHORTEST: Duration = Duration::from_millis(100);
/// How much is taken in before the screen is drawn.
const MOST: usize = 10_000;
/// Sizes of the ring and of what may wait behind it, as `trace` has them.
const RING: u32 = 16 << 20;
const BACKLOG: usize = 256 << 20;

/// Shows the screen until it is left.
pub(super) fn run(args: &TopArgs) -> Result<ExitCode, Failure> {
    let filter = args.filter.as_deref().map(Filter::compile).transpose();
    let filter = filter
        .map_err(|error| failure::of_filter(&error, args.filter.as_deref().unwrap_or_default()))?;
    check_terminal()?;
    let color = match args.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal::has_color(true),
    };
    let look = Look { color, charset: terminal::charset(), zone: TimeZone::system() };
    let mut top = Top::new(look, filter).only(args.kind);
    let cannot = |error: io::Error| Failure::new(format!("cannot show the screen: {error}"));
    let pictures = source(args, &mut top).map_err(cannot)?;
    let signals = signal::ending().map_err(cannot)?;
    let jobs = JobControl::watch().map_err(cannot)?;
    let screen = Screen::open().map_err(cannot)?;
    Session { args, top, pictures, screen, jobs }.go_on(&signals)
}

/// A screen needs a terminal that understands more than lines.
fn check_terminal() -> Result<(), Failure> {
    let hint = "`ns-trace list` prints the table once, `ns-trace trace` prints what happens";
    let refuse = |why: &str| {
        Err(Failure::new(format!("cannot show a screen: {why}")).class(Class::Usage).hint(hint))
    };
    if !io::stdin().is_terminal() {
        return refuse("standard input is no terminal");
    }
    if !io::stdout().is_terminal() {
        return refuse("standard output is no terminal");
    }
    if terminal::is_dumb() {
        return refuse("this terminal (TERM) cannot move its cursor");
    }
    Ok(())
}

/// The probes if they may be used, else looks at /proc.
fn source(args: &TopArgs, top: &mut Top) -> io::Result<Channel> {
    if args.snapshots {
        top.blind("as asked for".to_owned());
    } else if let Err(failure) = check_capabilities() {
        top.blind(failure.sentence().to_owned());
    }
    if top.is_blind() {
        return looks(args);
    }
    let options = LiveOptions {
        probes: Options { backend: args.probe.0, ring_bytes: RING, btf: None, pins: None },
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
    Channel::live(options, Selection::default(), args.delay.max(SHORTEST), args.dead)
}

fn looks(args: &TopArgs) -> io::Result<Channel> {
    let want = Want { children: true, threads: true, relatives: true, ids: true, ..Want::MEMBERS };
    Channel::looks(want, args.delay.max(SHORTEST))
}

/// A screen in use.
struct Session<'a> {
    args: &'a TopArgs,
    top: Top,
    pictures: Channel,
    screen: Screen,
    jobs: JobControl,
}

impl Session<'_> {
    fn go_on(mut self, signals: &std::os::fd::OwnedFd) -> Result<ExitCode, Failure> {
        let cannot = |error: io::Error| Failure::new(format!("cannot draw the screen: {error}"));
        let mut is_stale = true;
        loop {
            is_stale |= self.take()?;
            if signal::has_come(signals) {
                return Ok(ExitCode::SUCCESS);
            }
            if self.jobs.is_to_stop() {
                self.screen.suspend(&self.jobs).map_err(cannot)?;
                is_stale = true;
            } else if self.jobs.goes_on() {
                // Stopped by force: whoever was at the terminal meanwhile has set it for himself.
                self.screen.resume().map_err(cannot)?;
                is_stale = true;
            }
            if std::mem::take(&mut is_stale) {
                self.screen.draw(&mut self.top).map_err(cannot)?;
            }
            // Without a terminal there is nobody to look at it.
            let Ok(is_there) = event::poll(BLINK) else { return Ok(ExitCode::SUCCESS) };
            if !is_there {
                continue;
            }
            is_stale = true;
            let Ok(event) = event::read() else { return Ok(ExitCode::SUCCESS) };
            let Some(key) = event.as_key_press_event() else { continue };
            match self.top.press(key) {
                None => {}
                Some(Request::Quit) => return Ok(ExitCode::SUCCESS),
                Some(Request::Suspend) => self.screen.suspend(&self.jobs).map_err(cannot)?,
                Some(Request::Redraw) => self.screen.clear().map_err(cannot)?,
                Some(Request::LookClosely) => self.pictures.look_closely(),
            }
        }
    }

    /// Takes in what is there; tells whether that was anything.
    fn take(&mut self) -> Result<bool, Failure> {
        let mut took = false;
        for _ in 0..MOST {
            let Some(update) = self.pictures.next(Duration::ZERO) else { break };
            took = true;
            match update {
                Update::Ended(Ended::Look(error)) => {
                    return Err(Failure::new(format!("cannot read /proc: {error}")));
                }
                Update::Ended(Ended::Trace(error)) => {
                    // The kernel does not let it: it can be looked at all the same.
                    self.top.blind(failure::of_live(&error).sentence().to_owned());
                    self.pictures = looks(self.args)
                        .map_err(|error| Failure::new(format!("cannot look at /proc: {error}")))?;
                }
                // A signal, which is noticed here as well.
                Update::Ended(Ended::Over(_)) => {}
                update => self.top.take(update),
            }
        }
        Ok(took)
    }
}

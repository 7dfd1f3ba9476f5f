//! The terminal: taken, drawn on, and given back as it was.

use std::{
    io::{self, Stdout},
    panic,
};

use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute,
        terminal::{
            Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
            enable_raw_mode,
        },
    },
};

use crate::{
    sys::signal::JobControl,
    view::top::{Top, draw},
};

/// The terminal while it is ours.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes the terminal; also a panic of any thread gives it back.
    pub(super) fn open() -> io::Result<Self> {
        let former = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            give_back();
            former(what);
        }));
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        // From here on it is given back, whatever happens.
        let screen = Self(terminal);
        take()?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, top: &mut Top) -> io::Result<()> {
        top.resize(self.0.size()?.height);
        self.0.draw(|frame| draw(top, frame)).map(drop)
    }

    /// Has everything drawn anew.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        execute!(io::stdout(), Clear(ClearType::All))?;
        // `Terminal::clear` would ask the terminal where its cursor is, and wait for the answer.
        self.0 = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        Ok(())
    }

    /// Gives the terminal back and stops, until the shell says go on.
    pub(super) fn suspend(&mut self, jobs: &JobControl) -> io::Result<()> {
        give_back();
        jobs.stop()?;
        self.resume()
    }

    /// Takes the terminal again.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        // It was taken away unasked: what was set since must not be taken for what was before.
        disable_raw_mode()?;
        take()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen)
}

/// As far as the terminal is still there.
fn give_back() {
    drop(execute!(io::stdout(), LeaveAlternateScreen, Show));
    drop(disable_raw_mode());
}

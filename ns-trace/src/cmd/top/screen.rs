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

#[cfg(test)]
mod tests {
    use std::{
        env,
        fs::File,
        io::Read as _,
        process::{Command, Stdio},
        thread,
    };

    use rustix::{
        fs::{Mode, OFlags, open},
        pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
        termios::tcgetattr,
    };

    use super::*;

    /// Set where the test runs itself, with a terminal.
    const MARK: &str = "NS_TRACE_TEST_PANIC";

    /// From outside it cannot be tested: nothing that is known makes the program panic.
    #[test]
    fn a_panic_gives_the_terminal_back() {
        if env::var_os(MARK).is_some() {
            let _screen = Screen::open().unwrap();
            panic!("what went wrong");
        }
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let modes = || format!("{:?}", tcgetattr(&theirs).unwrap());
        let before = modes();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let this = "cmd::top::screen::tests::a_panic_gives_the_terminal_back";
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(MARK, "1")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let reader = thread::spawn(move || {
            let mut shown = Vec::new();
            // Ends with an error when nobody has the other end any more.
            let _hung_up = File::from(ours).read_to_end(&mut shown);
            String::from_utf8_lossy(&shown).into_owned()
        });
        assert_eq!(child.wait().unwrap().code(), Some(101));
        assert_eq!(modes(), before);
        drop(theirs);
        let shown = reader.join().unwrap();
        let place = |what: &str| shown.find(what).unwrap_or_else(|| panic!("no {what:?}: {shown}"));
        // The message is not on the screen that is left.
        assert!(place("\x1b[?1049h") < place("\x1b[?1049l"), "{shown}");
        assert!(place("\x1b[?1049l") < place("what went wrong"), "{shown}");
    }
}

//! `ns-trace top` on a real terminal: what it shows, and that it leaves the terminal as it was.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{
    actor::Actor,
    context::{Context, Room},
    facts::Task,
    trace::run,
    tracer::program,
};

/// Somebody without any right.
const NOBODY: u32 = 65534;

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = context.per_backend("top::shows_a_birth", shows_a_birth);
    trials.push(context.here("top::signals_give_the_terminal_back", signals_give_it_back));
    trials.push(context.here("top::stops_and_goes_on", stops_and_goes_on));
    trials.push(context.here("top::works_without_privileges", works_without_privileges));
    trials.push(context.here("top::follows_the_size", follows_the_size));
    trials.push(context.here("top::needs_a_terminal", needs_a_terminal));
    trials
}

/// The program on a terminal of its own.
struct Screen {
    child: Child,
    /// The two ends.
    ours: OwnedFd,
    theirs: OwnedFd,
    /// The modes before.
    before: String,
    shown: Arc<Mutex<String>>,
}

impl Screen {
    fn start(args: &[&str]) -> Result<Self> {
        Self::start_as(args, None, "xterm")
    }

    fn start_as(args: &[&str], user: Option<u32>, term: &str) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(name.as_c_str(), flags, Mode::empty())?;
        resize(&ours, 110, 40)?;
        let before = modes(&tcgetattr(&theirs)?);
        let mut command = Command::new(program());
        command.arg("top").args(args).env("TERM", term).env("LC_ALL", "C");
        command.stdin(Stdio::from(theirs.try_clone()?));
        command.stdout(Stdio::from(theirs.try_clone()?));
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let child = command.spawn()?;
        let shown = Arc::new(Mutex::new(String::new()));
        let (seen, mut output) = (Arc::clone(&shown), File::from(ours.try_clone()?));
        // Ends with the terminal.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default());
                seen.lock().unwrap_or_else(PoisonError::into_inner).push_str(&plain(&text));
            }
        });
        Ok(Self { child, ours, theirs, before, shown })
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something is drawn.
    fn wait(&self, what: &str) -> Result<()> {
        run::until(&format!("`{what}` on the screen"), || Ok(self.shown().contains(what)))
            .with_context(|| self.shown())
    }

    fn press(&self, keys: &str) -> Result<()> {
        rustix::io::write(&self.ours, keys.as_bytes())?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        Ok(kill_process(Pid::from_raw(pid).context("no process")?, signal)?)
    }

    fn is_raw(&self) -> Result<bool> {
        Ok(!tcgetattr(&self.theirs)?.local_modes.contains(LocalModes::ICANON))
    }

    /// Waits for its end, and looks at the terminal.
    fn end(mut self) -> Result<ExitStatus> {
        let status = run::wait(&mut self.child)?;
        ensure!(modes(&tcgetattr(&self.theirs)?) == self.before, "the terminal is not as it was");
        Ok(status)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If it has not ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn modes(termios: &Termios) -> String {
    format!(
        "{:?} {:?} {:?} {:?}",
        termios.input_modes, termios.output_modes, termios.control_modes, termios.local_modes
    )
}

fn resize(terminal: &OwnedFd, columns: u16, rows: u16) -> Result<()> {
    Ok(tcsetwinsize(
        terminal,
        Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 },
    )?)
}

/// The text alone, a blank for each sequence that moves the cursor or paints.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut is_sequence = false;
    for character in text.chars() {
        match character {
            '\x1b' => is_sequence = true,
            'A'..='Z' | 'a'..='z' if is_sequence => {
                is_sequence = false;
                plain.push(' ');
            }
            _ if is_sequence => {}
            _ => plain.push(character),
        }
    }
    plain
}

fn shows_a_birth(room: &Room) -> Result<()> {
    let screen = Screen::start(&["--probe", room.backend(), "-t", "uts", "--delay", "100ms"])?;
    screen.wait("[uts]")?;
    screen.wait("uts:")?;
    ensure!(screen.is_raw()?);
    let mut actor = Actor::start()?;
    actor.act("unshare 4000000")?;
    let uts = actor.who()?.namespace("uts")?;
    let name = format!("uts:{}", uts["inode"]);
    // In the table and among the events.
    run::until(&name, || Ok(screen.shown().matches(&name).count() >= 2))
        .with_context(|| screen.shown())?;
    actor.end()?;
    screen.wait("(gone for")?;
    screen.press("q")?;
    ensure!(screen.end()?.success());
    Ok(())
}

fn signals_give_it_back() -> Result<()> {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let screen = Screen::start(&["--snapshots"])?;
        screen.wait("snapshots only: as asked for")?;
        ensure!(screen.is_raw()?);
        screen.signal(signal)?;
        ensure!(screen.end()?.success(), "{signal:?}");
    }
    Ok(())
}

fn stops_and_goes_on() -> Result<()> {
    let screen = Screen::start(&["--snapshots"])?;
    screen.wait("snapshots only")?;
    screen.signal(Signal::TSTP)?;
    let task = Task::leader(screen.child.id().into());
    run::until("the stop", || Ok(task.status("State")?.starts_with('T')))?;
    ensure!(modes(&tcgetattr(&screen.theirs)?) == screen.before, "the shell has its terminal");
    screen.signal(Signal::CONT)?;
    run::until("the screen again", || screen.is_raw())?;
    screen.press("q")?;
    ensure!(screen.end()?.success());
    Ok(())
}

fn works_without_privileges() -> Result<()> {
    let screen = Screen::start_as(&[], Some(NOBODY), "xterm")?;
    screen.wait("snapshots only: cannot trace")?;
    screen.wait("uts:")?;
    screen.press("q")?;
    ensure!(screen.end()?.success());
    Ok(())
}

fn follows_the_size() -> Result<()> {
    let screen = Screen::start(&["--snapshots"])?;
    screen.wait("q Quit")?;
    screen.press("?")?;
    screen.wait("draw the screen anew")?;
    let so_far = screen.shown().len();
    resize(&screen.ours, 60, 12)?;
    screen.signal(Signal::WINCH)?;
    run::until("another picture", || Ok(screen.shown().len() > so_far))?;
    screen.press("q")?;
    ensure!(screen.end()?.success());
    Ok(())
}

fn needs_a_terminal() -> Result<()> {
    let run = run::run(Command::new(program()).arg("top"), b"")?;
    run.ends(2, &["cannot show a screen", "standard input is no terminal"])?;
    let screen = Screen::start_as(&[], None, "dumb")?;
    ensure!(screen.end()?.code() == Some(2), "a terminal without a cursor");
    let screen = Screen::start(&["--where", "nonsense =="])?;
    ensure!(screen.end()?.code() == Some(2), "a bad filter, before the terminal is touched");
    Ok(())
}

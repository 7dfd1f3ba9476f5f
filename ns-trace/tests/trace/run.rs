//! `ns-trace` run to its end: what it printed and how it ended.

use std::{
    borrow::Borrow,
    env, fs,
    io::{Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    context::{Context as Backends, Room},
    tracer::{PATIENCE, program},
};

/// A trial that is the same on every backend and kernel.
pub(crate) fn trial(context: &Arc<Backends>, name: &str, test: fn() -> Result<()>) -> Trial {
    context.here(name, test)
}

/// What a trial on a backend does.
pub(crate) type Test = fn(&Room) -> Result<()>;

/// Trials that run once on each backend, as `ROOM::NAME`.
pub(crate) fn trial_per_backend(
    context: &Arc<Backends>,
    room: &str,
    tests: &[(&str, Test)],
) -> Vec<Trial> {
    let each = tests.iter();
    each.flat_map(|(name, test)| context.per_backend(&format!("{room}::{name}"), *test)).collect()
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `ns-trace trace` with `args`, without input.
pub(crate) fn trace(args: &[&str]) -> Result<Run> {
    run(Command::new(program()).arg("trace").args(args), b"")
}

/// A command to its end, with `input` on its standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Result<Run> {
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        // It may end without having read everything.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    finish(child).with_context(|| format!("{command:?}"))
}

/// Waits for a child whose outputs are pipes.
pub(crate) fn finish(mut child: Child) -> Result<Run> {
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = wait(&mut child);
    if status.is_err() {
        child.kill()?;
        child.wait()?;
    }
    let text = |reader: JoinHandle<Vec<u8>>| {
        let bytes = reader.join().unwrap_or_default();
        String::from_utf8(bytes).context("not UTF-8")
    };
    let (stdout, stderr) = (text(stdout)?, text(stderr)?);
    let status = status.with_context(|| stderr.clone())?;
    Ok(Run { status, stdout, stderr })
}

/// Waits with patience.
pub(crate) fn wait(child: &mut Child) -> Result<ExitStatus> {
    let mut status = None;
    until("the end of ns-trace", || {
        status = child.try_wait()?;
        Ok(status.is_some())
    })?;
    status.context("no status")
}

/// Looks again and again whether something has come true.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "waited for {what} in vain");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before an error shows what happened.
            drop(pipe.read_to_end(&mut bytes));
        }
        bytes
    })
}

impl Run {
    /// Checks the exit status, and that standard error has each of `words`.
    pub(crate) fn ends(&self, code: i32, words: &[&str]) -> Result<()> {
        ensure!(self.status.code() == Some(code), "not {code}: {self:?}");
        for word in words {
            ensure!(self.stderr.contains(word), "no {word:?} in {self:?}");
        }
        ensure!(!self.stderr.contains("panicked"), "{self:?}");
        Ok(())
    }

    /// The events on standard output.
    pub(crate) fn events(&self) -> Result<Vec<Value>> {
        parse(&self.stdout)
    }
}

/// The events of a complete stream.
pub(crate) fn parse(stream: &str) -> Result<Vec<Value>> {
    ensure!(stream.is_empty() || stream.ends_with('\n'), "the last line is cut: {stream:?}");
    let event = |line| serde_json::from_str(line).with_context(|| format!("no event: {line}"));
    stream.lines().map(event).collect()
}

/// The sorts of events, in order.
pub(crate) fn sorts<T: Borrow<Value>>(events: &[T]) -> Vec<&str> {
    events.iter().map(|event| event.borrow()["event"].as_str().unwrap_or_default()).collect()
}

/// A folder of a trial's own; goes with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("ns-trace-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A file in it with this content; returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<String> {
        let path = self.path(name);
        fs::write(&path, content).with_context(|| format!("cannot write {path}"))?;
        Ok(path)
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to who looks at it.
        drop(fs::remove_dir_all(&self.0));
    }
}

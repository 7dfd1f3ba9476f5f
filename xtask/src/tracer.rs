//! A running `ns-trace trace`, as a user would start it.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Seek as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::command;

/// How long a tracer may take to say that it traces.
const PATIENCE: Duration = Duration::from_secs(20);

/// The release build of ns-trace; in a virtual machine what its init names.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(program) = env::var_os("NS_TRACE_BIN") {
        return Ok(program.into());
    }
    Ok(command::target()?.join("release/ns-trace"))
}

/// A file that is written to. It has no name once the tracer has opened it, so that nothing stays
/// behind however we end.
#[derive(Debug)]
pub(crate) struct Recording {
    path: PathBuf,
    file: File,
}

impl Recording {
    /// An empty file in memory, where no disk is in the way.
    pub(crate) fn new(what: &str) -> Result<Self> {
        Self::within(Path::new("/dev/shm"), what)
    }

    /// One on a disk, beside this program, as people record to.
    pub(crate) fn on_disk(what: &str) -> Result<Self> {
        let program = env::current_exe()?;
        Self::within(program.parent().context("a program without a directory")?, what)
    }

    fn within(directory: &Path, what: &str) -> Result<Self> {
        let name = format!("ns-trace-{what}-{}.ndjson", std::process::id());
        let path = directory.join(name);
        let told = || format!("cannot make {}", path.display());
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path);
        Ok(Self { file: file.with_context(told)?, path })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Its bytes from the start.
    pub(crate) fn read(&self) -> Result<BufReader<&File>> {
        (&self.file).rewind()?;
        Ok(BufReader::with_capacity(1 << 20, &self.file))
    }

    /// Its first line, once it is complete.
    fn first_line(&self) -> Result<Option<String>> {
        let mut line = String::new();
        self.read()?.read_line(&mut line)?;
        Ok(line.ends_with('\n').then_some(line))
    }

    /// Takes its name away.
    fn hide(&self) {
        // Done before, perhaps.
        let _removed = fs::remove_file(&self.path);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.hide();
    }
}

/// A tracer at work.
#[derive(Debug)]
pub(crate) struct Tracer {
    child: Child,
    /// The backend that its first `sync` names.
    pub(crate) backend: String,
}

impl Tracer {
    /// Starts one that writes JSON to `recording`, and waits for its first `sync`.
    pub(crate) fn record(recording: &Recording, args: &[&str]) -> Result<Self> {
        let mut words: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        words.extend([OsStr::new("--output"), recording.path().as_os_str()]);
        let mut tracer = Self { child: spawn(&words, Stdio::null())?, backend: String::new() };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = recording.first_line()? {
                recording.hide();
                tracer.backend = backend(&line)?;
                return Ok(tracer);
            }
            if let Some(status) = tracer.child.try_wait()? {
                bail!("ns-trace ended at once, {status}: {}", tracer.complaint());
            }
            ensure!(Instant::now() < deadline, "ns-trace does not start to trace");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts one that writes JSON to a pipe, and waits for its first `sync`.
    pub(crate) fn pipe() -> Result<(Self, BufReader<std::process::ChildStdout>)> {
        let mut child = spawn(&[], Stdio::piped())?;
        let output = child.stdout.take().context("ns-trace has no output")?;
        let mut tracer = Self { child, backend: String::new() };
        let mut output = BufReader::new(output);
        let mut line = String::new();
        if output.read_line(&mut line)? == 0 {
            bail!("ns-trace ended at once: {}", tracer.complaint());
        }
        tracer.backend = backend(&line)?;
        Ok((tracer, output))
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as Ctrl-C does, and waits until it has written everything; returns what it said.
    pub(crate) fn stop(mut self) -> Result<String> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        let said = self.complaint();
        ensure!(status.success(), "ns-trace failed, {status}: {said}");
        Ok(said)
    }

    fn complaint(&mut self) -> String {
        complaint(&mut self.child)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Neither does anything if it has been waited for.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

/// What a program says on standard error until it closes that.
pub(crate) fn complaint(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // Half of an answer is better than none.
        let _read = stderr.read_to_string(&mut text);
    }
    text.trim().to_owned()
}

fn spawn(args: &[&OsStr], stdout: Stdio) -> Result<Child> {
    let mut tracer = Command::new(program()?);
    tracer.args(["trace", "--format", "json"]).args(args);
    tracer.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    let shown = command::show(&tracer);
    tracer.spawn().with_context(|| format!("cannot run `{shown}`"))
}

fn backend(line: &str) -> Result<String> {
    let event: Value = serde_json::from_str(line).context("the first line is no JSON")?;
    ensure!(event["event"] == "sync" && event["reason"] == "start", "the first event is {line}");
    let backend = event["host"]["backend"].as_str().context("the first `sync` names no backend")?;
    Ok(backend.to_owned())
}

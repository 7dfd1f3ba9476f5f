//! The program under test as a child: started, waited for, and its events kept.

use std::{
    env,
    ffi::OsString,
    fmt,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a test waits for what must happen: far longer than it takes, in an emulated machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test.
pub(crate) fn program() -> OsString {
    env::var_os("NS_TRACE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_ns-trace").into())
}

/// `ns-trace trace -o json`, running; killed when dropped.
pub(crate) struct Tracer {
    child: Mutex<Child>,
    log: Arc<Log>,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

/// What it has written so far.
#[derive(Default)]
struct Log {
    inner: Mutex<Written>,
    grown: Condvar,
}

#[derive(Default)]
struct Written {
    events: Vec<Arc<Value>>,
    /// Lines that are no JSON.
    garbage: Vec<String>,
    stderr: String,
    /// Whether standard output has ended.
    over: bool,
}

/// What a tracer that ended leaves.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) events: Vec<Arc<Value>>,
    pub(crate) stderr: String,
}

impl Tracer {
    /// Starts `trace -o json --probe BACKEND` with `args` and waits for `sync`.
    pub(crate) fn start(backend: &str, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(program());
        command.args(["trace", "-o", "json", "--probe", backend]).args(args);
        let tracer = Self::spawn(&mut command)?;
        tracer
            .wait("the first `sync`", |event| event["event"] == "sync")
            .with_context(|| format!("{command:?}"))?;
        Ok(tracer)
    }

    /// Starts a command that writes events to its standard output; waits for nothing.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self::watch(command.spawn().with_context(|| format!("cannot run {command:?}"))?))
    }

    /// Listens to one whose outputs are pipes.
    pub(crate) fn watch(mut child: Child) -> Self {
        let log = Arc::new(Log::default());
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let log = Arc::clone(&log);
            readers.push(thread::spawn(move || log.read(stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            readers.push(thread::spawn(move || log.hear(stderr)));
        }
        Self { child: Mutex::new(child), log, readers: Mutex::new(readers) }
    }

    /// The process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child().id()
    }

    /// How many events there are so far: a place in the stream, for [`since`](Self::since).
    pub(crate) fn len(&self) -> usize {
        self.log.written().events.len()
    }

    /// The events from a place in the stream on.
    pub(crate) fn since(&self, place: usize) -> Vec<Arc<Value>> {
        self.log.written().events.get(place..).unwrap_or_default().to_vec()
    }

    /// The first event of the stream that `is_it` says yes to, waited for with patience.
    pub(crate) fn wait(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<Arc<Value>> {
        self.wait_since(0, what, is_it)
    }

    /// As [`wait`](Self::wait), from a place in the stream on.
    pub(crate) fn wait_since(
        &self,
        place: usize,
        what: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Arc<Value>> {
        let deadline = Instant::now() + PATIENCE;
        let mut next = place;
        let mut written = self.log.written();
        loop {
            while let Some(event) = written.events.get(next) {
                if is_it(event) {
                    return Ok(Arc::clone(event));
                }
                next += 1;
            }
            if written.over {
                drop(written);
                self.join();
                let stderr = self.log.written().stderr.clone();
                bail!("the stream ended without {what}; standard error: {stderr}");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no {what} after {PATIENCE:?} and {next} events");
            let wait = self.log.grown.wait_timeout(written, left);
            written = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether it has said such a thing on standard error so far.
    pub(crate) fn has_said(&self, words: &str) -> bool {
        self.log.written().stderr.contains(words)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("no process number")?, signal)?)
    }

    /// Ends it as SIGTERM does, and checks that nothing went wrong: status 0, only JSON, no gaps in
    /// `seq`, nothing lost but what the kernel held back ([`is_suspended`]).
    pub(crate) fn finish(self) -> Result<Ended> {
        self.signal(Signal::TERM)?;
        let ended = self.end()?;
        ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        for (seq, event) in (1_u64..).zip(&ended.events) {
            ensure!(event["seq"] == seq, "event number {seq} says {}", event["seq"]);
            ensure!(event["event"] != "lost" || is_suspended(event), "{event}");
        }
        Ok(ended)
    }

    /// Waits for its end, without making it end.
    pub(crate) fn end(self) -> Result<Ended> {
        // After a storm there is much left to write.
        let deadline = Instant::now() + 4 * PATIENCE;
        let status = loop {
            if let Some(status) = self.child().try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "ns-trace does not end");
            thread::sleep(Duration::from_millis(2));
        };
        self.join();
        let mut written = self.log.written();
        if status.signal() == Some(Signal::KILL.as_raw()) {
            // It may have been just writing its last line.
            written.garbage.pop_if(|line| line.starts_with("EOF while parsing"));
        }
        ensure!(written.garbage.is_empty(), "no JSON: {:?}", written.garbage);
        let events = std::mem::take(&mut written.events);
        Ok(Ended { status, events, stderr: std::mem::take(&mut written.stderr) })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that was written is read.
    fn join(&self) {
        let readers =
            std::mem::take(&mut *self.readers.lock().unwrap_or_else(PoisonError::into_inner));
        for reader in readers {
            // A reader that panicked has said so.
            drop(reader.join());
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let mut child = self.child();
        if let Ok(None) = child.try_wait() {
            // It may end by itself in between.
            drop(child.kill());
            drop(child.wait());
        }
        drop(child);
        self.join();
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("pid", &self.pid()).finish_non_exhaustive()
    }
}

impl Log {
    /// Takes in standard error, line by line.
    fn hear(&self, stderr: impl std::io::Read) {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            let outcome = stderr.read_until(b'\n', &mut line);
            let mut written = self.written();
            written.stderr.push_str(&String::from_utf8_lossy(&line));
            line.clear();
            match outcome {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => return written.stderr.push_str(&error.to_string()),
            }
        }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, stdout: impl std::io::Read) {
        for line in BufReader::new(stdout).lines() {
            let mut written = match line {
                Ok(line) => match serde_json::from_str(&line) {
                    Ok(event) => {
                        let mut written = self.written();
                        written.events.push(Arc::new(event));
                        written
                    }
                    Err(error) => self.complain(format!("{error}: {line}")),
                },
                Err(error) => self.complain(error.to_string()),
            };
            written.over = false;
            drop(written);
            self.grown.notify_all();
        }
        self.written().over = true;
        self.grown.notify_all();
    }

    fn complain(&self, what: String) -> MutexGuard<'_, Written> {
        let mut written = self.written();
        written.garbage.push(what);
        written
    }
}

/// Whether a `lost` event tells of what the documentation says that Linux 7.0 and later hold back:
/// such a kernel runs no programs of perf events on a processor on which it has preempted a bpf(2)
/// call on a map, and the tracers that other tests start and end make such calls.
fn is_suspended(lost: &Value) -> bool {
    const SUSPENDED: [&str; 5] = ["enter", "fail", "fork", "exec", "exit"];
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let major = release.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let by_event = lost["lost"]["by_event"].as_object();
    major.is_some_and(|major| major >= 7)
        && lost["lost"]["stage"] == "kernel"
        && by_event.is_some_and(|counts| counts.keys().all(|key| SUSPENDED.contains(&&**key)))
}

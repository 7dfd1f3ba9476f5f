//! A running `ns-trace serve`.

use std::{
    env,
    fmt::Write as _,
    fs,
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

use crate::tracer::{self, Recording};

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// One with a directory of its own, which goes with it.
#[derive(Debug)]
pub(super) struct Collector {
    child: Child,
    directory: PathBuf,
}

impl Collector {
    /// Whether there is a history to write.
    pub(super) fn can_remember() -> Result<bool> {
        let printed =
            Command::new(tracer::program()?).args(["serve", "--print-config"]).output()?;
        Ok(String::from_utf8_lossy(&printed.stdout).contains("[history]"))
    }

    /// Starts one that hands on to `recording`, and waits until it traces.
    pub(super) fn start(recording: &Recording, remembers: bool) -> Result<Self> {
        let name = format!("ns-trace-bench-{}", std::process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
        let config = directory.join("config.toml");
        fs::write(&config, configuration(&directory, recording.path(), remembers)?)?;
        let child = Command::new(tracer::program()?)
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--runtime-dir")
            .arg(directory.join("run"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut collector = Self { child, directory };
        let deadline = Instant::now() + PATIENCE;
        while recording.len()? == 0 {
            if let Some(status) = collector.child.try_wait()? {
                bail!("ns-trace serve ended at once, {status}: {}", collector.complaint());
            }
            ensure!(Instant::now() < deadline, "ns-trace serve does not begin to trace");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(collector)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its HTTP API listens.
    pub(super) fn http(&self) -> PathBuf {
        self.directory.join("run/http.sock")
    }

    /// Asks it; returns how many milliseconds the command took.
    pub(super) fn ask(&self, words: &[&str]) -> Result<f64> {
        let mut command = Command::new(tracer::program()?);
        command.args(words).args(["--source", "live"]);
        command.env("NS_TRACE_SOCKET", self.directory.join("run/control.sock"));
        timed(&mut command)
    }

    /// Asks its history; returns how many milliseconds the command took.
    pub(super) fn remember(&self, words: &[&str]) -> Result<f64> {
        let mut command = Command::new(tracer::program()?);
        command.arg("history").args(words).arg("--file").arg(history(&self.directory));
        timed(&mut command)
    }

    /// Ends it in good order.
    pub(super) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "ns-trace serve failed, {status}: {}", self.complaint());
        Ok(())
    }

    fn complaint(&mut self) -> String {
        tracer::complaint(&mut self.child)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // None does anything if it has ended.
        let _killed = self.child.kill();
        let _status = self.child.wait();
        let _removed = fs::remove_dir_all(&self.directory);
    }
}

/// Runs a command.
fn timed(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    ensure!(command.status()?.success(), "{command:?} fails");
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Where the history of the collector in a directory is.
fn history(directory: &Path) -> PathBuf {
    directory.join("history")
}

fn configuration(directory: &Path, sink: &Path, remembers: bool) -> Result<String> {
    let mut text =
        format!("[[sink]]\ntype = \"file\"\npath = \"{}\"\nmax_size = \"64GiB\"\n", sink.display());
    if Collector::can_remember()? {
        let history = history(directory);
        let history = history.display();
        writeln!(text, "[history]\nenabled = {remembers}\npath = \"{history}\"")?;
    }
    Ok(text)
}

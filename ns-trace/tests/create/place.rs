//! A directory of a test's own, and all that a create may leave.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    actor,
    stage::wait_until_idle,
    tracer::{PATIENCE, program},
};

/// In the environment of everything that a place starts.
const MARK: &str = "NS_TRACE_PLACE";

/// A directory, removed when dropped.
pub(crate) struct Place {
    directory: PathBuf,
    /// What marks the processes.
    mark: String,
}

impl Place {
    /// Makes one that everybody may read.
    pub(crate) fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("ns-trace-test-{}-create-{count}", std::process::id());
        let directory = std::env::temp_dir().join(&mark);
        fs::create_dir(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
        Ok(Self { directory, mark })
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// An empty file.
    pub(crate) fn file(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        fs::write(&path, "")?;
        Ok(path)
    }

    /// The program under test where everybody may execute it.
    pub(crate) fn copy(&self) -> Result<String> {
        let path = self.path("ns-trace");
        fs::copy(program(), &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        wait_until_idle(Path::new(&path));
        Ok(path)
    }

    /// `ns-trace create` with these words, marked.
    pub(crate) fn create(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("create").args(words);
        self.mark(&mut command);
        command
    }

    /// Marks a command, which may be an actor.
    pub(crate) fn mark(&self, command: &mut Command) {
        command.env(MARK, &self.mark).env(actor::MARK, "1");
    }

    /// The processes that are still there of those that were started here, by number and name.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mark = format!("{MARK}={}", self.mark);
        let marked = |pid: &String| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.parse::<u32>().is_ok()).filter(marked).collect()
    }

    /// Waits until no process is left.
    pub(crate) fn await_end(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.processes();
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "processes are left: {left:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Checks that no process is left, nothing is mounted here, and no file is here but these and
    /// those that were made by [`file`](Self::file) and [`copy`](Self::copy).
    pub(crate) fn expect_nothing(&self, but: &[&str]) -> Result<()> {
        self.await_end()?;
        for entry in fs::read_dir(&self.directory)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = self.path(&name);
            ensure!(!is_mounted(&path)?, "{name} is still mounted");
            let is_ours = ["uts", "pid", "net", "ns-trace", "bin"].contains(&name.as_str());
            ensure!(is_ours || but.contains(&name.as_str()), "{name} is left");
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// The child of a process, when it has one that has become the program.
pub(crate) fn child(pid: u32) -> Result<u32> {
    let deadline = Instant::now() + PATIENCE;
    let exe = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    loop {
        // Not once and for all: who is started runs its program a moment later than it is told of.
        let own = exe(&pid.to_string());
        let entries = fs::read_dir("/proc")?.flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        for name in names.filter(|name| name.parse::<u32>().is_ok()) {
            let Ok(stat) = fs::read_to_string(format!("/proc/{name}/stat")) else { continue };
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
            if parent == Some(&pid.to_string()) && exe(&name).is_some() && exe(&name) != own {
                return name.parse().context("no number");
            }
        }
        ensure!(Instant::now() < deadline, "{pid} has no child that runs a program");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether something is mounted on `path`, in this thread's namespace.
pub(crate) fn is_mounted(path: &str) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo")?;
    Ok(mounts.lines().any(|line| line.split(' ').nth(4) == Some(path)))
}

/// Checks that two paths lead to one file.
pub(crate) fn expect_same_file(one: &str, other: &str) -> Result<()> {
    let [a, b] = [one, other].map(fs::metadata);
    let (a, b) = (a.context(one.to_owned())?, b.context(other.to_owned())?);
    ensure!((a.dev(), a.ino()) == (b.dev(), b.ino()), "{one} is not {other}");
    Ok(())
}

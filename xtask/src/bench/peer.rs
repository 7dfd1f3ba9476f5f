//! Other tracers, set to the same task as far as they can do it.

use std::{
    env,
    fs::File,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::tracer::Recording;

/// The verb that mounts tracefs where only a peer sees it, and becomes the peer.
pub(crate) const VERB: &str = "bench-peer";

pub(super) const TRACEFS: &str = "/sys/kernel/tracing";
/// One line for each call and one for its result, as perf trace and strace show them.
const PROGRAM: &str = "\
tracepoint:syscalls:sys_enter_unshare { printf(\"%d unshare %lx %s\\n\", tid, args->unshare_flags, comm); }
tracepoint:syscalls:sys_enter_setns { printf(\"%d setns %d %x %s\\n\", tid, args->fd, args->flags, comm); }
tracepoint:syscalls:sys_enter_clone { printf(\"%d clone %lx %s\\n\", tid, args->clone_flags, comm); }
tracepoint:syscalls:sys_enter_clone3 { printf(\"%d clone3 %s\\n\", tid, comm); }
tracepoint:syscalls:sys_exit_unshare, tracepoint:syscalls:sys_exit_setns,
tracepoint:syscalls:sys_exit_clone, tracepoint:syscalls:sys_exit_clone3
{ printf(\"%d = %d\\n\", tid, args->ret); }";

/// How long a peer may take to show the first event, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// One of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Peer {
    Bpftrace,
    PerfTrace,
    Strace,
}

impl Peer {
    /// Those that are installed.
    pub(super) fn installed() -> Vec<Self> {
        let all = [Self::Bpftrace, Self::PerfTrace, Self::Strace];
        let path = env::var_os("PATH").unwrap_or_default();
        let found = |peer: &Self| {
            env::split_paths(&path).any(|directory| directory.join(peer.program()).is_file())
        };
        all.into_iter().filter(found).collect()
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bpftrace => "bpftrace",
            Self::PerfTrace => "perf trace",
            Self::Strace => "strace",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Bpftrace => "bpftrace",
            Self::PerfTrace => "perf",
            Self::Strace => "strace",
        }
    }

    /// What stands before a program that strace is to trace.
    pub(super) fn before(recording: &Path) -> Result<Vec<&str>> {
        let path = recording.to_str().context("the path of the recording is no text")?;
        Ok(vec!["strace", "-f", "-o", path, "-e", "trace=unshare,setns,clone,clone3"])
    }

    /// Starts one of those that watch the whole machine; it has shown an event on return, which
    /// took this long. `promptly` asks for each event at once, instead of in the largest pieces.
    pub(super) fn start(
        self,
        recording: &Recording,
        promptly: bool,
    ) -> Result<(Running, Duration)> {
        let mut peer = Command::new(env::current_exe()?);
        peer.arg(VERB);
        match self {
            Self::Bpftrace => peer.args(["bpftrace", "-e", PROGRAM]),
            _ => peer.args(["perf", "trace", "-a", "-e", "unshare,setns,clone,clone3"]),
        };
        if self == Self::PerfTrace && !promptly {
            // Its standard error has no buffer.
            peer.arg("-o").arg(recording.path());
        }
        let output = File::options().append(true).open(recording.path())?;
        peer.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        let begin = Instant::now();
        let mut running = Running(peer.spawn().context("cannot run a peer")?);
        let over = AtomicBool::new(false);
        let shown = thread::scope(|scope| {
            // A thread of its own: its namespaces are not those of the measured processes.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) && unshare(CloneFlags::CLONE_NEWUTS).is_ok() {
                    thread::sleep(Duration::from_millis(2));
                }
            });
            let shown = self.wait_for_event(recording, &mut running);
            over.store(true, Ordering::Relaxed);
            shown
        });
        shown.map(|()| (running, begin.elapsed()))
    }

    fn wait_for_event(self, recording: &Recording, running: &mut Running) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read(recording.path())?;
            let text = String::from_utf8_lossy(&text);
            if text.lines().any(|line| line.contains("unshare") && !line.contains("ERROR")) {
                return Ok(());
            }
            let status = running.0.try_wait()?;
            ensure!(status.is_none(), "{} ended at once: {text}", self.name());
            ensure!(Instant::now() < deadline, "{} shows nothing: {text}", self.name());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A peer at work.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as Ctrl-C does.
    pub(super) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.0.id().try_into()?), Signal::SIGINT)?;
        let deadline = Instant::now() + PATIENCE;
        while self.0.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "a peer does not end");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Neither does anything if it has been waited for.
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Becomes a peer; returns only if that failed.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    let (program, args) = args.split_first().context("not for people")?;
    mount_tracefs()?;
    Err(anyhow!(Command::new(program).args(args).exec()).context(format!("cannot run {program}")))
}

/// Mounts tracefs, if it is not there, where only this process sees it.
pub(super) fn mount_tracefs() -> Result<()> {
    if !Path::new(TRACEFS).join("events").exists() {
        unshare(CloneFlags::CLONE_NEWNS).context("cannot unshare the mount namespace")?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(Some("tracefs"), TRACEFS, Some("tracefs"), MsFlags::empty(), none)
            .context("cannot mount tracefs")?;
    }
    Ok(())
}

//! The least that any tracer of system calls costs: one exit tracepoint, switched on through tracefs
//! with no program behind it. The kernel then takes its slow way through every system call.

use std::{
    fs,
    io::{BufRead as _, BufReader, stdin},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::peer;

/// The verb that switches the tracepoint on until its input ends.
pub(crate) const VERB: &str = "bench-floor";

/// A call that nothing makes while something is measured.
const EVENT: &str = "events/syscalls/sys_exit_setns/enable";

/// The tracepoint while it is on.
pub(super) struct Floor(Child);

impl Floor {
    /// Switches it on.
    pub(super) fn on() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(VERB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run the switch of the tracepoint")?;
        let output = child.stdout.take().context("the switch has no output")?;
        let floor = Self(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line == "on\n", "the tracepoint is not on");
        Ok(floor)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends by itself; how, nobody could be told.
        let _status = self.0.wait();
    }
}

/// A buffer of its own in tracefs, so that nobody else's tracing is touched.
struct Instance(PathBuf);

impl Drop for Instance {
    fn drop(&mut self) {
        let _off = fs::write(self.0.join(EVENT), "0");
        let _removed = fs::remove_dir(&self.0);
    }
}

/// Is the switch.
pub(crate) fn main(_: &[String]) -> Result<ExitCode> {
    peer::mount_tracefs()?;
    let name = format!("instances/ns-trace-bench-{}", std::process::id());
    let instance = Instance(Path::new(peer::TRACEFS).join(name));
    fs::create_dir(&instance.0).context("cannot make an instance in tracefs")?;
    fs::write(instance.0.join(EVENT), "1").context("cannot switch the tracepoint on")?;
    println!("on");
    for line in stdin().lock().lines() {
        line?;
    }
    Ok(ExitCode::SUCCESS)
}

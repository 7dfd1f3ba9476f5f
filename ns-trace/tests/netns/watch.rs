//! Names as they come and go.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::netns;
use crate::tracer::{PATIENCE, program};

/// The trials of this file.
pub(super) fn trials(trial: impl Fn(&str, fn() -> Result<()>) -> Trial) -> Vec<Trial> {
    vec![
        trial("monitor", text),
        trial("monitor_as_json", json),
        trial("monitor_ends_when_nobody_reads", unread),
    ]
}

/// A monitor that is ready, and killed when dropped.
struct Monitor {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Monitor {
    fn start(options: &[&str]) -> Result<Self> {
        let mut child = Command::new(program())
            .arg("netns")
            .args(options)
            .arg("monitor")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no pipe")?);
        let monitor = Self { child, lines };
        let deadline = Instant::now() + PATIENCE;
        // It watches as soon as it says so to the kernel.
        while !monitor.watches() {
            ensure!(Instant::now() < deadline, "it does not watch");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(monitor)
    }

    fn watches(&self) -> bool {
        let directory = format!("/proc/{}/fdinfo", self.child.id());
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .any(|text| text.contains("inotify wd:"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn text() -> Result<()> {
    let mut monitor = Monitor::start(&[])?;
    netns("add blue")?.well()?;
    ensure!(monitor.line()? == "add blue\n");
    netns("delete blue")?.well()?;
    ensure!(monitor.line()? == "delete blue\n");
    // A file that stays without a namespace is told of as well, if late.
    fs::write("/run/netns/dead", "")?;
    ensure!(monitor.line()? == "add dead\n");
    netns("delete dead")?.well()?;
    ensure!(monitor.line()? == "delete dead\n");
    let mut monitor = Monitor::start(&["-ts"])?;
    netns("add blue")?.well()?;
    let line = monitor.line()?;
    ensure!(line.starts_with('[') && line.ends_with("] add blue\n"), "{line}");
    netns("delete blue")?.well().map(drop)
}

/// When an addition is told of, the namespace is there.
fn json() -> Result<()> {
    let mut monitor = Monitor::start(&["-j"])?;
    for _ in 0..5 {
        netns("add blue")?.well()?;
        let line: Value = serde_json::from_str(&monitor.line()?)?;
        ensure!(line["event"] == "add" && line["name"] == "blue", "{line}");
        let time = line["time"].as_str().context("no time")?;
        ensure!(time.ends_with('Z') && time.starts_with("20"), "{time}");
        netns("exec blue /no/such")?.failed(127, "/no/such")?;
        netns("delete blue")?.well()?;
        let line: Value = serde_json::from_str(&monitor.line()?)?;
        ensure!(line["event"] == "delete" && line["name"] == "blue", "{line}");
    }
    Ok(())
}

fn unread() -> Result<()> {
    let mut monitor = Monitor::start(&[])?;
    netns("add blue")?.well()?;
    monitor.line()?;
    drop(std::mem::replace(&mut monitor.lines, BufReader::new(empty()?)));
    netns("delete blue")?.well()?;
    let status = monitor.child.wait()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// A pipe that is at its end.
fn empty() -> Result<ChildStdout> {
    let mut child = Command::new(program()).arg("--version").stdout(Stdio::piped()).spawn()?;
    child.wait()?;
    child.stdout.context("no pipe")
}

//! One virtual machine: boots, is listened to, and is judged by what it says at its end.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::command;

/// What init says when it starts, and before it powers off (`ns-trace/tests/init.rs`).
const UP: &str = "rooms: up";
const EXIT: &str = "rooms: exit ";

/// A virtual machine to boot.
pub(super) struct Guest<'a> {
    /// Stands before each line that it prints.
    pub(super) name: String,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    pub(super) backend: &'a str,
    pub(super) filter: Option<&'a str>,
    /// How long it may run.
    pub(super) timeout: Duration,
}

impl Guest<'_> {
    /// Boots it and waits until it powers off; an error unless all its tests passed.
    pub(super) fn run(&self) -> Result<()> {
        let mut qemu = self.qemu()?;
        eprintln!("$ {}", command::show(&qemu));
        let start = Instant::now();
        let mut child = qemu.spawn().context("cannot run qemu-system-x86_64")?;
        let console = child.stdout.take().context("QEMU has no console")?;
        let verdict = self.listen(&lines(console), start);
        stop(&mut child)?;
        println!("{} | took {:.1} s", self.name, start.elapsed().as_secs_f64());
        let verdict = verdict?;
        ensure!(verdict.tested, "no test ran to its end");
        match verdict.exit.as_deref() {
            Some("0") => Ok(()),
            Some(status) => bail!("the room tests ended with {status}"),
            None => bail!("the machine stopped before the end of the tests"),
        }
    }

    fn qemu(&self) -> Result<Command> {
        let mut append = format!("console=ttyS0 quiet panic=-1 rooms.backend={}", self.backend);
        if let Some(filter) = self.filter {
            append = format!("{append} rooms.filter={filter}");
        }
        let args =
            ["-M", "pc", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", "1024"];
        let mut qemu = command::program("qemu-system-x86_64", args)?;
        // No firmware output on the console, no devices beside it, and a panic ends the machine.
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(self.initramfs)
            .args(["-append", &append])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Ok(qemu)
    }

    /// Prints what the machine says until it falls silent for good or its time is over.
    fn listen(&self, lines: &Receiver<String>, start: Instant) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        loop {
            let left = self.timeout.saturating_sub(start.elapsed());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    println!("{} | {line}", self.name);
                    if line.starts_with(UP) {
                        let took = start.elapsed().as_secs_f64();
                        println!("{} | booted in {took:.1} s", self.name);
                    }
                    verdict.hear(&line);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(verdict),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    bail!("still running after {} s, stopped", self.timeout.as_secs())
                }
            }
        }
    }
}

/// What a machine said about its tests.
#[derive(Debug, Default, Eq, PartialEq)]
struct Verdict {
    /// Whether the tests reported a result, good or bad.
    tested: bool,
    /// How the program of the tests ended.
    exit: Option<String>,
}

impl Verdict {
    fn hear(&mut self, line: &str) {
        self.tested |= line.starts_with("test result: ");
        if let Some(status) = line.strip_prefix(EXIT) {
            self.exit = Some(status.to_owned());
        }
    }
}

/// The lines of the console, each when it is complete. A thread reads them, since a read cannot
/// be given a time limit.
fn lines(console: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        while console.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Makes sure that QEMU is gone.
fn stop(child: &mut Child) -> Result<()> {
    if child.try_wait().context("cannot wait for QEMU")?.is_none() {
        // Its console is closed or its time is over: nothing more to wait for. It may have ended
        // by itself in between, which is as good.
        drop(child.kill());
        child.wait().context("cannot wait for QEMU")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(console: &'static [u8]) -> Verdict {
        let mut verdict = Verdict::default();
        for line in lines(console) {
            verdict.hear(&line);
        }
        verdict
    }

    #[test]
    fn the_end_of_the_tests_decides() {
        let good = verdict(b"[ 0.1] Linux\r\ntest result: ok. 1 passed;\r\nrooms: exit 0\r\n");
        assert_eq!(good, Verdict { tested: true, exit: Some("0".to_owned()) });
        let bad = verdict(b"rooms: exit 101\r\n");
        assert_eq!(bad, Verdict { tested: false, exit: Some("101".to_owned()) });
        assert_eq!(verdict(b"Kernel panic \xff\r\n"), Verdict::default());
    }
}

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

use super::machine::Machine;
use crate::command;

/// What init says when it starts, and before it powers off (`ns-trace/tests/init.rs`).
const UP: &str = "rooms: up";
const EXIT: &str = "rooms: exit ";

/// How libtest begins to say what became of all tests.
const VERDICT: &str = "test result: ";

/// The emulated timer may be late, which the kernel takes for a fault of the hardware; and there is
/// nobody to be guarded against, at the price of every jump and every new page.
const QUICK: &str = "no_timer_check mitigations=off init_on_alloc=0";

/// A virtual machine to boot.
pub(super) struct Guest<'a> {
    /// Stands before each line that it prints.
    pub(super) name: String,
    pub(super) machine: &'a Machine,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: &'a Path,
    /// Options for its init (`ns-trace/tests/init.rs`), as they stand on the kernel's command line.
    pub(super) options: String,
    /// Whether each processor is emulated by a thread of its own. Then they disturb each other less,
    /// but QEMU 7.2 lets one run instructions that the other has just patched: a machine that attaches
    /// and detaches probes under load crashes now and then.
    pub(super) parallel: bool,
    /// How long it may run.
    pub(super) timeout: Duration,
}

impl Guest<'_> {
    /// Boots it and waits until it powers off; an error unless all its tests passed.
    pub(super) fn test(&self) -> Result<()> {
        let mut tested = false;
        let has_passed = |line: &str| line.starts_with(VERDICT) && !line.contains(" 0 passed;");
        self.run(|line| tested |= has_passed(line))?;
        ensure!(tested, "no test passed: all that were chosen are for other kernels or backends");
        Ok(())
    }

    /// Boots it, passes each line that it prints to `hear` and waits until it powers off; an error
    /// unless its program ended well.
    pub(super) fn run(&self, hear: impl FnMut(&str)) -> Result<()> {
        let mut qemu = self.qemu()?;
        eprintln!("$ {}", command::show(&qemu));
        let start = Instant::now();
        let mut child =
            qemu.spawn().with_context(|| format!("cannot run {}", self.machine.qemu))?;
        let console = child.stdout.take().context("QEMU has no console")?;
        let verdict = self.listen(&lines(console), start, hear);
        stop(&mut child)?;
        println!("{} | took {:.1} s", self.name, start.elapsed().as_secs_f64());
        match verdict?.as_deref() {
            Some("0") => Ok(()),
            Some(status) => bail!("its program ended with {status}"),
            None => bail!("the machine stopped before its program ended"),
        }
    }

    fn qemu(&self) -> Result<Command> {
        let Machine { qemu, board, cpu, console, .. } = self.machine;
        let append = format!("console={console} quiet panic=-1 {QUICK} {}", self.options);
        let accelerator = if self.parallel { "tcg,thread=multi" } else { "tcg,thread=single" };
        let args = ["-M", board, "-accel", accelerator, "-cpu", cpu, "-smp", "2", "-m", "1024"];
        let mut qemu = command::program(qemu, args)?;
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

    /// Prints what the machine says until it falls silent for good or its time is over; returns how
    /// its program ended.
    fn listen(
        &self,
        lines: &Receiver<String>,
        start: Instant,
        mut hear: impl FnMut(&str),
    ) -> Result<Option<String>> {
        let mut exit = None;
        loop {
            let left = self.timeout.saturating_sub(start.elapsed());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    println!("{} | {line}", self.name);
                    if line.starts_with(UP) {
                        let took = start.elapsed().as_secs_f64();
                        println!("{} | booted in {took:.1} s", self.name);
                    }
                    hear(&line);
                    exit = line.strip_prefix(EXIT).map(str::to_owned).or(exit);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Ok(exit),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    bail!("still running after {} s, stopped", self.timeout.as_secs())
                }
            }
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
    use super::{super::machine::X86_64, *};

    fn exit(console: &'static [u8]) -> (Option<String>, usize) {
        let guest = Guest {
            name: "test".to_owned(),
            machine: &X86_64,
            kernel: Path::new(""),
            initramfs: Path::new(""),
            options: String::new(),
            parallel: false,
            timeout: Duration::from_mins(1),
        };
        let mut heard = 0;
        let exit = guest.listen(&lines(console), Instant::now(), |_| heard += 1);
        (exit.unwrap(), heard)
    }

    #[test]
    fn the_end_of_the_program_decides() {
        let good = exit(b"[ 0.1] Linux\r\ntest result: ok. 1 passed;\r\nrooms: exit 0\r\n");
        assert_eq!(good, (Some("0".to_owned()), 3));
        assert_eq!(exit(b"rooms: exit 101\r\nlast words"), (Some("101".to_owned()), 2));
        assert_eq!(exit(b"Kernel panic \xff\r\n"), (None, 1));
    }
}

//! What is measured: loops, each in a process of its own.
//!
//! A worker is this program again, called as `xtask bench-worker LOOP CALLS BATCHES CPU|- [ARG]`. It
//! says `ready`, waits for a line, runs, and says in one line what it measured. The fastest of its
//! batches counts: what disturbs one only ever makes it slower.

use std::{
    io::{BufRead as _, BufReader, Write as _, stdin, stdout},
    os::unix::process::parent_id,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, unshare},
    sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike as _,
    },
    unistd::Pid,
};

use super::child;
use crate::{clock, command};

/// The verb that makes this program a worker.
pub(crate) const VERB: &str = "bench-worker";

/// The pause between the calls of `pulse`.
pub(super) const PULSE: Duration = Duration::from_millis(10);

/// Of how many calls of `paced` one makes an ipc namespace, the others uts namespaces.
pub(super) const RARE: u64 = 33;
/// How often `paced` looks at the clock.
const STEP: Duration = Duration::from_millis(1);

/// A loop and how often it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    /// `getppid`, `exec`, `unshare`, `paced` or `pulse`.
    pub(super) name: &'static str,
    /// Calls in one batch.
    pub(super) calls: u64,
    pub(super) batches: u64,
    /// The core to stay on.
    pub(super) cpu: Option<usize>,
    /// For `exec` the directory of the program, for `paced` calls per second.
    pub(super) argument: &'a str,
}

/// What a worker measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) pid: u32,
    /// Calls in all batches.
    pub(super) calls: u64,
    /// Nanoseconds per call in the fastest batch.
    pub(super) wall: f64,
    /// The same of CPU time, that of children included.
    pub(super) cpu: f64,
    /// First and last nanosecond on the boot clock.
    pub(super) start: u64,
    pub(super) end: u64,
    /// When each call of `pulse` returned.
    pub(super) returns: Vec<u64>,
}

/// A worker that waits for its start.
pub(super) struct Worker {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker, behind `before` if that is a program that runs another; it is ready on
    /// return.
    pub(super) fn prepare(load: &Load<'_>, before: &[&str]) -> Result<Self> {
        let own = std::env::current_exe()?;
        let own = own.to_str().context("the path of this program is no text")?;
        let words = before.iter().copied().chain([own]).collect::<Vec<_>>();
        let (program, args) = words.split_first().context("no program")?;
        let cpu = load.cpu.map_or_else(|| "-".to_owned(), |cpu| cpu.to_string());
        let mut worker = Command::new(program);
        worker.args(args).args([VERB, load.name, &load.calls.to_string()]);
        worker.args([&load.batches.to_string(), &cpu, load.argument]);
        worker.stdin(Stdio::piped()).stdout(Stdio::piped());
        let shown = command::show(&worker);
        let mut child = worker.spawn().with_context(|| format!("cannot run `{shown}`"))?;
        let answers = child.stdout.take().context("the worker has no output")?;
        let mut worker = Self { child, answers: BufReader::new(answers) };
        ensure!(worker.answer()? == "ready", "`{shown}` is not ready");
        Ok(worker)
    }

    /// Lets it run.
    pub(super) fn go(&mut self) -> Result<()> {
        let input = self.child.stdin.as_mut().context("the worker has no input")?;
        Ok(input.write_all(b"go\n")?)
    }

    /// Waits for what it measured.
    pub(super) fn finish(mut self) -> Result<Measured> {
        let answer = self.answer()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a worker failed: {status}");
        Measured::parse(&answer).with_context(|| format!("a worker said `{answer}`"))
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Neither does anything if it has been waited for.
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Runs one worker from start to end.
pub(super) fn run(load: &Load<'_>, before: &[&str]) -> Result<Measured> {
    let mut worker = Worker::prepare(load, before)?;
    worker.go()?;
    worker.finish()
}

impl Measured {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let measured = Self {
            pid: words.next()?.parse().ok()?,
            calls: words.next()?.parse().ok()?,
            wall: words.next()?.parse().ok()?,
            cpu: words.next()?.parse().ok()?,
            start: words.next()?.parse().ok()?,
            end: words.next()?.parse().ok()?,
            returns: Vec::new(),
        };
        let returns = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self { returns, ..measured })
    }

    fn line(&self) -> String {
        let Self { pid, calls, wall, cpu, start, end, returns } = self;
        let mut words = vec![format!("{pid} {calls} {wall} {cpu} {start} {end}")];
        words.extend(returns.iter().map(u64::to_string));
        words.join(" ")
    }
}

/// Is a worker.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let [name, calls, batches, cpu, argument] = args else { bail!("not for people") };
    let (calls, batches): (u64, u64) = (calls.parse()?, batches.parse()?);
    if let Ok(cpu) = cpu.parse() {
        let mut cpus = CpuSet::new();
        cpus.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &cpus)?;
    }
    println!("ready");
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    if line.is_empty() {
        // Whoever wanted to know has gone.
        return Ok(ExitCode::FAILURE);
    }
    let mut measured = Measured {
        pid: std::process::id(),
        calls: calls * batches,
        wall: f64::INFINITY,
        cpu: f64::INFINITY,
        start: clock::boot()?,
        ..Measured::default()
    };
    for _ in 0..batches {
        let (start, cpu) = (Instant::now(), clock::cpu()? + children()?);
        match name.as_str() {
            "getppid" => getppid(calls),
            "exec" => exec(calls, argument)?,
            "unshare" => unshare_uts(calls)?,
            "paced" => paced(calls, argument.parse()?)?,
            "pulse" => measured.returns.extend(pulse(calls)?),
            _ => bail!("no loop `{name}`"),
        }
        let cpu = clock::cpu()? + children()? - cpu;
        measured.wall = measured.wall.min(per_call(start.elapsed().as_nanos(), calls));
        measured.cpu = measured.cpu.min(per_call(cpu.into(), calls));
    }
    measured.end = clock::boot()?;
    writeln!(stdout(), "{}", measured.line())?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn per_call(nanoseconds: u128, calls: u64) -> f64 {
    nanoseconds as f64 / calls as f64
}

/// CPU time of the children that were waited for.
fn children() -> Result<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(u64::try_from(microseconds)? * 1000)
}

/// The cheapest call that does enter the kernel.
fn getppid(calls: u64) {
    for _ in 0..calls {
        std::hint::black_box(parent_id());
    }
}

/// fork, exec, exit and wait.
fn exec(calls: u64, directory: &str) -> Result<()> {
    let mut program = Command::new(child::NAME);
    // std forks, rather than call posix_spawn(3), when the program is to be found in a PATH that
    // is not its own; the fork is what shells and daemons pay.
    program.env_clear().env("PATH", directory);
    for _ in 0..calls {
        ensure!(program.status()?.success(), "{} failed", child::NAME);
    }
    Ok(())
}

fn unshare_uts(calls: u64) -> Result<()> {
    for _ in 0..calls {
        unshare(CloneFlags::CLONE_NEWUTS).context("cannot unshare the uts namespace")?;
    }
    Ok(())
}

/// Calls so many times a second; what was late is made up for.
fn paced(calls: u64, rate: u64) -> Result<()> {
    let start = Instant::now();
    let mut done = 0;
    while done < calls {
        let due = u64::try_from(start.elapsed().as_micros())?.saturating_mul(rate) / 1_000_000;
        while done < due.min(calls) {
            let kind =
                if done % RARE == 0 { CloneFlags::CLONE_NEWIPC } else { CloneFlags::CLONE_NEWUTS };
            unshare(kind).context("cannot unshare")?;
            done += 1;
        }
        thread::sleep(STEP);
    }
    Ok(())
}

/// Calls now and then, and notes when each has returned.
fn pulse(calls: u64) -> Result<Vec<u64>> {
    let mut returns = Vec::new();
    let mut due = Instant::now();
    for _ in 0..calls {
        unshare(CloneFlags::CLONE_NEWUTS)?;
        returns.push(clock::boot()?);
        due += PULSE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(returns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_is_understood() {
        let measured = Measured {
            pid: 7,
            calls: 3,
            wall: 85.25,
            cpu: 80.5,
            start: 1,
            end: 2,
            returns: vec![5, 6],
        };
        assert_eq!(Measured::parse(&measured.line()), Some(measured));
        assert_eq!(Measured::parse("7 3 x"), None);
    }
}

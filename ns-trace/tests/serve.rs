//! `ns-trace serve`: the collector, from its start to its end, also one that is killed.

mod alerts;
mod control;
pub(crate) mod http;
mod killed;
mod past;
mod pin;
mod sinks;
mod tls;

use std::{
    env, fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::{
    actor::Actor,
    context::{Context, Room},
    tracer::{Ended, PATIENCE, Tracer, program},
};

/// The trials of this file.
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let mut trials = vec![context.here("serve::the_configuration_is_checked_as_a_whole", check)];
    for (name, test) in TRIALS
        .into_iter()
        .chain(control::TRIALS)
        .chain(http::TRIALS)
        .chain(sinks::TRIALS)
        .chain(killed::TRIALS)
        .chain(tls::TRIALS)
        .chain(alerts::TRIALS)
        .chain(past::TRIALS)
        .chain(pin::TRIALS)
    {
        trials.extend(context.alone_on_the_best(name, test));
    }
    trials
}

pub(crate) type Test = fn(&Room) -> Result<()>;

const TRIALS: [(&str, Test); 4] = [
    ("serve::a_service_manager_is_told", service),
    ("serve::events_reach_a_sink_and_nothing_is_left", events_reach_a_sink),
    ("serve::only_one_has_the_directory", only_one),
    ("serve::the_configuration_is_read_again", reload),
];

/// A directory of a collector's own; it goes with this.
pub(crate) struct Collector {
    directory: PathBuf,
    tracer: Option<Tracer>,
}

impl Collector {
    /// Starts one with a sink to standard output and with what `config` says; waits until it traces.
    pub(crate) fn start(room: &Room, config: &str) -> Result<Self> {
        Self::start_with(room, config, "")
    }

    /// The same, with further keys of `[probe]`.
    pub(crate) fn start_with(room: &Room, config: &str, probe: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ns-trace-test-{}-serve-{number}", std::process::id());
        let directory = env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        let mut collector = Self { directory, tracer: None };
        collector.configure_probe(room, config, probe)?;
        collector.run()?;
        Ok(collector)
    }

    /// Writes another configuration.
    pub(crate) fn configure(&self, room: &Room, config: &str) -> Result<()> {
        self.configure_probe(room, config, "")
    }

    /// The same, with further keys of `[probe]`.
    fn configure_probe(&self, room: &Room, config: &str, probe: &str) -> Result<()> {
        let backend = room.backend();
        let history = if config.contains("[history]") {
            String::new()
        } else {
            format!("[history]\npath = \"{}\"\n", self.path("history.db").display())
        };
        let text = format!(
            "{config}\n{history}[probe]\nbackend = \"{backend}\"\n{probe}[[sink]]\ntype = \"stdout\"\nname = \"out\"\n"
        );
        Ok(fs::write(self.path("config.toml"), text)?)
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Where its lock and sockets are.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.path("run")
    }

    /// A command that asks it.
    pub(crate) fn ask(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).env("NS_TRACE_SOCKET", self.runtime().join("control.sock"));
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn tracer(&self) -> Result<&Tracer> {
        self.tracer.as_ref().context("the collector is not running")
    }

    /// Starts it, again.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.run_as(Command::new(program()))
    }

    /// Starts it by a command that is prepared.
    fn run_as(&mut self, mut command: Command) -> Result<()> {
        command.arg("serve").arg("--config").arg(self.path("config.toml"));
        command.arg("--runtime-dir").arg(self.runtime());
        let tracer = Tracer::spawn(&mut command)?;
        tracer.wait("the first `sync`", |event| event["event"] == "sync")?;
        self.tracer = Some(tracer);
        Ok(())
    }

    /// What the history in its directory answers.
    pub(crate) fn history(&self, args: &[&str]) -> Result<String> {
        let file = self.path("history.db");
        let output = Command::new(program())
            .arg("history")
            .args(args)
            .arg("--file")
            .arg(&file)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "history {args:?}: {}: {said}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Ends it by a signal.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<Ended> {
        let tracer = self.tracer.take().context("the collector is not running")?;
        tracer.signal(signal)?;
        tracer.end()
    }

    /// Kills it, whatever it is just writing.
    fn kill(&mut self) {
        self.tracer = None;
    }

    /// Waits for the end of one that was told to.
    fn finish_ended(mut self) -> Result<()> {
        let tracer = self.tracer.take().context("the collector is not running")?;
        let ended = tracer.end()?;
        ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        ensure!(!self.runtime().exists(), "the directory is left");
        Ok(())
    }

    /// A command that removes its pins.
    fn unpin_command(&self) -> Command {
        let mut command = Command::new(program());
        command.args(["serve", "--unpin", "--config"]).arg(self.path("config.toml"));
        command.arg("--runtime-dir").arg(self.runtime());
        command
    }

    /// Ends it and its pins, and checks that nothing is left.
    fn unpin(mut self) -> Result<Ended> {
        let ended = self.end(Signal::TERM)?;
        ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        let output = self.unpin_command().output()?;
        ensure!(output.status.success(), "{output:?}");
        ensure!(!self.runtime().exists(), "the directory is left");
        Ok(ended)
    }

    /// Ends it as a service manager does, and checks that nothing is left.
    pub(crate) fn finish(mut self) -> Result<Ended> {
        let ended = self.end(Signal::TERM)?;
        ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        ensure!(!self.runtime().exists(), "the directory is left");
        Ok(ended)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.tracer = None;
        // What is left is found when all is over.
        drop(fs::remove_dir_all(&self.directory));
    }
}

fn serve(args: &[&str]) -> Result<Output> {
    Ok(Command::new(program()).arg("serve").args(args).stdin(Stdio::null()).output()?)
}

fn check() -> Result<()> {
    let name = format!("ns-trace-test-{}-config.toml", std::process::id());
    let path = env::temp_dir().join(name);
    let told = |text: &str| -> Result<Output> {
        fs::write(&path, text)?;
        serve(&["--check", "--config", &path.to_string_lossy()])
    };
    let wrong = told("[probe]\nbackend = 7\nbaklog = 1\n[[sink]]\nwhere = \"pid = 1\"\n")?;
    let right = told("[probe]\nbackend = \"tracepoint\"\n")?;
    let printed = serve(&["--print-config", "--config", &path.to_string_lossy()])?;
    let sink = "[[sink]]\ntype = \"webhook\"\nurl = \"https://a/\"\nca_file = ";
    let untrusted = told(&format!("{sink}\"{}\"\n", path.display()))?;
    fs::remove_file(&path)?;
    let said = String::from_utf8_lossy(&wrong.stderr);
    ensure!(wrong.status.code() == Some(2), "{}: {said}", wrong.status);
    for place in [":2:11: ", ":3:1: ", ":5:9: "] {
        ensure!(said.contains(&format!("{}{place}", path.display())), "no {place} in {said}");
    }
    let why = String::from_utf8_lossy(&untrusted.stderr);
    ensure!(untrusted.status.code() == Some(2), "{}: {why}", untrusted.status);
    ensure!(why.contains("ca_file: ") && why.contains("has no certificate (PEM)"), "{why}");
    ensure!(right.status.success() && right.stderr.is_empty(), "{right:?}");
    let printed = String::from_utf8_lossy(&printed.stdout);
    ensure!(printed.contains("backend = \"tracepoint\"\nbuffer = \"16MiB\""), "{printed}");
    let missing = serve(&["--config", "/no/such/file"])?;
    ensure!(missing.status.code() == Some(2), "{missing:?}");
    Ok(())
}

/// Has a namespace made and freed; returns its inode when the collector has told of both.
pub(crate) fn make(tracer: &Tracer) -> Result<u64> {
    let place = tracer.len();
    let mut actor = Actor::start()?;
    let pid = actor.pid();
    actor.act("unshare 4000000")?;
    let is_it =
        |event: &serde_json::Value| event["event"] == "create" && event["process"]["pid"] == pid;
    let made = tracer.wait_since(place, "a `create`", is_it)?;
    drop(actor);
    let ns = made["ns"]["inode"].clone();
    let is_it =
        |event: &serde_json::Value| event["event"] == "destroy" && event["ns"]["inode"] == ns;
    tracer.wait_since(place, "a `destroy`", is_it)?;
    ns.as_u64().context("no inode")
}

/// Waits until something holds that takes its time.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds()? {
        ensure!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn events_reach_a_sink(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    make(collector.tracer()?)?;
    let ended = collector.finish()?;
    for (seq, event) in (1_u64..).zip(&ended.events) {
        ensure!(event["seq"] == seq, "event number {seq} says {}", event["seq"]);
        ensure!(event["event"] != "lost", "{event}");
    }
    Ok(())
}

fn only_one(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "")?;
    let (config, runtime) = (collector.path("config.toml"), collector.runtime());
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let second = serve(&["--config", &path(&config), "--runtime-dir", &path(&runtime)])?;
    let said = String::from_utf8_lossy(&second.stderr);
    ensure!(second.status.code() == Some(1), "{}: {said}", second.status);
    let pid = collector.tracer()?.pid().to_string();
    ensure!(said.contains("another collector") && said.contains(&pid), "{said}");
    // What a killed one leaves is in nobody's way.
    let ended = collector.end(Signal::KILL)?;
    ensure!(!ended.status.success() && collector.runtime().exists(), "{}", ended.status);
    collector.run()?;
    make(collector.tracer()?)?;
    fs::remove_dir(collector.runtime()).err().context("the directory is empty")?;
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    // It was there before, so it stays; but nothing is in it.
    fs::remove_dir(collector.runtime())?;
    Ok(())
}

fn service(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "")?;
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    let manager = UnixDatagram::bind(collector.path("notify"))?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let next = || -> Result<String> {
        let mut text = [0; 256];
        let len = manager.recv(&mut text).context("the service manager is not told")?;
        Ok(String::from_utf8_lossy(text.get(..len).unwrap_or_default()).into_owned())
    };
    // Whatever comes in between, it must come.
    let until = |what: &str| -> Result<()> {
        while !next()?.starts_with(what) {}
        Ok(())
    };
    let mut command = Command::new(program());
    command.env("NOTIFY_SOCKET", collector.path("notify")).env("WATCHDOG_USEC", "200000");
    collector.run_as(command)?;
    let ready = next()?;
    ensure!(ready.starts_with("READY=1\nSTATUS=tracing with "), "{ready}");
    for _ in 0..2 {
        until("WATCHDOG=1")?;
    }
    collector.tracer()?.signal(Signal::HUP)?;
    until("RELOADING=1\nMONOTONIC_USEC=")?;
    until("READY=1")?;
    collector.tracer()?.signal(Signal::TERM)?;
    until("STOPPING=1")?;
    collector.finish_ended()
}

fn reload(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let file = collector.path("config.toml");
    let before = make(collector.tracer()?)?;
    // A wrong one changes nothing.
    let wrong = fs::read_to_string(&file)? + "colour = true\n";
    fs::write(&file, wrong)?;
    collector.tracer()?.signal(Signal::HUP)?;
    let after = make(collector.tracer()?)?;
    ensure!(before > 0 && after > 0, "no inodes");
    let quiet = fs::read_to_string(&file)?.replace("colour = true", "events = [\"lost\"]");
    fs::write(&file, quiet)?;
    collector.tracer()?.signal(Signal::HUP)?;
    // From then on no sink wants what is made: the signal comes before what happens after the answer.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let place = collector.tracer()?.len();
        let mut actor = Actor::start()?;
        actor.act("unshare 4000000")?;
        drop(actor);
        thread::sleep(Duration::from_millis(200));
        if collector.tracer()?.len() == place {
            break;
        }
        ensure!(Instant::now() < deadline, "the new configuration has no effect");
    }
    let ended = collector.finish()?;
    ensure!(ended.stderr.contains("stays as it was"), "{}", ended.stderr);
    ensure!(ended.stderr.contains("unknown key `sink.colour`"), "{}", ended.stderr);
    ensure!(ended.stderr.contains("was read again"), "{}", ended.stderr);
    Ok(())
}

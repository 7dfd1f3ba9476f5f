//! Which backends can be tested here, and the trials that are registered once for each.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

use anyhow::{Context as _, Result, anyhow};
use libtest_mimic::{Arguments, Trial};

use crate::{init, leftovers, tracer::Tracer};

/// Every backend, as `--probe` names it.
const BACKENDS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];

/// The groups about what becomes of events once they are there, and of names, which is the same
/// whatever the backend: the best is enough, on one kernel in each series of machines.
const ONCE: [&str; 11] = [
    "history::",
    "netns::",
    "rules::",
    "serve::",
    "top::",
    "trace::container::",
    "trace::filter::",
    "trace::output::",
    "trace::replay::",
    "trace::scope::",
    "trace::usage::",
];

/// Of these groups what is about words, files and clients: the same on every kernel, it is not run in
/// machines at all. Nor are there collectors that find every holder: machines find them by a scan.
const HERE: [&str; 8] = [
    "netns::bad_",
    "serve::control::nobody_is_in_anybodys_way",
    "serve::control::why_finds_every_holder",
    "serve::http::rows_are_filtered_and_paged",
    "serve::http::what_is_wrong_is_a_problem",
    "serve::only_one_has_the_directory",
    "serve::past::",
    "serve::the_configuration_is_read_again",
];

/// What a trial does in its room.
pub(crate) trait Test: Fn(&Room) -> Result<()> + Clone + Send + 'static {}
impl<T: Fn(&Room) -> Result<()> + Clone + Send + 'static> Test for T {}

/// What all trials share.
pub(crate) struct Context {
    backends: Vec<Arc<Backend>>,
    /// The best that can run here.
    best: OnceLock<Option<String>>,
    /// Held for reading by every trial, for writing by those that bear no company.
    quiet: RwLock<()>,
}

struct Backend {
    name: &'static str,
    /// Why it cannot be tested here.
    obstacle: Option<String>,
    shared: Mutex<Option<Arc<Tracer>>>,
}

/// Where one trial runs: a backend.
pub(crate) struct Room {
    backend: Arc<Backend>,
}

impl Context {
    /// Tries the backends: `NS_TRACE_TEST_BACKEND` alone if it is set, else those that can run.
    #[expect(clippy::print_stdout, reason = "whoever skips says why")]
    pub(crate) fn find(arguments: &Arguments) -> Self {
        let wanted = std::env::var("NS_TRACE_TEST_BACKEND").ok();
        let wanted = wanted.as_deref();
        let mut backends = Vec::new();
        for name in BACKENDS {
            if wanted.is_some_and(|wanted| wanted != name) {
                continue;
            }
            // Asked for by name, it must run; and a list needs no kernel.
            let obstacle =
                if wanted.is_some() || arguments.list { None } else { obstacle_to(name) };
            if let Some(obstacle) = &obstacle {
                println!("skipped: everything on the {name} backend: {obstacle}");
            }
            backends.push(Arc::new(Backend { name, obstacle, shared: Mutex::default() }));
        }
        Self { backends, best: OnceLock::new(), quiet: RwLock::new(()) }
    }

    /// Whether a backend runs here, as far as this series of tests knows.
    #[expect(clippy::print_stdout, reason = "whoever skips says why")]
    pub(crate) fn runs(&self, backend: &str) -> bool {
        let own = self.backends.iter().find(|own| own.name == backend);
        let runs = own.is_none_or(|own| own.obstacle.is_none());
        if runs {
            println!("skipped: what a kernel says that refuses {backend}: this one does not");
        }
        runs
    }

    /// Registers `test` as `name [backend]` for every backend, ignored where it cannot run.
    pub(crate) fn per_backend(self: &Arc<Self>, name: &str, test: impl Test) -> Vec<Trial> {
        self.register(name, test, false, |_| None)
    }

    /// As [`per_backend`](Self::per_backend), but ignored on a kernel that has an `obstacle`.
    pub(crate) fn unless(
        self: &Arc<Self>,
        obstacle: Option<&str>,
        name: &str,
        test: impl Test,
    ) -> Vec<Trial> {
        self.register(name, test, false, |_| obstacle.map(str::to_owned))
    }

    /// As [`per_backend`](Self::per_backend), for a test that runs while no other does.
    pub(crate) fn alone_per_backend(self: &Arc<Self>, name: &str, test: impl Test) -> Vec<Trial> {
        self.register(name, test, true, |_| None)
    }

    /// As [`alone_per_backend`](Self::alone_per_backend), but ignored where there is an `obstacle`.
    pub(crate) fn alone_unless(
        self: &Arc<Self>,
        obstacle: Option<&str>,
        name: &str,
        test: impl Test,
    ) -> Vec<Trial> {
        self.register(name, test, true, |_| obstacle.map(str::to_owned))
    }

    /// As [`alone_per_backend`](Self::alone_per_backend), but only with the best that can run here.
    pub(crate) fn alone_on_the_best(self: &Arc<Self>, name: &str, test: impl Test) -> Vec<Trial> {
        self.register(name, test, true, |backend| self.is_second(backend))
    }

    /// Registers a `test` that needs no tracer: where each backend has a machine of its own, only
    /// the best has it run, and of a series of kernels only those that are not between others.
    pub(crate) fn once(
        self: &Arc<Self>,
        name: &str,
        test: impl Fn() -> Result<()> + Send + 'static,
    ) -> Trial {
        self.unless_elsewhere(name, self.once_elsewhere(name).as_deref(), test)
    }

    /// Registers a `test` that is the same on every kernel: no machine runs it.
    pub(crate) fn here(
        self: &Arc<Self>,
        name: &str,
        test: impl Fn() -> Result<()> + Send + 'static,
    ) -> Trial {
        self.unless_elsewhere(name, tested_outside().as_deref(), test)
    }

    /// Why what needs no tracer is not run here.
    fn once_elsewhere(&self, name: &str) -> Option<String> {
        let wanted = std::env::var("NS_TRACE_TEST_BACKEND").ok();
        other_kernel(name)
            .or_else(tested_around)
            .or_else(|| wanted.and_then(|backend| self.is_second(&backend)))
    }

    #[expect(clippy::print_stdout, reason = "whoever skips says why")]
    fn unless_elsewhere(
        self: &Arc<Self>,
        name: &str,
        elsewhere: Option<&str>,
        test: impl Fn() -> Result<()> + Send + 'static,
    ) -> Trial {
        if let Some(elsewhere) = elsewhere {
            println!("skipped: {name}: {elsewhere}");
        }
        let context = Arc::clone(self);
        let run = move || {
            let _company = context.quiet.read().unwrap_or_else(PoisonError::into_inner);
            test().map_err(|error| format!("{error:#}").into())
        };
        Trial::test(name, run).with_ignored_flag(elsewhere.is_some())
    }

    /// Why a backend is not the best that can run here; none if it is.
    fn is_second(&self, backend: &str) -> Option<String> {
        let best = self.best.get_or_init(best_backend).as_deref();
        let why = || format!("on {} alone, the best here", best.unwrap_or("none"));
        (best != Some(backend)).then(why)
    }

    #[expect(clippy::print_stdout, reason = "whoever skips says why")]
    fn register(
        self: &Arc<Self>,
        name: &str,
        test: impl Test,
        alone: bool,
        obstacle: impl Fn(&str) -> Option<String>,
    ) -> Vec<Trial> {
        let trial = |backend: &Arc<Backend>| {
            let (context, test) = (Arc::clone(self), test.clone());
            let room = Room { backend: Arc::clone(backend) };
            let title = format!("{name} [{}]", backend.name);
            // Why a whole backend cannot run has been said.
            let obstacle = || {
                let second = || if is_once(name) { self.is_second(backend.name) } else { None };
                other_kernel(name).or_else(second).or_else(|| obstacle(backend.name))
            };
            let obstacle = if backend.obstacle.is_none() { obstacle() } else { None };
            if let Some(obstacle) = &obstacle {
                println!("skipped: {title}: {obstacle}");
            }
            Trial::test(title, move || {
                // A trial that panicked has spoiled nothing.
                let outcome = if alone {
                    let _quiet = context.quiet.write().unwrap_or_else(PoisonError::into_inner);
                    context.end().and_then(|()| test(&room))
                } else {
                    let _company = context.quiet.read().unwrap_or_else(PoisonError::into_inner);
                    test(&room)
                };
                outcome.map_err(|error| format!("{error:#}").into())
            })
            .with_ignored_flag(obstacle.is_some() || backend.obstacle.is_some())
        };
        self.backends.iter().map(trial).collect()
    }

    /// Ends the tracers that trials share, and checks that actors have left no namespace behind.
    pub(crate) fn end(&self) -> Result<()> {
        for backend in &self.backends {
            let mut shared = backend.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(tracer) = shared.take() else { continue };
            leftovers::expect_no_namespace(&tracer)?;
            // A trial that panicked may still have it.
            if let Some(tracer) = Arc::into_inner(tracer) {
                tracer.finish()?;
            }
        }
        Ok(())
    }
}

impl Room {
    /// The backend's name, for `--probe`.
    pub(crate) fn backend(&self) -> &'static str {
        self.backend.name
    }

    /// A tracer that sees everything and that other trials use as well: `trace -o json`.
    pub(crate) fn tracer(&self) -> Result<Arc<Tracer>> {
        let mut shared = self.backend.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tracer) = &*shared {
            return Ok(Arc::clone(tracer));
        }
        let tracer = Arc::new(self.start(&[])?);
        *shared = Some(Arc::clone(&tracer));
        Ok(tracer)
    }

    /// A tracer of the trial's own: `trace -o json --probe BACKEND` and `args`.
    pub(crate) fn start(&self, args: &[&str]) -> Result<Tracer> {
        Tracer::start(self.backend.name, args)
    }
}

/// How often to do something: less in a machine, which is emulated.
pub(crate) fn calls(here: u64, in_a_machine: u64) -> u64 {
    if std::env::var_os("NS_TRACE_TEST_BACKEND").is_some() { in_a_machine } else { here }
}

/// Says why a trial that does not depend on the backend is ignored.
#[expect(clippy::print_stdout, reason = "whoever skips says why")]
pub(crate) fn skipped(name: &str, why: &str) {
    println!("skipped: {name}: {why}");
}

/// Why `backend` cannot run here, in ns-trace's own words.
fn obstacle_to(backend: &str) -> Option<String> {
    let mut command = Command::new(crate::tracer::program());
    command.args(["trace", "-o", "json", "--probe", backend, "--timeout", "50ms"]);
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) => Some(error.to_string()),
    }
}

fn is_once(name: &str) -> bool {
    ONCE.iter().any(|group| name.starts_with(group))
}

/// Why a test is not run on this kernel: of [`ONCE`], `NS_TRACE_TEST_ONCE` names the one on which it is.
fn other_kernel(name: &str) -> Option<String> {
    let is_here = HERE.iter().any(|group| name.starts_with(group));
    let outside = if is_here { tested_outside() } else { None };
    let once = || std::env::var("NS_TRACE_TEST_ONCE").ok().filter(|_| is_once(name));
    outside.or_else(|| once().map(|kernel| format!("on Linux {kernel} alone")))
}

/// Why what is the same on every kernel is not run in a machine.
fn tested_outside() -> Option<String> {
    init::is_ours().then(|| "the same on every kernel, run outside".to_owned())
}

/// Why what needs no tracer is not run here: `NS_TRACE_TEST_BETWEEN` is set.
fn tested_around() -> Option<String> {
    let is_between = std::env::var_os("NS_TRACE_TEST_BETWEEN").is_some();
    is_between.then(|| "on older and newer kernels, which this one is between".to_owned())
}

/// The backend that `--probe auto` takes here, in ns-trace's own words.
fn best_backend() -> Option<String> {
    Some(doctor().ok()?["verdict"]["backend"].as_str()?.to_owned())
}

/// What `doctor -J` says, which takes its time: it tries every backend.
pub(crate) fn doctor() -> Result<&'static serde_json::Value> {
    static REPORT: OnceLock<Result<serde_json::Value, String>> = OnceLock::new();
    let ask = || {
        let output = Command::new(crate::tracer::program()).args(["doctor", "-J"]).output()?;
        serde_json::from_slice(&output.stdout).context("the report is no JSON")
    };
    let report = REPORT.get_or_init(|| ask().map_err(|error: anyhow::Error| format!("{error:#}")));
    report.as_ref().map_err(|error| anyhow!("{error}"))
}

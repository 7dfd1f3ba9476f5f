//! The collector: the live pipeline with many readers, for as long as it is not told to end.

pub mod client;
pub mod config;
pub mod control;
mod distributor;
mod http;
mod keeper;
mod outgoing;
mod pinning;
mod place;
mod remember;
mod statistics;

use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

use self::{
    config::{Config, Problems},
    control::Control,
    distributor::Distributor,
    http::Http,
    keeper::Keeper,
    outgoing::Outgoing,
    pinning::Marks,
    remember::Remember,
    statistics::Statistics,
};
pub use self::{
    pinning::unpin,
    place::{Place, default_directory, default_history},
};
use crate::{
    history,
    model::Event,
    pipeline::{
        self, Inquiries, Keep, LiveOptions, Outcome, Scope, Selection, Stream, journal, run_live,
    },
    probe,
    sink::{recent::Recent, worker::Status},
    sys::{clock, notify::Notifier, signal},
};

/// How much a message matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something may be missing.
    Warning,
    /// As it should be.
    Info,
}

/// Where the collector says how it is.
pub type Say = fn(Level, &str);

/// Why the collector ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The probes, or the ring.
    #[error(transparent)]
    Live(#[from] pipeline::Error),
    /// Another one has the directory.
    #[error("another collector (process {pid}) uses {}", .directory.display())]
    Taken {
        /// Which directory.
        directory: PathBuf,
        /// Its number, 0 if it has not said it.
        pid: u32,
    },
    /// Probes cannot outlive the collector here.
    #[error("cannot pin the probes: {0}")]
    Pin(probe::pins::Obstacle),
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] history::Error),
    /// A file, socket or thread.
    #[error("cannot {what}: {source}")]
    Io {
        /// What cannot be done.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io { what: what.into(), source }
    }
}

/// What is to be served.
pub struct Options {
    /// How it starts.
    pub config: Config,
    /// Reads the configuration again.
    pub reload: Box<dyn Fn() -> Result<Config, Problems> + Send>,
    /// Where lock and sockets are made.
    pub directory: PathBuf,
    /// Where it says how it is.
    pub say: Say,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What the parts of the collector share.
#[derive(Debug)]
struct Shared {
    config: RwLock<Arc<Config>>,
    recent: Arc<Recent>,
    inquiries: Arc<Inquiries>,
    outgoing: Mutex<Outgoing>,
    /// How the history is; `None` if there is none.
    history: Option<Arc<Status>>,
    /// Names this run: events of others have the same numbers.
    run: String,
    statistics: Mutex<Statistics>,
    /// The first `sync`.
    start: OnceLock<Event>,
    notifier: Notifier,
    marks: Marks,
    say: Say,
}

impl Shared {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over another configuration.
    fn replace(&self, config: Config) -> io::Result<()> {
        let old = self.config();
        if old.probe != config.probe
            || old.recent != config.recent
            || old.history.enabled != config.history.enabled
            || old.history.path != config.history.path
            || old.http.listen != config.http.listen
            || old.control.enabled != config.control.enabled
        {
            let what = "[probe], [recent], the history's path and where is listened stay as they are \
                        until the next start";
            (self.say)(Level::Warning, what);
        }
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        outgoing.replace(&config.sinks, &self.recent, self.say)?;
        drop(outgoing);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }
}

/// Serves until a signal says that it is enough.
///
/// # Errors
///
/// If the probes cannot run here, or the directory is in use.
pub fn run(options: Options) -> Result<Outcome, Error> {
    let Options { config, reload, directory, say } = options;
    // Before anything is made: who is told to end meanwhile leaves nothing behind.
    let hangups = signal::watch(&[signal::HANGUP]).map_err(Error::io("watch for signals"))?;
    let place = Place::take(&directory)?;
    let pins = pinning::wanted(&config.probe, say)?;
    let writer = history(&config)?;
    let arrived = writer.as_ref().map(history::Writer::last_seq);
    // Numbers go on where a former collector has ended.
    let former = arrived.or_else(|| pins.as_ref().and_then(|_| journal::last_seq(&directory)));
    let first = former.unwrap_or(0) + 1;
    let recent = Recent::new(config.recent.events, config.recent.bytes, first);
    let inquiries = Inquiries::new().map_err(Error::io("make an event descriptor"))?;
    let mut live = live_options(&config, Arc::new(inquiries));
    live.keep = pins.as_ref().map(|_| Keep { directory: directory.clone(), arrived });
    let marks = match arrived.filter(|_| pins.is_some()) {
        Some(arrived) => Marks::after(arrived),
        None => Marks::default(),
    };
    live.probes.pins = pins;
    let Some(inquiries) = live.inquiries.clone() else { return Ok(Outcome::default()) };
    let mut outgoing = Outgoing::default();
    outgoing.replace(&config.sinks, &recent, say).map_err(Error::io("start a sink"))?;
    let shared = Arc::new(Shared {
        recent: Arc::clone(&recent),
        inquiries,
        outgoing: Mutex::new(outgoing),
        history: writer.as_ref().map(|_| Arc::default()),
        run: format!("{:x}", clock::boot_ns()),
        statistics: Mutex::default(),
        start: OnceLock::new(),
        notifier: Notifier::from_environment(),
        marks,
        say,
        config: RwLock::new(Arc::new(config)),
    });
    let selection = Selection { tasks: shared.config().probe.tasks, ..Selection::default() };
    let remember = writer.map(|writer| Remember::start(&shared, writer)).transpose();
    let remember = remember.map_err(Error::io("start a thread"))?;
    let keeper = keep(&shared, hangups, reload)?;
    let control = answer(&shared, &place)?;
    let http = Http::start(&shared, &place)?;
    let distributor = Distributor::new(Arc::clone(&shared));
    let stream = Stream::new(selection, Scope::everybody(), distributor, None);
    let ended = run_live(live, stream);
    shared.notifier.tell("STOPPING=1");
    drop(keeper);
    recent.close();
    drop(http);
    drop(control);
    if let Some(remember) = remember {
        remember.end(say);
    }
    shared.outgoing.lock().unwrap_or_else(PoisonError::into_inner).end(say);
    drop(place);
    let (outcome, _) = ended?;
    Ok(outcome)
}

/// What writes the history, if there is to be one.
fn history(config: &Config) -> Result<Option<history::Writer>, Error> {
    if !config.history.enabled {
        return Ok(None);
    }
    let writer = history::Store::open(&config.history.path)?.writer()?;
    Ok(Some(writer))
}

fn keep(
    shared: &Arc<Shared>,
    hangups: OwnedFd,
    reload: Box<dyn Fn() -> Result<Config, Problems> + Send>,
) -> Result<Keeper, Error> {
    Keeper::start(Arc::clone(shared), hangups, reload).map_err(Error::io("start a thread"))
}

fn answer(shared: &Arc<Shared>, place: &Place) -> Result<Option<Control>, Error> {
    if !shared.config().control.enabled {
        return Ok(None);
    }
    let path = place.socket("control.sock").map_err(Error::io("remove a former socket"))?;
    let what = format!("listen at {}", path.display());
    Control::start(Arc::clone(shared), path).map(Some).map_err(Error::io(what))
}

fn live_options(config: &Config, inquiries: Arc<Inquiries>) -> LiveOptions {
    LiveOptions {
        probes: probe::Options {
            backend: config.probe.backend,
            ring_bytes: config.probe.buffer,
            btf: config.probe.btf.clone(),
            pins: None,
        },
        backlog_bytes: config.probe.backlog,
        // The lives of namespaces that are older than the collector begin with that.
        snapshot: config.history.enabled,
        timeout: None,
        command: None,
        output: None,
        viewer: None,
        inquiries: Some(inquiries),
        keep: None,
    }
}

//! The collector: the live pipeline with many readers, for as long as it is not told to end.

pub mod client;
pub mod config;
pub mod control;
mod distributor;
pub mod http;
mod inquire;
mod keeper;
mod outgoing;
pub mod past;
mod pinning;
mod place;
mod privilege;
mod refused;
mod remember;
mod review;
mod seats;
mod statistics;

use std::{
    collections::VecDeque,
    fs, io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::AtomicU64,
        mpsc::{Receiver, channel},
    },
};

use rustix::event::{EventfdFlags, eventfd};

use self::{
    config::{Config, Problems},
    control::Control,
    distributor::Distributor,
    http::Http,
    keeper::Keeper,
    outgoing::Outgoing,
    pinning::Marks,
    refused::Refused,
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
        self, Attached, Inquiries, Inquiry, Keep, LiveOptions, Looker, Outcome, Scope, Selection,
        Stream, journal, run_live,
    },
    probe,
    rule::{Engine, Rules},
    sink::{
        recent::{Entry, Recent},
        worker::Status,
    },
    sys::{clock, notify::Notifier, signal},
};

/// How many of the latest alerts are kept for those who ask later.
const ALERTS: usize = 1000;

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

/// Reads the configuration and the rules that it names.
pub type Reload = Box<dyn Fn() -> Result<(Config, Rules), Problems> + Send>;

/// What is to be served.
pub struct Options {
    /// How it starts.
    pub config: Config,
    /// What looks at every event.
    pub rules: Rules,
    /// Reads both again.
    pub reload: Reload,
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
    /// Where the history is, and how; `None` if there is none.
    history: Option<(PathBuf, Arc<Status>)>,
    /// Names this run: of others the last events may have the same numbers.
    run: String,
    /// The number of its first event.
    first: u64,
    statistics: Mutex<Statistics>,
    refused: Refused,
    /// How often what a restart needs could not be written any more.
    journal_errors: AtomicU64,
    /// The latest alerts, also when other events have driven them out of `recent`.
    alerts: Mutex<VecDeque<Arc<Entry>>>,
    /// Looks for what the table does not know: who holds what.
    looker: OnceLock<Looker>,
    /// The programs that hang in the kernel.
    probes: OnceLock<Vec<(&'static str, OwnedFd)>>,
    /// The first `sync`.
    start: OnceLock<Event>,
    /// An eventfd: it is readable when there was a `sync`.
    synced: OwnedFd,
    notifier: Notifier,
    marks: Marks,
    say: Say,
}

impl Shared {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What looks at what exists.
    fn looker(&self) -> &Looker {
        self.looker.get_or_init(Looker::load)
    }

    /// Keeps an alert for those who ask later.
    fn keep_alert(&self, alert: Arc<Entry>) {
        let mut alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        if alerts.len() >= ALERTS {
            alerts.pop_front();
        }
        alerts.push_back(alert);
    }

    /// Takes over another configuration.
    fn replace(&self, mut config: Config, rules: Rules) -> io::Result<()> {
        if config.keep(&self.config()) {
            let what = "[probe], [recent], [privileges], whether and where there is a history, \
                        control.enabled and group, http.listen and clients, and rules.enabled stay as \
                        they are until the next start";
            (self.say)(Level::Warning, what);
        }
        self.inquiries.ask(Inquiry::Rules(Box::new(rules)));
        let mut ended = self.direct(&config)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        // One that takes nothing keeps nobody but this thread waiting.
        ended.end(self.say);
        Ok(())
    }

    /// Has the sinks of a configuration; returns those that are not among them any more.
    fn direct(&self, config: &Config) -> io::Result<Outgoing> {
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        outgoing.replace(&config.sinks, &self.recent, self.say)
    }
}

/// What answers and hands on, in threads of their own.
#[derive(Debug)]
struct Parts {
    remember: Option<Remember>,
    /// Dropped in this order.
    _keeper: Keeper,
    _http: Option<Http>,
    _control: Option<Control>,
}

/// What is listened at.
#[derive(Debug)]
struct Doors {
    control: Option<(PathBuf, UnixListener)>,
    http: Option<http::Door>,
}

/// Serves until a signal says that it is enough.
///
/// # Errors
///
/// If the probes cannot run here, or the directory is in use.
pub fn run(options: Options) -> Result<Outcome, Error> {
    let Options { config, rules, reload, directory, say } = options;
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
    let synced = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
    let kept = writer.as_ref().map(|writer| writer.store().path().to_owned());
    let alerts =
        writer.as_ref().map_or(Ok(Vec::new()), |writer| writer.store().last_alerts(ALERTS));
    let alerts = alerts.unwrap_or_else(|error| {
        say(Level::Warning, &format!("cannot read former alerts: {error}"));
        Vec::new()
    });
    let alerts = alerts.into_iter().map(|alert| Arc::new(Entry::former(alert)));
    let engine = config.rules.enabled.then(|| Engine::new(&rules));
    let shared = Arc::new(Shared {
        recent: Arc::clone(&recent),
        inquiries,
        outgoing: Mutex::new(Outgoing::new(kept.clone())),
        history: kept.map(|path| (path, Arc::default())),
        run: format!("{:x}", clock::boot_ns()),
        first,
        statistics: Mutex::default(),
        refused: Refused::default(),
        journal_errors: AtomicU64::default(),
        alerts: Mutex::new(alerts.collect()),
        looker: OnceLock::new(),
        probes: OnceLock::new(),
        start: OnceLock::new(),
        synced: synced.map_err(|error| Error::io("make an event descriptor")(error.into()))?,
        notifier: Notifier::from_environment(),
        marks,
        say,
        config: RwLock::new(Arc::new(config)),
    });
    let selection = Selection { tasks: shared.config().probe.tasks, ..Selection::default() };
    let control = control_door(&shared, &place)?;
    let http = Http::bind(&shared, &place).inspect_err(|_| {
        if let Some((path, _)) = &control {
            let _gone = fs::remove_file(path);
        }
    })?;
    let doors = Doors { control, http };
    // What there is at the start goes to the history beside the events.
    let (found, founds) = writer.as_ref().map(|_| channel()).unzip();
    let memory = writer.zip(founds);
    // Threads have the rights that they are started with: none is, before what is not needed any
    // more is given up.
    let parts = Arc::new(Mutex::new(None));
    let (ours, theirs) = (Arc::clone(&shared), Arc::clone(&parts));
    live.attached = Some(Attached(Box::new(move |probes| {
        let attached = probes.attached().map_err(Error::io("keep the programs"))?;
        ours.probes.get_or_init(|| attached);
        let made = begin(&ours, doors, memory, hangups, reload)?;
        *theirs.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        Ok(())
    })));
    let distributor = Distributor::new(Arc::clone(&shared), found);
    let stream = Stream::new(selection, Scope::everybody(), distributor, None).with_rules(engine);
    let ended = run_live(live, stream);
    shared.notifier.tell("STOPPING=1");
    recent.close();
    let parts = parts.lock().unwrap_or_else(PoisonError::into_inner).take();
    let remember = parts.and_then(|parts| parts.remember);
    if let Some(remember) = remember {
        remember.end(say);
    }
    shared.outgoing.lock().unwrap_or_else(PoisonError::into_inner).end(say);
    drop(place);
    let (outcome, _) = ended.map_err(|error| match error {
        pipeline::Error::Begin(why) => match why.downcast::<Error>() {
            Ok(why) => *why,
            Err(why) => Error::Live(pipeline::Error::Begin(why)),
        },
        error => Error::Live(error),
    })?;
    Ok(outcome)
}

/// What writes the history, if there is to be one.
fn history(config: &Config) -> Result<Option<history::Writer>, Error> {
    if !config.history.enabled {
        return Ok(None);
    }
    let writer = history::Store::open(&config.history.file())?.writer()?;
    Ok(Some(writer))
}

/// Gives up what is not needed any more, then starts all that answers and hands on.
fn begin(
    shared: &Arc<Shared>,
    doors: Doors,
    memory: Option<(history::Writer, Receiver<Vec<Event>>)>,
    hangups: OwnedFd,
    reload: Reload,
) -> Result<Parts, Error> {
    // What is loaded later is refused.
    shared.looker();
    privilege::give_up(&shared.config().privileges, shared.say)?;
    let remember = memory.map(|(writer, founds)| Remember::start(shared, writer, founds));
    let remember = remember.transpose().map_err(Error::io("start a thread"))?;
    shared.direct(&shared.config()).map_err(Error::io("start a sink"))?;
    let keeper = Keeper::start(Arc::clone(shared), hangups, reload);
    let control = doors.control.map(|(path, listener)| {
        Control::start(Arc::clone(shared), path, listener).map_err(Error::io("start a thread"))
    });
    Ok(Parts {
        remember,
        _keeper: keeper.map_err(Error::io("start a thread"))?,
        _http: doors.http.map(|door| Http::start(shared, door)).transpose()?,
        _control: control.transpose()?,
    })
}

fn control_door(shared: &Shared, place: &Place) -> Result<Option<(PathBuf, UnixListener)>, Error> {
    if !shared.config().control.enabled {
        return Ok(None);
    }
    let path = place.socket("control.sock").map_err(Error::io("remove a former socket"))?;
    let what = format!("listen at {}", path.display());
    let listener = Control::bind(shared, &path).map_err(Error::io(what))?;
    Ok(Some((path, listener)))
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
        attached: None,
        inquiries: Some(inquiries),
        keep: None,
    }
}

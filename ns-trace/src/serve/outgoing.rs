//! The sinks at work.

use std::{
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Level, Say,
    config::{SinkConfig, Target},
};
use crate::{
    expr::Filter,
    history::{Query, Store},
    pipeline::Selection,
    sink::{
        past::{Cursor, Past},
        recent::{From, Recent},
        schema::Translator,
        target::{self, Datagrams, File, Rotation, Stdout, Unix, Webhook},
        worker::{Figures, Worker},
    },
};

/// How many events are read from the history at a time.
const PIECE: u64 = 1024;

/// The sinks, each with what it was made from.
#[derive(Debug)]
pub(super) struct Outgoing {
    sinks: Vec<(SinkConfig, Worker)>,
    /// Where the history is, if there is one.
    history: Option<PathBuf>,
}

impl Outgoing {
    /// None yet.
    pub(super) const fn new(history: Option<PathBuf>) -> Self {
        Self { sinks: Vec::new(), history }
    }

    /// Has these sinks: those that are there already go on; returns the others, which are to be ended.
    pub(super) fn replace(
        &mut self,
        sinks: &[SinkConfig],
        recent: &Arc<Recent>,
        say: Say,
    ) -> io::Result<Self> {
        let mut made = Self::new(None);
        for config in sinks {
            if self.sinks.iter().all(|(old, _)| old != config) {
                let started = self.start(config, recent, say).inspect_err(|_| made.end(say))?;
                made.sinks.push((config.clone(), started));
            }
        }
        let (kept, ended) = self.sinks.drain(..).partition(|(old, _)| sinks.contains(old));
        self.sinks = kept;
        self.sinks.extend(made.sinks);
        Ok(Self { sinks: ended, history: None })
    }

    /// How each is.
    pub(super) fn figures(&self) -> Vec<(String, Figures)> {
        self.sinks.iter().map(|(config, worker)| (config.name(), worker.figures())).collect()
    }

    /// Waits until they have handed on what there is, or cannot.
    pub(super) fn end(&mut self, say: Say) {
        for (_, worker) in &self.sinks {
            worker.stop();
        }
        // One for all: however many take nothing, none is waited for longer.
        let deadline = Worker::latest();
        for (config, worker) in self.sinks.drain(..) {
            let what = match worker.join(deadline) {
                Some(0) => continue,
                Some(left) => format!("could not take the last {left} events"),
                None => "takes nothing, and is not waited for".to_owned(),
            };
            say(Level::Error, &format!("sink `{}` {what}", config.name()));
        }
    }

    fn start(&self, config: &SinkConfig, recent: &Arc<Recent>, say: Say) -> io::Result<Worker> {
        let filter = config.filter.as_deref().map(Filter::compile).transpose();
        let filter = filter.map_err(|error| io::Error::other(error.to_string()))?;
        let (kinds, events) = (config.kinds.clone(), config.events.clone());
        // What there is of tasks passes: whether there is anything, [probe] says.
        let mut selection =
            Selection { kinds, events, tasks: true, filter, ..Selection::default() };
        let target = target(config);
        let name = config.name();
        let trouble = move |what: &str| say(Level::Warning, &format!("sink `{name}`: {what}"));
        let admits = Box::new(move |event: &_| selection.admits(event));
        let translator = Translator::new(config.schema);
        let history = self.history.as_ref().filter(|_| config.is_kept());
        let past = history.map(|history| past(history, config, recent));
        let from = if past.is_some() { From::Start } else { From::Now };
        Worker::start(recent.reader(from), admits, translator, target, past, Box::new(trouble))
    }
}

/// What a sink has not had yet, by its cursor beside the history.
fn past(history: &Path, config: &SinkConfig, recent: &Recent) -> Past {
    let cursor = Cursor::new(&history.with_extension("cursors"), &config.name());
    let history = history.to_owned();
    let read = move |after| {
        let query = Query { after: Some(after), limit: Some(PIECE), ..Query::default() };
        let mut events = Vec::new();
        let store = Store::read(&history).map_err(|error| error.to_string())?;
        let read = store.events::<()>(&query, |event| {
            events.push(event);
            ControlFlow::Continue(())
        });
        read.map(|_| events).map_err(|error| error.to_string())
    };
    Past::new(cursor, recent.last(), Box::new(read))
}

fn target(config: &SinkConfig) -> Box<dyn target::Target> {
    // Which of them need a path or a url was checked.
    let path = |usual: &str| config.path.clone().unwrap_or_else(|| usual.into());
    let reader = config.user.as_ref().map(|user| user.uid);
    match config.target {
        Target::Stdout => Box::new(Stdout),
        Target::File => Box::new(File::new(path(""), rotation(config))),
        Target::Unix => Box::new(Unix::new(path(""), reader)),
        Target::Webhook => {
            let url = config.url.clone().unwrap_or_default();
            let (token_file, ca_file) = (config.token_file.clone(), config.ca_file.clone());
            Box::new(Webhook::new(url, config.timeout, token_file, ca_file))
        }
        Target::Syslog => Box::new(Datagrams::syslog(path("/dev/log"), reader)),
        Target::Journal => {
            Box::new(Datagrams::journal(path("/run/systemd/journal/socket"), reader))
        }
    }
}

const fn rotation(config: &SinkConfig) -> Rotation {
    Rotation {
        max_size: config.max_size,
        max_age: config.max_age,
        keep: config.keep,
        compress: config.compress,
    }
}

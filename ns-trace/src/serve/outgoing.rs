//! The sinks at work.

use std::{io, sync::Arc};

use super::{
    Level, Say,
    config::{SinkConfig, Target},
};
use crate::{
    expr::Filter,
    pipeline::Selection,
    sink::{
        recent::{From, Recent},
        schema::Translator,
        target::{self, Datagrams, File, Rotation, Stdout, Unix, Webhook},
        worker::{Status, Worker},
    },
};

/// The sinks, each with what it was made from.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Vec<(SinkConfig, Worker)>);

impl Outgoing {
    /// Has these sinks: those that are there already go on, the others end.
    pub(super) fn replace(
        &mut self,
        sinks: &[SinkConfig],
        recent: &Arc<Recent>,
        say: Say,
    ) -> io::Result<()> {
        let mut made = Vec::new();
        for config in sinks {
            if self.0.iter().all(|(old, _)| old != config) {
                made.push((config.clone(), start(config, recent, say)?));
            }
        }
        let (kept, ended) = self.0.drain(..).partition(|(old, _)| sinks.contains(old));
        self.0 = kept;
        self.0.extend(made);
        Self(ended).end(say);
        Ok(())
    }

    /// How each is.
    pub(super) fn status(&self) -> Vec<(String, Arc<Status>)> {
        self.0.iter().map(|(config, worker)| (config.name(), worker.status())).collect()
    }

    /// Waits until they have handed on what there is, or cannot.
    pub(super) fn end(&mut self, say: Say) {
        for (_, worker) in &self.0 {
            worker.stop();
        }
        for (config, worker) in self.0.drain(..) {
            let left = worker.join();
            if left > 0 {
                let what =
                    format!("sink `{}` could not take the last {left} events", config.name());
                say(Level::Error, &what);
            }
        }
    }
}

fn target(config: &SinkConfig) -> Box<dyn target::Target> {
    // Which of them need a path or a url was checked.
    let path = |usual: &str| config.path.clone().unwrap_or_else(|| usual.into());
    let reader = config.reader();
    match config.target {
        Target::Stdout => Box::new(Stdout),
        Target::File => Box::new(File::new(path(""), rotation(config))),
        Target::Unix => Box::new(Unix::new(path(""), reader)),
        Target::Webhook => {
            let url = config.url.clone().unwrap_or_default();
            Box::new(Webhook::new(url, config.timeout, config.token_file.clone()))
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

fn start(config: &SinkConfig, recent: &Arc<Recent>, say: Say) -> io::Result<Worker> {
    let filter = config.filter.as_deref().map(Filter::compile).transpose();
    let filter = filter.map_err(|error| io::Error::other(error.to_string()))?;
    let (kinds, events) = (config.kinds.clone(), config.events.clone());
    // What there is of tasks passes: whether there is anything, [probe] says.
    let mut selection = Selection { kinds, events, tasks: true, filter, ..Selection::default() };
    let target = target(config);
    let name = config.name();
    let trouble = move |what: &str| say(Level::Warning, &format!("sink `{name}`: {what}"));
    let admits = Box::new(move |event: &_| selection.admits(event));
    let translator = Translator::new(config.schema);
    Worker::start(recent.reader(From::Now), admits, translator, target, Box::new(trouble))
}

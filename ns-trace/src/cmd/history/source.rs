//! Where the past is known: in the file, or by the collector, which shows what its policy lets the
//! caller see.

use std::{io, ops::ControlFlow};

use crate::{
    cli::HistoryArgs,
    cmd::trace::failure,
    expr::Filter,
    history::{self, Account, Difference, Store},
    model::{Event, From, Time},
    pipeline::Selection,
    report::{Class, Failure, sight},
    serve::{
        client,
        config::Config,
        default_history,
        past::{self, Error, Moment, Page, Question, Subject, Wanted},
    },
};

/// Who answers.
pub(super) enum Past {
    /// The file.
    File(Store),
    /// The collector.
    Collector,
}

impl Past {
    /// The one that is asked for; if that is left open, the file as far as it may be read.
    pub(super) fn of(args: &HistoryArgs) -> Result<Self, Failure> {
        match args.source.0 {
            From::Live if args.file.is_some() => {
                let what =
                    "cannot take --source live with --file, which is read without a collector";
                return Err(Failure::new(what).class(Class::Usage));
            }
            From::Live if sight::asks_as_it_is_numbered() => return Ok(Self::Collector),
            From::Live => return Err(sight::elsewhere()),
            From::Auto | From::Scan => {}
        }
        let file = args.file.clone().unwrap_or_else(|| {
            // What is wrong with a configuration is no concern of who reads.
            Config::load(None).map_or_else(|_| default_history(), |config| config.history.file())
        });
        Store::read(&file).map(Self::File).or_else(|error| {
            let is_open =
                args.source.0 == From::Auto && args.file.is_none() && is_out_of_reach(&error);
            if is_open && sight::asks_as_it_is_numbered() && client::is_there() {
                Ok(Self::Collector)
            } else {
                Err(unreadable(&error))
            }
        })
    }

    /// Hands events to `each` until that breaks off; for how many the expression could not be
    /// evaluated, too.
    pub(super) fn events<B>(
        &self,
        wanted: Wanted,
        mut each: impl FnMut(Event) -> ControlFlow<B>,
    ) -> Result<(Option<B>, u64), Failure> {
        let filter = wanted.filter.clone().unwrap_or_default();
        let selection = wanted.selection();
        let mut selection = selection.map_err(|error| failure::of_filter(&error, &filter))?;
        match self {
            Self::File(store) => {
                let broken = read(store, &wanted, &mut selection, each)?;
                Ok((broken, selection.filter.as_ref().map_or(0, Filter::errors)))
            }
            Self::Collector => {
                let (mut wanted, mut errors) = (wanted, 0);
                loop {
                    let page: Page = ask(Question::Events(Box::new(wanted.clone())))?;
                    errors += page.errors;
                    for event in page.events {
                        if let ControlFlow::Break(broken) = each(event) {
                            return Ok((Some(broken), errors));
                        }
                    }
                    if page.next.is_none() {
                        return Ok((None, errors));
                    }
                    wanted.query.after = page.next;
                }
            }
        }
    }

    pub(super) fn at(&self, at: Option<Time>) -> Result<Moment, Failure> {
        match self {
            Self::File(store) => Moment::find(store, at).map_err(|error| told(&error)),
            Self::Collector => ask(Question::At(at)),
        }
    }

    /// Whether what happens now comes to be known.
    pub(super) fn is_written(&self) -> bool {
        match self {
            Self::File(store) => store.is_written(),
            Self::Collector => true,
        }
    }

    pub(super) fn difference(&self, from: Time, to: Time) -> Result<Difference, Failure> {
        match self {
            Self::File(store) => store.difference(from, to).map_err(|error| unreadable(&error)),
            Self::Collector => ask(Question::Diff(from, to)),
        }
    }

    pub(super) fn who(&self, subject: Subject) -> Result<Vec<Account>, Failure> {
        match self {
            Self::File(store) => past::who(store, subject).map_err(|error| told(&error)),
            Self::Collector => ask(Question::Who(subject)),
        }
    }
}

/// Hands the events of the file to `each`, which may take its time.
fn read<B>(
    store: &Store,
    wanted: &Wanted,
    selection: &mut Selection,
    mut each: impl FnMut(Event) -> ControlFlow<B>,
) -> Result<Option<B>, Failure> {
    for page in wanted.pages(store).map_err(|error| told(&error))? {
        let page = page.map_err(|error| unreadable(&error))?;
        let mut events = page.into_iter().filter(|event| selection.admits(event));
        if let ControlFlow::Break(broken) = events.try_for_each(&mut each) {
            return Ok(Some(broken));
        }
    }
    Ok(None)
}

fn ask<T: serde::de::DeserializeOwned>(question: Question) -> Result<T, Failure> {
    client::past(question).map_err(|error| sight::unanswered(&error))
}

/// Whether a collector may know more than can be read from here.
fn is_out_of_reach(error: &history::Error) -> bool {
    match error {
        history::Error::Missing(_) => true,
        history::Error::Open { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
        _ => false,
    }
}

fn told(error: &Error) -> Failure {
    match error {
        Error::Store(error) => unreadable(error),
        error => Failure::new(error.to_string()),
    }
}

/// What cannot be read, and what can be done.
fn unreadable(error: &history::Error) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        history::Error::Missing(_) => {
            failure.hint("the collector writes it: run ns-trace serve, or name another by --file")
        }
        history::Error::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure.class(Class::Privilege).hint(
                "only its owner may read it, mostly root; the members of the collector's group may \
                 ask it while it runs (--source live)",
            )
        }
        history::Error::Log(_) => failure.hint(
            "to read the log means to write beside it: copy both to a directory where you may write, and \
             name the copy by --file",
        ),
        history::Error::Newer { .. } => {
            failure.hint("use the ns-trace that wrote it, or a later one")
        }
        _ => failure,
    }
}

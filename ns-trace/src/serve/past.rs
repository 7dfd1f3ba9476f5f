//! Questions about the past and their answers, the same whoever asks: a command that may read the
//! file, one that asks the collector instead, or a client of the HTTP API.

use std::{fmt, ops::ControlFlow};

use serde::{Deserialize, Serialize};

use super::{Shared, config::Sight};
use crate::{
    expr::{self, Filter},
    history::{self, Account, Difference, End, Life, Name, Pages, Query, Store},
    model::{Event, Kind, Slot, Time},
    pipeline::Selection,
};

/// How many events are looked at for one answer: who asks for rare ones asks again.
const LOOKED_AT: u64 = 200_000;
/// How many events are in one answer to a command, or tell of one namespace.
const PAGE: usize = 4096;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Question {
    /// Which events there were: a [`Page`].
    Events(Box<Wanted>),
    /// Which namespaces were there at a time, or when the last event was stored: a [`Moment`].
    At(Option<Time>),
    /// What changed from one time to another: a [`Difference`].
    Diff(Time, Time),
    /// Who made a namespace and who entered it: [`Account`]s.
    Who(Subject),
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// What is said of them.
    pub query: Query,
    /// Whom they are about, if that must be known.
    pub about: Option<Subject>,
    /// The types of namespace that they are about; empty is all.
    pub types: Vec<Kind>,
    /// An expression that is true for them.
    #[serde(rename = "where")]
    pub filter: Option<String>,
}

/// Whom a question is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Subject {
    /// A namespace, or those that had the inode one after the other.
    Namespace(Name),
    /// The namespace that a process was last seen in.
    Slot(u32, Slot),
    /// A process.
    Process(u32),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => write!(f, "namespace `{name}`"),
            Self::Slot(pid, slot) => write!(f, "namespace `pid:{pid}:{}`", slot.name()),
            Self::Process(pid) => write!(f, "process {pid}"),
        }
    }
}

/// Some of the events that are asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The first ones.
    pub events: Vec<Event>,
    /// The others come after this number, if there may be some.
    pub next: Option<u64>,
    /// For how many events the expression could not be evaluated.
    pub errors: u64,
}

/// The namespaces that were there at a time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Moment {
    /// When the history begins.
    pub first: Time,
    /// When the last event of it was.
    pub last: Time,
    /// Which time it is.
    pub at: Time,
    /// When a collector was started after it, if it is not known what went on from the last event
    /// before it until then.
    pub started: Option<Time>,
    /// The namespaces.
    pub namespaces: Vec<Life>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing has that name.
    #[error("the history knows no {0}")]
    Unknown(Subject),
    /// There is no event in it.
    #[error("the history is empty")]
    Empty,
    /// The expression is none.
    #[error("where: {}: {source}", .source.position())]
    Filter {
        /// Why.
        #[from]
        source: expr::Error,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] history::Error),
}

impl Wanted {
    /// What only the events themselves show.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression.
    pub fn selection(&self) -> Result<Selection, expr::Error> {
        let filter = self.filter.as_deref().map(Filter::compile).transpose()?;
        let (kinds, events) = (self.types.clone(), self.query.events.clone());
        // What there is of tasks passes: whether there is anything, [probe] says.
        Ok(Selection { kinds, events, tasks: true, filter, ..Selection::default() })
    }

    /// Whether nothing but a time is said of them.
    #[must_use]
    pub fn is_of_all(&self) -> bool {
        let Query { since, until, after, limit, .. } = self.query;
        let query = Query { since, until, after, limit, ..Query::default() };
        *self == Self { query, ..Self::default() }
    }

    /// What a store is asked for.
    fn query(&self, store: &Store) -> Result<Query, Error> {
        let mut query = self.query.clone();
        match self.about {
            None => {}
            Some(Subject::Process(pid)) if store.knows_process(pid)? => query.pids.push(pid),
            Some(subject) => query.namespaces = Some(vec![namespace(store, subject)?]),
        }
        Ok(query)
    }

    /// All that may be asked for, as far as the store knows: a [`selection`](Self::selection) says the
    /// rest.
    ///
    /// # Errors
    ///
    /// If it is about nothing that is known, or the store cannot be read.
    pub fn pages<'s>(&self, store: &'s Store) -> Result<Pages<'s>, Error> {
        Ok(store.pages(&self.query(store)?, PAGE)?)
    }

    /// The first events that are asked for, `most` of them at most.
    pub(super) fn page(
        mut self,
        store: &Store,
        mut selection: Selection,
        most: usize,
    ) -> Result<Page, Error> {
        self.query.limit = Some(LOOKED_AT);
        let mut events: Vec<Event> = Vec::new();
        let ended = store.events(&self.query(store)?, |event| {
            if !selection.admits(&event) {
                return ControlFlow::Continue(());
            }
            if events.len() == most {
                return ControlFlow::Break(());
            }
            events.push(event);
            ControlFlow::Continue(())
        });
        let next = match ended? {
            End::All => None,
            End::Limit(last) => Some(last),
            End::Broken(()) => events.last().map(|event| event.seq),
        };
        let errors = selection.filter.as_ref().map_or(0, Filter::errors);
        Ok(Page { events, next, errors })
    }
}

impl Moment {
    /// Finds them; without a time, when the last event was stored.
    ///
    /// # Errors
    ///
    /// If there is no event, or the store cannot be read.
    pub fn find(store: &Store, at: Option<Time>) -> Result<Self, Error> {
        let (first, last) = store.span()?.ok_or(Error::Empty)?;
        let at = at.unwrap_or(last);
        Ok(Self { first, last, at, started: store.started(at)?, namespaces: store.at(at)? })
    }
}

/// Who made and who entered the namespaces of a name.
///
/// # Errors
///
/// If it is not known, or the store cannot be read.
pub fn who(store: &Store, subject: Subject) -> Result<Vec<Account>, Error> {
    let lives = store.named(&namespace(store, subject)?)?;
    Ok(lives.into_iter().map(|life| store.account(life, PAGE)).collect::<Result<_, _>>()?)
}

fn namespace(store: &Store, subject: Subject) -> Result<Name, Error> {
    let name = match subject {
        Subject::Namespace(name) => Some(name),
        Subject::Slot(pid, slot) => store.last_in(pid, slot)?.map(|ns| Name::from(&ns)),
        Subject::Process(_) => None,
    };
    match name {
        Some(name) if store.knows(&name)? => Ok(name),
        _ => Err(Error::Unknown(subject)),
    }
}

/// The history as somebody sees it; `None` if they see none, or there is none.
pub(super) fn open(shared: &Shared, sight: Sight, uid: u32) -> history::Result<Option<Store>> {
    let Some((path, _)) = &shared.history else { return Ok(None) };
    Ok(match sight {
        Sight::All => Some(Store::read(path)?),
        Sight::Own => Some(Store::read(path)?.only_of(uid)),
        Sight::Nothing => None,
    })
}

/// What a command is answered with.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    Events(Page),
    At(Moment),
    Diff(Difference),
    Who(Vec<Account>),
}

/// Answers a command.
pub(super) fn answer(store: &Store, question: Question) -> Result<Answer, Error> {
    Ok(match question {
        Question::Events(wanted) => {
            let selection = wanted.selection()?;
            Answer::Events(wanted.page(store, selection, PAGE)?)
        }
        Question::At(at) => Answer::At(Moment::find(store, at)?),
        Question::Diff(from, to) => Answer::Diff(store.difference(from, to)?),
        Question::Who(subject) => Answer::Who(who(store, subject)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Body, ByEvent, Loss, Lost, SchemaName, Source, Stage};

    fn lost(seq: u64) -> Event {
        let lost = Loss { count: 1, stage: Stage::Ring, by_event: ByEvent::default(), cpu: None };
        Event {
            schema: SchemaName::V1,
            seq,
            time: Time(seq.cast_signed()),
            boot_ns: seq,
            source: Source::Probe,
            body: Body::Lost(Lost { lost }),
            container: None,
            pod: None,
            lossy: false,
        }
    }

    #[test]
    fn pages_are_one_behind_the_other() {
        let name = format!("ns-trace-test-{}-past", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let path = directory.join("history.db");
        let mut writer = Store::open(&path).unwrap().writer().unwrap();
        (1..=5).for_each(|seq| writer.append(&lost(seq)).unwrap());
        writer.commit().unwrap();
        let store = writer.store();
        let page = |after| {
            let query = Query { after, ..Query::default() };
            let wanted = Wanted { query, ..Wanted::default() };
            let page = wanted.page(store, Selection::default(), 2).unwrap();
            (page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), page.next)
        };
        assert_eq!(page(None), (vec![1, 2], Some(2)));
        assert_eq!(page(Some(2)), (vec![3, 4], Some(4)));
        assert_eq!(page(Some(4)), (vec![5], None));
        let of_nobody = Wanted { about: Some(Subject::Process(7)), ..Wanted::default() };
        let why = of_nobody.page(store, Selection::default(), 2).unwrap_err().to_string();
        assert_eq!(why, "the history knows no process 7");
        let judged = Wanted { filter: Some("seq =".to_owned()), ..Wanted::default() };
        let refused = answer(store, Question::Events(Box::new(judged))).unwrap_err();
        assert!(refused.to_string().starts_with("where: "));
        drop(writer);
        std::fs::remove_dir_all(directory).unwrap();
    }
}

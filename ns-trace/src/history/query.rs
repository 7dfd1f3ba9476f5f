//! Which events are asked for, and finding them.

use std::{
    fmt::{self, Write as _},
    ops::ControlFlow,
};

use rusqlite::{OptionalExtension as _, params_from_iter};
use serde::{Deserialize, Serialize};

use super::{
    Result, Store,
    events::{COLUMNS, Events},
};
use crate::model::{Event, Kind, NsRef, Time, event::EventKind};

/// Which events are asked for; all of what is said must hold. Events that say that others are missing
/// are found whatever is said of the rest but times and numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// Not before this time.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// With numbers above this.
    pub after: Option<u64>,
    /// Among the first so many; `None` is among all.
    pub limit: Option<u64>,
    /// Of these sorts, and health; empty is all.
    pub events: Vec<EventKind>,
    /// Of one of these processes; empty is any.
    pub pids: Vec<u32>,
    /// Of processes of this real user.
    pub uid: Option<u32>,
    /// Of processes in a container whose id begins so.
    pub container: Option<String>,
    /// About one of these namespaces, by [`Name`].
    pub namespaces: Option<Vec<Name>>,
}

/// Which namespaces of all that ever were.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    /// The type; `None` is any.
    pub kind: Option<Kind>,
    /// The inode; `None` is any.
    pub inode: Option<u32>,
    /// The kernel's id; `None` is any.
    pub id: Option<u64>,
}

/// Where the events of a query ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End<B> {
    /// All were handed on.
    All,
    /// The limit was reached, with the event of this number.
    Limit(u64),
    /// It was broken off.
    Broken(B),
}

impl From<&NsRef> for Name {
    fn from(ns: &NsRef) -> Self {
        Self { kind: Some(ns.kind), inode: Some(ns.inode), id: ns.id }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.inode, self.id) {
            (Some(kind), Some(inode), _) => write!(f, "{}:{inode}", kind.name()),
            (None, Some(inode), _) => write!(f, "{inode}"),
            (_, None, id) => write!(f, "id:{}", id.unwrap_or_default()),
        }
    }
}

impl Name {
    /// As a condition on the columns of `table`. Nothing but numbers stands in it.
    pub(super) fn condition(&self, table: &str) -> String {
        let mut condition = String::from("1");
        // Writing to a string cannot fail.
        if let Some(inode) = self.inode {
            let _ = write!(condition, " AND {table}inode = {inode}");
        }
        if let Some(kind) = self.kind {
            let _ = write!(condition, " AND {table}kind = {}", kind as u32);
        }
        if let Some(id) = self.id {
            let _ = write!(condition, " AND {table}ns_id = {}", id.cast_signed());
        }
        condition
    }
}

impl Query {
    /// As SQL; the parameter is the start of the container's id.
    pub(super) fn sql(&self, what: &str) -> String {
        let mut sql = format!("SELECT {what} FROM event e WHERE 1{}{}", self.times(), self.sorts());
        // Numbers grow with time but for steps of the clock: what is asked for lies between two of them.
        if let Some(Time(since)) = self.since {
            let _ = write!(sql, " AND e.seq >= (SELECT min(seq) FROM event WHERE time >= {since})");
        }
        if let Some(Time(until)) = self.until {
            let _ = write!(sql, " AND e.seq <= (SELECT max(seq) FROM event WHERE time < {until})");
        }
        if let Some(after) = self.after {
            let _ = write!(sql, " AND e.seq > {}", after.min(i64::MAX as u64));
        }
        if let Some(narrow) = self.narrow() {
            let lost = "SELECT seq FROM event WHERE event = 9";
            let _ = write!(sql, " AND e.seq IN ({lost} UNION {narrow})");
        }
        sql
    }

    /// What must hold of the time of an event.
    pub(super) fn times(&self) -> String {
        let since = self.since.map(|Time(since)| format!(" AND e.time >= {since}"));
        let until = self.until.map(|Time(until)| format!(" AND e.time < {until}"));
        since.unwrap_or_default() + &until.unwrap_or_default()
    }

    /// What must hold of its sort.
    pub(super) fn sorts(&self) -> String {
        if self.events.is_empty() {
            return String::new();
        }
        let health = [EventKind::Lost, EventKind::Sync];
        let sorts = self.events.iter().chain(&health).map(|kind| (*kind as u8).to_string());
        format!(" AND e.event IN ({})", sorts.collect::<Vec<_>>().join(","))
    }

    /// Whether more is said of them than when they were and of which sort.
    pub(super) fn is_narrow(&self) -> bool {
        self.narrow().is_some()
    }

    /// The numbers of the events of the processes and about the namespaces that are asked for.
    fn narrow(&self) -> Option<String> {
        let mut of_process = String::new();
        if !self.pids.is_empty() {
            let pids: Vec<_> = self.pids.iter().map(u32::to_string).collect();
            let _ = write!(of_process, " AND p.pid IN ({})", pids.join(","));
        }
        if let Some(uid) = self.uid {
            let _ = write!(of_process, " AND p.uid = {uid}");
        }
        if self.container.is_some() {
            let places = "SELECT id FROM place WHERE substr(container, 1, length(?1)) = ?1";
            let _ = write!(of_process, " AND p.place IN ({places})");
        }
        let of_process = (!of_process.is_empty()).then(|| {
            format!(
                "SELECT x.seq FROM process p JOIN event x ON x.process = p.id WHERE 1{of_process}"
            )
        });
        let about = self.namespaces.as_ref().map(|names| {
            let names: Vec<_> =
                names.iter().map(|name| format!("({})", name.condition(""))).collect();
            let names = if names.is_empty() { "0".to_owned() } else { names.join(" OR ") };
            let rows = format!("(SELECT id FROM namespace WHERE {names})");
            format!(
                "SELECT seq FROM event WHERE ns IN {rows} UNION \
                 SELECT seq FROM change WHERE source IN {rows} UNION \
                 SELECT seq FROM change WHERE target IN {rows}"
            )
        });
        match (of_process, about) {
            (Some(process), Some(about)) => {
                Some(format!("SELECT * FROM ({process} INTERSECT SELECT * FROM ({about}))"))
            }
            (one, other) => one.or(other),
        }
    }
}

impl Store {
    /// Hands the events of a query to `each` in their order, until that breaks off; `each` waits for
    /// nobody (see [`pages`](Self::pages)).
    /// [`Query::limit`] counts also those that are not told of (see [`only_of`](Self::only_of)).
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn events<B>(
        &self,
        query: &Query,
        mut each: impl FnMut(Event) -> ControlFlow<B>,
    ) -> Result<End<B>> {
        let mut sql = query.sql(COLUMNS);
        sql.push_str(" ORDER BY e.seq");
        if let Some(limit) = query.limit {
            let _ = write!(sql, " LIMIT {limit}");
        }
        let mut statement = self.connection.prepare(&sql)?;
        let mut events = Events::new(&self.connection)?;
        let mut rows = statement.query(params_from_iter(&query.container))?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let event = events.read(row)?;
            let seq = event.seq;
            count += 1;
            if self.tells(&event)
                && let ControlFlow::Break(broken) = each(event)
            {
                return Ok(End::Broken(broken));
            }
            if query.limit == Some(count) {
                return Ok(End::Limit(seq));
            }
        }
        Ok(End::All)
    }

    fn tells(&self, event: &Event) -> bool {
        self.only.is_none_or(|uid| event.is_of(uid))
    }

    /// The first events that are told of and for which a condition on their columns holds.
    pub(super) fn chosen(&self, condition: &str, most: usize) -> Result<Vec<Event>> {
        let sql = format!("SELECT {COLUMNS} FROM event e WHERE {condition} ORDER BY e.seq");
        let mut statement = self.connection.prepare(&sql)?;
        let mut events = Events::new(&self.connection)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            found.push(events.read(row)?);
            found.pop_if(|event| !self.tells(event));
        }
        Ok(found)
    }

    /// The last alerts, at most so many; the first ones first.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn last_alerts(&self, most: usize) -> Result<Vec<Event>> {
        let alerts =
            format!("SELECT seq FROM event WHERE event = 11 ORDER BY seq DESC LIMIT {most}");
        self.chosen(&format!("e.seq IN ({alerts})"), most)
    }

    /// When the first and the last event were, or if there is none yet, the first and the last birth that
    /// is known; `None` if there is nothing at all.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn span(&self) -> Result<Option<(Time, Time)>> {
        // One at a time, as an index answers them.
        let query = "SELECT \
            ifnull((SELECT time FROM event ORDER BY seq LIMIT 1), \
                (SELECT min(began) FROM namespace)), \
            ifnull((SELECT time FROM event ORDER BY seq DESC LIMIT 1), \
                (SELECT max(began) FROM namespace))";
        let row = self.connection.query_row(query, [], |row| {
            let times: (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok(times)
        });
        let (first, last) = row.optional()?.unwrap_or_default();
        Ok(first.zip(last).map(|(first, last)| (Time(first), Time(last))))
    }
}

//! What was there at some time, what changed between two, and who did it.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{OptionalExtension as _, Params, Row};
use serde::{Deserialize, Serialize};

use super::{
    Result, Store,
    life::{self, CREATOR, CREATOR_JOIN, INFO, INFO_COLUMNS, JOIN},
    query::Name,
    schema::NEVER,
};
use crate::model::{
    Cause, Creator, Event, Kind, NsInfo, NsRef, Slot, Time,
    event::{Body, EventKind, Reason},
};

/// The life of a namespace.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// The namespace and its relatives.
    pub ns: NsInfo,
    /// When it was first told of: its birth, if that was seen.
    pub began: Time,
    /// When it ended, if it did; where that went unseen, the time by which it was noticed.
    pub ended: Option<Time>,
    /// What made it. None if it is older than the history.
    pub cause: Option<Cause>,
    /// Who made it. None if it is older than the history.
    pub creator: Option<Arc<Creator>>,
    #[serde(skip)]
    row: i64,
}

/// What changed between two times.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// What is there at the second time only.
    pub made: Vec<Life>,
    /// What was there at the first time only.
    pub gone: Vec<Life>,
    /// How many of each type came and went in between.
    pub passed: BTreeMap<Kind, u64>,
}

/// Who made a namespace, and who entered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The namespace.
    #[serde(flatten)]
    pub life: Life,
    /// The event of its birth, if that was seen and is still kept.
    pub made: Option<Event>,
    /// What tasks did that entered it, in order.
    pub entered: Vec<Event>,
    /// Whether there was more of that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Store {
    /// The namespaces that were there at a time.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn at(&self, Time(time): Time) -> Result<Vec<Life>> {
        self.lives("n.ended > ?1 AND n.began <= ?1", [time])
    }

    /// When a collector was started, if that is the first thing after a time: before, nobody looked.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn started(&self, Time(time): Time) -> Result<Option<Time>> {
        // What was in the ring when it was said is told after it, and may have been before.
        let next = format!("e.seq = (SELECT min(seq) FROM event WHERE time > {time})");
        let next = self.chosen(&next, 1)?.pop();
        let is_start =
            |event: &Event| matches!(&event.body, Body::Sync(sync) if sync.reason == Reason::Start);
        Ok(next.filter(is_start).map(|event| event.time))
    }

    /// What changed from one time to another.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn difference(&self, Time(from): Time, Time(to): Time) -> Result<Difference> {
        Ok(Difference {
            made: self.lives("n.began > ?1 AND n.began <= ?2 AND n.ended > ?2", [from, to])?,
            gone: self.lives("n.ended > ?1 AND n.ended <= ?2 AND n.began <= ?1", [from, to])?,
            passed: self.passed(from, to)?,
        })
    }

    fn passed(&self, from: i64, to: i64) -> Result<BTreeMap<Kind, u64>> {
        let query = format!(
            "SELECT n.kind, count(*) FROM namespace n WHERE n.began > ?1 AND n.ended <= ?2{} \
             GROUP BY n.kind",
            self.seen()
        );
        let mut statement = self.connection.prepare(&query)?;
        let rows = statement.query_map([from, to], |row| {
            Ok((life::kind(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// The lives of all namespaces with a name, the first ones first.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn named(&self, name: &Name) -> Result<Vec<Life>> {
        self.lives(&format!("n.began IS NOT NULL AND {}", name.condition("n.")), [])
    }

    /// Who made and who entered a namespace, with at most so many events of the latter.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn account(&self, life: Life, most: usize) -> Result<Account> {
        let row = life.row;
        let birth = format!("event = {} AND ns = {row}", EventKind::Create as u8);
        let entry = format!(
            "event IN ({}, {}) AND seq IN (SELECT seq FROM change WHERE target = {row})",
            EventKind::Enter as u8,
            EventKind::Exec as u8
        );
        let made = self.chosen(&birth, 1)?.pop();
        let mut entered = self.chosen(&entry, most.saturating_add(1))?;
        let more = entered.len() > most;
        entered.truncate(most);
        Ok(Account { life, made, entered, more })
    }

    /// Whether a namespace of that name was ever heard of.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn knows(&self, name: &Name) -> Result<bool> {
        let (name, seen) = (name.condition("n."), self.seen());
        let query = format!("SELECT 1 FROM namespace n WHERE {name}{seen}");
        Ok(self.connection.prepare(&query)?.exists([])?)
    }

    /// Whether a process of that number was ever heard of.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn knows_process(&self, pid: u32) -> Result<bool> {
        let query = format!("SELECT 1 FROM process p WHERE p.pid = ?1{}", self.own());
        Ok(self.connection.prepare(&query)?.exists([pid])?)
    }

    /// The namespace in a slot of a process, as it was when that was last heard of.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn last_in(&self, pid: u32, slot: Slot) -> Result<Option<NsRef>> {
        let query = format!(
            "SELECT n.kind, n.inode, n.ns_id, n.initial FROM process p \
             JOIN slots s ON s.id = p.slots JOIN namespace n ON n.id = s.{} \
             WHERE p.pid = ?1{} ORDER BY p.id DESC LIMIT 1",
            slot.name(),
            self.own()
        );
        let found = self.connection.query_row(&query, [pid], |row| life::reference(row, 0));
        Ok(found.optional()?)
    }

    fn lives(&self, condition: &str, parameters: impl Params) -> Result<Vec<Life>> {
        let query = format!(
            "SELECT {INFO}, n.began, n.ended, n.cause, {CREATOR} FROM namespace n {JOIN} \
             {CREATOR_JOIN} WHERE {condition}{}",
            self.seen()
        );
        let mut statement = self.connection.prepare_cached(&query)?;
        let rows = statement.query_map(parameters, read)?;
        let mut lives: Vec<_> = rows.collect::<std::result::Result<_, _>>()?;
        lives.sort_by_key(|life| life.row);
        if let Some(uid) = self.only {
            for life in &mut lives {
                life.creator.take_if(|creator| creator.uid != uid);
            }
        }
        Ok(lives)
    }

    /// What must hold, too, of a process `p` that is told of.
    fn own(&self) -> String {
        self.only.map(|uid| format!(" AND p.uid = {uid}")).unwrap_or_default()
    }

    /// What must hold, too, of a namespace `n` that is told of.
    fn seen(&self) -> String {
        let Some(uid) = self.only else { return String::new() };
        let entered = Slot::ALL.map(|slot| format!("SELECT {} FROM own", slot.name()));
        format!(
            " AND (n.initial OR n.creator IN (SELECT id FROM process WHERE uid = {uid}) OR n.id IN \
             (WITH own AS MATERIALIZED (SELECT * FROM slots WHERE id IN \
             (SELECT slots FROM process WHERE uid = {uid})) {}))",
            entered.join(" UNION ")
        )
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Life> {
    let ended = row.get(INFO_COLUMNS + 1)?;
    Ok(Life {
        row: row.get(0)?,
        ns: life::info(row)?,
        began: Time(row.get(INFO_COLUMNS)?),
        ended: (ended != NEVER).then_some(Time(ended)),
        cause: row.get::<_, Option<u32>>(INFO_COLUMNS + 2)?.map(Cause::from_wire),
        creator: life::creator(row, INFO_COLUMNS + 3)?,
    })
}

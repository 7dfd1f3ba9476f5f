//! The events of a query for who takes their time.

use std::vec;

use rusqlite::params_from_iter;

use super::{Query, Result, Store};
use crate::model::Event;

/// The events of a query in their order, page by page. Between two pages nothing of the store is held:
/// what is written meanwhile would else have to stay in its log until the last one is read.
#[derive(Debug)]
pub struct Pages<'s> {
    store: &'s Store,
    most: usize,
    rest: Rest,
}

/// Which events are still to come; found once, so that the last page costs no more than the first.
#[derive(Debug)]
enum Rest {
    /// Those for which a condition holds with numbers above one and up to another.
    Between { after: i64, last: i64, condition: String },
    /// Those with these numbers.
    Numbered(vec::IntoIter<i64>),
}

impl Rest {
    /// What holds for the next ones; `None` if there are no more.
    fn next(&mut self, most: usize) -> Option<String> {
        match self {
            Self::Between { after, last, condition } => {
                (after < last).then(|| format!("e.seq > {after} AND e.seq <= {last}{condition}"))
            }
            Self::Numbered(numbers) => {
                let numbers: Vec<_> = numbers.take(most).map(|number| number.to_string()).collect();
                (!numbers.is_empty()).then(|| format!("e.seq IN ({})", numbers.join(",")))
            }
        }
    }
}

impl Store {
    /// The events of a query in pages of at most so many; its limit says nothing here.
    ///
    /// # Errors
    ///
    /// If they cannot be found.
    pub fn pages(&self, query: &Query, most: usize) -> Result<Pages<'_>> {
        let rest = if query.is_narrow() { self.numbered(query)? } else { self.between(query)? };
        Ok(Pages { store: self, most, rest })
    }

    fn numbered(&self, query: &Query) -> Result<Rest> {
        let sql = query.sql("e.seq") + " ORDER BY e.seq";
        let mut statement = self.connection.prepare(&sql)?;
        let numbers = statement.query_map(params_from_iter(&query.container), |row| row.get(0))?;
        let numbers: Vec<_> = numbers.collect::<std::result::Result<_, _>>()?;
        Ok(Rest::Numbered(numbers.into_iter()))
    }

    fn between(&self, query: &Query) -> Result<Rest> {
        let times = query.times();
        let bound = |which| format!("(SELECT {which}(e.seq) FROM event e WHERE 1{times})");
        let bounds = format!("SELECT {}, {}", bound("min"), bound("max"));
        let (first, last): (Option<i64>, Option<i64>) =
            self.connection.query_row(&bounds, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let before = first.unwrap_or_default().saturating_sub(1);
        let after = before.max(query.after.unwrap_or_default().try_into().unwrap_or(i64::MAX));
        let condition = times + &query.sorts();
        Ok(Rest::Between { after, last: last.unwrap_or_default(), condition })
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<Event>>;

    fn next(&mut self) -> Option<Self::Item> {
        let condition = self.rest.next(self.most)?;
        let page = self.store.chosen(&condition, self.most);
        if let Rest::Between { after, last, .. } = &mut self.rest {
            let is_full = |page: &&Vec<_>| page.len() == self.most;
            let reached = page.as_ref().ok().filter(is_full).and_then(|page| page.last());
            *after = reached.map_or(*last, |event| event.seq.cast_signed());
        }
        Some(page)
    }
}

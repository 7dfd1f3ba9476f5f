//! What is forgotten, a little at a time: between two commits, so that the writer never waits long.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Result, Writer};

/// How many events are forgotten at a time.
const PIECE: u32 = 2000;
/// How many pages are given back at a time, once so many are free.
const PAGES: i64 = 256;
/// A namespace is kept for a while after the last event that can point at it.
const SLACK: i64 = 60_000_000_000;
/// After so many forgotten events it is looked for what nobody points at any more.
const SWEEP: u64 = 200_000;

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// For how long.
    pub age: Duration,
    /// At most about so many bytes.
    pub bytes: u64,
}

impl Writer {
    /// Forgets some of what is beyond the limits; `now` is in nanoseconds since 1970. Tells whether
    /// there is more to forget. Must not be called between an event and its commit.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn retain(&mut self, limits: &Limits, now: i64) -> Result<bool> {
        let age = i64::try_from(limits.age.as_nanos()).unwrap_or(i64::MAX);
        let connection = &self.store().connection;
        let last = match last_of_piece(connection, now.saturating_sub(age))? {
            Some(last) => Some(last),
            None if used(connection)? > limits.bytes => last_of_piece(connection, i64::MAX)?,
            None => None,
        };
        let Some(last) = last else {
            self.give_back()?;
            return Ok(false);
        };
        // What is known by heart may point at what is forgotten.
        let forgotten = self.alone(|connection| forget(connection, last))?;
        self.forgotten += forgotten;
        if self.forgotten >= SWEEP {
            self.forgotten = 0;
            self.alone(sweep)?;
        }
        self.give_back()?;
        Ok(true)
    }

    /// Gives free pages back to the file system.
    fn give_back(&self) -> Result<()> {
        let connection = &self.store().connection;
        if pragma(connection, "freelist_count")? > 2 * PAGES {
            let vacuum = format!("PRAGMA incremental_vacuum({PAGES})");
            let mut statement = connection.prepare(&vacuum)?;
            let mut rows = statement.query([])?;
            // Each step gives one page back.
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}

fn pragma(connection: &Connection, name: &str) -> Result<i64> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

/// How many bytes are in use.
fn used(connection: &Connection) -> Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(pages.cast_unsigned().saturating_mul(pragma(connection, "page_size")?.cast_unsigned()))
}

/// The number of the last of the first events before a time.
fn last_of_piece(connection: &Connection, time: i64) -> Result<Option<i64>> {
    let query = "SELECT max(seq) FROM \
        (SELECT seq, time FROM event ORDER BY seq LIMIT ?2) WHERE time < ?1";
    let mut query = connection.prepare_cached(query)?;
    Ok(query.query_row(params![time, PIECE], |row| row.get(0))?)
}

/// Forgets all events up to `last`, and what is of no use without them.
fn forget(transaction: &Connection, last: i64) -> Result<u64> {
    let run = |sql: &str| transaction.prepare_cached(sql)?.execute([last]);
    let temporary = "CREATE TEMP TABLE IF NOT EXISTS forgotten(process INTEGER PRIMARY KEY)";
    transaction.execute_batch(temporary)?;
    run(
        "INSERT OR IGNORE INTO forgotten SELECT process FROM event WHERE seq <= ?1 AND process IS NOT NULL",
    )?;
    let time: Option<i64> =
        transaction
            .query_row("SELECT max(time) FROM event WHERE seq <= ?1", [last], |row| row.get(0))?;
    run("DELETE FROM change WHERE seq <= ?1")?;
    let count = run("DELETE FROM event WHERE seq <= ?1")?;
    transaction
        .prepare_cached(
            "DELETE FROM namespace WHERE id IN (SELECT n.id FROM namespace n WHERE n.ended < ?1 \
             AND NOT EXISTS (SELECT 1 FROM event WHERE ns = n.id) \
             AND NOT EXISTS (SELECT 1 FROM change WHERE source = n.id) \
             AND NOT EXISTS (SELECT 1 FROM change WHERE target = n.id) LIMIT 10000)",
        )?
        .execute([time.unwrap_or_default().saturating_sub(SLACK)])?;
    // Who made what still lives is looked at again the next time.
    transaction.execute_batch(
        "DELETE FROM process WHERE id IN (SELECT f.process FROM forgotten f \
         WHERE NOT EXISTS (SELECT 1 FROM event WHERE process = f.process) \
         AND NOT EXISTS (SELECT 1 FROM namespace WHERE creator = f.process)); \
         DELETE FROM forgotten \
         WHERE NOT EXISTS (SELECT 1 FROM process WHERE id = forgotten.process)",
    )?;
    Ok(count as u64)
}

/// Removes what no process points at any more, and processes that nothing points at.
fn sweep(transaction: &Connection) -> Result<()> {
    Ok(transaction.execute_batch(
        "DELETE FROM process WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.process = process.id) \
         AND NOT EXISTS (SELECT 1 FROM namespace WHERE creator = process.id); \
         DELETE FROM slots WHERE id NOT IN (SELECT slots FROM process); \
         DELETE FROM program WHERE id NOT IN (SELECT program FROM process); \
         DELETE FROM place WHERE id NOT IN (SELECT place FROM process)",
    )?)
}

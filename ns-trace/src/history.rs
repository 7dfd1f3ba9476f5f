//! The past: a store of every event and of the life of every namespace, and recorded streams.
//!
//! The store is one `SQLite` file. One [`Writer`] writes it; any number of readers, in this process or
//! in others, read it meanwhile. A namespace, a set of slots, a program, a place and a process stand
//! in it once each, and events point at them.

mod detail;
mod events;
mod life;
mod moment;
mod pages;
mod past;
mod query;
pub mod replay;
mod retain;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::{io, path::PathBuf};

pub use self::{
    moment::parse_moment,
    pages::Pages,
    past::{Account, Difference, Life},
    query::{End, Name, Query},
    retain::Limits,
    store::Store,
    writer::Writer,
};

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no history at {}", .0.display())]
    Missing(PathBuf),
    /// The file cannot be opened.
    #[error("cannot open the history {}: {source}", .path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is no history of ns-trace", .0.display())]
    Foreign(PathBuf),
    /// A later ns-trace wrote it.
    #[error(
        "the history {} has version {version}; this ns-trace knows versions up to {known}",
        .path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The last one that is known.
        known: u32,
    },
    /// It is ours, but somebody has changed it.
    #[error(
        "the history {} does not say which version it has; move it away, and a new one is begun",
        .0.display()
    )]
    Versionless(PathBuf),
    /// It has a log that cannot be read where it is.
    #[error(
        "the history {path} has newer events in its log, {path}-wal, which cannot be read there",
        path = .0.display()
    )]
    Log(PathBuf),
    /// Another collector writes it.
    #[error("another collector writes the history {}", .0.display())]
    Taken(PathBuf),
    /// What `SQLite` says.
    #[error("history: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// What stands in it makes no sense.
    #[error("history: event {seq} cannot be read: {what}")]
    Broken {
        /// Which event.
        seq: u64,
        /// What is wrong.
        what: String,
    },
}

/// What a function of this room returns.
pub type Result<T> = std::result::Result<T, Error>;

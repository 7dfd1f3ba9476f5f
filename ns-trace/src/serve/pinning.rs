//! Probes that outlive their collector.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    Error, Level, Place, Say,
    config::{Pin, ProbeConfig},
};
use crate::{pipeline::journal, probe::pins};

/// The sockets that a collector has in its directory.
const SOCKETS: [&str; 2] = ["control.sock", "http.sock"];

/// Where probes are to be pinned; `None` if they are to end with this process, as asked for or since
/// they must.
pub(super) fn wanted(config: &ProbeConfig, say: Say) -> Result<Option<PathBuf>, Error> {
    let directory = &config.pin_directory;
    let is_wanted = match config.pin {
        Pin::Always => true,
        Pin::Auto => env::var_os("NOTIFY_SOCKET").is_some(),
        Pin::Never => false,
    };
    if is_wanted {
        return match pins::obstacle(directory) {
            None => Ok(Some(directory.clone())),
            Some(obstacle) if config.pin == Pin::Always => Err(Error::Pin(obstacle)),
            Some(obstacle) => {
                let what = format!("what happens during a restart will be missing: {obstacle}");
                say(Level::Warning, &what);
                Ok(None)
            }
        };
    }
    if pins::sets(directory).is_ok_and(|sets| !sets.is_empty()) {
        let what = format!(
            "probes of a former collector go on in {}; `ns-trace serve --unpin` ends them",
            directory.display()
        );
        say(Level::Warning, &what);
    }
    Ok(None)
}

/// Ends probes that outlived their collector, and removes what was kept for the next one; returns how
/// many sets of probes there were.
///
/// # Errors
///
/// If a collector runs in `directory`, or a file cannot be removed.
pub fn unpin(directory: &Path, pin_directory: &Path) -> Result<usize, Error> {
    let place = Place::take(directory)?;
    let shown = pin_directory.display();
    let removed = pins::remove_all(pin_directory);
    let removed = removed.map_err(Error::io(format!("remove the pins in {shown}")))?;
    let shown = directory.display();
    let was_kept = journal::remove(directory);
    let was_kept = was_kept.map_err(Error::io(format!("remove files in {shown}")))?;
    // Of one that was killed.
    for name in SOCKETS {
        place.socket(name).map_err(Error::io(format!("remove {name} in {shown}")))?;
    }
    drop(place);
    if was_kept {
        // Something else may be in it.
        let _gone = fs::remove_dir(directory);
    }
    Ok(removed)
}

/// How far the stream has come: after which event it can be taken up, and which has arrived.
#[derive(Debug)]
pub(super) struct Marks {
    taken_up: AtomicU64,
    arrived: AtomicU64,
}

impl Default for Marks {
    /// Of a stream that ends with its process: nothing is to be waited for.
    fn default() -> Self {
        Self { taken_up: AtomicU64::new(u64::MAX), arrived: AtomicU64::new(u64::MAX) }
    }
}

impl Marks {
    /// Of one all of whose events up to `seq` have arrived, in a history that says what else has.
    pub(super) const fn after(seq: u64) -> Self {
        Self { taken_up: AtomicU64::new(seq), arrived: AtomicU64::new(seq) }
    }

    /// After which event the stream can be taken up, the last one known.
    pub(super) fn last(&self) -> u64 {
        self.taken_up.load(Ordering::Acquire)
    }

    /// Says that event `seq` has arrived, and all before it.
    pub(super) fn arrive(&self, seq: u64) {
        self.arrived.fetch_max(seq, Ordering::AcqRel);
    }

    /// The stream can be taken up after event `seq`.
    pub(super) fn mark(&self, seq: u64) {
        self.taken_up.store(seq, Ordering::Release);
    }

    /// The stream cannot be taken up at all: no event waits for others.
    pub(super) fn give_up(&self) {
        self.mark(u64::MAX);
    }

    /// Event `seq` has arrived for good, and all before it.
    pub(super) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Acquire)
    }
}

//! Probes of another make that a former process has left: what they have told and nobody has read yet.

use std::{
    fs, io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::maps::{HashMap, Map, MapData, MapError};
use ns_trace_common::{lost::Ledger, repeat::Thread};

use super::{
    losses::{Gaps, Losses},
    pins,
    record::{RecordBuffer, header},
};
use crate::{
    model::event::ByEvent,
    sys::{
        bpf::{object, pin},
        mapping::Mapping,
        ring::Ring,
    },
};

/// Records are handed on in pieces of about this many bytes.
const PIECE: usize = 1 << 19;

/// A set of them.
#[derive(Debug)]
pub struct Former {
    place: PathBuf,
    ring: Ring,
    ring_name: String,
    ledgers: Mapping<Ledger>,
}

impl Former {
    /// The sets in `directory` whose records this program can read, but for the one called `own`.
    /// What cannot be opened is left out.
    #[must_use]
    pub fn all(directory: &Path, own: &Path) -> Vec<Self> {
        let sets = pins::sets(directory).unwrap_or_default();
        let readable = sets.into_iter().filter(|set| set != own && pins::is_readable(set));
        readable.filter_map(|set| Self::open(set).ok()).collect()
    }

    fn open(place: PathBuf) -> io::Result<Self> {
        let (ring, ledgers) =
            (pin::open(&place.join("map_EVENTS"))?, pin::open(&place.join("map_LEDGERS"))?);
        let (id, bytes) = pin::map_info(ring.as_fd())?;
        let (_, cpus) = pin::map_info(ledgers.as_fd())?;
        Ok(Self {
            ring: Ring::new(ring, bytes as usize)?,
            ring_name: pins::ring_name(id),
            ledgers: Mapping::new(ledgers, cpus as usize)?,
            place,
        })
    }

    /// The name of their ring, as [`Probes::ring_name`](super::Probes::ring_name) says it.
    #[must_use]
    pub fn ring_name(&self) -> &str {
        &self.ring_name
    }

    /// Detaches them, once they have told what they have counted.
    ///
    /// # Errors
    ///
    /// If the kernel refuses to run a program, or those of removing files.
    pub fn detach(&self) -> io::Result<()> {
        let program = pin::open(&self.place.join("program_repeats"))?;
        let map = MapData::from_fd(pin::open(&self.place.join("map_REPEATS"))?);
        let map = map.map_err(io::Error::other)?;
        let map: HashMap<_, u32, [u64; size_of::<Thread>() / 8]> =
            HashMap::try_from(Map::HashMap(map)).map_err(io::Error::other)?;
        let tids: Result<Vec<u32>, MapError> = map.keys().collect();
        for tid in tids.map_err(io::Error::other)? {
            object::run_on_demand(program.as_fd(), &[tid.into()])?;
        }
        for entry in fs::read_dir(&self.place)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("link_") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Reads what they have told from `position` on; the numbers of the records go into `gaps`.
    pub fn rest(&mut self, position: u64, gaps: &mut Gaps) -> Vec<RecordBuffer> {
        self.ring.seek(position);
        let mut pieces = vec![RecordBuffer::default()];
        while let Some(record) = self.ring.next() {
            if let Some(header) = header(record) {
                gaps.came(header);
            }
            if pieces.last().is_none_or(|piece| piece.len() > PIECE) {
                pieces.push(RecordBuffer::default());
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push(record);
            }
        }
        pieces
    }

    #[expect(clippy::type_complexity, reason = "two lists, each by CPU")]
    /// What they have lost, and nobody was told of: events by their sort, and records of no known one.
    pub fn lost(
        &self,
        losses: &mut Losses,
        gaps: &mut Gaps,
    ) -> (Vec<(u16, ByEvent)>, Vec<(u16, u64)>) {
        let events = losses.look(&self.ledgers);
        // What is still missing the second time is missing for good.
        gaps.check(&self.ledgers);
        (events, gaps.check(&self.ledgers))
    }

    /// Removes them.
    ///
    /// # Errors
    ///
    /// Those of removing files.
    pub fn remove(self) -> io::Result<()> {
        pin::remove(&self.place).map(drop)
    }
}

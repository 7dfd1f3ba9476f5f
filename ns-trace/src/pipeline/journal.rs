//! What a live stream knows, written down while it goes on: another process can take it up where the
//! last of its events arrived.
//!
//! A file begins with the whole state; what changes it follows: the records, and what no record
//! tells. Taken up, the state is led through the same changes up to the last event that arrived, and
//! what came after it is read from the ring again. The files need not survive the kernel, whose ring
//! does not either.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bytemuck::{Pod, Zeroable};
use ns_trace_common::Ns;
use serde::{Deserialize, Serialize};

use crate::{
    model::Kind,
    probe::{Gaps, Losses, Misses, RecordBuffer},
    table,
};

/// Number of the format; of another, nothing is taken up.
const FORMAT: u32 = 1;
/// How files are called, before their number.
const NAME: &str = "state-";
/// A file is followed by another when it has grown by so many bytes, and by as much again as it began
/// with.
const LONG: u64 = 16 << 20;

const STATE: u32 = 0;
const RECORDS: u32 = 1;
const NOTE: u32 = 2;

/// What stands before each part of a file.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
struct Head {
    /// What it is.
    sort: u32,
    /// Bytes that follow; padded to 8.
    len: u32,
    /// The number of the last event that was told before its end.
    seq: u64,
    /// Where in the ring what was read until then ends.
    position: u64,
}

/// All that is known.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// Which ring is meant.
    ring: String,
    /// Whether it is the first state of it: before, only the start of the stream was told.
    is_first: bool,
    pub(super) losses: Losses,
    pub(super) gaps: Gaps,
    pub(super) misses: Misses,
    pub(super) table: table::State,
}

/// What no record tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Note {
    /// A look found that a namespace was gone.
    Died { kind: Kind, address: u64, id: u64, inode: u32, boot_ns: u64 },
    /// Losses were told that were found in the counters.
    Losses(Losses),
    /// Records were said to be missing.
    Missing { cpu: u16, records: u64 },
    /// Runs of the probes were said to be missing.
    Misses(Misses),
}

impl Note {
    pub(super) const fn died(kind: Kind, ns: &Ns, boot_ns: u64) -> Self {
        let Ns { address, id, inode, reserved: _ } = *ns;
        Self::Died { kind, address, id, inode, boot_ns }
    }
}

/// A change of the state.
#[derive(Debug)]
pub(super) enum Change {
    Records(RecordBuffer),
    Note(Note),
}

/// What was found of a former process.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) state: State,
    pub(super) changes: Vec<Change>,
    /// Where in the ring to go on.
    pub(super) position: u64,
    /// Whether the start of the stream has not arrived, and is to be told again.
    pub(super) is_start: bool,
}

/// The files.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    ring: String,
    /// Whether there was a state of this ring before.
    is_known: bool,
    /// The number of the file that is written, 0 if there is none yet.
    number: u64,
    file: Option<File>,
    /// Bytes of the file, and how many of them are its beginning.
    len: (u64, u64),
    /// Files that are needed until this event has arrived.
    former: Option<(u64, Vec<PathBuf>)>,
    seq: u64,
    position: u64,
}

impl Journal {
    /// Files about `ring` in a directory, none yet.
    pub(super) fn new(directory: &Path, ring: String) -> Self {
        Self {
            directory: directory.to_owned(),
            ring,
            is_known: false,
            number: 0,
            file: None,
            len: (0, 0),
            former: None,
            seq: 0,
            position: 0,
        }
    }

    /// What a former process has left about the same ring, up to the event that `arrived` last;
    /// `None` if nothing can be taken up.
    pub(super) fn find(&mut self, arrived: Option<u64>) -> io::Result<Option<Found>> {
        let files = files(&self.directory)?;
        self.number = files.last().map_or(0, |(number, _)| *number);
        let arrived = arrived.unwrap_or(u64::MAX);
        let mut start = None;
        for (_, path) in files.iter().rev() {
            let bytes = fs::read(path)?;
            if let Some(found) = read(&bytes, &self.ring, arrived) {
                self.is_known = true;
                return Ok(Some(found));
            }
            let Some((head, _)) = parts(&bytes).next() else { continue };
            let found = read(&bytes, &self.ring, head.seq).filter(|found| found.state.is_first);
            if let Some(found) = found {
                // All that was told after the start is still in the ring.
                let (changes, position) = (Vec::new(), head.position);
                start = Some(Found { changes, position, is_start: true, ..found });
            }
        }
        Ok(start)
    }

    /// Writes all that is known once event `seq` was told and the ring was read up to `position`.
    pub(super) fn begin(
        &mut self,
        (seq, position): (u64, u64),
        accounts: (&Losses, &Gaps, &Misses),
        table: table::State,
    ) -> io::Result<()> {
        let (losses, gaps, misses) = accounts;
        let state = State {
            format: FORMAT,
            ring: self.ring.clone(),
            is_first: !std::mem::replace(&mut self.is_known, true),
            losses: losses.clone(),
            gaps: gaps.clone(),
            misses: misses.clone(),
            table,
        };
        let before: Vec<_> = files(&self.directory)?.into_iter().map(|(_, path)| path).collect();
        self.number += 1;
        let unfinished = self.directory.join("state.new");
        let _former = fs::remove_file(&unfinished);
        // What others were started with is nobody else's business.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        // Its length is known afterwards.
        file.write_all(bytemuck::bytes_of(&Head::default()))?;
        let mut writer = BufWriter::with_capacity(1 << 16, file);
        serde_json::to_writer(&mut writer, &state)?;
        file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let end = file.metadata()?.len();
        let len = end - size_of::<Head>() as u64;
        file.write_all(padding(len))?;
        let len = u32::try_from(len).map_err(io::Error::other)?;
        let head = Head { sort: STATE, len, seq, position };
        std::os::unix::fs::FileExt::write_all_at(&file, bytemuck::bytes_of(&head), 0)?;
        fs::rename(&unfinished, self.directory.join(format!("{NAME}{:020}", self.number)))?;
        self.file = Some(file);
        self.len = (end, end);
        let needed = self.former.take().map(|(_, files)| files).unwrap_or_default();
        let mut former = before;
        former.extend(needed);
        former.sort();
        former.dedup();
        self.former = Some((seq, former));
        (self.seq, self.position) = (seq, position);
        Ok(())
    }

    /// Forgets what was written, as not all of it could be: with a gap, nothing can be taken up.
    pub(super) fn give_up(&mut self) {
        (self.file, self.former) = (None, None);
        // Where not even that works, what is missing is found by the numbers of the records.
        let _gone = remove(&self.directory);
    }

    /// Whether there is a beginning.
    pub(super) const fn has_begun(&self) -> bool {
        self.file.is_some()
    }

    /// Whether it is time for a new beginning.
    pub(super) const fn is_long(&self) -> bool {
        self.len.0 > 2 * self.len.1 + LONG
    }

    /// Adds records, all of whose events were told, the last as `seq`.
    pub(super) fn records(&mut self, records: &RecordBuffer, seq: u64) -> io::Result<()> {
        (self.seq, self.position) = (seq, records.end);
        self.add(RECORDS, records.bytes())
    }

    /// Adds a note on something that was told, the last as `seq`.
    pub(super) fn note(&mut self, note: &Note, seq: u64) -> io::Result<()> {
        self.seq = seq;
        self.add(NOTE, &serde_json::to_vec(note)?)
    }

    /// The last event that was told, and where in the ring what was read by then ends.
    pub(super) const fn mark(&self) -> (u64, u64) {
        (self.seq, self.position)
    }

    /// Removes what is not needed any more, now that event `seq` has arrived.
    pub(super) fn arrived(&mut self, seq: u64) {
        if let Some((_, files)) = self.former.take_if(|(until, _)| *until <= seq) {
            for file in files {
                // Left behind, it is one more that is not needed.
                let _gone = fs::remove_file(file);
            }
        }
    }

    fn add(&mut self, sort: u32, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let head = Head { sort, len, seq: self.seq, position: self.position };
        let padding = padding(bytes.len() as u64);
        let whole = [bytemuck::bytes_of(&head), bytes, padding].concat();
        file.write_all(&whole)?;
        self.len.0 += whole.len() as u64;
        Ok(())
    }
}

/// Removes all files in a directory; whether there were any.
///
/// # Errors
///
/// Those of unlink(2).
pub fn remove(directory: &Path) -> io::Result<bool> {
    let files = files(directory)?;
    for (_, path) in &files {
        fs::remove_file(path)?;
    }
    // Mostly there is none.
    let _gone = fs::remove_file(directory.join("state.new"));
    Ok(!files.is_empty())
}

/// The number of the last event that a former process has told, as far as there are files of it.
#[must_use]
pub fn last_seq(directory: &Path) -> Option<u64> {
    let (_, path) = files(directory).ok()?.pop()?;
    let bytes = fs::read(path).ok()?;
    parts(&bytes).last().map(|(head, _)| head.seq)
}

/// The files, the oldest first.
fn files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(NAME)?.parse().ok());
        files.extend(number.map(|number| (number, entry.path())));
    }
    files.sort();
    Ok(files)
}

/// Reads a file about `ring` up to event `arrived`; `None` if it begins later, or cannot be used.
fn read(bytes: &[u8], ring: &str, arrived: u64) -> Option<Found> {
    let mut parts = parts(bytes);
    let (head, text) =
        parts.next().filter(|(head, _)| head.sort == STATE && head.seq <= arrived)?;
    let state: State = serde_json::from_slice(text).ok()?;
    if state.format != FORMAT || state.ring != ring {
        return None;
    }
    let mut found = Found { state, changes: Vec::new(), position: head.position, is_start: false };
    for (head, bytes) in parts.take_while(|(head, _)| head.seq <= arrived) {
        found.position = head.position;
        found.changes.push(match head.sort {
            RECORDS => {
                let mut records = RecordBuffer::with_capacity(bytes.len());
                records.push(bytes);
                Change::Records(records)
            }
            NOTE => Change::Note(serde_json::from_slice(bytes).ok()?),
            _ => return None,
        });
    }
    Some(found)
}

/// The parts of a file that are complete.
fn parts(mut rest: &[u8]) -> impl Iterator<Item = (Head, &[u8])> {
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_at_checked(size_of::<Head>())?;
        let head: Head = bytemuck::pod_read_unaligned(head);
        let (part, tail) = tail.split_at_checked(head.len as usize)?;
        rest = tail.get(padding(head.len.into()).len()..)?;
        Some((head, part))
    })
}

/// What fills up a part of so many bytes.
fn padding(len: u64) -> &'static [u8] {
    let missing = usize::try_from(len.next_multiple_of(8) - len);
    missing.ok().and_then(|missing| NOTHING.get(..missing)).unwrap_or_default()
}

const NOTHING: &[u8; 8] = &[0; 8];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn it_is_read_up_to_the_event_that_arrived() {
        let directory =
            std::env::temp_dir().join(format!("ns-trace-test-{}-journal", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let table = || Table::new(false).state();
        let accounts = (&Losses::default(), &Gaps::default(), &Misses::default());
        let mut journal = Journal::new(&directory, "one".to_owned());
        assert!(journal.find(None).unwrap().is_none());
        journal.begin((5, 100), accounts, table()).unwrap();
        let mut records = RecordBuffer::default();
        records.push(&[1; 24]);
        for (seq, end) in [(5, 200), (7, 300), (9, 400)] {
            records.end = end;
            journal.records(&records, seq).unwrap();
        }
        journal.note(&Note::Missing { cpu: 1, records: 2 }, 10).unwrap();
        let found = |ring: &str, arrived| {
            let mut journal = Journal::new(&directory, ring.to_owned());
            let found = journal.find(arrived).unwrap();
            found.map(|found| (found.position, found.changes.len()))
        };
        assert_eq!(found("one", None), Some((400, 4)));
        assert_eq!(found("one", Some(9)), Some((400, 3)));
        assert_eq!(found("one", Some(8)), Some((300, 2)));
        assert_eq!(found("one", Some(5)), Some((200, 1)));
        // The start has not arrived: it is told again, and then all that came after it.
        assert_eq!(found("one", Some(4)), Some((100, 0)));
        assert_eq!(found("another", None), None);
        assert_eq!(last_seq(&directory), Some(10));
        // What was cut off while it was written does not count.
        let (_, path) = files(&directory).unwrap().pop().unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(found("one", None), Some((400, 3)));
        // A new beginning counts for what arrives after it; the former stays until then.
        journal.begin((20, 500), accounts, table()).unwrap();
        assert_eq!(found("one", Some(9)), Some((400, 3)));
        assert_eq!(found("one", Some(20)), Some((500, 0)));
        journal.arrived(19);
        assert_eq!(files(&directory).unwrap().len(), 2);
        journal.arrived(20);
        assert_eq!(files(&directory).unwrap().len(), 1);
        assert!(remove(&directory).unwrap());
        fs::remove_dir(directory).unwrap();
    }
}

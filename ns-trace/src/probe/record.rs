//! Records as they come out of the ring.

use bytemuck::AnyBitPattern;
use ns_trace_common::{
    Due, Header, RecordKind,
    create::Create,
    destroy::Destroy,
    enter::Enter,
    exec::Exec,
    exit::Exit,
    fail::Fail,
    fork::{Clone as Cloned, Fork},
    lost::Lost,
    map::Map,
    repeat::{Held, Repeat},
    snapshot::{End, Member},
};

use crate::model::event::ByEvent;

/// One record, in place.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the structs say what each is")]
pub enum Record<'a> {
    Create(&'a Create),
    Enter(&'a Enter),
    Fail(&'a Fail),
    Destroy(&'a Destroy),
    Fork(&'a Fork),
    Clone(&'a Cloned),
    Exec {
        exec: &'a Exec,
        /// The file name.
        exe: &'a [u8],
        /// The arguments, separated by NULs.
        args: &'a [u8],
    },
    Exit(&'a Exit),
    Map(&'a Map),
    Member(&'a Member),
    End(&'a End),
    Lost(&'a Lost),
    Repeat(&'a Repeat),
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`, which must be aligned to 8; `None` if there is
    /// none that this version knows.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let header: &Header = view(bytes)?.0;
        Some(match RecordKind::from_wire(header.kind)? {
            RecordKind::Create => Self::Create(view(bytes)?.0),
            RecordKind::Enter => Self::Enter(view(bytes)?.0),
            RecordKind::Fail => Self::Fail(view(bytes)?.0),
            RecordKind::Destroy => Self::Destroy(view(bytes)?.0),
            RecordKind::Fork => Self::Fork(view(bytes)?.0),
            RecordKind::Clone => Self::Clone(view(bytes)?.0),
            RecordKind::Exec => {
                let (exec, text): (&Exec, _) = view(bytes)?;
                let (exe, rest) = text.split_at_checked(exec.exe_len as usize)?;
                Self::Exec { exec, exe, args: rest.get(..exec.args_len as usize)? }
            }
            RecordKind::Exit => Self::Exit(view(bytes)?.0),
            RecordKind::Map => Self::Map(view(bytes)?.0),
            RecordKind::Member => Self::Member(view(bytes)?.0),
            RecordKind::End => Self::End(view(bytes)?.0),
            RecordKind::Lost => Self::Lost(view(bytes)?.0),
            RecordKind::Repeat => Self::Repeat(view(bytes)?.0),
        })
    }
}

/// The header of the record at the start of `bytes`, which must be aligned to 8.
#[must_use]
pub(super) fn header(bytes: &[u8]) -> Option<&Header> {
    view(bytes).map(|(header, _)| header)
}

/// The struct at the start of `bytes`, and what follows it.
fn view<T: AnyBitPattern>(bytes: &[u8]) -> Option<(&T, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>())?;
    Some((bytemuck::try_from_bytes(head).ok()?, rest))
}

/// The events that are missing when this record is lost.
#[must_use]
pub fn due(record: &Record<'_>) -> ByEvent {
    let mut missing = ByEvent::default();
    let mut call = |births| {
        let due = Due::of_call(births);
        missing.create = u64::from(due.create);
        missing.enter = u64::from(due.enter);
    };
    match record {
        Record::Enter(enter) => call(enter.births),
        Record::Clone(cloned) => {
            call(cloned.births);
            missing.fork = 1;
        }
        Record::Create(_) => missing.create = 1,
        Record::Fail(_) => missing.fail = 1,
        Record::Destroy(_) => missing.destroy = 1,
        Record::Fork(_) => missing.fork = 1,
        Record::Exec { .. } => missing.exec = 1,
        Record::Exit(_) => missing.exit = 1,
        Record::Map(_) => missing.map = 1,
        Record::Repeat(repeat) => {
            for held in &repeat.held {
                missing += untold(held, held.held.saturating_sub(held.told));
            }
        }
        // What a `Lost` says, the next one says again.
        Record::Member(_) | Record::End(_) | Record::Lost(_) => {}
    }
    missing
}

/// The events that stand for `calls` calls of a kind.
#[must_use]
pub fn untold(kind: &Held, calls: u64) -> ByEvent {
    // The lower half is the error number.
    match kind.call & u64::from(u32::MAX) {
        0 => ByEvent { enter: calls, ..ByEvent::default() },
        _ => ByEvent { fail: calls, ..ByEvent::default() },
    }
}

/// Records one after the other, each aligned to 8 bytes.
#[derive(Clone, Debug, Default)]
pub struct RecordBuffer {
    words: Vec<u64>,
    /// Where in the ring the last of them ends.
    pub end: u64,
}

impl RecordBuffer {
    /// Room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { words: Vec::with_capacity(bytes / 8), end: 0 }
    }

    /// Appends the bytes of one record.
    pub fn push(&mut self, record: &[u8]) {
        let (whole, rest) = record.split_at(record.len() / 8 * 8);
        // The ring's records are aligned to 8 bytes; others are copied word by word.
        match bytemuck::try_cast_slice(whole) {
            Ok(words) => self.words.extend_from_slice(words),
            Err(_) => {
                self.words.extend(whole.chunks_exact(8).map(bytemuck::pod_read_unaligned::<u64>));
            }
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.words.push(u64::from_ne_bytes(last));
        }
    }

    /// Bytes in the buffer.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.words.len() * 8
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Forgets the records but keeps the room.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Their headers, in order; those of unknown kinds too.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        let mut rest: &[u8] = bytemuck::cast_slice(&self.words);
        std::iter::from_fn(move || {
            let (header, _): (&Header, _) = view(rest)?;
            let len = (header.len as usize).next_multiple_of(8).max(size_of::<Header>());
            rest = rest.get(len..)?;
            Some(header)
        })
    }

    /// All of their bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    /// The records, in order.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records { bytes: bytemuck::cast_slice(&self.words) }
    }
}

/// An iterator over records; those of unknown kinds are left out.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            let header: &Header = view(self.bytes)?.0;
            let len = (header.len as usize).next_multiple_of(8).max(size_of::<Header>());
            let (record, rest) = self.bytes.split_at_checked(len)?;
            self.bytes = rest;
            if let Some(record) = Record::read(record) {
                return Some(record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;
    use proptest::prelude::*;

    use super::*;

    fn destroy(inode: u32) -> Destroy {
        let len = u32::try_from(size_of::<Destroy>()).unwrap();
        let header = Header { kind: RecordKind::Destroy as u16, len, ..Header::default() };
        Destroy { header, inode, ..Destroy::zeroed() }
    }

    #[test]
    fn records_come_back_in_order() {
        let mut buffer = RecordBuffer::default();
        for inode in 1..4 {
            buffer.push(bytemuck::bytes_of(&destroy(inode)));
        }
        let inodes: Vec<_> = buffer
            .records()
            .map(|record| match record {
                Record::Destroy(destroy) => destroy.inode,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(inodes, [1, 2, 3]);
    }

    #[test]
    fn odd_lengths_are_padded() {
        let header = Header { kind: RecordKind::Exec as u16, ..Header::default() };
        let mut exec = Exec { header, exe_len: 4, args_len: 7, ..Exec::zeroed() };
        exec.header.len = u32::try_from(size_of::<Exec>() + 11).unwrap();
        let mut buffer = RecordBuffer::default();
        buffer.push(&[bytemuck::bytes_of(&exec), b"/bin", b"ls\0-l\0\0"].concat());
        buffer.push(bytemuck::bytes_of(&destroy(9)));
        let mut records = buffer.records();
        match records.next() {
            Some(Record::Exec { exe, args, .. }) => {
                assert_eq!((exe, args), (&b"/bin"[..], &b"ls\0-l\0\0"[..]));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(records.next(), Some(Record::Destroy(_))));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..2048),
            kind in 0_u16..14,
            len in 0_u32..2048,
        ) {
            let mut data = [&kind.to_ne_bytes()[..], &[0; 2], &len.to_ne_bytes()].concat();
            data.extend(bytes);
            let mut buffer = RecordBuffer::default();
            buffer.push(&data);
            for record in buffer.records() {
                let _ = due(&record);
            }
        }
    }
}

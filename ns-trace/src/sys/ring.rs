//! The kernel's ring buffer (kernel/bpf/ringbuf.c), read at a place of our own: what was read stays in
//! the ring until it is released.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

/// `BPF_RINGBUF_BUSY_BIT`: the record is still being written.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`: the record was given up.
const DISCARDED: u32 = 1 << 30;
/// `BPF_RINGBUF_HDR_SZ`
const HEADER: usize = 8;

/// A ring buffer. Positions count the bytes since it was made.
#[derive(Debug)]
pub struct Ring {
    map: OwnedFd,
    /// The page with the position up to which the kernel may overwrite.
    consumer: NonNull<AtomicU64>,
    /// The page with the position up to which there is something, and then the data, twice.
    producer: NonNull<AtomicU64>,
    len: usize,
    at: u64,
}

// SAFETY: the memory belongs to the ring, wherever that goes.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the ring behind `map`, which has room for `len` bytes; reading begins at what was not
    /// released yet.
    ///
    /// # Errors
    ///
    /// Those of mmap(2).
    pub fn new(map: OwnedFd, len: usize) -> io::Result<Self> {
        let page = page_size();
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let null = std::ptr::null_mut;
        // SAFETY: no address is asked for, so no memory in use is replaced.
        let consumer = unsafe { mmap(null(), page, protection, MapFlags::SHARED, &map, 0) }?;
        let consumer = NonNull::new(consumer).ok_or(io::ErrorKind::AddrNotAvailable)?;
        // SAFETY: as above.
        let producer = unsafe {
            let whole = page + 2 * len;
            mmap(null(), whole, ProtFlags::READ, MapFlags::SHARED, &map, page as u64)
        };
        let producer = producer.map_err(io::Error::from);
        let producer = producer
            .and_then(|at| NonNull::new(at).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        match producer {
            Ok(producer) => {
                let (consumer, producer) = (consumer.cast(), producer.cast());
                let mut ring = Self { map, consumer, producer, len, at: 0 };
                ring.at = ring.released();
                Ok(ring)
            }
            Err(error) => {
                // SAFETY: mapped above, and nobody has it.
                let unmapped = unsafe { munmap(consumer.as_ptr(), page) };
                debug_assert!(unmapped.is_ok());
                Err(error)
            }
        }
    }

    /// The next record, if it is complete; goes on behind it.
    #[expect(clippy::should_implement_trait, reason = "a record is borrowed from the ring")]
    pub fn next(&mut self) -> Option<&[u8]> {
        loop {
            if self.at >= self.produced() {
                return None;
            }
            let offset = usize::try_from(self.at).ok()? & (self.len - 1);
            // SAFETY: the offset is within the first copy of the data, aligned to 8; the kernel
            // writes the header at once.
            let header = unsafe { self.data(offset).cast::<AtomicU32>().as_ref() };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return None;
            }
            let size = (header & !DISCARDED) as usize;
            self.at += (size + HEADER).next_multiple_of(8) as u64;
            if header & DISCARDED == 0 {
                let start = self.data(offset + HEADER);
                // SAFETY: a record is as long as its header says and does not reach behind the second
                // copy; the kernel leaves it alone until it is released, which needs `self` again.
                return Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), size) });
            }
        }
    }

    /// Where the next record is read.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// Goes on reading at `position`, if that is neither released nor beyond what there is.
    pub fn seek(&mut self, position: u64) {
        self.at = position.clamp(self.released(), self.produced());
    }

    /// Lets the kernel have what is before `position`, as far as it was read.
    pub fn release(&mut self, position: u64) {
        let position = position.min(self.at);
        if position > self.released() {
            // SAFETY: mapped for as long as self lives.
            unsafe { self.consumer.as_ref() }.store(position, Ordering::SeqCst);
        }
    }

    /// What the kernel may overwrite is before this position.
    #[must_use]
    pub fn released(&self) -> u64 {
        // SAFETY: mapped for as long as self lives.
        unsafe { self.consumer.as_ref() }.load(Ordering::Acquire)
    }

    fn produced(&self) -> u64 {
        // SAFETY: mapped for as long as self lives.
        unsafe { self.producer.as_ref() }.load(Ordering::Acquire)
    }

    /// A place in the data; `offset` is below twice its length.
    fn data(&self, offset: usize) -> NonNull<u8> {
        // SAFETY: the data is behind the producer's page.
        unsafe { self.producer.cast::<u8>().add(page_size() + offset) }
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let page = page_size();
        // SAFETY: mapped by `new` with this length; records that were borrowed are gone with self.
        let unmapped = unsafe { munmap(self.consumer.as_ptr().cast(), page) };
        debug_assert!(unmapped.is_ok());
        // SAFETY: as above.
        let unmapped = unsafe { munmap(self.producer.as_ptr().cast(), page + 2 * self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

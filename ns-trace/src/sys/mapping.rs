//! Maps and files of the kernel as memory.

use std::{
    fs, io, marker::PhantomData, ops::Deref, os::fd::AsFd, path::Path, ptr::NonNull,
    sync::atomic::AtomicU64,
};

use bytemuck::Pod;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The elements of a mappable BPF array (`BPF_F_MMAPABLE`).
#[derive(Debug)]
pub struct Mapping<T: Pod> {
    start: NonNull<T>,
    len: usize,
    elements: PhantomData<T>,
}

// SAFETY: the memory belongs to the mapping, wherever that goes.
unsafe impl<T: Pod + Send> Send for Mapping<T> {}
// SAFETY: through a shared reference there is no access but by atomics.
unsafe impl<T: Pod + Sync> Sync for Mapping<T> {}

impl<T: Pod> Mapping<T> {
    /// Maps an array of `len` elements, each a multiple of 8 bytes long.
    ///
    /// # Errors
    ///
    /// Those of mmap(2).
    pub fn new(map: impl AsFd, len: usize) -> io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8), "the kernel rounds elements up to 8 bytes") };
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: no address is asked for, so no memory in use is replaced.
        let start =
            unsafe { mmap(std::ptr::null_mut(), len * size_of::<T>(), protection, flags, map, 0) }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { start, len, elements: PhantomData })
    }

    /// The elements; nobody else changes them unless the caller runs a program that does.
    pub fn elements(&mut self) -> &mut [T] {
        // SAFETY: mapped for as long as self lives, of this many elements of plain data; only
        // programs that the caller runs between two calls write to it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Pod> Mapping<T> {
    /// The elements word by word, while programs may be changing them.
    #[must_use]
    pub const fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped for as long as self lives, page-aligned, of this many bytes, for which any
        // bits will do; atomics may change behind a shared reference.
        unsafe {
            std::slice::from_raw_parts(self.start.as_ptr().cast(), self.len * (size_of::<T>() / 8))
        }
    }
}

impl<T: Pod> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; the slice's lifetime has ended with self.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len * size_of::<T>()) };
        // It fails only for a range that was never mapped.
        debug_assert!(unmapped.is_ok());
    }
}

/// What a file of sysfs holds, which never changes while the kernel runs.
#[derive(Debug)]
pub enum Image {
    /// In the kernel's own memory.
    Mapped(NonNull<u8>, usize),
    /// A copy.
    Read(Vec<u8>),
}

impl Image {
    /// Maps it, or reads it where the kernel does not map such files: of its BTF before 6.16.
    ///
    /// # Errors
    ///
    /// Those of open(2) and read(2).
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let sysfs = 0x6265_6572;
        if rustix::fs::fstatfs(&file)?.f_type == sysfs {
            // SAFETY: no address is asked for, so no memory in use is replaced.
            let start = unsafe {
                mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, &file, 0)
            };
            if let Some(start) = start.ok().and_then(|start| NonNull::new(start.cast())) {
                return Ok(Self::Mapped(start, len));
            }
        }
        Ok(Self::Read(fs::read(path)?))
    }
}

impl Deref for Image {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // SAFETY: mapped for as long as self lives, of this many bytes; only sysfs is mapped,
            // where nobody cuts files.
            Self::Mapped(start, len) => unsafe { std::slice::from_raw_parts(start.as_ptr(), *len) },
            Self::Read(bytes) => bytes,
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Self::Mapped(start, len) = self {
            // SAFETY: mapped by `of` with this length; what was borrowed of it is gone with self.
            let unmapped = unsafe { munmap(start.as_ptr().cast(), *len) };
            // It fails only for a range that was never mapped.
            debug_assert!(unmapped.is_ok());
        }
    }
}

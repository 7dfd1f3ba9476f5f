//! Calls in the processor's own words: of the 32-bit ABI, and of a child in its parent's memory.

use std::{ffi::CString, io};

#[cfg(target_arch = "x86_64")]
use super::CloneArgs;

/// Whether this file knows the processor's words.
pub(crate) const KNOWN: bool = cfg!(target_arch = "x86_64");

/// Calls of the 32-bit ABI: their numbers (`syscall_32.tbl` of the kernel).
pub(crate) const CLONE: u32 = 120;
pub(crate) const UNSHARE: u32 = 310;
pub(crate) const SETNS: u32 = 346;
#[cfg(target_arch = "x86_64")]
const CLONE3: u32 = 435;

/// `int 0x80`: a call of the 32-bit ABI, from 64-bit code.
#[cfg(target_arch = "x86_64")]
pub(crate) fn int80(number: u32, first: u32, second: u32) -> io::Result<i64> {
    let mut result = number.cast_signed();
    // SAFETY: the callers name calls that take two numbers and change no memory; after clone the
    // child goes on with a copy of the stack. rbx, which is the compiler's, is put back.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "mov ebx, r12d",
            "int 0x80",
            "pop rbx",
            in("r12") u64::from(first),
            inlateout("eax") result,
            in("rcx") u64::from(second),
            in("rdx") 0_u64,
            in("rsi") 0_u64,
            in("rdi") 0_u64,
            // Kernels before 4.17 clear these.
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result.into()) }
}

/// clone3(2) of the 32-bit ABI: 0 in the child. The structure has to lie where 32 bits reach.
#[cfg(target_arch = "x86_64")]
pub(crate) fn clone3_by_int80(flags: u64) -> io::Result<i64> {
    const PAGE: usize = 4096;
    let (access, sort) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping touches no other.
    let page =
        unsafe { libc::mmap(core::ptr::null_mut(), PAGE, access, sort | libc::MAP_32BIT, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page is writable, aligned and larger than the structure.
    unsafe { page.cast::<CloneArgs>().write(CloneArgs::new(flags)) };
    let size = u32::try_from(size_of::<CloneArgs>()).map_err(io::Error::other)?;
    let address = u32::try_from(page.addr()).map_err(io::Error::other)?;
    // The page stays: whoever calls does so once.
    int80(CLONE3, address, size)
}

/// clone3(2) with `CLONE_VM` and `CLONE_VFORK`, whose child runs `words`, the first of which is
/// the path; returns the child's number when that has begun.
#[cfg(target_arch = "x86_64")]
pub(crate) fn vfork(flags: u64, words: &[CString], environment: &[CString]) -> io::Result<i64> {
    const VM_AND_VFORK: u64 = 0x4100;
    let list = |strings: &[CString]| -> Vec<_> {
        strings.iter().map(|string| string.as_ptr()).chain([core::ptr::null()]).collect()
    };
    let (arguments, environment) = (list(words), list(environment));
    let args = CloneArgs::new(flags | VM_AND_VFORK);
    let mut result = libc::SYS_clone3;
    // SAFETY: the child has the parent's memory and stack, and writes to neither: it uses nothing
    // but registers, until it has memory of its own or ends. Everything it reads outlives it here,
    // since the parent waits that long.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, 59", // execve
            "mov rdi, [r13]",
            "mov rsi, r13",
            "mov rdx, r14",
            "syscall",
            "mov eax, 60", // exit
            "mov edi, 127",
            "syscall",
            "2:",
            inlateout("rax") result,
            in("rdi") &raw const args,
            in("rsi") size_of::<CloneArgs>(),
            in("r13") arguments.as_ptr(),
            in("r14") environment.as_ptr(),
            lateout("rcx") _, lateout("r11") _,
        );
    }
    if result < 0 {
        let number = i32::try_from(-result).map_err(io::Error::other)?;
        return Err(io::Error::from_raw_os_error(number));
    }
    Ok(result)
}

/// Nobody knows the words of other processors here; tests that need them say so.
#[cfg(not(target_arch = "x86_64"))]
mod unknown {
    use super::{CString, io};

    fn refuse() -> io::Result<i64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn int80(_: u32, _: u32, _: u32) -> io::Result<i64> {
        refuse()
    }

    pub(crate) fn clone3_by_int80(_: u64) -> io::Result<i64> {
        refuse()
    }

    pub(crate) fn vfork(_: u64, _: &[CString], _: &[CString]) -> io::Result<i64> {
        refuse()
    }
}
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use unknown::{clone3_by_int80, int80, vfork};

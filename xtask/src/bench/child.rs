//! The smallest programs: one ends at once, so that a fork and an exec of it cost what the kernel
//! takes and not what a C library does at its start; one waits, so that thousands of it cost little.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// Its name, by which the worker finds it in PATH.
pub(super) const NAME: &str = "ns-trace-bench-true";

/// The one that waits until its input ends.
pub(super) const SLEEPER: &str = "ns-trace-bench-sleep";

/// Where they are loaded; any address that no other rule wants.
const BASE: u64 = 0x40_0000;
/// Bytes of the ELF header and of the one program header.
const HEADERS: u64 = 64 + 56;

/// `mov eax, 60 (exit); xor edi, edi; syscall`
const CODE: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];

/// `xor eax, eax (read); xor edi, edi; lea rsi, [rsp - 8]; mov edx, 1; syscall`, then as [`CODE`]
const SLEEPER_CODE: [u8; 25] = [
    0x31, 0xc0, 0x31, 0xff, 0x48, 0x8d, 0x74, 0x24, 0xf8, 0xba, 1, 0, 0, 0, 0x0f, 0x05, 0xb8, 60,
    0, 0, 0, 0x31, 0xff, 0x0f, 0x05,
];

/// Writes the programs below `target` and returns their directory.
pub(super) fn write(target: &Path) -> Result<PathBuf> {
    ensure!(cfg!(target_arch = "x86_64"), "the smallest programs exist for x86-64 only");
    let directory = target.join("bench");
    fs::create_dir_all(&directory)?;
    for (name, code) in [(NAME, &CODE[..]), (SLEEPER, &SLEEPER_CODE)] {
        let path = directory.join(name);
        let told = || format!("cannot write {}", path.display());
        // A program that still runs cannot be written to, but replaced.
        let new = directory.join(format!("{name}.new"));
        fs::write(&new, image(code)).with_context(told)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).with_context(told)?;
        fs::rename(&new, &path).with_context(told)?;
    }
    Ok(directory)
}

/// The file: an ELF header, one program header that loads the whole file, the code (elf(5)).
fn image(code: &[u8]) -> Vec<u8> {
    let length = HEADERS + code.len() as u64;
    let mut image = Vec::new();
    // 64 bits, little-endian, version 1, System V; then padding.
    image.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    image.extend(2_u16.to_le_bytes()); // ET_EXEC
    image.extend(62_u16.to_le_bytes()); // EM_X86_64
    image.extend(1_u32.to_le_bytes());
    image.extend((BASE + HEADERS).to_le_bytes()); // entry
    image.extend(64_u64.to_le_bytes()); // program headers
    image.extend(0_u64.to_le_bytes()); // no section headers
    image.extend(0_u32.to_le_bytes()); // flags
    for size in [64_u16, 56, 1, 64, 0, 0] {
        image.extend(size.to_le_bytes());
    }
    image.extend(1_u32.to_le_bytes()); // PT_LOAD
    image.extend(5_u32.to_le_bytes()); // readable, executable
    for word in [0, BASE, BASE, length, length, 0x1000] {
        image.extend(word.to_le_bytes());
    }
    image.extend(code);
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_are_as_long_as_they_say() {
        assert_eq!(image(&CODE).len() as u64, HEADERS + CODE.len() as u64);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn they_run() {
        let target = std::env::temp_dir().join(format!("ns-trace-child-{}", std::process::id()));
        let directory = write(&target).unwrap();
        for name in [NAME, SLEEPER] {
            let mut command = std::process::Command::new(directory.join(name));
            let status = command.stdin(std::process::Stdio::null()).status().unwrap();
            assert!(status.success(), "{name}: {status}");
        }
        fs::remove_dir_all(target).unwrap();
    }
}

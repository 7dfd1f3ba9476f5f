//! Writing the only file system of a virtual machine: a cpio archive for the kernel to unpack.
//!
//! The format is `newc`, described in Documentation/driver-api/early-userspace/buffer-format.rst.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::programs::Programs;
use crate::command;

/// File types of stat(2).
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// The users that `create --map-user` and its kind look up.
const PASSWD: &str = "root:x:0:0:root:/:/bin/false\n\
                      nobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// The one name that is known without a network.
const HOSTS: &str = "127.0.0.1 localhost\n";

/// Writes the archive and says where it is; `xtask` is this very program, if it is wanted there.
pub(super) fn write(programs: &Programs, xtask: Option<&PathBuf>) -> Result<PathBuf> {
    let read =
        |path: &PathBuf| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "var"] {
        archive.add(directory, DIRECTORY | 0o755, 0, &[]);
    }
    // The kernel opens it for init before init can mount anything.
    archive.add("dev/console", CHARACTER_DEVICE | 0o600, (5 << 8) | 1, &[]);
    archive.add("etc/passwd", REGULAR | 0o644, 0, PASSWD.as_bytes());
    archive.add("etc/group", REGULAR | 0o644, 0, GROUP.as_bytes());
    archive.add("etc/hosts", REGULAR | 0o644, 0, HOSTS.as_bytes());
    archive.add("bin/ns-trace", REGULAR | 0o755, 0, &read(&programs.ns_trace)?);
    if let Some(xtask) = xtask {
        archive.add("bin/xtask", REGULAR | 0o755, 0, &read(xtask)?);
    }
    archive.add("init", REGULAR | 0o755, 0, &read(&programs.rooms)?);
    archive.add("TRAILER!!!", 0, 0, &[]);
    let folder = command::target()?.join("vm");
    let path = folder.join("initramfs");
    fs::create_dir_all(folder).context("cannot create target/vm")?;
    fs::write(&path, archive.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The bytes so far, and the number of the last inode.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    /// Adds an entry of root's; `device` is major * 256 + minor.
    fn add(&mut self, name: &str, mode: u32, device: u32, content: &[u8]) {
        self.inode += 1;
        let [_, _, major, minor] = device.to_be_bytes();
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.bytes.extend(b"070701");
        // inode, mode, uid, gid, links, mtime, size, the device it lies on (two), the device it
        // is (two), length of the name, checksum (unused in this format)
        for field in [
            self.inode,
            mode,
            0,
            0,
            links,
            0,
            length(content.len()),
            0,
            0,
            major.into(),
            minor.into(),
            length(name.len() + 1),
            0,
        ] {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    /// Names and contents end on a multiple of four bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_the_padded_content() {
        let mut archive = Archive::default();
        archive.add("etc/group", REGULAR | 0o644, 0, b"root\n");
        let text = String::from_utf8(archive.bytes).unwrap();
        assert_eq!(
            text,
            "070701\
             00000001000081a4000000000000000000000001000000000000000500000000000000000000000000000000\
             0000000a00000000\
             etc/group\0root\n\0\0\0"
        );
    }

    #[test]
    fn a_device_has_its_numbers() {
        let mut archive = Archive::default();
        archive.add("dev/console", CHARACTER_DEVICE | 0o600, (5 << 8) | 1, &[]);
        let text = String::from_utf8(archive.bytes).unwrap();
        assert_eq!(text.get(6 + 9 * 8..6 + 11 * 8), Some("0000000500000001"));
    }
}

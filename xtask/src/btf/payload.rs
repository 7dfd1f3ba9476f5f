//! The BTF within a kernel's file, as far as it is wrapped.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;

/// The header of BTF: magic, version 1, no flags, and its own length (Documentation/bpf/btf.rst).
const BTF: [u8; 8] = [0x9f, 0xeb, 1, 0, 24, 0, 0, 0];

/// The header of x86's bzImage (Documentation/arch/x86/boot.rst), the size of its setup code in
/// sectors after the first, and where its payload is: offset and length, its own size included.
const BZIMAGE: (usize, &[u8]) = (0x202, b"HdrS");
const SETUP_SECTORS: usize = 0x1f1;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;

/// What compressed data begins with, and the program that unpacks it.
const PACKERS: [(&[u8], &str); 5] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x02, 0x21, 0x4c, 0x18], "lz4"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (b"BZh", "bzip2"),
];

/// Finds the BTF in raw BTF, in a vmlinux, in an arm64 Image or in a vmlinuz.
pub(super) fn types(data: &[u8]) -> Result<Vec<u8>> {
    if data.get(BZIMAGE.0..).is_some_and(|rest| rest.starts_with(BZIMAGE.1)) {
        return types(payload(data).context("the header of the bzImage is wrong")?);
    }
    if let Some((_, program)) = PACKERS.iter().find(|(magic, _)| data.starts_with(magic)) {
        return types(&unpack(program, data)?);
    }
    // Whatever wraps it, the header says how long it is, and nothing else looks like it.
    let found = memmem::find_iter(data, &BTF).find_map(|start| blob(data.get(start..)?));
    found.map(<[u8]>::to_vec).context("there is none (CONFIG_DEBUG_INFO_BTF)")
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let setup = (usize::from(*image.get(SETUP_SECTORS)?) + 1) * SECTOR;
    let start = setup + word(image, PAYLOAD_OFFSET)?;
    // Its last word is the unpacked size.
    image.get(start..start + word(image, PAYLOAD_LENGTH)?.checked_sub(4)?)
}

/// BTF, without what follows it: types and then strings, which begin and end with a NUL.
fn blob(data: &[u8]) -> Option<&[u8]> {
    let (types, len) = (word(data, 12)?, word(data, 20)?);
    let blob = data.get(..24 + types + len)?;
    let strings = blob.get(24 + types..)?;
    let is_whole = word(data, 8)? == 0 && word(data, 16)? == types && types > 0;
    (is_whole && strings.first() == Some(&0) && strings.last() == Some(&0)).then_some(blob)
}

fn word(data: &[u8], at: usize) -> Option<usize> {
    let bytes = data.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

fn unpack(program: &str, data: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    let mut child = command
        .args(["--decompress", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}, which the kernel is packed with"))?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        // What ends early says why itself.
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(data)));
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "{program}: {}", output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One type and two strings.
    fn sample() -> Vec<u8> {
        let numbers = [0_u32, 12, 12, 5].iter().flat_map(|number| number.to_le_bytes());
        let mut blob: Vec<u8> = BTF.into_iter().chain(numbers).collect();
        blob.extend([0; 12]);
        blob.extend(b"\0int\0");
        blob
    }

    #[test]
    fn btf_is_found_within_anything() {
        let sample = sample();
        assert_eq!(types(&sample).unwrap(), sample);
        let wrapped = [b"\x7fELF", &BTF[..], &[1; 40], &sample, b"more"].concat();
        assert_eq!(types(&wrapped).unwrap(), sample);
        assert!(types(&sample[..30]).is_err());
    }

    #[test]
    fn a_bzimage_is_unwrapped() {
        let sample = sample();
        let mut image = vec![0; 0x400];
        image[BZIMAGE.0..][..4].copy_from_slice(BZIMAGE.1);
        image[SETUP_SECTORS] = 1;
        image[PAYLOAD_OFFSET..][..4].copy_from_slice(&8_u32.to_le_bytes());
        let len = u32::try_from(sample.len() + 4).unwrap();
        image[PAYLOAD_LENGTH..][..4].copy_from_slice(&len.to_le_bytes());
        let image = [&image[..], b"12345678", &sample, &[0; 4]].concat();
        assert_eq!(types(&image).unwrap(), sample);
    }
}

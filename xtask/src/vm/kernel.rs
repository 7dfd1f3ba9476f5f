//! Getting Debian's kernels: downloaded once, unpacked and kept under `target/vm/kernels`.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    apt::{self, Apt, files},
    machine::{AARCH64, Machine, X86_64},
};
use crate::command;

/// A kernel to test on.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Release {
    /// How its version begins, and what it is called here.
    pub(super) version: &'static str,
    /// The machine that it is for.
    pub(super) machine: &'static Machine,
    /// The release of Debian that has it; `None` is Debian 12, which the tests run on.
    suite: Option<&'static str>,
    /// The package that depends on the newest build.
    meta: &'static str,
}

impl Release {
    /// Whether to fail to get it is to fail: archives of other releases come and go.
    pub(super) const fn is_must(&self) -> bool {
        self.suite.is_none()
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version)?;
        if self.machine == &X86_64 { Ok(()) } else { write!(f, "-{}", self.machine.debian) }
    }
}

const fn release(
    version: &'static str,
    machine: &'static Machine,
    suite: Option<&'static str>,
    meta: &'static str,
) -> Release {
    Release { version, machine, suite, meta }
}

/// The kernels, newest first: there most is new.
pub(super) static RELEASES: [Release; 4] = [
    release("7", &X86_64, Some("unstable"), "linux-image-cloud-amd64"),
    release("6.12", &X86_64, None, "linux-image-6.12-cloud-amd64"),
    release("6.1", &X86_64, None, "linux-image-cloud-amd64"),
    release("5.10", &X86_64, Some("bullseye"), "linux-image-cloud-amd64"),
];

/// Kernels of the other processor, for those who ask for them.
pub(super) static FOREIGN: [Release; 2] = [
    release("6.12", &AARCH64, Some("trixie"), "linux-image-cloud-arm64"),
    release("7", &AARCH64, Some("unstable"), "linux-image-cloud-arm64"),
];

/// The file to boot; remove its directory to get a newer one.
pub(super) fn fetch(release: &Release) -> Result<PathBuf> {
    let kept = command::target()?.join("vm/kernels").join(release.to_string());
    if let Some(kernel) = image(&kept) {
        return Ok(kernel);
    }
    let unpacked = kept.with_file_name(format!("{release}.new"));
    drop(fs::remove_dir_all(&unpacked));
    fs::create_dir_all(&unpacked)
        .with_context(|| format!("cannot create {}", unpacked.display()))?;
    download(release, &unpacked)?;
    drop(fs::remove_dir_all(&kept));
    fs::rename(&unpacked, &kept).with_context(|| format!("cannot create {}", kept.display()))?;
    image(&kept).with_context(|| format!("no kernel in the package in {}", kept.display()))
}

/// Downloads the newest build and unpacks it.
fn download(release: &Release, directory: &Path) -> Result<()> {
    if let Some(suite) = release.suite {
        let lists =
            command::target()?.join("vm/apt").join(format!("{suite}-{}", release.machine.debian));
        return unpack(&Apt::of(suite, release.machine.debian, &lists)?, release, directory);
    }
    let apt = Apt::own();
    unpack(&apt, release, directory).or_else(|error| {
        // The list of packages is missing or too old: the mirror keeps only the newest build.
        println!("{release} | {error:#}: once more with a new list of packages");
        apt.update()?;
        unpack(&apt, release, directory)
    })
}

fn unpack(apt: &Apt, release: &Release, directory: &Path) -> Result<()> {
    let packages = apt.dependencies(release.meta)?;
    let package = apt::kernel(&packages, "linux-image-", release.version)?;
    // Debian 14 packs the kernel itself apart.
    let parts = apt.dependencies(package)?;
    let package = apt::kernel(&parts, "linux-binary-", release.version).unwrap_or(package);
    apt.unpack(package, directory)?;
    // Everything that the tests need is built in, and modules are most of the package.
    drop(fs::remove_dir_all(directory.join("lib")));
    Ok(())
}

fn image(directory: &Path) -> Option<PathBuf> {
    let modules = files(&directory.join("usr/lib/modules")).flat_map(|version| files(&version));
    files(&directory.join("boot")).chain(modules).find(|file| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    })
}

//! Getting Debian's kernels: downloaded once, unpacked and kept under `target/vm/kernels`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{command, setup};

/// The kernels that must work; to fail to get one of them is to fail.
pub(super) const VERSIONS: [&str; 2] = ["6.1", "6.12"];

/// The package that depends on the newest build of a kernel.
fn meta_package(version: &str) -> String {
    match version {
        // Debian 12's own kernel has no number in its name.
        "6.1" => "linux-image-cloud-amd64".to_owned(),
        backport => format!("linux-image-{backport}-cloud-amd64"),
    }
}

/// The file to boot; remove its directory to get a newer one.
pub(super) fn fetch(version: &str) -> Result<PathBuf> {
    let kept = command::target()?.join("vm/kernels").join(version);
    if let Some(kernel) = image(&kept) {
        return Ok(kernel);
    }
    let unpacked = kept.with_file_name(format!("{version}.new"));
    drop(fs::remove_dir_all(&unpacked));
    fs::create_dir_all(&unpacked)
        .with_context(|| format!("cannot create {}", unpacked.display()))?;
    download(version, &unpacked).or_else(|error| {
        // The list of packages is missing or too old: the mirror keeps only the newest build.
        println!("{version} | {error:#}: once more with a new list of packages");
        setup::apt_get(&["update"])?;
        download(version, &unpacked)
    })?;
    drop(fs::remove_dir_all(&kept));
    fs::rename(&unpacked, &kept).with_context(|| format!("cannot create {}", kept.display()))?;
    image(&kept).with_context(|| format!("no kernel in the package in {}", kept.display()))
}

/// Downloads the package into a directory and unpacks it there.
fn download(version: &str, directory: &Path) -> Result<()> {
    let package = resolve(version)?;
    let mut apt = command::program("apt-get", ["-o", "APT::Sandbox::User=root", "download"])?;
    // apt-get downloads into the directory it runs in.
    command::run(apt.arg(&package).current_dir(directory))?;
    let archive = files(directory).find(|file| file.extension().is_some_and(|it| it == "deb"));
    let archive = archive.with_context(|| format!("apt-get left no {package}"))?;
    let mut unpack = command::program("dpkg-deb", ["-x"])?;
    command::run(unpack.arg(&archive).arg(directory))?;
    fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
    // Everything that the tests need is built in, and modules are most of the package.
    drop(fs::remove_dir_all(directory.join("lib")));
    Ok(())
}

/// The package of the newest build.
fn resolve(version: &str) -> Result<String> {
    let meta = meta_package(version);
    let answer = command::ask("apt-cache", &["depends", &meta])
        .with_context(|| format!("apt does not know the package {meta}"))?;
    let package = dependency(&answer).with_context(|| format!("{meta} depends on no kernel"))?;
    // On another Debian the package without a number is another kernel.
    let matches = package
        .strip_prefix("linux-image-")
        .and_then(|rest| rest.strip_prefix(version))
        .is_some_and(|rest| rest.starts_with(['.', '-', '+']));
    ensure!(matches, "{meta} leads to {package}, which is no {version}");
    Ok(package.to_owned())
}

fn dependency(answer: &str) -> Option<&str> {
    let mut packages = answer.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    packages.find(|package| package.starts_with("linux-image-"))
}

fn image(directory: &Path) -> Option<PathBuf> {
    files(&directory.join("boot")).find(|file| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
    })
}

fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dependency_of_a_meta_package_is_the_kernel() {
        let answer = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64";
        assert_eq!(dependency(answer), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(dependency("linux-image-cloud-amd64\n  Depends: kmod"), None);
    }
}

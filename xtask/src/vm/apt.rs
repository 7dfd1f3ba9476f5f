//! Debian's packages, of the machine's own release or of another one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{command, setup};

/// What Debian's releases are signed with (package debian-archive-keyring).
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A source of packages.
pub(super) struct Apt {
    /// Where the lists of another release are, and the processor; `None` is the machine's own.
    private: Option<(PathBuf, String)>,
}

impl Apt {
    /// The packages of the release that the machine runs.
    pub(super) const fn own() -> Self {
        Self { private: None }
    }

    /// The packages of another release, from the mirror that the machine itself uses; its lists are
    /// kept in `directory`, and nothing of the machine's own set-up is touched.
    pub(super) fn of(suite: &str, arch: &str, directory: &Path) -> Result<Self> {
        let mirror = mirror().or_else(|_| {
            // A fresh machine has no lists yet, and only they tell.
            setup::apt_get(&["update"])?;
            mirror()
        })?;
        for name in ["lists/partial", "cache/archives/partial"] {
            let path = directory.join(name);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        let sources = directory.join("sources");
        fs::write(&sources, format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))
            .with_context(|| format!("cannot write {}", sources.display()))?;
        let apt = Self { private: Some((directory.to_owned(), arch.to_owned())) };
        apt.update()?;
        Ok(apt)
    }

    /// Fetches the lists of packages.
    pub(super) fn update(&self) -> Result<()> {
        setup::apt_get(&self.arguments(&["update"]))
    }

    /// The packages that `package` depends on.
    pub(super) fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let answer = command::ask("apt-cache", &self.arguments(&["depends", package]))
            .with_context(|| format!("apt does not know the package {package}"))?;
        Ok(dependencies(&answer).map(str::to_owned).collect())
    }

    /// Downloads a package into a directory and unpacks it there.
    pub(super) fn unpack(&self, package: &str, directory: &Path) -> Result<()> {
        let mut apt = command::program("apt-get", self.arguments(&["download", package]))?;
        // apt-get downloads into the directory it runs in.
        command::run(apt.current_dir(directory))?;
        let archive = files(directory).find(|file| file.extension().is_some_and(|it| it == "deb"));
        let archive = archive.with_context(|| format!("apt-get left no {package}"))?;
        let mut unpack = command::program("dpkg-deb", ["-x"])?;
        command::run(unpack.arg(&archive).arg(directory))?;
        fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))
    }

    fn arguments<S: Into<String> + Copy>(&self, words: &[S]) -> Vec<String> {
        let mut options = vec!["APT::Sandbox::User=root".to_owned()];
        if let Some((directory, arch)) = &self.private {
            let directory = directory.display();
            options.push(format!("APT::Architecture={arch}"));
            options.push(format!("APT::Architectures={arch}"));
            options.push(format!("Dir::State::Lists={directory}/lists"));
            options.push(format!("Dir::Cache={directory}/cache"));
            options.push(format!("Dir::Etc::SourceList={directory}/sources"));
            options.push("Dir::Etc::SourceParts=/dev/null".to_owned());
            options.push("Acquire::Languages=none".to_owned());
            // An old release is not refreshed any more.
            options.push("Acquire::Check-Valid-Until=false".to_owned());
        }
        let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]);
        options.chain(words.iter().map(|word| (*word).into())).collect()
    }
}

/// Where the machine gets Debian itself from.
fn mirror() -> Result<String> {
    let format = "$(LABEL) $(COMPONENT) $(REPO_URI)";
    let answer = command::ask("apt-get", &["indextargets", "--format", format]);
    let answer = answer.context("apt-get does not tell its sources")?;
    let mirror = answer.lines().find_map(|line| line.strip_prefix("Debian main "));
    Ok(mirror.context("no source of this machine is Debian's main archive")?.to_owned())
}

/// The packages in an answer of `apt-cache depends`.
fn dependencies(answer: &str) -> impl Iterator<Item = &str> {
    answer.lines().filter_map(|line| line.trim().strip_prefix("Depends: "))
}

/// What is in a directory; nothing if it does not exist.
pub(super) fn files(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The one package among `packages` that is a kernel of `version`.
pub(super) fn kernel<'a>(packages: &'a [String], prefix: &str, version: &str) -> Result<&'a str> {
    let named = |package: &&String| package.starts_with(prefix);
    let package = packages.iter().find(named);
    let package = package.with_context(|| format!("no package {prefix}… among {packages:?}"))?;
    // In another release the same name leads to another kernel.
    let matches = package
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix(version))
        .is_some_and(|rest| rest.starts_with(['.', '-', '+']));
    ensure!(matches, "the archive has {package}, which is no {version}");
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_found_among_the_dependencies() {
        let answer = "linux-image-cloud-amd64\n  Depends: linux-base-cloud-amd64\n  \
                      Depends: linux-image-6.1.0-56-cloud-amd64";
        let packages: Vec<_> = dependencies(answer).map(str::to_owned).collect();
        let found = kernel(&packages, "linux-image-", "6.1");
        assert_eq!(found.unwrap(), "linux-image-6.1.0-56-cloud-amd64");
        let refused = kernel(&packages, "linux-image-", "6").unwrap();
        assert_eq!(refused, "linux-image-6.1.0-56-cloud-amd64");
        assert!(kernel(&packages, "linux-image-", "6.12").is_err());
        assert!(kernel(&packages, "linux-binary-", "6.1").is_err());
    }

    #[test]
    fn another_release_leaves_the_machine_alone() {
        let own = Apt::own().arguments(&["update"]);
        assert_eq!(own, ["-o", "APT::Sandbox::User=root", "update"]);
        let other = Apt { private: Some(("/x".into(), "arm64".to_owned())) }
            .arguments(&["update"])
            .join(" ");
        assert!(other.contains("Dir::State::Lists=/x/lists"), "{other}");
        assert!(other.contains("Dir::Etc::SourceParts=/dev/null"), "{other}");
    }
}

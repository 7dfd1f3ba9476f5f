//! `xtask setup`: installs what the build and the tests need.
//!
//! It looks first: where nothing is missing, nothing runs and no network is used.

use std::{env, path::Path, process::ExitCode};

use anyhow::{Result, bail, ensure};

use crate::{
    command,
    compiler::{self, Compiler},
    tested, usage,
};

/// The first bpf-linker that reads what the compilers of today write.
const LINKER: (u32, u32) = (0, 13);

/// Where Debian's llvm-22-dev puts its programs and libraries.
const LLVM: &str = "/usr/lib/llvm-22";

/// A thing that must be there, the Debian packages that bring it, and what does on other systems.
struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    elsewhere: &'static str,
    present: fn() -> bool,
}

const BUILD: [Need; 3] = [
    Need {
        what: "a C compiler, with which Rust links",
        packages: &["gcc", "libc6-dev"],
        elsewhere: "gcc or clang, and the headers of the C library",
        present: || found("cc"),
    },
    Need {
        what: "a Rust compiler with a core library for BPF",
        packages: &["rustc-web", "libstd-rust-web-dev-bpf"],
        elsewhere: "rustup toolchain install nightly --component rust-src",
        present: || Compiler::find().is_some(),
    },
    Need {
        what: "LLVM 22, from which bpf-linker is built",
        packages: &["llvm-22-dev"],
        elsewhere: "cargo install bpf-linker --version 0.13.0",
        present: || linker_works() || Path::new(LLVM).join("bin/llvm-config").exists(),
    },
];

const TESTS: [Need; 3] = [
    Need {
        what: "QEMU, in which the kernels boot",
        packages: &["qemu-system-x86"],
        elsewhere: "qemu-system-x86_64",
        present: || found("qemu-system-x86_64"),
    },
    Need {
        what: "lsns, unshare and nsenter, to compare with",
        packages: &["util-linux"],
        elsewhere: "util-linux",
        present: || ["lsns", "unshare", "nsenter"].into_iter().all(found),
    },
    Need {
        what: "ip, to compare with",
        packages: &["iproute2"],
        elsewhere: "iproute2",
        present: || found("ip"),
    },
];

/// What the machines of the other processor need.
const AARCH64: [Need; 2] = [
    Need {
        what: "QEMU for aarch64",
        packages: &["qemu-system-arm"],
        elsewhere: "qemu-system-aarch64",
        present: || found("qemu-system-aarch64"),
    },
    Need {
        what: "a C compiler for aarch64",
        packages: &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        elsewhere: "aarch64-linux-gnu-gcc and a static C library",
        present: || found("aarch64-linux-gnu-gcc"),
    },
];

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    match args {
        [] => for_build()?,
        [flag] if flag == "--tests" => for_tests()?,
        _ => return Ok(usage()),
    }
    eprintln!("set-up: everything is there");
    Ok(ExitCode::SUCCESS)
}

/// Installs what `cargo build` needs.
pub(crate) fn for_build() -> Result<()> {
    ensure(&BUILD.iter().collect::<Vec<_>>())
}

/// Installs what the tests need, the build included.
pub(crate) fn for_tests() -> Result<()> {
    ensure(&BUILD.iter().chain(&TESTS).collect::<Vec<_>>())?;
    if command::ask("cargo", &["clippy", "--version"]).is_none()
        || command::ask("cargo", &["fmt", "--version"]).is_none()
    {
        eprintln!("set-up: clippy and rustfmt are missing");
        command::run(&mut command::program("rustup", ["component", "add", "clippy", "rustfmt"])?)?;
    }
    Ok(())
}

/// Installs what virtual machines of a processor need beside that.
pub(crate) fn for_machines(arch: &str) -> Result<()> {
    if arch == env::consts::ARCH {
        return Ok(());
    }
    ensure!(arch == "aarch64", "machines of {arch} are not known here");
    ensure(&AARCH64.iter().collect::<Vec<_>>())?;
    let target = tested::triple(arch);
    let there = command::ask("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    if there.lines().any(|line| line == target) {
        return Ok(());
    }
    eprintln!("set-up: missing is Rust's library for {target}");
    command::run(&mut command::program("rustup", ["target", "add", &target])?)
}

fn ensure(needs: &[&Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().copied().filter(|need| !(need.present)()).collect();
    for need in &missing {
        eprintln!("set-up: missing is {}: {}", need.what, need.packages.join(", "));
    }
    if !missing.is_empty() {
        if !Path::new("/etc/debian_version").exists() {
            bail!("{}", elsewhere(&missing));
        }
        let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
        install(&packages)?;
    }
    for need in missing {
        ensure!((need.present)(), "still missing after the installation: {}", need.what);
    }
    if !linker_works() {
        build_linker()?;
        ensure!(linker_works(), "bpf-linker was built, but does not run");
    }
    Ok(())
}

/// What to install by hand, a line each.
fn elsewhere(missing: &[&Need]) -> String {
    let line = |need: &&Need| format!("\n  {} (for {})", need.elsewhere, need.what);
    let lines: String = missing.iter().map(line).collect();
    format!("this is no Debian: please install these by hand, and run it again{lines}")
}

fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if command::ask("id", &["-u"]).as_deref() != Some("0") {
        bail!("only root may install packages: run `apt-get install {list}` as root, then again");
    }
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

/// Runs apt-get, without its questions.
pub(crate) fn apt_get<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Result<()> {
    let mut apt = command::program("apt-get", args)?;
    command::run(apt.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Debian has no bpf-linker; crates.io has its source.
fn build_linker() -> Result<()> {
    eprintln!("set-up: missing is bpf-linker, which links the probes");
    let version = format!("{}.{}.0", LINKER.0, LINKER.1);
    // --force replaces one that is too old for the compiler.
    let mut cargo = command::cargo(["install", "--force", "bpf-linker", "--version", &version])?;
    if Path::new(LLVM).exists() {
        let path = env::var("PATH").unwrap_or_default();
        cargo
            .args(["--no-default-features", "--features", "llvm-22"])
            .env("LLVM_PREFIX", LLVM)
            .env("LLVM_SYS_221_PREFIX", LLVM)
            .env("PATH", format!("{LLVM}/bin:{path}"));
    }
    command::run(&mut cargo)
}

/// Whether bpf-linker starts (its LLVM may have gone) and is recent enough.
fn linker_works() -> bool {
    let path = compiler::linker().map(|linker| linker.to_string_lossy().into_owned());
    let answer = path.and_then(|path| command::ask(&path, &["--version"]));
    answer.as_deref().and_then(version).is_some_and(|version| version >= LINKER)
}

/// The first two numbers of "bpf-linker 0.13.0".
fn version(answer: &str) -> Option<(u32, u32)> {
    let mut numbers = answer.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn found(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps some of what we look for where only root's PATH leads.
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_systems_are_told_what_to_install() {
        let all: Vec<&Need> = BUILD.iter().chain(&TESTS).chain(&AARCH64).collect();
        let told = elsewhere(&all);
        for need in all {
            assert!(
                told.contains(&format!("\n  {} (for {})", need.elsewhere, need.what)),
                "{told}"
            );
        }
        assert!(told.contains("rustup toolchain install nightly --component rust-src"), "{told}");
        let (major, minor) = LINKER;
        assert!(told.contains(&format!("bpf-linker --version {major}.{minor}.0")), "{told}");
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(version("bpf-linker 0.13.0"), Some((0, 13)));
        assert!(version("bpf-linker 0.9.15") < Some(LINKER));
        assert!(version("bpf-linker 1.0.0-rc.1") > Some(LINKER));
        assert_eq!(version("bpf-linker"), None);
    }
}

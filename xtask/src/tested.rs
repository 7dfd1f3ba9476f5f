//! Building what is tested: once, for this machine and for the virtual ones.

use std::{env, path::PathBuf, process::Command};

use anyhow::Result;

use crate::command;

/// Cargo for programs of an architecture, in a target directory of their own, since their flags are
/// theirs: static, for there is nothing else in a virtual machine, and quick enough to be emulated.
pub(crate) fn cargo(arch: &str, words: &[&str]) -> Result<Command> {
    let (verb, rest) = words.split_at(words.len().min(1));
    // The target is named so that the flags below do not reach build scripts and macros.
    let target = triple(arch);
    let mut cargo = command::cargo(verb)?;
    cargo.args(["--profile", "tested", "--target", &target, "--target-dir"]).arg(directory()?);
    // Always the same packages: with others their libraries get other features, and are built again.
    cargo.args(["--package", "ns-trace", "--package", "ns-trace-common", "--package", "xtask"]);
    cargo.args(rest).env("RUSTFLAGS", "-C target-feature=+crt-static");
    if arch != env::consts::ARCH {
        // Debian's name of it; the build of SQLite finds it by itself.
        let variable = format!("CARGO_TARGET_{}_LINKER", target.replace('-', "_"));
        cargo.env(variable.to_uppercase(), format!("{arch}-linux-gnu-gcc"));
    }
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(cargo)
}

/// Where it leaves a program.
pub(crate) fn program(arch: &str, name: &str) -> Result<PathBuf> {
    Ok(directory()?.join(triple(arch)).join("tested").join(name))
}

fn directory() -> Result<PathBuf> {
    Ok(command::target()?.join("tested"))
}

/// What Rust calls the platform.
pub(crate) fn triple(arch: &str) -> String {
    format!("{arch}-unknown-linux-gnu")
}

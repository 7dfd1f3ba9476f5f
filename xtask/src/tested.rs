//! Building what is tested: once, for this machine and for the virtual ones.

use std::{path::PathBuf, process::Command};

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

fn triple(arch: &str) -> String {
    format!("{arch}-unknown-linux-gnu")
}

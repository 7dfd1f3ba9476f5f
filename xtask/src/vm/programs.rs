//! Building the two programs of a virtual machine: static, since nothing else is in there.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::command;

/// The target is named so that the flags below do not reach build scripts and macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The programs of a virtual machine.
pub(super) struct Programs {
    /// The command under test.
    pub(super) ns_trace: PathBuf,
    /// The room tests, which are also the init of the machine.
    pub(super) rooms: PathBuf,
}

/// Builds both, in a target directory of their own: their flags differ.
pub(super) fn build() -> Result<Programs> {
    command::run(&mut cargo("build", "ns-trace", &["--bin", "ns-trace"])?)?;
    let tests = ["--no-run", "--test", "rooms", "--message-format", "json-render-diagnostics"];
    let mut tests = cargo("test", "ns-trace", &tests)?;
    eprintln!("$ {}", command::show(&tests));
    let output = tests.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the room tests do not build: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    let rooms = messages.lines().rev().find_map(executable);
    Ok(Programs {
        ns_trace: target()?.join(TARGET).join("guest/ns-trace"),
        rooms: rooms.context("cargo did not say where the room tests are")?,
    })
}

/// Builds this very program.
pub(super) fn xtask() -> Result<PathBuf> {
    command::run(&mut cargo("build", "xtask", &[])?)?;
    Ok(target()?.join(TARGET).join("guest/xtask"))
}

fn target() -> Result<PathBuf> {
    Ok(command::target()?.join("vm/build"))
}

fn cargo(verb: &str, package: &str, rest: &[&str]) -> Result<Command> {
    let mut cargo = command::cargo([verb, "--profile", "guest", "--target", TARGET])?;
    cargo.arg("--target-dir").arg(target()?).args(["--package", package]).args(rest);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
    Ok(cargo)
}

/// The path in cargo's message about the room tests. One field of one message does not call for a
/// JSON reader; a path with quotes or backslashes would.
fn executable(message: &str) -> Option<PathBuf> {
    let ours = message.contains(r#""name":"rooms""#);
    let (_, rest) = message.split_once(r#""executable":""#).filter(|_| ours)?;
    Some(rest.split_once('"')?.0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_the_tests_are() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"rooms"},"executable":"/t/rooms-1f","fresh":true}"#;
        assert_eq!(executable(message), Some("/t/rooms-1f".into()));
        assert_eq!(executable(&message.replace("rooms", "ns-trace")), None);
        assert_eq!(executable(r#"{"target":{"name":"rooms"},"executable":null}"#), None);
    }
}

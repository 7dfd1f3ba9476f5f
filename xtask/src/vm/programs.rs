//! The two programs of a virtual machine.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::{command, tested};

/// The programs of a virtual machine.
pub(super) struct Programs {
    /// The command under test.
    pub(super) ns_trace: PathBuf,
    /// The room tests, which are also the init of the machine.
    pub(super) rooms: PathBuf,
}

/// Builds both for a processor: the tests of a package bring its command along.
pub(super) fn build(arch: &str) -> Result<Programs> {
    let mut rooms = tested::cargo(arch, &["test", "--no-run", "--test", "rooms"])?;
    rooms.args(["--message-format", "json-render-diagnostics"]);
    eprintln!("$ {}", command::show(&rooms));
    let output = rooms.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the room tests do not build: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout);
    let rooms = messages.lines().rev().find_map(executable);
    Ok(Programs {
        ns_trace: tested::program(arch, "ns-trace")?,
        rooms: rooms.context("cargo did not say where the room tests are")?,
    })
}

/// Builds this very program.
pub(super) fn xtask(arch: &str) -> Result<PathBuf> {
    command::run(&mut tested::cargo(arch, &["build", "--bin", "xtask"])?)?;
    tested::program(arch, "xtask")
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

//! `xtask run`: sets up, builds and becomes ns-trace.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::{Result, anyhow};

use crate::{command, setup};

/// Runs the verb; returns only if something failed before ns-trace could start.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    setup::for_build()?;
    command::run(&mut command::cargo(["build", "--release", "--package", "ns-trace"])?)?;
    let program = command::target()?.join("release/ns-trace");
    // The directory of the user, who may name files in ARGS; and no process between, so that
    // signals and the exit status need no passing on.
    let mut ns_trace = Command::new(&program);
    ns_trace.args(args);
    command::forget_cargo(&mut ns_trace);
    Err(anyhow!(ns_trace.exec()).context(format!("cannot run {}", program.display())))
}

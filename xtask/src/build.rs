//! `xtask build`: sets up and builds everything.

use std::process::ExitCode;

use anyhow::Result;

use crate::{command, setup, usage};

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    if !matches!(args, [] | [_]) || args.iter().any(|arg| arg != "--release") {
        return Ok(usage());
    }
    setup::for_build()?;
    let args = ["build"].into_iter().chain(args.iter().map(String::as_str));
    command::run(&mut command::cargo(args)?)?;
    Ok(ExitCode::SUCCESS)
}

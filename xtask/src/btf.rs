//! `xtask btf`: prints where a kernel keeps what the probes read.

use std::{fs, process::ExitCode};

use anyhow::{Context as _, Result};

use crate::{command, setup, usage};

/// Runs the verb: about the running kernel, or about the BTF file that is named.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let mut doctor = command::cargo(["run", "--quiet", "--package", "ns-trace", "--"])?;
    doctor.args(["doctor", "--offsets"]);
    match args {
        [] => {}
        [file] => {
            // cargo runs in the root of the repository, we in the directory of the user.
            let file = fs::canonicalize(file).with_context(|| format!("cannot open {file}"))?;
            doctor.arg("--btf").arg(file);
        }
        _ => return Ok(usage()),
    }
    setup::for_build()?;
    command::run(&mut doctor)?;
    Ok(ExitCode::SUCCESS)
}

//! `ns-trace doctor`: what this kernel lets ns-trace see, and why.

use std::process::ExitCode;

use crate::{cli::DoctorArgs, report::Failure};

/// Examines this machine.
pub(super) fn run(_args: &DoctorArgs) -> Result<ExitCode, Failure> {
    Err(Failure::new("not yet"))
}

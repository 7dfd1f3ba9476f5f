//! `ns-trace doctor`: what this kernel lets ns-trace see, and why.

use std::process::ExitCode;

use super::report::Failure;
use crate::cli::DoctorArgs;

/// Examines this machine.
pub(super) fn run(_args: &DoctorArgs) -> Result<ExitCode, Failure> {
    Err(Failure::new("not yet"))
}

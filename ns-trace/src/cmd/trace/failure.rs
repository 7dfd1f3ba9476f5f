//! Why tracing failed, and what to do about it.

use std::{env, io, path::Path};

use aya::{EbpfError, maps::MapError, programs::ProgramError};
use rustix::fs::{Access, access};

use super::{Class, Failure};
use crate::{
    cli::Bytes,
    expr,
    pipeline::{Error, ReplayError},
    probe::{self, Obstacle, offsets},
    sys::{
        capability::{self, LOCK},
        host, setting,
    },
};

/// Of a live trace.
pub(in crate::cmd) fn of_live(error: &Error) -> Failure {
    match error {
        Error::Probe(error) => of_probe(error),
        Error::Write(error) => Failure::new(format!("cannot write events: {error}")),
        Error::Watch(_) | Error::Begin(_) | Error::Keep(_) => Failure::new(error.to_string()),
        Error::NoProcess(_) => Failure::new(format!("cannot trace: {error}")).hint(
            "--pid takes numbers of processes, not of threads, as the initial pid namespace has them",
        ),
        Error::Command { source, .. } => {
            let class = match source.kind() {
                io::ErrorKind::NotFound => Class::NotFound,
                _ => Class::NotExecutable,
            };
            Failure::new(error.to_string()).class(class)
        }
    }
}

/// Of loading and attaching.
pub(super) fn of_probe(error: &probe::Error) -> Failure {
    let told = Failure::new(format!("cannot trace: {error}"));
    if let Some(limit) = locked_memory().filter(|_| is_refused(error)) {
        return told.class(Class::Privilege).hint(format!(
            "before Linux 5.11 BPF counts against the memory that a process may lock, here {}: raise \
             that limit (ulimit -l), or grant {}",
            Bytes(limit),
            LOCK.name,
        ));
    }
    match error {
        probe::Error::Offsets(offsets::Error::Read { source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            told.class(Class::Kernel).hint(
                "the kernel must describe its types (CONFIG_DEBUG_INFO_BTF=y, Linux 5.10 or \
                 later), or --btf FILE must",
            )
        }
        probe::Error::Offsets(_) | probe::Error::SelfCheck(_) => {
            told.class(Class::Kernel).hint("`ns-trace doctor` shows what was found")
        }
        probe::Error::Unavailable { .. } | probe::Error::NoBackend(_) => {
            told.class(Class::Kernel).hint("`ns-trace doctor` explains each backend")
        }
        probe::Error::Old(_) => told.class(Class::Kernel).hint("it takes a newer kernel"),
        probe::Error::Program { source: ProgramError::LoadError { verifier_log, .. }, .. }
            if !verifier_log.to_string().is_empty() =>
        {
            told.class(Class::Kernel).hint(
                "does --btf name a file of another kernel? If it was not given, this is a defect of \
                 ns-trace: please report it with what `ns-trace doctor` says",
            )
        }
        _ if is_refused(error) => told.class(Class::Privilege).hint(
            "a security module, seccomp filter, container or kernel lockdown forbids it; \
             `ns-trace doctor` shows what this process may do",
        ),
        _ => told,
    }
}

/// How much memory this process may lock, if that may have been too little.
fn locked_memory() -> Option<u64> {
    let counts = host::version().is_some_and(|version| version < (5, 11));
    setting::memory_lock_limit().filter(|_| counts && !capability::held(&LOCK))
}

/// Whether the kernel said EPERM or EACCES.
fn is_refused(error: &probe::Error) -> bool {
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    match error {
        probe::Error::Program { source, .. } => match source {
            // The verifier speaks up with EACCES and a log: a defect, not a missing right.
            ProgramError::LoadError { io_error, verifier_log } => {
                denied(io_error) && verifier_log.to_string().is_empty()
            }
            ProgramError::SyscallError(error) => denied(&error.io_error),
            _ => false,
        },
        probe::Error::Object(EbpfError::MapError(MapError::CreateError { io_error, .. })) => {
            denied(io_error)
        }
        probe::Error::Attach { source, .. }
        | probe::Error::Mapping(source)
        | probe::Error::Pin { source, .. } => denied(source),
        probe::Error::Unavailable { obstacle: Obstacle::Iterator(error), .. } => denied(error),
        _ => false,
    }
}

/// Of a recording.
pub(super) fn of_replay(path: &Path, error: &ReplayError) -> Failure {
    match error {
        ReplayError::Write(error) => Failure::new(format!("cannot write events: {error}")),
        _ => Failure::new(format!("cannot replay {}: {error}", path.display())),
    }
}

/// Of what a collector sends.
pub(super) fn of_collector(error: &ReplayError) -> Failure {
    match error {
        ReplayError::Write(error) => Failure::new(format!("cannot write events: {error}")),
        _ => Failure::new(format!("cannot read what the collector sends: {error}")),
    }
}

/// Of a filter expression.
pub(in crate::cmd) fn of_filter(error: &expr::Error, source: &str) -> Failure {
    let position = error.position();
    let (line, column) = (position.line, position.column);
    let snippet = error.snippet(source);
    Failure::new(format!(
        "bad --where expression: line {line}, column {column}: {error}\n{snippet}"
    ))
    .class(Class::Usage)
}

/// Finds out before anything is attached whether the command's program can be run.
pub(super) fn check_command(program: &Path) -> Result<(), Failure> {
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    let shown = program.display();
    // As execvp(3) has it.
    if program.as_os_str().as_encoded_bytes().contains(&b'/') {
        if !program.exists() {
            return Err(
                Failure::new(format!("cannot run {shown}: no such file")).class(Class::NotFound)
            );
        }
        if !runs(program) {
            return Err(Failure::new(format!("cannot run {shown}: not an executable file"))
                .class(Class::NotExecutable));
        }
        return Ok(());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| runs(&folder.join(program))) {
        return Ok(());
    }
    Err(Failure::new(format!("cannot run {shown}: not found in PATH")).class(Class::NotFound))
}

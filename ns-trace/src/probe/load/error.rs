//! Why the probes are not there, in words.

use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use crate::probe::{Backend, offsets, pins, plan::Obstacle};

/// Why the probes are not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel is older than the first that has all that the probes call.
    #[error(
        "Linux {0} is too old: BPF has had ring buffers and all else that the probes use since Linux 5.10"
    )]
    Old(String),
    /// The kernel's types are unknown.
    #[error(transparent)]
    Offsets(#[from] offsets::Error),
    /// What the offsets say is not what /proc says.
    #[error("the kernel's BTF does not describe the running kernel: {0}")]
    SelfCheck(String),
    /// The backend asked for cannot run here.
    #[error("the {backend} backend cannot run here: {obstacle}")]
    Unavailable {
        /// The backend.
        backend: Backend,
        /// Why.
        obstacle: Obstacle,
    },
    /// No backend can run here.
    #[error("no backend can run here: {0}")]
    NoBackend(String),
    /// The object could not be loaded.
    #[error("cannot load the probes: {0}")]
    Object(#[from] EbpfError),
    /// A program was refused.
    #[error("the kernel refuses the probe `{program}`: {}", reason(source))]
    Program {
        /// The program's name.
        program: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// A map is not as expected.
    #[error("cannot use the map `{name}`: {source}")]
    Map {
        /// The map's name.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// The object lacks a part.
    #[error("the probes lack `{0}`")]
    Part(&'static str),
    /// Something else that attaching needs.
    #[error("cannot attach `{hook}`: {source}")]
    Attach {
        /// The tracepoint or function.
        hook: &'static str,
        /// Why.
        source: io::Error,
    },
    /// How many CPUs there are is unknown.
    #[error("cannot tell how many CPUs there are: {0}")]
    Cpus(#[source] io::Error),
    /// The kernel refuses what a single look needs.
    #[error("the kernel refuses {what}: {source}")]
    Refused {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The memory of a map could not be mapped.
    #[error("cannot map memory: {0}")]
    Mapping(#[source] io::Error),
    /// Probes cannot be pinned here.
    #[error("cannot pin the probes: {0}")]
    CannotPin(pins::Obstacle),
    /// Something could not be done with pinned probes.
    #[error("cannot {what} {}: {source}", .directory.display())]
    Pin {
        /// What.
        what: &'static str,
        /// Where they are.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a program was refused, in one line: the verifier's last word stands for its whole log.
fn reason(error: &ProgramError) -> String {
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        return error.to_string();
    };
    let log = verifier_log.to_string();
    match last_word(&log) {
        Some(word) => format!("{io_error}: {word}"),
        None => io_error.to_string(),
    }
}

/// The line with which the verifier ends, before it says how much work it had.
fn last_word(log: &str) -> Option<&str> {
    const FIGURES: [&str; 3] = ["verification time ", "stack depth ", "processed "];
    let is_word =
        |line: &&str| !line.is_empty() && !FIGURES.iter().any(|figure| line.starts_with(figure));
    log.lines().map(str::trim).rfind(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_last_word_is_what_it_refuses() {
        let log = "0: R1=ctx() R10=fp0\n299: (61) r1 = *(u32 *)(r2 +0)\ncannot access ptr member\n\
                   verification time 41913 usec\nstack depth 64+0+8\nprocessed 295 insns\n\n";
        assert_eq!(last_word(log), Some("cannot access ptr member"));
        assert_eq!(last_word("processed 295 insns\n"), None);
        assert_eq!(last_word(""), None);
    }
}

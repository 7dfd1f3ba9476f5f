//! Failures as people read them: what failed, on what, why, and what to do.

pub(crate) mod choice;
pub(crate) mod sight;

use std::{fmt, process::ExitCode};

/// Exit status for failures of ns-trace itself when the status of a command is returned otherwise.
pub(crate) const OWN_FAILURE: u8 = 125;

/// Exit status of --exit-code when a rule matched.
pub(crate) const MATCHED: u8 = 10;

/// What sort of failure, as the exit status tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// Anything else.
    Failure,
    /// The command line.
    Usage,
    /// A privilege is missing.
    Privilege,
    /// The kernel lacks something.
    Kernel,
    /// The traced command's program cannot be executed.
    NotExecutable,
    /// The traced command's program was not found.
    NotFound,
}

impl Class {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Privilege => 3,
            Self::Kernel => 4,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
        }
    }
}

/// A failure to tell.
#[derive(Debug)]
pub(crate) struct Failure {
    class: Class,
    sentence: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self { class: Class::Failure, sentence: sentence.into(), hint: None }
    }

    pub(crate) fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The exit status that tells of it.
    pub(crate) const fn status(&self) -> u8 {
        self.class.code()
    }

    /// What failed, without what to do.
    pub(crate) fn sentence(&self) -> &str {
        &self.sentence
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Prints a failure and returns its exit status, `own` if that must differ from a command's.
pub(crate) fn failure(failure: &Failure, own: Option<u8>) -> ExitCode {
    failure_of(None, failure, own)
}

/// As [`failure`], by the name of the tool that we stand in for.
#[expect(clippy::print_stderr, reason = "this is where failures are told")]
pub(crate) fn failure_of(tool: Option<&str>, failure: &Failure, own: Option<u8>) -> ExitCode {
    eprintln!("{}: {failure}", tool.unwrap_or("ns-trace"));
    let code = match failure.class {
        // These are about the command, as a shell would say it.
        Class::NotExecutable | Class::NotFound => failure.class.code(),
        class => own.unwrap_or(class.code()),
    };
    ExitCode::from(code)
}

/// Prints what is worth knowing beside a success.
#[expect(clippy::print_stderr, reason = "standard output is for what was asked for")]
pub(crate) fn note(sentence: &str) {
    eprintln!("ns-trace: {sentence}");
}

//! Why a step could not be carried out.

use std::{fmt, io};

use crate::model::Errno;

/// Exit status of a failure that is not about the program to run.
const FAILURE: u8 = 1;

/// What failed, on what, why, and what to do.
#[derive(Debug, Default)]
pub struct Trouble {
    /// What was to be done: `cannot make a new uts namespace`.
    what: String,
    /// What the kernel said.
    errno: Option<i32>,
    /// The reason that was found by looking.
    reason: Option<Reason>,
    /// The exit status; 0 stands for the common one.
    status: u8,
}

/// A reason that was found by looking, and what to do about it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reason {
    /// Why.
    pub why: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl Reason {
    /// A reason and what to do about it.
    #[must_use]
    pub fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }
}

impl Trouble {
    /// Something that is in the way without the kernel having said so.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// Something that the kernel has refused.
    #[must_use]
    pub fn of(what: impl Into<String>, error: &io::Error) -> Self {
        let trouble = Self::new(what);
        match error.raw_os_error() {
            Some(errno) => Self { errno: Some(errno), ..trouble },
            None => Self { what: format!("{}: {error}", trouble.what), ..trouble },
        }
    }

    /// Adds the reason, if one was found.
    #[must_use]
    pub fn because(self, reason: Option<Reason>) -> Self {
        Self { reason, ..self }
    }

    /// Sets the exit status.
    #[must_use]
    pub fn status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    /// What to exit with.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        if self.status == 0 { FAILURE } else { self.status }
    }

    /// What to do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.reason.as_ref().map(|reason| reason.hint.as_str()).filter(|hint| !hint.is_empty())
    }

    /// As bytes, for the way from one process to another.
    pub(super) fn pack(&self) -> Vec<u8> {
        let reason = self.reason.clone().unwrap_or_default();
        let errno = self.errno.unwrap_or_default();
        let text =
            [&self.what, &errno.to_string(), &reason.why, &reason.hint, &self.status.to_string()];
        text.map(|text| text.replace('\0', "")).join("\0").into_bytes()
    }

    /// The reverse of [`pack`](Self::pack).
    pub(super) fn unpack(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut parts = text.split('\0').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let (what, errno) = (part(), part());
        let reason = Reason { why: part(), hint: part() };
        Self {
            what,
            errno: errno.parse().ok().filter(|errno| *errno != 0),
            reason: Some(reason).filter(|reason| *reason != Reason::default()),
            status: part().parse().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(errno) = self.errno {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            write!(f, ": {text} ({})", Errno::from_raw(errno))?;
        }
        match &self.reason {
            Some(reason) if !reason.why.is_empty() => write!(f, ": {}", reason.why),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_goes_from_one_process_to_another() {
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        let trouble = Trouble::of("cannot mount a on b", &refused)
            .because(Some(Reason::new("why", "do this")))
            .status(127);
        let other = Trouble::unpack(&trouble.pack());
        assert_eq!(other.to_string(), "cannot mount a on b: Operation not permitted (EPERM): why");
        assert_eq!((other.hint(), other.exit_status()), (Some("do this"), 127));
        let plain = Trouble::unpack(&Trouble::new("no such thing").pack());
        assert_eq!(plain.to_string(), "no such thing");
        assert_eq!((plain.hint(), plain.exit_status()), (None, 1));
    }
}

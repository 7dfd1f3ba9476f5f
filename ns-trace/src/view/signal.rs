//! Signals by name.

/// The names of the signals 1 to 31, signal(7); the numbers are those of x86 and arm.
static NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The name of a signal; the real-time signals have none that all libraries agree on.
pub(crate) fn name(signal: u8) -> Option<&'static str> {
    NAMES.get(usize::from(signal).checked_sub(1)?).copied()
}

/// The signal that is called `text`, with or without `SIG`, or has that number.
pub(crate) fn number(text: &str) -> Option<u8> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let text = text.to_ascii_uppercase();
    let is_it = |name: &str| name == text || name.strip_prefix("SIG") == Some(&text);
    let index = NAMES.iter().position(|name| is_it(name))?;
    u8::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_signal_7() {
        for (signal, text) in [
            (0, None),
            (1, Some("SIGHUP")),
            (9, Some("SIGKILL")),
            (15, Some("SIGTERM")),
            (31, Some("SIGSYS")),
            (34, None),
        ] {
            assert_eq!(name(signal), text);
        }
    }
}

//! By which name the program was called, and the one command that is meant.
//!
//! Building the whole command line costs more than making a namespace does: only the command that
//! is asked for is built.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::Path,
};

use clap::{Args, Command, FromArgMatches, error::ErrorKind};

use super::{canonical, canonical_enter};

/// The width at which help is wrapped on wide terminals.
const WIDTH: usize = 100;

/// Tools that the program stands in for when a link bears their name, and the command that does.
const TOOLS: [(&str, &str); 4] =
    [("lsns", "list"), ("unshare", "create"), ("nsenter", "enter"), ("nsexec", "exec")];

/// The words of a command line, and what they begin with.
#[derive(Debug)]
pub struct Called {
    /// What errors and help call it: `unshare`, or `ns-trace create`.
    name: String,
    /// The command that was named, if the first word is one or the program's own name says it.
    command: Option<String>,
    /// The name and what follows it, of the command if there is one.
    words: Vec<OsString>,
}

impl Called {
    /// The words of this process.
    #[must_use]
    pub fn now() -> Self {
        Self::new(env::args_os().collect())
    }

    fn new(mut words: Vec<OsString>) -> Self {
        let file = words.first().and_then(|word| Path::new(word).file_name());
        let file = file.map(OsStr::to_string_lossy).unwrap_or_default();
        // A login shell would be called `-unshare`.
        let file = file.trim_start_matches('-');
        if let Some((tool, command)) = TOOLS.into_iter().find(|(tool, _)| *tool == file) {
            let words = spell(command, words);
            return Self { name: tool.to_owned(), command: Some(command.to_owned()), words };
        }
        let first = words.get(1).and_then(|word| word.to_str());
        let command = first.filter(|word| !word.starts_with('-')).map(str::to_owned);
        let name = match &command {
            Some(command) => {
                words.remove(0);
                words = spell(command, words);
                format!("ns-trace {command}")
            }
            None => "ns-trace".to_owned(),
        };
        Self { name, command, words }
    }

    /// The tool whose name a link gives the program; none if it is called by its own.
    #[must_use]
    pub fn tool(&self) -> Option<&'static str> {
        TOOLS.into_iter().map(|(tool, _)| tool).find(|tool| *tool == self.name)
    }

    /// What exit status says that the command line is wrong: as the tools have it in the commands
    /// that stand in for them, so that it is told apart from none of theirs.
    #[must_use]
    pub fn usage_status(&self, error: ErrorKind) -> u8 {
        if self.command() == Some("netns") {
            let is_missing = matches!(
                error,
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::TooFewValues
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            return if is_missing { 1 } else { 255 };
        }
        let is_tool = TOOLS.iter().any(|(_, command)| Some(*command) == self.command());
        let has_own = self.tool().is_some() || is_tool && self.command() != Some("list");
        if has_own { 1 } else { 2 }
    }

    /// The command that was named; not checked to be one.
    pub(super) fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// All words, as the whole command line would be read.
    pub(super) fn words(&self) -> Vec<OsString> {
        let mut words = vec![OsString::from("ns-trace")];
        words.extend(self.command.as_ref().map(OsString::from));
        words.extend(self.words.iter().skip(1).cloned());
        words
    }

    /// Reads the words as those of the command, of which nothing else is built.
    pub(super) fn read<A: Args + FromArgMatches>(&self) -> Result<A, clap::Error> {
        self.read_spelt(<[OsString]>::to_vec)
    }

    /// The same for a command whose words are spelt in another way than clap reads them.
    pub(super) fn read_spelt<A: Args + FromArgMatches>(
        &self,
        spell: impl Fn(&[OsString]) -> Vec<OsString>,
    ) -> Result<A, clap::Error> {
        let command = Command::new("ns-trace")
            .bin_name(self.name.clone())
            .display_name(self.name.clone())
            .max_term_width(WIDTH);
        let mut command = A::augment_args(command);
        let mut matches = command.try_get_matches_from_mut(spell(&self.words))?;
        A::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }
}

/// Writes the words behind the name as clap wants them, for tools whose ways are not clap's.
fn spell(command: &str, mut words: Vec<OsString>) -> Vec<OsString> {
    let rest = words.split_off(1);
    words.extend(match command {
        "netns" => canonical(rest),
        "enter" => canonical_enter(rest),
        _ => rest,
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(words: &[&str]) -> Called {
        Called::new(words.iter().map(OsString::from).collect())
    }

    #[test]
    fn a_link_names_the_command() {
        for (tool, command) in TOOLS {
            let called = called(&[&format!("/usr/bin/{tool}"), "-x"]);
            assert_eq!((called.tool(), called.command()), (Some(tool), Some(command)));
            assert_eq!(called.words()[..3], ["ns-trace", command, "-x"]);
        }
    }

    #[test]
    fn else_the_first_word_does() {
        let create = called(&["./ns-trace", "create", "-u"]);
        assert_eq!((create.tool(), create.command()), (None, Some("create")));
        assert_eq!(create.words(), ["ns-trace", "create", "-u"]);
        assert_eq!(create.name, "ns-trace create");
        assert_eq!(called(&["ns-trace", "--help"]).command(), None);
        assert_eq!(called(&["ns-trace", "unshare"]).tool(), None);
        assert_eq!(called(&[]).words(), ["ns-trace"]);
    }

    #[test]
    fn wrong_usage_is_told_as_the_tool_tells_it() {
        for (words, status) in [
            (&["ns-trace", "create"][..], 1),
            (&["ns-trace", "list"], 2),
            (&["lsns"], 1),
            (&["ns-trace", "trace"], 2),
            (&["ns-trace"], 2),
        ] {
            assert_eq!(called(words).usage_status(ErrorKind::UnknownArgument), status, "{words:?}");
        }
        let netns = called(&["ns-trace", "netns", "add"]);
        assert_eq!(netns.usage_status(ErrorKind::MissingRequiredArgument), 1);
    }
}

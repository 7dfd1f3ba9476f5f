//! Commands from a file, one a line, as `ip -batch` reads them.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
    process::ExitCode,
};

use clap::Parser as _;

use super::{Outcome, Problem, exec, perform, tell, words};
use crate::cli::{Cli, Command, NetnsCommand, NetnsOptions, canonical};

/// Runs them in order.
pub(super) fn run(file: &Path, options: &NetnsOptions) -> Outcome {
    let cannot = |error: io::Error| {
        Problem::new(format!(
            "Cannot open file \"{}\" for reading: {}",
            file.display(),
            words(&error)
        ))
    };
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).map_err(cannot)?)
    };
    let mut lines = BufReader::new(input).lines();
    let (mut status, mut number) = (ExitCode::SUCCESS, 0);
    while let Some(line) = lines.next() {
        number += 1;
        let (mut line, first) = (line.map_err(cannot)?, number);
        while line.ends_with('\\')
            && let Some(more) = lines.next()
        {
            line.pop();
            line.push_str(&more.map_err(cannot)?);
            number += 1;
        }
        let Some(problem) = failure_of(&line, options) else { continue };
        status = ExitCode::FAILURE;
        problem.as_ref().map(tell);
        tell(&Problem::new(format!("Command failed {}:{first}", file.display())));
        if !options.force {
            break;
        }
    }
    Ok(status)
}

/// Runs one line; of what failed, the problem unless it has told of it.
#[expect(clippy::option_option, reason = "whether it failed, and what there is left to tell")]
fn failure_of(line: &str, options: &NetnsOptions) -> Option<Option<Problem>> {
    match run_line(line, options) {
        Ok(code) if code == ExitCode::SUCCESS => None,
        Ok(_) => Some(None),
        Err(problem) => Some(Some(problem)),
    }
}

fn run_line(line: &str, options: &NetnsOptions) -> Outcome {
    let mut words = split(line).map_err(Problem::usage)?;
    if words.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if words.first().is_some_and(|word| word == "netns") {
        words.remove(0);
    }
    let all = [&["ns-trace".into(), "netns".into()], &canonical(words)[..]].concat();
    let cli = Cli::try_parse_from(all).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Problem::usage(first.trim_start_matches("error: "))
    })?;
    let Command::Netns(args) = cli.command else {
        return Err(Problem::usage("not a command of netns"));
    };
    if args.options.batch.is_some() || args.options.netns.is_some() {
        return Err(Problem::usage("--batch and --netns are not for single lines"));
    }
    let options = NetnsOptions {
        json: args.options.json || options.json,
        pretty: args.options.pretty || options.pretty,
        timestamp: args.options.timestamp || options.timestamp,
        all: args.options.all || options.all,
        ..NetnsOptions::default()
    };
    match &args.command {
        Some(NetnsCommand::Exec { words }) => exec::run_in_child(words, &options),
        command => perform(command.as_ref(), &options),
    }
}

/// Parts a line at blanks; quotes keep them, and `#` begins a comment.
fn split(line: &str) -> Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '#' if word.is_none() => break,
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        Some(next) if next == letter => break,
                        Some(next) => word.push(next),
                        None => return Err("Unterminated quoted string".to_owned()),
                    }
                }
            }
            blank if blank.is_ascii_whitespace() => words.extend(word.take().map(OsString::from)),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word.map(OsString::from));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks() {
        let words = |line| split(line).map(|words| words.join("|".as_ref()));
        assert_eq!(words("netns  add\tblue\r"), Ok("netns|add|blue".into()));
        assert_eq!(
            words("exec a sh -c 'echo \"hi\"' \"\" # no"),
            Ok("exec|a|sh|-c|echo \"hi\"|".into())
        );
        assert_eq!(words("a#b '#'"), Ok("a#b|#".into()));
        assert_eq!(words("# nothing"), Ok("".into()));
        assert!(words("a 'b").is_err());
    }
}

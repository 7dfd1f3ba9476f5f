//! The reference of the command line, in Markdown.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::fresh;
use crate::cli::Cli;

/// A built command and those below it, each with its whole name; `help` is left out.
pub(super) fn commands() -> Vec<(String, Command)> {
    let mut root = Cli::command();
    root.build();
    let below: Vec<_> = root
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
        .map(|command| (format!("ns-trace {}", command.get_name()), command.clone()))
        .collect();
    std::iter::once(("ns-trace".to_owned(), root)).chain(below).collect()
}

fn describe(name: &str, command: &Command, out: &mut String) {
    let about = command.get_long_about().or_else(|| command.get_about());
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    writeln!(out, "## {name}\n").unwrap();
    writeln!(out, "{}\n", about.map(ToString::to_string).unwrap_or_default()).unwrap();
    writeln!(out, "```text\n{usage}\n```\n").unwrap();
    let arguments: Vec<_> =
        command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    if !arguments.is_empty() {
        out.push_str("| option | |\n|---|---|\n");
        for argument in arguments {
            row(argument, out);
        }
        out.push('\n');
    }
    if name != "ns-trace" && command.has_subcommands() {
        out.push_str("| command | |\n|---|---|\n");
        for (usage, about, arguments) in words(command) {
            let usage: Vec<_> = usage.lines().map(|usage| format!("`{usage}`")).collect();
            let options = arguments.iter().filter(|(argument, _)| argument.starts_with('-'));
            let options = options.map(|(option, help)| format!("`{option}`: {help}"));
            let text: Vec<_> = std::iter::once(about).chain(options).collect();
            let text = text.join("; ").replace('|', "\\|");
            writeln!(out, "| {} | {text} |", usage.join(" ")).unwrap();
        }
        out.push('\n');
    }
    if let Some(more) = command.get_after_help() {
        writeln!(out, "```text\n{}\n```\n", more.to_string().trim_end()).unwrap();
    }
}

/// The usage of a further word of a command, what it does, and its arguments.
type Word = (String, String, Vec<(String, String)>);

/// The further words of a command.
pub(super) fn words(command: &Command) -> Vec<Word> {
    let name = format!("{} ", command.get_bin_name().unwrap_or(command.get_name()));
    let word = |word: &Command| {
        let usage = word.clone().render_usage().to_string();
        let lines = usage.trim_start_matches("Usage:").trim().lines();
        let usage: Vec<_> = lines.map(|line| line.trim().replace(&name, "")).collect();
        let about = word.get_long_about().or_else(|| word.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default().replace("\n\n", ": ");
        let arguments = word.get_arguments().filter(|argument| argument.get_id() != "help");
        let argument = |argument: &Arg| {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let value = argument.get_value_names().and_then(|names| names.first());
            let value = value.map(ToString::to_string).unwrap_or_default();
            let name = match argument.get_long() {
                Some(long) => format!("--{long} {value}"),
                None => value,
            };
            (name.trim().to_owned(), help)
        };
        (usage.join("\n"), about, arguments.map(argument).collect())
    };
    command.get_subcommands().filter(|word| word.get_name() != "help").map(word).collect()
}

fn row(argument: &Arg, out: &mut String) {
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|short| format!("`-{short}`")));
    names.extend(argument.get_long().map(|long| format!("`--{long}`")));
    let takes = argument.get_action().takes_values();
    let value = argument.get_value_names().and_then(|names| names.first()).filter(|_| takes);
    match value {
        Some(value) if names.is_empty() => names.push(format!("`{value}`")),
        Some(value) => names.push(format!("*{value}*")),
        None => {}
    }
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let default = argument.get_default_values().first().filter(|_| takes);
    if let Some(default) = default {
        write!(text, " (default `{}`)", default.to_string_lossy()).unwrap();
    }
    let values: Vec<_> = argument.get_possible_values();
    if takes && !values.is_empty() {
        let values: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        write!(text, ": {}", values.join(", ")).unwrap();
    }
    writeln!(out, "| {} | {} |", names.join(" "), text.replace('|', "\\|")).unwrap();
}

#[test]
fn the_reference_is_fresh() {
    let mut text = String::from(
        "# Command line\n\nWritten by `cargo xtask schema` from the program itself.\n\n",
    );
    for (name, command) in commands() {
        describe(&name, &command, &mut text);
    }
    fresh("doc/cli.md", &(text.trim_end().to_owned() + "\n"));
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

//! Completion of selectors by what exists right now: scripts ask the program for it.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{
    cli::Cli,
    model::{Kind, Kinds, Want, World},
    name::Names,
    pipeline::look,
};

/// What stands before the colon of a selector, besides the types.
const WORDS: [&str; 4] = ["container:", "id:", "name:", "pid:"];

/// Prints the selectors that begin with `prefix`, one a line.
pub(in crate::cmd) fn run(prefix: &str) -> ExitCode {
    let mut text = String::new();
    for word in words(prefix) {
        text.push_str(&word);
        text.push('\n');
    }
    // A shell that does not listen wants nothing.
    drop(io::stdout().write_all(text.as_bytes()));
    ExitCode::SUCCESS
}

/// The selectors that begin with `prefix`; none if nothing can be read.
fn words(prefix: &str) -> BTreeSet<String> {
    let all = match prefix.split_once(':') {
        None if prefix.starts_with(|first: char| first.is_ascii_digit()) => {
            let world = seen(&Want::MEMBERS);
            world.namespaces.iter().map(|row| row.info.inode.to_string()).collect()
        }
        None => {
            let kinds = Kind::ALL.map(|kind| format!("{}:", kind.name()));
            kinds.into_iter().chain(WORDS.map(str::to_owned)).collect()
        }
        Some(("name", _)) => {
            let names = Kind::ALL.map(|kind| Names::of(kind).list().unwrap_or_default());
            names
                .iter()
                .flatten()
                .filter_map(|name| Some(format!("name:{}", name.to_str()?)))
                .collect()
        }
        Some(("id", _)) => {
            let world = seen(&Want { ids: true, ..Want::MEMBERS });
            let ids = world.namespaces.iter().filter_map(|row| row.info.id);
            ids.map(|id| format!("id:{id}")).collect()
        }
        Some((word, _)) => of_type(word),
    };
    let begins = |word: &String| {
        // A name may hold what a shell or a terminal would act on.
        word.starts_with(prefix) && !word.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    BTreeSet::into_iter(all).filter(begins).collect()
}

/// The namespaces of a type, with what a process number means too.
fn of_type(name: &str) -> BTreeSet<String> {
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
        return BTreeSet::new();
    };
    let world = seen(&Want { kinds: Kinds::NONE.with(kind), ..Want::MEMBERS });
    let mut words: BTreeSet<_> =
        world.namespaces.iter().map(|row| row.info.to_ref().to_string()).collect();
    if kind == Kind::Pid {
        words.extend(world.processes.iter().map(|process| format!("pid:{}", process.pid)));
    }
    words
}

fn seen(want: &Want) -> World {
    look(want).unwrap_or_default()
}

/// The commands that take a selector.
fn commands() -> Vec<String> {
    let takes_one = |command: &&clap::Command| {
        command.get_positionals().any(|word| word.get_id() == "selector")
    };
    let cli = Cli::command();
    let found = cli.get_subcommands().filter(takes_one);
    // Its words may be a program as well, and so are none of one sort.
    found.map(|command| command.get_name().to_owned()).chain(["enter".to_owned()]).collect()
}

/// Has a generated script ask for selectors where a command takes one.
pub(super) fn extend(shell: Shell, script: &str) -> String {
    let commands = commands();
    match shell {
        Shell::Bash => in_bash(script, &commands.join("|")),
        Shell::Zsh => in_zsh(script),
        Shell::Fish => {
            let pin = "netns; and __fish_seen_subcommand_from pin".to_owned();
            let lines = commands.iter().chain([&pin]).map(|command| {
                format!(
                    "complete -c ns-trace -n \"__fish_ns_trace_using_subcommand {command}\" -f \
                     -a '(ns-trace __complete (commandline -ct) 2>/dev/null)'\n"
                )
            });
            let option = "complete -c ns-trace -n \"__fish_ns_trace_using_subcommand create\" -l join \
                          -x -a '(ns-trace __complete (string replace -- --join= \"\" \
                          (commandline -ct)) 2>/dev/null)'\n";
            format!("{script}{}{option}", lines.collect::<String>())
        }
        _ => script.to_owned(),
    }
}

/// Bash breaks words at colons (`COMP_WORDBREAKS`): what was typed is read from the line, and of
/// each answer only what follows the last colon is given back.
fn in_bash(script: &str, commands: &str) -> String {
    let function = format!(
        r#"
_ns_trace_live() {{
    _ns__trace "$@"
    local typed="${{COMP_LINE:0:COMP_POINT}}" first="${{COMP_WORDS[1]}}" at=2
    typed="${{typed##*[[:space:]]}}"
    [[ "$first ${{COMP_WORDS[2]}}" == "netns pin" ]] && first=why at=3
    [[ "$first" == create && " ${{COMP_LINE:0:COMP_POINT}}" == *" --join"[\ =]"${{typed#--join=}}" ]] &&
        first=why typed="${{typed#--join=}}"
    [[ "$first" == enter && " ${{COMP_LINE:0:COMP_POINT}}" == *" -- "* ]] && return 0
    [[ "$first" == @({commands}) && $COMP_CWORD -ge $at && "$typed" != -* ]] || return 0
    local IFS=$'\n'
    COMPREPLY=( $(ns-trace __complete "$typed" 2>/dev/null) )
    [[ "${{#COMPREPLY[@]}}" -eq 1 && "${{COMPREPLY[0]}}" == *: ]] && compopt -o nospace 2>/dev/null
    if [[ "$COMP_WORDBREAKS" == *:* ]]; then
        local before="${{typed%"${{typed##*:}}"}}"
        COMPREPLY=( "${{COMPREPLY[@]#"$before"}}" )
    fi
    return 0
}}

if [[ "#
    );
    let (head, tail) = script.rsplit_once("\nif [[ ").unwrap_or((script, ""));
    format!("{head}{function}{}", tail.replace("-F _ns__trace ", "-F _ns_trace_live "))
}

fn in_zsh(script: &str) -> String {
    const FUNCTION: &str = r#"
(( $+functions[_ns_trace_selectors] )) ||
_ns_trace_selectors() {
    local -a found
    found=(${(f)"$(_call_program selectors ns-trace __complete ${(q)PREFIX} 2>/dev/null)"})
    compadd -S '' -a found
}

if [ "$funcstack"#;
    let lines = script.lines().map(|line| {
        let line_is = |start| line.trim_start().starts_with(start);
        if line_is("':selector") || line_is("'*--join=") || line_is("'*::words -- Selectors") {
            line.replace(":_default'", ":_ns_trace_selectors'")
        } else {
            line.to_owned()
        }
    });
    let script = lines.collect::<Vec<_>>().join("\n") + "\n";
    script.replacen("\nif [ \"$funcstack", FUNCTION, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_completed_first() {
        assert!(words("").contains("net:") && words("").contains("name:"));
        assert_eq!(words("ne").into_iter().collect::<Vec<_>>(), ["net:"]);
        assert!(words("nonsense:").is_empty());
    }

    #[test]
    fn what_exists_is_found() {
        let pid = format!("pid:{}", std::process::id());
        assert!(words("pid:").contains(&pid));
        let uts = crate::sys::process::own_namespace("uts").unwrap();
        assert!(words("uts:40").contains(&format!("uts:{uts}")));
        assert!(words("4").contains(&uts.to_string()));
    }

    #[test]
    fn scripts_ask_where_a_selector_is_taken() {
        assert!(commands().contains(&"why".to_owned()));
        for (shell, asks) in [
            (Shell::Bash, "complete -F _ns_trace_live"),
            (Shell::Zsh, ":selector -- Which namespace:_ns_trace_selectors'"),
            (
                Shell::Zsh,
                "Selectors, and the program with its arguments; without, a login shell:_ns_trace_selectors'",
            ),
            (Shell::Zsh, ":SELECTOR:_ns_trace_selectors'"),
            (Shell::Zsh, "_ns_trace_selectors() {"),
            (Shell::Fish, "-l join -x -a '(ns-trace __complete"),
            (Shell::Fish, "using_subcommand why\" -f -a '(ns-trace __complete"),
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ns-trace", &mut script);
            let script = extend(shell, &String::from_utf8(script).unwrap());
            assert!(script.contains(asks), "{shell}: {asks}");
        }
    }
}

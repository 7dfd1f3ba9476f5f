//! The man pages.

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

use super::{
    fresh,
    reference::{commands, words},
};

/// What every page says of the environment.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("NO_COLOR", "If set and not empty, no colours are used unless --color=always asks for them."),
    ("TERM", "If it is dumb, no colours are used unless --color=always asks for them."),
    (
        "LC_ALL, LC_CTYPE, LANG",
        "The first that is set and not empty says whether the terminal understands UTF-8. If not, \
         text is printed in ASCII and everything else is escaped.",
    ),
    ("NS_TRACE_SOCKET", "Where the collector is asked, instead of /run/ns-trace/control.sock."),
    ("TZ", "The time zone of the times in text; JSON is always in UTC."),
];

/// A page of section 8, with what [`Man`] leaves out.
fn page(name: &str, command: &Command) -> String {
    let title = name.replace(' ', "-");
    // The date is left out: it would make the page stale every day.
    let man = Man::new(command.clone())
        .title(title.to_uppercase())
        .section("8")
        .date("")
        .source(format!("ns-trace {}", env!("CARGO_PKG_VERSION")))
        .manual("Linux namespaces");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    if name == "ns-trace" {
        commands_section().to_writer(&mut page).unwrap();
    } else if command.has_subcommands() {
        words_section(command).to_writer(&mut page).unwrap();
    }
    for (heading, lines) in sections(command) {
        let mut roff = Roff::default();
        roff.control("SH", [heading.as_str()]);
        roff.control("nf", []);
        for line in &lines {
            roff.text([roman(line.as_str())]);
        }
        roff.control("fi", []);
        roff.to_writer(&mut page).unwrap();
    }
    let mut roff = Roff::default();
    roff.control("SH", ["ENVIRONMENT"]);
    for (variable, meaning) in ENVIRONMENT {
        roff.control("TP", []).text([bold(variable)]).text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]).text(see_also(&title));
    roff.to_writer(&mut page).unwrap();
    String::from_utf8(page).unwrap()
}

fn commands_section() -> Roff {
    let mut roff = Roff::default();
    roff.control("SH", ["COMMANDS"]);
    for (name, command) in commands().iter().skip(1) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        roff.control("TP", []).text([bold(format!("{}(8)", name.replace(' ', "-")))]);
        roff.text([roman(about)]);
    }
    roff
}

/// What a command has further words for.
fn words_section(command: &Command) -> Roff {
    let mut roff = Roff::default();
    roff.control("SH", ["COMMANDS"]);
    for (usage, about, arguments) in words(command) {
        for usage in usage.lines() {
            roff.control("TP", []).text([bold(usage)]);
        }
        roff.text([roman(about)]);
        for (argument, help) in arguments {
            roff.control("RS", []);
            roff.control("TP", []).text([bold(argument)]).text([roman(help)]);
            roff.control("RE", []);
        }
    }
    roff
}

/// The end of the help text, cut at its headings.
fn sections(command: &Command) -> Vec<(String, Vec<String>)> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut sections = vec![("NOTES".to_owned(), Vec::new())];
    for line in help.lines() {
        if let Some(heading) = line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            sections.push((heading.to_uppercase(), Vec::new()));
        } else {
            let (_, lines) = sections.last_mut().unwrap();
            lines.push(line.strip_prefix("  ").unwrap_or(line).to_owned());
        }
    }
    for (_, lines) in &mut sections {
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
    }
    sections.retain(|(_, lines)| !lines.is_empty());
    sections
}

fn see_also(title: &str) -> Vec<Inline> {
    let own = commands().into_iter().map(|(name, _)| (name.replace(' ', "-"), 8));
    let others = [("clone", 2), ("setns", 2), ("unshare", 2), ("namespaces", 7), ("lsns", 8)];
    let others = others.map(|(name, section)| (name.to_owned(), section));
    let all = own.filter(|(name, _)| name != title).chain(others);
    let mut text = Vec::new();
    for (name, section) in all {
        if !text.is_empty() {
            text.push(roman(", "));
        }
        text.extend([bold(name), roman(format!("({section})"))]);
    }
    text
}

#[test]
fn the_man_pages_are_fresh() {
    for (name, command) in commands() {
        fresh(&format!("doc/man/{}.8", name.replace(' ', "-")), &page(&name, &command));
    }
}

#[test]
fn every_page_says_what_the_exit_status_means() {
    for (name, command) in commands() {
        let page = page(&name, &command);
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"]
        {
            let plain = page.contains(&format!(".SH {heading}\n"));
            assert!(plain || page.contains(&format!(".SH \"{heading}\"\n")), "{name}: {heading}");
        }
    }
}

//! The tables of the README.

use std::fmt::Write as _;

use super::{fresh_part, kernels::kernels, rules};
use crate::{
    probe::coverage::{Cell, Sight, everywhere},
    sys::capability::{MORE, TRACE},
};

const README: &str = "../README.md";

/// One test for all: they rewrite the same file.
#[test]
fn the_tables_of_the_readme_are_fresh() {
    fresh_part(README, "capabilities", &capabilities());
    fresh_part(README, "coverage", &coverage());
    fresh_part(README, "kernels", &kernels());
    fresh_part(README, "rules", &rules::rules());
    fresh_part(README, "detections", &rules::detections());
}

fn coverage() -> String {
    let mut notes: Vec<&str> = Vec::new();
    let mut text = String::from(
        "| event | cause | situation | `fentry` | `kprobe` | `tracepoint` |\n|---|---|---|---|---|---|\n",
    );
    for row in everywhere() {
        let mut cell = |cell: &Cell| {
            let Some(note) = cell.note else { return cell.sight.name().to_owned() };
            let known = notes.iter().position(|known| *known == note);
            let number = known.unwrap_or_else(|| {
                notes.push(note);
                notes.len() - 1
            });
            let name = cell.sight.name();
            let shown =
                if cell.sight == Sight::Never { format!("**{name}**") } else { name.into() };
            format!("{shown} ({})", number + 1)
        };
        let (fentry, kprobe, tracepoint) =
            (cell(&row.fentry), cell(&row.kprobe), cell(&row.tracepoint));
        let (cause, situation) = (row.cause.unwrap_or(""), row.situation.unwrap_or(""));
        let event = row.event;
        writeln!(text, "| {event} | {cause} | {situation} | {fentry} | {kprobe} | {tracepoint} |")
            .unwrap();
    }
    text.push('\n');
    for (number, note) in (1..).zip(notes) {
        writeln!(text, "{number}. {note}").unwrap();
    }
    text
}

fn capabilities() -> String {
    let mut text = String::from("| capability | needed | to |\n|---|---|---|\n");
    for (needed, how) in
        TRACE.iter().map(|needed| (needed, "yes")).chain(MORE.iter().map(|more| (more, "no")))
    {
        writeln!(text, "| `{}` | {how} | {} |", needed.name, needed.purpose).unwrap();
    }
    text
}

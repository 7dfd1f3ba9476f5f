//! `ns-trace list`.

use std::{ffi::OsString, time::Duration};

use clap::{Args, ValueEnum, builder::PossibleValuesParser, builder::TypedValueParser as _};

use super::{AskOf, parse_duration};
use crate::model::{Column, Kind, UnknownColumn};

const AFTER_HELP: &str = "\
Without -l the rows are a tree: each namespace lies below that of the process that started its own.
With NAMESPACE the processes in it are listed.

-Q has the filter language of lsns (scols-filter(5)), --where is CEL; both know every column, shown
or not. -H lists the columns; HOLDERS looks into every process and takes longer.

Examples:
  ns-trace list                                   all namespaces
  ns-trace list -t net -o NS,PID,NSFS,COMMAND     network namespaces and where they are mounted
  ns-trace list -P -o +HOLDERS                    those without a process, and what keeps them
  ns-trace list -Q 'TYPE == \"user\" && UID != 0'   user namespaces of others than root
  ns-trace list --where 'nprocs > 10' -J          as JSON
  ns-trace list -Towner                           by the user namespaces that own them
  ns-trace list --watch -o +AGE,CREATOR --dead 1m who makes what, and what is gone
  ns-trace list 4026531836                        the processes in a namespace

Called through a link named lsns it is lsns.

Exit status:
  0    success; also when the reader of the output went away
  1    failure, or there is no such namespace
  2    wrong usage (1 as lsns)
  3    a privilege is missing
  4    the kernel lacks a feature that is needed";

/// List the namespaces that exist
///
/// Shows every namespace with its processes, whoever made it and wherever it is. Takes the options
/// of lsns.
#[derive(Args, Clone, Debug, Default)]
#[command(
    after_help = AFTER_HELP,
    visible_alias = "ls",
    infer_long_args = true,
    args_override_self = true
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct ListArgs {
    /// Print JSON
    #[arg(short = 'J', long, conflicts_with = "raw")]
    pub json: bool,

    /// No tree
    #[arg(short, long, conflicts_with = "tree")]
    pub list: bool,

    /// No headings
    #[arg(short = 'n', long)]
    pub noheadings: bool,

    /// These columns, separated by commas; +LIST adds to those that are shown anyway
    #[arg(short, long, value_name = "LIST", value_parser = parse_output)]
    pub output: Option<Output>,

    /// Every column that costs no look into other processes
    #[arg(long)]
    pub output_all: bool,

    /// Only namespaces without a process
    #[arg(short = 'P', long, conflicts_with = "task")]
    pub persistent: bool,

    /// Only the namespaces of this process
    #[arg(short = 'p', long, value_name = "PID", value_parser = parse_pid, conflicts_with = "namespace")]
    pub task: Option<u32>,

    /// Only rows for which this expression of scols-filter(5) is true
    #[arg(short = 'Q', long, value_name = "EXPR")]
    pub filter: Option<String>,

    /// Only rows for which this CEL expression over the columns, in lower case, is true
    #[arg(long = "where", value_name = "EXPR")]
    pub condition: Option<String>,

    /// One blank between cells, what is special in them as \xNN; no tree
    #[arg(short, long)]
    pub raw: bool,

    /// Only namespaces of this type (repeatable)
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = kinds(), action = clap::ArgAction::Append)]
    pub kinds: Vec<Kind>,

    /// Cut nothing at the edge of the terminal
    #[arg(short = 'u', long)]
    pub notruncate: bool,

    /// Lists in a cell on one line
    #[arg(short = 'W', long)]
    pub nowrap: bool,

    /// A tree by parents, owners (if only -T is said) or processes
    #[arg(
        short = 'T',
        long,
        value_name = "BY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "owner"
    )]
    pub tree: Option<Relation>,

    /// Show the list again whenever it changes, with who made what since then
    #[arg(long, conflicts_with = "list_columns")]
    pub watch: bool,

    /// With --watch: keep showing for so long what is gone
    #[arg(long, value_name = "DURATION", requires = "watch", value_parser = parse_duration)]
    pub dead: Option<Duration>,

    /// List the columns that there are
    #[arg(short = 'H', long)]
    pub list_columns: bool,

    /// Ask the collector (live; ns-trace serve), look at /proc (scan), or ask if one answers
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub source: AskOf,

    /// List the processes in the namespace with this inode
    #[arg(value_parser = parse_namespace)]
    pub namespace: Option<u64>,
}

/// What makes one namespace lie below another.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Relation {
    /// The user namespace that owns it
    #[default]
    Owner,
    /// Its parent, of pid and user namespaces
    Parent,
    /// The process that started its first process
    Process,
}

/// Which columns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Output {
    /// Whether they come after those that are shown anyway.
    pub more: bool,
    /// The columns.
    pub columns: Vec<Column>,
}

impl ListArgs {
    /// Writes `-Towner` as `-T=owner`: the value of an option that may have none stands right
    /// behind it in `getopt_long(3)`, behind `=` here.
    #[must_use]
    pub fn spell(words: &[OsString]) -> Vec<OsString> {
        let mut spelt = Vec::with_capacity(words.len());
        let mut words = words.iter();
        spelt.extend(words.next().cloned());
        while let Some(word) = words.next() {
            let text = word.to_str().unwrap_or_default();
            if text == "--" {
                spelt.push(word.clone());
                spelt.extend(words.by_ref().cloned());
                break;
            }
            let letters = text.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
            // The first letter that takes a value takes all that follow.
            let at = letters.and_then(|letters| letters.find(['o', 'p', 'Q', 't', 'T']));
            let Some((head, rest)) = letters.zip(at).and_then(|(l, at)| l.split_at_checked(at + 1))
            else {
                spelt.push(word.clone());
                continue;
            };
            if head.ends_with('T') && !rest.is_empty() && !rest.starts_with('=') {
                spelt.push(format!("-{head}={rest}").into());
                continue;
            }
            spelt.push(word.clone());
            if rest.is_empty() && !head.ends_with('T') {
                spelt.extend(words.next().cloned());
            }
        }
        spelt
    }
}

pub(super) fn parse_output(list: &str) -> Result<Output, String> {
    let (more, list) = list.strip_prefix('+').map_or((false, list), |list| (true, list));
    let columns: Result<_, UnknownColumn> = list.split(',').map(str::parse).collect();
    let columns = columns.map_err(|UnknownColumn(name)| unknown_column(&name))?;
    Ok(Output { more, columns })
}

/// The sentence, with the nearest name.
pub(crate) fn unknown_column(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let distance = |column: &Column| strsim::damerau_levenshtein(column.name(), &upper);
    let near = Column::ALL.into_iter().min_by_key(distance);
    let near = near.filter(|column| distance(column) <= (upper.len() / 3).max(1));
    let guess = near.map(|column| format!("; did you mean {}?", column.name()));
    format!("unknown column: {name}{}", guess.unwrap_or_default())
}

fn parse_pid(text: &str) -> Result<u32, String> {
    let pid = text.parse().ok().filter(|pid| (1..=i32::MAX.unsigned_abs()).contains(pid));
    pid.ok_or_else(|| format!("invalid PID argument: '{text}'"))
}

fn parse_namespace(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_error| format!("invalid namespace argument: '{text}'"))
}

pub(super) fn kinds() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(|name| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| format!("unknown namespace type: {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(words: &str) -> String {
        let words: Vec<_> = words.split(' ').map(OsString::from).collect();
        let spelt: Vec<_> =
            ListArgs::spell(&words).into_iter().map(|w| w.into_string().unwrap()).collect();
        spelt.join(" ")
    }

    #[test]
    fn the_value_of_t_may_stand_right_behind_it() {
        for (words, expected) in [
            ("lsns -Towner", "lsns -T=owner"),
            ("lsns -nTparent 12", "lsns -nT=parent 12"),
            ("lsns -T=process -T -l", "lsns -T=process -T -l"),
            ("lsns -o Type -tTime", "lsns -o Type -tTime"),
            ("lsns -o -Tx -Q -Ty", "lsns -o -Tx -Q -Ty"),
            ("lsns -- -Tx", "lsns -- -Tx"),
            ("lsns --tree=owner --To", "lsns --tree=owner --To"),
        ] {
            assert_eq!(spelt(words), expected);
        }
    }

    #[test]
    fn columns_are_listed_with_commas() {
        let parsed = parse_output("+ns,Type").unwrap();
        assert_eq!(parsed, Output { more: true, columns: vec![Column::Ns, Column::Type] });
        assert_eq!(
            parse_output("NS,TPYE").unwrap_err(),
            "unknown column: TPYE; did you mean TYPE?"
        );
        assert_eq!(
            parse_output("NS, TYPE").unwrap_err(),
            "unknown column:  TYPE; did you mean TYPE?"
        );
        assert_eq!(parse_output("colour").unwrap_err(), "unknown column: colour");
        assert!(parse_output("").is_err());
    }
}

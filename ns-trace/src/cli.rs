//! The command line: types only, no behaviour.

mod called;
mod create;
mod doctor;
mod enter;
mod exec;
mod history;
mod list;
mod moment;
mod netns;
mod number;
mod rules;
mod serve;
mod show;
mod top;
mod trace;
mod tree;
mod why;

use std::env;

use clap::{
    CommandFactory as _, Parser, Subcommand, ValueEnum, builder::PossibleValue, error::ErrorKind,
};
use clap_complete::Shell;

pub use self::{
    called::Called,
    create::{CreateArgs, CreateWords, Spreading, Who, Word},
    doctor::DoctorArgs,
    enter::{Becoming, EnterArgs, TargetWord, canonical_enter},
    exec::ExecArgs,
    history::{HistoryArgs, HistoryChoice, HistoryCommand},
    list::{ListArgs, Output, Relation},
    moment::{Moment, parse_moment},
    netns::{NetnsArgs, NetnsCommand, NetnsOptions, canonical},
    number::{Ids, Range},
    rules::{RulesArgs, RulesCommand},
    serve::ServeArgs,
    show::ShowArgs,
    top::TopArgs,
    trace::{Format, TraceArgs},
    tree::TreeArgs,
    why::WhyArgs,
};

pub(crate) use self::list::unknown_column;
use crate::model::From;
pub use crate::model::{Bytes, parse_bytes, parse_duration};

/// What the exit status says, for the end of every help text.
const EXIT_STATUS: &str = "\
Exit status:
  0    success; also when the reader of the output went away
  1    failure
  2    wrong usage
  3    a privilege is missing
  4    the kernel lacks a feature that is needed";

/// How namespaces are named, for the end of the help of commands that take one.
const SELECTOR: &str = "\
NS is one of:
  4026532281           the inode, as `ls -l /proc/PID/ns` has it
  net:4026532281       the type and the inode
  id:59609417          the kernel's 64-bit id, where there is one
  pid:1234:net         that of a process: mnt, pid, pid_for_children, ipc, uts, net, user,
                       cgroup, time, time_for_children
  name:blue            a named one: /run/netns/blue, or by ns-trace netns pin
  /run/netns/blue      a file: a bind mount, or one of /proc/PID/ns
PID is 1234, pid:1234, or container:3f2a for the first process of the container whose id begins so.

Exit status:
  0    success; also when the reader of the output went away
  1    failure: there is no such namespace, or several
  2    wrong usage
  3    a privilege is missing";

/// Linux namespaces, live.
#[derive(Debug, Parser)]
#[command(name = "ns-trace", version, about, after_help = EXIT_STATUS, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or the help that it asks for.
    pub fn read(called: &Called) -> Result<Self, clap::Error> {
        let cli = match Command::alone(called) {
            Some(command) => Self { command: command? },
            None => Self::try_parse_from(called.words())?,
        };
        if let Command::Trace(args) = &cli.command
            && args.command.is_empty()
            && env::args_os().next_back().is_some_and(|last| last == "--")
        {
            // To clap that is the same as no `--` at all: everything would be traced.
            let missing = "a command must follow `--`";
            return Err(Self::command().error(ErrorKind::MissingRequiredArgument, missing));
        }
        Ok(cli)
    }
}

/// The rooms.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "clap would take them for the help, in place of the arguments' own"
)]
pub enum Command {
    Trace(Box<TraceArgs>),
    Create(Box<CreateArgs>),
    Enter(Box<EnterArgs>),
    Exec(ExecArgs),
    List(Box<ListArgs>),
    Tree(TreeArgs),
    Top(TopArgs),
    Serve(ServeArgs),
    History(Box<HistoryArgs>),
    Netns(NetnsArgs),
    Show(ShowArgs),
    Why(WhyArgs),
    Rules(RulesArgs),
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    ///
    /// Put what it prints where the shell looks, for example:
    ///
    /// ns-trace completions bash > /usr/share/bash-completion/completions/ns-trace
    #[command(after_help = EXIT_STATUS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print what a selector may be completed to; the scripts of `completions` ask for it
    #[command(name = "__complete", hide = true)]
    Complete {
        /// What was typed of it
        #[arg(default_value = "", allow_hyphen_values = true)]
        prefix: String,
    },
}

impl Command {
    /// Reads the one command that is meant, if its start matters: one line for each that does.
    fn alone(called: &Called) -> Option<Result<Self, clap::Error>> {
        Some(match called.command()? {
            "create" => called.read().map(Box::new).map(Self::Create),
            "enter" => called.read().map(Box::new).map(Self::Enter),
            "exec" => called.read().map(Self::Exec),
            "doctor" => called.read().map(Self::Doctor),
            "history" => called.read().map(Box::new).map(Self::History),
            "list" | "ls" => called.read_spelt(ListArgs::spell).map(Box::new).map(Self::List),
            "netns" => called.read().map(Self::Netns),
            "rules" => called.read().map(Self::Rules),
            "serve" => called.read().map(Self::Serve),
            "show" => called.read().map(Self::Show),
            "top" => called.read().map(Self::Top),
            "trace" => called.read().map(Box::new).map(Self::Trace),
            "tree" => called.read().map(Self::Tree),
            "why" => called.read().map(Self::Why),
            _ => return None,
        })
    }
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AskOf(pub From);

impl ValueEnum for AskOf {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(From::Auto), Self(From::Live), Self(From::Scan)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self.0 {
            From::Auto => "auto",
            From::Live => "live",
            From::Scan => "scan",
        }))
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

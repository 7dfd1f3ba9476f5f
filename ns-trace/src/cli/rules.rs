//! `ns-trace rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const AFTER_HELP: &str = "\
PATH is a file, a directory of which all *.yaml and *.yml are read, or the word `shipped` for the
rules that come with ns-trace; without PATH these are meant, and those of this machine. All files
are checked as one: a macro or list of one may be used in every other.

Files:
  /etc/ns-trace/rules.d/*.yaml    the rules of this machine

A rule, of which id, title, severity and condition (or sequence) must be there:
  rules:
    - id: blue-namespace
      title: A namespace was made by a shell
      severity: low                     critical, high, medium, low, info
      tags: [T1611, lab]                numbers of MITRE ATT&CK, or words
      condition: event == 'create' && is_shell && ns.type in interesting
      count: {at_least: 2, within: 10s, by: process}
      exceptions: {lab: process.uid == 1234}
      message: '{process.comm} made {ns.type}:{ns.inode}'
      rate: {at_most: 5, within: 1m, by: process}
      tests:
        match: [[{event: create, process: {comm: sh}}, {event: create, process: {comm: sh}}]]
        no_match: [{event: create, process: {comm: sh}}]
  macros: {is_shell: process.comm == 'sh' || process.comm == 'bash'}
  lists: {interesting: [net, user]}
Rules of other files are changed by their ids; everything but the id may be left out:
  amend:
    - {id: blue-namespace, severity: high, enabled: false, exceptions: {mine: process.uid == 5}}
In place of condition and count:
      sequence: {within: 30s, by: lineage, steps: [CONDITION, CONDITION]}
`by` is process, parent, user, container, host, in a sequence also lineage (one process descends
from the other) and family (or both are children of one).

Conditions are those of `trace --where`, and have three fields more: `lineage`, the ancestors of the
process from the parent up (pid, start_ns, comm, exe, uid, euid, caps, container); `before`, the
process itself as it was when it was last heard of; and `row`, where the namespace comes from (type,
inode, id, initial, born, owner, parent, level, cause, creator, container, members). Of a recording
members is what a snapshot last counted.

Examples:
  ns-trace rules list                             the rules that come with ns-trace
  ns-trace rules check /etc/ns-trace/rules.d      what is wrong with one's own
  ns-trace rules test shipped my.yaml             whether rules do what their tests say
  ns-trace rules test --replay events.json        what they say to a recording
  ns-trace trace --rules=my.yaml -e alert         what they say to this machine

Exit status:
  0    success; also when the reader of the output went away
  1    something is wrong with a rule, a test of one failed, there is no such rule
  2    wrong usage
  10   test --replay --exit-code: there was an alert";

/// Check, list, test and explain rules
///
/// Rules watch the stream of events for what looks like an attack or a mistake; trace --rules
/// raises their alerts.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct RulesArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say what is wrong with rules: file, line and column of everything
    Check {
        /// Files, directories, or shipped
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,

        /// Print JSON
        #[arg(short = 'J', long)]
        json: bool,
    },

    /// List rules, one a line
    List {
        /// Files, directories, or shipped
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,

        /// Print JSON
        #[arg(short = 'J', long)]
        json: bool,
    },

    /// Run the tests of rules, or show them a recording
    ///
    /// Fails if a rule does not match what it must, or matches what it must not. With --replay counts
    /// the alerts by rule and severity.
    Test {
        /// Files, directories, or shipped
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,

        /// Show the rules the events of FILE (- for standard input), as trace -o json writes them;
        /// record with --tasks, so that they know who descends from whom
        #[arg(long, value_name = "FILE")]
        replay: Option<PathBuf>,

        /// With --replay: return 10 if there was an alert
        #[arg(long, requires = "replay")]
        exit_code: bool,

        /// Print JSON
        #[arg(short = 'J', long)]
        json: bool,
    },

    /// Show everything about one rule, its condition without macros and lists
    Explain {
        /// The id of the rule
        id: String,

        /// Files, directories, or shipped
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,

        /// Print JSON
        #[arg(short = 'J', long)]
        json: bool,
    },
}

//! `ns-trace tree`.

use std::process::ExitCode;

use super::list;
use crate::{
    cli::{ListArgs, TreeArgs},
    report::Failure,
};

/// Shows the tree.
pub(super) fn run(args: &TreeArgs) -> Result<ExitCode, Failure> {
    list::run(&ListArgs {
        tree: Some(args.relation),
        json: args.json,
        noheadings: args.noheadings,
        output: args.output.clone(),
        source: args.source,
        kinds: args.kinds.clone(),
        notruncate: args.notruncate,
        ..ListArgs::default()
    })
}

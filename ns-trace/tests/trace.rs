//! `ns-trace trace`: one file per thing that its events promise.

pub(crate) mod create;
pub(crate) mod filter;
pub(crate) mod output;
pub(crate) mod replay;
mod run;
pub(crate) mod scope;
pub(crate) mod usage;

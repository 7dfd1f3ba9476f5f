//! `ns-trace trace`: one file per thing that its events promise.

pub(crate) mod cleanup;
pub(crate) mod create;
pub(crate) mod filter;
pub(crate) mod output;
pub(crate) mod privilege;
pub(crate) mod replay;
mod run;
pub(crate) mod scope;
pub(crate) mod snapshot;
pub(crate) mod usage;

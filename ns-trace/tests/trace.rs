//! `ns-trace trace`: one file per thing that its events promise.

pub(crate) mod create;
pub(crate) mod replay;
mod run;
pub(crate) mod usage;

//! `ns-trace trace`: one file per thing that its events promise.

pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod enter;
pub(crate) mod fail;
pub(crate) mod quiet;
pub(crate) mod replay;
mod run;
pub(crate) mod storm;
pub(crate) mod tasks;
pub(crate) mod usage;

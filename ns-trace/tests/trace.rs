//! `ns-trace trace`: one file per thing that its events promise.

pub(crate) mod cleanup;
pub(crate) mod container;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod enter;
pub(crate) mod fail;
pub(crate) mod filter;
pub(crate) mod flood;
pub(crate) mod map;
pub(crate) mod output;
pub(crate) mod privilege;
pub(crate) mod quiet;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod scope;
pub(crate) mod snapshot;
pub(crate) mod storm;
pub(crate) mod tasks;
pub(crate) mod usage;

//! `ns-trace trace`: one file per thing that its events promise.

pub(crate) mod create;
pub(crate) mod enter;

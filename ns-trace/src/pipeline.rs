//! Source → table → selection → sink, with every loss accounted for.

mod live;
mod look;
mod picture;
mod replay;
pub mod resolve;
mod scope;
mod select;
mod stream;
mod watch;

pub use self::{
    live::{Command, Error, LiveOptions, run_live},
    look::look,
    picture::{Channel, Ended, Picture, Pictures, Update, Viewer},
    replay::{ReplayError, ReplayOptions, run_replay},
    scope::Scope,
    select::Selection,
    stream::{End, Outcome, Stream},
};

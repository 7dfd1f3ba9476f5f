//! Source → table → selection → sink, with every loss accounted for.

mod about;
mod inquiry;
pub mod journal;
mod live;
mod look;
mod merge;
mod picture;
mod replay;
pub mod resolve;
mod rows;
mod scope;
mod select;
mod stream;
mod watch;

pub use self::{
    about::about,
    inquiry::{Inquiries, Inquiry},
    live::{Attached, Command, Error, Keep, LiveOptions, Obstacle, run_live},
    look::{Looker, look},
    merge::merged,
    picture::{Channel, Ended, Picture, Pictures, Update, Viewer},
    replay::{ReplayError, ReplayOptions, run_replay},
    rows::{Rows, Subject},
    scope::Scope,
    select::Selection,
    stream::{End, Outcome, Stream},
};

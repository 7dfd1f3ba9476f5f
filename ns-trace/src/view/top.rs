//! The live screen: what it knows, and how it changes with what comes in.
//!
//! [`Top`] is a plain value: [`Top::press`] and [`Top::take`] change it, [`draw`] shows it. It reads
//! no clock and no terminal, so that tests can script it.

mod column;
mod detail;
mod draw;
mod help;
mod key;
mod rows;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc};

use jiff::tz::TimeZone;

pub use self::draw::draw;
use self::{
    column::Column,
    rows::{Key, Shown},
};
use super::Charset;
use crate::{
    expr::Filter,
    model::{Event, Kind, NsRow, World},
    pipeline::{Picture, Update},
};

/// How many events are kept.
const EVENTS: usize = 1000;

/// How the screen looks.
#[derive(Clone, Debug)]
pub struct Look {
    /// Whether to use colours.
    pub color: bool,
    /// What the terminal understands.
    pub charset: Charset,
    /// The zone of the times.
    pub zone: TimeZone,
}

/// What a key asks of whoever has the terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// The end.
    Quit,
    /// The shell.
    Suspend,
    /// A screen drawn from scratch.
    Redraw,
    /// All holders.
    LookClosely,
}

/// Which page is shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Page {
    #[default]
    List,
    /// Everything about the chosen namespace.
    Detail,
    Help,
}

/// What the list is ordered by.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Tree {
    #[default]
    Flat,
    /// Below its owner.
    Owner,
    /// Pid and user namespaces below their parents.
    Parent,
}

/// What is being typed.
#[derive(Clone, Debug, Default)]
struct Prompt {
    /// Whether it is an expression, or text to look for.
    is_filter: bool,
    text: String,
    /// What is wrong with it.
    error: Option<String>,
}

/// The screen.
#[derive(Debug)]
pub struct Top {
    look: Look,
    /// Why there are looks at /proc only.
    blind: Option<String>,
    picture: Picture,
    /// What has come while the screen is paused.
    waiting: Option<Picture>,
    events: VecDeque<Event>,
    /// The last close look, if it is about the namespace on the page.
    closely: Option<Arc<World>>,
    page: Page,
    tab: Option<Kind>,
    column: Column,
    is_reversed: bool,
    tree: Tree,
    search: String,
    filter: Option<Filter>,
    prompt: Option<Prompt>,
    has_events: bool,
    is_paused: bool,
    chosen: Option<Key>,
    /// Where that is among those shown.
    at: usize,
    shown: Vec<Shown>,
    /// How far a long page is scrolled.
    scroll: u16,
    /// How many rows the screen has.
    height: u16,
}

impl Top {
    /// A screen that has seen nothing yet.
    #[must_use]
    pub fn new(look: Look, filter: Option<Filter>) -> Self {
        Self {
            look,
            blind: None,
            picture: Picture::default(),
            waiting: None,
            events: VecDeque::new(),
            closely: None,
            page: Page::List,
            tab: None,
            column: Column::Namespace,
            is_reversed: false,
            tree: Tree::Flat,
            search: String::new(),
            filter,
            prompt: None,
            has_events: true,
            is_paused: false,
            chosen: None,
            at: 0,
            shown: Vec::new(),
            scroll: 0,
            height: 24,
        }
    }

    /// Shows only namespaces of this type at first.
    #[must_use]
    pub fn only(mut self, kind: Option<Kind>) -> Self {
        self.tab = kind;
        self
    }

    /// Says that the world is only looked at, and why.
    pub fn blind(&mut self, why: String) {
        self.blind = Some(why);
    }

    /// Whether the world is only looked at.
    #[must_use]
    pub const fn is_blind(&self) -> bool {
        self.blind.is_some()
    }

    /// The screen has so many rows.
    pub const fn resize(&mut self, height: u16) {
        self.height = height;
    }

    /// Takes in something to show.
    pub fn take(&mut self, update: Update) {
        match update {
            Update::Picture(picture) if self.is_paused => self.waiting = Some(picture),
            Update::Picture(picture) => {
                self.picture = picture;
                self.refresh();
            }
            Update::Event(event) if !self.is_paused => {
                let wanted = self.filter.as_ref().is_none_or(|filter| filter.matches(&event));
                if wanted {
                    if self.events.len() == EVENTS {
                        self.events.pop_front();
                    }
                    self.events.push_back(*event);
                }
            }
            Update::Closely(world) => self.closely = Some(world),
            Update::Event(_) | Update::Ended(_) => {}
        }
    }

    /// Holds the screen still, or shows what has come meanwhile.
    fn pause(&mut self) {
        self.is_paused = !self.is_paused;
        if let Some(picture) = self.waiting.take() {
            self.picture = picture;
            self.refresh();
        }
    }

    /// The row of a number: first the living, then the dead.
    fn row(&self, at: usize) -> Option<&NsRow> {
        let living = &self.picture.world.namespaces;
        living.get(at).or_else(|| self.picture.dead.get(at.checked_sub(living.len())?))
    }

    /// The chosen row.
    fn chosen_row(&self) -> Option<&NsRow> {
        self.row(self.shown.get(self.at)?.row)
    }

    /// Opens the page of the chosen namespace.
    fn open(&mut self) -> Option<Request> {
        self.chosen_row()?;
        (self.page, self.scroll, self.closely) = (Page::Detail, 0, None);
        Some(Request::LookClosely)
    }

    /// Goes so many rows down, or up.
    fn walk(&mut self, rows: isize) {
        match self.page {
            Page::List => {
                let last = self.shown.len().saturating_sub(1);
                self.at = self.at.saturating_add_signed(rows).min(last);
                self.chosen = self.chosen_row().map(Key::of);
            }
            Page::Detail | Page::Help => {
                let rows = i16::try_from(rows.clamp(-1000, 1000)).unwrap_or_default();
                self.scroll = self.scroll.saturating_add_signed(rows);
            }
        }
    }

    /// Shows the next type, or the one before.
    fn turn(&mut self, back: bool) {
        let tabs = Kind::ALL.len() + 1;
        let at = self.tab.map_or(0, |kind| kind as usize + 1);
        let to = (at + if back { tabs - 1 } else { 1 }) % tabs;
        self.tab = to.checked_sub(1).and_then(|kind| Kind::ALL.get(kind).copied());
        self.refresh();
    }

    /// Ends typing; an expression that cannot be read stays, with what is wrong.
    fn enter(&mut self) {
        let Some(mut prompt) = self.prompt.take() else { return };
        if !prompt.is_filter {
            self.search = prompt.text;
        } else if prompt.text.trim().is_empty() {
            self.filter = None;
        } else {
            match Filter::compile(&prompt.text) {
                Ok(filter) => self.filter = Some(filter),
                Err(error) => {
                    prompt.error = Some(error.to_string());
                    self.prompt = Some(prompt);
                    return;
                }
            }
        }
        self.refresh();
    }
}

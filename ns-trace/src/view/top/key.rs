//! What keys do: those of htop and less.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Page, Prompt, Request, Top, Tree};
use crate::model::Kind;

/// As far as any list goes.
const FAR: isize = isize::MAX / 2;

impl Top {
    /// A key was pressed.
    pub fn press(&mut self, key: KeyEvent) -> Option<Request> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Request::Quit),
                KeyCode::Char('z') => Some(Request::Suspend),
                KeyCode::Char('l') => Some(Request::Redraw),
                _ => None,
            };
        }
        if self.prompt.is_some() {
            self.write(key.code);
            return None;
        }
        let page = isize::try_from(self.height.saturating_sub(6).max(1)).unwrap_or(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::F(10) => return Some(Request::Quit),
            KeyCode::Up | KeyCode::Char('k') => self.walk(-1),
            KeyCode::Down | KeyCode::Char('j') => self.walk(1),
            KeyCode::PageUp => self.walk(-page),
            KeyCode::PageDown => self.walk(page),
            KeyCode::Home | KeyCode::Char('g') => self.walk(-FAR),
            KeyCode::End | KeyCode::Char('G') => self.walk(FAR),
            KeyCode::Char(' ') => self.pause(),
            KeyCode::Char('e') => self.has_events = !self.has_events,
            KeyCode::F(1) | KeyCode::Char('?' | 'h') => {
                let page = if self.page == Page::Help { Page::List } else { Page::Help };
                (self.page, self.scroll) = (page, 0);
            }
            KeyCode::Esc if self.page != Page::List => self.page = Page::List,
            KeyCode::Esc => {
                self.search.clear();
                self.refresh();
            }
            KeyCode::Enter if self.page == Page::List => return self.open(),
            KeyCode::Enter => self.page = Page::List,
            _ if self.page == Page::List => self.press_in_list(key.code),
            _ => {}
        }
        None
    }

    fn press_in_list(&mut self, key: KeyCode) {
        match key {
            KeyCode::Tab | KeyCode::Right => self.turn(false),
            KeyCode::BackTab | KeyCode::Left => self.turn(true),
            KeyCode::Char(digit @ '0'..='8') => {
                let number = digit.to_digit(10).and_then(|digit| digit.checked_sub(1));
                self.tab = number.and_then(|kind| Kind::ALL.get(kind as usize).copied());
            }
            KeyCode::F(3) | KeyCode::Char('/') => {
                self.prompt = Some(Prompt { text: self.search.clone(), ..Prompt::default() });
            }
            KeyCode::F(4) | KeyCode::Char('w' | '\\') => {
                let source = self.filter.as_ref().map(|filter| filter.source().to_owned());
                let text = source.unwrap_or_default();
                self.prompt = Some(Prompt { is_filter: true, text, error: None });
            }
            KeyCode::F(5) | KeyCode::Char('t') => {
                self.tree = match self.tree {
                    Tree::Flat => Tree::Owner,
                    Tree::Owner => Tree::Parent,
                    Tree::Parent => Tree::Flat,
                };
            }
            KeyCode::F(6) | KeyCode::Char('>' | '.') => self.column = self.column.next(false),
            KeyCode::Char('<' | ',') => self.column = self.column.next(true),
            KeyCode::Char('I') => self.is_reversed = !self.is_reversed,
            _ => return,
        }
        self.refresh();
    }

    /// Types.
    fn write(&mut self, key: KeyCode) {
        let Some(prompt) = &mut self.prompt else { return };
        match key {
            KeyCode::Esc => self.prompt = None,
            KeyCode::Enter => self.enter(),
            KeyCode::Backspace => {
                prompt.text.pop();
                prompt.error = None;
            }
            KeyCode::Char(character) => {
                prompt.text.push(character);
                prompt.error = None;
            }
            _ => {}
        }
    }
}

//! The screen as it looks: a function of what is known.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Page, Top, Tree, column::Column, help::KEYS, rows::Shown};
use crate::{
    model::{Event, Kind},
    view::{Charset, TextOptions, TextWriter, quantity::Count},
};

/// The part of the screen that events get.
const EVENTS_PART: u16 = 3;

/// Draws the screen.
pub fn draw(top: &Top, frame: &mut Frame<'_>) {
    let area = frame.area();
    let rows =
        [Constraint::Length(1), Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)];
    let [head, tabs, body, foot] = Layout::vertical(rows).areas(area);
    frame.render_widget(top.head(), head);
    frame.render_widget(top.tabs(), tabs);
    match top.page {
        Page::List => top.draw_list(frame, body),
        Page::Detail => top.draw_details(frame, body),
        Page::Help => {
            let keys = KEYS.map(|(keys, what)| format!("  {keys:<17}{what}"));
            top.draw_page(frame, body, "KEYS", keys.into());
        }
    }
    frame.render_widget(top.foot(), foot);
}

impl Top {
    /// A bar across the screen.
    fn bar(&self) -> Style {
        if self.look.color {
            Style::new().fg(Color::Black).bg(Color::Cyan)
        } else {
            Style::new().add_modifier(Modifier::REVERSED)
        }
    }

    fn colored(&self, color: Color) -> Style {
        if self.look.color { Style::new().fg(color) } else { Style::new() }
    }

    fn head(&self) -> Line<'static> {
        let world = &self.picture.world;
        let count = |number: usize, noun| {
            Count(u64::try_from(number).unwrap_or(u64::MAX), noun).to_string()
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut spans = vec![Span::styled("ns-trace top", bold), Span::raw("  ")];
        let mut parts = vec![
            count(world.namespaces.len(), "namespace"),
            count(world.processes.len(), "process").replace("processs", "processes"),
        ];
        if !self.picture.dead.is_empty() {
            parts.push(format!("{} gone", self.picture.dead.len()));
        }
        if world.unreadable > 0 {
            parts.push(format!("{} out of reach", world.unreadable));
        }
        spans.push(Span::raw(parts.join(", ")));
        if self.picture.lost > 0 {
            let lost = format!("  {} lost", Count(self.picture.lost, "event"));
            spans.push(Span::styled(lost, self.colored(Color::Red).add_modifier(Modifier::BOLD)));
        }
        if let Some(why) = &self.blind {
            let text = format!("  snapshots only: {}", self.safe(why));
            spans.push(Span::styled(text, self.colored(Color::Yellow)));
        }
        if self.is_paused {
            spans.push(Span::styled("  PAUSED", bold));
        }
        Line::from(spans)
    }

    fn tabs(&self) -> Line<'static> {
        let chosen = self.bar().add_modifier(Modifier::BOLD);
        let tab = |name: &'static str, is_chosen: bool| {
            let style = if is_chosen { chosen } else { Style::new() };
            // Without colours too it must be seen which one it is.
            let text = if is_chosen { format!("[{name}]") } else { format!(" {name} ") };
            Span::styled(text, style)
        };
        let all = std::iter::once(tab("all", self.tab.is_none()));
        let kinds = Kind::ALL.map(|kind| tab(kind.name(), self.tab == Some(kind)));
        let mut spans: Vec<_> = all.chain(kinds).collect();
        let tree = match self.tree {
            Tree::Flat => "",
            Tree::Owner => "  below owners",
            Tree::Parent => "  below parents",
        };
        spans.push(Span::raw(tree));
        if !self.search.is_empty() {
            spans.push(Span::raw(format!("  text: {}", self.safe(&self.search))));
        }
        if let Some(filter) = &self.filter {
            spans.push(Span::raw(format!("  where: {}", self.safe(filter.source()))));
        }
        Line::from(spans)
    }

    fn draw_list(&self, frame: &mut Frame<'_>, area: Rect) {
        let pane = if self.has_events && area.height >= 9 { area.height / EVENTS_PART } else { 0 };
        let rows = [Constraint::Length(1), Constraint::Min(1), Constraint::Length(pane)];
        let [titles, list, events] = Layout::vertical(rows).areas(area);
        let mark = if self.is_reversed { "^" } else { "v" };
        let titles_of = Column::ALL.map(|column| {
            let sorted = if column == self.column { mark } else { "" };
            (column, format!("{}{sorted}", column.title()))
        });
        let text = line_of(titles_of);
        frame.render_widget(Paragraph::new(text).style(self.bar()), titles);
        let height = usize::from(list.height);
        let most = self.shown.len().saturating_sub(height);
        let first = self.at.saturating_sub(height / 2).min(most);
        let lines: Vec<_> = self
            .shown
            .iter()
            .enumerate()
            .skip(first)
            .take(height)
            .map(|(at, shown)| self.line(shown, at == self.at))
            .collect();
        if lines.is_empty() {
            let what = if self.picture.boot_ns == 0 { "looking ..." } else { "nothing to show" };
            frame.render_widget(Line::raw(what), list);
        }
        frame.render_widget(Paragraph::new(lines), list);
        if pane > 0 {
            self.draw_events(frame, events);
        }
    }

    fn line(&self, shown: &Shown, is_chosen: bool) -> Line<'static> {
        let Some(row) = self.row(shown.row) else { return Line::default() };
        let (world, now) = (&self.picture.world, self.picture.boot_ns);
        let cells = Column::ALL.map(|column| {
            let text = self.safe(&column.text(row, world, now));
            let indent = if column == Column::Namespace { 2 * shown.depth.min(4) } else { 0 };
            (column, format!("{:indent$}{text}", ""))
        });
        let style = match (is_chosen, row.died, row.info.initial) {
            (true, ..) => Style::new().add_modifier(Modifier::REVERSED),
            (_, Some(_), _) => self.colored(Color::Red).add_modifier(Modifier::DIM),
            (_, _, true) => Style::new().add_modifier(Modifier::DIM),
            _ if row.processes.is_empty() => self.colored(Color::Yellow),
            _ => Style::new(),
        };
        Line::styled(line_of(cells), style)
    }

    fn draw_events(&self, frame: &mut Frame<'_>, area: Rect) {
        let [title, body] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        let text = if self.is_blind() { "EVENTS  (none: snapshots only)" } else { "EVENTS" };
        frame.render_widget(Paragraph::new(text).style(self.bar()), title);
        let count = usize::from(body.height);
        let first = self.events.len().saturating_sub(count);
        let lines: Vec<_> = self
            .events
            .iter()
            .skip(first)
            .map(|event| Line::raw(self.event_line(event, usize::from(body.width))))
            .collect();
        frame.render_widget(Paragraph::new(lines), body);
    }

    /// An event as `trace` prints it, as wide as that.
    pub(super) fn event_line(&self, event: &Event, width: usize) -> String {
        let options = TextOptions {
            color: false,
            charset: self.look.charset,
            dates: false,
            width: (width > 0).then_some(width),
            zone: self.look.zone.clone(),
        };
        let mut out = Vec::new();
        TextWriter::new(options).write(event, &mut out);
        String::from_utf8_lossy(&out).trim_end().to_owned()
    }

    fn draw_details(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines = self.chosen_row().map(|row| self.details(row)).unwrap_or_default();
        self.draw_page(frame, area, "NAMESPACE", lines);
    }

    /// A page that may be longer than the screen.
    fn draw_page(&self, frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<String>) {
        let [head, body] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        frame.render_widget(Paragraph::new(title.to_owned()).style(self.bar()), head);
        let most = lines.len().saturating_sub(usize::from(body.height));
        let first = usize::from(self.scroll).min(most);
        let safe = |line: String| match self.look.charset {
            Charset::Utf8 => line,
            Charset::Ascii => self.safe(&line),
        };
        let lines: Vec<_> =
            lines.into_iter().skip(first).map(|line| Line::raw(safe(line))).collect();
        frame.render_widget(Paragraph::new(lines), body);
    }

    fn foot(&self) -> Paragraph<'static> {
        if let Some(prompt) = &self.prompt {
            let name = if prompt.is_filter { "where" } else { "text" };
            let error = prompt.error.as_ref().map(|error| format!("   {}", self.safe(error)));
            let text = format!("{name}: {}_{}", self.safe(&prompt.text), error.unwrap_or_default());
            return Paragraph::new(text).style(Style::new().add_modifier(Modifier::BOLD));
        }
        let keys = "F1 Help  Enter Show  / Text  F4 Where  F5 Tree  F6 Sort  Tab Type  e Events  Space Pause  q Quit";
        Paragraph::new(keys).style(self.bar())
    }
}

/// Cells side by side, each as wide as its column or cut to it.
fn line_of(cells: [(Column, String); Column::ALL.len()]) -> String {
    let mut line = String::new();
    for (column, text) in cells {
        let width = column.width();
        let text: String = match column {
            Column::Command => text,
            _ => text.chars().take(width).collect(),
        };
        let cell = if column.is_number() {
            format!("{text:>width$} ")
        } else {
            format!("{text:<width$} ")
        };
        line.push_str(&cell);
    }
    line
}

//! What other threads ask.

use std::sync::Arc;

use super::{Error, Live};
use crate::{
    pipeline::{Inquiry, Picture, Stream},
    sys::clock,
    table::{Row, Table},
};

impl Live {
    /// Answers what was asked.
    pub(super) fn answer(&mut self) -> Result<(), Error> {
        let count = std::mem::take(&mut self.asked);
        if count == 0 {
            return Ok(());
        }
        let asked = self.options.inquiries.as_ref().map(|inquiries| inquiries.take(count));
        let mut shown = Vec::new();
        for inquiry in asked.into_iter().flatten() {
            match inquiry {
                Inquiry::Alive(answer) => answer(),
                Inquiry::Picture(answer) => shown.push(answer),
                Inquiry::Table(answer) => answer(&self.table),
                Inquiry::Rules(rules) => self.stream.replace_rules(&rules),
                Inquiry::Existing { began, all } => self.meet(began, &all)?,
                Inquiry::Identities { began, all } => self.table.identify(began, &all),
            }
        }
        // The last has the picture for itself.
        if let Some(last) = shown.pop() {
            let picture = picture(&mut self.table, &self.stream);
            for answer in shown {
                answer(picture.clone());
            }
            last(picture);
        }
        Ok(())
    }
}

/// What exists now.
pub(super) fn picture(table: &mut Table, stream: &Stream) -> Picture {
    let boot_ns = clock::boot_ns();
    let dead = table.dead(boot_ns).map(Row::picture).collect();
    Picture { boot_ns, world: Arc::new(table.world()), dead, lost: stream.lost() }
}

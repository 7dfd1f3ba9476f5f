//! What clients ask of what exists, answered by the pipeline and by looks.

use std::{
    io,
    sync::{Arc, mpsc::channel},
    time::Duration,
};

use super::{Shared, config::Sight, control::sight};
use crate::{
    model::{Selector, Want, World},
    pipeline::{Inquiry, Picture, about, merged},
    table::Focus,
};

/// How long the pipeline may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Shared {
    /// Asks the pipeline.
    ///
    /// # Errors
    ///
    /// A sentence, if it does not answer.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        inquiry: impl FnOnce(Box<dyn FnOnce(T) + Send>) -> Inquiry,
    ) -> Result<T, String> {
        let (answer, answered) = channel();
        self.inquiries.ask(inquiry(Box::new(move |found| {
            // The client may have gone.
            let _told = answer.send(found);
        })));
        answered.recv_timeout(PATIENCE).map_err(|_silent| "the pipeline does not answer".to_owned())
    }

    /// Whether it is certain that no namespace has this inode.
    ///
    /// # Errors
    ///
    /// A sentence, if the pipeline does not answer.
    pub(super) fn is_nowhere(&self, inode: u32) -> Result<bool, String> {
        self.ask(|answer| Inquiry::Table(Box::new(move |table| answer(table.is_nowhere(inode)))))
    }

    /// What a look finds, and what the table knows besides.
    ///
    /// # Errors
    ///
    /// A sentence, if /proc cannot be listed.
    pub(super) fn closely(&self, picture: &Picture, want: &Want) -> Result<World, String> {
        // What only the table knows of may have a first process that is no other's.
        let want = Want { first: false, ..*want };
        let found = self.looker().look(&want);
        let found = found.map_err(|error| format!("cannot look at /proc: {error}"))?;
        Ok(merged(found, picture, want.kinds))
    }

    /// All about what is named, as far as `uid` sees it.
    ///
    /// # Errors
    ///
    /// A sentence, if the pipeline does not answer or /proc cannot be listed.
    pub(super) fn about(&self, asked: &Selector, seen: Sight, uid: u32) -> Result<World, String> {
        // What somebody sees of it depends on what they see of everything.
        if seen == Sight::All {
            let (selector, witnesses) = (asked.clone(), self.looker().witnesses());
            let focus = self.ask(|answer| {
                Inquiry::Table(Box::new(move |table| answer(table.focus(&selector, &witnesses))))
            })?;
            let found = match (asked, focus) {
                (Selector::Pid { pid, slot: None }, _) => self.about_process(*pid),
                (_, Some(focus)) => self.about_one(focus),
                (_, None) => None,
            };
            if let Some(world) = found {
                return Ok(world);
            }
        }
        let picture = self.ask(Inquiry::Picture)?;
        let look = |want: &Want| {
            let found = self.closely(&picture, want).map_err(io::Error::other)?;
            Ok(sight::world(found, seen, uid))
        };
        about(asked, Some(&picture.world), look).map_err(|error| error.to_string())
    }

    /// All about one process, by a look at no more than that; `None` if it is gone.
    fn about_process(&self, pid: u32) -> Option<World> {
        let namespaces = self
            .ask(|answer| Inquiry::Table(Box::new(move |table| answer(table.around_task(pid)))));
        let world = World { namespaces: namespaces.ok()?, ..World::default() };
        let picture = Picture { world: Arc::new(world), ..Picture::default() };
        let look = |want: &Want| {
            let found = self.looker().look_at_process(pid, want).ok_or(io::ErrorKind::NotFound)?;
            Ok(merged(found, &picture, want.kinds))
        };
        about(&Selector::Pid { pid, slot: None }, None, look).ok()
    }

    /// All about one namespace, by a look at no more than that; `None` if it takes more.
    fn about_one(&self, focus: Focus) -> Option<World> {
        let selector = Selector::Kind { kind: focus.kind, inode: focus.ns.inode };
        let world = World { namespaces: focus.rows.clone(), ..World::default() };
        let picture = Picture { world: Arc::new(world), ..Picture::default() };
        let look = |want: &Want| {
            let found = self.looker().look_at(focus, want).ok_or(io::ErrorKind::NotFound)?;
            Ok(merged(found, &picture, want.kinds))
        };
        about(&selector, None, look).ok()
    }
}

//! What a plan that is being carried out has at hand.

use std::{
    collections::BTreeMap,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::process::Pid;

use super::outside::Outside;
use crate::sys::job::Mask;

/// The things that steps leave to later ones; a fork copies them.
#[derive(Debug, Default)]
pub struct Scene {
    /// The process that stays outside, if a step needs it.
    pub(super) outside: Option<Outside>,
    /// In the parent of a fork: what to wait for.
    pub(super) child: Option<Child>,
    /// In the child of a fork: its parent.
    pub(super) parent: Option<OwnedFd>,
    /// The signal that is to end the child when its parent ends.
    pub(super) death_signal: Option<i32>,
    /// In the process that stays outside: the one whose namespaces change.
    pub(super) main: Option<Pid>,
    /// The process that becomes the program, as the namespaces have it that everything started in.
    pub(super) program: Option<Pid>,
    /// Files that were opened while everything was as it was, by names that steps agree on.
    pub(super) files: BTreeMap<String, OwnedFd>,
}

/// A child to wait for.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    /// The signals that were blocked before.
    pub(super) mask: Mask,
}

impl Scene {
    /// Keeps a file for a later step.
    pub fn keep(&mut self, name: impl Into<String>, file: OwnedFd) {
        self.files.insert(name.into(), file);
    }

    /// A file that an earlier step has kept.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.files.get(name).map(|file| std::os::fd::AsFd::as_fd(file))
    }
}

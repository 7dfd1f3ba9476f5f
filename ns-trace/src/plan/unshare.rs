//! New namespaces for this process.

use rustix::io::Errno;
use serde::Serialize;

use super::{Action, Scene, Trouble, reason, word};
use crate::{model::Flags, sys};

/// Makes namespaces and moves this process into them: one unshare(2).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unshare {
    /// A bit for each; others than those of namespaces are the caller's to answer for.
    #[serde(flatten)]
    pub flags: Flags,
}

impl Action for Unshare {
    fn describe(&self) -> String {
        format!("unshare {}", word::flags(self.flags))
    }

    fn carry_out(&self, _scene: &mut Scene) -> Result<(), Trouble> {
        sys::unshare::by_flags(self.flags.bits()).map_err(|error| {
            let what = format!("cannot make {}", word::new_namespaces(self.flags));
            let errno = Errno::from_io_error(&error);
            let reason = errno.and_then(|errno| reason::of_unshare(self.flags, errno));
            Trouble::of(what, &error).because(reason)
        })
    }
}

//! What the collector gives up once its probes are attached.

use rustix::thread::CapabilitySet;

use super::{Error, Level, Say, config::PrivilegesConfig};
use crate::sys::{
    capability::{self, SERVE},
    seccomp,
};

/// Gives it up, for this thread and those that it starts; system calls for all there are.
///
/// # Errors
///
/// If capabilities cannot be given up. Without a filter of system calls it goes on and says so: not
/// every kernel and architecture has one.
pub(super) fn give_up(config: &PrivilegesConfig, say: Say) -> Result<(), Error> {
    if config.drop {
        let needed = SERVE.iter().map(|needed| needed.bit);
        let named = capability::named().into_iter();
        let more = named.filter(|(name, _)| config.keep.contains(name)).map(|(_, bit)| bit);
        let kept = needed.chain(more).fold(CapabilitySet::empty(), |all, bit| all | bit);
        capability::keep(kept).map_err(Error::io("give up capabilities"))?;
    }
    if config.seccomp
        && let Err(error) = seccomp::confine()
    {
        say(Level::Warning, &format!("system calls are not restricted: {error}"));
    }
    Ok(())
}

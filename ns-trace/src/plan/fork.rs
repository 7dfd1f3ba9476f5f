//! A child carries out the rest.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read, write},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, set_parent_process_death_signal},
};
use serde::Serialize;

use super::{Action, Scene, Trouble, reason, scene::Child, word};
use crate::{
    model::Flags,
    sys::{
        fork::{Forked, fork},
        job,
    },
};

/// Forks. The child carries out the steps behind this one; this process passes signals on to it
/// and ends as it does.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Fork {
    /// The namespaces that the child begins in (clone3(2)); none if 0.
    #[serde(flatten)]
    pub flags: Flags,
    /// The signal that the child gets when this process ends, even if it is killed; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub death_signal: Option<i32>,
}

impl Action for Fork {
    fn describe(&self) -> String {
        let how = match self.flags.bits() {
            0 => "fork".to_owned(),
            _ => format!("clone3 {}", word::flags(self.flags)),
        };
        match self.death_signal {
            Some(signal) => format!("{how}; the child gets signal {signal} when its parent ends"),
            None => how,
        }
    }

    fn carry_out(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let what = match self.flags.bits() {
            0 => "cannot fork".to_owned(),
            _ => format!("cannot clone into {}", word::new_namespaces(self.flags)),
        };
        let refused = |error| Trouble::of(&*what, &error);
        let parent = pidfd_open(getpid(), PidfdFlags::empty()).map_err(|e| refused(e.into()))?;
        let (told, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| refused(e.into()))?;
        let mask = job::block();
        match fork(self.flags.bits()) {
            Ok(Forked::Parent(pid)) => {
                // It waits for that.
                let _told = write(&tell, &pid.as_raw_nonzero().get().to_ne_bytes());
                scene.child = Some(Child { pid, mask });
                Ok(())
            }
            Ok(Forked::Child) => {
                drop(tell);
                job::restore(&mask);
                let mut number = [0; 4];
                // Without a number the parent is gone, which is found out below.
                let _read = read(&told, &mut number);
                if let Some(pid) = Pid::from_raw(i32::from_ne_bytes(number)) {
                    scene.program = Some(pid);
                    if let Some(outside) = &mut scene.outside {
                        outside.tell_program(pid);
                    }
                }
                if let Some(signal) = self.death_signal {
                    scene.death_signal = Some(signal);
                    // Until the program runs, nothing of ours is to survive, whatever the signal.
                    die_with(parent.as_fd(), Signal::KILL)?;
                }
                scene.parent = Some(parent);
                Ok(())
            }
            Err(error) => {
                job::restore(&mask);
                let reason =
                    Errno::from_io_error(&error).and_then(|errno| match self.flags.bits() {
                        0 => reason::of_fork(errno),
                        _ => reason::of_unshare(self.flags, errno),
                    });
                Err(refused(error).because(reason))
            }
        }
    }
}

/// Has the kernel send us `signal` when the parent ends, which may have happened already.
pub(super) fn die_with(parent: BorrowedFd<'_>, signal: Signal) -> Result<(), Trouble> {
    let refused = |error: Errno| Trouble::of("cannot follow the parent", &error.into());
    set_parent_process_death_signal(Some(signal)).map_err(refused)?;
    let mut ended = [PollFd::new(&parent, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut ended, Some(&now)).map_err(refused)? == 0 {
        Ok(())
    } else {
        Err(Trouble::new("the parent ended"))
    }
}

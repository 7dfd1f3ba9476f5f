//! A process that stays in the namespaces that everything started in.
//!
//! It carries out the steps that need their files or rights there. It knows the plan, so it is told
//! by one number which step is next. When it is told no more, since whoever led it is gone, it
//! undoes all that it did, unless everything was done: nothing is left of a plan that was killed.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
};

use rustix::{
    io::{Errno, retry_on_intr},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, WaitOptions, getpid, waitpid},
};

use super::{Place, Plan, Scene, Trouble};
use crate::sys::{
    fork::{Forked, fork},
    job, program,
};

/// What it is told: the number of a step, or one of these.
const UNDO: u32 = u32::MAX;
const KEEP: u32 = u32::MAX - 1;
/// The next number is that of the process that becomes the program.
const PROGRAM: u32 = u32::MAX - 2;

/// The leading end.
#[derive(Debug)]
pub(super) struct Outside {
    orders: File,
    answers: File,
}

/// In the parent of a fork: waits for its end when dropped.
#[derive(Debug)]
pub(super) struct Leaving(File);

impl Drop for Leaving {
    fn drop(&mut self) {
        // It says nothing more; its end ends the pipe.
        let _end = self.0.read(&mut [0]);
    }
}

impl Outside {
    /// Starts one that may carry out the steps of `plan`.
    pub(super) fn start(plan: &Plan) -> Result<Self, Trouble> {
        let start = || -> io::Result<Self> {
            let (orders, leading) = pipe_with(PipeFlags::CLOEXEC)?;
            let (answers, answering) = pipe_with(PipeFlags::CLOEXEC)?;
            let main = getpid();
            let mask = job::block();
            // It must not be a child of ours: the program that we become does not know of it.
            match fork(0)? {
                Forked::Child => match fork(0) {
                    Ok(Forked::Child) => {
                        drop((leading, answers));
                        serve(plan, main, &File::from(orders), &File::from(answering));
                        program::quit(0)
                    }
                    Ok(Forked::Parent(_)) => program::quit(0),
                    Err(_) => program::quit(1),
                },
                Forked::Parent(pid) => {
                    job::restore(&mask);
                    let status = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()))?;
                    if status.is_none_or(|(_, status)| status.exit_status() != Some(0)) {
                        return Err(Errno::AGAIN.into());
                    }
                }
            }
            Ok(Self { orders: leading.into(), answers: answers.into() })
        };
        start().map_err(|error| Trouble::of("cannot start a process that stays outside", &error))
    }

    /// Has it carry out a step.
    pub(super) fn carry_out(&mut self, index: usize) -> Result<(), Trouble> {
        let lost = |error| Trouble::of("lost the process that stays outside", &error);
        let index = u32::try_from(index).unwrap_or(UNDO);
        self.order(index).map_err(lost)?;
        let answer = self.answer().map_err(lost)?;
        if answer.is_empty() { Ok(()) } else { Err(Trouble::unpack(&answer)) }
    }

    /// Tells it who becomes the program.
    pub(super) fn tell_program(&mut self, pid: Pid) {
        let pid = pid.as_raw_nonzero().get().unsigned_abs();
        // What needs it will fail.
        let _told = self.order(PROGRAM).and_then(|()| self.order(pid));
    }

    /// Has it undo everything, and waits until that is done.
    pub(super) fn undo(&mut self) {
        // If it is gone, nothing more can be done.
        let _done = self.order(UNDO).and_then(|()| self.answer());
    }

    /// Everything is done: from now on it undoes only what it is told to.
    pub(super) fn keep(&mut self) {
        let _done = self.order(KEEP).and_then(|()| self.answer());
    }

    /// Leaves it to the child of a fork.
    pub(super) fn leave_to_child(self) -> Leaving {
        Leaving(self.answers)
    }

    fn order(&mut self, number: u32) -> io::Result<()> {
        self.orders.write_all(&number.to_ne_bytes())
    }

    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let length = read_number(&self.answers)?;
        let mut text = vec![0; length as usize];
        self.answers.read_exact(&mut text)?;
        Ok(text)
    }
}

fn read_number(mut file: &File) -> io::Result<u32> {
    let mut number = [0; 4];
    file.read_exact(&mut number)?;
    Ok(u32::from_ne_bytes(number))
}

/// What the process outside does until nobody leads it any more.
fn serve(plan: &Plan, main: Pid, orders: &File, mut answers: &File) {
    let mut scene = Scene { main: Some(main), program: Some(main), ..Scene::default() };
    let mut done = Vec::new();
    let mut keep = false;
    while let Ok(number) = read_number(orders) {
        let mut answer = Vec::new();
        match number {
            UNDO => {
                undo(plan, &mut done, &mut scene);
                keep = false;
            }
            KEEP => keep = true,
            PROGRAM => {
                let pid = read_number(orders).unwrap_or_default();
                scene.program = Pid::from_raw(pid.cast_signed());
                continue;
            }
            index => {
                let index = index as usize;
                let step = plan.steps.get(index);
                let step = step.filter(|step| step.action().place() == Place::Outside);
                match step.map(|step| step.action().carry_out(&mut scene)) {
                    Some(Ok(())) => done.push(index),
                    Some(Err(trouble)) => answer = trouble.pack(),
                    None => answer = Trouble::new("no such step outside").pack(),
                }
            }
        }
        let mut text = u32::try_from(answer.len()).unwrap_or_default().to_ne_bytes().to_vec();
        text.extend(answer);
        if answers.write_all(&text).is_err() {
            break;
        }
    }
    if !keep {
        undo(plan, &mut done, &mut scene);
    }
}

fn undo(plan: &Plan, done: &mut Vec<usize>, scene: &mut Scene) {
    while let Some(index) = done.pop() {
        if let Some(step) = plan.steps.get(index) {
            step.action().undo(scene);
        }
    }
}

//! Plans are carried out.

use super::{End, Place, Plan, Scene, Step, Trouble, outside::Outside, scene::Child};
use crate::sys::job;

impl Plan {
    /// Carries out the steps. Returns in the parent of a fork when the child has ended; without a
    /// fork, and in the child, only if a step has failed. Whoever gets an error has to say it and
    /// to exit with its status.
    ///
    /// # Errors
    ///
    /// The step that failed; what those before it have done is undone.
    pub fn carry_out(&self) -> Result<End, Trouble> {
        let mut scene = Scene::default();
        job::heed_children();
        for step in &self.steps {
            step.action().prepare(&mut scene)?;
        }
        if self.steps.iter().any(|step| step.action().place() == Place::Outside) {
            scene.outside = Some(Outside::start(self)?);
        }
        for (index, step) in self.steps.iter().enumerate() {
            if let Err(trouble) = carry_out_one(step, index, &mut scene) {
                self.undo(index, &mut scene);
                return Err(trouble);
            }
            if let Some(child) = scene.child.take() {
                return wait(&child, &mut scene);
            }
        }
        Err(Trouble::new("the plan ends without a program"))
    }

    /// Undoes the steps before the one that failed, the last one first.
    fn undo(&self, failed: usize, scene: &mut Scene) {
        for step in self.steps.iter().take(failed).rev() {
            let action = step.action();
            if action.place() == Place::Inside {
                action.undo(scene);
            }
        }
        if let Some(mut outside) = scene.outside.take() {
            outside.undo();
        }
    }
}

fn carry_out_one(step: &Step, index: usize, scene: &mut Scene) -> Result<(), Trouble> {
    match (step.action().place(), &mut scene.outside) {
        (Place::Outside, Some(outside)) => outside.carry_out(index),
        _ => step.action().carry_out(scene),
    }
}

/// Waits for the child, which has become what was asked for, or has said what is wrong.
fn wait(child: &Child, scene: &mut Scene) -> Result<End, Trouble> {
    // The child alone is to tell it what to do: when it ends, so does the one outside.
    let outside = scene.outside.take().map(Outside::leave_to_child);
    let end =
        job::watch(child.pid).map_err(|error| Trouble::of("cannot wait for the child", &error))?;
    drop(outside);
    job::restore(&child.mask);
    Ok(end)
}

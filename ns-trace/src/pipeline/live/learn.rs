//! What processes run that are older than the tracer.

use rustc_hash::FxHashSet;

use super::Live;

/// How many are asked for it at a time: records wait no longer than a millisecond.
const PIECE: usize = 32;

impl Live {
    /// Has it found out of all that there are, if somebody may ask and it is not known already.
    pub(super) fn learn_all(&mut self) {
        if self.options.inquiries.is_some() && !self.stream.has_rules() {
            self.unlearned = self.table.tasks().map(|(pid, _)| pid).collect();
            self.unlearned.sort_unstable();
            self.unlearned.dedup();
            self.world.alike = Some(FxHashSet::default());
        }
    }

    /// Finds it out of all at once, if there are rules: these go by what ancestors run.
    pub(super) fn learn_for_rules(&mut self) {
        if !self.stream.has_rules() {
            return;
        }
        self.world.alike = Some(FxHashSet::default());
        let leaders: FxHashSet<u32> = self.table.tasks().map(|(pid, _)| pid).collect();
        for pid in leaders {
            self.table.learn(pid, &mut self.world);
        }
        self.world.alike = None;
    }

    /// Finds it out of a few, if there is nothing else to do.
    pub(super) fn learn(&mut self, is_idle: bool) {
        if !is_idle || self.unlearned.is_empty() {
            return;
        }
        let rest = self.unlearned.len().saturating_sub(PIECE);
        for pid in self.unlearned.drain(rest..) {
            self.table.learn(pid, &mut self.world);
        }
        if rest == 0 {
            (self.unlearned, self.world.alike) = (Vec::new(), None);
        }
    }
}

//! Rounds: in each, everything is measured once, in random order, and compared with the rest of the
//! same round only, since the machine of now is not the machine of a minute ago.

use std::fmt;

use anyhow::Result;

use super::{Bench, peer::Peer};

/// Who watches while something is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Watcher {
    Nobody,
    /// Nobody again: how far two equal measurements lie apart.
    NobodyAgain,
    NsTrace,
    /// One tracepoint that does nothing.
    Floor,
    Peer(Peer),
}

/// What something cost: nanoseconds per call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) wall: f64,
    pub(super) cpu: f64,
}

/// Which of the two counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Judged {
    Wall,
    Cpu,
}

impl Judged {
    const fn of(self, cost: Cost) -> f64 {
        match self {
            Self::Wall => cost.wall,
            Self::Cpu => cost.cpu,
        }
    }

    pub(super) const fn other(self) -> (Self, &'static str) {
        match self {
            Self::Wall => (Self::Cpu, "CPU"),
            Self::Cpu => (Self::Wall, "wall"),
        }
    }
}

/// All costs, one of each watcher per round.
#[derive(Debug, Default)]
pub(super) struct Rounds(Vec<Vec<(Watcher, Cost)>>);

impl Rounds {
    /// Measures.
    pub(super) fn measure(
        bench: &mut Bench,
        what: &str,
        floor: bool,
        mut once: impl FnMut(&Bench, Watcher) -> Result<Cost>,
    ) -> Result<Self> {
        let mut watchers = vec![Watcher::Nobody, Watcher::NobodyAgain, Watcher::NsTrace];
        watchers.extend(floor.then_some(Watcher::Floor));
        watchers.extend(bench.peers.iter().copied().map(Watcher::Peer));
        let mut rounds = Self::default();
        for round in 1..=bench.rounds {
            eprintln!("{what}: round {round} of {}", bench.rounds);
            bench.random.shuffle(&mut watchers);
            let mut costs = Vec::new();
            for watcher in &watchers {
                costs.push((*watcher, once(bench, *watcher)?));
            }
            rounds.0.push(costs);
        }
        Ok(rounds)
    }

    /// What a watcher cost in each round, as a multiple of nobody's.
    pub(super) fn ratios(&self, watcher: Watcher, judged: Judged) -> Spread {
        let ratio = |round: &Vec<(Watcher, Cost)>| {
            let cost = |of| round.iter().find(|(who, _)| *who == of).map(|(_, cost)| *cost);
            Some(judged.of(cost(watcher)?) / judged.of(cost(Watcher::Nobody)?))
        };
        Spread::of(self.0.iter().filter_map(ratio).collect())
    }

    /// What a call costs when nobody watches.
    pub(super) fn bare(&self, judged: Judged) -> Spread {
        let nobody = |round: &Vec<(Watcher, Cost)>| {
            let found = round.iter().find(|(who, _)| *who == Watcher::Nobody);
            found.map(|(_, cost)| judged.of(*cost))
        };
        Spread::of(self.0.iter().filter_map(nobody).collect())
    }
}

/// Repeated measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self {
            median: quantile(&values, 0.5),
            least: values.first().copied().unwrap_or(f64::NAN),
            most: values.last().copied().unwrap_or(f64::NAN),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(2);
        let Self { median, least, most } = self;
        write!(f, "{median:.precision$} ({least:.precision$}…{most:.precision$})")
    }
}

/// The value below which `share` of the sorted values lie; NaN of none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index between 0 and a few thousand"
)]
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let value = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    // Between two neighbours.
    let (below, above) = (value(at.floor()), value(at.ceil()));
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]).to_string(), "2.00 (1.00…3.00)");
        assert_eq!(format!("{:.1}", Spread::of(vec![4.0, 1.0])), "2.5 (1.0…4.0)");
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.99).to_string(), "4.96");
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let cost = |wall| Cost { wall, cpu: 1.0 };
        let round =
            |bare, traced| vec![(Watcher::NsTrace, cost(traced)), (Watcher::Nobody, cost(bare))];
        let rounds = Rounds(vec![round(1.0, 2.0), round(10.0, 30.0), round(2.0, 5.0)]);
        assert_eq!(rounds.ratios(Watcher::NsTrace, Judged::Wall).to_string(), "2.50 (2.00…3.00)");
        assert_eq!(rounds.ratios(Watcher::NsTrace, Judged::Cpu).to_string(), "1.00 (1.00…1.00)");
        assert!(rounds.ratios(Watcher::NobodyAgain, Judged::Wall).median.is_nan());
    }
}

//! The closing line of a stream.

use std::fmt;

use super::quantity::{Count, Grouped};

/// What a stream was, in one sentence: `ns-trace: 1,234 events in 5.2 s, 0 lost`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Events written.
    pub events: u64,
    /// Events known to be missing.
    pub lost: u64,
    /// How long the stream lasted.
    pub seconds: f64,
    /// Alerts, if rules were asked.
    pub alerts: Option<u64>,
    /// Alerts among these that were not written.
    pub unasked: u64,
    /// Alerts held back by the limits of their rules.
    pub held: u64,
    /// Processes, namespaces, counts and sequences that rules had to forget.
    pub forgotten: u64,
    /// Events that a filter could not judge and therefore left out.
    pub filter_errors: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ns-trace: {} in {:.1} s, {} lost",
            Count(self.events, "event"),
            self.seconds,
            Grouped(self.lost)
        )?;
        if let Some(alerts) = self.alerts {
            write!(f, ", {}", Count(alerts, "alert"))?;
        }
        if self.unasked > 0 {
            write!(f, ", {} of them not asked for", Grouped(self.unasked))?;
        }
        if self.held > 0 {
            write!(f, ", {} more held back", Grouped(self.held))?;
        }
        if self.forgotten > 0 {
            write!(f, ", rules forgot {} for lack of room", Count(self.forgotten, "thing"))?;
        }
        if self.filter_errors > 0 {
            let events = Count(self.filter_errors, "event");
            write!(f, ", {events} left out because the filter failed on them")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line() {
        let mut summary = Summary { events: 1_234, seconds: 5.21, ..Summary::default() };
        assert_eq!(summary.to_string(), "ns-trace: 1,234 events in 5.2 s, 0 lost");
        summary.events = 1;
        summary.lost = 1_000;
        summary.filter_errors = 2;
        assert_eq!(
            summary.to_string(),
            "ns-trace: 1 event in 5.2 s, 1,000 lost, \
             2 events left out because the filter failed on them"
        );
        let summary = Summary {
            alerts: Some(4),
            unasked: 3,
            held: 2_000,
            forgotten: 3,
            ..Summary::default()
        };
        assert_eq!(
            summary.to_string(),
            "ns-trace: 0 events in 0.0 s, 0 lost, 4 alerts, 3 of them not asked for, \
             2,000 more held back, rules forgot 3 things for lack of room"
        );
    }
}

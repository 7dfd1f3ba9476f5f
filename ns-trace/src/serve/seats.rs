//! Seats at a door: so many in all, and so many for each user that nobody has them all.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// The seats.
#[derive(Debug)]
pub(super) struct Seats {
    /// How many each user has taken; `None` is everybody who is not known.
    taken: Mutex<FxHashMap<Option<u32>, usize>>,
    most: usize,
    of_root: usize,
    of_user: usize,
}

/// A seat that is taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    uid: Option<u32>,
}

impl Seats {
    /// `most` seats; root and any other user may have so many of them, and whoever is not known all.
    pub(super) fn new(most: usize, of_root: usize, of_user: usize) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), most, of_root, of_user })
    }

    /// Takes one; `None` if the user has too many, or all are taken.
    pub(super) fn take(self: &Arc<Self>, uid: Option<u32>) -> Option<Seat> {
        let share = match uid {
            None => self.most,
            Some(0) => self.of_root,
            Some(_) => self.of_user,
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (taken.values().sum::<usize>(), taken.get(&uid).copied().unwrap_or(0));
        (all < self.most && own < share).then(|| {
            taken.insert(uid, own + 1);
            Seat { seats: Arc::clone(self), uid }
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.uid) {
            *own -= 1;
        }
        taken.retain(|_, own| *own > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_has_them_all() {
        let seats = Seats::new(8, 4, 2);
        let mut own: Vec<_> = (0..3).map(|_| seats.take(Some(7))).collect();
        assert_eq!(own.iter().flatten().count(), 2);
        let root: Vec<_> = (0..5).map(|_| seats.take(Some(0))).collect();
        assert_eq!(root.iter().flatten().count(), 4);
        let other = (seats.take(Some(8)), seats.take(Some(8)), seats.take(Some(9)));
        assert!(other.0.is_some() && other.1.is_some() && other.2.is_none(), "all are taken");
        own.remove(0);
        assert!(seats.take(Some(9)).is_some());
        drop((own, root, other));
        assert!(seats.taken.lock().unwrap().is_empty());
        let all: Vec<_> = (0..9).map(|_| seats.take(None)).collect();
        assert_eq!(all.iter().flatten().count(), 8);
    }
}

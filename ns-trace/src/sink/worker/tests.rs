//! A target that does not take everything.

use std::{
    env, fs, process,
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
};

use super::*;
use crate::sink::{
    past::Cursor,
    recent::{From, Recent, tests::event},
    schema::Schema,
    target::Piece,
};

/// Takes what a function lets it take, and knows what that was.
struct Picky<F> {
    picks: F,
    taken: Arc<Mutex<Vec<String>>>,
}

impl<F: FnMut(&str) -> Result<(), Failure> + Send> Target for Picky<F> {
    fn deliver(&mut self, lines: Piece<'_>) -> Result<(), Failure> {
        let text = String::from_utf8(lines.bytes().to_vec()).unwrap();
        (self.picks)(&text)?;
        self.taken.lock().unwrap().push(text);
        Ok(())
    }
}

/// One whose target picks from these lines; what it has taken; and what is said.
struct Trial {
    work: Work,
    taken: Arc<Mutex<Vec<String>>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Trial {
    fn new(
        lines: &[impl AsRef<str>],
        picks: impl FnMut(&str) -> Result<(), Failure> + Send + 'static,
    ) -> Self {
        let (taken, said) = (Arc::<Mutex<Vec<String>>>::default(), Arc::default());
        let sayings = Arc::<Mutex<Vec<String>>>::clone(&said);
        let mut work = Work {
            reader: Recent::new(8, usize::MAX, 1).reader(From::Now),
            admits: Box::new(|_| true),
            translator: Translator::new(Schema::Native),
            target: Box::new(Picky { picks, taken: Arc::clone(&taken) }),
            past: None,
            trouble: Box::new(move |what| sayings.lock().unwrap().push(what.to_owned())),
            course: Arc::default(),
            ending: Arc::default(),
            lines: Lines::default(),
            line: Vec::new(),
            pauses: (Duration::ZERO, Duration::ZERO),
            most: MOST,
            doubt: DOUBT,
        };
        for (seq, line) in (1..).zip(lines) {
            work.lines.push(seq, line.as_ref().as_bytes());
        }
        Self { work, taken, said }
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap())
    }

    /// What was written, lost and failed.
    fn counts(&self) -> [u64; 3] {
        let Status { written, lost, errors } = &self.work.course.status;
        [written, lost, errors].map(|count| count.load(Ordering::Relaxed))
    }
}

fn too_large() -> Result<(), Failure> {
    Err(Failure::TooLarge("too large".to_owned()))
}

fn refused() -> Result<(), Failure> {
    Err(Failure::Refused("refused".to_owned()))
}

#[test]
fn no_more_is_handed_on_at_a_time_than_servers_take() {
    let lines = vec!["x".repeat(1000); 600];
    let mut trial = Trial::new(&lines, |_| Ok(()));
    assert!(trial.work.deliver());
    let taken = trial.taken();
    assert_eq!(taken.iter().map(String::len).collect::<Vec<_>>(), [262_000, 262_000, 76_000]);
    // One that is larger goes alone.
    let lines = ["a", &"x".repeat(2 * MOST), "b"];
    let mut trial = Trial::new(&lines, |_| Ok(()));
    assert!(trial.work.deliver());
    assert_eq!(trial.taken(), lines);
}

#[test]
fn what_is_too_large_together_goes_in_parts_and_what_is_alone_is_lost() {
    let picks = |text: &str| if text.len() > 7 { too_large() } else { Ok(()) };
    let mut trial = Trial::new(&["aa\n", "bb\n", "cc\n", "ddddddd\n", "ee\n", "ff\n"], picks);
    assert!(trial.work.deliver());
    assert_eq!(trial.taken().concat(), "aa\nbb\ncc\nee\nff\n");
    assert_eq!(trial.said(), ["too large; event 4 is lost"]);
    let [written, lost, errors] = trial.counts();
    assert_eq!([written, lost], [5, 1]);
    assert!((1..8).contains(&errors), "{errors}");
    assert!(trial.work.lines.is_empty());
}

#[test]
fn an_event_that_is_not_understood_is_given_up_for_the_others() {
    let picks = |text: &str| if text.contains("bad") { refused() } else { Ok(()) };
    let lines: Vec<_> = (1..=512).map(|seq| if seq % 100 == 1 { "bad" } else { "a" }).collect();
    let mut trial = Trial::new(&lines, picks);
    assert!(trial.work.deliver());
    assert_eq!(trial.taken().concat(), "a".repeat(506));
    let [written, lost, errors] = trial.counts();
    assert_eq!([written, lost], [506, 6]);
    // Each is found by halving.
    assert!(errors < 6 * 10 + u64::from(DOUBT), "{errors}");
    let said = trial.said();
    assert_eq!(said[..2], ["refused; trying again", "refused; event 1 is lost"]);
    assert_eq!(said[2..].len(), 5, "{said:?}");
}

#[test]
fn who_refuses_everything_by_mistake_does_not_have_everything_lost() {
    // As a server does that has something else at its address for a while.
    let mut attempts = 0;
    let mut trial = Trial::new(&["a", "b", "c"], move |_| {
        attempts += 1;
        if attempts < DOUBT { refused() } else { Ok(()) }
    });
    assert!(trial.work.deliver());
    assert_eq!(trial.taken(), ["a", "bc"]);
    assert_eq!(trial.said(), ["refused; trying again", "works again"]);
    // One that takes nothing at all keeps what there is when all ends.
    let mut trial = Trial::new(&["a", "b", "c"], |_| Err(io::Error::other("down").into()));
    trial.work.ending.end_within(Duration::ZERO);
    assert!(!trial.work.deliver());
    assert_eq!((trial.counts(), trial.work.left()), ([0, 0, 1], 3));
}

#[test]
fn what_is_handed_on_of_a_batch_is_not_handed_on_again() {
    let directory = env::temp_dir().join(format!("ns-trace-test-{}-parts", process::id()));
    let picks = |text: &str| match text {
        "aa" => Ok(()),
        _ if text.len() > 2 => too_large(),
        _ => Err(io::Error::other("down").into()),
    };
    let mut trial = Trial::new(&["aa", "bb", "cc"], picks);
    let past = || Past::new(Cursor::new(&directory, "a"), 0, Box::new(|_| Ok(Vec::new())));
    trial.work.past = Some(past());
    trial.work.ending.end_within(Duration::ZERO);
    assert!(!trial.work.deliver());
    assert_eq!(trial.work.left(), 2);
    let again = Past::new(Cursor::new(&directory, "a"), 9, Box::new(|_| Ok(Vec::new())));
    assert_eq!(again.done, 1);
    fs::remove_dir_all(directory).unwrap();
}

/// Says that it has been given something, and keeps it until it is let go.
struct Slow {
    given: Sender<()>,
    go: Receiver<()>,
}

impl Target for Slow {
    fn deliver(&mut self, _: Piece<'_>) -> Result<(), Failure> {
        self.given.send(()).unwrap();
        // Once nobody is there any more it goes on.
        let _gone = self.go.recv();
        Ok(())
    }
}

/// What is seen of one that takes its time with the first of eleven events, of which the latest four are
/// kept; and what in the end.
fn slow(past: impl FnOnce(Arc<Mutex<Vec<Event>>>) -> Option<Past>) -> [Figures; 2] {
    let (recent, all) = (Recent::new(4, usize::MAX, 1), Arc::default());
    let past = past(Arc::clone(&all));
    let ((given, is_given), (let_go, go)) = (channel(), channel());
    let worker = Worker::start(
        recent.reader(From::Now),
        Box::new(|_| true),
        Translator::new(Schema::Native),
        Box::new(Slow { given, go }),
        past,
        Box::new(|_| ()),
    )
    .unwrap();
    let push = || {
        all.lock().unwrap().push(recent.push(event()).event.clone());
        recent.wake();
    };
    push();
    is_given.recv().unwrap();
    (2..=11).for_each(|_| push());
    let before = worker.figures();
    let (course, watch) = (Arc::clone(&worker.course), worker.watch.clone());
    drop(let_go);
    worker.stop();
    assert_eq!(worker.join(Worker::latest()), Some(0));
    [before, course.figures(&watch)]
}

#[test]
fn what_is_lost_is_counted_while_it_is_and_once() {
    let [before, after] = slow(|_| None);
    // The one that it has, and those that are kept.
    assert_eq!(before, Figures { written: 0, lost: 6, errors: 0, waiting: 5 });
    // It is told that it lost some.
    assert_eq!(after, Figures { written: 6, lost: 6, errors: 0, waiting: 0 });
}

#[test]
fn what_is_in_the_history_waits_and_is_not_lost() {
    let directory = env::temp_dir().join(format!("ns-trace-test-{}-waits", process::id()));
    let [before, after] = slow(|all| {
        let read = move |after| {
            let all = all.lock().unwrap();
            Ok(all.iter().filter(|event| event.seq > after).cloned().collect())
        };
        Some(Past::new(Cursor::new(&directory, "a"), 0, Box::new(read)))
    });
    assert_eq!(before, Figures { written: 0, lost: 0, errors: 0, waiting: 11 });
    assert_eq!(after, Figures { written: 11, lost: 0, errors: 0, waiting: 0 });
    fs::remove_dir_all(directory).unwrap();
}

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    super::{Kind, NsRef, Process, SLOTS, Time, arbitrary},
    *,
};

fn by_hand(event: &Event, fields: Fields) -> String {
    let mut out = Vec::new();
    write_json(event, fields, &mut out);
    String::from_utf8(out).unwrap()
}

fn by_serde(event: &Event) -> String {
    serde_json::to_string(event).unwrap() + "\n"
}

fn set_process(body: &mut Body, new: &Arc<Process>) {
    let process = match body {
        Body::Create(event) => &mut event.process,
        Body::Enter(event) => &mut event.process,
        Body::Fail(event) => &mut event.process,
        Body::Map(event) => &mut event.process,
        Body::Fork(event) => &mut event.process,
        Body::Exec(event) => &mut event.process,
        Body::Exit(event) => &mut event.process,
        Body::Alert(alert) => match &mut alert.process {
            Some(process) => process,
            None => return,
        },
        Body::Destroy(_) | Body::Exist(_) | Body::Lost(_) | Body::Sync(_) => {
            return;
        }
    };
    *process = Arc::clone(new);
}

/// How the task of an event differs from the one before it.
#[derive(Clone, Debug)]
enum Step {
    /// It is the same.
    Same,
    /// It is equal, but not the same.
    Equal,
    /// One slot is another.
    Slot(usize, Option<NsRef>),
    /// The head is another.
    Head(u64),
    /// Everything is another.
    Other(Box<Process>),
}

/// One of a few that differ in little.
fn like_another() -> impl Strategy<Value = NsRef> {
    let kind = select(&[Kind::Uts, Kind::Net][..]);
    (kind, 1_u32..3, 0_u64..3).prop_map(|(kind, inode, id)| NsRef {
        kind,
        inode,
        id: (id > 0).then_some(id),
        initial: false,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Same),
        Just(Step::Equal),
        (0..SLOTS, option::of(arbitrary::ns_ref())).prop_map(|(at, ns)| Step::Slot(at, ns)),
        (0..SLOTS, like_another()).prop_map(|(at, ns)| Step::Slot(at, Some(ns))),
        any::<u64>().prop_map(Step::Head),
        arbitrary::process().prop_map(|process| Step::Other(Box::new(process))),
    ]
}

fn take(step: Step, process: &mut Arc<Process>) {
    match step {
        Step::Same => {}
        Step::Equal => *process = Arc::new(Process::clone(process)),
        Step::Slot(at, ns) => {
            let slots = &mut Arc::make_mut(process).ns;
            Arc::make_mut(&mut slots.0)[at] = ns;
        }
        Step::Head(start_ns) => Arc::make_mut(process).start_ns = start_ns,
        Step::Other(other) => *process = Arc::new(*other),
    }
}

proptest! {
    #[test]
    fn full_is_what_serde_writes(event in arbitrary::event()) {
        let json = by_hand(&event, Fields::Full);
        prop_assert_eq!(&json, &by_serde(&event));
        prop_assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }

    #[test]
    fn what_is_remembered_does_not_show(
        events in vec((arbitrary::event(), 0_usize..3, step()), 1..16),
    ) {
        // Two of the three tasks share a place in the writer's memory.
        let mut tasks: Vec<_> = [1, 9, 2]
            .map(|tid| Arc::new(Process { tid, ..Process::default() }))
            .into();
        let mut full = JsonWriter::new(Fields::Full);
        let mut compact = JsonWriter::new(Fields::Compact);
        for (mut event, task, step) in events {
            take(step, &mut tasks[task]);
            set_process(&mut event.body, &tasks[task]);
            let mut out = Vec::new();
            full.write(&event, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), by_serde(&event));
            let mut out = Vec::new();
            compact.write(&event, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), by_hand(&event, Fields::Compact));
        }
    }

    #[test]
    fn compact_differs_in_the_process_only(event in arbitrary::event()) {
        const KEPT: [&str; 6] = ["pid", "tid", "ppid", "start_ns", "comm", "uid"];
        let json = by_hand(&event, Fields::Compact);
        serde_json::from_str::<Event>(&json).unwrap();
        let compact: serde_json::Value = serde_json::from_str(&json).unwrap();
        let mut full = serde_json::to_value(&event).unwrap();
        if let Some(process) = full.get_mut("process").and_then(serde_json::Value::as_object_mut) {
            process.retain(|key, _| KEPT.contains(&key.as_str()));
        }
        prop_assert_eq!(compact, full);
    }

    #[test]
    fn times_are_what_jiff_writes(times in vec(any::<i64>(), 1..4), nearby in 0_i64..3_000_000_000) {
        let mut clock = Clock::default();
        for time in times {
            for time in [time, time.saturating_add(nearby), 0] {
                let mut out = Vec::new();
                clock.write(Time(time), &mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), Time(time).to_rfc3339());
            }
        }
    }

    #[test]
    fn strings_are_what_serde_writes(text in arbitrary::text()) {
        let mut out = Vec::new();
        scalar::string(&text, &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
    }
}

#[test]
fn every_character_is_escaped_wherever_it_stands() {
    for odd in (0..=0x2_ff).filter_map(char::from_u32) {
        for at in 0..18 {
            let mut text = "x".repeat(17);
            text.insert(at, odd);
            let mut out = Vec::new();
            scalar::string(&text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}

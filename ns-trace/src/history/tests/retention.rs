//! What is forgotten, and what is not.

use std::{fs, time::Duration};

use super::{Directory, found, life};
use crate::history::{Limits, Query, Store, Writer};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

fn fill(writer: &mut Writer, count: u64) {
    for number in 1..=count {
        let time = number.cast_signed() * SECOND;
        let inode = u32::try_from(number).unwrap() + 10;
        let event = match number % 2 {
            1 => life::create(number, time, inode),
            _ => life::destroy(number, time, inode - 1),
        };
        writer.append(&event).unwrap();
    }
    writer.commit().unwrap();
}

fn forget(writer: &mut Writer, limits: &Limits, now: i64) {
    while writer.retain(limits, now).unwrap() {}
}

fn count(store: &Store, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    store.connection.query_row(&query, [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_too_old_goes_with_all_that_it_pointed_at() {
    let directory = Directory::new();
    let path = directory.store();
    let mut writer = Store::open(&path).unwrap().writer().unwrap();
    fill(&mut writer, 6001);
    // A reader that is at it does not see anything go.
    let reader = Store::read(&path).unwrap();
    reader.connection.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader, "event"), 6001);
    let limits = Limits { age: Duration::from_secs(1000), bytes: u64::MAX };
    forget(&mut writer, &limits, 6001 * SECOND);
    assert_eq!(count(&reader, "event"), 6001);
    reader.connection.execute_batch("COMMIT").unwrap();
    let store = Store::read(&path).unwrap();
    let events = found(&store, &Query::default());
    assert_eq!(events.first().map(|event| event.seq), Some(5001));
    assert_eq!(events.len(), 1001);
    // Those of the minute before stay: the last events of others may point at them.
    let lives = count(&store, "namespace WHERE began IS NOT NULL");
    assert!((501..540).contains(&lives), "{lives}");
    assert_eq!(count(&store, "process"), lives, "one for each birth");
    writer.append(&life::create(6002, 6002 * SECOND, 7)).unwrap();
    writer.commit().unwrap();
    assert_eq!(writer.last_seq(), 6002);
}

#[test]
fn what_is_too_large_loses_its_oldest_and_shrinks() {
    let directory = Directory::new();
    let path = directory.store();
    let mut writer = Store::open(&path).unwrap().writer().unwrap();
    fill(&mut writer, 20_001);
    let before = fs::metadata(&path).unwrap().len();
    let limits = Limits { age: Duration::from_secs(u64::MAX), bytes: 1 << 20 };
    forget(&mut writer, &limits, 20_001 * SECOND);
    for _ in 0..=before / (256 * 4096) {
        // Each call gives some back.
        writer.retain(&limits, 20_001 * SECOND).unwrap();
    }
    drop(writer);
    let events = found(&Store::read(&path).unwrap(), &Query::default());
    assert_eq!(events.last().map(|event| event.seq), Some(20_001));
    assert!(events.len() > 1000, "{}", events.len());
    let after = fs::metadata(&path).unwrap().len();
    assert!(after < (1 << 20) + 3 * 256 * 4096, "{before} bytes became {after}");
}

#[test]
fn who_made_what_lives_is_not_forgotten() {
    let directory = Directory::new();
    let path = directory.store();
    let mut writer = Store::open(&path).unwrap().writer().unwrap();
    writer.append(&life::create(1, SECOND, 7)).unwrap();
    writer.append(&life::create(2, 5000 * SECOND, 8)).unwrap();
    writer.commit().unwrap();
    let limits = Limits { age: Duration::from_secs(10), bytes: u64::MAX };
    forget(&mut writer, &limits, 5001 * SECOND);
    assert_eq!(found(writer.store(), &Query::default()).len(), 1);
    let living = writer.store().at(crate::model::Time(i64::MAX - 1)).unwrap();
    assert_eq!(living.len(), 2);
    assert!(living.iter().all(|living| living.creator.is_some()));
}

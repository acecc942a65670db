//! A replica reads like the Journal whose events were applied to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use annals::{
    AppendError, Backend, Batch, Condition, Health, Journal, JournalOptions, JournalReplica,
    OpenError, Query, QueryItem, RawEvent, Recorded, Selection,
};

const ID: [u8; 16] = [9; 16];

fn event(n: u64) -> RawEvent {
    let event = RawEvent::builder(format!("type-{}", n % 3)).tag(format!("digit:{}", n % 10));
    event
        .id(format!("id-{n}"))
        .metadata("by", "test")
        .data(format!("{{\"n\":{n}}}"))
        .build()
        .unwrap()
}

fn options() -> JournalOptions {
    Journal::options().segment_bytes(4 << 10).store_id(ID)
}

fn replica(path: &Path) -> JournalReplica<RawEvent> {
    options().open_replica(path, "test").unwrap()
}

fn all(journal: &Journal<RawEvent>) -> Vec<Recorded<RawEvent>> {
    let mut events = Vec::new();
    let mut rest = 0..journal.head().get();
    while !rest.is_empty() {
        rest = journal.read_raw(rest, 100, &mut events).unwrap();
    }
    events
}

fn found(journal: &Journal<RawEvent>, query: &Query) -> Vec<u64> {
    let (mut page, mut range) = (Vec::new(), 0..journal.head().get());
    while !range.is_empty() {
        let selection = Selection { query, range, reverse: false, limit: 64 };
        range = journal.read(selection, &mut page).unwrap();
    }
    page.iter().map(|event| event.offset).collect()
}

#[test]
fn a_replica_reads_like_the_journal_it_came_from() {
    let directory = tempfile::tempdir().unwrap();
    let journal: Journal<RawEvent> = options().open(directory.path().join("journal")).unwrap();
    let batches: Vec<(u64, Vec<RawEvent>)> = (0..120)
        .map(|n| (1_000 + n / 4, (n * 5..n * 5 + 1 + n % 5).map(event).collect()))
        .collect();
    for (time_ms, events) in &batches {
        journal.append(Batch::new(events.clone()).time_ms(*time_ms)).unwrap();
    }
    let path = directory.path().join("replica");
    let copy = replica(&path);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    copy.head().subscribe(move |event| note.lock().unwrap().push(event.offset));
    for commit in batches.chunks(7) {
        copy.apply(commit.iter().map(|(time_ms, events)| (*time_ms, &events[..]))).unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), (0..journal.head().get()).collect::<Vec<_>>());
    let query = Query::item(QueryItem::new().event_type("type-1").tag("digit:7"));
    takes_no_appends(&copy, &path);
    equals(&copy, &journal, &query);
    copy.close().unwrap();
    copy.release();
    equals(&replica(&path), &journal, &query);
}

fn equals(copy: &JournalReplica<RawEvent>, journal: &Journal<RawEvent>, query: &Query) {
    let read = copy.journal();
    assert_eq!(all(read), all(journal));
    assert_eq!(found(read, query), found(journal, query));
    assert_eq!(read.find_id("id-42").unwrap(), journal.find_id("id-42").unwrap());
    assert_eq!(read.digest(17).unwrap(), journal.digest(17).unwrap());
    let first = found(read, query)[0];
    assert_eq!(copy.conflict(&Condition::fail_if(query.clone())).unwrap(), Some(first));
    assert_eq!(copy.event_type(0).unwrap(), "type-0");
}

/// While a replica is open, it takes no appends and nobody else opens it.
fn takes_no_appends(copy: &JournalReplica<RawEvent>, path: &Path) {
    let refused = copy.journal().append(Batch::new(vec![event(0)]));
    assert!(matches!(refused, Err(AppendError::ReadOnly)));
    assert!(matches!(copy.journal().health(), Health::ReadOnly));
    let second = options().open_replica::<RawEvent>(path, "test");
    assert!(matches!(second, Err(OpenError::Locked { .. })));
}

#[test]
fn a_closed_replica_takes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let copy = replica(directory.path());
    copy.apply([(1, &[event(0)][..])]).unwrap();
    copy.close().unwrap();
    assert!(copy.apply([(1, &[event(1)][..])]).is_err());
    assert!(copy.head().is_closed());
    assert_eq!(copy.head().get(), 1);
}

#[test]
fn the_head_of_a_replica_that_is_dropped_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let copy = replica(directory.path());
    copy.apply([(1, &[event(0)][..])]).unwrap();
    let handle: Journal<RawEvent> = copy.journal().raw();
    drop(copy);
    assert!(handle.head().is_closed(), "nothing moves it any more");
    assert_eq!(handle.head().wait_beyond(1, None), 1);
}

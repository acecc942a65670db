//! Index files and filters that are left of another life of the log: as after a return to an older copy.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;

use annals::{Durability, EventStore, Journal, JournalOptions, Query, RawEvent};

const EVENTS: u64 = 200;

/// With one event a segment or a few, for so small are they.
fn options() -> JournalOptions {
    Journal::options().segment_bytes(4 << 10).durability(Durability::Buffered)
}

fn copy(from: &Path, to: &Path, extensions: &[&str]) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let extension = path.extension().map_or("", |found| found.to_str().unwrap());
        if extensions.is_empty() || extensions.contains(&extension) {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Two lives of one log, the second with the derived files of the first; their events have payloads of these sizes.
fn second_life(directory: &Path, sizes: [usize; 2]) -> std::path::PathBuf {
    let (one, other) = (directory.join("one"), directory.join("other"));
    drop(EventStore::<RawEvent>::on(options().open(&one).unwrap()));
    copy(&one, &other, &[]);
    for ((path, life), size) in [(&one, "a"), (&other, "b")].into_iter().zip(sizes) {
        let store = EventStore::on(options().open(path).unwrap());
        for n in 0..EVENTS {
            let event = RawEvent::builder(format!("type-{life}")).tag(format!("{life}:{n}"));
            let event = event.id(format!("id-{life}{n}")).data(life.repeat(size));
            store.append(event.build().unwrap()).unwrap();
        }
    }
    copy(&one, &other, &["idx", "flt"]);
    other
}

fn check(store: &EventStore<RawEvent, Journal<RawEvent>>) {
    assert_eq!(store.len(), EVENTS);
    assert_eq!(store.query(&Query::event_type("type-b")).count() as u64, EVENTS);
    assert_eq!(store.query(&Query::event_type("type-a")).count(), 0);
    for n in 0..EVENTS {
        let mut found = store.query(&Query::tag(format!("b:{n}")));
        assert_eq!(found.next().unwrap().unwrap().offset, n);
        assert_eq!(store.query(&Query::tag(format!("a:{n}"))).count(), 0);
    }
}

fn check_second_life(sizes: [usize; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let path = second_life(directory.path(), sizes);
    check(&EventStore::on(options().open_read_only(&path).unwrap()));
    let store = EventStore::on(options().open(&path).unwrap());
    check(&store);
    let again = RawEvent::builder("type-b").tag("b:7").id("id-b7").data("b".repeat(sizes[1]));
    assert_eq!(store.append(again.build().unwrap()).unwrap(), 7, "its id is known");
    drop(store);
    assert_eq!(annals::verify(&path).unwrap().problems, []);
    check(&EventStore::on(options().open_read_only(&path).unwrap()));
}

#[test]
fn an_index_of_another_life_of_the_log_is_made_again() {
    // The same segments, and every event at the same position in them.
    check_second_life([600, 600]);
}

#[test]
fn an_index_that_leads_elsewhere_is_made_again() {
    // The same segments, and all but the first of their events at other positions.
    check_second_life([600, 592]);
}

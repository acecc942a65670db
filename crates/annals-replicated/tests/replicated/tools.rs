//! Functions that the tests share.

use std::path::Path;
use std::time::Duration;

use annals::{EventStore, RawEvent};
use annals_replicated::sim::{Faults, SimLog, SimRecord};
use annals_replicated::{Replicated, ReplicatedOptions};

/// What takes longer than this counts as hanging, on any machine.
pub(crate) const HANGS: Duration = Duration::from_secs(120);

pub(crate) type Store = EventStore<RawEvent, Replicated<RawEvent>>;

pub(crate) fn log() -> SimLog {
    SimLog::new(Faults::none(), 7)
}

pub(crate) fn options() -> ReplicatedOptions {
    Replicated::options().segment_bytes(4 << 10)
}

/// Options with a time limit that passes in a test.
pub(crate) fn impatient() -> ReplicatedOptions {
    options().append_timeout(Duration::from_millis(300))
}

pub(crate) fn open(log: &SimLog, path: &Path) -> Store {
    EventStore::on(options().open(log.clone(), path).expect("a store"))
}

/// Opens a store whose appends give up soon.
pub(crate) fn open_impatient(log: &SimLog, path: &Path) -> Store {
    EventStore::on(impatient().open(log.clone(), path).expect("a store"))
}

/// Appends two events through a store that is closed then. Returns the record as it was after the first.
pub(crate) fn two_events(log: &SimLog, path: &Path) -> SimRecord {
    let store = open(log, path);
    store.append(event(0)).expect("an offset");
    let before = log.change(|record| record.clone());
    store.append(event(1)).expect("an offset");
    before
}

pub(crate) fn event(n: u64) -> RawEvent {
    let event = RawEvent::builder("counted").tag(format!("digit:{}", n % 10));
    event.data(n.to_string()).build().expect("an event")
}

pub(crate) fn event_with_id(n: u64) -> RawEvent {
    let event = RawEvent::builder("counted").id(format!("id-{n}"));
    event.data(n.to_string()).build().expect("an event")
}

/// Returns the payloads of all events, as numbers, and checks that their offsets have no gap.
pub(crate) fn numbers(store: &Store) -> Vec<u64> {
    let mut numbers = Vec::new();
    for (event, offset) in store.read(..).zip(0..) {
        let event = event.expect("an event");
        assert_eq!(event.offset, offset);
        let text = std::str::from_utf8(event.event.data_bytes()).expect("a number");
        numbers.push(text.parse().expect("a number"));
    }
    numbers
}

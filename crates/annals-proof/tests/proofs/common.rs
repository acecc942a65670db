//! Logs and keys of the tests.

use annals::{Batch, EventStore, Memory, RawEvent};
use annals_proof::LogKey;

pub(crate) const T: u64 = 1_700_000_000_000;
pub(crate) const ORIGIN: &str = "annals.example/alice";

pub(crate) type Log = EventStore<RawEvent, Memory<RawEvent>>;

pub(crate) fn alice() -> LogKey {
    LogKey::from_seed(ORIGIN, &[0x33; 32]).unwrap()
}

pub(crate) fn bob() -> LogKey {
    LogKey::from_seed("annals.example/bob", &[0x44; 32]).unwrap()
}

/// The seven events of the vectors, with their times.
pub(crate) fn seven() -> Vec<(RawEvent, u64)> {
    let sold = |seat: &str| RawEvent::builder("seat-sold").tag(format!("seat:{seat}"));
    let freed = |seat: &str| RawEvent::builder("seat-freed").tag(format!("seat:{seat}")).data("{}");
    let salt: String = "000102030405060708090a0b0c0d0e0f".to_owned();
    let blob: Vec<u8> = (0..=255).chain(0..=255).collect();
    let first =
        sold("12Ä").tag("show:7").id("0x1").metadata("actor", "Jörg").data(r#"{"price":90}"#);
    let last =
        sold("12Ä").tag("show:7").id("0x2").metadata("actor", "Jörg").metadata("trace", "t-1");
    let events = [
        (first, T),
        (freed("12Ä"), T),
        (RawEvent::builder("noted"), T + 1),
        (sold("1").metadata("salt", salt).data(r#"{"price":35}"#), T + 1),
        (RawEvent::builder("blob").data(blob), T + 1),
        (freed("1"), T + 5_000),
        (last.data(r#"{"price":91}"#), T + 5_000),
    ];
    events.into_iter().map(|(event, time)| (event.build().unwrap(), time)).collect()
}

/// A log of the seven events of the vectors.
pub(crate) fn log_of_seven() -> Log {
    let store = EventStore::in_memory();
    append(&store, seven());
    store
}

pub(crate) fn append<B: annals::Backend<RawEvent>>(
    store: &EventStore<RawEvent, B>,
    events: impl IntoIterator<Item = (RawEvent, u64)>,
) {
    for (event, time) in events {
        let mut batch = Batch::new(vec![event]);
        batch.time_ms = Some(time);
        store.append_as(batch).unwrap();
    }
}

/// Appends `count` events. Event `i` is `noted` at T + i.
pub(crate) fn note<B: annals::Backend<RawEvent>>(store: &EventStore<RawEvent, B>, count: u64) {
    let start = store.len();
    append(
        store,
        (start..start + count).map(|n| (RawEvent::builder("noted").build().unwrap(), T + n)),
    );
}

pub(crate) fn noted(count: u64) -> Log {
    let store = EventStore::in_memory();
    note(&store, count);
    store
}

/// A log as [`noted`], in which the event at offset `at` has other data.
pub(crate) fn noted_but(count: u64, at: u64) -> Log {
    let store = noted(at);
    append(&store, [(RawEvent::builder("noted").data("changed").build().unwrap(), T + at)]);
    note(&store, count - at - 1);
    store
}

//! How many bytes of events a consumer and a group keep in memory.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annals::{CodecError, Event, EventStore, RawEvent, Tags};
use annals_consumer::Consumers as _;

/// The bytes of all decoded events, and the most that there were.
static BYTES: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// An event that owns its payload.
struct Scanned(Vec<u8>);

impl Event for Scanned {
    fn event_type(&self) -> &'static str {
        "scanned"
    }

    fn tags(&self, tags: &mut Tags) {
        tags.push("page:1");
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        data.extend_from_slice(&self.0);
        Ok(())
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        let size = raw.data_bytes().len();
        MOST.fetch_max(BYTES.fetch_add(size, Ordering::Relaxed) + size, Ordering::Relaxed);
        Ok(Self(raw.data_bytes().to_vec()))
    }
}

impl Drop for Scanned {
    fn drop(&mut self) {
        BYTES.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

/// Returns the most bytes of decoded events that `work` had at once, on a log with events of this size.
fn most(
    directory: &Path,
    sizes: &[usize],
    work: impl FnOnce(&annals::JournalStore<Scanned>),
) -> usize {
    let path = directory.join(sizes.len().to_string());
    let raw = EventStore::<RawEvent>::open(&path).unwrap();
    for &size in sizes {
        let event = RawEvent::builder("scanned").tag("page:1").data(vec![0; size]);
        raw.append(event.build().unwrap()).unwrap();
    }
    raw.close().unwrap();
    drop(raw);
    let store = EventStore::<Scanned>::open(&path).unwrap();
    MOST.store(0, Ordering::Relaxed);
    work(&store);
    drop(store);
    assert_eq!(BYTES.load(Ordering::Relaxed), 0, "all are dropped");
    MOST.load(Ordering::Relaxed)
}

#[test]
fn what_is_read_ahead_is_limited_in_bytes() {
    const SIZE: usize = 300 << 10;
    // A page ends with the event that reaches 1 MiB. There are two pages of the reader, and one of its subscription.
    const LIMIT: usize = 3 * ((1 << 20) + SIZE);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let large = [SIZE; 80];

    let consumed = most(path, &large, |store| {
        for delivery in store.consumer("mailer").start().unwrap().by_ref().take(70) {
            delivery.unwrap().ack().unwrap();
        }
    });
    assert!(consumed <= LIMIT, "{consumed} bytes");

    // All events wait for the first, so the group reads to the end of the log for a second one.
    let waiting = most(path, &[SIZE; 81], |store| {
        let group = store.group("billing").key("page:").open().unwrap();
        for offset in 0..3 {
            let mut pulled = group.pull("a", 2, Some(Duration::from_secs(3_600))).unwrap();
            assert_eq!(pulled.len(), 1);
            let delivery = pulled.remove(0);
            assert_eq!(delivery.offset, offset);
            delivery.ack().unwrap();
        }
    });
    assert!(waiting <= LIMIT, "{waiting} bytes");

    // Events that are larger than a page are delivered all the same.
    let larger = most(path, &[3 << 20; 6], |store| {
        let group = store.group("billing").open().unwrap();
        for offset in 0..6 {
            let delivery = group.pull("a", 1, None).unwrap().remove(0);
            assert_eq!((delivery.offset, delivery.event.0.len()), (offset, 3 << 20));
            delivery.ack().unwrap();
        }
    });
    assert!(larger <= 3 * (3 << 20), "{larger} bytes");
}

#[test]
fn a_delivery_has_the_time_that_is_left_of_its_deadline() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let store = EventStore::in_memory();
    store.append(RawEvent::builder("scanned").build().unwrap()).unwrap();
    let group = store.group("billing").open().unwrap();
    let mut delivery = group.pull("a", 1, Some(HOUR)).unwrap().remove(0);
    // Ends when the clock moves on: how long that takes makes no difference.
    while delivery.time_left().unwrap() >= HOUR {
        std::thread::sleep(Duration::from_millis(1));
    }
    delivery.extend(100 * HOUR).unwrap();
    assert!(delivery.time_left().unwrap() > HOUR, "that of the extension");
    drop(delivery);
    let delivery = store.consumer("mailer").start().unwrap().next().unwrap().unwrap();
    assert_eq!(delivery.time_left(), None);
}

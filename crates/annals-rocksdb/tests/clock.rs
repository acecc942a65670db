//! A log in RocksDB takes the times of events from the clock that its options have.

use std::time::{Duration, SystemTime};

use annals::testing::TestClock;
use annals::{EventStore, RawEvent};
use annals_rocksdb::RocksDb;

#[test]
fn events_get_the_time_of_the_clock_in_the_options() {
    let directory = tempfile::tempdir().unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let clock = TestClock::at(start);
    let rocks = RocksDb::options().clock(&clock).open(directory.path().join("rocks")).unwrap();
    let store = EventStore::<RawEvent, _>::on(rocks);
    let noted = || RawEvent::builder("noted").build().unwrap();
    store.append(noted()).unwrap();
    clock.advance(Duration::from_millis(1_500));
    store.append(noted()).unwrap();
    // A time never goes back, whatever the clock says.
    clock.set(start);
    store.append(noted()).unwrap();
    let times: Vec<_> = store.read(..).map(|event| event.unwrap().time()).collect();
    let later = start + Duration::from_millis(1_500);
    assert_eq!(times, [start, later, later]);
}

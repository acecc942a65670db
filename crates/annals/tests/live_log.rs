//! The program's log gets one line from a live projection that cannot continue, even if it retries often.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use annals::{EventStore, RawEvent};
use common::{Booking, SALES};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_same_failure_is_logged_once() {
    let log = Log::default();
    let writer = log.clone();
    // The subscriber is for the whole process, because the projection has a thread of its own.
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let writer = EventStore::<RawEvent>::open(&path).unwrap();
    let follower = EventStore::<Booking>::open_read_only(&path).unwrap();
    let live = follower.reconstruct(SALES).live().unwrap();
    for attempt in 1..=20 {
        writer.append(RawEvent::builder("seat-upgraded").build().unwrap()).unwrap();
        // The projection has tried again and reports the failure.
        while follower.stats().read_errors < attempt {
            std::thread::sleep(Duration::from_millis(1));
        }
        while live.failure().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    drop(live);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("a live projection is stalled").count(), 1, "{text}");
}

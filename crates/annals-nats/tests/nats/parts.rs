//! Commits that are larger than a message, several commits under way, and hints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use annals::RawEvent;
use annals_nats::JetStream;
use annals_replicated::{CommitLog as _, create};

use crate::server::{HANGS, Servers, Settings};
use crate::store::{open, replicas, settle};

/// The size of a large event, in bytes. 32 of them are the largest batch.
const LARGE: usize = (1 << 20) - 512;

/// Returns large events.
fn large(count: u8) -> Vec<RawEvent> {
    let event = |byte| RawEvent::builder("large").data(vec![byte; LARGE]).build().unwrap();
    (0..count).map(event).collect()
}

#[test]
fn a_batch_of_32_mib_is_stored_in_parts() {
    let Some(servers) = Servers::start(Settings::three()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let [one, other] = replicas();
    let (here, there) = (open(&servers, &one), open(&servers, &other));
    assert_eq!(here.append_batch(large(32)).unwrap(), 0..32);
    settle(&there);
    assert_eq!(there.len(), 32);
    for offset in 0..32 {
        let event = there.get(offset).unwrap().unwrap();
        assert_eq!(*event.event.data(), vec![u8::try_from(offset).unwrap(); LARGE], "{offset}");
    }
    let slots = here.backend().record().position.map(|position| position.slot);
    assert!(slots.is_some_and(|slot| slot.0 > 32), "{slots:?}");
}

#[test]
fn a_batch_has_more_parts_after_the_servers_take_smaller_messages() {
    let Some(mut servers) = Servers::start(Settings::one()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let [one, other] = replicas();
    let here = open(&servers, &one);
    servers.set_max_payload(32 << 10);
    servers.kill(0);
    servers.run(0);
    here.append_batch(large(2)).unwrap();
    assert_eq!(open(&servers, &other).len(), 2);
    let slots = here.backend().record().position.map(|position| position.slot);
    assert!(slots.is_some_and(|slot| slot.0 > 64), "{slots:?}");
}

#[test]
fn many_appends_are_under_way_at_the_same_time_and_keep_their_order() {
    const THREADS: u32 = 16;
    const EACH: u32 = 50;
    let Some(servers) = Servers::start(Settings::three()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let [one, other] = replicas();
    let store = open(&servers, &one);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let mut last = None;
                for count in 0..EACH {
                    let event = RawEvent::builder("counted").id(format!("{number}-{count}"));
                    let offset = store.append(event.build().unwrap()).unwrap();
                    assert!(last < Some(offset), "{last:?}, {offset}");
                    last = Some(offset);
                }
            });
        }
    });
    assert_eq!(store.len(), u64::from(THREADS * EACH));
    assert_eq!(open(&servers, &other).len(), store.len());
}

#[test]
fn a_hint_reaches_the_other_writers_and_not_the_sender() {
    let Some(servers) = Servers::start(Settings::three()) else { return };
    let connect = || JetStream::connect(&servers.url("shop")).unwrap();
    let (here, there) = (connect(), connect());
    create(&here).unwrap();
    let counter = |log: &JetStream| {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        // Relaxed: the counter guards nothing.
        log.on_hint(Box::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        count
    };
    let (own, others) = (counter(&here), counter(&there));
    there.check().unwrap();
    let began = Instant::now();
    // Relaxed: as above.
    while others.load(Ordering::Relaxed) == 0 {
        assert!(began.elapsed() < HANGS, "no hint arrives");
        here.hint();
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(own.load(Ordering::Relaxed), 0);
}

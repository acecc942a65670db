//! A leader that is killed or paused under three writers, a stream that is deleted, and older data put back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use annals::{AppendError, Health, RawEvent};
use annals_nats::JetStream;
use annals_replicated::{
    AppendOutcome, CommitHash, CommitLog as _, CreateError, Divergence, NewEntry,
    OpenReplicatedError, ReadLimit, Replicated, Slot, create,
};
use bytes::Bytes;
use tempfile::TempDir;

use crate::raw;
use crate::server::{HANGS, Servers, Settings};
use crate::store::{Store, open, replicas, settle};

/// The threads of each writer. Several make more than one append be under way.
const THREADS: usize = 4;
/// The number of events that the writers append before, between and after the faults.
const EVENTS: usize = 100;

fn event(id: &str) -> RawEvent {
    RawEvent::builder("counted").id(id).build().unwrap()
}

/// Appends events until the flag is set. Returns the id of each, with the offset that the store returned.
fn write(
    store: &Store,
    writer: &str,
    count: &AtomicUsize,
    is_done: &AtomicBool,
) -> Vec<(String, u64)> {
    let mut appended = Vec::new();
    // Relaxed: the flag and the counter guard nothing; joining the thread publishes its events.
    while !is_done.load(Ordering::Relaxed) {
        let id = format!("{writer}-{}", appended.len());
        let offset = loop {
            match store.append(event(&id)) {
                Ok(offset) => break offset,
                Err(AppendError::InDoubt { .. } | AppendError::Unavailable { .. }) => {}
                Err(error) => panic!("{id}: {error}"),
            }
        };
        appended.push((id, offset));
        count.fetch_add(1, Ordering::Relaxed);
    }
    appended
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_servers_are_killed_and_paused() {
    let Some(mut servers) = Servers::start(Settings::three()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let directories = replicas::<3>();
    let stores: Vec<_> = directories.iter().map(|replica| open(&servers, replica)).collect();
    let (count, is_done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let appended: Vec<Vec<(String, u64)>> = thread::scope(|scope| {
        let (count, is_done) = (&count, &is_done);
        let writers = stores.iter().enumerate().flat_map(|(number, store)| {
            (0..THREADS).map(move |thread| {
                let name = format!("{number}-{thread}");
                scope.spawn(move || write(store, &name, count, is_done))
            })
        });
        let writers: Vec<_> = writers.collect();
        let end = End(is_done);
        let wait_for_more = || {
            // Relaxed: as above.
            let goal = count.load(Ordering::Relaxed) + EVENTS;
            let began = Instant::now();
            while count.load(Ordering::Relaxed) < goal {
                let failed = writers.iter().any(thread::ScopedJoinHandle::is_finished);
                assert!(!failed && began.elapsed() < HANGS, "the writers do not go on");
                thread::sleep(Duration::from_millis(5));
            }
        };
        wait_for_more();
        for _ in 0..kills() {
            let leader = raw::leader(&servers, "shop");
            servers.kill(leader);
            wait_for_more();
            servers.run(leader);
        }
        let leader = raw::leader(&servers, "shop");
        servers.pause(leader);
        wait_for_more();
        servers.go_on(leader);
        // Without a majority nothing is acknowledged.
        let leader = raw::leader(&servers, "shop");
        let followers: Vec<_> = (0..servers.count()).filter(|&node| node != leader).collect();
        for &node in &followers {
            servers.pause(node);
        }
        thread::sleep(Duration::from_secs(2));
        for &node in &followers {
            servers.go_on(node);
        }
        wait_for_more();
        drop(end);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    for store in &stores {
        settle(store);
        is_complete(store, &appended);
    }
    let [new] = replicas();
    is_complete(&open(&servers, &new), &appended);
}

/// Returns how often the leader is killed: twice, or as often as the variable `ANNALS_NATS_KILLS` says.
fn kills() -> u32 {
    std::env::var("ANNALS_NATS_KILLS").map_or(2, |kills| kills.parse().expect("a number"))
}

/// Checks that a store has each event once, at the offset that its writer got, in the order of the writer.
fn is_complete(store: &Store, appended: &[Vec<(String, u64)>]) {
    let mut offsets = HashMap::new();
    for offset in 0..store.len() {
        let event = store.get(offset).unwrap().unwrap();
        let id = event.event.id().unwrap().to_owned();
        assert_eq!(offsets.insert(id.clone(), offset), None, "{id} is there twice");
    }
    let mut count = 0;
    for (id, offset) in appended.iter().flatten() {
        assert_eq!(offsets.get(id), Some(offset), "{id}");
        count += 1;
    }
    assert!(count >= 5 * EVENTS, "{count} events");
    for events in appended {
        assert!(events.is_sorted_by_key(|(_, offset)| offset), "{events:?}");
    }
}

/// Ends the writers, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Relaxed: the flag guards nothing.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Appends until the store says that it has diverged, and returns how.
fn divergence(store: &Store) -> Divergence {
    let began = Instant::now();
    loop {
        match store.append(event("late")) {
            Err(AppendError::Diverged { .. }) => break,
            result => assert!(began.elapsed() < HANGS, "no divergence: {result:?}"),
        }
    }
    assert!(matches!(store.health(), Health::Diverged { .. }), "{:?}", store.health());
    store.backend().record().divergence.unwrap()
}

#[test]
fn a_stream_that_was_deleted_is_not_made_again_by_a_store() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let log = JetStream::connect(&servers.url("shop")).unwrap();
    create(&log).unwrap();
    let [directory] = replicas();
    let store = open(&servers, &directory);
    store.append(event("one")).unwrap();
    raw::api(&servers, "STREAM.DELETE.shop", "");
    assert!(matches!(divergence(&store), Divergence::Lost { .. }));
    let streams = raw::api(&servers, "STREAM.NAMES", "");
    assert!(!streams.contains("shop"), "{streams}");
    drop(store);
    let path = directory.path().join("replica");
    let again = || {
        let log = JetStream::connect(&servers.url("shop")).unwrap();
        Replicated::<RawEvent>::open(log, &path)
    };
    assert!(matches!(again(), Err(OpenReplicatedError::NoRecord)), "{:?}", again().err());
    // Only an operator makes it anew, and then it is another record.
    create(&log).unwrap();
    assert!(matches!(create(&log), Err(CreateError::Exists { .. })));
    let other = again();
    assert!(matches!(other, Err(OpenReplicatedError::OtherRecord { .. })), "{:?}", other.err());
}

/// The stores call no append, and their connections last.
#[test]
fn idle_stores_learn_that_their_stream_was_deleted() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let [first, second] = replicas();
    let (writer, reader) = (open(&servers, &first), open(&servers, &second));
    writer.append(event("one")).unwrap();
    settle(&reader);
    raw::api(&servers, "STREAM.DELETE.shop", "");
    let began = Instant::now();
    for store in [&writer, &reader] {
        while store.health().takes_appends() {
            assert!(began.elapsed() < HANGS, "an idle store notices nothing");
            thread::sleep(Duration::from_millis(10));
        }
        assert!(matches!(store.health(), Health::Diverged { .. }), "{:?}", store.health());
        let found = store.backend().record().divergence.unwrap();
        assert!(matches!(found, Divergence::Lost { .. }), "{found:?}");
        assert_eq!(store.len(), 1);
    }
    let streams = raw::api(&servers, "STREAM.NAMES", "");
    assert!(!streams.contains("shop"), "{streams}");
}

#[test]
fn older_data_that_is_put_back_is_found() {
    let Some(mut servers) = Servers::start(Settings::one()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let [first, second, third] = replicas();
    let (lost, changed) = (open(&servers, &first), open(&servers, &second));
    lost.append(event("one")).unwrap();
    let backup = servers.back_up();
    settle(&lost);
    lost.append(event("two")).unwrap();
    settle(&changed);
    drop(changed);

    servers.put_back(&backup);
    let found = divergence(&lost);
    assert!(matches!(found, Divergence::Lost { .. }), "{found:?}");
    assert_eq!(lost.len(), 2, "the replica has what the record lost");
    // Another process goes on where the older data end.
    let other = open(&servers, &third);
    for id in ["three", "four", "five"] {
        other.append(event(id)).unwrap();
    }
    let found = divergence(&open(&servers, &second));
    assert!(matches!(found, Divergence::Changed { .. }), "{found:?}");
}

/// Appends an event to a log that lost one that `lost` has, through another store, so that the stream has as many messages
/// as before. Then `lost` appends, and must not get an offset: its entry is void for all others.
fn is_found_before_an_append_returns(servers: &Servers, lost: &Store, replica: &TempDir) {
    let other = open(servers, replica);
    assert_eq!((other.append(event("three")).unwrap(), lost.len()), (1, 2));
    let result = lost.append(event("late"));
    let is_told = |error: &AppendError| {
        matches!(error, AppendError::InDoubt { .. } | AppendError::Diverged { .. })
    };
    assert!(result.as_ref().is_err_and(is_told), "{result:?}");
    assert!(matches!(lost.health(), Health::Diverged { .. }), "{:?}", lost.health());
    assert_eq!(lost.len(), 2, "no reader of the replica sees the void event");
    settle(&other);
    assert_eq!(other.len(), 2);
}

#[test]
fn as_many_other_messages_as_older_data_lack_are_found() {
    let Some(mut servers) = Servers::start(Settings::one()) else { return };
    create(&JetStream::connect(&servers.url("shop")).unwrap()).unwrap();
    let [first, second] = replicas();
    let lost = open(&servers, &first);
    lost.append(event("one")).unwrap();
    let backup = servers.back_up();
    settle(&lost);
    lost.append(event("two")).unwrap();
    servers.put_back(&backup);
    is_found_before_an_append_returns(&servers, &lost, &second);
}

/// The connections of the processes last. Only time makes them look. One of them appends behind the lost commit, and the
/// other one, which has that commit too, reads what the first one appended.
#[test]
fn as_many_other_messages_as_a_stream_lost_are_found_on_the_same_connection() {
    let Some(servers) = Servers::start(Settings::one()) else { return };
    let log = JetStream::connect(&servers.url("shop")).unwrap();
    create(&log).unwrap();
    let [first, second, third] = replicas();
    let lost = open(&servers, &first);
    lost.append(event("one")).unwrap();
    lost.append(event("two")).unwrap();
    let reader = open(&servers, &third);
    let entries = log.read(Slot(0), ReadLimit::default()).unwrap().entries;
    raw::api(&servers, "STREAM.DELETE.shop", "");
    for (number, (slot, bytes)) in (0..).zip(&entries[..entries.len() - 1]) {
        restore(&log, number, *slot, bytes);
    }
    // The last look at the record is older than half a second then.
    thread::sleep(Duration::from_millis(600));
    is_found_before_an_append_returns(&servers, &lost, &second);
    let began = Instant::now();
    while reader.health().takes_appends() {
        assert!(began.elapsed() < HANGS, "the reader notices nothing");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(reader.health(), Health::Diverged { .. }), "{:?}", reader.health());
    assert_eq!(reader.len(), 2, "it does not show the void event");
}

/// Stores an entry that was read before. The entry with the number 0 makes the stream.
fn restore(log: &JetStream, number: u64, slot: Slot, bytes: &Bytes) {
    let (sender, answer) = channel();
    let entry = NewEntry {
        bytes: bytes.clone(),
        number,
        hash: CommitHash::NONE,
        previous: CommitHash::NONE,
        first_offset: 0,
        events: 0,
        part: (0, 1),
    };
    log.append(Slot(slot.0 - 1), entry, Box::new(move |answer| drop(sender.send(answer.outcome))));
    let outcome = answer.recv().unwrap();
    assert!(matches!(outcome, AppendOutcome::At(at) if at == slot), "{outcome:?}");
}

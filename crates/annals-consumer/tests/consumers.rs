//! Consumers: positions that survive, what is delivered again, and positions that do not belong to the log.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use annals::{Backend, EventStore, Journal, Query, RawEvent, UnknownEvents};
use annals_consumer::{
    Checkpoint, CheckpointStore, ConsumerAdmin, ConsumerError, ConsumerKind, Consumers as _,
    FileCheckpoints, Holder,
};
use common::{Counting, append, boxed, copy_directory};
use futures_executor::block_on;
use futures_util::{Stream as _, StreamExt as _};

/// Runs a test on a log in memory and on one in files. `open` returns the store, again and again.
fn on_every_backend(test: impl Fn(&dyn Fn() -> EventStore<RawEvent, Box<dyn Backend<RawEvent>>>)) {
    let memory = Arc::new(annals::Memory::<RawEvent>::new());
    test(&|| boxed(Arc::clone(&memory)));
    let directory = tempfile::tempdir().unwrap();
    test(&|| boxed(Journal::options().open(directory.path().join("log.store")).unwrap()));
}

#[test]
fn a_consumer_goes_on_behind_what_was_acknowledged() {
    on_every_backend(|open| {
        append(&open(), 0..5);
        let store = open();
        let mut mailer = store.consumer("mailer").start().unwrap();
        for offset in 0..3 {
            let delivery = mailer.try_next().unwrap().unwrap();
            assert_eq!((delivery.offset, delivery.attempt()), (offset, 1));
            delivery.ack().unwrap();
        }
        // Delivered, not acknowledged; a later one is.
        let third = mailer.try_next().unwrap().unwrap();
        mailer.try_next().unwrap().unwrap().ack().unwrap();
        assert_eq!(mailer.position(), 3);
        drop((third, mailer));
        drop(store);

        let store = open();
        let mut mailer = store.consumer("mailer").start().unwrap();
        let offsets: Vec<u64> = std::iter::from_fn(|| mailer.try_next())
            .map(|delivery| {
                let delivery = delivery.unwrap();
                let offset = delivery.offset;
                delivery.ack().unwrap();
                offset
            })
            .collect();
        assert_eq!(offsets, [3, 4]);
        drop(mailer);
        assert_eq!(store.consumer("mailer").start().unwrap().position(), 5);
        // Another name begins at the beginning, or where it is told to.
        assert_eq!(store.consumer("report").start().unwrap().position(), 0);
        assert_eq!(store.consumer("late").from(5).start().unwrap().position(), 5);
        let error = store.consumer("later").from(6).start().unwrap_err();
        assert!(matches!(error, ConsumerError::ResetBeyondHead { to: 6, head: 5 }));
    });
}

#[test]
fn an_event_that_was_dropped_comes_again_before_any_later_one() {
    on_every_backend(|open| {
        let store = open();
        append(&store, 0..3);
        let start = || store.consumer("mailer").retry_after(Duration::ZERO).start().unwrap();
        let mut mailer = start();
        for attempt in 1..4 {
            let delivery = mailer.try_next().unwrap().unwrap();
            assert_eq!((delivery.offset, delivery.attempt()), (0, attempt));
        }
        mailer.try_next().unwrap().unwrap().ack().unwrap();
        assert_eq!(mailer.try_next().unwrap().unwrap().offset, 1);
        assert_eq!(mailer.position(), 1);
        drop(mailer);
        // A new consumer counts anew.
        let delivery = start().try_next().unwrap().unwrap();
        assert_eq!((delivery.offset, delivery.attempt()), (1, 1));
    });
}

#[test]
fn deliveries_are_acknowledged_on_other_threads_in_any_order() {
    let store = EventStore::in_memory();
    append(&store, 0..100);
    store.close().unwrap();
    let mailer = store.consumer("mailer").start().unwrap();
    let deliveries: Vec<_> = mailer.map(Result::unwrap).collect();
    assert!(matches!(
        store.consumer("mailer").start(),
        Err(ConsumerError::Running { holder: Holder::ThisProcess, .. })
    ));
    std::thread::scope(|scope| {
        for delivery in deliveries.into_iter().rev() {
            scope.spawn(move || delivery.ack().unwrap());
        }
    });
    assert_eq!(Checkpoint::of(&store, "mailer").unwrap().load(&store).unwrap(), Some(100));
}

#[test]
fn one_consumer_of_a_name_runs_at_a_time() {
    on_every_backend(|open| {
        let store = open();
        let first = store.consumer("mailer").start().unwrap();
        let error = store.consumer("mailer").start().unwrap_err();
        let expected = "\"mailer\" is running in this process; end it first, or use another name";
        assert_eq!(error.to_string(), expected);
        let error = ConsumerAdmin::of(&store).unwrap().reset("mailer", 0).unwrap_err();
        assert!(matches!(error, ConsumerError::NotFound { .. }), "it has no position yet");
        drop(first);
        store.consumer("mailer").start().unwrap();
    });
}

#[test]
fn names_and_options_are_checked() {
    let store = EventStore::<RawEvent>::in_memory();
    for name in ["", "a/b", "..", "a\0", &"x".repeat(201)] {
        let error = store.consumer(name).start().unwrap_err();
        assert!(matches!(error, ConsumerError::BadName { .. }), "{error}");
        let error = store.group(name).open().unwrap_err();
        assert!(matches!(error, ConsumerError::BadName { .. }), "{error}");
    }
    let error = store.consumer("a").save_every(0).start().unwrap_err();
    assert_eq!(error.to_string(), "the option save_every is 0; it must be at least 1");
}

#[test]
fn positions_are_saved_in_batches_and_in_the_programs_own_storage() {
    let store = EventStore::in_memory();
    append(&store, 0..1_000);
    let storage = Arc::new(Counting::default());
    let checkpoints = Arc::clone(&storage) as Arc<dyn CheckpointStore>;
    let consumer = store.consumer("mailer").save_every(100).checkpoints(Arc::clone(&checkpoints));
    let mut mailer = consumer.start().unwrap();
    while let Some(delivery) = mailer.try_next() {
        delivery.unwrap().ack().unwrap();
    }
    drop(mailer);
    let saves = storage.saves.load(Ordering::Relaxed);
    // Ten by number; a slow machine adds one for each second.
    assert!((10..900).contains(&saves), "{saves}");
    let checkpoint = Checkpoint::in_store(checkpoints, "mailer").unwrap();
    assert_eq!(checkpoint.load(&store).unwrap(), Some(1_000));
    assert_eq!(Checkpoint::of(&store, "mailer").unwrap().load(&store).unwrap(), None);
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_consumer_that_is_caught_up_is_woken_by_an_append_and_by_nothing_else() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let storage = Arc::new(Counting::default());
    let checkpoints = Arc::clone(&storage) as Arc<dyn CheckpointStore>;
    let mailer = store.consumer("mailer").checkpoints(checkpoints).start().unwrap();
    let mut deliveries = mailer.stream();
    block_on(deliveries.next()).unwrap().unwrap().ack().unwrap();
    let woken = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    for _ in 0..3 {
        assert!(Pin::new(&mut deliveries).poll_next(&mut context).is_pending());
    }
    assert_eq!(storage.saves.load(Ordering::Relaxed), 1, "the position was saved before it waits");
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    append(&store, 1..2);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    let Poll::Ready(Some(Ok(delivery))) = Pin::new(&mut deliveries).poll_next(&mut context) else {
        panic!("no delivery");
    };
    drop(delivery);
    store.close().unwrap();
    assert_eq!(block_on(deliveries.next()).unwrap().unwrap().offset, 1, "it comes again");
}

#[derive(annals::Event, Debug)]
enum Known {
    Fine { number: u64 },
}

#[test]
fn an_event_that_cannot_be_decoded_is_an_error_once_and_holds_the_position() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let fine = |number: u64| {
        RawEvent::builder("fine").data(format!("{{\"number\":{number}}}")).build().unwrap()
    };
    let broken = RawEvent::builder("fine").data("{}").build().unwrap();
    let newer = RawEvent::builder("newer").build().unwrap();
    EventStore::open(&path).unwrap().append_batch([fine(0), broken, newer, fine(3)]).unwrap();

    let store = EventStore::<Known>::open(&path).unwrap();
    let start = store.consumer("mailer").unknown_events(UnknownEvents::PassOver);
    let mut mailer = start.start().unwrap();
    let delivery = mailer.try_next().unwrap().unwrap();
    assert!(matches!(delivery.event, Known::Fine { number: 0 }));
    delivery.ack().unwrap();
    mailer.try_next().unwrap().unwrap_err();
    mailer.try_next().unwrap().unwrap().ack().unwrap();
    assert_eq!(mailer.position(), 1);
    mailer.pass_over(1).unwrap();
    assert_eq!(mailer.position(), 4);
}

fn start(path: &Path) -> Result<u64, ConsumerError> {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    let position = store.consumer("mailer").start()?.position();
    Ok(position)
}

fn consume_all(path: &Path) {
    let store = EventStore::<RawEvent>::open(path).unwrap();
    let mut mailer = store.consumer("mailer").start().unwrap();
    while let Some(delivery) = mailer.try_next() {
        delivery.unwrap().ack().unwrap();
    }
}

#[test]
fn a_position_is_refused_when_the_log_was_restored_from_an_older_copy() {
    let directory = tempfile::tempdir().unwrap();
    let [path, older] = ["log.store", "older.store"].map(|name| directory.path().join(name));
    append(&EventStore::open(&path).unwrap(), 0..3);
    copy_directory(&path, &older);
    append(&EventStore::open(&path).unwrap(), 3..8);
    consume_all(&path);
    // The log goes back, the position stays.
    copy_directory(&path.join("consumers"), &older.join("consumers"));
    let error = start(&older).unwrap_err();
    assert!(matches!(error, ConsumerError::BeyondHead { position: 8, head: 3, .. }), "{error}");
    let expected = "\"mailer\" is at offset 8, but the log ends at 3: the log was restored from an older copy, or lost \
                    its end in a power failure; reset \"mailer\" to the offset where it shall go on";
    assert_eq!(error.to_string(), expected);
    // The log grows beyond the position, with other events.
    append(&EventStore::open(&older).unwrap(), 100..110);
    let error = start(&older).unwrap_err();
    assert!(matches!(error, ConsumerError::OtherHistory { position: 8, .. }), "{error}");
    let store = EventStore::<RawEvent>::open(&older).unwrap();
    let admin = ConsumerAdmin::of(&store).unwrap();
    let info = admin.get("mailer").unwrap();
    assert!(matches!(info.problem, Some(ConsumerError::OtherHistory { .. })), "{info:?}");
    admin.reset("mailer", 3).unwrap();
    assert!(admin.get("mailer").unwrap().problem.is_none());
    drop(store);
    assert_eq!(start(&older).unwrap(), 3);
}

#[test]
fn a_position_of_another_log_or_one_that_was_cut_short_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other] = ["log.store", "other.store"].map(|name| directory.path().join(name));
    append(&EventStore::open(&path).unwrap(), 0..3);
    append(&EventStore::open(&other).unwrap(), 0..3);
    consume_all(&path);
    copy_directory(&path.join("consumers"), &other.join("consumers"));
    let error = start(&other).unwrap_err();
    assert!(matches!(error, ConsumerError::OtherStore { position: 3, .. }), "{error}");

    let file = path.join("consumers/mailer.position");
    let bytes = fs::read(&file).unwrap();
    for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&file, &bytes[..end]).unwrap();
        let error = start(&path).unwrap_err();
        assert!(matches!(error, ConsumerError::DamagedPosition { .. }), "{error}");
        assert!(error.to_string().contains("cut short"), "{error}");
    }
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    ConsumerAdmin::of(&store).unwrap().reset("mailer", 2).unwrap();
    drop(store);
    assert_eq!(start(&path).unwrap(), 2);
}

#[test]
fn a_process_that_follows_the_log_has_consumers_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let writer = EventStore::<RawEvent>::open(&path).unwrap();
    append(&writer, 0..2);
    let follower = EventStore::<RawEvent>::open_read_only(&path).unwrap();
    let mut mailer = follower.consumer("mailer").query(Query::tag("key:1")).start().unwrap();
    let delivery = mailer.next().unwrap().unwrap();
    assert_eq!(delivery.offset, 1);
    delivery.ack().unwrap();
    append(&writer, 2..7);
    let delivery = mailer.next().unwrap().unwrap();
    assert_eq!(delivery.event.tags().collect::<Vec<_>>(), ["key:1"]);
    delivery.ack().unwrap();
}

#[test]
fn what_a_crash_left_behind_is_removed_and_never_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    append(&EventStore::open(&path).unwrap(), 0..1);
    consume_all(&path);
    let left = path.join("consumers").join(format!("mailer.{}.new", "0".repeat(32)));
    let others = path.join("consumers").join(format!("other.{}.new", "0".repeat(32)));
    fs::write(&left, "half").unwrap();
    fs::write(&others, "half").unwrap();
    assert_eq!(start(&path).unwrap(), 1);
    assert!(!left.exists() && others.exists());
    assert_eq!(FileCheckpoints::at(path.join("consumers")).names().unwrap(), ["mailer"]);
}

#[cfg(unix)]
#[test]
fn a_consumer_whose_lock_file_was_removed_saves_nothing_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..4);
    let mut first = store.consumer("mailer").start().unwrap();
    first.next().unwrap().unwrap().ack().unwrap();
    first.save().unwrap();
    std::fs::remove_dir_all(path.join("consumers")).unwrap();
    // The name is free, and its position is gone.
    let mut second = store.consumer("mailer").start().unwrap();
    assert_eq!(second.next().unwrap().unwrap().offset, 0);
    first.next().unwrap().unwrap().ack().unwrap();
    let error = first.save().unwrap_err();
    assert!(matches!(error, ConsumerError::LockRemoved { .. }), "{error}");
    assert!(error.to_string().contains("mailer.lock was removed"), "{error}");
    drop(first);
    second.save().unwrap();
    drop(second);
    let mut third = store.consumer("mailer").start().unwrap();
    assert_eq!(third.next().unwrap().unwrap().offset, 0, "the first consumer saved nothing");
}

#[test]
fn a_position_that_was_removed_is_an_error_and_does_not_begin_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    append(&store, 0..5);
    let positions = path.join("consumers");
    let remove = |file: &str| fs::remove_file(positions.join(file)).unwrap();
    // A consumer that has handled nothing has no position, so nothing can be missed.
    drop(store.consumer("mailer").start().unwrap());
    let mut mailer = store.consumer("mailer").start().unwrap();
    for _ in 0..3 {
        mailer.next().unwrap().unwrap().ack().unwrap();
    }
    drop(mailer);
    drop(store.consumer("new-only").from(5).start().unwrap());
    let admin = ConsumerAdmin::of(&store).unwrap();
    for name in ["mailer", "new-only"] {
        remove(&format!("{name}.position"));
        for _ in 0..2 {
            let error = store.consumer(name).start().unwrap_err();
            assert!(matches!(error, ConsumerError::PositionRemoved { .. }), "{error}");
            assert!(error.to_string().contains("reset"), "{error}");
            let error = store.group(name).open().unwrap_err();
            assert!(matches!(error, ConsumerError::OtherKind { found: "consumer", .. }), "{error}");
        }
        let listed = admin.list().unwrap().into_iter().find(|info| info.name == name).unwrap();
        for info in [listed, admin.get(name).unwrap()] {
            assert_eq!(info.kind, ConsumerKind::Consumer);
            assert!(matches!(info.problem, Some(ConsumerError::PositionRemoved { .. })));
        }
    }
    admin.reset("mailer", 4).unwrap();
    assert_eq!(store.consumer("mailer").start().unwrap().position(), 4);
    assert!(admin.get("mailer").unwrap().problem.is_none());
    for name in ["mailer", "new-only"] {
        admin.delete(name).unwrap();
        assert_eq!(store.consumer(name).start().unwrap().position(), 0);
    }
    assert!(admin.list().unwrap().is_empty());
}

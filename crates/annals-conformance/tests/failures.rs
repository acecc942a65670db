//! A failing commit of the Journal, and the appends in progress meanwhile.

use std::io::ErrorKind;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use annals::{AppendError, Batch, Condition, Durability, EventStore, Health, Journal, Query};
use annals_conformance::fault::{Call, FaultFileSystem, on_disk};
use annals_conformance::{JournalSubject, Sample};
use metrics_exporter_prometheus::PrometheusBuilder;

type Store = EventStore<Sample, Journal<Sample>>;

const PATIENCE: Duration = Duration::from_secs(300);

fn open(disk: &FaultFileSystem, durability: Durability) -> Store {
    let options = JournalSubject::new(durability).options(disk);
    EventStore::on(options.open(on_disk("store")).expect("it opens"))
}

/// Waits for a future on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) =
            future.as_mut().poll(&mut std::task::Context::from_waker(&waker))
        {
            return output;
        }
        thread::park();
    }
}

#[test]
fn an_append_that_waits_while_a_sync_fails_is_not_committed() {
    for _ in 0..20 {
        let disk = FaultFileSystem::new(0);
        let store = open(&disk, Durability::Buffered);
        store.append(Sample::new("first")).expect("appended");
        disk.fail(Call::Sync, 1, ErrorKind::Other);
        let hold = disk.hold(Call::Sync);
        thread::scope(|scope| {
            let syncing = scope.spawn(|| store.sync());
            assert!(hold.wait(PATIENCE));
            let waiting = store.append_async(Sample::new("second"));
            // Gives the committing thread time to wait for the sync. The append is refused in either case.
            (0..100).for_each(|_| thread::yield_now());
            hold.release();
            let synced = syncing.join().expect("no panic");
            assert!(matches!(synced, Err(AppendError::Failed { .. })), "{synced:?}");
            let waited = wait(waiting);
            assert!(matches!(waited, Err(AppendError::Poisoned { .. })), "{waited:?}");
        });
        assert_eq!(store.len(), 1);
        assert!(matches!(store.sync(), Err(AppendError::Poisoned { .. })));
    }
}

#[test]
fn an_event_whose_commit_fails_is_not_visible() {
    let disk = FaultFileSystem::new(0);
    let store = open(&disk, Durability::Sync);
    // All appends are submitted while a callback stops the leader, so that they are in one commit. The second one
    // conflicts with those behind it.
    let (held, is_held) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let callback = store.subscribe(move |_| {
        held.send(()).expect("the test waits");
        may_go_on.recv().expect("the test continues");
    });
    thread::scope(|scope| {
        scope.spawn(|| store.append(Sample::new("first")).expect("appended"));
        is_held.recv().expect("the callback is called");
        let event = || Sample::new("event").tag("tag").id("id");
        let none = Condition::fail_if(Query::tag("tag"));
        let appends = [
            Batch::new(vec![event()]),
            Batch::new(vec![Sample::new("event")]).condition(none),
            Batch::new(vec![event()]),
            Batch::new(vec![Sample::new("other").id("id")]),
        ]
        .map(|batch| store.append_as_async(batch));
        disk.fail(Call::Sync, 1, ErrorKind::Other);
        go_on.send(()).expect("the callback waits");
        for result in appends.map(wait) {
            assert!(matches!(result, Err(AppendError::Failed { .. })), "{result:?}");
        }
    });
    assert!(store.unsubscribe(callback));
    assert_eq!(store.len(), 1);
}

#[test]
fn a_sync_that_fails_for_want_of_room_is_a_failed_sync() {
    let disk = FaultFileSystem::new(0);
    let store = open(&disk, Durability::Buffered);
    // The first sync is the one that seals the first segment.
    disk.fail(Call::Sync, 1, ErrorKind::StorageFull);
    let error = loop {
        if let Err(error) = store.append(Sample::new("event").data(vec![1; 500])) {
            break error;
        }
    };
    assert!(matches!(error, AppendError::Failed { .. }), "{error:?}");
    assert!(matches!(store.append(Sample::new("event")), Err(AppendError::Poisoned { .. })));
    let count = store.len();
    drop(store);
    assert_eq!(open(&disk, Durability::Buffered).len(), count);
}

#[test]
fn a_segment_that_is_just_begun_has_no_bytes_of_the_one_before() {
    let disk = FaultFileSystem::new(0);
    let store = open(&disk, Durability::Sync);
    store.append(Sample::new("first").data("x".repeat(100_000))).expect("appended");
    let before = store.stats().event_bytes;
    let hold = disk.hold(Call::Allocate);
    thread::scope(|scope| {
        // The append begins a segment, and is stopped where it allocates space.
        let appending = scope.spawn(|| store.append(Sample::new("second")));
        assert!(hold.wait(PATIENCE));
        let (bytes, segments) = (store.stats().event_bytes, store.segments());
        hold.release();
        assert_eq!(appending.join().expect("no panic").expect("appended"), 1);
        assert_eq!(segments.len(), 2);
        assert!((before..before + 100).contains(&bytes), "{before} -> {bytes}");
    });
}

#[test]
fn derived_files_that_do_not_fit_leave_nothing() {
    let disk = FaultFileSystem::new(1);
    let open = || -> Store {
        let options = Journal::options().segment_bytes(16 << 10);
        let opened = options.file_system(Arc::new(disk.process())).open("/disk/store");
        EventStore::on(opened.expect("it opens"))
    };
    let event = |n: u64| {
        let event = Sample::new("noted").data("x".repeat(40));
        (0..60).fold(event, |event, tag| event.tag(format!("{n}:{tag}")))
    };
    let store = open();
    let mut count = 0;
    while store.stats().segments < 64 {
        store.append(event(count)).expect("appended");
        count += 1;
    }
    // Enough for tens of events, but not also for the index of a segment or the Bloom filter of 64 segments.
    disk.set_room(Some(80_000));
    let before = count;
    while store.append(event(count)).is_ok() {
        count += 1;
    }
    assert!(count > before, "no event fits");
    let names = disk.names("/disk/store").expect("it is there");
    let left: Vec<_> = names.iter().filter(|name| name.contains(".new")).collect();
    assert!(left.is_empty(), "{left:?}");
    drop(store);
    disk.set_room(None);
    let store = open();
    assert_eq!(store.len(), count);
    assert_eq!(store.query(&Query::tag(format!("{}:7", count - 1))).count(), 1);
}

#[test]
fn a_store_that_cannot_be_marked_as_closed_says_so_until_it_can() {
    for call in [Call::Create, Call::Rename] {
        let disk = FaultFileSystem::new(0);
        let store = open(&disk, Durability::Sync);
        store.append(Sample::new("first")).expect("appended");
        disk.fail(call, 1, ErrorKind::StorageFull);
        let closed = store.close();
        assert!(matches!(closed, Err(AppendError::NotClosed { .. })), "{call:?}: {closed:?}");
        // The store is closed for appends and cursors nevertheless.
        assert!(matches!(store.health(), Health::Closed));
        assert!(matches!(store.append(Sample::new("late")), Err(AppendError::Closed)));
        assert_eq!(store.subscription(Query::all(), 0).count(), 1);
        store.close().expect("there is space again");
        let calls = disk.calls();
        store.close().expect("it is closed");
        assert_eq!(disk.calls(), calls, "closing again does nothing");
        drop(store);
        assert_eq!(open(&disk, Durability::Sync).len(), 1);
    }
}

#[test]
fn closing_syncs_and_reports_a_failing_sync() {
    let disk = FaultFileSystem::new(0);
    let store = open(&disk, Durability::Buffered);
    store.append(Sample::new("first")).expect("appended");
    disk.fail(Call::Sync, 1, ErrorKind::Other);
    let closed = store.close();
    assert!(matches!(closed, Err(AppendError::Failed { .. })), "{closed:?}");
    let again = store.close();
    assert!(matches!(again, Err(AppendError::Poisoned { .. })), "{again:?}");
    let health = store.health();
    assert!(
        matches!(&health, Health::Poisoned { cause } if cause.contains("planned")),
        "{health:?}"
    );
}

#[test]
fn health_says_what_is_wrong_and_when_it_is_over() {
    let disk = FaultFileSystem::new(0);
    let store = open(&disk, Durability::Sync);
    let first = || Sample::new("first").id("first");
    store.append(first()).expect("appended");
    assert!(matches!(store.health(), Health::Open));
    disk.set_room(Some(0));
    let large = || Sample::new("large").data(vec![7; 1 << 20]);
    let refused = store.append(large());
    assert!(matches!(refused, Err(AppendError::NoRoom { .. })), "{refused:?}");
    let health = store.health();
    assert!(matches!(health, Health::NoRoom { bytes, .. } if bytes > 1 << 20), "{health:?}");
    assert!(health.takes_appends() && health.to_string().contains("no room"), "{health}");
    // An append that is refused for another reason, or whose ids are known, does not change the health.
    let condition = Condition::fail_if(Query::all());
    assert!(store.append_if([large()], &condition).is_err());
    store.append_batch([]).expect("nothing");
    assert_eq!(store.append(first()).expect("known"), 0);
    disk.set_room(None);
    assert!(matches!(store.health(), Health::NoRoom { .. }));
    store.append(large()).expect("there is room");
    assert!(matches!(store.health(), Health::Open));
    let options = JournalSubject::new(Durability::Sync).options(&disk);
    let reader = options.open_read_only::<Sample>(on_disk("store")).expect("it opens");
    let reader = EventStore::<Sample, _>::on(reader);
    assert!(matches!(reader.health(), Health::ReadOnly));
    reader.close().expect("closed");
    assert!(matches!(reader.health(), Health::Closed));
    disk.fail(Call::Sync, 1, ErrorKind::Other);
    assert!(store.append(large()).is_err());
    assert!(matches!(store.health(), Health::Poisoned { .. }));
    assert!(matches!(store.close(), Err(AppendError::Poisoned { .. })));
    assert!(matches!(store.health(), Health::Poisoned { .. }), "also once it is closed");
}

/// Events that another process appends after a reader was closed do not move the reader's head.
#[test]
fn a_closed_reader_stands_still() {
    let disk = FaultFileSystem::new(0);
    let store = open(&disk, Durability::Sync);
    store.append(Sample::new("first")).expect("appended");
    let options = || JournalSubject::new(Durability::Sync).options(&disk);
    let read = || options().open_read_only::<Sample>(on_disk("store")).expect("it opens");
    let closed = EventStore::<Sample, _>::on(read());
    let open = EventStore::<Sample, _>::on(read());
    closed.close().expect("closed");
    store.append(Sample::new("second")).expect("appended");
    // The open reader has read the event. The closed one must not publish it, now or later.
    assert_eq!(
        open.subscription(Query::all(), 1).next().expect("not closed").expect("read").offset,
        1
    );
    assert_eq!(closed.len(), 1);
    assert_eq!(closed.subscription(Query::all(), 0).count(), 1);
}

#[test]
fn a_full_and_a_poisoned_store_are_counted() {
    let disk = FaultFileSystem::new(0);
    let recorder = PrometheusBuilder::new().build_recorder();
    let store = metrics::with_local_recorder(&recorder, || open(&disk, Durability::Sync));
    let reported = || {
        let _ = store.stats();
        let text = recorder.handle().render();
        ["full", "poisoned"].map(|state| {
            text.contains(&format!("annals_{state}_stores{{backend=\"journal\"}} 1\n"))
        })
    };
    assert_eq!(reported(), [false, false]);
    disk.set_room(Some(0));
    let large = || Sample::new("large").data(vec![7; 1 << 20]);
    assert!(matches!(store.append(large()), Err(AppendError::NoRoom { .. })));
    assert_eq!(reported(), [true, false]);
    disk.set_room(None);
    store.append(large()).expect("there is room");
    assert_eq!(reported(), [false, false]);
    disk.fail(Call::Sync, 1, ErrorKind::Other);
    assert!(matches!(store.append(large()), Err(AppendError::Failed { .. })));
    assert_eq!(reported(), [false, true]);
}

//! The handles of a store: where the last one is dropped, and what other threads observe at that time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::sync::{Arc, Mutex, mpsc};

use annals::{AppendError, Batch, EventStore, Journal, JournalStore, Query, RawEvent};
use futures_executor::block_on;

type Store = JournalStore<RawEvent>;

fn event(n: u64) -> RawEvent {
    RawEvent::builder("counted").data(n.to_string()).build().unwrap()
}

/// A program's own type with a store in files.
struct Service {
    store: JournalStore<RawEvent>,
}

#[test]
fn a_field_holds_a_store_in_files_however_it_was_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let journal = || Journal::options().open(&path).unwrap();
    let opened = Service { store: EventStore::open(&path).unwrap() };
    opened.store.append(event(0)).unwrap();
    drop(opened);
    let on_a_journal = Service { store: JournalStore::on(journal()) };
    on_a_journal.store.append(event(1)).unwrap();
    drop(on_a_journal);
    let named = Service { store: EventStore::<RawEvent, Journal<RawEvent>>::on(journal()) };
    let reader = Service { store: EventStore::open_read_only(&path).unwrap() };
    assert_eq!((named.store.len(), reader.store.len()), (2, 2));
}

#[test]
fn verify_beside_a_writer_finds_no_problem() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let done = std::sync::atomic::AtomicBool::new(false);
    let stop = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        let (begun, is_begun) = mpsc::channel();
        scope.spawn(|| {
            let begun = begun;
            while !done.load(stop) {
                let options = Journal::options().segment_bytes(4 << 10);
                let store: Store = EventStore::on(options.open(&path).unwrap());
                (0..40).for_each(|n| drop(store.append(event(n)).map(|offset| offset + n)));
                // At the end of the test, the receiver is gone.
                let _ = begun.send(());
            }
        });
        is_begun.recv().unwrap();
        for _ in 0..60 {
            let report = annals::verify(&path).unwrap();
            assert_eq!(report.problems, [], "after {} events", report.events);
            let store = EventStore::<RawEvent>::open_read_only(&path).unwrap();
            assert_eq!(store.backend().damage(), None);
        }
        done.store(true, stop);
    });
}

#[test]
fn a_callback_that_drops_the_last_handle_closes_the_store_and_completes_all_appends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store: Store = EventStore::<RawEvent>::open(&path).unwrap();
    let held = Arc::new(Mutex::new(None));
    let (told, is_told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let mine = Arc::clone(&held);
    store.subscribe(move |_| {
        told.send(()).unwrap();
        may_go_on.recv().unwrap();
        drop(mine.lock().unwrap().take());
    });
    let first = store.append_async(event(0));
    is_told.recv().unwrap();
    let others: Vec<_> = (1..4).map(|n| store.append_async(event(n))).collect();
    *held.lock().unwrap() = Some(store);
    (0..4).for_each(|_| go_on.send(()).unwrap());
    assert_eq!(block_on(first).unwrap(), 0);
    // These appends were queued when the last handle was dropped.
    let others: Vec<_> = others.into_iter().map(|other| block_on(other).unwrap()).collect();
    assert_eq!(others, [1, 2, 3]);
    let again: Store = EventStore::<RawEvent>::open(&path).unwrap();
    assert_eq!(again.append(event(4)).unwrap(), 4);
}

#[test]
fn closing_appends_all_queued_batches_and_cursors_read_them() {
    for _ in 0..20 {
        let store = EventStore::in_memory();
        let (answers, seen) = std::thread::scope(|scope| {
            let seen = scope.spawn(|| store.subscription(Query::all(), 0).count());
            let answers: Vec<_> = (0..100).map(|n| store.append_async(event(n))).collect();
            store.close().unwrap();
            store.close().unwrap();
            assert!(matches!(store.append(event(100)), Err(AppendError::Closed)));
            (answers, seen.join().unwrap())
        });
        assert!(answers.into_iter().all(|answer| block_on(answer).is_ok()));
        assert_eq!(seen, 100);
    }
}

#[test]
fn a_callback_may_wait_for_an_asynchronous_append() {
    let store = EventStore::in_memory();
    let (inner, seen) = (store.clone(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&seen);
    let callback = store.subscribe(move |recorded| {
        log.lock().unwrap().push(recorded.offset);
        if recorded.offset < 3 {
            assert_eq!(block_on(inner.append_async(event(0))).unwrap(), recorded.offset + 1);
        }
    });
    assert_eq!(store.append(event(0)).unwrap(), 0);
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3]);
    assert!(store.unsubscribe(callback));
}

#[test]
fn a_callback_that_ends_itself_is_not_called_again() {
    let store = EventStore::in_memory();
    let (inner, calls) = (store.clone(), Arc::new(Mutex::new((0, None))));
    let mine = Arc::clone(&calls);
    let id = store.subscribe(move |_| {
        let mut mine = mine.lock().unwrap();
        mine.0 += 1;
        assert!(inner.unsubscribe(mine.1.unwrap()));
    });
    calls.lock().unwrap().1 = Some(id);
    store.append_batch((0..10).map(event)).unwrap();
    assert_eq!(calls.lock().unwrap().0, 1);
}

/// An event whose code panics while its thread leads a commit: when its id is compared with that of a stored event.
#[derive(Debug, Clone, Copy)]
struct Trap(&'static str);

impl annals::Event for Trap {
    fn event_type(&self) -> &'static str {
        self.0
    }

    fn aliases(_: &str) -> &'static [&'static str] {
        // Not `panic!`, because its message would be in the output of a successful test.
        std::panic::resume_unwind(Box::new("sprung"))
    }

    fn id(&self) -> Option<std::borrow::Cow<'_, str>> {
        Some("same".into())
    }

    fn encode(&self, _: &mut Vec<u8>) -> Result<(), annals::CodecError> {
        Ok(())
    }

    fn decode(_: &RawEvent) -> Result<Self, annals::CodecError> {
        Ok(Self("trap"))
    }
}

#[test]
fn a_panic_in_the_code_of_an_event_leaves_no_thread_waiting() {
    let store = EventStore::in_memory();
    store.append(Trap("trap")).unwrap();
    let other = || store.append(Trap("other"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(other)).is_err());
    assert!(matches!(store.append(Trap("trap")), Err(AppendError::Poisoned { .. })));
    assert!(matches!(store.health(), annals::Health::Poisoned { .. }));
    assert_eq!(store.len(), 1);
}

#[test]
fn a_panic_in_a_commit_inside_a_callback_poisons_as_well() {
    let store = EventStore::in_memory();
    let inner = store.clone();
    store.subscribe(move |_| drop(inner.append(Trap("other"))));
    store.append(Trap("trap")).unwrap();
    assert!(matches!(store.append(Trap("trap")), Err(AppendError::Poisoned { .. })));
    assert!(matches!(store.close(), Err(AppendError::Poisoned { .. })));
}

#[test]
fn a_page_is_limited_in_bytes_so_that_large_events_do_not_fill_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store: Store = EventStore::<RawEvent>::open(directory.path().join("store")).unwrap();
    let large = || RawEvent::builder("large").data(vec![7; 1 << 20]).build().unwrap();
    store.append_as(Batch::new((0..8).map(|_| large()).collect())).unwrap();
    let mut page = Vec::new();
    let selection =
        annals::Selection { query: &Query::all(), range: 0..8, reverse: false, limit: 8 };
    let left = annals::Backend::read(store.backend(), selection, &mut page).unwrap();
    assert_eq!((page.len(), left), (1, 1..8));
    assert_eq!(store.read(..).count(), 8);
}

/// Between `fork` and `exec`, a process that is being started has all files open that this process has open.
#[cfg(unix)]
#[test]
fn a_closed_store_opens_again_while_processes_are_started() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(order) {
                    let mut command = std::process::Command::new("true");
                    assert!(command.status().unwrap().success());
                }
            });
        }
        let opened = (0..400).try_for_each(|n| {
            let store: Store = EventStore::on(Journal::options().open(&path)?);
            assert_eq!(store.append(event(n)).ok(), Some(n));
            Ok::<_, annals::OpenError>(())
        });
        done.store(true, order);
        opened.unwrap();
    });
}

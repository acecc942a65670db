//! Tests of the commit path, on a log in memory, that force an interleaving: a callback blocks the leader until the
//! other callers wait.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_executor::block_on;
use futures_util::Stream;

use super::clock::TestClock;
use super::request::event_bytes;
use crate::backend::backend::Backend;
use crate::backend::batch::Batch;
use crate::backend::health::Health;
use crate::backend::memory::Memory;
use crate::error::AppendError;
use crate::event::error::CodecError;
use crate::event::event::Event;
use crate::event::limits::MAX_TIME_AHEAD_MS;
use crate::event::raw::RawEvent;
use crate::query::Query;
use crate::store::store::EventStore;
use crate::util::time::from_ms;

type Store = EventStore<RawEvent>;

fn event(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type).build().unwrap()
}

/// A store whose leader blocks in the callback for the event at offset 0.
struct Held {
    store: Store,
    is_in: Receiver<()>,
    go_on: Sender<()>,
}

impl Held {
    fn new(store: Store, then: impl Fn() + Send + 'static) -> Self {
        let (entered, is_in) = channel();
        let (go_on, may_go_on) = channel();
        store.subscribe(move |event| {
            if event.offset == 0 {
                entered.send(()).unwrap();
                may_go_on.recv().unwrap();
                then();
            }
        });
        Self { store, is_in, go_on }
    }

    /// Appends an event, and calls `meanwhile` while the leader is in the callback.
    fn append<T>(&self, meanwhile: impl FnOnce() -> T) -> (Result<u64, AppendError>, T) {
        thread::scope(|scope| {
            let store = &self.store;
            let first = scope.spawn(move || store.append(event("first")));
            self.is_in.recv().unwrap();
            let done = catch_unwind(AssertUnwindSafe(meanwhile));
            self.go_on.send(()).unwrap();
            let first = first.join().unwrap();
            (first, done.unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_append_in_a_destructor_of_a_panicking_thread_is_one_like_any_other() {
    struct Audit(Store);
    impl Drop for Audit {
        fn drop(&mut self) {
            self.0.append(event("audit")).unwrap();
        }
    }
    let store = Store::in_memory();
    let theirs = store.clone();
    let panicked = thread::spawn(move || {
        let _audit = Audit(theirs);
        // Not `panic!`: its message would be in the output of a test that succeeds.
        resume_unwind(Box::new("the user's own panic"));
    });
    assert!(panicked.join().is_err());
    assert_eq!(store.append(event("next")).unwrap(), 1);
    assert!(matches!(store.health(), Health::Open));
}

#[test]
fn a_close_from_outside_waits_for_what_is_queued() {
    let held = Held::new(Store::in_memory(), || {});
    let (first, (second, closing)) = held.append(|| {
        let second = held.store.append_async(event("second"));
        let store = held.store.clone();
        (second, thread::spawn(move || store.close()))
    });
    // Either the close came first, or it waited for both.
    closing.join().unwrap().unwrap();
    assert_eq!(first.unwrap(), 0);
    assert_eq!(block_on(second).unwrap(), 1);
    assert_eq!(held.store.subscription(Query::all(), 0).count(), 2);
    assert!(matches!(held.store.append(event("third")), Err(AppendError::Closed)));
}

#[test]
fn the_last_handle_may_go_in_a_callback_and_what_is_queued_is_appended() {
    // The helper leads, so that only its callback has the last handle.
    let store = Store::in_memory();
    let head = store.backend().head().clone();
    let (entered, is_in) = channel();
    let (handle, last) = channel::<Store>();
    store.subscribe(move |event| {
        if event.offset == 0 {
            entered.send(()).unwrap();
            drop(last.recv().unwrap());
        }
    });
    let first = store.append_async(event("first"));
    is_in.recv().unwrap();
    let second = store.append_async(event("second"));
    handle.send(store).unwrap();
    assert_eq!(block_on(first).unwrap(), 0);
    assert_eq!(block_on(second).unwrap(), 1);
    assert_eq!(head.wait_beyond(u64::MAX, None), 2, "the head at the end");
}

#[test]
fn two_closes_in_one_callback_and_one_from_outside_agree() {
    let store = Store::in_memory();
    let inner = store.clone();
    let held = Held::new(store, move || {
        inner.close().unwrap();
        inner.close().unwrap();
        assert!(matches!(inner.append(event("late")), Err(AppendError::Closed)));
    });
    let (_, second) = held.append(|| held.store.append_async(event("second")));
    assert_eq!(block_on(second).unwrap(), 1);
    held.store.close().unwrap();
    assert!(held.store.backend().head().is_closed());
    assert_eq!(held.store.subscription(Query::all(), 0).count(), 2);
    assert_eq!(held.store.stats().subscribers, 1, "the callback did not panic");
}

#[test]
fn a_waker_may_append() {
    struct Appends(Store);
    impl Wake for Appends {
        fn wake(self: Arc<Self>) {
            self.0.append(event("from a waker")).unwrap();
        }
    }
    let store = Store::in_memory();
    let waker = Waker::from(Arc::new(Appends(store.clone())));
    let mut stream = store.subscription(Query::all(), 0).stream();
    assert!(Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(store.append(event("first")).unwrap(), 0);
    assert_eq!(store.len(), 2);
}

#[test]
fn a_waker_that_panics_fails_no_append() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("a waker that panics"));
        }
    }
    let held = Held::new(Store::in_memory(), || {});
    let (_, mut second) = held.append(|| {
        let mut second = Box::pin(held.store.append_async(event("second")));
        let waker = Waker::from(Arc::new(Panics));
        assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        second
    });
    assert_eq!(block_on(&mut second).unwrap(), 1);
    assert_eq!(held.store.append(event("third")).unwrap(), 2);
}

#[test]
fn a_stream_that_is_dropped_leaves_no_waker_on_an_idle_log() {
    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let store = Store::in_memory();
    let task = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&task));
    for _ in 0..100 {
        let mut stream = store.subscription(Query::all(), 0).stream();
        assert!(Pin::new(&mut stream).poll_next(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(store.backend().head().sleeper_count(), 1);
    }
    assert_eq!(store.backend().head().sleeper_count(), 0);
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 1);
    // A subscription that waited in vain and is still there.
    let mut cursor = store.subscription(Query::all(), 0);
    let waited = cursor.next_timeout(std::time::Duration::from_millis(1)).unwrap();
    assert!(matches!(waited, crate::Waited::TimedOut));
    assert_eq!(store.backend().head().sleeper_count(), 0);
}

/// Returns a store that has room for two small batches.
fn with_little_room() -> Store {
    let store = Store::in_memory();
    let mut queue = store.backend().committer().queue.lock();
    queue.extra.room.set_limit(2 * small_batch());
    drop(queue);
    store
}

/// Returns the size of a batch of one event whose type has five letters, in bytes.
fn small_batch() -> usize {
    use super::request::Request;
    let encoded = crate::backend::encode::Encoded::labels(
        &[event("event")],
        &crate::event::name::Hasher::new(&[0; 16]),
    );
    let mut request = Request::new(Batch::new(vec![event("event")]), encoded.unwrap());
    request.measure();
    assert!(request.bytes > event_bytes(&event("event")));
    request.bytes
}

fn outside(store: &Store) -> usize {
    store.backend().committer().queue.lock().extra.room.outside_count()
}

#[test]
fn a_batch_without_room_waits_outside_and_goes_in_in_order() {
    let held = Held::new(with_little_room(), || {});
    let store = &held.store;
    let (_, futures) = held.append(|| {
        let mut futures: Vec<_> =
            (0..6).map(|_| Box::pin(store.append_async(event("event")))).collect();
        assert_eq!(outside(store), 0, "a future waits only after its first poll");
        // The third call's future is polled behind the fourth's.
        for at in [5, 3, 2, 4] {
            assert!(poll(&mut futures[at]).is_pending());
        }
        assert_eq!(outside(store), 4);
        futures
    });
    let offsets: Vec<_> = futures.into_iter().map(|future| block_on(future).unwrap()).collect();
    assert_eq!(offsets, [1, 2, 5, 4, 6, 3]);
    assert_eq!(store.backend().committer().queue.lock().extra.room.bytes(), 0);
    // There is room again.
    drop(store.append_async(event("event")));
    assert_eq!(store.append(event("event")).unwrap(), 8);
}

#[test]
fn a_small_batch_does_not_pass_a_larger_one_that_waits_for_room() {
    let held = Held::new(with_little_room(), || {});
    let store = &held.store;
    let (_, (first, large, small)) = held.append(|| {
        let first = store.append_async(event("event"));
        let two = Batch::new(vec![event("event"), event("event")]);
        let mut large = Box::pin(store.append_as_async(two));
        assert!(poll(&mut large).is_pending());
        // There would be room for this one.
        let mut small = Box::pin(store.append_async(event("event")));
        assert!(poll(&mut small).is_pending());
        assert_eq!(outside(store), 2);
        (first, large, small)
    });
    assert_eq!(block_on(first).unwrap(), 1);
    assert_eq!(block_on(large).unwrap().offsets, 2..4);
    assert_eq!(block_on(small).unwrap(), 4);
}

#[test]
fn what_is_dropped_without_room_is_not_appended_and_keeps_nobody_out() {
    let held = Held::new(with_little_room(), || {});
    let store = &held.store;
    let (_, left) = held.append(|| {
        let mut futures: Vec<_> =
            (0..5).map(|_| Some(Box::pin(store.append_async(event("event"))))).collect();
        for future in futures[2..].iter_mut().flatten() {
            assert!(poll(future).is_pending());
        }
        // One batch is in the queue, and two wait outside.
        (futures[0], futures[2], futures[4]) = (None, None, None);
        assert_eq!(outside(store), 1);
        drop(store.append_async(event("event"))); // no room, and not polled
        futures
    });
    let offsets: Vec<_> = left.into_iter().flatten().map(|f| block_on(f).unwrap()).collect();
    assert_eq!(offsets, [2, 3]);
    assert_eq!(store.len(), 4);
}

#[test]
fn a_batch_larger_than_the_room_goes_through_alone() {
    let store = with_little_room();
    let many = || Batch::new((0..100).map(|_| event("event")).collect());
    let mut alone = Box::pin(store.append_as_async(many()));
    let answer = poll(&mut alone);
    assert_eq!(outside(&store), 0);
    let answer = if let Poll::Ready(answer) = answer { answer } else { block_on(alone) };
    assert_eq!(answer.unwrap().offsets, 0..100);
    let held = Held::new(with_little_room(), || {});
    let (_, (mut small, mut large)) = held.append(|| {
        let small = Box::pin(held.store.append_async(event("event")));
        let mut large = Box::pin(held.store.append_as_async(many()));
        assert!(poll(&mut large).is_pending());
        assert_eq!(outside(&held.store), 1);
        (small, large)
    });
    assert_eq!(block_on(&mut large).unwrap().offsets, 2..102);
    assert_eq!(block_on(&mut small).unwrap(), 1);
}

#[test]
fn a_batch_that_waits_for_room_is_refused_when_the_store_closes() {
    let held = Held::new(with_little_room(), || {});
    let store = &held.store;
    let (_, (queued, polled, unpolled, closing)) = held.append(|| {
        let queued: Vec<_> = (0..2).map(|_| store.append_async(event("event"))).collect();
        let mut polled = Box::pin(store.append_async(event("event")));
        assert!(poll(&mut polled).is_pending());
        assert_eq!(outside(store), 1);
        let unpolled = store.append_async(event("event"));
        let mut late = Box::pin(store.append_async(event("event")));
        let other = store.clone();
        let closing = thread::spawn(move || other.close());
        // The close has begun once this future is ready.
        assert!(matches!(block_on(&mut polled), Err(AppendError::Closed)));
        // The queue has no room, and will have none.
        assert!(matches!(poll(&mut late), Poll::Ready(Err(AppendError::Closed))));
        (queued, polled, unpolled, closing)
    });
    drop(polled);
    closing.join().unwrap().unwrap();
    assert!(matches!(block_on(unpolled), Err(AppendError::Closed)));
    let offsets: Vec<_> = queued.into_iter().map(|future| block_on(future).unwrap()).collect();
    assert_eq!(offsets, [1, 2]);
}

/// An event of a type and with an id. The leader asks for the type's older names if the id is known for another type.
struct Named(&'static str, &'static str);

impl Event for Named {
    fn event_type(&self) -> &str {
        self.0
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        Some(self.1.into())
    }

    fn encode(&self, _: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(())
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        match raw.event_type() {
            "panics" => Ok(Self("panics", "a")),
            _ => Ok(Self("first", "a")),
        }
    }

    fn aliases(event_type: &str) -> &'static [&'static str] {
        if event_type == "panics" {
            resume_unwind(Box::new("an event's own code panics"));
        }
        &[]
    }
}

#[test]
fn what_waits_for_room_is_refused_when_the_leader_panics() {
    let store = EventStore::<Named>::in_memory();
    store.backend().committer().queue.lock().extra.room.set_limit(1);
    let (entered, is_in) = channel();
    let (go_on, may_go_on) = channel();
    store.subscribe(move |_| {
        entered.send(()).unwrap();
        may_go_on.recv().unwrap();
    });
    let (queued, waits) = thread::scope(|scope| {
        let first = scope.spawn(|| store.append(Named("first", "a")));
        is_in.recv().unwrap();
        let queued = store.append_async(Named("panics", "a"));
        let mut waits = Box::pin(store.append_async(Named("first", "b")));
        let polled = poll(&mut waits);
        go_on.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), 0);
        assert!(polled.is_pending());
        (queued, waits)
    });
    assert!(block_on(queued).is_err());
    // The helper panicked as the leader; once no thread leads any more, nothing waits for room.
    let queue = &store.backend().committer().queue;
    let queue = queue.wait_until_idle(queue.lock());
    assert_eq!(queue.extra.room.outside_count(), 0);
    drop(queue);
    assert!(block_on(waits).is_err());
}

#[test]
fn a_callback_may_wait_for_a_batch_that_found_no_room() {
    let store = with_little_room();
    let (give, take) = channel::<Pin<Box<dyn Future<Output = Result<u64, AppendError>> + Send>>>();
    let (report, reported) = channel();
    let held = Held::new(store, move || report.send(block_on(take.recv().unwrap())).unwrap());
    let (first, ()) = held.append(|| {
        drop(held.store.append_async(event("event")));
        drop(held.store.append_async(event("event")));
        give.send(Box::pin(held.store.append_async(event("event")))).unwrap();
    });
    assert_eq!(first.unwrap(), 0);
    assert_eq!(
        reported.recv().unwrap().unwrap(),
        1,
        "it goes before the batches that wait for the callback"
    );
}

#[test]
fn a_time_far_in_the_future_is_refused_unless_it_is_asked_for() {
    let now_ms = 1_700_000_000_000;
    let clock = TestClock::at(from_ms(now_ms));
    let store = EventStore::<RawEvent>::on(Memory::new().clock(&clock));
    let at = |time_ms| Batch::new(vec![event("event")]).time_ms(time_ms);
    let microseconds = now_ms * 1_000;
    let refused = store.append_as(at(microseconds)).unwrap_err();
    assert!(
        matches!(refused, AppendError::TimeInFuture { given, now } if given == microseconds && now == now_ms),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("milliseconds since 1970"), "{refused}");
    store.append_as(at(now_ms + MAX_TIME_AHEAD_MS)).unwrap();
    assert!(store.append_as(at(now_ms + MAX_TIME_AHEAD_MS + 1)).is_err());
    store.append_as(at(microseconds).allow_future_time()).unwrap();
    // Times never go back. The time of the last event is allowed, since the log has it already.
    store.append(event("event")).unwrap();
    store.append_as(at(microseconds)).unwrap();
    assert!(matches!(store.append_as(at(now_ms)), Err(AppendError::TimeGoesBack { .. })));
    assert!(matches!(store.append_as(at(microseconds + 1)), Err(AppendError::TimeInFuture { .. })));
    let times: Vec<_> = store.read(..).map(|event| event.unwrap().time_ms).collect();
    assert_eq!(times, [now_ms + MAX_TIME_AHEAD_MS, microseconds, microseconds, microseconds]);
    // Once the clock is ahead of the last event again, events get its time.
    clock.set(from_ms(microseconds + 5));
    store.append(event("event")).unwrap();
    assert_eq!(store.get(4).unwrap().unwrap().time_ms, microseconds + 5);
}

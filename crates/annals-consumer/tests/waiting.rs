//! Workers that wait: what must wake them, and what must not.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use annals::{EventStore, Waited};
use annals_consumer::{Consumers as _, Nack};
use common::append;
use futures_util::StreamExt as _;

const HOUR: Duration = Duration::from_secs(3_600);

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn new() -> (Arc<Self>, Waker) {
        let woken = Arc::new(Self::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn a_worker_at_its_limit_is_woken_by_an_append_behind_the_answer() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let group = store.group("billing").max_in_flight(1).deadline(HOUR).open().unwrap();
    let held = group.pull("a", 1, None).unwrap().remove(0).into_lease();
    let mut deliveries = group.worker("a").stream();
    let (woken, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    assert!(deliveries.poll_next_unpin(&mut context).is_pending());
    append(&store, 1..2);
    assert_eq!(woken.count(), 0, "it has no room");
    group.ack(&[held]).unwrap();
    assert_ne!(woken.count(), 0);
    let next = deliveries.poll_next_unpin(&mut context);
    assert!(next.is_ready());
    drop(next);

    // The same, but the event is appended behind the answer.
    let held = group.pull("b", 9, None).unwrap();
    assert!(held.is_empty(), "it waits for its next attempt");
    group.reset(2).unwrap();
    append(&store, 2..3);
    let held = group.pull("a", 1, None).unwrap().remove(0).into_lease();
    assert!(deliveries.poll_next_unpin(&mut context).is_pending());
    group.ack(&[held]).unwrap();
    let _ = deliveries.poll_next_unpin(&mut context).is_pending();
    let before = woken.count();
    append(&store, 3..4);
    assert_ne!(woken.count(), before);
}

#[test]
fn a_worker_without_room_to_read_is_woken_by_an_answer() {
    let store = EventStore::in_memory();
    append(&store, 0..2);
    let group = store.group("billing").read_ahead(1).deadline(HOUR).open().unwrap();
    let held = group.pull("far", 1, None).unwrap().remove(0).into_lease();
    let mut deliveries = group.worker("near").stream();
    let (woken, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    assert!(deliveries.poll_next_unpin(&mut context).is_pending());
    group.ack(&[held]).unwrap();
    assert_ne!(woken.count(), 0);
    assert!(deliveries.poll_next_unpin(&mut context).is_ready());
}

#[test]
fn a_worker_that_waits_learns_of_a_pause_that_begins_later() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let group = store.group("billing").deadline(HOUR).open().unwrap();
    let held = group.pull("far", 1, None).unwrap().remove(0).into_lease();
    let mut deliveries = group.worker("near").stream();
    let (woken, waker) = Wakes::new();
    let mut context = Context::from_waker(&waker);
    assert!(deliveries.poll_next_unpin(&mut context).is_pending());
    // The event is to be delivered in a second; the worker knows only of the deadline in an hour.
    group.nack(&[held], Nack::Retry, "no").unwrap();
    assert_ne!(woken.count(), 0);
    assert!(deliveries.poll_next_unpin(&mut context).is_pending());
}

#[test]
fn a_call_of_next_that_is_cancelled_takes_no_wake_up_from_others() {
    let store = EventStore::in_memory();
    let same_key = |_| annals::RawEvent::builder("counted").tag("key:1").build().unwrap();
    store.append_batch((0..2).map(same_key)).unwrap();
    let group = store.group("billing").key("key:").open().unwrap();
    let held = group.pull("far", 1, None).unwrap().remove(0).into_lease();
    let (mut cancelled, mut waits) = (group.worker("a"), group.worker("b").stream());
    let [(_, first), (woken, second)] = [Wakes::new(), Wakes::new()];
    {
        let mut next = pin!(cancelled.next_async());
        let mut context = Context::from_waker(&first);
        assert!(std::future::Future::poll(next.as_mut(), &mut context).is_pending());
    }
    let mut context = Context::from_waker(&second);
    assert!(waits.poll_next_unpin(&mut context).is_pending());
    group.ack(&[held]).unwrap();
    assert_ne!(woken.count(), 0);
    assert!(waits.poll_next_unpin(&mut context).is_ready());
}

#[test]
fn a_delivery_and_a_worker_move_into_a_task_of_their_own() {
    fn owned<T: Send + 'static>(value: T) -> T {
        value
    }
    let store = EventStore::in_memory();
    append(&store, 0..3);
    store.close().unwrap();
    let group = store.group("billing").open().unwrap();
    let mut worker = owned(group.worker("a"));
    let mut mailer = owned(store.consumer("mailer").start().unwrap());
    drop((store, group));
    let tasks: Vec<_> = [worker.next(), worker.next(), mailer.next(), mailer.next()]
        .into_iter()
        .map(|next| owned(next.unwrap().unwrap()))
        .map(|delivery| std::thread::spawn(move || delivery.ack().unwrap()))
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!((worker.next().unwrap().unwrap().offset, mailer.position()), (2, 2));
}

#[test]
fn a_delivery_that_was_fetched_too_long_ago_is_not_handed_out() {
    let store = EventStore::in_memory();
    append(&store, 0..2);
    store.close().unwrap();
    let group = store.group("billing").pauses(Duration::ZERO, Duration::ZERO).open().unwrap();
    let mut slow = group.worker("slow").prefetch(2).deadline(Duration::from_millis(1));
    slow.next().unwrap().unwrap().ack().unwrap();
    let again = group.worker("other").deadline(HOUR).next().unwrap().unwrap();
    assert_eq!(again.offset, 1);
    // The slow worker fetched event 1 as well, and its lease is lost.
    assert!(matches!(slow.next_timeout(Duration::ZERO), Ok(Waited::TimedOut)));
    again.ack().unwrap();
    assert!(slow.next().is_none());
}

#[test]
fn a_wait_that_timed_out_differs_from_the_end_of_a_worker() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let group = store.group("billing").deadline(HOUR).open().unwrap();
    let held = group.pull("a", 1, None).unwrap().remove(0);
    let mut worker = group.worker("b");
    assert!(matches!(worker.next_timeout(Duration::ZERO), Ok(Waited::TimedOut)));
    store.close().unwrap();
    // Worker a may give the event back.
    assert!(matches!(worker.next_timeout(Duration::ZERO), Ok(Waited::TimedOut)));
    assert!(!worker.is_ended());
    held.ack().unwrap();
    assert!(matches!(worker.next_timeout(Duration::MAX), Ok(Waited::Ended)));
    assert!(worker.is_ended());
}

#[test]
fn a_worker_that_waits_ends_when_its_group_is_stopped() {
    let store = EventStore::<annals::RawEvent>::in_memory();
    let group = store.group("billing").open().unwrap();
    let waited = std::thread::scope(|scope| {
        let mut worker = group.worker("a");
        let waiting = scope.spawn(move || worker.next_timeout(Duration::MAX));
        group.stop();
        waiting.join().unwrap()
    });
    assert!(matches!(waited, Ok(Waited::Ended)));
}

#[test]
fn a_wait_that_timed_out_differs_from_the_end_of_a_consumer() {
    let store = EventStore::in_memory();
    append(&store, 0..1);
    let mut mailer = store.consumer("mailer").retry_after(HOUR).start().unwrap();
    let first = mailer.next_timeout(Duration::ZERO).unwrap().event().unwrap();
    assert!(matches!(mailer.next_timeout(Duration::ZERO), Ok(Waited::TimedOut)));
    first.ack().unwrap();
    let waited = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| mailer.next_timeout(Duration::MAX));
        store.close().unwrap();
        waiting.join().unwrap()
    });
    assert!(matches!(waited, Ok(Waited::Ended)));
    assert!(mailer.is_ended());
}

//! Subscribers: callbacks, and cursors that are read as iterators and as streams.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use annals::{AppendError, Condition, Query, Waited};
use futures_core::Stream;

use super::tools::{Seen, Store, fresh, nth, nths, open, spawn, wait_for};
use crate::Subject;
use crate::check::{Check, CheckError, Outcome, ensure, same};

const BEFORE: u64 = 100;
const COUNT: u64 = 600;

pub(super) fn every_subscriber_sees_each_event_once_in_order<S: Subject + ?Sized>(
    subject: &S,
) -> Check {
    // The fixture must outlive the log, which is closed here.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..BEFORE))?;
    let early = Seen::subscribed::<S>(&store);
    // Cursors start before and during the appends, so that they change from catching up to live at many offsets.
    thread::scope(|scope| {
        let cursors: Vec<_> = [0, 1, BEFORE - 1, BEFORE, BEFORE + 1, COUNT - 1]
            .map(|from| {
                let store = &store;
                spawn(scope, "a cursor", subject.patience(), move || {
                    follow::<S>(store, from, subject)
                })
            })
            .into_iter()
            .collect();
        let late =
            spawn(scope, "late callbacks", subject.patience(), || subscribe_late::<S>(&store));
        let writers: Vec<_> = (0..3)
            .map(|thread| {
                scope.spawn({
                    let store = &store;
                    move || write::<S>(store, thread)
                })
            })
            .collect();
        let written: Result<Vec<()>, AppendError> = writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        // Cursors must reach their end even if a writer failed.
        let filled = fill_up::<S>(&store);
        let in_time: Result<Vec<()>, CheckError> =
            cursors.iter().map(super::tools::Task::in_time).collect();
        // Late subscribers append too, so they must be done before the log is closed.
        let in_time = in_time.and_then(|_| late.in_time());
        let closed = store.close();
        written?;
        filled?;
        in_time?;
        closed?;
        for cursor in cursors {
            cursor.join()?;
        }
        late.join()
    })?;
    same(
        "the events that a callback saw",
        early.offsets(),
        (BEFORE..store.len()).collect::<Vec<_>>(),
    )?;
    for event in early.take() {
        let recorded = store.get(event.offset)?;
        ensure!(
            recorded.as_deref() == Some(&event),
            "a callback saw {event:?}, the log has {recorded:?}"
        );
    }
    Ok(Outcome::Held)
}

fn write<S: Subject + ?Sized>(store: &Store<S>, thread: u64) -> Result<(), AppendError> {
    for n in 0..40 {
        match (n + thread) % 4 {
            0 => store.append_batch(nths(n..n + 5)).map(|_| ())?,
            1 => drop(store.append_async(nth(n))),
            2 => store.append_if([nth(n)], &Condition::fail_if(Query::tag("never"))).map(|_| ())?,
            _ => store.append(nth(n)).map(|_| ())?,
        }
    }
    Ok(())
}

/// Appends until the log has as many events as the cursors read. At least one event is appended, behind all others in
/// progress.
fn fill_up<S: Subject + ?Sized>(store: &Store<S>) -> Result<(), AppendError> {
    while store.append(nth(0))? + 1 < COUNT {}
    Ok(())
}

/// Reads with a cursor or, for odd `from`, with a stream, and checks that it sees exactly the offsets from `from` on.
fn follow<S: Subject + ?Sized>(store: &Store<S>, from: u64, subject: &S) -> Result<(), CheckError> {
    let mut cursor = store.subscription(Query::all(), from);
    let mut stream = store.subscription(Query::all(), from).stream();
    for expected in from..COUNT {
        let next = if from.is_multiple_of(2) {
            cursor.next_timeout(subject.patience())?.event().map(Ok)
        } else {
            wait_for(
                poll_fn(|context| Pin::new(&mut stream).poll_next(context)),
                subject.patience(),
            )?
        };
        let ended = || CheckError::new(format!("a cursor from {from} ended before {expected}"));
        let offset = next.transpose()?.ok_or_else(ended)?.offset;
        ensure!(offset == expected, "a cursor from {from} saw {offset} where {expected} should be");
        if from.is_multiple_of(2) {
            same("the position of a cursor", cursor.position(), expected + 1)?;
        }
    }
    Ok(())
}

/// Registers callbacks while appends run, and checks that each sees all events from some offset on.
fn subscribe_late<S: Subject + ?Sized>(store: &Store<S>) -> Result<(), CheckError> {
    let mut all = Vec::new();
    while store.len() < COUNT && all.len() < 200 {
        let head = store.len();
        all.push((head, Seen::subscribed::<S>(store)));
        thread::yield_now();
    }
    // When this append returns, callbacks have seen its event and all before it. Later events may be missing.
    let end = store.append(nth(0))? + 1;
    for (head, seen) in all {
        let offsets: Vec<u64> = seen.offsets().into_iter().filter(|&offset| offset < end).collect();
        let first = offsets.first().copied().unwrap_or(end);
        ensure!(
            first >= head,
            "a callback saw {first}, which was appended before it subscribed at head {head}"
        );
        same("the events that a late callback saw", offsets, (first..end).collect::<Vec<_>>())?;
    }
    Ok(())
}

pub(super) fn a_subscriber_that_panics_harms_nobody<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let before = Seen::subscribed::<S>(&store);
    store.subscribe(move |event| {
        count.fetch_add(1, Ordering::SeqCst);
        // Not `panic!`: its message would be in the output of a successful test.
        if event.offset == 2 {
            std::panic::resume_unwind(Box::new("a subscriber that panics"));
        }
    });
    let after = Seen::subscribed::<S>(&store);
    same("the number of subscribers", store.stats().subscribers, 3)?;
    store.append(nth(0))?;
    same("the range of a batch", store.append_batch(nths(1..5))?, 1..5)?;
    same("the offset of the next append", store.append(nth(5))?, 5)?;
    same(
        "the events that the subscribers before and after it saw",
        (before.offsets(), after.offsets()),
        ((0..6).collect(), (0..6).collect()),
    )?;
    same("the number of calls", calls.load(Ordering::SeqCst), 3)?;
    same("the number of remaining subscribers", store.stats().subscribers, 2)?;
    Ok(Outcome::Held)
}

pub(super) fn a_subscriber_may_append<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let first = Seen::subscribed::<S>(&store);
    let (results, received) = channel();
    let inner = store.clone();
    let echo = store.subscribe(move |event| {
        if event.event.tag_list().iter().any(|tag| tag == "echo") {
            return;
        }
        let echo = nth(event.offset + 1000).tag("echo");
        let _ = results.send((event.offset, inner.append(echo), inner.len()));
        // An asynchronous append and a refused one must work too.
        let _ = inner.append_if([nth(0)], &Condition::fail_if(Query::all()));
        drop(inner.append_async(nth(event.offset + 2000).tag("echo")));
    });
    let last = Seen::subscribed::<S>(&store);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = spawn(
            scope,
            "a writer whose callback appends",
            subject.patience(),
            || -> Result<(), AppendError> {
                store.append_batch(nths(0..3))?;
                store.append(nth(3))?;
                done.store(true, Ordering::SeqCst);
                Ok(())
            },
        );
        // The test would hang on a deadlock. This reports it first.
        writer.in_time()?;
        Ok::<_, CheckError>(writer.join()?)
    })?;
    // Appends in progress when the last append returned still arrive.
    let mut cursor = store.subscription(Query::all(), 0);
    for _ in 0..12 {
        let next = cursor.next_timeout(subject.patience())?.event();
        ensure!(next.is_some(), "{} of 4 events and 8 from a callback are in the log", store.len());
    }
    drop(cursor);
    store.append(nth(4))?;
    ensure!(store.unsubscribe(echo), "a callback was already removed");
    ensure!(!store.unsubscribe(echo), "a callback was removed twice");
    store.append(nth(5))?;
    let results: Vec<_> = received.try_iter().collect();
    same("the number of results that a callback got", results.len(), 5)?;
    for (of, result, head) in results {
        let offset = result?;
        ensure!(offset > of, "the echo of {of} got {offset}");
        ensure!(head > offset, "in a callback the head was {head} after {offset} was acknowledged");
        let echo = store.get(offset)?.map(|event| event.event.clone());
        same("the echo", echo, Some(nth(of + 1000).tag("echo")))?;
    }
    same(
        "whether a callback before it saw the events in order",
        first.offsets().is_sorted_by(|a, b| a + 1 == *b),
        true,
    )?;
    let (first, last) = (first.offsets(), last.offsets());
    ensure!(
        first == last,
        "callbacks before and after it saw different events: {first:?}, {last:?}"
    );
    Ok(Outcome::Held)
}

pub(super) fn closing_ends_cursors<S: Subject + ?Sized>(subject: &S) -> Check {
    // The fixture must outlive the log, which is closed here.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..5))?;
    ensure!(!store.is_closed(), "an open log says that it is closed");
    let mut idle = store.subscription(Query::all(), 5);
    let waited = idle.next_timeout(Duration::from_millis(1))?;
    ensure!(matches!(waited, Waited::TimedOut), "without a new event a cursor is {waited:?}");
    let patience = subject.patience();
    let asleep = std::sync::Barrier::new(3);
    let (blocked, streamed) = thread::scope(|scope| {
        let blocked = spawn(scope, "a cursor of a closed log", patience, || {
            let mut cursor = store.subscription(Query::all(), 0);
            let before = cursor.by_ref().take(5).count();
            asleep.wait();
            (before, cursor.count())
        });
        let streamed = spawn(scope, "a stream of a closed log", patience, || {
            let mut cursor = store.subscription(Query::all(), 5).stream();
            asleep.wait();
            wait_for(poll_fn(|context| Pin::new(&mut cursor).poll_next(context)), patience)
                .map(|next| next.is_none())
        });
        asleep.wait();
        let closed = store.close();
        let ended = blocked.in_time().and_then(|()| streamed.in_time());
        closed?;
        ended?;
        Ok::<_, CheckError>((blocked.join(), streamed.join()?))
    })?;
    same("the number of events of a cursor before and after the close", blocked, (5, 0))?;
    ensure!(streamed, "a stream of a closed log returns an event");
    ensure!(store.is_closed(), "a log that was closed says that it is not");
    let mut ended = store.subscription(Query::all(), 4);
    let waited = ended.next_timeout(patience)?.event();
    ensure!(waited.is_some(), "a cursor of a closed log does not return its last event");
    let waited = ended.next_timeout(patience)?;
    ensure!(matches!(waited, Waited::Ended), "at the end of a closed log a cursor is {waited:?}");
    // A new cursor still reads the events of the log.
    same("the number of events of a new cursor", store.subscription(Query::all(), 2).count(), 3)?;
    same("the number of events read", store.read(..).count(), 5)?;
    let refused = store.append(nth(5));
    ensure!(matches!(refused, Err(AppendError::Closed)), "an append to a closed log: {refused:?}");
    store.close()?;
    closing_in_a_callback_loses_nothing(subject)
}

/// Has a callback close the log while another append waits behind the one that the callback is called for. Cursors must
/// see every acknowledged event before they end.
fn closing_in_a_callback_loses_nothing<S: Subject + ?Sized>(subject: &S) -> Check {
    // The fixture must outlive the log, which is closed here.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    let patience = subject.patience();
    let (entered, is_in) = channel();
    let (let_go, may_go) = channel::<()>();
    let (inner, closed) = (store.clone(), Arc::new(parking_lot::Mutex::new(None)));
    let result = Arc::clone(&closed);
    store.subscribe(move |event| {
        if event.offset == 0 {
            let _ = entered.send(());
            let _ = may_go.recv();
            *result.lock() = Some(inner.close());
        }
    });
    let (first, second, seen) = thread::scope(|scope| {
        let first =
            spawn(scope, "an append whose callback closes", patience, || store.append(nth(0)));
        let called = is_in.recv_timeout(patience);
        // It is submitted when this returns, and waits behind the first one.
        let second = store.append_async(nth(1));
        let cursor = spawn(scope, "a cursor of a log that a callback closes", patience, || {
            store.subscription(Query::all(), 0).take_while(Result::is_ok).count() as u64
        });
        drop(let_go);
        ensure!(called.is_ok(), "the callback was not called");
        first.in_time()?;
        let second = wait_for(second, patience)?;
        cursor.in_time()?;
        Ok::<_, CheckError>((first.join(), second, cursor.join()))
    })?;
    same("the offset of the append whose callback closed the log", first?, 0)?;
    let closed = closed.lock().take();
    ensure!(matches!(closed, Some(Ok(()))), "a close in a callback: {closed:?}");
    let acknowledged = 1 + u64::from(second.is_ok());
    ensure!(
        seen == acknowledged && store.len() == acknowledged,
        "a cursor ended after {seen} events, {acknowledged} were acknowledged ({second:?}), the head is {}",
        store.len()
    );
    let refused = store.append(nth(2));
    ensure!(matches!(refused, Err(AppendError::Closed)), "an append to a closed log: {refused:?}");
    store.close()?;
    Ok(Outcome::Held)
}

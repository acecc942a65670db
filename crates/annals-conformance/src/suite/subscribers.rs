//! Subscribers: callbacks, and cursors as iterators and as streams.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use annals::{AppendError, Condition, Query};
use futures_core::Stream;

use super::tools::{Seen, Store, fresh, nth, nths, open, spawn, wait_for};
use crate::Subject;
use crate::check::{Broken, Check, Outcome, ensure, same};

const BEFORE: u64 = 100;
const COUNT: u64 = 600;

pub(super) fn every_subscriber_sees_each_event_once_in_order<S: Subject + ?Sized>(
    subject: &S,
) -> Check {
    // Its place must be there when it is closed.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..BEFORE))?;
    let early = Seen::subscribed::<S>(&store);
    // Before the appends run and while they do, so that catching up goes over into live at any place.
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
        // Whatever came of it, cursors are to come to their end.
        let filled = fill_up::<S>(&store);
        let in_time: Result<Vec<()>, Broken> =
            cursors.iter().map(super::tools::Doing::in_time).collect();
        // Callbacks that came late append, and so are done before the log is closed.
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
    same("what a callback saw", early.offsets(), (BEFORE..store.len()).collect::<Vec<_>>())?;
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

/// Appends until there are as many as the cursors want, and at least one, behind all that was on its way.
fn fill_up<S: Subject + ?Sized>(store: &Store<S>) -> Result<(), AppendError> {
    while store.append(nth(0))? + 1 < COUNT {}
    Ok(())
}

/// Reads as a cursor, every second one as a stream, and sees just the offsets from `from` on.
fn follow<S: Subject + ?Sized>(store: &Store<S>, from: u64, subject: &S) -> Result<(), Broken> {
    let mut cursor = store.subscription(Query::all(), from);
    let mut stream = store.subscription(Query::all(), from).stream();
    for expected in from..COUNT {
        let next = if from.is_multiple_of(2) {
            cursor.next_timeout(subject.patience())
        } else {
            wait_for(
                poll_fn(|context| Pin::new(&mut stream).poll_next(context)),
                subject.patience(),
            )?
        };
        let ended = || Broken::new(format!("a cursor from {from} ended before {expected}"));
        let offset = next.transpose()?.ok_or_else(ended)?.offset;
        ensure!(offset == expected, "a cursor from {from} saw {offset} where {expected} should be");
        if from.is_multiple_of(2) {
            same("where a cursor is", cursor.position(), expected + 1)?;
        }
    }
    Ok(())
}

/// Callbacks that are registered while appends run see all from some offset on.
fn subscribe_late<S: Subject + ?Sized>(store: &Store<S>) -> Result<(), Broken> {
    let mut all = Vec::new();
    while store.len() < COUNT && all.len() < 200 {
        let head = store.len();
        all.push((head, Seen::subscribed::<S>(store)));
        thread::yield_now();
    }
    // Once this is back, callbacks have seen it and all before it; of what is appended meanwhile nothing is known.
    let end = store.append(nth(0))? + 1;
    for (head, seen) in all {
        let offsets: Vec<u64> = seen.offsets().into_iter().filter(|&offset| offset < end).collect();
        let first = offsets.first().copied().unwrap_or(end);
        ensure!(first >= head, "a callback saw {first}, which was there before it at head {head}");
        same("what a late callback saw", offsets, (first..end).collect::<Vec<_>>())?;
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
        // Not `panic!`: its message would stand in the output of a test that succeeds.
        if event.offset == 2 {
            std::panic::resume_unwind(Box::new("a subscriber that panics"));
        }
    });
    let after = Seen::subscribed::<S>(&store);
    same("subscribers", store.stats().subscribers, 3)?;
    store.append(nth(0))?;
    same("where a batch went", store.append_batch(nths(1..5))?, 1..5)?;
    same("where the next went", store.append(nth(5))?, 5)?;
    same(
        "what those before and after it saw",
        (before.offsets(), after.offsets()),
        ((0..6).collect(), (0..6).collect()),
    )?;
    same("how often it was called", calls.load(Ordering::SeqCst), 3)?;
    same("subscribers that are left", store.stats().subscribers, 2)?;
    Ok(Outcome::Held)
}

pub(super) fn a_subscriber_may_append<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let first = Seen::subscribed::<S>(&store);
    let (answers, given) = channel();
    let inner = store.clone();
    let echo = store.subscribe(move |event| {
        if event.event.tag_list().iter().any(|tag| tag == "echo") {
            return;
        }
        let echo = nth(event.offset + 1000).tag("echo");
        let _ = answers.send((event.offset, inner.append(echo), inner.len()));
        // One that must not block works, too, and one that is refused.
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
        // A deadlock cannot be ended from here: the test would hang, and so is told first.
        writer.in_time()?;
        Ok::<_, Broken>(writer.join()?)
    })?;
    // What was on its way when the last append returned arrives.
    let mut cursor = store.subscription(Query::all(), 0);
    for _ in 0..12 {
        let next = cursor.next_timeout(subject.patience()).transpose()?;
        ensure!(next.is_some(), "of 4 events and 8 from a callback {} are there", store.len());
    }
    drop(cursor);
    store.append(nth(4))?;
    ensure!(store.unsubscribe(echo), "a callback is not known any more");
    ensure!(!store.unsubscribe(echo), "a callback ended twice");
    store.append(nth(5))?;
    let answers: Vec<_> = given.try_iter().collect();
    same("how many answers a callback got", answers.len(), 5)?;
    for (of, answer, head) in answers {
        let offset = answer?;
        ensure!(offset > of, "the echo of {of} got {offset}");
        ensure!(
            head > offset,
            "in a callback the head was {head} when {offset} had been acknowledged"
        );
        let echo = store.get(offset)?.map(|event| event.event.clone());
        same("the echo", echo, Some(nth(of + 1000).tag("echo")))?;
    }
    same(
        "the order in which a callback before it saw them",
        first.offsets().is_sorted_by(|a, b| a + 1 == *b),
        true,
    )?;
    let (first, last) = (first.offsets(), last.offsets());
    ensure!(
        first == last,
        "callbacks before and after it saw different things: {first:?}, {last:?}"
    );
    Ok(Outcome::Held)
}

pub(super) fn closing_ends_cursors<S: Subject + ?Sized>(subject: &S) -> Check {
    // Its place must be there when it is closed.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..5))?;
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
        Ok::<_, Broken>((blocked.join(), streamed.join()?))
    })?;
    same("what a cursor gave, before and after", blocked, (5, 0))?;
    ensure!(streamed, "a stream of a closed log gives something");
    // One that begins now still reads what is there.
    same("what a new cursor gives", store.subscription(Query::all(), 2).count(), 3)?;
    same("what is read", store.read(..).count(), 5)?;
    let refused = store.append(nth(5));
    ensure!(matches!(refused, Err(AppendError::Closed)), "an append to a closed log: {refused:?}");
    store.close()?;
    closing_in_a_callback_loses_nothing(subject)
}

/// A callback closes the log while another append waits behind the one that it is called for: whatever is acknowledged,
/// cursors see before they end.
fn closing_in_a_callback_loses_nothing<S: Subject + ?Sized>(subject: &S) -> Check {
    // Its place must be there when it is closed.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    let patience = subject.patience();
    let (entered, is_in) = channel();
    let (let_go, may_go) = channel::<()>();
    let (inner, closed) = (store.clone(), Arc::new(parking_lot::Mutex::new(None)));
    let answer = Arc::clone(&closed);
    store.subscribe(move |event| {
        if event.offset == 0 {
            let _ = entered.send(());
            let _ = may_go.recv();
            *answer.lock() = Some(inner.close());
        }
    });
    let (first, second, seen) = thread::scope(|scope| {
        let first =
            spawn(scope, "an append whose callback closes", patience, || store.append(nth(0)));
        let called = is_in.recv_timeout(patience);
        // Handed in when this returns: it waits behind the first.
        let second = store.append_async(nth(1));
        let cursor = spawn(scope, "a cursor of a log that a callback closes", patience, || {
            store.subscription(Query::all(), 0).take_while(Result::is_ok).count() as u64
        });
        drop(let_go);
        ensure!(called.is_ok(), "the callback was not called");
        first.in_time()?;
        let second = wait_for(second, patience)?;
        cursor.in_time()?;
        Ok::<_, Broken>((first.join(), second, cursor.join()))
    })?;
    same("where the append whose callback closed went", first?, 0)?;
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

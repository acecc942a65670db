//! Durability: published events are durable, acknowledged events survive, damage is reported.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use annals::{Query, ReadError};

use super::tools::{EVER, FixtureOf, Seen, Store, all, nth, nths, open};
use crate::check::{Check, CheckError, Outcome, ensure, same};
use crate::fault::Loss;
use crate::{Random, Subject};

pub(super) fn published_is_durable<S: Subject + ?Sized>(subject: &S) -> Check {
    let held = held_events_are_not_visible(subject)?;
    let crashed = seen_events_survive(subject)?;
    Ok(if held || crashed {
        Outcome::Held
    } else {
        Outcome::Skipped("the fixture can neither hold a writer nor crash")
    })
}

fn held_events_are_not_visible<S: Subject + ?Sized>(subject: &S) -> Result<bool, CheckError> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..3))?;
    let seen = Seen::subscribed::<S>(&store);
    let Some(hold) = fixture.hold() else { return Ok(false) };
    let mut cursor = store.subscription(Query::all(), 3);
    thread::scope(|scope| {
        let writer = scope.spawn(|| store.append_batch(nths(3..5)));
        let reached = hold.wait(EVER);
        let visible = || -> Result<(), CheckError> {
            ensure!(reached, "an append did not reach the point where it was to be held");
            ensure!(!writer.is_finished(), "an append returned before it was durable");
            same("the head", store.len(), 3)?;
            ensure!(store.get(3)?.is_none(), "an event is readable before it is durable");
            same("the number of events read", store.read(..).count(), 3)?;
            same(
                "the number of events that a query finds",
                store.query(&Query::tag("number:3")).count(),
                0,
            )?;
            same("names", store.tags("number:3")?, Vec::new())?;
            same("the number of events", store.stats().events, 3)?;
            ensure!(cursor.try_next().is_none(), "a cursor returns an event before it is durable");
            same("the events that a callback saw", seen.offsets(), Vec::new())
        }();
        hold.release();
        let appended = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        visible?;
        same("the range of the batch", appended?, 3..5)?;
        same("the events that a callback saw then", seen.offsets(), vec![3, 4])
    })?;
    Ok(true)
}

fn seen_events_survive<S: Subject + ?Sized>(subject: &S) -> Result<bool, CheckError> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..3))?;
    let (crashing, seen) = (Arc::clone(&fixture), Arc::new(AtomicU64::new(0)));
    let note = Arc::clone(&seen);
    store.subscribe(move |event| {
        if event.offset == 5 && crashing.crash(Loss::Everything) {
            note.store(event.offset + 1, Ordering::SeqCst);
        }
    });
    // The append whose callback crashes may still succeed. Later ones fail.
    let _ = store.append_batch(nths(3..6));
    drop(store);
    let seen = seen.load(Ordering::SeqCst);
    if seen == 0 {
        return Ok(false);
    }
    let store = open::<S>(&fixture)?;
    ensure!(store.len() >= seen, "a callback saw offset {}, which is gone after a crash", seen - 1);
    Ok(true)
}

pub(super) fn recovery_keeps_every_acknowledged_event<S: Subject + ?Sized>(subject: &S) -> Check {
    if !subject.fixture().keeps() {
        return Ok(Outcome::Skipped("the backend keeps nothing"));
    }
    let fixture = subject.fixture();
    for session in 0..4 {
        let store = open::<S>(&fixture)?;
        has_exactly::<S>(&store, session * 50, "after it was dropped and opened again")?;
        for n in session * 50..(session + 1) * 50 {
            store.append(nth(n))?;
        }
    }
    for seed in 0..24 {
        let fixture = subject.fixture();
        let mut random = Random::new(seed);
        let mut count = 0;
        for _ in 0..3 {
            let loss = match seed % 4 {
                0 => Loss::Everything,
                1 => Loss::Nothing,
                2 => Loss::Sectors(random.number()),
                _ => Loss::Pages(random.number()),
            };
            let store = open::<S>(&fixture)?;
            has_exactly::<S>(&store, count, "after a crash")?;
            for _ in 0..4 + random.below(12) {
                let end = count + 1 + random.below(8);
                same("the range of a batch", store.append_batch(nths(count..end))?, count..end)?;
                count = end;
            }
            if !fixture.crash(loss) {
                return Ok(Outcome::Held);
            }
            drop(store);
        }
        has_exactly::<S>(&open::<S>(&fixture)?, count, "after a crash")?;
    }
    Ok(Outcome::Held)
}

/// Checks that a log has exactly the first `count` events, and that queries find them.
fn has_exactly<S: Subject + ?Sized>(
    store: &Store<S>,
    count: u64,
    when: &str,
) -> Result<(), CheckError> {
    let events = all::<S>(store)?;
    ensure!(
        events.len() as u64 == count,
        "{} events {when}, where {count} were acknowledged",
        events.len()
    );
    for (n, event) in (0..).zip(&events) {
        ensure!(
            event.offset == n && event.event == nth(n),
            "another event at {n} {when}: {event:?}"
        );
    }
    let sevens = store.query(&Query::tag("digit:7")).count();
    ensure!(
        sevens == (0..count).filter(|n| n % 10 == 7).count(),
        "a query finds {sevens} sevens of {count} {when}"
    );
    Ok(())
}

pub(super) fn corruption_is_reported_never_skipped<S: Subject + ?Sized>(subject: &S) -> Check {
    const COUNT: u64 = 120;
    for damaged in [0, 1, COUNT / 2, COUNT - 2] {
        let fixture = subject.fixture();
        if !fixture.keeps() {
            return Ok(Outcome::Skipped("the backend keeps nothing"));
        }
        let store = open::<S>(&fixture)?;
        for n in 0..COUNT {
            store.append(nth(n))?;
        }
        drop(store);
        if !fixture.damage(nth(damaged).payload()) {
            return Ok(Outcome::Skipped("the fixture cannot damage events"));
        }
        match fixture.open() {
            Err(error) => names_a_position(&*error)?,
            Ok(backend) => check_damage::<S>(&annals::EventStore::on(backend), damaged, COUNT)?,
        }
    }
    Ok(Outcome::Held)
}

/// Checks that the message of an error about damage contains a position.
fn names_a_position(error: &dyn Error) -> Result<(), CheckError> {
    let message = error.to_string();
    ensure!(
        message.contains(|character: char| character.is_ascii_digit()),
        "the error message has no position: {message}"
    );
    Ok(())
}

/// Checks that every way of reading reports the damage of one event.
fn check_damage<S: Subject + ?Sized>(
    store: &Store<S>,
    damaged: u64,
    count: u64,
) -> Result<(), CheckError> {
    same("the head", store.len(), count)?;
    for n in 0..count {
        match store.get(n) {
            Ok(Some(event)) => {
                ensure!(event.event == nth(n), "another event at {n}: {:?}", *event);
                ensure!(n != damaged, "the damaged event at {n} is read as if it were whole");
            }
            Ok(None) => {
                return Err(CheckError::new(format!("nothing at {n}, which was acknowledged")));
            }
            Err(error) => {
                ensure!(
                    matches!(error, ReadError::Corrupt(_) | ReadError::Io { .. }),
                    "damage is reported as {error:?}"
                );
                names_a_position(&error)?;
            }
        }
    }
    let mut expected = 0;
    let mut reported = false;
    for event in store.read(..) {
        match event {
            Ok(event) => {
                ensure!(
                    event.offset == expected,
                    "offset {} where {expected} should be: damage was skipped",
                    event.offset
                );
                ensure!(!reported, "reading continued behind damage");
                ensure!(event.event == nth(expected), "another event at {expected}");
                expected += 1;
            }
            Err(_) => reported = true,
        }
    }
    ensure!(
        reported && expected <= damaged,
        "all events were read, though the event at {damaged} is damaged"
    );
    let backwards: Vec<_> =
        store.read(..).rev().map(|event| event.map(|event| event.offset)).collect();
    let (last, before) =
        backwards.split_last().ok_or_else(|| CheckError::new("nothing is read from the end"))?;
    ensure!(last.is_err(), "read from the end, the damage at {damaged} is skipped");
    for (offset, event) in (0..count).rev().zip(before) {
        ensure!(
            matches!(event, Ok(found) if *found == offset),
            "read from the end: {event:?} where {offset} should be"
        );
    }
    check_cursor_at_damage::<S>(store, damaged)
}

/// Checks that a cursor stops at damage, and that it can be set back and stops there again.
fn check_cursor_at_damage<S: Subject + ?Sized>(
    store: &Store<S>,
    damaged: u64,
) -> Result<(), CheckError> {
    let mut cursor = store.subscription(Query::all(), damaged);
    for _ in 0..2 {
        let next = cursor.try_next().map(|event| event.map(|event| event.offset));
        ensure!(matches!(next, Some(Err(_))), "a cursor skips damage: {next:?}");
        let next = cursor.try_next().map(|event| event.map(|event| event.offset));
        ensure!(next.is_none(), "a cursor does not stop at damage: {next:?}");
        same(
            "whether the cursor is stopped, and its position",
            (cursor.is_stopped(), cursor.position()),
            (true, damaged),
        )?;
        cursor.seek(damaged);
    }
    Ok(())
}

pub(super) fn a_second_writer_is_refused<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture: FixtureOf<S> = subject.fixture();
    if !fixture.is_exclusive() {
        return Ok(Outcome::Skipped("every opened handle is a log of its own"));
    }
    let store = open::<S>(&fixture)?;
    store.append(nth(0))?;
    for _ in 0..3 {
        let error =
            fixture.open().err().ok_or_else(|| CheckError::new("a second writer opened it"))?;
        let message = error.to_string();
        ensure!(message.contains("open"), "the error of the second writer: {message}");
    }
    store.append(nth(1))?;
    drop(store);
    // Also after asynchronous appends, whose thread may be the last to release the log.
    for n in 2..40 {
        let store = open::<S>(&fixture)
            .map_err(CheckError::when("a log that no handle has open does not open"))?;
        let appended = super::tools::wait_for(store.append_async(nth(n)), subject.patience())?;
        same("the offset of an append", appended?, n)?;
    }
    Ok(Outcome::Held)
}

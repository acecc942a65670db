//! Waiting: readers do not wait for writers, and writers do not wait for readers.

use std::sync::mpsc::channel;
use std::thread;

use annals::Query;

use super::tools::{EVER, Store, fresh, nth, nths, open, spawn};
use crate::Subject;
use crate::check::{Check, CheckError, Outcome, ensure, same};

/// Reads a log in every way. Its first `count` events are known.
fn read_all_ways<S: Subject + ?Sized>(store: &Store<S>, count: u64) -> Result<(), CheckError> {
    let last = count - 1;
    ensure!(store.len() >= count, "the head is {}", store.len());
    same("an event", store.get(last)?.map(|event| event.event.clone()), Some(nth(last)))?;
    same("events", store.read(..count).count() as u64, count)?;
    same("events from the end", store.read(..count).rev().count() as u64, count)?;
    same(
        "the number of events that a query finds",
        store.query(&Query::tag(format!("number:{last}"))).count(),
        1,
    )?;
    same("names", store.tags(&format!("number:{last}"))?.len(), 1)?;
    ensure!(!store.types()?.is_empty(), "no types");
    ensure!(store.stats().events >= count, "the number of events is {}", store.stats().events);
    let mut cursor = store.subscription(Query::all(), last);
    same(
        "the next event of a cursor",
        cursor.next().transpose()?.map(|event| event.offset),
        Some(last),
    )
}

pub(super) fn readers_do_not_wait<S: Subject + ?Sized>(subject: &S) -> Check {
    let patience = subject.patience();
    // A writer that is stopped in a callback.
    let store = fresh(subject)?;
    store.append_batch(nths(0..20))?;
    let (entered, has_entered) = channel();
    let (let_go, may_go) = channel::<()>();
    store.subscribe(move |_| {
        let _ = entered.send(());
        let _ = may_go.recv();
    });
    thread::scope(|scope| {
        let writer = spawn(scope, "a writer", patience, || store.append(nth(20)));
        let is_in = has_entered.recv_timeout(EVER);
        let reader = spawn(scope, "a reader beside a writer in a callback", patience, || {
            read_all_ways::<S>(&store, 20)
        });
        let in_time = reader.in_time();
        let waited = writer.is_done();
        drop(let_go);
        ensure!(is_in.is_ok(), "the callback was not called");
        in_time?;
        ensure!(!waited, "an append returned before its callback did");
        reader.join()?;
        same("the offset of the event", writer.join()?, 20)
    })?;
    // A writer that is stopped in the middle of its commit.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..20))?;
    let Some(hold) = fixture.hold() else { return Ok(Outcome::Held) };
    thread::scope(|scope| {
        let writer = spawn(scope, "a writer", patience, || store.append(nth(20)));
        let reached = hold.wait(EVER);
        let reader = spawn(scope, "a reader beside a writer in a commit", patience, || {
            read_all_ways::<S>(&store, 20)
        });
        let in_time = reader.in_time();
        let waited = writer.is_done();
        hold.release();
        ensure!(reached, "an append did not reach the point where it was to be held");
        in_time?;
        ensure!(!waited, "an append returned although it was held");
        reader.join()?;
        same("the offset of the event", writer.join()?, 20)
    })?;
    Ok(Outcome::Held)
}

pub(super) fn writers_do_not_wait_for_readers<S: Subject + ?Sized>(subject: &S) -> Check {
    let patience = subject.patience();
    let store = fresh(subject)?;
    store.append_batch(nths(0..200))?;
    // Readers that have begun and then stop reading.
    let mut held = Vec::new();
    for n in 0..200 {
        held.push(store.get(n)?);
    }
    let mut reading = store.read(..);
    let mut backwards = store.read(..).rev();
    let sevens = Query::tag("digit:7");
    let mut querying = store.query(&sevens);
    let mut cursor = store.subscription(Query::all(), 0);
    let begun = (
        reading.next().is_some(),
        backwards.next().is_some(),
        querying.next().is_some(),
        cursor.next().is_some(),
    );
    same("whether the readers have begun", begun, (true, true, true, true))?;
    thread::scope(|scope| {
        let writer = spawn(
            scope,
            "a writer beside readers that hold events",
            patience,
            || -> Result<(), CheckError> {
                for n in 200..500 {
                    same("the offset of an event", store.append(nth(n))?, n)?;
                }
                same("the range of a batch", store.append_batch(nths(500..600))?, 500..600)
            },
        );
        let in_time = writer.in_time();
        // A writer that waits wrongly, for released events or for another read, can then end.
        drop(std::mem::take(&mut held));
        ensure!(store.len() >= 200, "the head is {}", store.len());
        in_time?;
        same(
            "the number of events that the readers had left",
            (reading.count(), backwards.count(), querying.count()),
            (199, 199, 19),
        )?;
        writer.join()
    })?;
    same("the head", store.len(), 600)?;
    Ok(Outcome::Held)
}

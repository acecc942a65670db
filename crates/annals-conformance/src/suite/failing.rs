//! Failing: what remains of an append that failed, and of a log that one failed on.

use annals::{AppendError, Batch, Condition, MAX_BATCH_EVENTS, Query};

use super::tools::{FixtureOf, Seen, Store, all, fresh, nth, nths, open, wait_for};
use crate::check::{Broken, Check, Outcome, ensure, same, says};
use crate::{Fault, Sample, Subject};

pub(super) fn a_failed_append_leaves_nothing<S: Subject + ?Sized>(subject: &S) -> Check {
    refused(subject)?;
    without_room(subject)?;
    for fault in [Fault::Write, Fault::Sync] {
        unwritten(subject, fault)?;
    }
    Ok(Outcome::Held)
}

/// Batches that must be refused, each with an event that would leave a trace.
fn refusals<S: Subject + ?Sized>(subject: &S) -> Vec<Batch<Sample>> {
    let trace = || Sample::new("trace").tag("trace:1").id("trace");
    let with = |events: Vec<Sample>| Batch::new(events);
    let mut all = vec![
        Batch { condition: Some(Condition::fail_if(Query::all())), ..with(vec![trace()]) },
        Batch { time_ms: Some(0), ..with(vec![trace()]) },
        with(vec![trace(), nth(1).tag("")]),
        with(vec![nth(1), trace(), trace()]),
        with(vec![trace(), nth(1).id("known")]),
        with(vec![trace(); MAX_BATCH_EVENTS + 1]),
    ];
    if subject.encodes() {
        all.push(with(vec![trace(), nth(1).without_encoding()]));
    }
    all
}

fn refused<S: Subject + ?Sized>(subject: &S) -> Result<(), Broken> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append(nth(0).id("known"))?;
    let seen = Seen::subscribed::<S>(&store);
    let mut next = 1;
    for (case, batch) in refusals(subject).into_iter().enumerate() {
        let result = store.append_as(batch.clone());
        ensure!(result.is_err(), "refusal {case} went in: {result:?}");
        left_nothing::<S>(&store, next, &format!("refusal {case}"))?;
        let result = wait_for(store.append_batch_async(batch), subject.patience())?;
        ensure!(result.is_err(), "refusal {case} went in asynchronously: {result:?}");
        left_nothing::<S>(&store, next, &format!("asynchronous refusal {case}"))?;
        same("where the next went", store.append(nth(next))?, next)?;
        next += 1;
    }
    same("what a callback saw", seen.offsets(), (1..next).collect::<Vec<_>>())?;
    // The id that was refused is free.
    same(
        "where what had been refused went",
        store.append(Sample::new("trace").id("trace"))?,
        next,
    )?;
    if fixture.keeps() {
        drop(store);
        same("the head after opening again", open::<S>(&fixture)?.len(), next + 1)?;
    }
    Ok(())
}

/// That a log has `count` events and no trace of one that was refused.
fn left_nothing<S: Subject + ?Sized>(
    store: &Store<S>,
    count: u64,
    after: &str,
) -> Result<(), Broken> {
    ensure!(
        store.len() == count,
        "the head is {} after {after}, and should be {count}",
        store.len()
    );
    let events = all::<S>(store)?;
    ensure!(events.len() as u64 == count, "{} events are read after {after}", events.len());
    ensure!(store.get(count)?.is_none(), "something is at the head after {after}");
    let found = store.query(&Query::tag("trace:1")).count()
        + store.query(&Query::event_type("trace")).count();
    ensure!(found == 0, "a query finds what was refused, after {after}");
    ensure!(store.tags("trace")?.is_empty(), "there is a name of what was refused, after {after}");
    let mut cursor = store.subscription(Query::all(), count);
    ensure!(cursor.try_next().is_none(), "a cursor gives something after {after}");
    Ok(())
}

/// A full disk: the append fails, and once there is room appends work again, also after the log was opened again.
fn without_room<S: Subject + ?Sized>(subject: &S) -> Result<(), Broken> {
    let fixture = subject.fixture();
    let mut store = open::<S>(&fixture)?;
    store.append_batch(nths(0..5))?;
    if !fixture.fail(Fault::Full) {
        return Ok(());
    }
    let mut count = 5;
    for reopen in [false, true] {
        let trace = || Sample::new("trace").tag("trace:1").data(vec![7; 3000]);
        // There may be some room that was made ready; not for ever.
        let error = loop {
            match store.append(nth(count).data(vec![1; 100])) {
                Ok(offset) => count = offset + 1,
                Err(error) => break error,
            }
            ensure!(count < 100_000, "appends go on for ever on a full disk");
        };
        ensure!(matches!(error, AppendError::NoRoom { .. }), "a full disk is told as {error:?}");
        says(&error, &["no room", "append again"])?;
        ensure!(
            store.append(trace()).is_err(),
            "a large event found room where a small one did not"
        );
        left_nothing::<S>(&store, count, "an append without room")?;
        if reopen && fixture.keeps() {
            drop(store);
            store = open::<S>(&fixture)
                .map_err(|error| Broken::new(format!("on a full disk: {error:?}")))?;
            left_nothing::<S>(&store, count, "opening again without room")?;
        }
        fixture.heal();
        same("where the next went once there was room", store.append(nth(count))?, count)?;
        store.append_batch(nths(0..50))?;
        count += 51;
        ensure!(fixture.fail(Fault::Full), "a disk cannot be filled twice");
    }
    fixture.heal();
    same("the head", store.len(), count)
}

/// A write or sync that fails: nothing of it is there, and nothing is found of it when the log is opened again.
fn unwritten<S: Subject + ?Sized>(subject: &S, fault: Fault) -> Result<(), Broken> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..5))?;
    let seen = Seen::subscribed::<S>(&store);
    if !fixture.fail(fault) {
        return Ok(());
    }
    let result = store.append_batch([Sample::new("trace").tag("trace:1"), Sample::new("trace")]);
    let Err(error) = result else {
        // Appends that are only buffered do not sync.
        ensure!(
            fault == Fault::Sync && store.sync().is_err(),
            "an append succeeded though a {fault:?} failed in it"
        );
        return Ok(());
    };
    ensure!(
        matches!(error, AppendError::Failed { .. }),
        "a {fault:?} that failed is told as {error:?}"
    );
    left_nothing::<S>(&store, 5, "a write or sync that failed")?;
    same("what a callback saw", seen.offsets(), Vec::new())?;
    drop(store);
    let store = open::<S>(&fixture)?;
    left_nothing::<S>(&store, 5, "a write or sync that failed, and opening again")?;
    same("where the next went", store.append(nth(5))?, 5)
}

pub(super) fn a_failed_sync_poisons<S: Subject + ?Sized>(subject: &S) -> Check {
    let mut tried = false;
    for fault in [Fault::Sync, Fault::Write] {
        let fixture = subject.fixture();
        let store = open::<S>(&fixture)?;
        store.append_batch(nths(0..5))?;
        if !fixture.fail(fault) {
            continue;
        }
        tried = true;
        let mut count = 5;
        let mut failed = store.append(nth(5)).err();
        if failed.is_none() {
            // Appends that are only buffered do not sync.
            count = 6;
            failed = store.sync().err();
        }
        let unsaid = || Broken::new(format!("a {fault:?} that failed is told to nobody"));
        let error = failed.ok_or_else(unsaid)?;
        ensure!(
            matches!(error, AppendError::Failed { .. }),
            "a {fault:?} that failed is told as {error:?}"
        );
        is_poisoned(subject, &fixture, &store, count)?;
        drop(store);
        let store = open::<S>(&fixture)?;
        same("the head after opening again", store.len(), count)?;
        same("where the next went", store.append(nth(count))?, count)?;
        store.sync()?;
    }
    Ok(if tried { Outcome::Held } else { Outcome::Skipped("nothing in it can be made to fail") })
}

fn is_poisoned<S: Subject + ?Sized>(
    subject: &S,
    fixture: &FixtureOf<S>,
    store: &Store<S>,
    count: u64,
) -> Result<(), Broken> {
    for round in 0..3 {
        let poisoned = |what: &str, result: Result<(), AppendError>| match result {
            Err(error @ AppendError::Poisoned { .. }) => says(&error, &["reopen"]),
            other => Err(Broken::new(format!(
                "round {round}: {what} after a write that failed: {other:?}"
            ))),
        };
        poisoned("an append", store.append(nth(9)).map(|_| ()))?;
        poisoned("a batch", store.append_batch(nths(0..3)).map(|_| ()))?;
        poisoned("an empty batch", store.append_batch([]).map(|_| ()))?;
        poisoned(
            "a condition",
            store.append_if([nth(9)], &Condition::fail_if(Query::tag("never"))).map(|_| ()),
        )?;
        let awaited = wait_for(store.append_async(nth(9)), subject.patience())?;
        poisoned("an asynchronous append", awaited.map(|_| ()))?;
        poisoned("a sync", store.sync())?;
        fixture.heal();
    }
    // Reads go on.
    same("the head", store.len(), count)?;
    same("what is read", all::<S>(store)?.len() as u64, count)?;
    same("what a query finds", store.query(&Query::tag("number:3")).count(), 1)?;
    same(
        "where a cursor starts",
        store.subscription(Query::all(), 2).next().transpose()?.map(|event| event.offset),
        Some(2),
    )?;
    let another = fresh(subject)?;
    same("where an event of another log went", another.append(nth(0))?, 0)
}

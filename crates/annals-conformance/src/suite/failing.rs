//! Failed appends: nothing of them remains, and the log is poisoned if a write or sync failed.

use annals::{AppendError, Batch, Condition, Health, MAX_BATCH_EVENTS, Query};

use super::tools::{FixtureOf, Seen, Store, all, fresh, nth, nths, open, wait_for};
use crate::check::{Check, CheckError, Outcome, ensure, same, says};
use crate::{Fault, Sample, Subject};

pub(super) fn a_failed_append_leaves_nothing<S: Subject + ?Sized>(subject: &S) -> Check {
    refused(subject)?;
    without_room(subject)?;
    for fault in [Fault::Write, Fault::Sync] {
        unwritten(subject, fault)?;
    }
    Ok(Outcome::Held)
}

/// Returns batches that must be refused, each with an event that would leave a trace.
fn refusals<S: Subject + ?Sized>(subject: &S) -> Vec<Batch<Sample>> {
    let trace = || Sample::new("trace").tag("trace:1").id("trace");
    let with = |events: Vec<Sample>| Batch::new(events);
    let mut all = vec![
        with(vec![trace()]).condition(Condition::fail_if(Query::all())),
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

fn refused<S: Subject + ?Sized>(subject: &S) -> Result<(), CheckError> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append(nth(0).id("known"))?;
    let seen = Seen::subscribed::<S>(&store);
    let mut next = 1;
    for (case, batch) in refusals(subject).into_iter().enumerate() {
        let result = store.append_as(batch.clone());
        ensure!(result.is_err(), "refusal {case} was appended: {result:?}");
        left_nothing::<S>(&store, next, &format!("refusal {case}"))?;
        let result = wait_for(store.append_as_async(batch), subject.patience())?;
        ensure!(result.is_err(), "refusal {case} was appended asynchronously: {result:?}");
        left_nothing::<S>(&store, next, &format!("asynchronous refusal {case}"))?;
        same("the offset of the next append", store.append(nth(next))?, next)?;
        next += 1;
    }
    same("the events that a callback saw", seen.offsets(), (1..next).collect::<Vec<_>>())?;
    // The refused id is free.
    same(
        "the offset of the event that was refused before",
        store.append(Sample::new("trace").id("trace"))?,
        next,
    )?;
    if fixture.keeps() {
        drop(store);
        same("the head after opening again", open::<S>(&fixture)?.len(), next + 1)?;
    }
    Ok(())
}

/// Checks that a log has `count` events, and no trace of a refused one.
fn left_nothing<S: Subject + ?Sized>(
    store: &Store<S>,
    count: u64,
    after: &str,
) -> Result<(), CheckError> {
    ensure!(
        store.len() == count,
        "the head is {} after {after}, and should be {count}",
        store.len()
    );
    let events = all::<S>(store)?;
    ensure!(events.len() as u64 == count, "{} events are read after {after}", events.len());
    ensure!(store.get(count)?.is_none(), "an event is at the head after {after}");
    let found = store.query(&Query::tag("trace:1")).count()
        + store.query(&Query::event_type("trace")).count();
    ensure!(found == 0, "a query finds a refused event after {after}");
    ensure!(store.tags("trace")?.is_empty(), "a name of a refused event is left after {after}");
    let mut cursor = store.subscription(Query::all(), count);
    ensure!(cursor.try_next().is_none(), "a cursor returns an event after {after}");
    Ok(())
}

/// Checks a full disk: the append fails, and appends succeed once there is space, also after the log was opened again.
fn without_room<S: Subject + ?Sized>(subject: &S) -> Result<(), CheckError> {
    let fixture = subject.fixture();
    let mut store = open::<S>(&fixture)?;
    store.append_batch(nths(0..5))?;
    if !fixture.fail(Fault::Full) {
        return Ok(());
    }
    let mut count = 5;
    for reopen in [false, true] {
        let trace = || Sample::new("trace").tag("trace:1").data(vec![7; 3000]);
        // Some appends may still fit into space that was allocated before.
        let error = loop {
            match store.append(nth(count).data(vec![1; 100])) {
                Ok(offset) => count = offset + 1,
                Err(error) => break error,
            }
            ensure!(count < 100_000, "appends never fail on a full disk");
        };
        ensure!(
            matches!(error, AppendError::NoRoom { .. }),
            "a full disk is reported as {error:?}"
        );
        says(&error, &["no room", "append again"])?;
        ensure!(
            store.append(trace()).is_err(),
            "a large event was appended where a small one did not fit"
        );
        left_nothing::<S>(&store, count, "an append on a full disk")?;
        if reopen && fixture.keeps() {
            drop(store);
            store = open::<S>(&fixture)
                .map_err(|error| CheckError::new(format!("on a full disk: {error:?}")))?;
            left_nothing::<S>(&store, count, "opening again on a full disk")?;
        }
        fixture.heal();
        same(
            "the offset of the next append once there is space",
            store.append(nth(count))?,
            count,
        )?;
        store.append_batch(nths(0..50))?;
        count += 51;
        ensure!(fixture.fail(Fault::Full), "a disk cannot be filled twice");
    }
    fixture.heal();
    same("the head", store.len(), count)
}

/// Checks a failed write or sync: nothing of the append is readable, also after the log is opened again.
fn unwritten<S: Subject + ?Sized>(subject: &S, fault: Fault) -> Result<(), CheckError> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..5))?;
    let seen = Seen::subscribed::<S>(&store);
    if !fixture.fail(fault) {
        return Ok(());
    }
    let result = store.append_batch([Sample::new("trace").tag("trace:1"), Sample::new("trace")]);
    let Err(error) = result else {
        // Buffered appends do not sync.
        ensure!(
            fault == Fault::Sync && store.sync().is_err(),
            "an append succeeded although a {fault:?} failed in it"
        );
        return Ok(());
    };
    ensure!(
        matches!(error, AppendError::Failed { .. }),
        "a failed {fault:?} is reported as {error:?}"
    );
    left_nothing::<S>(&store, 5, "a failed write or sync")?;
    same("the events that a callback saw", seen.offsets(), Vec::new())?;
    drop(store);
    let store = open::<S>(&fixture)?;
    left_nothing::<S>(&store, 5, "a failed write or sync, and opening again")?;
    same("the offset of the next append", store.append(nth(5))?, 5)
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
            // Buffered appends do not sync.
            count = 6;
            failed = store.sync().err();
        }
        let unreported = || CheckError::new(format!("a failed {fault:?} is not reported"));
        let error = failed.ok_or_else(unreported)?;
        ensure!(
            matches!(error, AppendError::Failed { .. }),
            "a failed {fault:?} is reported as {error:?}"
        );
        is_poisoned(subject, &fixture, &store, count)?;
        drop(store);
        let store = open::<S>(&fixture)?;
        same("the head after opening again", store.len(), count)?;
        same("the offset of the next append", store.append(nth(count))?, count)?;
        store.sync()?;
    }
    Ok(if tried {
        Outcome::Held
    } else {
        Outcome::Skipped("the fixture cannot fail a write or sync")
    })
}

fn is_poisoned<S: Subject + ?Sized>(
    subject: &S,
    fixture: &FixtureOf<S>,
    store: &Store<S>,
    count: u64,
) -> Result<(), CheckError> {
    for round in 0..3 {
        let poisoned = |what: &str, result: Result<(), AppendError>| match result {
            Err(error @ AppendError::Poisoned { .. }) => says(&error, &["reopen"]),
            other => Err(CheckError::new(format!(
                "round {round}: {what} after a failed write: {other:?}"
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
    // Reads continue.
    same("the head", store.len(), count)?;
    same("the number of events read", all::<S>(store)?.len() as u64, count)?;
    same(
        "the number of events that a query finds",
        store.query(&Query::tag("number:3")).count(),
        1,
    )?;
    same(
        "the first event of a cursor",
        store.subscription(Query::all(), 2).next().transpose()?.map(|event| event.offset),
        Some(2),
    )?;
    let another = fresh(subject)?;
    same("the offset of an append to another log", another.append(nth(0))?, 0)
}

pub(super) fn health_says_whether_appends_are_taken<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    is_in_health::<S>(&store, "a new log", |health| matches!(health, Health::Open))?;
    store.append(nth(0))?;
    let refused = store.append_if([nth(1)], &Condition::fail_if(Query::all()));
    ensure!(refused.is_err(), "a condition was not checked: {refused:?}");
    is_in_health::<S>(&store, "a refused append", |health| matches!(health, Health::Open))?;
    health_without_room(subject)?;
    for fault in [Fault::Sync, Fault::Write] {
        health_after_a_failure(subject, fault)?;
    }
    store.close()?;
    is_in_health::<S>(&store, "closing", |health| matches!(health, Health::Closed))?;
    Ok(Outcome::Held)
}

fn is_in_health<S: Subject + ?Sized>(
    store: &Store<S>,
    after: &str,
    is_right: impl Fn(&Health) -> bool,
) -> Result<(), CheckError> {
    let health = store.health();
    ensure!(is_right(&health), "the health after {after} is {health:?}");
    Ok(())
}

/// Checks that the health reports an append that found no room, until an append succeeds.
fn health_without_room<S: Subject + ?Sized>(subject: &S) -> Result<(), CheckError> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    if !fixture.fail(Fault::Full) {
        return Ok(());
    }
    let large = || Sample::new("large").data(vec![7; 1 << 20]);
    let refused = store.append(large());
    ensure!(
        matches!(refused, Err(AppendError::NoRoom { .. })),
        "a full disk is reported as {refused:?}"
    );
    let is_full = |health: &Health| matches!(health, Health::NoRoom { .. });
    is_in_health::<S>(&store, "an append without room", is_full)?;
    fixture.heal();
    is_in_health::<S>(&store, "room was made, without an append", is_full)?;
    store.append(large())?;
    is_in_health::<S>(&store, "an append that found room", |health| matches!(health, Health::Open))
}

/// Checks that the health reports a failed write or sync, with its cause, for as long as appends are refused.
fn health_after_a_failure<S: Subject + ?Sized>(
    subject: &S,
    fault: Fault,
) -> Result<(), CheckError> {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append(nth(0))?;
    if !fixture.fail(fault) {
        return Ok(());
    }
    // Buffered appends do not sync.
    let failed = store.append(nth(1)).map(|_| ()).and_then(|()| store.sync());
    ensure!(failed.is_err(), "a failed {fault:?} is not reported");
    fixture.heal();
    for _ in 0..2 {
        let cause = match store.append(nth(2)) {
            Err(AppendError::Poisoned { cause }) => cause,
            other => return Err(CheckError::new(format!("an append after {fault:?}: {other:?}"))),
        };
        is_in_health::<S>(
            &store,
            "a failed write or sync",
            |health| matches!(health, Health::Poisoned { cause: said } if *said == cause),
        )?;
    }
    drop(store);
    let store = open::<S>(&fixture)?;
    is_in_health::<S>(&store, "opening again", |health| matches!(health, Health::Open))
}

//! Appending: empty batches, all allowed events, and asynchronous appends.

use std::panic::resume_unwind;
use std::thread;

use annals::{
    MAX_DATA_BYTES, MAX_METADATA, MAX_METADATA_VALUE_BYTES, MAX_NAME_BYTES, MAX_TAGS, Query,
};

use super::tools::{EVER, Seen, Store, fresh, nth, nths, open, spawn, wait_for};
use crate::check::{Check, CheckError, Outcome, ensure, same};
use crate::{Sample, Subject};

pub(super) fn an_empty_batch_changes_nothing<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let seen = Seen::subscribed::<S>(&store);
    same("the range of an empty batch", store.append_batch([])?, 0..0)?;
    store.append_batch(nths(0..3))?;
    same("the range of an empty batch", store.append_batch([])?, 3..3)?;
    let nothing = wait_for(store.append_batch_async([]), subject.patience())??;
    same("the range of an empty asynchronous batch", nothing, 3..3)?;
    same("the head", store.len(), 3)?;
    same("the events that a callback saw", seen.offsets(), vec![0, 1, 2])?;
    Ok(Outcome::Held)
}

pub(super) fn an_append_arrives_whether_awaited_or_not<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let patience = subject.patience();
    for n in 0..20 {
        same("the offset of an append", wait_for(store.append_async(nth(n)), patience)??, n)?;
    }
    // Many appends at once. They are awaited in reverse order.
    let mut futures: Vec<_> = (20..120).map(|n| (n, store.append_async(nth(n)))).collect();
    while let Some((n, future)) = futures.pop() {
        same("the offset of an append", wait_for(future, patience)??, n)?;
    }
    for n in 120..140 {
        drop(store.append_async(nth(n)));
    }
    let mut cursor = store.subscription(Query::all(), 120);
    for n in 120..140 {
        let event = cursor.next_timeout(patience)?.event();
        let event = event.ok_or_else(|| {
            CheckError::new(format!("append {n}, whose future was dropped, is not in the log"))
        })?;
        same("the event that arrived", &event.event, &nth(n))?;
    }
    let refused = wait_for(store.append_batch_async([nth(140), nth(141).tag("")]), patience)?;
    ensure!(refused.is_err(), "an invalid event was appended");
    let mixed = store.append_async(nth(140));
    same(
        "the offset of a blocking append behind an asynchronous one",
        store.append(nth(141))?,
        141,
    )?;
    same("the offset of the append before it", wait_for(mixed, patience)??, 140)?;
    same("the head", store.len(), 142)?;
    asynchronous_appends_do_not_block(subject)
}

/// Checks that an asynchronous append is submitted while a commit is stopped.
fn asynchronous_appends_do_not_block<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    let patience = subject.patience();
    let Some(hold) = fixture.hold() else { return Ok(Outcome::Held) };
    thread::scope(|scope| {
        let writer = scope.spawn(|| store.append(nth(0)));
        let reached = hold.wait(EVER);
        let caller = spawn(scope, "a caller that must not block", patience, || {
            (1..5).map(|n| store.append_async(nth(n))).collect::<Vec<_>>()
        });
        let in_time = caller.in_time();
        hold.release();
        ensure!(reached, "an append did not reach the point where it was to be held");
        in_time?;
        for (n, future) in (1..).zip(caller.join()) {
            same("the offset of an append", wait_for(future, patience)??, n)?;
        }
        same(
            "the offset of the append before",
            writer.join().unwrap_or_else(|panic| resume_unwind(panic))?,
            0,
        )
    })?;
    Ok(Outcome::Held)
}

pub(super) fn events_come_back_as_they_were<S: Subject + ?Sized>(subject: &S) -> Check {
    let longest = "ß".repeat(MAX_NAME_BYTES / 2) + "x";
    let full = |mut event: Sample| {
        for n in 0..MAX_TAGS {
            event = event.tag(format!("{n:0>MAX_NAME_BYTES$}"));
        }
        for n in 0..MAX_METADATA {
            event = event.metadata(format!("{n:0>MAX_NAME_BYTES$}"), "v".repeat(n));
        }
        event
    };
    let events = vec![
        Sample::new("plain"),
        Sample::new(&longest)
            .tag(&longest)
            .id(&longest)
            .metadata(&longest, "x".repeat(MAX_METADATA_VALUE_BYTES)),
        full(Sample::new("full")),
        Sample::new("binary").data((0..=255).collect::<Vec<u8>>()),
        Sample::new("zeroes").data(vec![0; 5000]),
        Sample::new("like a frame").data(b"ANfr".repeat(100)),
        Sample::new("日本語 \u{202e} ©").tag("emoji:🦀").tag(" ").metadata("空", "").data("{}"),
        Sample::new("largest").data(vec![0xa5; MAX_DATA_BYTES]),
        Sample::new("last"),
    ];
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    for (n, event) in (0..).zip(&events) {
        same("the offset of an append", store.append(event.clone())?, n)?;
    }
    let check = |store: &Store<S>| -> Result<(), CheckError> {
        for (event, (n, expected)) in store.read(..).zip((0..).zip(&events)) {
            let event = event?;
            ensure!(
                event.offset == n && event.event == *expected,
                "event {n} is read with changes"
            );
        }
        for (n, tag) in [(1, &*longest), (6, "emoji:🦀"), (6, " ")] {
            let found: Vec<u64> = store
                .query(&Query::tag(tag))
                .map(|event| Ok(event?.offset))
                .collect::<Result<_, CheckError>>()?;
            same("the events with the tag", found, vec![n])?;
        }
        same(
            "the events with the longest type",
            store.query(&Query::event_type(&longest)).count(),
            1,
        )
    };
    check(&store)?;
    if fixture.keeps() {
        drop(store);
        check(&open::<S>(&fixture)?)?;
    }
    Ok(Outcome::Held)
}

//! The order of the log: offsets, batches, times.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use annals::{AppendError, Batch, Query, Recorded};
use parking_lot::Mutex;

use super::tools::{EVER, Store, fresh, nth, nths, offsets, open};
use crate::check::{Check, CheckError, Outcome, ensure, same, says};
use crate::fault::Loss;
use crate::{Random, Sample, Subject};

const THREADS: u64 = 4;

/// Returns event `index` of the `of` events of a batch. Its payload contains these numbers.
fn part(batch: u64, index: u64, of: u64) -> Sample {
    Sample::new("part").tag(format!("batch:{batch}")).data(format!("{batch} {index} {of}"))
}

fn batch(number: u64, of: u64) -> Vec<Sample> {
    (0..of).map(|index| part(number, index, of)).collect()
}

/// Checks that these events are whole batches. They start with the first event of a batch.
fn whole_batches(events: &[Recorded<Sample>]) -> Result<(), CheckError> {
    let mut expected: Option<(u64, u64, u64)> = None;
    for event in events {
        let text = String::from_utf8_lossy(event.event.payload()).into_owned();
        let mut numbers = text.split(' ').filter_map(|number| number.parse().ok());
        let (Some(batch), Some(index), Some(of)) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(CheckError::new(format!(
                "the event at {} belongs to no batch: {text}",
                event.offset
            )));
        };
        let (wanted, next, _) = expected.unwrap_or((batch, 0, of));
        ensure!(
            (batch, index) == (wanted, next),
            "at offset {} is event {index} of batch {batch}, and not event {next} of batch {wanted}",
            event.offset
        );
        expected = (index + 1 < of).then_some((batch, index + 1, of));
    }
    ensure!(expected.is_none(), "the last batch is not whole: {expected:?} is missing");
    Ok(())
}

/// Reads the log repeatedly until `stop` is set, and checks each time that it has whole batches at the offsets 0, 1,
/// 2, ….
fn read_on<S: Subject + ?Sized>(store: &Store<S>, stop: &AtomicBool) -> Result<(), CheckError> {
    loop {
        let last = stop.load(Ordering::SeqCst);
        let before = store.len();
        let events = super::tools::all::<S>(store)?;
        ensure!(
            events.len() as u64 >= before,
            "{} events where {before} were before",
            events.len()
        );
        for (expected, event) in (0..).zip(&events) {
            ensure!(event.offset == expected, "offset {} where {expected} should be", event.offset);
        }
        whole_batches(&events)?;
        if last {
            return Ok(());
        }
    }
}

pub(super) fn offsets_are_gapless<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    let given: Mutex<BTreeMap<u64, Sample>> = Mutex::default();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_on::<S>(&store, &stop));
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, given) = (&store, &given);
                scope.spawn(move || -> Result<(), CheckError> {
                    let mut random = Random::new(thread);
                    for n in 0..40 {
                        let events = batch(thread * 1000 + n, 1 + random.below(6));
                        let count = events.len() as u64;
                        let range = store.append_batch(events.clone())?;
                        same("the number of offsets of a batch", range.end - range.start, count)?;
                        ensure!(
                            store.len() >= range.end,
                            "the head is behind an acknowledged event"
                        );
                        for (offset, event) in range.zip(events) {
                            let twice = given.lock().insert(offset, event).is_some();
                            ensure!(!twice, "two events got offset {offset}");
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::SeqCst);
        for result in written.into_iter().chain([reader.join()]) {
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok::<(), CheckError>(())
    })?;
    let given = given.into_inner();
    same(
        "the offsets of all appends",
        given.keys().copied().collect::<Vec<_>>(),
        (0..store.len()).collect::<Vec<_>>(),
    )?;
    let check = |store: &Store<S>| -> Result<(), CheckError> {
        for (found, (offset, expected)) in store.read(..).zip(&given) {
            let found = found?;
            same("an offset", found.offset, *offset)?;
            same("the event at an offset", &found.event, expected)?;
            let got = store
                .get(*offset)?
                .ok_or_else(|| CheckError::new(format!("nothing at offset {offset}")))?;
            same(
                "the same event, read by its offset",
                (got.offset, &got.event),
                (*offset, expected),
            )?;
        }
        same("the number of events read", offsets::<S>(store)?.len(), given.len())
    };
    check(&store)?;
    if fixture.keeps() {
        drop(store);
        check(&open::<S>(&fixture)?)?;
    }
    Ok(Outcome::Held)
}

pub(super) fn batches_are_atomic<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    // A callback sees the first event of a batch only when the whole batch is in the log.
    let (torn, watched) = (std::sync::Arc::new(Mutex::new(None)), store.clone());
    let note = std::sync::Arc::clone(&torn);
    let callback = store.subscribe(move |event| {
        let text = String::from_utf8_lossy(event.event.payload()).into_owned();
        let numbers: Vec<u64> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        if let &[_, index, of] = &numbers[..]
            && watched.len() < event.offset - index + of
        {
            *note.lock() =
                Some(format!("event {text:?} is seen while the head is {}", watched.len()));
        }
    });
    let stop = AtomicBool::new(false);
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap_or(4));
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_on::<S>(&store, &stop));
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (store, barrier) = (&store, &barrier);
                scope.spawn(move || -> Result<(), CheckError> {
                    barrier.wait();
                    for n in 0..30 {
                        store.append_batch(batch(thread * 1000 + n, 2 + (n + thread) % 7))?;
                    }
                    Ok(())
                })
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::SeqCst);
        for result in written.into_iter().chain([reader.join()]) {
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok::<(), CheckError>(())
    })?;
    ensure!(store.unsubscribe(callback), "a callback was already removed");
    if let Some(message) = torn.lock().take() {
        return Err(CheckError::new(message));
    }
    // A batch with a refused event is refused as a whole.
    let (before, bad) = (store.len(), part(9, 1, 3).tag(""));
    let refused = store.append_batch([part(9, 0, 3), bad, part(9, 2, 3)]);
    ensure!(refused.is_err(), "a batch with an invalid event was appended");
    same("the head after it", store.len(), before)?;
    after_crashes(subject)
}

/// Checks that after a crash in the middle of an append, the log consists of whole batches.
fn after_crashes<S: Subject + ?Sized>(subject: &S) -> Check {
    for seed in 0..12 {
        let fixture = subject.fixture();
        let store = open::<S>(&fixture)?;
        store.append_batch(batch(0, 3))?;
        let Some(hold) = fixture.hold() else { return Ok(Outcome::Held) };
        let reached = thread::scope(|scope| {
            let writer = scope.spawn(|| store.append_batch(batch(1, 40)));
            let reached = hold.wait(EVER);
            let crashed = fixture.crash(Loss::Sectors(seed));
            hold.release();
            let _ = writer.join();
            reached && crashed
        });
        ensure!(
            reached,
            "a writer did not reach the point where it was to be held, or the fixture does not crash"
        );
        drop(store);
        let store = open::<S>(&fixture)?;
        let events = super::tools::all::<S>(&store)?;
        ensure!(events.len() == 3 || events.len() == 43, "{} events after a crash", events.len());
        whole_batches(&events)?;
    }
    Ok(Outcome::Held)
}

pub(super) fn ten_threads_append_a_thousand_events<S: Subject + ?Sized>(subject: &S) -> Check {
    let store = fresh(subject)?;
    let given: Mutex<Vec<u64>> = Mutex::default();
    let barrier = Barrier::new(10);
    let appended: Result<(), AppendError> = thread::scope(|scope| {
        let writers: Vec<_> = (0..10)
            .map(|thread| {
                let (store, given, barrier) = (&store, &given, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for n in 0..100 {
                        let offset =
                            store.append(nth(thread * 100 + n).tag(format!("thread:{thread}")))?;
                        given.lock().push(offset);
                    }
                    Ok(())
                })
            })
            .collect();
        writers.into_iter().try_for_each(|writer| {
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    });
    appended?;
    let mut given = given.into_inner();
    given.sort_unstable();
    same("the offsets of all threads together", &given, &(0..1000).collect::<Vec<_>>())?;
    same("the offsets that are read", offsets::<S>(&store)?, given)?;
    for thread in 0..10_u64 {
        // The events of each thread are in the order in which it appended them.
        let mut expected = thread * 100..(thread + 1) * 100;
        for event in store.query(&Query::tag(format!("thread:{thread}"))) {
            let wanted = expected.next().map(|n| nth(n).tag(format!("thread:{thread}")));
            same("a thread's next event", Some(&event?.event), wanted.as_ref())?;
        }
        same("the number of missing events of a thread", expected.count(), 0)?;
    }
    Ok(Outcome::Held)
}

pub(super) fn times_never_go_back<S: Subject + ?Sized>(subject: &S) -> Check {
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    let at = |time_ms| Batch { time_ms: Some(time_ms), ..Batch::new(nths(0..2)) };
    same("the range of the first append", store.append_as(at(1_000))?.offsets, 0..2)?;
    same("the range of an append with the same time", store.append_as(at(1_000))?.offsets, 2..4)?;
    store.append_as(at(5_000))?;
    let error =
        store.append_as(at(4_999)).err().ok_or_else(|| CheckError::new("a time went back"))?;
    ensure!(matches!(error, AppendError::TimeGoesBack { given: 4_999, last: 5_000 }), "{error:?}");
    says(&error, &["4999", "5000", "never go back"])?;
    let (now, future) = (store.append(nth(6))?, u64::MAX / 2);
    same("the offset of the next append", now, 6)?;
    let refused = store.append_as(at(future)).err();
    let refused = refused.ok_or_else(|| {
        CheckError::new("a time far in the future was accepted without permission")
    })?;
    ensure!(
        matches!(refused, AppendError::TimeInFuture { given, .. } if given == future),
        "{refused:?}"
    );
    says(&refused, &["milliseconds since 1970"])?;
    same("the head", store.len(), 7)?;
    store.append_as(at(future).allow_future_time())?;
    // The clock is behind that time. Recorded times stand still until the clock has caught up.
    store.append(nth(9))?;
    let check = |store: &Store<S>| -> Result<(), CheckError> {
        let times: Vec<u64> =
            super::tools::all::<S>(store)?.iter().map(|event| event.time_ms).collect();
        ensure!(times.is_sorted(), "times go back: {times:?}");
        same(
            "the times that were given",
            &times[..6],
            &[1_000, 1_000, 1_000, 1_000, 5_000, 5_000][..],
        )?;
        ensure!(times[6] > 1_600_000_000_000, "the time of the clock is {} ms", times[6]);
        same("the times after a future time", &times[7..], &[future, future, future][..])
    };
    check(&store)?;
    if fixture.keeps() {
        drop(store);
        let store = open::<S>(&fixture)?;
        check(&store)?;
        ensure!(store.append_as(at(future - 1)).is_err(), "a time went back after opening again");
        store.append(nth(10))?;
        let time = store.get(10)?.map(|event| event.time_ms);
        same("the time of the next after opening again", time, Some(future))?;
    }
    Ok(Outcome::Held)
}

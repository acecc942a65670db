//! Subscriptions and streams that own their store.

use std::future::poll_fn;
use std::pin::Pin;

use annals::{EventRef, Query};
use futures_core::Stream;

use super::tools::{EVER, Store, nth, nths, open, spawn, wait_for};
use crate::check::{Check, CheckError, Outcome, ensure, same};
use crate::{Sample, Subject};

pub(super) fn owned_subscriptions_need_no_handle<S: Subject + ?Sized>(subject: &S) -> Check {
    const COUNT: u64 = 200;
    // The fixture must outlive the log.
    let fixture = subject.fixture();
    let store = open::<S>(&fixture)?;
    store.append_batch(nths(0..COUNT))?;
    let mut cursor = store.clone().into_subscription(Query::all(), 0);
    let mut stream = store.clone().into_stream(Query::tag("digit:3"), 0);
    let held: Vec<EventRef<'static, Sample>> =
        cursor.by_ref().take(150).collect::<Result<_, _>>()?;
    let threes = std::thread::scope(|scope| {
        let reader = spawn(scope, "an owned stream", subject.patience(), || {
            let next = || wait_for(next_of::<S>(&mut stream), EVER);
            std::iter::repeat_with(next).take(20).collect::<Result<Vec<_>, _>>()
        });
        reader.in_time()?;
        reader.join()
    })?;
    same("the position of an owned cursor", cursor.position(), 150)?;
    // A read that waits is woken by an append, as with a borrowed stream.
    let writer: Store<S> = store.clone();
    let thread = std::thread::spawn(move || writer.append(nth(203)).map(|_| ()));
    let last = wait_for(next_of::<S>(&mut stream), subject.patience())?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    drop(store);
    // From here on only the cursor and the stream have the log.
    let rest: Vec<EventRef<'static, Sample>> =
        std::iter::from_fn(|| cursor.try_next()).collect::<Result<_, _>>()?;
    drop((cursor, stream));
    // And from here on only the events.
    let events = held.into_iter().chain(rest);
    let seen = std::thread::spawn(move || {
        events.map(|event| (event.offset, event.event.clone())).collect::<Vec<_>>()
    });
    let seen = seen.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let expected = (0..COUNT).map(|n| (n, nth(n))).chain([(COUNT, nth(203))]);
    ensure!(seen.iter().cloned().eq(expected), "events of an owned cursor changed or are missing");
    let threes: Vec<u64> = threes.into_iter().chain([last]).collect::<Result<_, _>>()?;
    same("what an owned stream returned", threes, (3..COUNT).step_by(10).chain([COUNT]).collect())?;
    Ok(Outcome::Held)
}

/// Returns the offset of the next event of a stream.
async fn next_of<S: Subject + ?Sized>(
    stream: &mut annals::EventStream<'static, Sample, S::Backend>,
) -> Result<u64, CheckError> {
    let next = poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await;
    Ok(next.ok_or_else(|| CheckError::new("an owned stream ended"))??.offset)
}

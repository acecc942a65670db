//! What subscribers cost who appends, in memory, and how fast cursors follow; none loses or repeats an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use annals::{EventRef, EventStore, Query, RawEvent, ReadError};
use futures_executor::block_on;
use futures_util::StreamExt as _;

use crate::event::events;
use crate::report::Report;
use crate::table::{Figures, Row};

/// Nanoseconds an append with so many callbacks.
fn callbacks(events: &[RawEvent], subscribers: usize) -> f64 {
    let store = EventStore::in_memory();
    let seen = Arc::new(AtomicU64::new(0));
    for _ in 0..subscribers {
        let (seen, mut next) = (Arc::clone(&seen), 0);
        store.subscribe(move |event| {
            assert_eq!(event.offset, next, "each once, in order");
            next += 1;
            seen.fetch_add(1, Ordering::Relaxed);
        });
    }
    let events = events.to_vec();
    let count = events.len();
    let start = Instant::now();
    for event in events {
        store.append(event).expect("appends");
    }
    let took = start.elapsed().as_nanos() as f64 / count as f64;
    assert_eq!(seen.load(Ordering::Relaxed), (count * subscribers) as u64, "none is lost");
    took
}

/// Events a second that so many cursors get together, each on a thread of its own.
fn cursors(events: &[RawEvent], cursors: usize) -> f64 {
    let store = EventStore::in_memory();
    let start = Instant::now();
    let got: u64 = std::thread::scope(|scope| {
        let follow = || {
            let mut next = 0;
            for event in store.subscription(Query::all(), 0) {
                assert_eq!(event.expect("reads").offset, next, "each once, in order");
                next += 1;
            }
            next
        };
        let threads: Vec<_> = (0..cursors).map(|_| scope.spawn(follow)).collect();
        for event in events {
            store.append(event.clone()).expect("appends");
        }
        store.close().expect("closes");
        threads.into_iter().map(|thread| thread.join().expect("nobody panicked")).sum()
    });
    assert_eq!(got, (events.len() * cursors) as u64, "none is lost");
    got as f64 / start.elapsed().as_secs_f64()
}

/// Nanoseconds an event that is read from a log in memory: by a subscription that borrows the store, and by a
/// subscription and a stream that own it.
fn reading(events: &[RawEvent]) -> [f64; 3] {
    let store = EventStore::in_memory();
    store.append_batch(events.iter().take(60_000).cloned()).expect("appends");
    let tag = Query::event_type(events[0].event_type());
    let count = store.len();
    let sum = count * (count - 1) / 2;
    let taken = count as usize;
    let borrowed = store.subscription(tag.clone(), 0).take(taken);
    let owned = store.clone().into_subscription(tag.clone(), 0).take(taken);
    let stream = store.clone().into_stream(tag, 0).take(taken);
    let start = Instant::now();
    assert_eq!(borrowed.map(|event| event.expect("reads").offset).sum::<u64>(), sum, "each once");
    let of_borrowed = start.elapsed();
    assert_eq!(owned.map(|event| event.expect("reads").offset).sum::<u64>(), sum, "each once");
    let of_owned = start.elapsed() - of_borrowed;
    let add = |sum, event: Result<EventRef<'_, RawEvent>, ReadError>| {
        std::future::ready(sum + event.expect("reads").offset)
    };
    assert_eq!(block_on(stream.fold(0, add)), sum, "each once");
    let of_stream = start.elapsed() - of_borrowed - of_owned;
    [of_borrowed, of_owned, of_stream].map(|took| took.as_nanos() as f64 / count as f64)
}

pub fn run(rounds: usize, count: u64, report: &mut Report) {
    let events = events(count);
    let mut figures = vec![Figures::default(); 10];
    for _ in 0..rounds {
        for (at, subscribers) in [0, 1, 10, 100].into_iter().enumerate() {
            figures[at].0.push(callbacks(&events, subscribers));
        }
        for (at, followers) in [1, 10, 100].into_iter().enumerate() {
            let some = &events[..events.len().min(2_000_000 / followers)];
            figures[4 + at].0.push(cursors(some, followers));
        }
        for (figures, took) in figures[7..].iter_mut().zip(reading(&events)) {
            figures.0.push(took);
        }
    }
    let row = |what: &str, figures: &[Figures]| Row {
        what: what.to_owned(),
        figures: figures.iter().cloned().map(Some).collect(),
    };
    let title =
        format!("Callbacks, {count} events in memory, median (least–most) of {rounds} rounds");
    let names = ["none", "1 callback", "10 callbacks", "100 callbacks"];
    report.ratios(&title, &names, &[row("append, ns", &figures[..4])]);
    let title = "Cursors that follow a writer in memory, each in a thread of its own";
    let names = ["1 cursor", "10 cursors", "100 cursors"];
    report.ratios(title, &names, &[row("delivered to all, events/s", &figures[4..7])]);
    let title = "Reading a log in memory to its head, by a type that every event has";
    let names = ["borrowed subscription", "owned subscription", "owned stream"];
    report.ratios(title, &names, &[row("an event, ns", &figures[7..])]);
}

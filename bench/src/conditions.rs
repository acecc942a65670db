//! Appends with conditions, in memory and in the Journal: nothing in the way, all refused, and writers that race.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::{AppendError, Backend, Batch, Condition, EventStore, Query, RawEvent};

use crate::event::events;
use crate::report::Report;
use crate::table::Figures;

const MEASURED: [&str; 10] = [
    "no condition, 1 writer, events/s",
    "a condition that holds, 1 writer, events/s",
    "three conditions that hold, 1 writer, events/s",
    "a condition that fails, 1 writer, refusals/s",
    "no condition, 16 writers, events/s",
    "a condition that holds, 16 writers, events/s",
    "three conditions that hold, 16 writers, events/s",
    "a condition that fails, 16 writers, refusals/s",
    "16 writers race for one tag: appended, events/s",
    "16 writers race for one tag: refusals an append",
];

const PATIENCE: Duration = Duration::from_secs(1);

/// What one attempt came to.
enum Outcome {
    Appended,
    Refused,
}

fn attempt<B: Backend<RawEvent>>(
    store: &EventStore<RawEvent, B>,
    event: &RawEvent,
    conditions: &[Condition],
) -> Outcome {
    let batch = Batch::new(vec![event.clone()]).conditions(conditions.iter().cloned());
    match store.append_as(batch) {
        Ok(_) => Outcome::Appended,
        Err(AppendError::Conflict { .. }) => Outcome::Refused,
        Err(error) => panic!("{error}"),
    }
}

/// So many writers try, until there is no time left: those that appended and those that were refused, a second.
fn race(writers: usize, calls: u64, work: impl Fn(u64) -> Outcome + Sync) -> (f64, f64, u64) {
    let start = Instant::now();
    let work = &work;
    let outcomes: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let write = move |writer: u64| {
            let (mut appended, mut refused) = (0, 0);
            for n in 0..calls / writers as u64 {
                if start.elapsed() > PATIENCE {
                    break;
                }
                match work(n * writers as u64 + writer) {
                    Outcome::Appended => appended += 1,
                    Outcome::Refused => refused += 1,
                }
            }
            (appended, refused)
        };
        let threads: Vec<_> = (0..writers as u64).map(|n| scope.spawn(move || write(n))).collect();
        threads.into_iter().map(|thread| thread.join().expect("nobody panicked")).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let appended: u64 = outcomes.iter().map(|(appended, _)| appended).sum();
    let refused: u64 = outcomes.iter().map(|(_, refused)| refused).sum();
    (appended as f64 / seconds, refused as f64 / seconds, appended)
}

fn measure<B: Backend<RawEvent>>(
    store: &EventStore<RawEvent, B>,
    events: &[RawEvent],
    figures: &mut [Figures],
) {
    let count = events.len() as u64;
    let event = |n: u64| &events[(n % count) as usize];
    let query = |n: u64| Query::tag(event(n).tags().next().expect("a tag"));
    let mut expected = store.len();
    for (at, writers) in [(0, 1), (4, 16)] {
        let plain = race(writers, count, |n| {
            store.append(event(n).clone()).expect("appends");
            Outcome::Appended
        });
        // Nobody else appends to a tag that no event has.
        let holds = ["nobody:has-this", "nobody:has-that", "nobody:has-either"]
            .map(|tag| Condition::fail_if(Query::tag(tag)));
        let free = race(writers, count, |n| attempt(store, event(n), &holds[..1]));
        let three = race(writers, count, |n| attempt(store, event(n), &holds));
        assert!(free.1 == 0.0 && three.1 == 0.0, "nothing is in the way");
        let refused =
            race(writers, count, |n| attempt(store, event(n), &[Condition::fail_if(query(0))]));
        assert_eq!(refused.2, 0, "each is refused");
        expected += plain.2 + free.2 + three.2;
        assert_eq!(store.len(), expected, "all are there, and no more");
        for (figures, figure) in figures[at..].iter_mut().zip([plain.0, free.0, three.0, refused.1])
        {
            figures.0.push(figure);
        }
    }
    let raced = race(16, count, |_| {
        let unseen = Condition::fail_if(query(0)).after(store.len());
        attempt(store, event(0), &[unseen])
    });
    assert_eq!(store.len(), expected + raced.2, "who was refused left nothing");
    figures[8].0.push(raced.0);
    figures[9].0.push(raced.1 / raced.0);
}

pub fn run(rounds: usize, count: u64, directory: &Path, report: &mut Report) {
    let events = events(count.min(100_000));
    let mut figures = vec![vec![Figures::default(); MEASURED.len()]; 2];
    for _ in 0..rounds {
        measure(&EventStore::in_memory(), &events, &mut figures[0]);
        let place = tempfile::tempdir_in(directory).expect("a directory for temporary files");
        let journal = EventStore::<RawEvent>::open(place.path().join("log")).expect("it opens");
        measure(&journal, &events, &mut figures[1]);
    }
    let title = format!("Appends with conditions, median (least–most) of {rounds} rounds");
    report.candidates(&title, &["annals in memory", "annals Journal"], &MEASURED, &figures);
}

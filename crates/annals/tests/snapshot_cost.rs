//! What snapshots cost: little beside the fold, however long the log and however large the state.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::cell::Cell;

use annals::{EventStore, Projection, Query, Reconstructor, Recorded, SnapshotPolicy};
use common::{Booking, nth, sold};
use serde::{Deserialize, Serialize};

thread_local! {
    /// The sizes of all states that were cloned, together.
    static CLONED: Cell<u64> = const { Cell::new(0) };
    static FOLDED: Cell<u64> = const { Cell::new(0) };
}

/// A state that stands for one as large as the number of events in it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Grown(u64);

impl Clone for Grown {
    fn clone(&self) -> Self {
        CLONED.set(CLONED.get() + self.0);
        Self(self.0)
    }
}

struct Grow(Query);

impl Projection for Grow {
    type Event = Booking;
    type State = Grown;

    fn initial(&self) -> Grown {
        Grown(0)
    }

    fn query(&self) -> Query {
        self.0.clone()
    }

    fn apply(&self, state: &mut Grown, _: &Recorded<Booking>) {
        FOLDED.set(FOLDED.get() + 1);
        state.0 += 1;
    }
}

fn log(events: impl IntoIterator<Item = Booking>) -> EventStore<Booking> {
    let store = EventStore::in_memory();
    let events: Vec<_> = events.into_iter().collect();
    for batch in events.chunks(50_000) {
        store.append_batch(batch.to_vec()).unwrap();
    }
    store
}

/// Folds to the end; answers how many events were folded for that, and the sizes of the states that were cloned.
fn now(source: &mut Reconstructor<Grow>) -> (u64, u64) {
    FOLDED.set(0);
    CLONED.set(0);
    source.now().unwrap();
    (FOLDED.get(), CLONED.get())
}

fn heads(source: &Reconstructor<Grow>) -> Vec<u64> {
    source.verify_snapshots().unwrap().iter().map(|check| check.head).collect()
}

#[test]
fn a_long_fold_clones_few_states() {
    const EVENTS: u64 = 60_000;
    let store = log((0..EVENTS).map(nth));
    let policy = SnapshotPolicy::every(100).keep(3);
    for query in [Query::all(), Query::event_type("seat-sold")] {
        let mut source = store.reconstruct(Grow(query)).snapshots(policy);
        let (folded, cloned) = now(&mut source);
        assert!(folded >= EVENTS * 3 / 4);
        // The three that are kept, and four on the way.
        assert!(cloned <= 8 * folded, "{cloned} for {folded} events");
        assert_eq!(heads(&source).len(), 3);
    }
}

#[test]
fn a_projection_that_reads_few_events_begins_near_the_last_of_them() {
    // Its last event is far from the end, and nothing told beforehand that it would be the last.
    for rest in [0, 500_000] {
        let rare = (0..100_000).map(|n| if n % 10 == 0 { sold(1, n) } else { sold(2, n) });
        let store = log(rare.chain((0..rest).map(|n| sold(3, n))));
        let policy = SnapshotPolicy::every(100).keep(5);
        let anew = || store.reconstruct(Grow(Query::tag("seat:1"))).snapshots(policy);
        let mut source = anew();
        let (folded, cloned) = now(&mut source);
        assert_eq!(folded, 10_000);
        assert!(cloned <= 10 * folded, "{cloned}");
        assert_eq!(heads(&source).len(), 5);
        let (folded, _) = now(&mut anew());
        assert!(folded < 100, "{folded}");
        // As events come, so do snapshots.
        for n in 0..250 {
            store.append(sold(1, n)).unwrap();
            source.now().unwrap();
        }
        assert_eq!(heads(&source).len(), 5);
        let (folded, _) = now(&mut anew());
        assert!(folded < 100, "{folded}");
    }
}

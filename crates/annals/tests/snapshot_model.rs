//! Snapshots against a model: with any snapshots, even lost or damaged ones, the state is that of a plain fold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use annals::{
    Backend, Durability, EventStore, Journal, SnapshotPolicy, SnapshotStore, SnapshotVerdict,
};
use common::{Booking, SALES, model};
use proptest::prelude::*;
use proptest::sample::Index;

/// A snapshot store that loses or damages snapshots when they are loaded, in a given sequence.
#[derive(Debug)]
struct Harmful {
    inner: Arc<dyn SnapshotStore>,
    harm: Mutex<Vec<Option<(Index, u8)>>>,
}

impl SnapshotStore for Harmful {
    fn save(&self, series: &str, head: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.save(series, head, bytes)
    }

    fn load(&self, series: &str, head: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.inner.load(series, head)?;
        match self.harm.lock().unwrap().pop().flatten() {
            Some((_, 0)) => return Err(io::ErrorKind::NotFound.into()),
            Some((at, flip)) => {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
            None => {}
        }
        Ok(bytes)
    }

    fn heads(&self, series: &str) -> io::Result<Vec<u64>> {
        self.inner.heads(series)
    }

    fn remove(&self, series: &str, head: u64) -> io::Result<()> {
        self.inner.remove(series, head)
    }
}

/// The actions of a test.
#[derive(Debug, Clone)]
struct Plan {
    events: Vec<Booking>,
    /// The events after which the test reads the state.
    asked: Vec<Index>,
    policy: SnapshotPolicy,
    keep: usize,
    harm: Vec<Option<(Index, u8)>>,
    /// The offsets to which the test travels.
    then: Vec<Index>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let event = (0_u32..6, prop::option::of(any::<u64>()))
        .prop_map(|(seat, price)| price.map_or(common::freed(seat), |it| common::sold(seat, it)));
    let events = prop::collection::vec(event, 1..120);
    let harm = prop::collection::vec(prop::option::of((any::<Index>(), any::<u8>())), 0..12);
    let indexes = || prop::collection::vec(any::<Index>(), 0..6);
    (events, indexes(), 1_u64..40, 1_usize..5, harm, indexes()).prop_map(
        |(events, asked, every, keep, harm, then)| {
            let policy = SnapshotPolicy::every(every).keep(keep);
            Plan { events, asked, policy, keep, harm, then }
        },
    )
}

fn check<B: Backend<Booking>>(store: &EventStore<Booking, B>, plan: &Plan) {
    let events = &plan.events;
    let asked: Vec<usize> = plan.asked.iter().map(|at| at.index(events.len())).collect();
    let mut running = store.reconstruct(SALES).snapshots(plan.policy);
    for (at, event) in events.iter().enumerate() {
        store.append(event.clone()).unwrap();
        if asked.contains(&at) {
            assert_eq!(running.now().unwrap(), &model(&events[..=at]));
        }
    }
    assert_eq!(running.now().unwrap(), &model(events));
    let checks = running.verify_snapshots().unwrap();
    assert!(checks.len() <= plan.keep);
    for check in checks {
        assert!(matches!(check.verdict, SnapshotVerdict::Good { .. }), "{check:?}");
    }

    let inner = store.backend().snapshots().unwrap();
    let place = Arc::new(Harmful { inner, harm: Mutex::new(plan.harm.clone()) });
    let anew = || store.reconstruct(SALES).snapshots_in(place.clone(), plan.policy);
    for then in &plan.then {
        let then = then.index(events.len());
        assert_eq!(anew().at(then as u64).unwrap(), model(&events[..=then]));
        assert_eq!(running.at(then as u64).unwrap(), model(&events[..=then]));
    }
    assert_eq!(anew().now().unwrap(), &model(events));
}

proptest! {
    #[test]
    fn with_any_snapshots_the_state_is_that_of_a_plain_fold_in_memory(plan in plan()) {
        check(&EventStore::in_memory(), &plan);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn with_any_snapshots_the_state_is_that_of_a_plain_fold_in_files(plan in plan()) {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::options().durability(Durability::Buffered);
        check(&EventStore::on(journal.open(directory.path().join("log.store")).unwrap()), &plan);
    }
}

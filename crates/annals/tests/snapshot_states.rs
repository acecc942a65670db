//! A snapshot stores only states that JSON preserves. For other states it logs a warning and stores nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;

use annals::{
    Event, EventStore, Projection, Query, Recorded, Rejection, SnapshotPolicy, SnapshotVerdict,
};
use common::{Booking, logged, nth};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A projection that folds the offsets into a state of any type.
struct Into<S>(S, fn(&mut S, u64));

impl<S: Clone> Projection for Into<S> {
    type Event = Booking;
    type State = S;

    fn initial(&self) -> S {
        self.0.clone()
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, state: &mut S, event: &Recorded<Booking>) {
        self.1(state, event.offset);
    }
}

/// Folds 20 events with a snapshot after every fifth, and then again from the last snapshot. Returns the number of
/// snapshots, and asserts that no snapshot differs from the fold.
fn kept<S>(initial: &S, apply: fn(&mut S, u64)) -> usize
where
    S: Clone + Debug + Serialize + DeserializeOwned,
{
    let store = EventStore::in_memory();
    store.append_batch((0..20).map(nth)).unwrap();
    let source =
        || store.reconstruct(Into(initial.clone(), apply)).snapshots(SnapshotPolicy::every(5));
    let plain = store.reconstruct(Into(initial.clone(), apply)).at(u64::MAX).unwrap();
    source().now().unwrap();
    let text = |state: &S| {
        // The Debug output of maps and sets has no fixed order.
        let mut letters: Vec<char> = format!("{state:?}").chars().collect();
        letters.sort_unstable();
        letters
    };
    assert_eq!(text(source().now().unwrap()), text(&plain));
    let checks = source().verify_snapshots().unwrap();
    for check in &checks {
        assert!(matches!(check.verdict, SnapshotVerdict::Good { .. }), "{check:?}");
    }
    checks.len()
}

/// Folds states that cannot be stored, and returns the warnings.
fn refused<S>(initial: &S, apply: fn(&mut S, u64)) -> String
where
    S: Clone + Debug + Serialize + DeserializeOwned,
{
    let log = logged(|| assert_eq!(kept(initial, apply), 0));
    assert!(log.contains("a snapshot was not stored"), "{log}");
    log
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    #[default]
    Nothing,
    Unsigned(u64),
    Signed(i64),
}

#[test]
fn a_state_that_json_changes_is_not_stored() {
    let changed = [
        refused(&BTreeMap::new(), |map: &mut BTreeMap<u64, Option<Option<u64>>>, n| {
            map.insert(n, Some(None));
        }),
        refused(&None, |state, _| *state = Some(f64::INFINITY)),
        refused(&None, |state, _| *state = Some(f64::NAN)),
        refused(&Either::Nothing, |state, n| *state = Either::Signed(n.cast_signed())),
    ];
    for log in changed {
        assert!(log.contains("is read back from its JSON as a different state"), "{log}");
        assert!(log.contains("docs/PROJECTIONS.md"), "{log}");
    }
}

#[test]
fn a_state_that_json_preserves_is_stored() {
    assert_eq!(kept(&Either::Nothing, |state, n| *state = Either::Unsigned(n)), 4);
    assert_eq!(kept(&0.1_f64, |state, _| *state = state.sin().exp()), 4);
    assert_eq!(kept(&Some(Some(1)), |state, n| *state = Some(Some(n))), 4);
    let map = |map: &mut HashMap<u64, Vec<u64>>, n| map.entry(n % 7).or_default().push(n);
    assert_eq!(kept(&HashMap::new(), map), 4);
}

#[test]
fn an_unordered_set_is_stored_without_a_false_alarm() {
    let insert = |set: &mut HashSet<u64>, n| assert!(set.insert(n));
    let pairs = |sets: &mut (BTreeSet<u64>, Vec<HashSet<u64>>), n| {
        sets.0.insert(n);
        sets.1.push([n, n + 1].into());
    };
    // The sets have a different order each time.
    for _ in 0..20 {
        assert_eq!(kept(&HashSet::new(), insert), 4);
        assert_eq!(kept(&(BTreeSet::new(), Vec::new()), pairs), 4);
    }
}

/// A set whose type does not show that it is one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Disguised(HashSet<u64>);

#[test]
fn a_hidden_set_is_refused_or_stored_by_chance_without_a_false_alarm() {
    let log = refused(&Disguised::default(), |set, n| set.0.extend(100 * n..100 * n + 9));
    assert!(log.contains("is read back from its JSON in another order"), "{log}");
    let (mut lucky, policy) = (0, SnapshotPolicy::every(2));
    for _ in 0..64 {
        let store = EventStore::in_memory();
        store.append_batch((0..2).map(nth)).unwrap();
        let insert = |set: &mut Disguised, n| assert!(set.0.insert(n));
        let mut source = store.reconstruct(Into(Disguised::default(), insert)).snapshots(policy);
        source.now().unwrap();
        for check in source.verify_snapshots().unwrap() {
            // The set may be read in the same order by chance, or in another order.
            let right = match &check.verdict {
                SnapshotVerdict::Good { .. } | SnapshotVerdict::AnyOrder => true,
                SnapshotVerdict::Ignored { reason } => reason.contains("preserve the order"),
                _ => false,
            };
            assert!(right, "{check:?}");
            lucky += 1;
        }
    }
    assert!(lucky > 0, "two values have only two orders");
}

#[test]
fn a_state_that_cannot_be_written_as_json_is_refused_and_the_warning_names_the_page() {
    let tuples = refused(&BTreeMap::new(), |map, n| {
        map.insert((n, 1), 1);
    });
    assert!(tuples.contains("key must be a string"), "{tuples}");
    assert!(tuples.contains("docs/PROJECTIONS.md"), "{tuples}");
}

#[test]
fn integers_of_any_size_are_stored() {
    let big = |number: &mut u128, n| *number = u128::MAX - u128::from(n);
    assert_eq!(kept(&0, big), 4);
    assert_eq!(kept(&0, |number: &mut i128, n| *number = i128::MIN + i128::from(n)), 4);
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Sale {
    Sold {
        #[event(tag = "seat")]
        seat: String,
        price: Option<u32>,
    },
}

/// The price of a seat if it is sold. A seat that was given away has no price.
struct Price;

impl Projection for Price {
    type Event = Sale;
    type State = Option<Option<u32>>;

    fn initial(&self) -> Self::State {
        None
    }

    fn query(&self) -> Query {
        Query::tag("seat:1")
    }

    fn apply(&self, state: &mut Self::State, event: &Recorded<Sale>) {
        let Sale::Sold { price, .. } = &event.event;
        *state = Some(*price);
    }
}

#[test]
fn a_snapshot_does_not_change_a_decision() {
    let directory = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let store = EventStore::<Sale>::open(directory.path().join("log.store")).unwrap();
        let mut price = store.reconstruct(Price).snapshots(SnapshotPolicy::every(1));
        let decision = price.decide(|sold| match sold {
            None => Ok(vec![Sale::Sold { seat: "1".into(), price: None }]),
            Some(_) => Err(Rejection::new("sold already")),
        });
        assert_eq!(decision.is_ok(), run == 0, "{decision:?}");
        assert_eq!(price.now().unwrap(), &Some(None));
        assert_eq!(price.verify_snapshots().unwrap(), []);
    }
}

#[test]
fn states_with_the_same_json_are_distinguished() {
    let store = EventStore::in_memory();
    store.append_batch((0..5).map(nth)).unwrap();
    let source = |apply: fn(&mut Option<Option<u64>>, u64)| {
        store.reconstruct(Into(None, apply)).snapshots(SnapshotPolicy::every(5))
    };
    source(|state, _| *state = None).now().unwrap();
    let checks = source(|state, _| *state = Some(None)).verify_snapshots().unwrap();
    let [check] = &checks[..] else { panic!("{checks:?}") };
    let SnapshotVerdict::Differs { kept, folded } = &check.verdict else { panic!("{check:?}") };
    assert_ne!(kept, folded);
}

//! Unusual programs: they append while a thread ends, use older names, or use sets whose hasher has no seed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};

use annals::testing::assert_round_trip;
use annals::{Condition, Event, EventStore, Query, RawEvent};
use serde::{Deserialize, Serialize};

/// A hasher without a seed, like those of rustc-hash and fnv. A set's order depends only on its capacity and history.
type Fixed = BuildHasherDefault<DefaultHasher>;

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(transparent)]
struct Labels(HashSet<u32, Fixed>);

#[derive(Event, Debug, Clone, PartialEq)]
enum Set {
    Set { labels: Labels },
    Wide { labels: Labels, n: u128 },
}

fn labels() -> Labels {
    let mut set = HashSet::with_capacity_and_hasher(4096, Fixed::default());
    set.extend(0..50);
    Labels(set)
}

#[test]
fn a_set_with_a_fixed_hasher_in_a_newtype_is_read_back() {
    assert_round_trip(&Set::Set { labels: labels() });
}

#[test]
fn a_set_with_a_fixed_hasher_beside_a_wide_integer_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<Set>::open(directory.path().join("store")).unwrap();
    store.append(Set::Wide { labels: labels(), n: 1 }).unwrap();
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Renamed {
    #[event(rename = "new", alias = "old")]
    It { n: u32 },
}

#[test]
fn a_condition_with_an_older_name_covers_the_type() {
    let store = EventStore::<Renamed>::in_memory();
    store.append(Renamed::It { n: 1 }).unwrap();
    let condition = Condition::fail_if(Query::event_type("old"));
    assert!(store.append_if([Renamed::It { n: 2 }], &condition).is_err());
}

struct AtExit(EventStore<RawEvent>);

impl Drop for AtExit {
    fn drop(&mut self) {
        let _ = self.0.append(RawEvent::builder("x").build().unwrap());
    }
}

thread_local! {
    static AT_EXIT: std::cell::RefCell<Option<AtExit>> = const { std::cell::RefCell::new(None) };
}

/// An append that did not expect it would abort the process.
#[test]
fn a_destructor_of_a_thread_local_value_appends() {
    let store = EventStore::<RawEvent>::in_memory();
    store.subscribe(|_| {});
    let s = store.clone();
    std::thread::spawn(move || {
        AT_EXIT.with(|at| *at.borrow_mut() = Some(AtExit(s.clone())));
        s.append(RawEvent::builder("x").build().unwrap()).unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(store.len(), 2);
}

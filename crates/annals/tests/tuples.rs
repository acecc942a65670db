//! A tuple of projections has the states that its parts have alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::borrow::Cow;

use annals::{
    AppendError, Condition, DecideError, EventStore, Projection, Query, QueryItem, RawEvent,
    Recorded, SnapshotPolicy, given,
};

/// The offsets of the events that a query finds.
struct Found(&'static str, Query, u32);

impl Projection for Found {
    type Event = RawEvent;
    type State = Vec<u64>;

    fn initial(&self) -> Vec<u64> {
        Vec::new()
    }

    fn query(&self) -> Query {
        self.1.clone()
    }

    fn apply(&self, found: &mut Vec<u64>, event: &Recorded<RawEvent>) {
        found.push(event.offset);
    }

    fn name(&self) -> Cow<'_, str> {
        self.0.into()
    }

    fn version(&self) -> u32 {
        self.2
    }
}

fn event(n: u64) -> RawEvent {
    let builder = RawEvent::builder(format!("type-{}", n % 3));
    builder.tag(format!("digit:{}", n % 10)).tag(format!("half:{}", n / 50)).build().unwrap()
}

fn store(count: u64) -> EventStore<RawEvent> {
    let store = EventStore::in_memory();
    store.append_batch((0..count).map(event)).unwrap();
    store
}

fn queries() -> [Query; 4] {
    let both = QueryItem::new().event_types(["type-1", "type-2"]).all_tags(["digit:4", "half:0"]);
    [Query::tag("digit:7"), Query::item(both), Query::none(), Query::event_type("type-0")]
}

#[test]
fn each_part_sees_its_own_events() {
    let store = store(100);
    let [a, b, c, d] = queries().map(|query| Found("found", query, 1));
    let alone = |part: &Found| store.reconstruct(part).now().unwrap().clone();
    let (of_a, of_b, of_c, of_d) = (alone(&a), alone(&b), alone(&c), alone(&d));
    assert!(!of_a.is_empty() && !of_b.is_empty() && of_c.is_empty() && !of_d.is_empty());
    assert_eq!(*store.reconstruct((&a, &b)).now().unwrap(), (of_a.clone(), of_b.clone()));
    // A tuple may be a part.
    let nested = (&a, (&b, &c), &d);
    assert_eq!(
        *store.reconstruct(&nested).now().unwrap(),
        (of_a.clone(), (of_b.clone(), of_c.clone()), of_d.clone())
    );
    let source = store.reconstruct(&nested);
    let last = source.steps(..).unwrap().last().unwrap().unwrap();
    assert_eq!(last.state, (of_a.clone(), (of_b, of_c), of_d));
    // `apply` alone, without what a fold prepares.
    let mut state = (&a, &d).initial();
    for event in store.read(..) {
        (&a, &d).apply(&mut state, &event.unwrap());
    }
    assert_eq!(state.0, of_a);
    let all = Found("all", Query::all(), 1);
    assert_eq!(store.reconstruct((&a, &all)).now().unwrap().1.len(), 100);
    let eight = (&a, &a, &a, &a, &a, &a, &a, &a);
    assert_eq!(store.reconstruct(eight).now().unwrap().7, of_a);
}

#[test]
fn a_decision_on_a_tuple_depends_on_each_part() {
    let store = store(10);
    let [a, _, _, d] = queries().map(|query| Found("found", query, 1));
    let mut interfered = false;
    let decided = store.decide(&(&a, &d), |(_, of_d)| {
        if !interfered {
            interfered = true;
            store.append(event(12)).unwrap();
        }
        Ok::<_, DecideError<()>>(vec![event(of_d.len() as u64)])
    });
    assert_eq!(decided.unwrap().retries, 1);
    given([event(0)])
        .when(&(&a, &d), |(of_a, of_d)| {
            Ok::<_, String>(vec![event((of_a.len() + of_d.len()) as u64)])
        })
        .then([event(1)]);
}

#[test]
fn snapshots_of_a_tuple_are_used_and_bound_to_every_part() {
    let store = store(100);
    let part = |name, at: usize, version| Found(name, queries()[at].clone(), version);
    let policy = SnapshotPolicy::every(10);
    let mut first = store.reconstruct((part("a", 0, 1), part("b", 3, 1))).snapshots(policy);
    let state = first.now().unwrap().clone();
    let checked = first.verify_snapshots().unwrap();
    assert!(!checked.is_empty());
    let count = |source: annals::Reconstructor<(Found, Found)>| {
        source
            .snapshots(policy)
            .verify_snapshots()
            .unwrap()
            .iter()
            .filter(|check| matches!(check.verdict, annals::SnapshotVerdict::Good { .. }))
            .count()
    };
    assert_eq!(count(store.reconstruct((part("a", 0, 1), part("b", 3, 1)))), checked.len());
    for other in [
        (part("a", 0, 2), part("b", 3, 1)),
        (part("a", 0, 1), part("b", 3, 2)),
        (part("a", 0, 1), part("c", 3, 1)),
        (part("a", 3, 1), part("b", 0, 1)),
    ] {
        assert_eq!(count(store.reconstruct(other)), 0);
    }
    assert_eq!(*store.reconstruct((part("a", 0, 1), part("b", 3, 1))).now().unwrap(), state);
}

#[test]
fn a_condition_on_nothing_never_fails() {
    let store = store(3);
    let nothing = Condition::fail_if(Vec::new().into_iter().collect());
    assert_eq!(store.append_if([event(3)], &nothing).unwrap(), 3..4);
    let anything = Condition::fail_if(Query::all());
    assert!(matches!(store.append_if([event(4)], &anything), Err(AppendError::Conflict { .. })));
}

//! Projections: the state now, at any time and step by step, on every backend; events that cannot be decoded.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod common;

use std::time::Duration;

use annals::{
    Backend, Batch, CodecError, Durability, Event, EventRef, EventStore, Journal, Projection,
    Query, RawEvent, ReadError, Recorded, UnknownEvents,
};
use common::{Booking, SALES, Seat, end_of_time, model, ms, nth};

/// Event `n` is recorded at `1000 + 10 * (n / 3)` ms.
fn fill<B: Backend<Booking>>(store: &EventStore<Booking, B>, count: u64) -> Vec<Booking> {
    for n in 0..count {
        let time_ms = Some(1_000 + n / 3 * 10);
        store.append_as(Batch { time_ms, ..Batch::new(vec![nth(n)]) }).unwrap();
    }
    (0..count).map(nth).collect()
}

fn check_time_travel<B: Backend<Booking>>(store: &EventStore<Booking, B>) {
    let events = fill(store, 50);
    let mut sales = store.reconstruct(SALES);
    // First on a new reconstructor, then on one that has the state of `now`.
    for _ in 0..2 {
        for offset in 0..50 {
            assert_eq!(
                sales.at(offset).unwrap(),
                model(&events[..=usize::try_from(offset).unwrap()])
            );
        }
        assert_eq!(sales.at(u64::MAX).unwrap(), model(&events));
        assert_eq!(sales.at_time(ms(999)).unwrap(), model(&[]));
        let within = ms(999) + Duration::from_micros(999);
        assert_eq!(sales.at_time(within).unwrap(), model(&[]));
        assert_eq!(sales.at_time(ms(0) - Duration::from_secs(1)).unwrap(), model(&[]));
        assert_eq!(sales.at_time(ms(1_000)).unwrap(), model(&events[..3]));
        assert_eq!(sales.at_time(ms(1_019)).unwrap(), model(&events[..6]));
        assert_eq!(sales.at_time(end_of_time()).unwrap(), model(&events));
        assert_eq!(*sales.now().unwrap(), model(&events));
    }
    let steps = sales.steps(10..20).unwrap().map(Result::unwrap);
    for (n, step) in (10..20).zip(steps) {
        assert_eq!((step.event.offset, &step.event.event), (n, &nth(n)));
        assert_eq!(step.state, model(&events[..=usize::try_from(n).unwrap()]));
    }
    assert_eq!(sales.steps(..).unwrap().count(), 50);
    let seat: Vec<_> =
        store.reconstruct(Seat(7)).steps(..).unwrap().map(|step| step.unwrap().state).collect();
    assert_eq!(seat, [Some(1), None, Some(27), Some(40)]);
}

#[test]
fn the_state_is_right_at_any_time_in_memory() {
    check_time_travel(&EventStore::in_memory());
}

#[test]
fn the_state_is_right_at_any_time_in_files() {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::options().durability(Durability::Buffered);
    check_time_travel(&EventStore::on(journal.open(directory.path().join("log.store")).unwrap()));
}

#[test]
fn the_state_is_right_at_any_time_on_a_backend_chosen_at_run_time() {
    let backend: Box<dyn Backend<Booking>> = Box::new(annals::Memory::new());
    check_time_travel(&EventStore::<Booking, _>::on(backend));
}

#[test]
fn now_folds_only_what_is_new() {
    /// Panics if it sees an event twice.
    struct Once(std::cell::RefCell<Vec<u64>>);
    impl Projection for Once {
        type Event = Booking;
        type State = u64;
        fn initial(&self) -> u64 {
            0
        }
        fn query(&self) -> Query {
            Query::all()
        }
        fn apply(&self, count: &mut u64, event: &Recorded<Booking>) {
            assert_eq!(event.offset, *count);
            self.0.borrow_mut().push(event.offset);
            *count += 1;
        }
    }
    let store = EventStore::in_memory();
    let mut once = store.reconstruct(Once(Vec::new().into()));
    for n in 0..10 {
        store.append(nth(n)).unwrap();
        assert_eq!(*once.now().unwrap(), n + 1);
        assert_eq!(once.head(), n + 1);
    }
    assert_eq!(*once.projection().0.borrow(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_fold_in_memory_does_not_copy_events() {
    let store = EventStore::in_memory();
    fill(&store, 3);
    let sales = store.reconstruct(SALES);
    for step in sales.steps(..).unwrap() {
        assert!(matches!(step.unwrap().event, EventRef::Borrowed(_)));
    }
}

fn raw(event_type: &str, data: &str) -> RawEvent {
    RawEvent::builder(event_type).tag("seat:1").data(data.to_owned()).build().unwrap()
}

/// Opens a log that programs of several versions wrote, with the event type of today's program.
fn read_as_bookings(
    directory: &tempfile::TempDir,
    events: Vec<RawEvent>,
) -> EventStore<Booking, Journal<Booking>> {
    let path = directory.path().join("log.store");
    EventStore::<RawEvent>::open(&path).unwrap().append_batch(events).unwrap();
    EventStore::open(&path).unwrap()
}

#[test]
fn events_of_unknown_types_are_refused_or_passed_over_as_configured() {
    let directory = tempfile::tempdir().unwrap();
    let known = |seat| raw("seat-sold", &format!(r#"{{"seat":{seat},"price":1}}"#));
    let newer = || raw("seat-upgraded", "{}");
    let events = vec![newer(), known(1), newer(), newer(), known(2), newer()];
    let store = read_as_bookings(&directory, events);

    let mut strict = store.reconstruct(SALES);
    let error = strict.now().unwrap_err();
    assert!(matches!(
        &error,
        ReadError::Decode { offset: 0, source: CodecError::UnknownType { .. }, .. }
    ));
    assert!(error.to_string().contains("seat-upgraded"), "{error}");

    let mut lenient = store.reconstruct(SALES).unknown_events(UnknownEvents::PassOver);
    let all = model(&[common::sold(1, 1), common::sold(2, 1)]);
    assert_eq!(*lenient.now().unwrap(), all);
    assert_eq!((lenient.head(), lenient.passed_over()), (6, 4));
    assert_eq!(lenient.at(3).unwrap(), model(&[common::sold(1, 1)]));
    assert_eq!(lenient.at_time(end_of_time()).unwrap(), all);
    assert_eq!(lenient.at_time(ms(0)).unwrap(), model(&[]));
    assert_eq!(lenient.steps(..).unwrap().count(), 2);
    // They are still in the log.
    assert_eq!(store.len(), 6);
}

/// Opens a log of events that were recorded one per second, with the event type of today's program.
fn one_a_second(
    directory: &tempfile::TempDir,
    events: Vec<RawEvent>,
) -> EventStore<Booking, Journal<Booking>> {
    let path = directory.path().join("log.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    for (second, event) in (0..).zip(events) {
        store.append_as(Batch::new(vec![event]).time_ms(1_000 * second)).unwrap();
    }
    drop(store);
    EventStore::open(&path).unwrap()
}

/// Asserts that the state at each time is the state at the last offset up to that time, or the same error.
fn check_times(source: &annals::Reconstructor<Seat, Journal<Booking>>) {
    let text = |state: Result<_, ReadError>| state.map_err(|error| error.to_string());
    for offset in 0..source.store().len() {
        for time in [1_000 * offset, 1_000 * offset + 999] {
            assert_eq!(text(source.at_time(ms(time))), text(source.at(offset)), "time {time}");
        }
    }
}

#[test]
fn a_time_is_an_offset_even_beside_an_event_of_an_unknown_type() {
    let known = || raw("seat-sold", r#"{"seat":1,"price":1}"#);
    let newer = || raw("seat-upgraded", "{}");
    for events in [vec![known(), newer()], vec![known(), newer(), known(), newer(), newer()]] {
        let directory = tempfile::tempdir().unwrap();
        let store = one_a_second(&directory, events);
        let strict = store.reconstruct(Seat(1));
        assert_eq!(strict.at_time(ms(999)).unwrap(), Some(1));
        assert!(strict.at_time(ms(1_000)).is_err() && strict.at_time(end_of_time()).is_err());
        check_times(&strict);
        check_times(&store.reconstruct(Seat(1)).unknown_events(UnknownEvents::PassOver));
        // A projection whose query does not match these events is not affected by them.
        assert_eq!(store.reconstruct(Seat(2)).at_time(end_of_time()).unwrap(), None);
    }
}

#[test]
fn a_time_is_found_past_events_that_the_projection_does_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let known = |price| raw("seat-sold", &format!(r#"{{"seat":1,"price":{price}}}"#));
    let unfit = || RawEvent::builder("seat-sold").tag("seat:2").data("{}").build().unwrap();
    let store = one_a_second(&directory, vec![known(1), unfit(), unfit(), known(2), unfit()]);
    let seat = store.reconstruct(Seat(1));
    check_times(&seat);
    assert_eq!(seat.at_time(ms(2_500)).unwrap(), Some(1));
    assert_eq!(seat.at_time(end_of_time()).unwrap(), Some(2));
}

#[test]
fn the_error_for_a_payload_that_cannot_be_decoded_has_its_offset_type_and_field() {
    let directory = tempfile::tempdir().unwrap();
    let good = || raw("seat-freed", r#"{"seat":1}"#);
    let bad = raw("seat-sold", r#"{"seat":1,"price":"dear"}"#);
    let store = read_as_bookings(&directory, vec![good(), bad, good()]);
    for unknown in [UnknownEvents::Refuse, UnknownEvents::PassOver] {
        let mut sales = store.reconstruct(SALES).unknown_events(unknown);
        for _ in 0..2 {
            let error = sales.now().unwrap_err().to_string();
            for part in ["offset 1", "\"seat-sold\"", "price: invalid type", "\"dear\""] {
                assert!(error.contains(part), "{error}");
            }
        }
        assert_eq!(sales.at(0).unwrap().1, 1);
    }
    let missing = Booking::decode(&raw("seat-sold", r#"{"seat":1}"#)).unwrap_err().to_string();
    assert!(missing.contains("missing field `price`"), "{missing}");
}

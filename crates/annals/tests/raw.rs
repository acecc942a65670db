//! `Journal::raw`: a handle for events of another type on the same log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::sync::{Arc, Mutex};

use annals::{
    AppendError, Backend as _, Batch, CodecError, Condition, Event, EventStore, Health, Journal,
    Query, RawEvent,
};

#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    #[event(alias = "seat-booked")]
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
        #[event(id)]
        order: Option<String>,
    },
}

fn sold(seat: &str) -> Booking {
    Booking::SeatSold { seat: seat.into(), order: None }
}

fn raw(event_type: &str) -> RawEvent {
    RawEvent::builder(event_type)
        .tag("seat:12A")
        .data(br#"{"seat":"12A"}"#.to_vec())
        .build()
        .unwrap()
}

/// An event that panics when one of the type "bad" is decoded.
struct Fragile(RawEvent);

impl Event for Fragile {
    fn event_type(&self) -> &str {
        self.0.event_type()
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.encode(data)
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        if raw.event_type() == "bad" {
            std::panic::resume_unwind(Box::new("an event that cannot be decoded"));
        }
        Ok(Self(raw.clone()))
    }
}

type Stores = (EventStore<Booking, Journal<Booking>>, EventStore<RawEvent, Journal<RawEvent>>);

fn open(path: &std::path::Path) -> Stores {
    let store = EventStore::open(path).unwrap();
    let raw = EventStore::on(store.backend().raw());
    (store, raw)
}

#[test]
fn both_handles_have_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = open(&directory.path().join("a.store"));
    assert_eq!(store.append(sold("12A")).unwrap(), 0);
    assert_eq!(other.append(raw("seat-sold")).unwrap(), 1);
    assert_eq!(other.append(raw("unknown")).unwrap(), 2);
    assert_eq!((store.len(), other.len()), (3, 3));
    assert_eq!(store.get(1).unwrap().unwrap().event, sold("12A"));
    assert_eq!(other.get(0).unwrap().unwrap().event.event_type(), "seat-sold");
    assert!(store.get(2).is_err(), "the type is unknown to the program");
    assert_eq!(other.query(&Query::tag("seat:12A")).count(), 3);
    // A condition of either handle sees what the other appended.
    let guarded = |after| Condition::fail_if(Query::tag("seat:12A")).after(after);
    let refused = store.append_as(Batch::new(vec![sold("12A")]).condition(guarded(2)));
    assert!(matches!(refused, Err(AppendError::Conflict { offset: 2, .. })), "{refused:?}");
    let refused = other.append_as(Batch::new(vec![raw("a")]).condition(guarded(0)));
    assert!(matches!(refused, Err(AppendError::Conflict { offset: 0, .. })), "{refused:?}");
    assert!(
        other.append_as(Batch::new(Vec::new()).condition(guarded(3))).unwrap().offsets.is_empty()
    );
    other.close().unwrap();
    let closed = |health: Health| matches!(health, Health::Closed);
    assert!(closed(store.backend().health()) && closed(other.backend().health()));
}

#[test]
fn ids_are_known_across_the_handles() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = open(&directory.path().join("a.store"));
    let foreign = |id: &str, event_type: &str| {
        let event =
            RawEvent::builder(event_type).id(id).data(br#"{"seat":"1","order":null}"#.to_vec());
        event.build().unwrap()
    };
    assert_eq!(
        other.append_batch(vec![foreign("x", "seat-sold"), foreign("y", "other")]).unwrap(),
        0..2
    );
    let again = Booking::SeatSold { seat: "1".into(), order: Some("x".into()) };
    assert_eq!(store.append(again).unwrap(), 0);
    let of_other_type = Booking::SeatSold { seat: "1".into(), order: Some("y".into()) };
    let refused = store.append(of_other_type);
    assert!(matches!(refused, Err(AppendError::IdConflict { offset: 1, .. })), "{refused:?}");
    store.append(Booking::SeatSold { seat: "2".into(), order: Some("z".into()) }).unwrap();
    assert_eq!(other.append(foreign("z", "seat-sold")).unwrap(), 2);
    assert_eq!(store.len(), 3);
}

#[test]
fn a_renamed_event_is_known_by_the_aliases_of_either_type() {
    let booked = |name: &str| {
        let event = RawEvent::builder(name).id("x").data(br#"{"seat":"1","order":"x"}"#.to_vec());
        event.build().unwrap()
    };
    let again = || Booking::SeatSold { seat: "1".into(), order: Some("x".into()) };
    let directory = tempfile::tempdir().unwrap();
    // The Journal of the log has no aliases, and the handle has some.
    let host = EventStore::<RawEvent, _>::open(directory.path().join("a.store")).unwrap();
    let handle: EventStore<Booking, _> = EventStore::on(host.backend().raw());
    assert_eq!(host.append(booked("seat-booked")).unwrap(), 0);
    assert_eq!(handle.append(again()).unwrap(), 0);
    assert_eq!(futures_executor::block_on(handle.append_async(again())).unwrap(), 0);
    let refused = host.append(booked("seat-sold"));
    assert!(matches!(refused, Err(AppendError::IdConflict { offset: 0, .. })), "{refused:?}");
    // The other way round.
    let (store, other) = open(&directory.path().join("b.store"));
    assert_eq!(other.append(booked("seat-booked")).unwrap(), 0);
    assert_eq!(store.append(again()).unwrap(), 0);
    assert_eq!(other.append(booked("seat-sold")).unwrap(), 0);
}

/// Batches of both types in one commit: the queue is filled while a callback keeps the leader at work.
#[test]
fn batches_of_both_types_share_a_commit() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = open(&directory.path().join("a.store"));
    let (entered, inside) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let once = store.subscribe(move |event| {
        if event.offset == 0 {
            entered.send(()).unwrap();
            released.recv().unwrap();
        }
    });
    let leader = {
        let store = store.clone();
        std::thread::spawn(move || store.append(sold("1")).unwrap())
    };
    inside.recv().unwrap();
    let id = |n: u32| Booking::SeatSold { seat: "1".into(), order: Some(n.to_string()) };
    let foreign = |n: u32| {
        let event =
            RawEvent::builder("seat-sold").id(n.to_string()).data(br#"{"seat":"1"}"#.to_vec());
        event.build().unwrap()
    };
    let futures = [
        store.append_async(id(1)),
        other.append_async(foreign(2)),
        store.append_async(id(3)),
        // Known from the same commit.
        store.append_async(id(2)),
        other.append_async(foreign(1)),
    ];
    release.send(()).unwrap();
    let offsets = futures.map(|future| futures_executor::block_on(future).unwrap());
    assert_eq!(offsets, [1, 2, 3, 2, 1]);
    leader.join().unwrap();
    assert!(store.unsubscribe(once));
    assert_eq!(other.read(..).map(|event| event.unwrap().offset).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn callbacks_of_both_types_see_all_events_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = open(&directory.path().join("a.store"));
    let (typed, untyped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (seen, appends) = (Arc::clone(&typed), other.clone());
    store.subscribe(move |event| {
        seen.lock().unwrap().push(event.offset);
        // An append from inside a callback, through the other handle.
        if event.offset == 0 {
            appends.append(raw("seat-sold")).unwrap();
        }
    });
    let (seen, head) = (Arc::clone(&untyped), other.backend().head().clone());
    let id = other.subscribe(move |event| {
        assert!(head.get() > event.offset);
        seen.lock().unwrap().push((event.offset, event.event.event_type().to_owned()));
    });
    store.append_batch(vec![sold("1"), sold("2")]).unwrap();
    other.append_batch(vec![raw("seat-sold"), raw("unknown"), raw("seat-sold")]).unwrap();
    assert_eq!(*typed.lock().unwrap(), [0, 1, 2, 3, 5], "the unknown type is skipped");
    let expected: Vec<_> =
        (0..6).map(|n| (n, if n == 4 { "unknown" } else { "seat-sold" }.to_owned())).collect();
    assert_eq!(*untyped.lock().unwrap(), expected);
    assert!(other.unsubscribe(id));
    store.append(sold("3")).unwrap();
    assert_eq!(untyped.lock().unwrap().len(), 6);
    // Without the handle, its callbacks are gone.
    drop(other);
    store.append(sold("4")).unwrap();
}

#[test]
fn callbacks_of_a_handle_of_a_handle_see_all_events() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = open(&directory.path().join("a.store"));
    let third: EventStore<RawEvent, _> = EventStore::on(other.backend().raw());
    // It does not need the handle from which it came.
    drop(other);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    third.subscribe(move |event| log.lock().unwrap().push(event.offset));
    store.append(sold("1")).unwrap();
    third.append(raw("unknown")).unwrap();
    assert_eq!(*seen.lock().unwrap(), [0, 1]);
}

#[test]
fn subscriptions_of_a_handle_wake_for_events_of_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let (store, other) = open(&directory.path().join("a.store"));
    let mut waiter = other.backend().head().waiter();
    assert!(waiter.poll_beyond(0, std::task::Waker::noop()).is_pending());
    store.append(sold("1")).unwrap();
    assert_eq!(waiter.wait_beyond(0, None), 1);
    drop(store);
    // The log is closed with the handle that opened it.
    assert!(other.backend().head().is_closed());
    assert!(matches!(other.append(raw("a")), Err(AppendError::Closed)));
    assert_eq!(other.get(0).unwrap().unwrap().offset, 0);
}

#[test]
fn a_follower_has_a_raw_handle_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    let (store, _other) = open(&path);
    store.append(sold("1")).unwrap();
    let follower: EventStore<Booking, _> = EventStore::open_read_only(&path).unwrap();
    let raw_follower: EventStore<RawEvent, _> = EventStore::on(follower.backend().raw());
    assert!(matches!(raw_follower.backend().health(), Health::ReadOnly));
    assert!(matches!(raw_follower.append(raw("a")), Err(AppendError::ReadOnly)));
    let (sender, receiver) = std::sync::mpsc::channel();
    raw_follower.subscribe(move |event| sender.send(event.offset).unwrap());
    store.append(sold("2")).unwrap();
    assert_eq!(receiver.recv().unwrap(), 1);
    assert_eq!(raw_follower.len(), 2);
}

/// A follower and a handle on it.
fn follow(path: &std::path::Path) -> Stores {
    let follower = EventStore::on(Journal::options().open_read_only(path).unwrap());
    let raw = EventStore::on(follower.backend().raw());
    (follower, raw)
}

#[test]
fn a_handle_on_a_damaged_log_returns_the_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    let (store, _other) = open(&path);
    store.append_batch((0..100).map(|seat| sold(&seat.to_string()))).unwrap();
    store.close().unwrap();
    drop(store);
    let segment = path.join("00000000000000000000.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    let body = bytes.windows(11).position(|part| part == br#""seat":"50""#).unwrap();
    bytes[body + 9] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let (follower, raw) = follow(&path);
    let damage = follower.backend().damage().expect("it is damaged").to_string();
    assert_eq!(raw.backend().damage().expect("it is damaged").to_string(), damage);
    let of_raw: Journal<Booking> = raw.backend().raw();
    assert_eq!(of_raw.follow_error(), follower.backend().follow_error());
    // An error that was found stays, also without the follower.
    drop(follower);
    assert_eq!(raw.backend().damage().expect("it is damaged").to_string(), damage);
}

#[test]
fn the_cursors_of_a_handle_end_when_its_follower_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    let (store, _other) = open(&path);
    store.append(sold("1")).unwrap();
    let (follower, raw) = follow(&path);
    drop(follower);
    assert!(raw.backend().head().is_closed(), "nothing moves it any more");
    assert!(matches!(raw.backend().health(), Health::Closed));
    assert!(raw.backend().follow_error().is_none());
    assert_eq!(raw.subscription(Query::all(), 0).count(), 1);
}

#[test]
fn decoding_that_panics_for_callbacks_harms_no_append_and_no_follower() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.store");
    let (store, other) = open(&path);
    let fragile: EventStore<Fragile, _> = EventStore::on(store.backend().raw());
    let following: EventStore<Fragile, _> =
        EventStore::on(Journal::options().open_read_only(&path).unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, (sender, receiver)) = (Arc::clone(&seen), std::sync::mpsc::channel());
    fragile.subscribe(move |event| log.lock().unwrap().push(event.offset));
    following.subscribe(move |event| sender.send(event.offset).unwrap());
    assert_eq!(other.append(raw("bad")).unwrap(), 0);
    assert_eq!(other.append(raw("good")).unwrap(), 1);
    assert!(matches!(store.backend().health(), Health::Open));
    assert_eq!(*seen.lock().unwrap(), [1]);
    // Blocks for ever unless the follower goes on.
    assert_eq!(receiver.recv().unwrap(), 1);
}

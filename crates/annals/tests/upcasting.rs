//! Older events: three versions of a type in one log are read as today's type, and the log does not change.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use annals::{
    Backend, Codec, CodecError, Condition, Event, EventStore, Json, Projection, Query, RawEvent,
    Recorded, SnapshotPolicy, SnapshotVerdict, Subscription,
};
use serde::{Deserialize, Serialize};

#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    #[event(alias = "seat-booked", alias = "seat-taken", upcast = older_sales)]
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
        cents: u64,
        #[serde(default = "euro")]
        currency: String,
    },
    #[event(alias = "seat-released")]
    SeatFreed {
        #[event(tag = "seat")]
        seat: String,
    },
}

fn euro() -> String {
    "EUR".into()
}

/// Converts the older versions: the first was `seat-taken` with a row and a letter. Then `seat-booked`, and at first
/// `seat-sold`, had a price in euros.
fn older_sales(raw: &RawEvent) -> Result<Option<Booking>, CodecError> {
    #[derive(Deserialize)]
    struct Taken {
        row: u32,
        letter: char,
        price: u64,
    }
    #[derive(Deserialize)]
    struct Older {
        seat: String,
        price: Option<u64>,
    }
    let (seat, price) = if raw.event_type() == "seat-taken" {
        let Taken { row, letter, price } = Json::decode(raw.data_bytes())?;
        (format!("{row}{letter}"), price)
    } else {
        let Older { seat, price } = Json::decode(raw.data_bytes())?;
        let Some(price) = price else { return Ok(None) };
        (seat, price)
    };
    Ok(Some(Booking::SeatSold { seat, cents: 100 * price, currency: euro() }))
}

/// The tag, the type and the payload of an event of each version.
const LOG: [(&str, &str); 6] = [
    ("seat-taken", r#"{"row":12,"letter":"A","price":90}"#),
    ("seat-released", r#"{"seat":"12A"}"#),
    ("seat-booked", r#"{"seat":"12A","price":80}"#),
    ("seat-sold", r#"{"seat":"12A","price":70}"#),
    ("seat-sold", r#"{"seat":"12A","cents":6050}"#),
    ("seat-sold", r#"{"seat":"12A","cents":50,"currency":"USD"}"#),
];

fn raw((event_type, data): (&str, &str)) -> RawEvent {
    RawEvent::builder(event_type).tag("seat:12A").data(data.to_owned()).build().unwrap()
}

fn sold(cents: u64, currency: &str) -> Booking {
    Booking::SeatSold { seat: "12A".into(), cents, currency: currency.into() }
}

fn today() -> [Booking; 6] {
    [
        sold(9_000, "EUR"),
        Booking::SeatFreed { seat: "12A".into() },
        sold(8_000, "EUR"),
        sold(7_000, "EUR"),
        sold(6_050, "EUR"),
        sold(50, "USD"),
    ]
}

struct Takings;

impl Projection for Takings {
    type Event = Booking;
    type State = Vec<u64>;

    fn initial(&self) -> Vec<u64> {
        Vec::new()
    }

    fn query(&self) -> Query {
        Query::event_type("seat-sold")
    }

    fn apply(&self, takings: &mut Vec<u64>, event: &Recorded<Booking>) {
        if let Booking::SeatSold { cents, .. } = &event.event {
            takings.push(*cents);
        }
    }
}

fn offsets<B: Backend<Booking>>(mut cursor: Subscription<'_, Booking, B>) -> Vec<u64> {
    std::iter::from_fn(|| cursor.try_next()).map(|event| event.unwrap().offset).collect()
}

#[test]
fn every_version_in_the_log_is_read_as_todays_type() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    EventStore::<RawEvent>::open(&path).unwrap().append_batch(LOG.map(raw)).unwrap();
    let segment = path.join("00000000000000000000.log");
    let bytes = std::fs::read(&segment).unwrap();
    {
        let store = EventStore::<Booking>::open_read_only(&path).unwrap();
        let read: Vec<_> = store.read(..).map(|event| event.unwrap().event.clone()).collect();
        assert_eq!(read, today());
        assert!(read.iter().all(|event| ["seat-sold", "seat-freed"].contains(&event.event_type())));
    }
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_query_for_todays_type_finds_the_older_types_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    EventStore::<RawEvent>::open(&path).unwrap().append_batch(LOG.map(raw)).unwrap();
    let store = EventStore::<Booking>::open(&path).unwrap();
    let freed = Query::event_type("seat-freed");
    assert_eq!(store.query(&freed).map(|event| event.unwrap().offset).collect::<Vec<_>>(), [1]);
    assert_eq!(offsets(store.subscription(freed.clone(), 0)), [1]);
    let again = Booking::SeatFreed { seat: "12A".into() };
    assert!(store.append_if([again.clone()], &Condition::fail_if(freed.clone())).is_err());
    store.append_if([again], &Condition::fail_if(freed).after(2)).unwrap();
    let mut takings = store.reconstruct(Takings).snapshots(SnapshotPolicy::every(2));
    assert_eq!(*takings.now().unwrap(), [9_000, 8_000, 7_000, 6_050, 50]);
    assert_eq!(
        *store.reconstruct(Takings).snapshots(SnapshotPolicy::every(2)).now().unwrap(),
        takings.at(9).unwrap()
    );
    // A read of raw events returns the stored types.
    drop((store, takings));
    let raw = EventStore::<RawEvent>::open(&path).unwrap();
    assert_eq!(raw.query(&Query::event_type("seat-booked")).count(), 1);
}

#[test]
fn an_older_payload_that_cannot_be_decoded_is_an_error_that_names_the_field() {
    let error = Booking::decode(&raw(("seat-taken", r#"{"row":12,"letter":"AB","price":1}"#)));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("letter: "), "{error}");
    assert!(
        Booking::decode(&raw(("seat-stolen", "{}")))
            .unwrap_err()
            .to_string()
            .ends_with("seat-sold, seat-freed")
    );
}

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[event(alias = "word-noted", upcast = Self::older)]
struct Noted {
    words: Vec<String>,
}

impl Noted {
    fn older(raw: &RawEvent) -> Result<Option<Self>, CodecError> {
        if raw.event_type() == "noted" {
            return Ok(None);
        }
        Ok(Some(Self { words: vec![Json::decode(raw.data_bytes())?] }))
    }
}

#[test]
fn a_struct_reads_its_older_payloads_too() {
    let noted = Noted { words: vec!["hi".to_owned()] };
    assert_eq!(Noted::decode(&raw(("word-noted", r#""hi""#))).unwrap(), noted);
    assert_eq!(Noted::decode(&raw(("noted", r#"{"words":["hi"]}"#))).unwrap(), noted);
    assert_eq!(Noted::aliases("noted"), ["word-noted"]);
    assert!(Noted::aliases("word-noted").is_empty());
}

/// The event type of an older program.
#[derive(Event, Debug, Clone, PartialEq)]
enum Before {
    SeatReleased {
        #[event(tag = "seat")]
        seat: String,
    },
}

/// The number of events, in a program of any version.
struct Count<E>(std::marker::PhantomData<E>);

impl<E: Event> Projection for Count<E> {
    type Event = E;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, count: &mut u64, _: &Recorded<E>) {
        *count += 1;
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        "count".into()
    }
}

#[test]
fn a_snapshot_stays_good_when_an_event_type_is_renamed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.store");
    let policy = SnapshotPolicy::every(2);
    {
        let store = EventStore::<Before>::open(&path).unwrap();
        let released = || Before::SeatReleased { seat: "12A".into() };
        store.append_batch([released(), released(), released(), released()]).unwrap();
        let count =
            store.reconstruct(Count(std::marker::PhantomData)).snapshots(policy).now().copied();
        assert_eq!(count.unwrap(), 4);
    }
    let store = EventStore::<Booking>::open(&path).unwrap();
    let count = store.reconstruct(Count(std::marker::PhantomData)).snapshots(policy);
    let checks = count.verify_snapshots().unwrap();
    assert_eq!(checks.iter().map(|check| check.head).collect::<Vec<_>>(), [2, 4]);
    for check in checks {
        assert!(matches!(check.verdict, SnapshotVerdict::Good { .. }), "{check:?}");
    }
}

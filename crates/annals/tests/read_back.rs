//! An appended event can be read: an append refuses an event that a log in files could not read back unchanged.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(clippy::option_option, reason = "they are what JSON does not keep")]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use annals::testing::assert_round_trip;
use annals::{AppendError, Codec, CodecError, Event, EventStore, InvalidEvent, Json, RawEvent};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Appends to a log in files and reads the event back, or returns the error. Asserts that an encoding log in memory
/// returns the same.
fn appended<E: Event + Clone>(event: &E) -> Result<E, String> {
    let directory = tempfile::tempdir().unwrap();
    let files = EventStore::<E>::open(directory.path().join("store")).unwrap();
    let memory = EventStore::<E>::in_memory_encoded();
    let taken = files.append(event.clone()).map_err(|error| error.to_string());
    let in_memory = memory.append(event.clone()).map_err(|error| error.to_string());
    assert_eq!(taken, in_memory);
    taken.map(|offset| files.get(offset).unwrap().unwrap().into_owned().event)
}

fn refused(event: &impl Event, reason: &str) {
    let tried = AssertUnwindSafe(|| assert_round_trip(event));
    let error = *catch_unwind(tried).unwrap_err().downcast::<String>().unwrap();
    assert!(error.contains(reason), "{error}");
}

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Kept<T> {
    it: T,
}

fn kept<T>(it: T)
where
    Kept<T>: Event,
{
    assert_round_trip(&Kept { it });
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Weather {
    Measured {
        rain: f64,
    },
    Noted {
        note: Option<Option<String>>,
    },
    Counted {
        drops: u128,
    },
    Grouped {
        #[serde(flatten)]
        group: Newtype2<u128>,
    },
    Fell {
        days: HashMap<u16, f32>,
    },
}

#[test]
fn a_log_in_files_and_an_encoding_log_in_memory_accept_the_same_events() {
    for event in [
        Weather::Measured { rain: -0.0 },
        Weather::Noted { note: Some(Some("x".into())) },
        Weather::Noted { note: None },
        Weather::Counted { drops: u128::MAX },
        Weather::Fell { days: (0..50).map(|day| (day, 0.1)).collect() },
    ] {
        assert_eq!(appended(&event).unwrap(), event);
    }
    for (event, reason) in [
        (
            Weather::Measured { rain: f64::NAN },
            "event 0 of the batch: rain: NaN cannot be written as JSON",
        ),
        (Weather::Noted { note: Some(None) }, "the field `note` differs"),
        (Weather::Grouped { group: Newtype2 { it: 1 } }, "u128 is not supported"),
        (
            Weather::Fell { days: [(1, f32::INFINITY)].into() },
            "days.1: inf cannot be written as JSON",
        ),
    ] {
        let error = appended(&event).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq)]
struct Newtype<T>(T);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
enum Tagged {
    One(f64),
    Two(u8, f32),
    Named { rain: f64 },
}

#[test]
fn a_number_that_is_not_finite_is_refused_with_its_path() {
    refused(&Kept { it: f64::NAN }, "it: NaN cannot be written as JSON; append finite");
    refused(&Kept { it: f32::INFINITY }, "it: inf cannot be written as JSON");
    refused(&Kept { it: Some(f64::NEG_INFINITY) }, "it: -inf cannot be written as JSON");
    refused(&Kept { it: vec![Newtype(1.0), Newtype(f64::NAN)] }, "it[1]: NaN");
    refused(
        &Kept { it: BTreeMap::from([("a", f64::NAN)].map(|(k, v)| (k.to_owned(), v))) },
        "it.a: NaN",
    );
    refused(&Kept { it: Tagged::One(f64::NAN) }, "it: NaN");
    refused(&Kept { it: Tagged::Two(1, f32::NAN) }, "it[1]: NaN");
    refused(&Kept { it: Tagged::Named { rain: f64::NAN } }, "it.rain: NaN");
    refused(&Kept { it: (1, Newtype(f64::NAN)) }, "it[1]: NaN");
    kept(f64::MAX);
    kept(f32::MIN_POSITIVE);
    kept(vec![Some(0.1), None, Some(-1e-300)]);
    kept(-0.0_f64);
}

#[test]
fn the_error_has_its_fields() {
    let error = EventStore::in_memory_encoded().append(Kept { it: f64::NAN }).unwrap_err();
    let AppendError::Invalid { index: 0, source: InvalidEvent::Encode(error) } = error else {
        panic!("{error}")
    };
    assert!(matches!(error, CodecError::Unreadable { at, .. } if at == "it"));
}

#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(transparent)]
struct Any(Value);

/// Returns arrays nested `depth` deep.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, at| match at % 2 {
        0 => vec![inner].into(),
        _ => serde_json::json!({ "in": inner }),
    })
}

#[test]
fn the_deepest_accepted_nesting_is_the_deepest_that_is_read_back() {
    let deepest = (1..200).take_while(|&depth| {
        let text = serde_json::to_string(&nested(depth)).unwrap();
        serde_json::from_str::<Value>(&text).is_ok()
    });
    let deepest = deepest.last().unwrap();
    assert_round_trip(&Any(nested(deepest)));
    refused(&Any(nested(deepest + 1)), "nested more than 127 deep");
    assert_eq!(deepest, 127);
    // In a field, the value is nested one level deeper.
    kept(nested(deepest - 1));
    refused(&Kept { it: nested(deepest) }, "it[0].in");
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Unit;

#[test]
fn a_some_that_would_be_read_back_as_none_is_refused() {
    refused(&Kept { it: Some(None::<u8>) }, "the field `it` differs");
    refused(&Kept { it: Some(()) }, "the field `it` differs");
    refused(&Kept { it: Some(Unit) }, "the field `it` differs");
    refused(&Kept { it: vec![None, Some(Newtype(None::<u8>))] }, "the field `it[1]` differs");
    refused(&Kept { it: Some(Value::Null) }, "the field `it` differs");
    kept(Some(Some(1)));
    kept(None::<Option<u8>>);
    kept(((), Unit, Value::Null, None::<u8>));
    kept(Some(vec![None::<u8>]));
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(it: D) -> Result<Option<T>, D::Error> {
    T::deserialize(it).map(Some)
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Patched {
    Patched {
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        note: Option<Option<String>>,
    },
}

#[test]
fn a_field_that_distinguishes_null_from_a_missing_value_is_accepted() {
    for note in [None, Some(None), Some(Some("x".to_owned()))] {
        assert_round_trip(&Patched::Patched { note });
    }
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Flat<T> {
    name: String,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(untagged)]
enum Untagged<T> {
    It { it: T },
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(tag = "kind")]
enum Internal<T> {
    It { it: T },
    Inner(T),
}

#[test]
fn a_wide_integer_is_refused_only_where_it_is_not_read_back() {
    kept(u128::MAX);
    kept(i128::MIN);
    kept(Some(vec![Newtype(1_u128)]));
    kept(BTreeMap::from([(u128::MAX, i128::MIN)]));
    let reason = "cannot be read back from its encoding: ";
    refused(&Kept { it: Flat { name: "x".into(), rest: Newtype2 { it: 1_u128 } } }, reason);
    refused(&Kept { it: Untagged::It { it: 1_i128 } }, reason);
    refused(&Kept { it: Internal::It { it: 1_u128 } }, reason);
    kept(Flat { name: "x".into(), rest: Newtype2 { it: u64::MAX } });
    kept(Untagged::It { it: i64::MIN });
    kept(Internal::It { it: 0.5 });
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Newtype2<T> {
    it: T,
}

#[test]
fn a_key_that_is_not_text_is_refused_only_where_it_is_not_read_back() {
    kept(HashMap::from([(1_u8, 2), (3, 4)]));
    kept(BTreeMap::from([(true, 'x')]));
    let rest = BTreeMap::from([(1_u8, 2_u8)]);
    refused(&Kept { it: Flat { name: "x".into(), rest } }, "cannot be read back");
    kept(Flat { name: "x".into(), rest: BTreeMap::from([('a', 1), ('b', 2)]) });
}

#[test]
fn two_keys_that_are_the_same_are_refused_where_the_value_is_lost() {
    let rest = |key: &str| BTreeMap::from([(key.to_owned(), "y".to_owned())]);
    kept(Flat { name: "x".into(), rest: rest("other") });
    refused(&Kept { it: Flat { name: "x".into(), rest: rest("name") } }, "duplicate field `name`");
    kept(Internal::Inner(rest("other")));
    refused(&Kept { it: Internal::Inner(rest("kind")) }, "duplicate field `kind`");
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(transparent)]
struct Disguised(HashSet<u32>);

#[test]
fn an_order_that_a_type_does_not_preserve_does_not_count() {
    let numbers = || 0..50_u32;
    kept(numbers().map(|n| (n.to_string(), n)).collect::<HashMap<_, _>>());
    kept(numbers().collect::<HashSet<_>>());
    kept(Some(Disguised(numbers().collect())));
    kept(vec![3, 1, 2]);
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Lists {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(untagged)]
enum Whole {
    Large(u64),
    Signed(i64),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn doubled<S: serde::Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(2 * value)
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Odd {
    Doubled {
        before: u8,
        #[serde(serialize_with = "doubled")]
        twice: u32,
    },
}

#[test]
fn types_that_are_not_read_back_unchanged_are_detected() {
    refused(&Kept { it: Lists { labels: vec![] } }, "it: missing field `labels`");
    kept(Lists { labels: vec!["x".into()] });
    refused(&Kept { it: vec![Whole::Large(1), Whole::Signed(5)] }, "the field `it[1]` differs");
    let odd = Odd::Doubled { before: 1, twice: 2 };
    refused(
        &odd,
        "the event of type \"doubled\" is read back as a different event: the field `twice` differs",
    );
}

#[test]
fn a_log_in_memory_refuses_unreadable_events_in_debug_builds_and_accepts_events_without_an_encoding()
 {
    let taken = EventStore::in_memory().append(Kept { it: f64::NAN });
    assert_eq!(taken.is_err(), cfg!(debug_assertions));
    let taken = EventStore::in_memory().append(Kept { it: Some(None::<u8>) });
    assert_eq!(taken.is_err(), cfg!(debug_assertions));
    let taken = EventStore::in_memory().append(Kept { it: "x".repeat(annals::MAX_DATA_BYTES) });
    assert_eq!(taken.is_err(), cfg!(debug_assertions));
    let keys = BTreeMap::from([((1, 2), 3)]);
    EventStore::in_memory().append(Kept { it: keys.clone() }).unwrap();
    refused(&Kept { it: keys }, "it: key must be a string");
}

#[derive(Event, Debug, Clone, PartialEq)]
enum Skipped {
    Noted {
        #[serde(skip)]
        seen: u32,
    },
}

#[test]
fn an_encoding_log_in_memory_returns_the_decoded_event() {
    let store = EventStore::in_memory_encoded();
    store.append(Skipped::Noted { seen: 1 }).unwrap();
    assert_eq!(store.get(0).unwrap().unwrap().event, Skipped::Noted { seen: 0 });
    let large = store.append_batch([Skipped::Noted { seen: 1 }, Skipped::Noted { seen: 2 }]);
    assert_eq!(large.unwrap(), 1..3);
    let store = EventStore::in_memory_encoded();
    let large = Kept { it: "x".repeat(annals::MAX_DATA_BYTES) };
    let error = store.append(large).unwrap_err();
    assert!(matches!(
        error,
        AppendError::Invalid { source: InvalidEvent::DataTooLarge { .. }, .. }
    ));
    assert!(store.is_empty());
}

#[test]
fn debug_builds_check_every_event() {
    let directory = tempfile::tempdir().unwrap();
    let files = EventStore::<Odd>::open(directory.path().join("store")).unwrap();
    let taken = files.append(Odd::Doubled { before: 1, twice: 2 });
    assert_eq!(taken.is_err(), cfg!(debug_assertions));
}

/// An event without an exact form.
#[derive(Debug, Clone, PartialEq)]
enum ByHand {
    Map(HashMap<String, u32>),
    MaybeNull(Option<Option<u32>>),
    /// Decoding subtracts 1 each time.
    Counts(u32),
    CannotBeRead,
}

impl Event for ByHand {
    fn event_type(&self) -> &str {
        match self {
            Self::Map(_) => "map",
            Self::MaybeNull(_) => "maybe-null",
            Self::Counts(_) => "counts",
            Self::CannotBeRead => "cannot-be-read",
        }
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        None
    }

    fn encode(&self, data: &mut Vec<u8>) -> Result<(), CodecError> {
        match self {
            Self::Map(map) => Json::encode(map, data),
            Self::MaybeNull(maybe) => Json::encode(maybe, data),
            Self::Counts(count) => Json::encode(count, data),
            Self::CannotBeRead => Ok(()),
        }
    }

    fn decode(raw: &RawEvent) -> Result<Self, CodecError> {
        let data = raw.data_bytes();
        match raw.event_type() {
            "map" => Json::decode(data).map(Self::Map),
            "maybe-null" => Json::decode(data).map(Self::MaybeNull),
            "counts" => Json::decode::<u32>(data).map(|count| Self::Counts(count - 1)),
            found => Err(CodecError::UnknownType { found: found.into(), expected: "map".into() }),
        }
    }
}

#[test]
fn an_event_with_a_hand_written_implementation_is_compared_by_its_own_encoding() {
    assert_round_trip(&ByHand::Map((0..50).map(|n| (n.to_string(), n)).collect()));
    assert_round_trip(&ByHand::MaybeNull(Some(Some(1))));
    refused(&ByHand::MaybeNull(Some(None)), "a `Some` in it is written as null");
    refused(&ByHand::Counts(7), "its payload differs");
    refused(&ByHand::CannotBeRead, "cannot be read back");
    // A log in memory never encodes it.
    EventStore::in_memory().append(ByHand::CannotBeRead).unwrap();
}

#[test]
fn doubts_about_an_earlier_payload_do_not_affect_an_event() {
    // This thread encodes a doubtful payload outside of an append. If the doubt remained, the next append would fail.
    Json::encode(&Some(None::<u8>), &mut Vec::new()).unwrap();
    assert_round_trip(&ByHand::MaybeNull(Some(Some(1))));
}

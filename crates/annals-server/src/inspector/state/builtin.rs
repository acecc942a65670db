//! The projections that every server has: counts, and the JSON of a tag's events merged into one value.

use std::collections::BTreeMap;

use annals::{Query, RawEvent, Recorded};
use serde::Serialize;
use serde_json::value::RawValue;

use super::view::{Fold, State, View};
use crate::fault::{Fault, Kind};

/// The largest data of an event that is merged.
const MAX_DATA: usize = 1 << 20;
/// The largest merged state, in bytes of memory.
const MAX_STATE: usize = 16 << 20;
/// The bytes by which a merged state may grow beyond [`MAX_STATE`] before it is measured again.
const MEASURED_AFTER: usize = 1 << 20;
/// The bytes that the system's allocator needs for each piece of memory, beside those that were asked for.
const PIECE: usize = 16;
/// The bytes of a node of a map: it has room for 11 fields, and at least 5 unless it is the only one. A quarter is
/// added for the nodes above the leaves.
const MAP_NODE: usize = (11 * (size_of::<String>() + size_of::<Node>()) + 2 * PIECE) * 5 / 4;
/// The least number of fields in a node of a map that has several.
const IN_MAP_NODE: usize = 5;
/// The largest number of types that are counted by name.
const MAX_TYPES: usize = 4_096;
/// The deepest objects that are merged; deeper ones are replaced as a whole.
const MAX_DEPTH: usize = 32;

/// The number of events by type, of the whole log or of one tag.
pub(super) struct Counts;

impl View for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn parameter(&self) -> Option<String> {
        Some("Tag (none: the whole log)".to_owned())
    }

    fn open(&self, of: &str) -> Option<Box<dyn Fold>> {
        Some(Box::new(CountsOf(of.to_owned())))
    }
}

struct CountsOf(String);

impl Fold for CountsOf {
    fn query(&self) -> Query {
        if self.0.is_empty() { Query::all() } else { Query::tag(&*self.0) }
    }

    fn initial(&self) -> Box<dyn State> {
        Box::new(CountState::default())
    }
}

#[derive(Debug, Clone, Default, Serialize)]
struct CountState {
    events: u64,
    types: BTreeMap<String, u64>,
    /// The events of types that came after [`MAX_TYPES`] others.
    #[serde(skip_serializing_if = "is_zero")]
    other_types: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl State for CountState {
    fn apply(&mut self, event: &Recorded<RawEvent>) -> Result<(), Fault> {
        self.events += 1;
        let is_full = self.types.len() >= MAX_TYPES;
        match self.types.get_mut(event.event.event_type()) {
            Some(count) => *count += 1,
            None if is_full => self.other_types += 1,
            None => {
                self.types.insert(event.event.event_type().to_owned(), 1);
            }
        }
        Ok(())
    }

    fn to_json(&self) -> Result<String, Fault> {
        json(self)
    }

    fn copy(&self) -> Box<dyn State> {
        Box::new(self.clone())
    }
}

/// The data of a tag's events, merged as RFC 7396 has it: an object changes the fields that it has, `null` removes a
/// field, and any other value replaces what was there.
pub(super) struct Merge;

impl View for Merge {
    fn name(&self) -> &'static str {
        "merge"
    }

    fn parameter(&self) -> Option<String> {
        Some("Tag".to_owned())
    }

    fn open(&self, of: &str) -> Option<Box<dyn Fold>> {
        (!of.is_empty()).then(|| Box::new(MergeOf(of.to_owned())) as Box<dyn Fold>)
    }
}

struct MergeOf(String);

impl Fold for MergeOf {
    fn query(&self) -> Query {
        Query::tag(&*self.0)
    }

    fn initial(&self) -> Box<dyn State> {
        Box::new(MergeState { value: Node::Object(BTreeMap::new()), skipped: 0, most: 0 })
    }
}

#[derive(Debug, Clone)]
struct MergeState {
    value: Node,
    skipped: u64,
    /// The most bytes of memory that the state can take: those when it was measured, and the growth since then.
    most: usize,
}

/// A value. What is not an object stays the text that was appended, so no number is rounded.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Node {
    Object(BTreeMap<String, Node>),
    Other(Box<RawValue>),
}

impl Node {
    /// Returns a value as it is in a patch; `None` for null.
    fn parse(text: &RawValue, depth: usize) -> Option<Self> {
        if text.get() == "null" {
            return None;
        }
        match fields(text, depth) {
            Some(fields) => {
                let parsed = fields
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, Self::parse(&value, depth + 1)?)));
                Some(Self::Object(parsed.collect()))
            }
            None => Some(Self::Other(text.to_owned())),
        }
    }

    /// Applies a patch to this value.
    fn merge(&mut self, patch: &RawValue, depth: usize) {
        let Some(fields) = fields(patch, depth) else {
            *self = Self::Other(patch.to_owned());
            return;
        };
        if let Self::Other(_) = self {
            *self = Self::Object(BTreeMap::new());
        }
        let Self::Object(object) = self else { return };
        for (name, value) in fields {
            match object.get_mut(&name) {
                _ if value.get() == "null" => {
                    object.remove(&name);
                }
                Some(old) => old.merge(&value, depth + 1),
                None => {
                    if let Some(new) = Self::parse(&value, depth + 1) {
                        object.insert(name, new);
                    }
                }
            }
        }
    }

    /// Returns the bytes of memory that the value takes. An object takes far more than its text.
    fn memory(&self) -> usize {
        match self {
            Self::Object(fields) => {
                let parts = fields.iter();
                let parts = parts.map(|(name, value)| PIECE + name.capacity() + value.memory());
                fields.len().div_ceil(IN_MAP_NODE) * MAP_NODE + parts.sum::<usize>()
            }
            Self::Other(text) => PIECE + text.get().len(),
        }
    }
}

/// Returns the most bytes of memory that a value with this text can take.
fn most_memory(text: &[u8]) -> usize {
    // Each object begins with a brace, and each field has a colon. Lists are kept as text, with the objects in them.
    let (mut objects, mut fields, mut lists) = (0, 0, 0_usize);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' => lists += 1,
            b']' => lists = lists.saturating_sub(1),
            b'{' if lists == 0 => objects += 1,
            b':' if lists == 0 => fields += 1,
            _ => {}
        }
    }
    objects * MAP_NODE + fields * (MAP_NODE / IN_MAP_NODE + 1 + 2 * PIECE) + PIECE + text.len()
}

/// Takes the bytes of a string whose first quote was taken.
fn skip_string<'a>(bytes: &mut impl Iterator<Item = &'a u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return,
            _ => {}
        }
    }
}

/// Returns the fields of an object that is not too deep.
fn fields(text: &RawValue, depth: usize) -> Option<BTreeMap<String, Box<RawValue>>> {
    if depth >= MAX_DEPTH || !text.get().starts_with('{') {
        return None;
    }
    serde_json::from_str(text.get()).ok()
}

impl State for MergeState {
    fn apply(&mut self, event: &Recorded<RawEvent>) -> Result<(), Fault> {
        let data = event.event.data_bytes();
        let growth = most_memory(data);
        let patch = if data.len() > MAX_DATA || growth > MAX_STATE {
            None
        } else {
            serde_json::from_slice::<Box<RawValue>>(data).ok()
        };
        let Some(patch) = patch else {
            self.skipped += 1;
            return Ok(());
        };
        self.value.merge(&patch, 0);
        self.most += growth;
        if self.most > MAX_STATE + MEASURED_AFTER {
            self.most = self.value.memory();
            if self.most > MAX_STATE {
                let message = "the merged state takes more than 16 MiB of memory";
                return Err(Fault::new(Kind::StateTooLarge, message));
            }
        }
        Ok(())
    }

    fn to_json(&self) -> Result<String, Fault> {
        json(&self.value)
    }

    fn skipped(&self) -> u64 {
        self.skipped
    }

    fn size(&self) -> Result<usize, Fault> {
        Ok(self.value.memory())
    }

    fn copy(&self) -> Box<dyn State> {
        Box::new(self.clone())
    }
}

fn json(state: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(state).map_err(|error| {
        Fault::new(Kind::Internal, format!("the state cannot be written as JSON: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(patches: &[&str]) -> (String, u64) {
        let mut state = MergeOf("a".to_owned()).initial();
        for (offset, patch) in (0..).zip(patches) {
            let event = RawEvent::builder("a").data(patch.as_bytes().to_vec()).build().unwrap();
            state.apply(&Recorded { offset, time_ms: 0, event }).unwrap();
        }
        (state.to_json().unwrap(), state.skipped())
    }

    #[test]
    fn objects_in_lists_and_in_strings_count_as_text() {
        let row = r#"{"a":"x\\\"}{:"},"#;
        let rows = format!(r#"{{"rows":[{}{{}}]}}"#, row.repeat(30_000));
        assert_eq!(merged(&[&rows]), (rows.clone(), 0));
        assert!(most_memory(rows.as_bytes()) < rows.len() + 10_000);
        let nested = r#"{"a":{"b":{}}}"#;
        assert_eq!(most_memory(nested.as_bytes()), most_memory(b"{:{:{") + nested.len() - 5);
        assert!(most_memory(nested.as_bytes()) > 3 * MAP_NODE);
    }

    #[test]
    fn data_is_merged_as_the_rfc_has_it() {
        for (patches, expected) in [
            (&[r#"{"a":1}"#, r#"{"b":2,"a":null}"#][..], r#"{"b":2}"#),
            (
                &[r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"b":null,"d":[1,null]}}"#],
                r#"{"a":{"c":2,"d":[1,null]}}"#,
            ),
            (&[r#"{"a":[1]}"#, r#"{"a":{"b":{"c":null}}}"#], r#"{"a":{"b":{}}}"#),
            (&[r#"{"a":1}"#, "[2]", r#"{"b":3}"#], r#"{"b":3}"#),
            (
                &[r#"{"n":123456789012345678901234567890}"#],
                r#"{"n":123456789012345678901234567890}"#,
            ),
            (&["null"], "null"),
        ] {
            assert_eq!(merged(patches), (expected.to_owned(), 0), "{patches:?}");
        }
        assert_eq!(merged(&["\u{1}", "", r#"{"a":1}"#]), (r#"{"a":1}"#.to_owned(), 2));
    }

    #[test]
    fn deep_data_is_replaced_as_a_whole() {
        let deep = |value: u8| format!("{}{value}{}", "{\"a\":".repeat(100), "}".repeat(100));
        assert_eq!(merged(&[&deep(1), &deep(2)]).0, deep(2));
    }
    /// Applies events of these types and data until one fails.
    fn apply_all(
        state: &mut dyn State,
        events: impl Iterator<Item = (String, String)>,
    ) -> Result<(), Fault> {
        for (offset, (event_type, data)) in (0..).zip(events) {
            let event = RawEvent::builder(event_type).data(data.into_bytes()).build().unwrap();
            state.apply(&Recorded { offset, time_ms: 0, event })?;
        }
        Ok(())
    }

    #[test]
    fn a_state_of_many_small_events_is_bounded() {
        let mut state = MergeOf("a".to_owned()).initial();
        let value = "x".repeat(1_000);
        let events = (0..20_000).map(|n| ("a".to_owned(), format!(r#"{{"{n}":"{value}"}}"#)));
        let fault = apply_all(&mut *state, events).unwrap_err();
        assert_eq!(fault.kind, Kind::StateTooLarge);
        assert!(state.size().unwrap() < MAX_STATE + 2 * MEASURED_AFTER);
    }

    #[test]
    fn a_state_of_many_objects_is_bounded_by_its_memory() {
        // A nested object takes more than 50 times the memory of its text.
        let mut state = MergeOf("a".to_owned()).initial();
        let events = (0..100_000).map(|n| ("a".to_owned(), format!(r#"{{"{n}":{{"a":{{}}}}}}"#)));
        apply_all(&mut *state, events).unwrap_err();
        assert!(state.to_json().unwrap().len() < 1 << 20);
        assert!(state.size().unwrap() < MAX_STATE + 2 * MEASURED_AFTER);
        // The same in one event, which cannot be merged at all.
        let fields: Vec<String> = (0..50_000).map(|n| format!(r#""{n}":{{"a":1}}"#)).collect();
        let event = ("a".to_owned(), format!("{{{}}}", fields.join(",")));
        let mut state = MergeOf("a".to_owned()).initial();
        apply_all(&mut *state, [event].into_iter()).unwrap();
        assert_eq!((state.skipped(), &*state.to_json().unwrap()), (1, "{}"));
    }

    #[test]
    fn a_state_that_only_changes_has_room_for_any_number_of_events() {
        let mut state = MergeOf("a".to_owned()).initial();
        let value = "x".repeat(1_000);
        let events = (0..40_000).map(|n| ("a".to_owned(), format!(r#"{{"{}":"{value}"}}"#, n % 9)));
        apply_all(&mut *state, events).unwrap();
        assert!(state.size().unwrap() < 20_000);
    }

    #[test]
    fn the_memory_of_a_value_is_at_most_that_of_its_text() {
        for text in [r#"{"a":1}"#, r#"{"a":{"b":{"c":{}}},"d":[1,2]}"#, "[]", r#""a:{""#, "{}"] {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            let value = Node::parse(&raw, 0).unwrap();
            assert!(value.memory() <= most_memory(text.as_bytes()), "{text}");
        }
        let fields: Vec<String> = (0..1_000).map(|n| format!(r#""{n}":{{"a":{n}}}"#)).collect();
        let text = format!("{{{}}}", fields.join(","));
        let raw: Box<RawValue> = serde_json::from_str(&text).unwrap();
        let value = Node::parse(&raw, 0).unwrap();
        assert!(value.memory() <= most_memory(text.as_bytes()));
    }

    #[test]
    fn many_types_are_counted_together() {
        let mut state = CountsOf(String::new()).initial();
        let events = (0..MAX_TYPES + 3).map(|n| (format!("t{n}"), String::new()));
        apply_all(&mut *state, events).unwrap();
        let json: serde_json::Value = serde_json::from_str(&state.to_json().unwrap()).unwrap();
        assert_eq!(json["types"].as_object().unwrap().len(), MAX_TYPES);
        assert_eq!((&json["events"], &json["other_types"]), (&(MAX_TYPES + 3).into(), &3.into()));
    }
}

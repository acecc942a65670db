//! The projections that every server has: counts, and the JSON of a tag's events merged into one value.

use std::collections::BTreeMap;

use annals::{Query, RawEvent, Recorded};
use serde::Serialize;
use serde_json::value::RawValue;

use super::view::{Fold, State, View};
use crate::fault::{Fault, Kind};

/// The largest data of an event that is merged.
const MAX_DATA: usize = 1 << 20;
/// The largest merged state, in bytes of its parts.
const MAX_STATE: usize = 8 << 20;
/// The bytes of data after which the merged state is measured again.
const MEASURED_AFTER: usize = 1 << 20;
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
        Box::new(MergeState { value: Node::Object(BTreeMap::new()), skipped: 0, unmeasured: 0 })
    }
}

#[derive(Debug, Clone)]
struct MergeState {
    value: Node,
    skipped: u64,
    /// The bytes of data that were merged since the state was measured.
    unmeasured: usize,
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

    fn size(&self) -> usize {
        match self {
            Self::Object(fields) => {
                fields.iter().map(|(name, value)| name.len() + 8 + value.size()).sum()
            }
            Self::Other(text) => text.get().len(),
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
        let patch = if data.len() > MAX_DATA {
            None
        } else {
            serde_json::from_slice::<Box<RawValue>>(data).ok()
        };
        let Some(patch) = patch else {
            self.skipped += 1;
            return Ok(());
        };
        self.value.merge(&patch, 0);
        self.unmeasured += data.len();
        if self.unmeasured > MEASURED_AFTER {
            self.unmeasured = 0;
            if self.value.size() > MAX_STATE {
                let message = format!("the merged state is larger than {MAX_STATE} bytes (8 MiB)");
                return Err(Fault::new(Kind::EventTooLarge, message));
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
        let events = (0..12_000).map(|n| ("a".to_owned(), format!(r#"{{"{n}":"{value}"}}"#)));
        let fault = apply_all(&mut *state, events).unwrap_err();
        assert_eq!(fault.kind, Kind::EventTooLarge);
        assert!(state.to_json().unwrap().len() < MAX_STATE + 2 * MEASURED_AFTER);
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

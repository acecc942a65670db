//! What a fuzz target calls: the lines of the input are the data of events, which are merged into a state.

use annals::{RawEvent, Recorded};
use serde_json::Value;

use super::builtin::Merge;
use super::diff::changes;
use super::view::View as _;

/// The depth up to which the state is merged as the RFC has it. Deeper objects are replaced as a whole.
const DEPTH: usize = 30;

/// Merges the lines of the input, and compares each state with what a simple implementation of RFC 7396 makes of them.
pub(in crate::inspector) fn parse(input: &[u8]) {
    let mut state = Merge.open("a").expect("a tag").initial();
    let mut expected = Some(Value::Object(serde_json::Map::new()));
    let mut before = state.to_json().expect("a state");
    for (offset, line) in (0..).zip(input.split(|byte| *byte == b'\n')) {
        let Ok(event) = RawEvent::builder("a").data(line.to_vec()).build() else { return };
        let skipped = state.skipped();
        let fits = state.apply(&Recorded { offset, time_ms: 0, event }).is_ok();
        assert!(fits, "the input is smaller than the largest state");
        let after = state.to_json().expect("a state");
        // Unequal states may have no changes: `changes` ignores white space in lists.
        let (found, _) = changes(&before, &after).expect("the states are small");
        assert!(before != after || found.is_empty(), "{before} {found:?}");
        if state.skipped() == skipped {
            let patch = serde_json::from_slice::<Value>(line).ok();
            let patch = patch.filter(|patch| depth(patch) < DEPTH);
            // A number that has no place in 64 bits, and a deep object, are not compared, nor what comes after them.
            expected = expected.zip(patch).map(|(old, patch)| merged(old, patch));
        }
        if let Some(expected) = &expected {
            let found = serde_json::from_str::<Value>(&after);
            assert_eq!(found.ok().as_ref(), Some(expected), "{after}");
        }
        before = after;
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn merged(old: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else { return patch };
    let mut fields = if let Value::Object(fields) = old { fields } else { serde_json::Map::new() };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            let old = fields.remove(&name).unwrap_or(Value::Null);
            fields.insert(name, merged(old, value));
        }
    }
    Value::Object(fields)
}

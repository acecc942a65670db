//! What one event changed in a state: the values of two pieces of JSON that differ, by their paths.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The largest JSON that is compared.
const MAX_JSON: usize = 2 << 20;
/// The deepest value that is compared by its parts.
const MAX_DEPTH: usize = 24;
/// The largest number of changes.
const MAX_CHANGES: usize = 100;

/// A value that differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The path, as JSON pointers have it.
    pub(super) path: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// Returns the values that differ, and whether these are all; `None` if the states are too large to compare.
pub(super) fn changes(before: &str, after: &str) -> Option<(Vec<Change>, bool)> {
    if before.len() + after.len() > MAX_JSON {
        return None;
    }
    let parse = |text| serde_json::from_str::<&RawValue>(text).ok();
    let mut found = Vec::new();
    compare(parse(before)?, parse(after)?, String::new(), 0, &mut found);
    let all = found.len() <= MAX_CHANGES;
    found.truncate(MAX_CHANGES);
    Some((found, all))
}

/// The parts of a container.
enum Parts<'j> {
    Object(BTreeMap<String, &'j RawValue>),
    Array(Vec<&'j RawValue>),
}

fn parts(value: &RawValue) -> Option<Parts<'_>> {
    match value.get().as_bytes().first() {
        Some(b'{') => serde_json::from_str(value.get()).ok().map(Parts::Object),
        Some(b'[') => serde_json::from_str(value.get()).ok().map(Parts::Array),
        _ => None,
    }
}

fn compare(
    before: &RawValue,
    after: &RawValue,
    path: String,
    depth: usize,
    found: &mut Vec<Change>,
) {
    if before.get() == after.get() || found.len() > MAX_CHANGES {
        return;
    }
    let both = if depth < MAX_DEPTH { (parts(before), parts(after)) } else { (None, None) };
    match both {
        (Some(Parts::Object(old)), Some(Parts::Object(new))) => {
            for (name, value) in &old {
                let path = below(&path, name);
                match new.get(name) {
                    Some(other) => compare(value, other, path, depth + 1, found),
                    None => found.push(Change { path, before: Some(text(value)), after: None }),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                found.push(Change {
                    path: below(&path, name),
                    before: None,
                    after: Some(text(value)),
                });
            }
        }
        (Some(Parts::Array(old)), Some(Parts::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                let path = below(&path, &index.to_string());
                match (old.get(index), new.get(index)) {
                    (Some(value), Some(other)) => compare(value, other, path, depth + 1, found),
                    (value, other) => {
                        let (before, after) =
                            (value.map(|value| text(value)), other.map(|value| text(value)));
                        found.push(Change { path, before, after });
                    }
                }
            }
        }
        _ => found.push(Change { path, before: Some(text(before)), after: Some(text(after)) }),
    }
}

fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn text(value: &RawValue) -> String {
    value.get().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(before: &str, after: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let (found, all) = changes(before, after).unwrap();
        assert!(all);
        found.into_iter().map(|change| (change.path, change.before, change.after)).collect()
    }

    #[test]
    fn only_what_differs_is_returned() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(differ(r#"{"a":1}"#, r#"{"a":1}"#), []);
        assert_eq!(
            differ(r#"{"a":1,"b":{"c/~":[1,2]}}"#, r#"{"b":{"c/~":[1,3,4]},"d":null}"#),
            [
                ("/a".into(), some("1"), None),
                ("/b/c~1~0/1".into(), some("2"), some("3")),
                ("/b/c~1~0/2".into(), None, some("4")),
                ("/d".into(), None, some("null")),
            ]
        );
        assert_eq!(differ("1", r#"{"a":1}"#), [(String::new(), some("1"), some(r#"{"a":1}"#))]);
        let big = "123456789012345678901234567890";
        assert_eq!(differ(big, "123456789012345678901234567891").len(), 1);
    }

    #[test]
    fn the_work_is_bounded() {
        let many = |value: u8| format!("[{}0]", format!("{value},").repeat(1_000));
        let (found, all) = changes(&many(1), &many(2)).unwrap();
        assert_eq!((found.len(), all), (MAX_CHANGES, false));
        let deep = |value: u8| format!("{}{value}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(changes(&deep(1), &deep(2)).unwrap().0.len(), 1);
        assert_eq!(changes(&"1".repeat(MAX_JSON), "1"), None);
    }
}

//! What one event changed in a state: the values of two pieces of JSON that differ, by their paths.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::inspector::text::beginning;

/// The largest JSON that is compared.
const MAX_JSON: usize = 2 << 20;
/// The deepest value that is compared by its parts.
const MAX_DEPTH: usize = 24;
/// The largest number of changes.
const MAX_CHANGES: usize = 100;
/// The longest value of a change, in bytes. A path is at most twice as long.
const MAX_TEXT: usize = 4 << 10;

/// A value that differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The path, as JSON pointers have it. A long path is cut, and so is a long value.
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
    compare(parse(before)?, parse(after)?, &Path::Root, 0, &mut found);
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

/// Where a value is: the names and indexes on the way to it. It becomes text only if the value differs.
enum Path<'p> {
    Root,
    Field(&'p Self, &'p str),
    Element(&'p Self, usize),
}

impl Path<'_> {
    /// Returns the path as JSON pointers have it. A long path is cut.
    fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Root => {}
            Self::Field(parent, name) => {
                parent.write(text);
                let name = cut(name);
                push(text, &format!("/{}", name.replace('~', "~0").replace('/', "~1")));
            }
            Self::Element(parent, index) => {
                parent.write(text);
                push(text, &format!("/{index}"));
            }
        }
    }
}

/// Adds a part to a path, as far as the path has room for it.
fn push(text: &mut String, part: &str) {
    if text.len() < MAX_TEXT {
        text.push_str(cut(part));
    }
}

fn compare(
    before: &RawValue,
    after: &RawValue,
    path: &Path<'_>,
    depth: usize,
    found: &mut Vec<Change>,
) {
    if before.get() == after.get() || is_full(found) {
        return;
    }
    let both = if depth < MAX_DEPTH { (parts(before), parts(after)) } else { (None, None) };
    match both {
        (Some(Parts::Object(old)), Some(Parts::Object(new))) => {
            let added = new.iter().filter(|(name, _)| !old.contains_key(*name));
            let added = added.map(|(name, value)| (name, None, Some(*value)));
            let kept = old.iter().map(|(name, value)| (name, Some(*value), new.get(name).copied()));
            for (name, before, after) in kept.chain(added) {
                if is_full(found) {
                    return;
                }
                compare_parts(before, after, &Path::Field(path, name), depth + 1, found);
            }
        }
        (Some(Parts::Array(old)), Some(Parts::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                if is_full(found) {
                    return;
                }
                let (before, after) = (old.get(index).copied(), new.get(index).copied());
                compare_parts(before, after, &Path::Element(path, index), depth + 1, found);
            }
        }
        _ => found.push(change(Some(before), Some(after), path)),
    }
}

/// Compares two parts with the same name or index. A part that only one of the containers has is a change.
fn compare_parts(
    before: Option<&RawValue>,
    after: Option<&RawValue>,
    path: &Path<'_>,
    depth: usize,
    found: &mut Vec<Change>,
) {
    match (before, after) {
        (Some(before), Some(after)) => compare(before, after, path, depth, found),
        (before, after) => found.push(change(before, after, path)),
    }
}

/// Returns whether more changes were found than are shown.
fn is_full(found: &[Change]) -> bool {
    found.len() > MAX_CHANGES
}

fn change(before: Option<&RawValue>, after: Option<&RawValue>, path: &Path<'_>) -> Change {
    let text = |value: &RawValue| cut(value.get()).to_owned();
    Change { path: path.text(), before: before.map(text), after: after.map(text) }
}

/// Returns the first [`MAX_TEXT`] bytes of a text.
fn cut(text: &str) -> &str {
    beginning(text, MAX_TEXT).0
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
    /// Returns the number of changes that the comparison found, and the longest path and value.
    fn found(before: &str, after: &str) -> (usize, usize, usize) {
        let parse = |text| serde_json::from_str::<&RawValue>(text).unwrap();
        let mut found = Vec::new();
        compare(parse(before), parse(after), &Path::Root, 0, &mut found);
        let path = found.iter().map(|change| change.path.len()).max().unwrap_or(0);
        let values = found.iter().flat_map(|change| [&change.before, &change.after]).flatten();
        (found.len(), path, values.map(String::len).max().unwrap_or(0))
    }

    #[test]
    fn added_and_removed_parts_below_a_long_name_are_bounded() {
        let name = "~é/".repeat(20_000);
        let array = |parts: &str| format!("{{\"{name}\":[{parts}]}}");
        let fields: Vec<String> = (0..1_000).map(|n| format!("\"{n}\":1")).collect();
        let object = |parts: &str| format!("{{\"{name}\":{{{parts}}}}}");
        let (ones, fields) = (["1"; 1_000].join(","), fields.join(","));
        for [full, empty] in [[array(&ones), array("")], [object(&fields), object("")]] {
            for (before, after) in [(&full, &empty), (&empty, &full)] {
                let (changes, path, _) = found(before, after);
                assert_eq!(changes, MAX_CHANGES + 1);
                assert!(path <= 2 * MAX_TEXT, "{path} bytes");
            }
        }
        let long = format!("[\"{}\"]", "é".repeat(100_000));
        assert_eq!(found("[]", &long), (1, 2, MAX_TEXT - 1));
    }
}

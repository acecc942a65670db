//! The names under which the server stores the fields that UmaDB's contract has and annals does not have.
//!
//! ```text
//!   $uuid      the client's uuid                    $order      the order in which the client gave the metadata
//!   $tracking  POSITION SOURCE, and the tag $tracking:SOURCE    $actor  the name of the token that appended
//!   $id        the native id, on the way in and out: never stored
//! ```

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::trace::TRACEPARENT;

/// The metadata name of a client's uuid.
pub(crate) const UUID: &str = "$uuid";
/// The metadata name of the order of the other metadata.
pub(crate) const ORDER: &str = "$order";
/// The metadata name of the tracking information, and the type of an event that has nothing else.
pub(crate) const TRACKING: &str = "$tracking";
/// The metadata name of the client that appended the event.
pub(crate) const ACTOR: &str = "$actor";
/// The metadata name under which UmaDB's contract carries the event's id.
pub(crate) const ID: &str = "$id";
/// The beginning of the tag of a tracking source.
const TRACKING_TAG: &str = "$tracking:";

/// The longest source that is in its tag unchanged.
const MAX_PLAIN_SOURCE: usize = 245;

/// Returns whether clients may not send this metadata name.
pub(crate) fn is_reserved_name(name: &str) -> bool {
    matches!(name, UUID | ORDER | TRACKING | ACTOR)
}

/// Returns whether clients may not send this tag.
pub(crate) fn is_reserved_tag(tag: &str) -> bool {
    tag.starts_with(TRACKING_TAG)
}

/// Returns the tag of a tracking source. A source that cannot be in a tag, or looks like a hash, is hashed.
pub(crate) fn tracking_tag(source: &str) -> String {
    let fits = source.len() <= MAX_PLAIN_SOURCE && !source.is_empty();
    if fits && !source.starts_with('#') && !source.chars().any(char::is_control) {
        return format!("{TRACKING_TAG}{source}");
    }
    let mut tag = format!("{TRACKING_TAG}#");
    for byte in Sha256::digest(source.as_bytes()) {
        // Writing into a String does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag
}

/// Returns the value of the metadata [`TRACKING`].
pub(crate) fn tracking_value(source: &str, position: u64) -> String {
    format!("{position} {source}")
}

/// Returns the source and the position of a value of the metadata [`TRACKING`]; `None` if it is not one.
pub(crate) fn parse_tracking(value: &str) -> Option<(&str, u64)> {
    let (position, source) = value.split_once(' ')?;
    Some((source, position.parse().ok()?))
}

/// Returns the value of the metadata [`ORDER`] for names in the order in which a client gave them; `None` if they are
/// sorted, as annals keeps them.
pub(crate) fn order_of(names: &[&str]) -> Option<String> {
    if names.is_sorted() {
        return None;
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let places = names.iter().map(|name| sorted.partition_point(|other| other < name).to_string());
    Some(places.collect::<Vec<_>>().join(","))
}

/// Puts sorted metadata back into the order that [`order_of`] wrote. The server added its own entries after the order
/// was written, so they stand behind the client's. Leaves the metadata if the value is not an order of it.
pub(crate) fn restore_order(metadata: &mut Vec<(&str, &str)>, order: &str) {
    let places: Option<Vec<usize>> = order.split(',').map(|place| place.parse().ok()).collect();
    let Some(places) = places else { return };
    let mut entries = metadata.clone();
    let mut added = Vec::new();
    // A client cannot send the first name. It may send the second one, which then is part of the order.
    for name in [ACTOR, TRACEPARENT] {
        let found = entries.iter().position(|entry| entry.0 == name);
        if let Some(found) = found.filter(|_| entries.len() > places.len()) {
            added.push(entries.remove(found));
        }
    }
    let mut seen = vec![false; entries.len()];
    for &place in &places {
        match seen.get_mut(place) {
            Some(seen) if !*seen => *seen = true,
            _ => return,
        }
    }
    if places.len() == entries.len() {
        *metadata = places.iter().map(|&place| entries[place]).chain(added).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_restored_and_a_false_one_ignored() {
        assert_eq!(order_of(&["a", "b"]), None);
        let given = ["c", "a", "b"];
        let order = order_of(&given).unwrap();
        assert_eq!(order, "2,0,1");
        let entries =
            |names: &[&'static str]| -> Vec<_> { names.iter().map(|&n| (n, "")).collect() };
        let restored = |names: &[&'static str], order: &str| {
            let mut metadata = entries(names);
            restore_order(&mut metadata, order);
            metadata.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(restored(&["a", "b", "c"], &order), given);
        for bad in ["", "0,1", "0,0,1", "0,1,3", "x,y,z", "0,1,2,3", "-1,0,1"] {
            assert_eq!(restored(&["a", "b", "c"], bad), ["a", "b", "c"], "{bad:?}");
        }
        // What the server added is not in the order.
        assert_eq!(restored(&[ACTOR, "u", "v"], "1,0"), ["v", "u", ACTOR]);
        assert_eq!(restored(&["a", TRACEPARENT, "z"], "1,0"), ["z", "a", TRACEPARENT]);
        assert_eq!(
            restored(&[ACTOR, "a", TRACEPARENT, "z"], "1,0"),
            ["z", "a", ACTOR, TRACEPARENT]
        );
        assert_eq!(restored(&[ACTOR, "a", TRACEPARENT], "1,0"), [TRACEPARENT, "a", ACTOR]);
    }

    #[test]
    fn tags_of_sources_fit_and_differ() {
        assert_eq!(tracking_tag("orders"), "$tracking:orders");
        let long = "x".repeat(246);
        for source in ["", "#a", "a\nb", &long] {
            let tag = tracking_tag(source);
            assert!(tag.starts_with("$tracking:#") && tag.len() == 75, "{tag}");
            assert!(is_reserved_tag(&tag));
        }
        assert_eq!(tracking_tag(&"x".repeat(245)).len(), 255);
    }

    #[test]
    fn tracking_is_parsed() {
        assert_eq!(parse_tracking(&tracking_value("a b", 7)), Some(("a b", 7)));
        assert_eq!(parse_tracking(&tracking_value("", 7)), Some(("", 7)));
        for bad in ["", "7", "x y", " 7"] {
            assert_eq!(parse_tracking(bad), None, "{bad:?}");
        }
    }
}

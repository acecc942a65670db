//! Names: kebab-case, and the names that are valid in the log.

use std::iter;

/// The maximum length in bytes of a name in the log, as in `annals`.
const MAX_NAME_BYTES: usize = 255;

/// The use of a name.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    /// The name is the whole event type.
    EventType,
    /// The name is the part of a tag before the colon.
    TagName,
    /// The name is the part of an id before the colon.
    IdPrefix,
}

/// Returns `name` in kebab-case: `StateSigned` is `state-signed`, and `HTTPSeen` `http-seen`.
pub(crate) fn kebab_case(name: &str) -> String {
    let befores = iter::once(None).chain(name.chars().map(Some));
    let afters = name.chars().skip(1).map(Some).chain(iter::once(None));
    let mut kebab = String::with_capacity(name.len() + 4);
    for ((before, letter), after) in befores.zip(name.chars()).zip(afters) {
        let word_begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(char::is_lowercase)
            });
        if (word_begins || letter == '_') && !kebab.is_empty() && !kebab.ends_with('-') {
            kebab.push('-');
        }
        if letter != '_' {
            kebab.extend(letter.to_lowercase());
        }
    }
    kebab.truncate(kebab.trim_end_matches('-').len());
    kebab
}

/// Returns what is wrong with `name` and what would be right, or `None` if the name is valid.
pub(crate) fn fault(name: &str, used: Use) -> Option<String> {
    let (what, limit, why) = match used {
        Use::EventType => ("event type", MAX_NAME_BYTES, ""),
        Use::TagName => {
            ("tag's name", MAX_NAME_BYTES - 1, ", because the tag also has a colon and the value")
        }
        Use::IdPrefix => {
            ("id's prefix", MAX_NAME_BYTES - 1, ", because the id also has a colon and the value")
        }
    };
    if name.is_empty() {
        return Some(format!("the {what} is empty; it must have 1 to {limit} bytes"));
    }
    if name.len() > limit {
        return Some(format!("the {what} has {} bytes; the limit is {limit}{why}", name.len()));
    }
    let control = name.chars().find(|character| character.is_control())?;
    Some(format!("the {what} has the control character {control:?}; remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_where_a_person_sees_them() {
        for (name, kebab) in [
            ("Closed", "closed"),
            ("StateSigned", "state-signed"),
            ("HTTPSeen", "http-seen"),
            ("SeenHTTP", "seen-http"),
            ("V2Signed", "v2-signed"),
            ("Row12Sold", "row12-sold"),
            ("SHA256Sum", "sha256-sum"),
            ("ASeat", "a-seat"),
            ("Seat_Sold", "seat-sold"),
            ("_SeatSOLD_", "seat-sold"),
            ("__", ""),
            ("ÄrgerGemeldet", "ärger-gemeldet"),
            ("座席Sold", "座席-sold"),
            ("seat_sold", "seat-sold"),
        ] {
            assert_eq!(kebab_case(name), kebab, "{name}");
        }
    }

    #[test]
    fn the_limits_are_the_logs() {
        assert_eq!(fault(&"x".repeat(255), Use::EventType), None);
        assert_eq!(
            fault(&"x".repeat(256), Use::EventType).as_deref(),
            Some("the event type has 256 bytes; the limit is 255")
        );
        assert_eq!(fault(&"x".repeat(254), Use::TagName), None);
        assert!(fault(&"x".repeat(255), Use::TagName).is_some());
        assert_eq!(
            fault("", Use::TagName).as_deref(),
            Some("the tag's name is empty; it must have 1 to 254 bytes")
        );
        for control in ["a\0", "a\n", "a\u{7f}", "a\u{85}"] {
            assert!(fault(control, Use::EventType).is_some(), "{control:?}");
        }
        assert_eq!(fault("Ä ©", Use::EventType), None);
    }
}

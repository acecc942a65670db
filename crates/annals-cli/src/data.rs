//! An event's data as a line shows it: JSON as it is, anything else as base64.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::json::compact;

/// What an event's payload is, to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data<'a> {
    /// There is none.
    Absent,
    /// JSON without white space between its tokens, and otherwise as it was appended: on one line.
    Json(Cow<'a, str>),
    /// Something else: not JSON, or with an escape of half a character in it, which
    /// [`parse_line`](crate::parse_line) would refuse.
    Bytes(&'a [u8]),
}

impl<'a> Data<'a> {
    /// What this payload is.
    #[must_use]
    pub fn of(payload: &'a [u8]) -> Self {
        if payload.is_empty() {
            return Self::Absent;
        }
        let json = std::str::from_utf8(payload).ok().and_then(|text| {
            serde_json::from_str::<IgnoredAny>(text).ok()?;
            compact(text).ok()
        });
        json.map_or(Self::Bytes(payload), Self::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_shown_as_json() {
        assert_eq!(Data::of(b""), Data::Absent);
        assert_eq!(Data::of(b" {\n } "), Data::Json("{}".into()));
        for bytes in [&b" "[..], b"\xff", b"{", b"1 2", b"\"\\ud800\"", b"\"\n\""] {
            assert_eq!(Data::of(bytes), Data::Bytes(bytes));
        }
    }
}

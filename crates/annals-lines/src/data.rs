//! How a line shows an event's data: JSON as it is, other bytes as base64.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::json::compact;

/// An event's data, in the form in which it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data<'a> {
    /// The event has no data.
    Absent,
    /// JSON as it was appended, but without white space between its tokens, so that it fits on one line.
    Json(Cow<'a, str>),
    /// Other bytes: not JSON, or JSON with an unpaired surrogate escape, which
    /// [`parse_line`](crate::parse_line) refuses.
    Bytes(&'a [u8]),
}

impl<'a> Data<'a> {
    /// Returns the data that these bytes are.
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
    fn json_is_shown_as_json() {
        assert_eq!(Data::of(b""), Data::Absent);
        assert_eq!(Data::of(b" {\n } "), Data::Json("{}".into()));
        for bytes in [&b" "[..], b"\xff", b"{", b"1 2", b"\"\\ud800\"", b"\"\n\""] {
            assert_eq!(Data::of(bytes), Data::Bytes(bytes));
        }
    }
}

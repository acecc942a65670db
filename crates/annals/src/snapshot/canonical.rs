//! The canonical JSON of a state (RFC 8785) and its hash, so that states can be compared byte by byte.
//!
//! RFC 8785 writes every number as a double, which cannot represent every integer beyond 2^53. This module writes such
//! an integer as `{"integer":"…"}` instead, so that different states have different JSON. (The RFC, too, recommends
//! strings for such integers.)

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The largest integer up to which a double represents every integer exactly.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// A SHA-256 hash, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut digits = String::with_capacity(64);
        for byte in Sha256::digest(bytes) {
            // Writing into a String does not fail.
            let _ = write!(digits, "{byte:02x}");
        }
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the hash of the canonical JSON of `state`.
pub(crate) fn fingerprint<S: Serialize>(state: &S) -> serde_json::Result<Fingerprint> {
    Ok(Fingerprint::of(&canonical(state)?))
}

fn canonical<S: Serialize>(state: &S) -> serde_json::Result<Vec<u8>> {
    serde_json_canonicalizer::to_vec(&with_safe_integers(serde_json::to_value(state)?))
}

fn with_safe_integers(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match size {
                Some(size) if size > MAX_SAFE => {
                    serde_json::json!({ "integer": number.to_string() })
                }
                _ => Value::Number(number),
            }
        }
        Value::Array(items) => items.into_iter().map(with_safe_integers).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(|(name, value)| (name, with_safe_integers(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn text(value: &impl Serialize) -> String {
        String::from_utf8(canonical(value).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_numbers_are_written_as_in_the_rfc() {
        let state: HashMap<&str, f64> = [("b", 1.0), ("a", 1e-7), ("ä", 0.5)].into();
        assert_eq!(text(&state), r#"{"a":1e-7,"b":1,"ä":0.5}"#);
    }

    #[test]
    fn large_integers_that_differ_have_different_json() {
        assert_eq!(text(&MAX_SAFE), "9007199254740991");
        assert_ne!(text(&(1_u64 << 53)), text(&((1_u64 << 53) + 1)));
        assert_ne!(text(&i64::MIN), text(&(i64::MIN + 1)));
        assert_eq!(text(&[u64::MAX]), r#"[{"integer":"18446744073709551615"}]"#);
    }

    #[test]
    fn an_integer_beyond_64_bits_is_an_error_and_not_another_number() {
        assert!(canonical(&u128::MAX).is_err());
    }
}

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
    let mut text = Vec::new();
    write_value(&with_safe_integers(serde_json::to_value(state)?), &mut text)?;
    Ok(text)
}

/// Writes a value as RFC 8785 demands: without spaces, the members of an object in the order of their names as UTF-16,
/// strings as `serde_json` writes them, numbers as ECMAScript does.
fn write_value(value: &Value, text: &mut Vec<u8>) -> serde_json::Result<()> {
    match value {
        Value::Array(items) => {
            text.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    text.push(b',');
                }
                write_value(item, text)?;
            }
            text.push(b']');
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push(b'{');
            for (n, (name, value)) in entries.into_iter().enumerate() {
                if n > 0 {
                    text.push(b',');
                }
                serde_json::to_writer(&mut *text, name)?;
                text.push(b':');
                write_value(value, text)?;
            }
            text.push(b'}');
        }
        Value::Number(number) => {
            let Some(number) = number.as_f64().filter(|number| number.is_finite()) else {
                return Err(serde::ser::Error::custom("a number beyond those of 64 bits"));
            };
            text.extend(ecmascript(number).bytes());
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {
            serde_json::to_writer(&mut *text, value)?;
        }
    }
    Ok(())
}

/// Returns a finite number as ECMAScript writes it (`Number::toString`): the shortest digits from which the number can
/// be read, with an exponent below 1e-6 and from 1e21 on.
fn ecmascript(number: f64) -> String {
    if number == 0.0 {
        return "0".into(); // -0 too
    }
    // `serde_json` writes the same digits, for example `1500.0` or `1.5e-7`. (`{:e}` of Rust does not round half to
    // even.)
    let text =
        serde_json::Number::from_f64(number.abs()).map_or_else(String::new, |n| n.to_string());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{part}");
    let significant = all.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    let length = |digits: &str| i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // The decimal point stands before digit `point`.
    let leading_zeroes = length(&all) - length(significant);
    let point = length(whole) + exponent.parse::<i32>().unwrap_or(0) - leading_zeroes;
    let zeroes = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let sign = if number < 0.0 { "-" } else { "" };
    if (1..=21).contains(&point) {
        match usize::try_from(point).ok().and_then(|point| digits.split_at_checked(point)) {
            Some((whole, "")) => format!("{sign}{whole}"),
            Some((whole, part)) => format!("{sign}{whole}.{part}"),
            None => format!("{sign}{digits}{}", zeroes(point - length(digits))),
        }
    } else if (-5..=0).contains(&point) {
        format!("{sign}0.{}{digits}", zeroes(-point))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
    }
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
    fn numbers_are_those_of_the_rfc() {
        // RFC 8785, appendix B.
        for (bits, expected) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(ecmascript(f64::from_bits(bits)), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn the_json_is_that_of_the_crate_for_rfc_8785(
            numbers: Vec<f64>, integers: Vec<i32>, names: Vec<(String, Option<bool>)>,
        ) {
            let numbers: Vec<_> = numbers.into_iter().filter(|number| number.is_finite()).collect();
            let names: HashMap<_, _> = names.into_iter().collect();
            let state = serde_json::json!({ "n": numbers, "\u{e000}": integers, "\u{1f600}": names });
            let expected = serde_json_canonicalizer::to_string(&state)?;
            proptest::prop_assert_eq!(text(&state), expected);
        }
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

//! A JSON value as a cell, and back, byte for byte.
//!
//! ```text
//!   JSON            cell            a cell that is a number, true, false or null is that value,
//!   7               7               as is one that begins with {, [ or "; any other cell is text
//!   "7"             "7"
//!   "book"          book
//!   ["a"]           ["a"]
//!   (no value)      (empty)
//! ```

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// Returns the cell for a value, which is valid JSON without white space between its tokens.
pub(crate) fn of_json(json: &str) -> Cow<'_, str> {
    if !json.starts_with('"') {
        return Cow::Borrowed(json);
    }
    match serde_json::from_str::<String>(json) {
        Ok(text) if !text.is_empty() && to_json(&text).is_ok_and(|again| again == json) => {
            Cow::Owned(text)
        }
        // Text that reads as another value, or has escapes that would be lost.
        _ => Cow::Borrowed(json),
    }
}

/// Returns the value of a cell that is not empty. Fails with the parser's message if it begins like JSON and is not.
pub(crate) fn to_json(cell: &str) -> Result<Cow<'_, str>, String> {
    let is_scalar = matches!(cell, "true" | "false" | "null") || is_number(cell);
    if is_scalar {
        return Ok(Cow::Borrowed(cell));
    }
    if cell.starts_with(['{', '[', '"']) {
        return match serde_json::from_str::<IgnoredAny>(cell) {
            Ok(_) => Ok(Cow::Borrowed(cell)),
            Err(problem) => Err(problem.to_string()),
        };
    }
    Ok(Cow::Owned(serde_json::Value::from(cell).to_string()))
}

/// Returns whether the cell is a JSON number, without white space around it.
pub(crate) fn is_number(cell: &str) -> bool {
    cell.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        && !cell.ends_with([' ', '\t', '\r', '\n'])
        && serde_json::from_str::<IgnoredAny>(cell).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_byte_for_byte() {
        for (json, cell) in [
            ("7", "7"),
            ("-1.50e+3", "-1.50e+3"),
            ("\"7\"", "\"7\""),
            ("\"007\"", "007"),
            ("\"book\"", "book"),
            ("\"\"", "\"\""),
            ("\"true\"", "\"true\""),
            ("true", "true"),
            ("null", "null"),
            ("\"a\\nb\"", "a\nb"),
            ("\"\\u0061\"", "\"\\u0061\""),
            ("\"{\"", "\"{\""),
            ("\"\\\"x\"", "\"\\\"x\""),
            ("{\"a\":[1]}", "{\"a\":[1]}"),
            ("\" 7\"", " 7"),
            ("\"7 \"", "7 "),
            ("\"-\"", "-"),
        ] {
            assert_eq!(of_json(json), cell);
            assert_eq!(to_json(cell).unwrap(), json);
        }
        assert!(to_json("{x").is_err() && to_json("\"x").is_err());
    }
}

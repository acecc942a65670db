//! Removes or adds white space in JSON text. Every other byte stays as it is.
//!
//! The functions expect text that was validated as JSON. On other text their result is meaningless, but they do not
//! panic.

use std::borrow::Cow;
use std::io::{self, Write};

/// Values nested deeper than this stay on one line: indentation takes as many bytes per line as the value is deep.
const MAX_INDENTED_DEPTH: usize = 32;

/// An unpaired surrogate escape (`\ud800` to `\udfff`): half a character, which text cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoneSurrogate {
    /// The offset of its backslash, in bytes.
    pub(crate) at: usize,
}

/// Returns the JSON without white space between its tokens.
pub(crate) fn compact(json: &str) -> Result<Cow<'_, str>, LoneSurrogate> {
    let bytes = json.as_bytes();
    let mut out = String::new();
    // Everything before `kept` has been copied or skipped.
    let (mut kept, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1)?,
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&json[kept..at]);
                while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                    at += 1;
                }
                kept = at;
            }
            _ => at += 1,
        }
    }
    if kept == 0 {
        return Ok(Cow::Borrowed(json));
    }
    out.push_str(&json[kept..]);
    Ok(Cow::Owned(out))
}

/// Returns the offset after the closing quote of the string whose first character is at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, LoneSurrogate> {
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[at.min(bytes.len())..]) {
        at += found;
        if bytes[at] == b'"' {
            return Ok(at + 1);
        }
        at = match code_unit(bytes, at) {
            None => at + 2,
            Some(0xD800..=0xDBFF) if matches!(code_unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => {
                at + 12
            }
            Some(0xD800..=0xDFFF) => return Err(LoneSurrogate { at }),
            Some(_) => at + 6,
        };
    }
    Ok(bytes.len())
}

/// Returns the code unit of the escape `\uXXXX` at `at`, if there is one.
fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Writes compact JSON with line breaks, indented by two spaces per level.
pub(crate) fn write_indented(json: &str, out: &mut impl Write) -> io::Result<()> {
    let bytes = json.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'"' => at = string_end(bytes, at).unwrap_or(bytes.len()),
            b'{' | b'[' => {
                depth += 1;
                if matches!(bytes.get(at), Some(b'}' | b']')) {
                    depth -= 1;
                    at += 1;
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                break_line(depth, depth + 1, out)?;
            }
            _ => {}
        }
        out.write_all(&bytes[start..at])?;
        match byte {
            b'{' | b'[' if at == start + 1 => break_line(depth, depth, out)?,
            b',' => break_line(depth, depth, out)?,
            b':' => out.write_all(b" ")?,
            _ => {}
        }
    }
    Ok(())
}

/// Starts a new line, unless the value is nested too deep.
fn break_line(indent: usize, depth: usize, out: &mut impl Write) -> io::Result<()> {
    if depth > MAX_INDENTED_DEPTH {
        return Ok(());
    }
    write!(out, "\n{:width$}", "", width = 2 * indent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indented(json: &str) -> String {
        let mut out = Vec::new();
        write_indented(json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_white_space_between_tokens_is_removed() {
        let json = " { \"a b\" : [ 1.0e5 , \"\\\" x \\u00e4\\ud83d\\ude00\" ] ,\t\"a b\":{ }\r\n} ";
        let expected = r#"{"a b":[1.0e5,"\" x \u00e4\ud83d\ude00"],"a b":{}}"#;
        assert_eq!(compact(json).unwrap(), expected);
        assert!(matches!(compact(expected), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn an_unpaired_surrogate_is_found() {
        for (json, at) in [
            (r#""\ud800""#, 1),
            (r#"["ok", {"\udc00": 1}]"#, 9),
            (r#""\ud83d\ud83d\ude00""#, 1),
            (r#""\ud83dx""#, 1),
            (r#""\\\ud83d""#, 3),
        ] {
            assert_eq!(compact(json), Err(LoneSurrogate { at }), "{json}");
        }
        assert!(compact(r#""\\ud800""#).is_ok());
    }

    #[test]
    fn invalid_json_does_not_panic() {
        for text in
            ["\"", "\"\\", "\"\\u", "\"\\ud8", "\"\\ud83d\\u", "}", "]]", "{[", "ä \" ö", "\"\\ä"]
        {
            let _ = compact(text);
            let _ = indented(text);
        }
    }

    #[test]
    fn indenting_adds_only_white_space() {
        let json = r#"{"a":[1,{"b:c,":"[{"}],"d":{},"e":[]}"#;
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b:c,\": \"[{\"\n    }\n  ],\n  \"d\": {},\n  \"e\": []\n}";
        assert_eq!(indented(json), expected);
        assert_eq!(compact(&indented(json)).unwrap(), json);
        assert_eq!(indented("7"), "7");
    }

    #[test]
    fn a_deep_value_is_not_indented_at_every_level() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let text = indented(&deep);
        assert!(text.len() < deep.len() + 10_000, "{}", text.len());
        assert_eq!(compact(&text).unwrap(), deep);
    }
}

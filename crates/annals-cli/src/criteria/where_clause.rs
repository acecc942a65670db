//! A comparison of a value in an event's data, as in `/amount>100`.
//!
//! ```text
//!   clause = POINTER                    the data has a value there
//!          | POINTER OPERATOR VALUE     = != < <= > >=
//! ```
//! A POINTER is a JSON pointer (RFC 6901). A VALUE without quotes is compared with numbers as a number, and with text
//! as text, except that text that is a number is compared as a number: events often have amounts as text.

use std::cmp::Ordering;

use serde_json::Value;

/// What would be right.
const EXPECTED: &str = "expected a JSON pointer, an operator (= != < <= > >=) and a value, as in '/amount>100' or \
                        '/status=open'; or only a pointer, for events that have a value there";

/// A condition on an event's data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Where {
    pointer: String,
    comparison: Option<(Operator, Value, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Where {
    /// Parses an argument.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let end = text.find(['=', '!', '<', '>']).unwrap_or(text.len());
        let (pointer, rest) = text.split_at(end);
        let pointer = pointer.trim_end();
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("a JSON pointer begins with /, as in /{pointer}; {EXPECTED}"));
        }
        if !escapes_are_whole(pointer) {
            return Err("in a JSON pointer, ~0 stands for ~, and ~1 for /".to_owned());
        }
        if rest.is_empty() {
            let comparison = None;
            return if text.is_empty() {
                Err(EXPECTED.to_owned())
            } else {
                Ok(Self { pointer: pointer.to_owned(), comparison })
            };
        }
        let (operator, text) = Operator::parse(rest).ok_or_else(|| EXPECTED.to_owned())?;
        let text = text.trim_start();
        if text.is_empty() {
            return Err(format!(
                "there is no value after the operator (\"\" is an empty text); {EXPECTED}"
            ));
        }
        let value = match serde_json::from_str(text) {
            Ok(Value::Array(_) | Value::Object(_)) => {
                return Err("expected a number, a text, true, false or null as the value, not an array or object".to_owned());
            }
            Ok(value) => value,
            Err(_) if text.starts_with('"') => {
                return Err(format!(
                    "the value {text} is not a whole JSON text; leave the quotes away, or close them"
                ));
            }
            Err(_) => Value::from(text),
        };
        let is_ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if is_ordered && matches!(value, Value::Null | Value::Bool(_)) {
            return Err(format!("{text} has no order; compare it with = or !="));
        }
        let comparison = Some((operator, value, text.to_owned()));
        Ok(Self { pointer: pointer.to_owned(), comparison })
    }

    /// Returns whether the data has a value at the pointer, for which the comparison is true.
    pub(crate) fn matches(&self, data: &Value) -> bool {
        let Some(found) = data.pointer(&self.pointer) else { return false };
        let Some((operator, wanted, text)) = &self.comparison else { return true };
        match operator {
            Operator::Equal => compare(found, wanted, text) == Some(Ordering::Equal),
            Operator::NotEqual => compare(found, wanted, text) != Some(Ordering::Equal),
            Operator::Less => compare(found, wanted, text).is_some_and(Ordering::is_lt),
            Operator::LessOrEqual => compare(found, wanted, text).is_some_and(Ordering::is_le),
            Operator::Greater => compare(found, wanted, text).is_some_and(Ordering::is_gt),
            Operator::GreaterOrEqual => compare(found, wanted, text).is_some_and(Ordering::is_ge),
        }
    }
}

impl Operator {
    /// Returns the operator at the start of a text, and the rest.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let operators = [
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("!=", Self::NotEqual),
            ("==", Self::Equal),
            ("=", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ];
        operators
            .into_iter()
            .find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
    }
}

/// Compares a value with the wanted one, whose text on the command line is `text`. Returns `None` if the two have no
/// order.
fn compare(found: &Value, wanted: &Value, text: &str) -> Option<Ordering> {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => compare_numbers(found, wanted),
        (Value::String(found), Value::Number(wanted)) => match found.parse() {
            Ok(found) => compare_numbers(&found, wanted),
            Err(_) => Some(found.as_str().cmp(text)),
        },
        (Value::String(found), Value::String(wanted)) => Some(found.cmp(wanted)),
        // A value without quotes may mean the text.
        (Value::String(found), Value::Bool(_) | Value::Null) => {
            (found == text).then_some(Ordering::Equal)
        }
        (found, wanted) => (found == wanted).then_some(Ordering::Equal),
    }
}

fn compare_numbers(a: &serde_json::Number, b: &serde_json::Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// Returns whether each ~ of a pointer is part of ~0 or ~1.
fn escapes_are_whole(pointer: &str) -> bool {
    pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_what_they_are() {
        let data = serde_json::json!({
            "amount": 120, "text": "20000", "ratio": 0.5, "status": "open", "on": true, "none": null, "": 7,
            "list": [{"a/b": "x"}], "at": "2026-11-01T09:30:00Z", "big": 18_446_744_073_709_551_615_u64,
        });
        for clause in [
            "/amount",
            "/amount>100",
            "/amount >= 120",
            "/amount<=120.0",
            "/amount!=121",
            "/amount<1e3",
            "/text>5000",
            "/text=20000",
            "/text=\"20000\"",
            "/ratio=0.5",
            "/status=open",
            "/status!=closed",
            "/status=\"open\"",
            "/on=true",
            "/on!=false",
            "/none=null",
            "/none",
            "/list/0/a~1b=x",
            "/=7",
            "/at>2026-11-01",
            "/at<2026-11-02",
            "/big>18446744073709551614",
            "",
            "/amount==120",
        ] {
            let parsed = Where::parse(clause);
            assert!(clause.is_empty() == parsed.is_err(), "{clause}");
            assert!(parsed.map_or(true, |parsed| parsed.matches(&data)), "{clause}");
        }
        for clause in [
            "/amount<100",
            "/amount=\"120\"",
            "/missing",
            "/missing!=1",
            "/status=1",
            "/status<5x",
            "/on=1",
            "/list=x",
            "/none=0",
            "/list/1",
            "/ratio=1/2",
            "/amount>x",
        ] {
            assert!(!Where::parse(clause).unwrap().matches(&data), "{clause}");
        }
        assert!(Where::parse(">5").unwrap().matches(&serde_json::json!(6)));
    }

    #[test]
    fn a_wrong_clause_is_refused_with_what_is_right() {
        for (clause, right) in [
            ("amount>100", "as in /amount"),
            ("/amount>", "no value after the operator"),
            ("/amount!5", "an operator"),
            ("/a~b=1", "~1 for /"),
            ("/a=[1]", "not an array"),
            ("/a=\"x", "close them"),
            ("/a>true", "= or !="),
            ("/a<null", "= or !="),
        ] {
            let problem = Where::parse(clause).unwrap_err();
            assert!(problem.contains(right), "{clause}: {problem}");
        }
    }
}

//! What the page of events shows: the query, the window, and the order. The URL has all of it, as
//! `type=a&tag=b&or=&tag=c&from=0&to=9&order=oldest`: `or` begins another alternative.

use std::ops::Range;

use annals::{Query, QueryItem, RawEvent};
use annals_lines::TimeError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::clock::first_at;
use super::params::Params;
use super::text::position;
use crate::fault::Fault;
use crate::shared::Shared;

/// The largest number of alternatives.
const MAX_ROWS: usize = 32;
/// The largest number of names in one alternative.
const MAX_NAMES: usize = 64;

/// The longest text to search for, in bytes.
const MAX_TEXT: usize = 255;

/// One alternative of a query: one of the types, and all of the tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    #[serde(default)]
    pub(super) types: Vec<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

impl Row {
    fn is_empty(&self) -> bool {
        self.types.is_empty() && self.tags.is_empty()
    }
}

/// A condition or a query as the HTTP face takes them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pasted {
    Items(Vec<Row>),
    Query(QueryText),
    Condition(ConditionText),
    Append(AppendText),
}

#[derive(Deserialize)]
struct QueryText {
    items: Vec<Row>,
    from: Option<u64>,
    to: Option<u64>,
}

#[derive(Deserialize)]
struct ConditionText {
    fail_if: Vec<Row>,
    after: Option<u64>,
}

#[derive(Deserialize)]
struct AppendText {
    conditions: Vec<ConditionText>,
}

/// What the page of events shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) rows: Vec<Row>,
    /// The first offset or time, as text; empty for the first event.
    pub(super) from: String,
    /// The offset or time before which the window ends, as text; empty for the head.
    pub(super) to: String,
    pub(super) oldest_first: bool,
    /// The text that the data or the metadata must contain; empty for every event. The log has no index of it.
    pub(super) text: String,
}

/// The window of a filter in offsets. A bound that the filter does not have is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
}

impl Window {
    /// Returns the offsets below a head.
    pub(super) fn range(self, head: u64) -> Range<u64> {
        let to = self.to.unwrap_or(head).min(head);
        self.from.unwrap_or(0).min(to)..to
    }
}

impl Filter {
    /// Reads the filter of a URL. A pasted condition replaces the rows and the window.
    pub(super) fn parse(params: &Params) -> Result<Self, Fault> {
        let mut filter = Self {
            rows: vec![Row::default()],
            from: params.text("from").unwrap_or_default().to_owned(),
            to: params.text("to").unwrap_or_default().to_owned(),
            oldest_first: params.text("order") == Some("oldest"),
            text: params.text("text").unwrap_or_default().to_owned(),
        };
        for (name, value) in params.all() {
            match (name, value, filter.rows.last_mut()) {
                ("or", _, _) => filter.rows.push(Row::default()),
                ("type", value, Some(row)) if !value.is_empty() => row.types.push(value.to_owned()),
                ("tag", value, Some(row)) if !value.is_empty() => row.tags.push(value.to_owned()),
                _ => {}
            }
        }
        if let Some(text) = params.text("json") {
            filter.paste(text)?;
        }
        if filter.text.len() > MAX_TEXT {
            let message = format!("the text to search for must have at most {MAX_TEXT} bytes");
            return Err(Fault::invalid(message).with("field", "text"));
        }
        filter.rows.retain(|row| !row.is_empty());
        let too_many = |row: &Row| row.types.len() + row.tags.len() > MAX_NAMES;
        if filter.rows.len() > MAX_ROWS || filter.rows.iter().any(too_many) {
            let message = format!(
                "the page takes {MAX_ROWS} alternatives of {MAX_NAMES} names; POST /v1/query takes more"
            );
            return Err(Fault::invalid(message));
        }
        Ok(filter)
    }

    fn paste(&mut self, text: &str) -> Result<(), Fault> {
        let pasted = serde_json::from_str(text).map_err(|_| {
            let message = "the text is not a query in JSON, such as [{\"types\":[\"a\"],\"tags\":[\"b\"]}], and not a \
                           condition, such as {\"fail_if\":[{\"tags\":[\"b\"]}],\"after\":9}";
            Fault::invalid(message).with("field", "json")
        })?;
        let window =
            |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        match pasted {
            Pasted::Items(rows) => self.rows = rows,
            Pasted::Query(QueryText { items, from, to }) => {
                (self.rows, self.from, self.to) = (items, window(from), window(to));
            }
            Pasted::Condition(condition) => self.conditions(vec![condition], window),
            Pasted::Append(AppendText { conditions }) => self.conditions(conditions, window),
        }
        Ok(())
    }

    fn conditions(
        &mut self,
        conditions: Vec<ConditionText>,
        window: impl Fn(Option<u64>) -> String,
    ) {
        self.from = window(conditions.iter().filter_map(|condition| condition.after).min());
        self.rows = conditions.into_iter().flat_map(|condition| condition.fail_if).collect();
    }

    /// Returns the query.
    pub(super) fn query(&self) -> Result<Query, Fault> {
        if self.rows.is_empty() {
            return Ok(Query::all());
        }
        let item =
            |row: &Row| QueryItem::new().event_types(row.types.clone()).all_tags(row.tags.clone());
        let query: Query = self.rows.iter().map(item).collect();
        query.check()?;
        Ok(query)
    }

    /// Returns whether an event has the text: in its data or in a value of its metadata. The case of ASCII letters does
    /// not matter.
    pub(super) fn has_text(&self, event: &RawEvent) -> bool {
        let text = self.text.as_bytes();
        text.is_empty()
            || position(event.data_bytes(), text).is_some()
            || event
                .metadata()
                .into_iter()
                .any(|(_, value)| position(value.as_bytes(), text).is_some())
    }

    /// Returns the offsets of the window. It may read the log, to find the offsets of times.
    pub(super) fn window(&self, shared: &Shared) -> Result<Window, Fault> {
        let from = bound("from", &self.from, shared)?;
        Ok(Window { from, to: bound("to", &self.to, shared)? })
    }

    /// Returns the parameters of the filter in a URL.
    pub(super) fn parameters(&self) -> Vec<(&str, &str)> {
        let mut parameters = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                parameters.push(("or", ""));
            }
            parameters.extend(row.types.iter().map(|name| ("type", &**name)));
            parameters.extend(row.tags.iter().map(|name| ("tag", &**name)));
        }
        let rest = [("from", &*self.from), ("to", &*self.to)];
        parameters.extend(rest.into_iter().filter(|(_, value)| !value.is_empty()));
        if self.oldest_first {
            parameters.push(("order", "oldest"));
        }
        if !self.text.is_empty() {
            parameters.push(("text", &self.text));
        }
        parameters
    }

    /// Returns the items of the query as the HTTP face takes them.
    pub(super) fn items(&self) -> Value {
        if self.rows.is_empty() {
            return json!([{}]);
        }
        self.rows.iter().map(|row| json!({ "types": row.types, "tags": row.tags })).collect()
    }
}

/// Returns the offset that a bound names: an offset, or the first event at or after a time.
fn bound(field: &str, text: &str, shared: &Shared) -> Result<Option<u64>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(text.parse().unwrap_or(u64::MAX)));
    }
    let time_ms = match annals_lines::parse_time(text) {
        Ok(time_ms) => time_ms,
        // Every event is later.
        Err(TimeError::Before1970) => 0,
        Err(_) => {
            let message = format!(
                "{field} must be an offset, or a time such as 2026-01-05 or 2026-01-05T09:30:00Z"
            );
            return Err(Fault::invalid(message).with("field", field));
        }
    };
    let backend = shared.backend();
    Ok(Some(first_at(backend, time_ms, 0..backend.head().get())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Filter, Fault> {
        Filter::parse(&Params::parse(Some(query)))
    }

    #[test]
    fn a_filter_is_its_url() {
        let url = "type=a&tag=b&tag=c&or=&tag=d%26&from=1&to=2026-01-05&order=oldest";
        let filter = parse(url).unwrap();
        assert_eq!(filter.rows.len(), 2);
        assert_eq!(filter.rows[1].tags, ["d&"]);
        let mut again = form_urlencoded::Serializer::new(String::new());
        again.extend_pairs(filter.parameters());
        assert_eq!(again.finish(), url);
        assert_eq!(filter.query().unwrap().items().len(), 2);
    }

    #[test]
    fn what_a_form_sends_empty_is_not_in_the_query() {
        let filter = parse("type=&tag=&or=&type=&tag=&from=&to=&json=").unwrap();
        assert_eq!(filter, Filter::default());
        assert!(filter.query().unwrap().is_all());
    }

    #[test]
    fn a_condition_can_be_pasted() {
        for (json, from) in [
            (r#"[{"types":["a"]},{"tags":["b"]}]"#, ""),
            (r#"{"items":[{"types":["a"]},{"tags":["b"]}],"from":7}"#, "7"),
            (r#"{"fail_if":[{"types":["a"]},{"tags":["b"]}],"after":7}"#, "7"),
            (
                r#"{"events":[],"conditions":[{"fail_if":[{"types":["a"]},{"tags":["b"]}],"after":7}]}"#,
                "7",
            ),
        ] {
            let body: String = form_urlencoded::byte_serialize(json.as_bytes()).collect();
            let filter = parse(&format!("tag=x&json={body}")).unwrap();
            assert_eq!((filter.rows.len(), &*filter.from), (2, from), "{json}");
            assert_eq!((&*filter.rows[0].types[0], &*filter.rows[1].tags[0]), ("a", "b"));
        }
        assert!(parse("json=%7B%7D").is_err());
        assert!(parse("json=%5B%7B%22typ%22:%5B%5D%7D%5D").is_err());
    }

    #[test]
    fn a_text_is_found_in_data_and_metadata() {
        let event = RawEvent::builder("a").data("{\"Name\":\"Ünal Özil\"}").metadata("by", "Eve");
        let event = event.build().unwrap();
        let has =
            |text: &str| Filter { text: text.to_owned(), ..Filter::default() }.has_text(&event);
        assert!(["", "name", "NAME\"", "Özil", "eve", "{"].into_iter().all(has));
        assert!(!["names", "öZil", "by", "a\0"].into_iter().any(has));
        let filter = parse("text=+x+").unwrap();
        assert_eq!((&*filter.text, filter.parameters()), ("x", vec![("text", "x")]));
        assert!(parse(&format!("text={}", "x".repeat(MAX_TEXT + 1))).is_err());
    }

    #[test]
    fn the_size_of_a_filter_is_bounded() {
        assert!(parse(&"tag=a&".repeat(MAX_NAMES)).is_ok());
        assert!(parse(&"tag=a&".repeat(MAX_NAMES + 1)).is_err());
        assert!(parse(&"tag=a&or=&".repeat(MAX_ROWS + 1)).is_err());
    }

    #[test]
    fn a_window_of_times_is_one_of_offsets() {
        let shared = Shared::in_memory();
        for day in [1, 2, 2, 3] {
            let event = RawEvent::builder("a").build().unwrap().into();
            let batch = annals::Batch::new(vec![event]).time_ms(day * 86_400_000);
            shared.backend().append(batch).unwrap();
        }
        let window = |query| parse(query).unwrap().window(&shared).unwrap();
        let days = window("from=1970-01-03&to=1970-01-04");
        assert_eq!(days, Window { from: Some(1), to: Some(3) });
        assert_eq!(window("from=2&to=99"), Window { from: Some(2), to: Some(99) });
        assert_eq!((window("to=99").range(4), window("from=9").range(4)), (0..4, 4..4));
    }
}

//! Parses a line to an event. Parsing is strict, so that a mistake is found when the event is appended, and not when
//! the log is read years later.
//!
//! Unknown fields, duplicate fields, duplicate metadata names and values of the wrong type are errors. The data is
//! validated but not converted: its bytes stay, except for the white space between tokens.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use annals::{InvalidEvent, MAX_TAGS, RawEvent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeSeed as _;
use serde_json::value::RawValue;

use crate::error::{LineError, LineReason, column};
use crate::fields::{ADVICE, Fields, Origin};
use crate::json::compact;

/// Parses a line of the form
/// `{"type": string, "tags"?: [string], "data"?: any JSON, "id"?: string, "metadata"?: object of strings}`.
///
/// Data that is not JSON is given in base64, as `"data_base64"` in place of `"data"`. JSON data stays byte for byte,
/// except for white space between its tokens: numbers, the order of keys, escapes and duplicate keys do not change.
/// The line has no line feed at its end; a carriage return at its end is ignored.
///
/// ```
/// let event = annals_lines::parse_line(br#"{"type":"seat-sold","tags":["seat:12A"],"data":{ "price": 9.0e1 }}"#)?;
/// assert_eq!(event.event_type(), "seat-sold");
/// assert_eq!(event.data_bytes(), br#"{"price":9.0e1}"#);
///
/// let error = annals_lines::parse_line(br#"{"type":"seat-sold","price":90}"#).unwrap_err();
/// assert_eq!(error.column, 27);
/// assert!(error.to_string().contains("unknown field \"price\""));
/// # Ok::<(), annals_lines::LineError>(())
/// ```
///
/// # Errors
/// [`LineError`], with the column and the reason, if the line is not an event.
pub fn parse_line(line: &[u8]) -> Result<RawEvent, LineError> {
    parse(line, Origin::New).map(|(event, _)| event)
}

/// Parses a line that [`write_exported`](crate::write_exported) or [`write_line`](crate::write_line) wrote. Returns the
/// event, and the line's time in milliseconds since 1970, if it has one. The offset is not used.
///
/// ```
/// let line = br#"{"offset":7,"time":"1970-01-01T00:00:01.000Z","type":"seat-freed"}"#;
/// let (event, time_ms) = annals_lines::parse_exported(line)?;
/// assert_eq!((event.event_type(), time_ms), ("seat-freed", Some(1_000)));
/// # Ok::<(), annals_lines::LineError>(())
/// ```
///
/// # Errors
/// [`LineError`], with the column and the reason, if the line is not an event.
pub fn parse_exported(line: &[u8]) -> Result<(RawEvent, Option<u64>), LineError> {
    parse(line, Origin::Store)
}

fn parse(line: &[u8], origin: Origin) -> Result<(RawEvent, Option<u64>), LineError> {
    let text = text(line)?;
    let fields = fields(text, origin).map_err(|error| json_error(text, &error))?;
    let mut builder = RawEvent::builder(fields.event_type);
    if let Some(data) = fields.data {
        let json = compact(data.get())
            .map_err(|lone| lone_surrogate(text, offset_in(text, data.get()) + lone.at))?;
        builder = builder.data(json.into_owned());
    }
    if let Some(data) = &fields.data_base64 {
        let bytes = STANDARD.decode(&**data).map_err(|error| {
            let reason = LineReason::Base64 { message: error.to_string() };
            LineError { column: field_column(text, "data_base64"), reason }
        })?;
        builder = builder.data(bytes);
    }
    let invalid = |problem: InvalidEvent| LineError {
        column: field_column(text, field_of(&problem, fields.data_base64.is_some())),
        reason: problem.into(),
    };
    for tag in distinct(&fields.tags).map_err(invalid)? {
        builder = builder.tag(tag);
    }
    if let Some(id) = fields.id {
        builder = builder.id(id);
    }
    for (name, value) in fields.metadata {
        builder = builder.metadata(name, value);
    }
    builder.build().map(|event| (event, fields.time_ms)).map_err(invalid)
}

/// Deserializes the fields of a line.
fn fields(text: &str, origin: Origin) -> Result<Fields<'_>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let fields = origin.deserialize(&mut json)?;
    json.end()?;
    Ok(fields)
}

/// Returns the line as text.
fn text(line: &[u8]) -> Result<&str, LineError> {
    let error = |at, reason| Err(LineError { column: column(line, at), reason });
    if line.starts_with(b"\xEF\xBB\xBF") {
        return error(0, LineReason::ByteOrderMark);
    }
    if line.starts_with(b"\xFF\xFE") || line.starts_with(b"\xFE\xFF") {
        return error(0, LineReason::Utf16);
    }
    std::str::from_utf8(line).or_else(|problem| {
        let at = problem.valid_up_to();
        error(at, LineReason::NotUtf8 { byte: line.get(at).copied().unwrap_or_default() })
    })
}

/// Converts the parser's error: its position becomes the column, and is removed from the message.
fn json_error(text: &str, error: &serde_json::Error) -> LineError {
    let position = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&position).unwrap_or(&message);
    let message = message.replacen("EOF", "the line ends", 1);
    // The text is one line, unless the caller passed several.
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at =
        if error.is_eof() { text.len() } else { line_start + error.column().saturating_sub(1) };
    if error.is_data() {
        let (message, advice) = match message.split_once(ADVICE) {
            Some((message, advice)) => (message.to_owned(), Some(advice.to_owned())),
            None => (message, None),
        };
        return LineError {
            column: column(text.as_bytes(), at),
            reason: LineReason::Shape { message, advice },
        };
    }
    // The parser itself refuses an unpaired surrogate in a name, with another message.
    match compact(text) {
        Err(lone) if message.contains("hex escape") => lone_surrogate(text, lone.at),
        _ => LineError {
            column: column(text.as_bytes(), at),
            reason: LineReason::Syntax { message },
        },
    }
}

/// Returns the error for an unpaired surrogate escape at this byte.
fn lone_surrogate(text: &str, at: usize) -> LineError {
    let escape = text.get(at..at + 6).unwrap_or_default().to_owned();
    LineError { column: column(text.as_bytes(), at), reason: LineReason::LoneSurrogate { escape } }
}

/// Returns the name of the field with the problem.
fn field_of(problem: &InvalidEvent, base64: bool) -> &'static str {
    match problem {
        InvalidEvent::EmptyName { what }
        | InvalidEvent::NameTooLong { what, .. }
        | InvalidEvent::ControlCharacter { what, .. } => match *what {
            "tag" => "tags",
            "id" => "id",
            "metadata name" => "metadata",
            _ => "type",
        },
        InvalidEvent::TooManyTags { .. } => "tags",
        InvalidEvent::TooMuchMetadata { .. } | InvalidEvent::MetadataValueTooLong { .. } => {
            "metadata"
        }
        InvalidEvent::DataTooLarge { .. } if base64 => "data_base64",
        InvalidEvent::DataTooLarge { .. } => "data",
        _ => "type",
    }
}

/// Returns the column at which the value of a field begins, in a line that is an object.
fn field_column(text: &str, field: &str) -> usize {
    let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let at = fields.get(field).map_or(0, |value| offset_in(text, value.get()));
    column(text.as_bytes(), at)
}

/// Returns the offset of a part of the text, in bytes.
fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// Returns the tags, without duplicates if there are more than the limit. The limit counts distinct tags.
fn distinct<'t>(tags: &'t [Cow<'_, str>]) -> Result<Vec<&'t str>, InvalidEvent> {
    let mut tags: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
    if tags.len() > MAX_TAGS {
        let mut seen = BTreeSet::new();
        tags.retain(|tag| seen.insert(*tag));
        if tags.len() > MAX_TAGS {
            return Err(InvalidEvent::TooManyTags { count: tags.len() });
        }
    }
    Ok(tags)
}

//! A line to an event: strict, so that a slip is found when it is made and not when the log is read years later.
//!
//! Unknown fields, fields and metadata names that stand twice, and values of another type are errors. The data is
//! not read, only checked: it keeps its bytes but for the white space between tokens.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use annals::{InvalidEvent, MAX_TAGS, RawEvent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::fields::Fields;
use crate::json::compact;
use crate::line_error::{LineError, LineReason, column};

/// The event that a line says, which is
/// `{"type": string, "tags"?: [string], "data"?: any JSON, "id"?: string, "metadata"?: object of strings}`.
///
/// Bytes that are no JSON are given in base64 as `"data_base64"` in place of `"data"`. The data is kept byte for
/// byte, but for white space between its tokens: numbers, the order of keys, escapes and keys that stand twice stay
/// as they are. The line is given without its line feed; a carriage return at its end does no harm.
///
/// ```
/// let event = annals_cli::parse_line(br#"{"type":"seat-sold","tags":["seat:12A"],"data":{ "price": 9.0e1 }}"#)?;
/// assert_eq!(event.event_type(), "seat-sold");
/// assert_eq!(event.data_bytes(), br#"{"price":9.0e1}"#);
///
/// let error = annals_cli::parse_line(br#"{"type":"seat-sold","price":90}"#).unwrap_err();
/// assert_eq!(error.column, 27);
/// assert!(error.to_string().contains("unknown field \"price\""));
/// # Ok::<(), annals_cli::LineError>(())
/// ```
///
/// # Errors
/// [`LineError`]: where in the line, and why it is no event.
pub fn parse_line(line: &[u8]) -> Result<RawEvent, LineError> {
    let text = text(line)?;
    let fields: Fields<'_> =
        serde_json::from_str(text).map_err(|error| json_error(text, &error))?;
    let mut builder = RawEvent::builder(fields.event_type);
    if let Some(data) = fields.data {
        let json = compact(data.get())
            .map_err(|lone| lone_surrogate(text, place(text, data.get()) + lone.at))?;
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
    builder.build().map_err(invalid)
}

/// The line as text.
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

/// What the parser says, with its place taken out of the words.
fn json_error(text: &str, error: &serde_json::Error) -> LineError {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message).replacen("EOF", "it ends", 1);
    // There is one line, unless whoever calls gave more.
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at =
        if error.is_eof() { text.len() } else { line_start + error.column().saturating_sub(1) };
    if error.is_data() {
        return LineError {
            column: column(text.as_bytes(), at),
            reason: LineReason::Shape { message },
        };
    }
    // In names the parser finds half a character by itself, and says it in other words.
    match compact(text) {
        Err(lone) if message.contains("hex escape") => lone_surrogate(text, lone.at),
        _ => LineError {
            column: column(text.as_bytes(), at),
            reason: LineReason::Syntax { message },
        },
    }
}

/// Half a character at this byte.
fn lone_surrogate(text: &str, at: usize) -> LineError {
    let escape = text.get(at..at + 6).unwrap_or_default().to_owned();
    LineError { column: column(text.as_bytes(), at), reason: LineReason::LoneSurrogate { escape } }
}

/// The field that has what is wrong.
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

/// Where the value of a field begins, in a line that is an object.
fn field_column(text: &str, field: &str) -> usize {
    let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let at =
        fields.get(field).map_or(0, |value| value.get().as_ptr().addr() - text.as_ptr().addr());
    column(text.as_bytes(), at)
}

/// Where in the line a part of it lies, in bytes.
fn place(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// The tags, each once if there are many: how many of them differ is what the limit is about.
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

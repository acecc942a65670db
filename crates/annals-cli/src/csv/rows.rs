//! An event as a row.

use std::borrow::Cow;
use std::io::{self, Write};

use annals::{RawEvent, Recorded};
use annals_cli::Data;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cell;
use super::fields::{Fields, fields_of};
use super::titles::Titles;
use super::writer::write_row;
use crate::human::time;

/// Writes an event as a row under these titles.
pub(crate) fn write(
    recorded: &Recorded<RawEvent>,
    titles: &Titles,
    out: &mut impl Write,
) -> io::Result<()> {
    let event = &recorded.event;
    let payload = event.data_bytes();
    let (mut data, mut base64) = (Cow::Borrowed(""), String::new());
    let mut fields = vec![Cow::Borrowed(""); titles.fields.len()];
    let found = fields_of(payload);
    match found.as_ref().and_then(|found| places(found, titles)) {
        Some(places) => {
            for (at, (_, value)) in places.into_iter().zip(found.iter().flatten()) {
                fields[at] = cell::of_json(value.get());
            }
        }
        None => match Data::of(payload) {
            Data::Absent => {}
            Data::Json(json) if json.as_bytes() == payload => data = json,
            _ => base64 = STANDARD.encode(payload),
        },
    }
    let (time, tags) = (time_cell(recorded.time_ms), tags_cell(event));
    let metadata = if titles.has_metadata { metadata_cell(event) } else { String::new() };
    let optional = [
        (titles.has_ids, event.id().unwrap_or_default()),
        (titles.has_metadata, metadata.as_str()),
        (titles.has_data, &*data),
        (titles.has_base64, base64.as_str()),
    ];
    let optional = optional.into_iter().filter_map(|(is_used, cell)| is_used.then_some(cell));
    let cells = [time.as_str(), event.event_type(), tags.as_str()].into_iter().chain(optional);
    write_row(cells.chain(fields.iter().map(|field| &**field)), out)
}

/// Returns the column of each field; `None` if one has no column, or the columns have another order.
fn places(fields: &Fields<'_>, titles: &Titles) -> Option<Vec<usize>> {
    let places = fields.iter().map(|(name, _)| titles.index.get(&**name).copied());
    let places = places.collect::<Option<Vec<usize>>>()?;
    places.is_sorted_by(|a, b| a < b).then_some(places)
}

/// Returns a time as RFC 3339, or after the year 9999 as a number of milliseconds.
fn time_cell(time_ms: u64) -> String {
    let text = time(time_ms);
    text.strip_suffix(" ms").map_or(text.clone(), str::to_owned)
}

/// Returns the tags, separated by spaces, or as a JSON array if a tag has a space or the first begins with a bracket.
fn tags_cell(event: &RawEvent) -> String {
    let tags: Vec<&str> = event.tags().collect();
    let needs_json = tags.iter().any(|tag| tag.contains(' '))
        || tags.first().is_some_and(|tag| tag.starts_with('['));
    if needs_json { serde_json::Value::from(tags).to_string() } else { tags.join(" ") }
}

fn metadata_cell(event: &RawEvent) -> String {
    let metadata = event.metadata();
    if metadata.is_empty() {
        return String::new();
    }
    let mut cell = String::new();
    for (at, (name, value)) in metadata.into_iter().enumerate() {
        cell.push(if at == 0 { '{' } else { ',' });
        cell += &serde_json::Value::from(name).to_string();
        cell.push(':');
        cell += &serde_json::Value::from(value).to_string();
    }
    cell + "}"
}

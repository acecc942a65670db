//! What a file proves, as lines.

use annals_proof::{Checkpoint, Entry, Findings, Signed, Verified};
use serde_json::{Value, json};

use crate::human;

/// What is proved: its kind, a sentence, and its fields.
pub(super) type Line = (&'static str, String, Vec<(&'static str, Value)>);

/// Returns what evidence proves of any log.
pub(super) fn evidence_lines(found: &Findings) -> Vec<Line> {
    let mut lines = checkpoint_lines(&found.checkpoint, &found.verified);
    for earlier in &found.earlier {
        lines.push(earlier_line(earlier.size));
        lines.extend(earlier.cosignatures.iter().map(cosigned_line));
    }
    lines.extend(found.events.iter().map(|shown| event_line(&shown.entry, shown.event().as_ref())));
    if found.whole.is_empty() {
        let text = "not shown to be whole: the log may have more such events".to_owned();
        lines.push(("not whole", text, Vec::new()));
    }
    for range in &found.whole {
        let (start, end) = (range.start, range.end);
        let text = format!("whole: these are all events from offset {start} to {}", end - 1);
        lines.push(("whole", text, vec![("from", json!(start)), ("to", json!(end))]));
    }
    if !found.not_checked.is_empty() {
        let text = format!("NOT CHECKED by this command: {}", found.not_checked.join(", "));
        lines.push(("nothing", text, vec![("not_checked", json!(found.not_checked))]));
    }
    lines
}

/// Returns who signed a checkpoint.
pub(super) fn checkpoint_lines(checkpoint: &Checkpoint, verified: &Verified) -> Vec<Line> {
    let (origin, size) = (checkpoint.origin(), checkpoint.size());
    let text = format!("signed: {origin} signed that it has {}", human::counted(size, "event"));
    let fields = vec![
        ("origin", json!(origin)),
        ("size", json!(size)),
        ("root", json!(checkpoint.root().to_string())),
        ("vkey", json!(verified.log.to_string())),
    ];
    let mut lines = vec![("signed", text, fields)];
    lines.extend(verified.cosignatures.iter().map(cosigned_line));
    lines
}

fn cosigned_line(signed: &Signed) -> Line {
    let time = signed.time.unwrap_or_default();
    let when = human::time(time.saturating_mul(1_000));
    let text = format!("cosigned: {} had seen it at {when}", signed.key.name());
    ("cosigned", text, vec![("witness", json!(signed.key.name())), ("time", json!(time))])
}

/// Returns that the log continues an earlier size.
pub(super) fn earlier_line(size: u64) -> Line {
    let text = format!(
        "continues: the log at {} is its beginning, unchanged",
        human::counted(size, "event")
    );
    ("continues", text, vec![("size", json!(size))])
}

/// Returns what is shown of an event.
pub(super) fn event_line(entry: &Entry, whole: Option<&annals::RawEvent>) -> Line {
    let event = entry.event();
    let tags: Vec<&str> = event.tags().collect();
    let (offset, time_ms) = (entry.offset(), entry.time_ms());
    let mut text = format!("event {offset}: {:?} at {}", event.event_type(), human::time(time_ms));
    let mut fields = vec![
        ("offset", json!(offset)),
        ("time_ms", json!(time_ms)),
        ("type", json!(event.event_type())),
        ("tags", json!(tags)),
        ("id", json!(event.id())),
    ];
    if !tags.is_empty() {
        text = format!("{text}, tags {tags:?}");
    }
    if let Some(id) = event.id() {
        text = format!("{text}, id {id:?}");
    }
    match whole {
        Some(whole) => {
            let data = String::from_utf8_lossy(whole.data_bytes()).into_owned();
            text = format!("{text}, data {data:?}");
            fields.push(("data", json!(data)));
            let metadata: serde_json::Map<_, _> = whole
                .metadata()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            fields.push(("metadata", Value::Object(metadata)));
        }
        None => text += ", data not shown",
    }
    ("event", text, fields)
}

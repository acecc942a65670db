//! `annals stats` prints the size of a store.

use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use crate::args::Format;
use crate::args::summary::Stats;
use crate::failure::Failure;
use crate::human::time;
use crate::out::Out;
use crate::store::{self, Store};
use crate::store_path::StorePath;

/// Prints the numbers of a store.
pub(crate) fn run(args: &Stats, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| show(store, &args.store, format))
}

fn show(store: &Store, path: &StorePath, format: Option<Format>) -> Result<(), Failure> {
    let stats = store.stats();
    let (types, tags) = (store.types()?.len() as u64, store.tags("")?.len() as u64);
    let time_at = |offset: u64| -> Result<Option<String>, Failure> {
        Ok(store.get(offset)?.map(|event| time(event.time_ms)))
    };
    let head = stats.events;
    let first_time = time_at(0)?;
    let last_time = if head == 0 { None } else { time_at(head - 1)? };
    let bytes_per_event = stats.event_bytes.checked_div(head);
    let mut out = Out::new(format);
    if out.format() == Format::Jsonl {
        out.object([
            ("events", json!(head)),
            ("bytes", json!(stats.event_bytes)),
            ("bytes_per_event", json!(bytes_per_event)),
            ("index_bytes", json!(stats.index_bytes)),
            ("segments", json!(stats.segments)),
            ("types", json!(types)),
            ("tags", json!(tags)),
            ("head", json!(head)),
            ("first_time", json!(first_time)),
            ("last_time", json!(last_time)),
        ])?;
    } else {
        let none = || "-".to_owned();
        let files = format!("{}s", path.files());
        for (name, value) in [
            ("events", HumanCount(head).to_string()),
            ("bytes", HumanBytes(stats.event_bytes).to_string()),
            (
                "bytes per event",
                bytes_per_event.map_or_else(none, |bytes| HumanCount(bytes).to_string()),
            ),
            ("index bytes", HumanBytes(stats.index_bytes).to_string()),
            (files.as_str(), HumanCount(stats.segments).to_string()),
            ("types", HumanCount(types).to_string()),
            ("tags", HumanCount(tags).to_string()),
            ("head", head.to_string()),
            ("first time", first_time.unwrap_or_else(none)),
            ("last time", last_time.unwrap_or_else(none)),
        ] {
            out.text(format_args!("{name:<16}{value}"))?;
        }
    }
    out.flush()
}

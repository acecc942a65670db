//! `annals state` prints the state of a channel, computed from its events up to an offset.

use std::collections::BTreeSet;

use annals::{CodecError, Query, QueryItem, ReadError, UnknownEvents};
use annals_channels::{Channel, ChannelEvent, ChannelState, Hash};

use crate::args::Format;
use crate::args::state::State;
use crate::channel_table;
use crate::failure::{ChannelFailure, Failure};
use crate::human::counted;
use crate::out::Out;
use crate::store::{self, Store};

/// The number of channels that the error names if the requested channel does not exist.
const NAMED_CHANNELS: usize = 3;

/// Prints a channel.
pub(crate) fn run(args: &State, format: Option<Format>) -> Result<(), Failure> {
    store::reading(&args.store, |store| show(store, args, format))
}

fn show(store: &Store<ChannelEvent>, args: &State, format: Option<Format>) -> Result<(), Failure> {
    let head = store.len();
    let end = match args.at {
        Some(offset) if offset >= head => return Err(Failure::NoEvent { offset, len: head }),
        Some(offset) => offset + 1,
        None => head,
    };
    let channel_id = args.channel.lower();
    let last = last_offset(store, channel_id, end)?;
    // In both cases the state ends at an offset, so that events appended meanwhile are not part of it.
    let view = store.reconstruct(Channel(channel_id)).unknown_events(UnknownEvents::PassOver);
    let state = view.at(last)?;
    warn_of_unknown(store, channel_id, end)?;
    let mut out = Out::new(format);
    match out.format() {
        Format::Jsonl | Format::Csv => show_line(&state, &mut out)?,
        Format::Table => channel_table::show(channel_id, last, head, &state, &mut out)?,
    }
    out.flush()
}

/// Returns the offset before `end`. Fails if the log has no events of the channel before `end`.
fn last_offset(store: &Store<ChannelEvent>, channel_id: Hash, end: u64) -> Result<u64, Failure> {
    let first = match store.query(&about(channel_id, [])).next() {
        Some(Ok(event)) => event.offset,
        // The event is about the channel. Whether it can be skipped is decided when the state is computed.
        Some(Err(ReadError::Decode { offset, .. })) => offset,
        Some(Err(problem)) => return Err(problem.into()),
        None => {
            let tags = store.tags("channel:")?;
            let first = tags
                .iter()
                .take(NAMED_CHANNELS)
                .filter_map(|tag| tag.name.strip_prefix("channel:"));
            let first = first.map(str::to_owned).collect();
            return Err(ChannelFailure::NoChannel { channel_id, count: tags.len(), first }.into());
        }
    };
    match end.checked_sub(1) {
        Some(last) if first <= last => Ok(last),
        _ => Err(ChannelFailure::NoChannelYet { channel_id, offset: end.saturating_sub(1), first }
            .into()),
    }
}

/// Warns of skipped events of unknown types, with their number and their types.
fn warn_of_unknown(store: &Store<ChannelEvent>, channel_id: Hash, end: u64) -> Result<(), Failure> {
    if !store.types()?.iter().any(|kind| is_unknown(&kind.name)) {
        return Ok(());
    }
    let mut count = 0;
    let mut found = BTreeSet::new();
    for event in store.query(&about(channel_id, [])).range(..end) {
        match event {
            Ok(_) => {}
            Err(ReadError::Decode {
                event_type, source: CodecError::UnknownType { .. }, ..
            }) => {
                count += 1;
                found.insert(event_type);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if count > 0 {
        tracing::warn!(
            "skipped {} of unknown types, which a newer annals may know: {}",
            counted(count, "event"),
            Vec::from_iter(found).join(", ")
        );
    }
    Ok(())
}

/// Returns the query for the channel's events of these types, or of all types if none are given.
fn about<'t>(channel_id: Hash, types: impl IntoIterator<Item = &'t str>) -> Query {
    Query::item(QueryItem::new().tag(format!("channel:{channel_id}")).event_types(types))
}

/// Returns whether this type is unknown for events of channels.
fn is_unknown(event_type: &str) -> bool {
    let read = ChannelEvent::from_json(event_type, "{}");
    matches!(read, Err(CodecError::UnknownType { .. }))
}

/// Prints the state on one line of canonical JSON, except that integers beyond 2^53 keep all their digits.
fn show_line(state: &ChannelState, out: &mut Out) -> Result<(), Failure> {
    out.with(|out| {
        let mut state = serde_json::to_value(state)?;
        state.sort_all_objects();
        std::io::Write::write_fmt(out, format_args!("{state}\n"))
    })
}

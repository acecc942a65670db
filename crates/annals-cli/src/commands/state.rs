//! `annals state`: a state channel, folded from the log as far as was asked.

use std::collections::BTreeSet;

use annals::{CodecError, Query, QueryItem, ReadError, UnknownEvents};
use annals_channels::{Channel, ChannelEvent, ChannelState, Hash};

use crate::args::{Format, State};
use crate::channel_table;
use crate::failure::Failure;
use crate::out::{Out, counted};
use crate::store::{self, Store};

/// Channels that are named to whoever asks for one that is not there.
const NAMED: usize = 3;

/// Shows a channel.
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
    // Up to an offset in either case, so that what is appended meanwhile is not in it.
    let view = store.reconstruct(Channel(channel_id)).unknown_events(UnknownEvents::PassOver);
    let state = view.at(last)?;
    warn_of_unknown(store, channel_id, end)?;
    let mut out = Out::new(format);
    match out.format() {
        Format::Jsonl => show_line(&state, &mut out)?,
        Format::Table => channel_table::show(channel_id, last, head, &state, &mut out)?,
    }
    out.flush()
}

/// The offset before `end`, if the log has anything about the channel by then.
fn last_offset(store: &Store<ChannelEvent>, channel_id: Hash, end: u64) -> Result<u64, Failure> {
    let first = match store.query(&about(channel_id, [])).next() {
        Some(Ok(event)) => event.offset,
        // Whatever it is, it is about the channel; whether it can be passed over is the fold's to say.
        Some(Err(ReadError::Decode { offset, .. })) => offset,
        Some(Err(problem)) => return Err(problem.into()),
        None => {
            let tags = store.tags("channel:")?;
            let first = tags.iter().take(NAMED).filter_map(|tag| tag.name.strip_prefix("channel:"));
            let first = first.map(str::to_owned).collect();
            return Err(Failure::NoChannel { channel_id, count: tags.len(), first });
        }
    };
    match end.checked_sub(1) {
        Some(last) if first <= last => Ok(last),
        _ => Err(Failure::NoChannelYet { channel_id, offset: end.saturating_sub(1), first }),
    }
}

/// Says how many events were passed over, and of which types.
fn warn_of_unknown(store: &Store<ChannelEvent>, channel_id: Hash, end: u64) -> Result<(), Failure> {
    if !store.types()?.iter().any(|kind| is_unknown(&kind.name)) {
        return Ok(());
    }
    let mut count = 0;
    let mut found = BTreeSet::new();
    for event in store.query(&about(channel_id, [])).to(end) {
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
            "{} of unknown types passed over, which a newer annals may know: {}",
            counted(count, "event"),
            Vec::from_iter(found).join(", ")
        );
    }
    Ok(())
}

/// The channel's events, of these types if there are any.
fn about<'t>(channel_id: Hash, types: impl IntoIterator<Item = &'t str>) -> Query {
    let item = QueryItem::new().tag(format!("channel:{channel_id}"));
    Query::item(types.into_iter().fold(item, QueryItem::event_type))
}

/// Whether channels have no events of this type.
fn is_unknown(event_type: &str) -> bool {
    let read = ChannelEvent::from_json(event_type, "{}");
    matches!(read, Err(CodecError::UnknownType { .. }))
}

/// The state on a line: canonical JSON, but for integers beyond 2^53, which keep their digits.
fn show_line(state: &ChannelState, out: &mut Out) -> Result<(), Failure> {
    out.with(|out| {
        let mut state = serde_json::to_value(state)?;
        state.sort_all_objects();
        std::io::Write::write_fmt(out, format_args!("{state}\n"))
    })
}

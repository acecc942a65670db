//! Appending by the rules.

use annals::{Backend, DecideError, Event, EventStore, Projection, Query};

use super::{Violation, check_channel, check_message, check_objective};
use crate::ChannelEvent;
use crate::views::{
    Channel, Equivocation, Message, Objectives, channel_of, message_of, objective_of, signed_by,
};

/// Why an event was not recorded; the log holds nothing of it.
pub type RecordError = DecideError<Violation>;

/// An event that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its offset. If the log had the very same event before, the offset of that.
    pub offset: u64,
    /// What it proves: that its signer has signed another state for the turn before.
    pub equivocation: Option<Equivocation>,
}

/// Appends an event if it keeps the rules, on whatever else is appended meanwhile.
///
/// An event that the log has already, to the letter, is answered with the offset it has.
///
/// # Errors
/// [`DecideError::Rejected`] with the [`Violation`], or whatever else kept it from being appended.
pub fn record<B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    event: ChannelEvent,
) -> Result<RecordedEvent, RecordError> {
    if objective_of(&event).is_some() {
        return decide(store, &Objectives, &event, |state, event| {
            check_objective(state, event).map(|()| None)
        });
    }
    if let Some(channel_id) = channel_of(&event) {
        return decide(store, &Channel(channel_id), &event, |state, event| {
            check_channel(state, event)?;
            Ok(signed_by(event).and_then(|(turn, signed)| state.equivocation(turn, &signed)))
        });
    }
    if let Some(message_id) = message_of(&event) {
        return decide(store, &Message(message_id), &event, |state, event| {
            check_message(state, event).map(|()| None)
        });
    }
    let offset = store.append(event).map_err(DecideError::Append)?;
    Ok(RecordedEvent { offset, equivocation: None })
}

fn decide<P: Projection<Event = ChannelEvent>, B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    projection: &P,
    event: &ChannelEvent,
    check: impl Fn(&P::State, &ChannelEvent) -> Result<Option<Equivocation>, Violation>,
) -> Result<RecordedEvent, RecordError> {
    let mut equivocation = None;
    let decided = store.decide(projection, |state| {
        equivocation = check(state, event)?;
        Ok(vec![event.clone()])
    });
    match decided {
        Ok(decision) => Ok(RecordedEvent { offset: decision.offsets.start, equivocation }),
        // Done before, it is done: to repeat it breaks no rule.
        Err(DecideError::Rejected(violation)) => match known(store, &projection.query(), event)? {
            Some(offset) => Ok(RecordedEvent { offset, equivocation: None }),
            None => Err(DecideError::Rejected(violation)),
        },
        Err(error) => Err(error),
    }
}

/// The offset of this very event.
fn known<B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    query: &Query,
    event: &ChannelEvent,
) -> Result<Option<u64>, RecordError> {
    for recorded in store.query(query) {
        let recorded = recorded.map_err(DecideError::Read)?;
        // Equal events may still differ in the case of their hex; then their ids do.
        if recorded.event == *event && recorded.event.id() == event.id() {
            return Ok(Some(recorded.offset));
        }
    }
    Ok(None)
}

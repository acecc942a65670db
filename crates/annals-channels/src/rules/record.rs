//! Records events by the rules.

use annals::{Backend, DecideError, Event, EventStore, Projection, Query};

use super::{Rule, Violation, check_channel, check_message, check_objective};
use crate::ChannelEvent;
use crate::statement::KeyStatement;
use crate::views::{
    Channel, Equivocation, Message, Objectives, channel_of, message_of, objective_of, signed_by,
};

/// The reason why an event was not recorded. The log is unchanged.
pub type RecordError = DecideError<Violation>;

/// An event that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The offset of the event. If the log had the identical event already, the offset of that one.
    pub offset: u64,
    /// The evidence that the signer had already signed another state for the turn, if the event proves that.
    pub equivocation: Option<Equivocation>,
}

/// Appends an event if it keeps the rules. The rules hold even if other threads or processes append at the same time.
///
/// If the log has the identical event already, nothing is appended and the offset of that event is returned.
///
/// # Errors
/// [`DecideError::Rejected`] with the [`Violation`] if the event breaks a rule, and otherwise the error of the log.
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
    if let ChannelEvent::LogKeyStated(stated) = &event
        && let Err(error) = KeyStatement::of_event(stated)
    {
        return Err(DecideError::Rejected(Violation::new(&event, Rule::KeyIsStated(error))));
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
        // Recording an event again breaks no rule.
        Err(DecideError::Rejected(violation)) => match known(store, &projection.query(), event)? {
            Some(offset) => Ok(RecordedEvent { offset, equivocation: None }),
            None => Err(DecideError::Rejected(violation)),
        },
        Err(error) => Err(error),
    }
}

/// Returns the offset of the identical event, if the log has it.
fn known<B: Backend<ChannelEvent>>(
    store: &EventStore<ChannelEvent, B>,
    query: &Query,
    event: &ChannelEvent,
) -> Result<Option<u64>, RecordError> {
    for recorded in store.query(query) {
        let recorded = recorded.map_err(DecideError::Read)?;
        // Equal events may differ in the case of their hex, and then their ids differ.
        if recorded.event == *event && recorded.event.id() == event.id() {
            return Ok(Some(recorded.offset));
        }
    }
    Ok(None)
}

//! The rule of messages: a peer acknowledges only messages that were sent to it.

use super::{Rule, Violation};
use crate::ChannelEvent;
use crate::views::MessageState;

/// Checks an event about a message against the state of that message. Other events pass.
///
/// # Errors
/// The [`Violation`], if the event breaks a rule.
pub fn check_message(state: &MessageState, event: &ChannelEvent) -> Result<(), Violation> {
    match event {
        ChannelEvent::MessageAcked(acked) if !state.sent_to.contains(&acked.peer_id) => {
            let (message_id, peer_id) = (acked.message_id, acked.peer_id.clone());
            Err(Violation::new(event, Rule::AckedWasSent { message_id, peer_id }))
        }
        _ => Ok(()),
    }
}

//! The rule of messages: what is acknowledged was sent.

use super::{Rule, Violation};
use crate::ChannelEvent;
use crate::views::MessageState;

/// Checks an event about a message against the state of that message; others pass.
///
/// # Errors
/// The rule that it breaks.
pub fn check_message(state: &MessageState, event: &ChannelEvent) -> Result<(), Violation> {
    match event {
        ChannelEvent::MessageAcked(acked) if !state.sent_to.contains(&acked.peer_id) => {
            let (message_id, peer_id) = (acked.message_id, acked.peer_id.clone());
            Err(Violation::new(event, Rule::AckedWasSent { message_id, peer_id }))
        }
        _ => Ok(()),
    }
}

//! The view of one message: the peers that it was sent to, and the peers that have it.

use std::collections::BTreeSet;

use annals::{Projection, Query, Recorded};
use serde::{Deserialize, Serialize};

use crate::{ChannelEvent, Hash};

/// The projection of one message.
#[derive(Debug, Clone, Copy)]
pub struct Message(pub Hash);

/// The state of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageState {
    /// The peers that the message was sent to.
    pub sent_to: BTreeSet<String>,
    /// The peers that acknowledged the message.
    pub acked_by: BTreeSet<String>,
    /// The peers that the message was received from.
    pub received_from: BTreeSet<String>,
}

impl Projection for Message {
    type Event = ChannelEvent;
    type State = MessageState;

    fn initial(&self) -> MessageState {
        MessageState::default()
    }

    fn query(&self) -> Query {
        Query::tag(format!("message:{}", self.0.lower()))
    }

    fn apply(&self, state: &mut MessageState, event: &Recorded<ChannelEvent>) {
        let (peers, peer) = match &event.event {
            ChannelEvent::MessageSent(sent) => (&mut state.sent_to, &sent.peer_id),
            ChannelEvent::MessageAcked(acked) => (&mut state.acked_by, &acked.peer_id),
            ChannelEvent::MessageReceived(received) => {
                (&mut state.received_from, &received.peer_id)
            }
            _ => return,
        };
        peers.insert(peer.clone());
    }
}

/// Returns the message whose state the event changes.
pub(crate) fn subject(event: &ChannelEvent) -> Option<Hash> {
    match event {
        ChannelEvent::MessageSent(event) => Some(event.message_id),
        ChannelEvent::MessageReceived(event) => Some(event.message_id),
        ChannelEvent::MessageAcked(event) => Some(event.message_id),
        _ => None,
    }
}

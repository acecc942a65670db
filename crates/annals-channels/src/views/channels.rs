//! The view of all channels and objectives, with the queries of go-nitro's store.

use std::collections::BTreeMap;

use annals::{Projection, Query, Recorded};
use serde::{Deserialize, Serialize};

use super::channel::subject;
use super::{ChannelState, ObjectiveState, ObjectivesState};
use crate::{Address, ChannelEvent, Hash};

/// The projection of all channels and objectives.
#[derive(Debug, Clone, Copy)]
pub struct Channels;

/// All channels and objectives, with the queries of go-nitro's store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelsState {
    objectives: ObjectivesState,
    channels: BTreeMap<Hash, ChannelState>,
    last_block: Option<u64>,
}

impl ChannelsState {
    /// Returns the objective with this id.
    #[must_use]
    pub fn objective(&self, objective_id: &Hash) -> Option<&ObjectiveState> {
        self.objectives.objectives.get(objective_id)
    }

    /// Returns the approved objective that owns this channel, and its id.
    #[must_use]
    pub fn owner(&self, channel_id: &Hash) -> Option<(Hash, &ObjectiveState)> {
        let id = self.objectives.owners.get(channel_id)?;
        Some((*id, self.objective(id)?))
    }

    /// Returns the channel with this id.
    #[must_use]
    pub fn channel(&self, channel_id: &Hash) -> Option<&ChannelState> {
        self.channels.get(channel_id)
    }

    /// Returns the channels with these ids, in the order of the ids. Ids of unknown channels are skipped.
    pub fn channels(
        &self,
        channel_ids: impl IntoIterator<Item = Hash>,
    ) -> impl Iterator<Item = (Hash, &ChannelState)> {
        channel_ids.into_iter().filter_map(|id| Some((id, self.channel(&id)?)))
    }

    /// Returns the channels with this participant, sorted by id.
    pub fn channels_by_participant(
        &self,
        participant: Address,
    ) -> impl Iterator<Item = (Hash, &ChannelState)> {
        self.channels.iter().map(|(id, channel)| (*id, channel)).filter(move |(_, channel)| {
            channel.fixed.as_ref().is_some_and(|fixed| fixed.participants.contains(&participant))
        })
    }

    /// Returns the channels of this application, sorted by id.
    pub fn channels_by_app_definition(
        &self,
        app_definition: Address,
    ) -> impl Iterator<Item = (Hash, &ChannelState)> {
        self.channels.iter().map(|(id, channel)| (*id, channel)).filter(move |(_, channel)| {
            channel.fixed.as_ref().is_some_and(|fixed| fixed.app_definition == app_definition)
        })
    }

    /// Returns the highest block number in any event.
    #[must_use]
    pub fn last_block_seen(&self) -> Option<u64> {
        self.last_block
    }

    fn apply(&mut self, event: &ChannelEvent) {
        self.objectives.apply(event);
        if let Some(channel_id) = subject(event) {
            self.channels.entry(channel_id).or_default().apply(event);
        }
        self.last_block = self.last_block.max(block(event));
    }
}

/// Returns the number of the block that the event is from.
fn block(event: &ChannelEvent) -> Option<u64> {
    Some(match event {
        ChannelEvent::DepositDetected(event) => event.block_num,
        ChannelEvent::AllocationUpdated(event) => event.block_num,
        ChannelEvent::ChallengeRegistered(event) => event.block_num,
        ChannelEvent::ChallengeCleared(event) => event.block_num,
        ChannelEvent::ChannelConcluded(event) => event.block_num,
        ChannelEvent::WithdrawCompleted(event) => event.block_num,
        _ => return None,
    })
}

impl Projection for Channels {
    type Event = ChannelEvent;
    type State = ChannelsState;

    fn initial(&self) -> ChannelsState {
        ChannelsState::default()
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, state: &mut ChannelsState, event: &Recorded<ChannelEvent>) {
        state.apply(&event.event);
    }
}

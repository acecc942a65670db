//! The views of objectives: the state of each, and the owner of each channel.

use std::collections::BTreeMap;

use annals::{Projection, Query, QueryItem, Recorded};
use serde::{Deserialize, Serialize};

use crate::{
    Address, ChannelEvent, Hash, ObjectiveApproved, ObjectiveCompleted, ObjectiveCranked,
    ObjectiveCreated, ObjectiveRejected, ObjectiveType, Participants,
};

/// The projection of one objective. Its state is `None` before the objective is created.
#[derive(Debug, Clone, Copy)]
pub struct Objective(pub Hash);

/// The projection of all objectives.
#[derive(Debug, Clone, Copy)]
pub struct Objectives;

/// The status of an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectiveStatus {
    /// Created, and neither approved nor rejected.
    Created,
    /// Approved. The objective owns its channel.
    Approved,
    /// Rejected. The status does not change any more.
    Rejected,
    /// Completed. The status does not change any more.
    Completed,
}

/// The state of an objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectiveState {
    /// The status.
    pub status: ObjectiveStatus,
    /// The purpose of the objective.
    pub objective_type: ObjectiveType,
    /// The channel.
    pub channel_id: Hash,
    /// The participants.
    pub participants: Participants,
    /// The account that approved it, if the event has it.
    pub approver: Option<Address>,
    /// The reason for which it was rejected.
    pub rejection: Option<String>,
    /// The number of times that it was cranked.
    pub cranks: u64,
    /// Whether it was waiting after it was last cranked.
    pub waiting: bool,
    /// Whether it was reached. `None` before it is completed.
    pub success: Option<bool>,
    /// The hash of the last state of its channel, if the event has it.
    pub final_channel_state: Option<Hash>,
}

/// The state of all objectives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectivesState {
    /// The objectives by id.
    pub objectives: BTreeMap<Hash, ObjectiveState>,
    /// The approved objective that owns a channel, by the channel's id.
    pub owners: BTreeMap<Hash, Hash>,
}

impl ObjectiveState {
    fn created(event: &ObjectiveCreated) -> Self {
        Self {
            status: ObjectiveStatus::Created,
            objective_type: event.objective_type,
            channel_id: event.channel_id,
            participants: event.participants.clone(),
            approver: None,
            rejection: None,
            cranks: 0,
            waiting: false,
            success: None,
            final_channel_state: None,
        }
    }

    /// Applies an event about this objective. Events of other kinds change nothing.
    fn apply(&mut self, event: &ChannelEvent) {
        match event {
            ChannelEvent::ObjectiveApproved(event) => {
                self.status = ObjectiveStatus::Approved;
                self.approver = event.approver;
            }
            ChannelEvent::ObjectiveRejected(event) => {
                self.status = ObjectiveStatus::Rejected;
                self.rejection = Some(event.reason.clone());
            }
            ChannelEvent::ObjectiveCranked(event) => {
                self.cranks += 1;
                self.waiting = event.waiting;
            }
            ChannelEvent::ObjectiveCompleted(event) => {
                self.status = ObjectiveStatus::Completed;
                self.success = Some(event.success);
                self.final_channel_state = event.final_channel_state;
            }
            _ => {}
        }
    }
}

impl ObjectivesState {
    pub(super) fn apply(&mut self, event: &ChannelEvent) {
        if let ChannelEvent::ObjectiveCreated(created) = event {
            let state = || ObjectiveState::created(created);
            self.objectives.entry(created.objective_id).or_insert_with(state);
            return;
        }
        let Some(id) = subject(event) else { return };
        let Some(objective) = self.objectives.get_mut(&id) else { return };
        objective.apply(event);
        match objective.status {
            ObjectiveStatus::Approved => {
                self.owners.entry(objective.channel_id).or_insert(id);
            }
            _ if self.owners.get(&objective.channel_id) == Some(&id) => {
                self.owners.remove(&objective.channel_id);
            }
            _ => {}
        }
    }
}

/// Returns the objective whose state the event changes.
pub(crate) fn subject(event: &ChannelEvent) -> Option<Hash> {
    match event {
        ChannelEvent::ObjectiveCreated(ObjectiveCreated { objective_id, .. })
        | ChannelEvent::ObjectiveApproved(ObjectiveApproved { objective_id, .. })
        | ChannelEvent::ObjectiveRejected(ObjectiveRejected { objective_id, .. })
        | ChannelEvent::ObjectiveCranked(ObjectiveCranked { objective_id, .. })
        | ChannelEvent::ObjectiveCompleted(ObjectiveCompleted { objective_id, .. }) => {
            Some(*objective_id)
        }
        _ => None,
    }
}

impl Projection for Objective {
    type Event = ChannelEvent;
    type State = Option<ObjectiveState>;

    fn initial(&self) -> Self::State {
        None
    }

    fn query(&self) -> Query {
        Query::tag(format!("objective:{}", self.0.lower()))
    }

    fn apply(&self, state: &mut Self::State, event: &Recorded<ChannelEvent>) {
        match (state, &event.event) {
            (Some(state), event) => state.apply(event),
            (none, ChannelEvent::ObjectiveCreated(event)) => {
                *none = Some(ObjectiveState::created(event));
            }
            (None, _) => {}
        }
    }
}

impl Projection for Objectives {
    type Event = ChannelEvent;
    type State = ObjectivesState;

    fn initial(&self) -> ObjectivesState {
        ObjectivesState::default()
    }

    fn query(&self) -> Query {
        let types = [
            ObjectiveCreated::TYPE,
            ObjectiveApproved::TYPE,
            ObjectiveRejected::TYPE,
            ObjectiveCranked::TYPE,
            ObjectiveCompleted::TYPE,
        ];
        Query::item(types.into_iter().fold(QueryItem::new(), QueryItem::event_type))
    }

    fn apply(&self, state: &mut ObjectivesState, event: &Recorded<ChannelEvent>) {
        state.apply(&event.event);
    }
}

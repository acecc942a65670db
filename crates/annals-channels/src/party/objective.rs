//! The objectives of a party: to open its channel, and to close it.
//!
//! ```text
//!   pursue ─▶ created, approved      crank ─▶ cranked … and, once it is reached, completed      abandon ─▶ rejected
//! ```
//! | objective | reached when |
//! |---|---|
//! | funds a channel, directly or virtually | a state is supported, so all agreed after the funds were deposited |
//! | takes the funds out, directly | funds were paid out |
//! | takes the funds out, virtually | every participant signed a final state |

use alloy_primitives::keccak256;
use annals::{Backend, DecideError};

use super::{Party, now_ms};
use crate::rules::{RecordError, Violation, check_objective};
use crate::views::{ChannelState, ObjectiveStatus, Objectives};
use crate::{
    ChannelEvent, EventVersion, Hash, ObjectiveApproved, ObjectiveCompleted, ObjectiveCranked,
    ObjectiveCreated, ObjectiveRejected, ObjectiveType, record,
};

impl ObjectiveType {
    /// Returns the id of a channel's objective of this type, which is the same for all participants: keccak256 of
    /// `obj1|`, the type, `|`, and the channel's id in lower case.
    #[must_use]
    pub fn id(self, channel_id: Hash) -> Hash {
        keccak256(format!("obj1|{self:?}|{}", channel_id.lower())).into()
    }

    fn is_reached(self, channel: &ChannelState) -> bool {
        match self {
            Self::DirectFund | Self::VirtualFund => channel.supported.is_some(),
            Self::DirectDefund => !channel.withdrawals.is_empty(),
            Self::VirtualDefund => channel.finalized.is_some(),
        }
    }
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// Creates and approves an objective, which then owns the channel. Returns its id. A second call changes nothing.
    ///
    /// # Errors
    /// [`RecordError`] if another objective owns the channel, this one was rejected, or the log fails.
    pub fn pursue(&mut self, objective_type: ObjectiveType) -> Result<Hash, RecordError> {
        let channel_id = self.channel_id();
        let objective_id = objective_type.id(channel_id);
        let fixed = self.state().map_err(DecideError::Read)?.fixed.clone();
        let created = fixed.map(|fixed| {
            ChannelEvent::from(ObjectiveCreated {
                channel_id,
                event_version: EventVersion,
                objective_id,
                objective_type,
                participants: fixed.participants,
                timestamp_ms: now_ms(),
            })
        });
        let approved = ChannelEvent::from(ObjectiveApproved {
            approver: Some(self.address()),
            event_version: EventVersion,
            objective_id,
            timestamp_ms: now_ms(),
        });
        let store = self.view.store();
        store.decide(&Objectives, |all| {
            let created = created.clone().filter(|_| !all.objectives.contains_key(&objective_id));
            Ok::<_, Violation>(created.into_iter().collect())
        })?;
        store.decide(&Objectives, |all| {
            let status = all.objectives.get(&objective_id).map(|objective| objective.status);
            if matches!(status, Some(ObjectiveStatus::Approved | ObjectiveStatus::Completed)) {
                return Ok(vec![]);
            }
            check_objective(all, &approved)?;
            Ok::<_, Violation>(vec![approved.clone()])
        })?;
        Ok(objective_id)
    }

    /// Advances an approved objective as far as possible. `side_effects_count` is the number of messages and
    /// transactions that this caused. Returns whether the objective is completed.
    ///
    /// # Errors
    /// [`RecordError`] if the objective is not approved, or if the log fails.
    pub fn crank(
        &mut self,
        objective_type: ObjectiveType,
        side_effects_count: u32,
    ) -> Result<bool, RecordError> {
        let objective_id = objective_type.id(self.channel_id());
        let channel = self.state().map_err(DecideError::Read)?;
        let reached = objective_type.is_reached(channel);
        let final_channel_state = channel.supported.map(|supported| supported.state_hash);
        let (timestamp_ms, event_version) = (now_ms(), EventVersion);
        let cranked = ChannelEvent::from(ObjectiveCranked {
            event_version,
            objective_id,
            side_effects_count,
            timestamp_ms,
            waiting: !reached,
        });
        let completed = ChannelEvent::from(ObjectiveCompleted {
            event_version,
            final_channel_state,
            objective_id,
            success: true,
            timestamp_ms,
        });
        let mut is_completed = reached;
        self.view.store().decide(&Objectives, |all| {
            let status = all.objectives.get(&objective_id).map(|objective| objective.status);
            if status == Some(ObjectiveStatus::Completed) {
                is_completed = true;
                return Ok(vec![]);
            }
            check_objective(all, &cranked)?;
            let completed = reached.then(|| completed.clone());
            Ok::<_, Violation>(std::iter::once(cranked.clone()).chain(completed).collect())
        })?;
        Ok(is_completed)
    }

    /// Rejects an objective, which releases the channel. A rejected objective cannot be pursued again.
    ///
    /// # Errors
    /// [`RecordError`] if the objective does not exist, is completed or rejected, or if the log fails.
    pub fn abandon(
        &mut self,
        objective_type: ObjectiveType,
        reason: impl Into<String>,
    ) -> Result<(), RecordError> {
        let rejected = ObjectiveRejected {
            error_code: None,
            event_version: EventVersion,
            objective_id: objective_type.id(self.channel_id()),
            reason: reason.into(),
            timestamp_ms: now_ms(),
        };
        record(self.view.store(), rejected.into()).map(|_| ())
    }
}

//! The rules of objectives: the order of their events, and at most one owner for a channel.

use super::{Rule, Violation};
use crate::views::{ObjectiveStatus, ObjectivesState, objective_of};
use crate::{ChannelEvent, Hash};

/// Checks an event about an objective against the state of all objectives. Other events pass.
///
/// # Errors
/// The [`Violation`], if the event breaks a rule.
pub fn check_objective(state: &ObjectivesState, event: &ChannelEvent) -> Result<(), Violation> {
    let Some(objective_id) = objective_of(event) else { return Ok(()) };
    check(state, event, objective_id).map_err(|rule| Violation::new(event, rule))
}

fn check(state: &ObjectivesState, event: &ChannelEvent, objective_id: Hash) -> Result<(), Rule> {
    let known = state.objectives.get(&objective_id);
    if let ChannelEvent::ObjectiveCreated(_) = event {
        return match known.map(|objective| objective.status) {
            None => Ok(()),
            Some(status) => Err(Rule::ObjectiveIsNew { objective_id, status }),
        };
    }
    let Some(objective) = known else { return Err(Rule::ObjectiveExists { objective_id }) };
    let status = objective.status;
    let (allowed, needed) = match event {
        ChannelEvent::ObjectiveApproved(_) => (status == ObjectiveStatus::Created, "created"),
        // An approved objective may be rejected too, which releases its channel.
        ChannelEvent::ObjectiveRejected(_) => (
            matches!(status, ObjectiveStatus::Created | ObjectiveStatus::Approved),
            "created or approved",
        ),
        _ => (status == ObjectiveStatus::Approved, "approved"),
    };
    if !allowed {
        return Err(Rule::ObjectiveStatus { objective_id, needed, status });
    }
    let channel_id = objective.channel_id;
    match (event, state.owners.get(&channel_id)) {
        (ChannelEvent::ObjectiveApproved(_), Some(&owner)) => {
            Err(Rule::OneOwner { channel_id, owner })
        }
        _ => Ok(()),
    }
}

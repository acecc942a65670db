//! The failures of groups, as the faces report them.

use annals::AppendError;
use annals_consumer::ConsumerError;

use crate::fault::{Fault, Kind};

impl From<ConsumerError> for Fault {
    fn from(error: ConsumerError) -> Self {
        let kind = match &error {
            ConsumerError::BadName { .. }
            | ConsumerError::BadOption { .. }
            | ConsumerError::ResetBeyondHead { .. } => Kind::InvalidRequest,
            ConsumerError::NotFound { .. } => Kind::NoGroup,
            ConsumerError::OtherKind { .. } | ConsumerError::OtherSettings { .. } => {
                Kind::GroupExists
            }
            ConsumerError::Running { .. } | ConsumerError::LockRemoved { .. } => Kind::GroupHeld,
            ConsumerError::BeyondHead { .. }
            | ConsumerError::OtherHistory { .. }
            | ConsumerError::OtherStore { .. } => Kind::PositionBeyondHead,
            ConsumerError::NotParked { .. } => Kind::NotParked,
            ConsumerError::LeaseLost { .. } => Kind::LeaseLost,
            ConsumerError::NoStorage => Kind::NotFound,
            ConsumerError::DamagedPosition { .. }
            | ConsumerError::DamagedState { .. }
            | ConsumerError::PositionRemoved { .. }
            | ConsumerError::StateRemoved { .. } => Kind::Damaged,
            ConsumerError::StateLogNotWritten { source: AppendError::NoRoom { .. }, .. } => {
                Kind::NoRoom
            }
            ConsumerError::Read(error) => return error.clone().into(),
            ConsumerError::StateLogNotOpened { .. }
            | ConsumerError::StateLogNotWritten { .. }
            | ConsumerError::Io { .. }
            | ConsumerError::Position { .. } => Kind::Io,
            _ => Kind::Internal,
        };
        let fault = Self::new(kind, message(&error));
        match error {
            ConsumerError::BadName { .. } => fault.with("field", "name"),
            ConsumerError::BadOption { name, .. } => fault.with("field", name),
            ConsumerError::NotParked { offset } => fault.with("offset", offset),
            ConsumerError::OtherSettings { what, .. } => fault.with("field", what),
            ConsumerError::ResetBeyondHead { head, .. }
            | ConsumerError::BeyondHead { head, .. } => fault.with("head", head),
            _ => fault,
        }
    }
}

/// Returns the text of an error for a client, which calls all of them groups.
fn message(error: &ConsumerError) -> String {
    match error {
        ConsumerError::NotFound { name } => {
            format!("the group {name:?} does not exist; PUT /v1/groups/{name} creates it")
        }
        ConsumerError::NoStorage => "the store's backend has no storage for groups".into(),
        error => error.to_string(),
    }
}

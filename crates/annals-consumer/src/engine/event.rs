//! The events of a group's state log.

use annals::Event;
use uuid::Uuid;

use super::entry::{Entry, Parked};
use super::settings::GroupSettings;

/// A change of a group's state. The state log is an ordinary annals store of these events, so its events can be read,
/// verified and looked at as of any time.
#[derive(Event, Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupEvent {
    /// The group has these settings from now on. The first event of a state log.
    GroupConfigured {
        settings: GroupSettings,
        /// The id of the log whose events the group handles.
        source: Option<Uuid>,
    },
    /// A part of the state that the log before this one ended with.
    StateCarried {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        window: Vec<(u64, Entry)>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replays: Vec<(u64, Entry)>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parked: Vec<(u64, Parked)>,
    },
    /// The state was carried over as a whole. A log without this event counts as not begun.
    StateComplete { epoch: u32, read: u64, before: Option<String> },
    /// The events of the query below `to` were read; those at `offsets` are to be delivered.
    EventsAdmitted {
        to: u64,
        /// The digest of the event at `to` − 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        offsets: Vec<u64>,
    },
    /// A worker got these events.
    EventsLeased {
        worker: String,
        #[serde(with = "uuid::serde::simple")]
        pull: Uuid,
        deadline_ms: u64,
        offsets: Vec<u64>,
    },
    /// A worker got more time.
    LeaseExtended { offset: u64, deadline_ms: u64 },
    /// A worker gave deliveries back that it had fetched and not looked at. They do not count as attempts.
    DeliveriesReturned { offsets: Vec<u64> },
    /// The events were handled.
    EventsAcked { offsets: Vec<u64> },
    /// A worker passed over the event.
    EventSkipped {
        #[event(tag = "offset")]
        offset: u64,
        reason: String,
    },
    /// A delivery failed. The event is delivered again, at `until_ms` at the earliest.
    EventRetried {
        #[event(tag = "offset")]
        offset: u64,
        until_ms: u64,
        reason: String,
    },
    /// The event is not delivered until an operator replays it.
    EventParked {
        #[event(tag = "offset")]
        offset: u64,
        at_ms: u64,
        reason: String,
    },
    /// Parked events are to be delivered again.
    ParkedReplayed { offsets: Vec<u64> },
    /// Parked events count as handled.
    ParkedDropped { offsets: Vec<u64> },
    /// The group goes on at `to`. Every lease is lost.
    PositionReset {
        to: u64,
        /// The digest of the event at `to` − 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
    },
}

impl GroupEvent {
    /// Returns a part of a state that is carried over.
    pub(crate) fn carried(
        window: Vec<(u64, Entry)>,
        replays: Vec<(u64, Entry)>,
        parked: Vec<(u64, Parked)>,
    ) -> Self {
        Self::StateCarried { window, replays, parked }
    }

    /// Returns whether this parks an event.
    pub(crate) fn parks(&self) -> bool {
        matches!(self, Self::EventParked { .. })
    }

    /// Returns the offsets of the events that this changes one by one. A reset changes all of them instead.
    pub(crate) fn offsets(&self) -> &[u64] {
        match self {
            Self::EventsAdmitted { offsets, .. }
            | Self::EventsLeased { offsets, .. }
            | Self::DeliveriesReturned { offsets }
            | Self::EventsAcked { offsets }
            | Self::ParkedReplayed { offsets }
            | Self::ParkedDropped { offsets } => offsets,
            Self::LeaseExtended { offset, .. }
            | Self::EventSkipped { offset, .. }
            | Self::EventRetried { offset, .. }
            | Self::EventParked { offset, .. } => std::slice::from_ref(offset),
            Self::GroupConfigured { .. }
            | Self::StateCarried { .. }
            | Self::StateComplete { .. }
            | Self::PositionReset { .. } => &[],
        }
    }
}

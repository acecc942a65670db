//! How a party is opened.

use std::sync::Arc;

use annals::{Backend, EventStore, SnapshotPolicy, SnapshotStore};

use super::recent::Recent;
use super::{Party, PartyError};
use crate::{ChannelEvent, FixedPart, SecretKey};

/// Settings of a party; each is fine as it is.
///
/// ```
/// # use annals::{EventStore, SnapshotPolicy};
/// # use annals_channels::{FixedPart, Participants, Party, SecretKey};
/// # let keys = [SecretKey::from_bytes(&[0x11; 32])?, SecretKey::from_bytes(&[0x22; 32])?];
/// # let fixed = FixedPart {
/// #     participants: Participants::new(keys.iter().map(SecretKey::address).collect())?,
/// #     channel_nonce: 7,
/// #     app_definition: "0x5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f".parse()?,
/// #     challenge_duration: 60.try_into()?,
/// # };
/// # let [alice, _] = keys;
/// # let store = EventStore::in_memory();
/// let alice = Party::options().snapshots(SnapshotPolicy::default()).open(&store, alice, &fixed)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it opens nothing by itself"]
pub struct PartyOptions {
    policy: Option<SnapshotPolicy>,
    place: Option<Arc<dyn SnapshotStore>>,
}

impl PartyOptions {
    /// Keeps snapshots in the backend's own place, in memory if it has none, and begins at them: a party on a long log
    /// is there at once. By default there are none. The policy counts the channel's events.
    pub fn snapshots(mut self, policy: SnapshotPolicy) -> Self {
        self.policy = Some(policy);
        self.place = None;
        self
    }

    /// Keeps snapshots in `place`, and begins at them.
    pub fn snapshots_in(mut self, place: Arc<dyn SnapshotStore>, policy: SnapshotPolicy) -> Self {
        self.policy = Some(policy);
        self.place = Some(place);
        self
    }

    /// The party with this key in this channel, as its log has it; opens the channel if the log has none.
    ///
    /// # Errors
    /// [`PartyError`] if the channel cannot be opened.
    pub fn open<B: Backend<ChannelEvent>>(
        self,
        store: &EventStore<ChannelEvent, B>,
        key: SecretKey,
        fixed: &FixedPart,
    ) -> Result<Party<B>, PartyError> {
        let view = store.reconstruct(Recent(fixed.channel_id()));
        let view = match (self.policy, self.place) {
            (Some(policy), Some(place)) => view.snapshots_in(place, policy),
            (Some(policy), None) => view.snapshots(policy),
            (None, _) => view,
        };
        let mut party = Party { key, view };
        party.create(fixed)?;
        Ok(party)
    }
}

impl Party {
    /// Returns the default settings, to open a party with others: with snapshots, for example.
    pub fn options() -> PartyOptions {
        PartyOptions::default()
    }
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// Opens the party that has `key` in the channel `fixed`, with the default settings, and reads what its log says
    /// about the channel. Creates the channel in the log if the log does not have it. [`Party::options`] has other settings.
    ///
    /// # Errors
    /// [`PartyError`] if the channel cannot be created or the log fails.
    pub fn open(
        store: &EventStore<ChannelEvent, B>,
        key: SecretKey,
        fixed: &FixedPart,
    ) -> Result<Self, PartyError> {
        PartyOptions::default().open(store, key, fixed)
    }
}

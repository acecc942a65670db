//! Opening a party.

use std::sync::Arc;

use annals::{Backend, EventStore, SnapshotPolicy, SnapshotStore};

use super::recent::Recent;
use super::{Party, PartyError};
use crate::{ChannelEvent, FixedPart, SecretKey};

/// The settings of a party. By default it stores no snapshots.
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
#[must_use = "settings open nothing by themselves"]
pub struct PartyOptions {
    policy: Option<SnapshotPolicy>,
    repository: Option<Arc<dyn SnapshotStore>>,
}

impl PartyOptions {
    /// Stores snapshots where the backend stores its own, or in memory if it stores none, and starts from them: a party
    /// on a long log opens at once. By default there are no snapshots. The policy counts the channel's events.
    pub fn snapshots(mut self, policy: SnapshotPolicy) -> Self {
        self.policy = Some(policy);
        self.repository = None;
        self
    }

    /// Stores snapshots in `repository`, and starts from them. The policy counts the channel's events.
    pub fn snapshots_in(
        mut self,
        repository: Arc<dyn SnapshotStore>,
        policy: SnapshotPolicy,
    ) -> Self {
        self.policy = Some(policy);
        self.repository = Some(repository);
        self
    }

    /// Opens the party that has `key` in the channel `fixed`, with its state by the log. Creates the channel in the log
    /// if the log does not have it.
    ///
    /// # Errors
    /// [`PartyError`] if the channel cannot be created or the log fails.
    pub fn open<B: Backend<ChannelEvent>>(
        self,
        store: &EventStore<ChannelEvent, B>,
        key: SecretKey,
        fixed: &FixedPart,
    ) -> Result<Party<B>, PartyError> {
        let view = store.reconstruct(Recent(fixed.channel_id()));
        let view = match (self.policy, self.repository) {
            (Some(policy), Some(repository)) => view.snapshots_in(repository, policy),
            (Some(policy), None) => view.snapshots(policy),
            (None, _) => view,
        };
        let mut party = Party { key, view };
        party.create(fixed)?;
        Ok(party)
    }
}

impl Party {
    /// Returns the default settings, to change them and open a party: to add snapshots, for example.
    pub fn options() -> PartyOptions {
        PartyOptions::default()
    }
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// Opens the party that has `key` in the channel `fixed`, with its state by the log and with the default settings.
    /// Creates the channel in the log if the log does not have it. [`Party::options`] has other settings.
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

//! Opening a party.

use std::sync::Arc;

use annals::{Backend, EventStore, SnapshotPolicy, SnapshotStore};

use super::Party;
use super::recent::Recent;
use super::refusal::{PartyError, Refusal, refused};
use crate::log::party_log::PartyLog;
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
    keep_states: bool,
    witnessed: bool,
}

impl PartyOptions {
    /// Stores snapshots where the backend stores its own, or in memory if it stores none, and starts from them: a party
    /// on a long log opens at once. By default the party has no snapshots. The policy counts the channel's events.
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

    /// Records the outcome and the application data of each state together with its first signature, in one batch
    /// (`state-kept`). Signatures cover only a hash of the state. So with kept states, the log alone is enough for a
    /// dispute. By default they are not recorded, and a caller that wants to prove what was signed must store them.
    pub fn keep_states(mut self) -> Self {
        self.keep_states = true;
        self
    }

    /// Refuses to sign ([`Refusal::Unconfirmed`]) until every other participant has shown, since the party's log was
    /// opened, the last checkpoint of the log that it has (see [`PartyLog::seen`]). So a log that was restored from an
    /// old backup signs nothing. By default the party signs at once. Needs [`open_proved`](Self::open_proved).
    ///
    /// Until then the log also cosigns no checkpoint of the channel's participants
    /// ([`LogRefusal::Unconfirmed`](crate::LogRefusal::Unconfirmed)), by whichever handle the checkpoint comes. That
    /// holds from the opening of the party until the log is closed, even after the party is dropped. The log still
    /// signs its own checkpoints, so that a party can show evidence of a channel when the peers are silent.
    pub fn witnessed(mut self) -> Self {
        self.witnessed = true;
        self
    }

    /// Opens the party as [`open`](Self::open) does, on a log with proofs: it takes the messages of peers about logs,
    /// signs nothing if the log contradicts what it signed before, and gives [evidence](Party::evidence).
    ///
    /// # Errors
    /// [`PartyError`] if the channel cannot be created or the log fails.
    pub fn open_proved<B: Backend<ChannelEvent>>(
        mut self,
        log: &PartyLog<B>,
        key: SecretKey,
        fixed: &FixedPart,
    ) -> Result<Party<B>, PartyError> {
        let witnessed = std::mem::take(&mut self.witnessed);
        let mut party = self.open(log.store(), key, fixed)?;
        if witnessed {
            log.require_confirmation(&fixed.participants);
        }
        (party.log, party.witnessed) = (Some(log.clone()), witnessed);
        Ok(party)
    }

    /// Opens the party that has `key` in the channel `fixed`, with its state by the log. Creates the channel in the log
    /// if the log does not have it.
    ///
    /// # Errors
    /// [`PartyError`] if the channel cannot be created or the log fails; [`Refusal::NoProofs`] if the settings need
    /// proofs.
    pub fn open<B: Backend<ChannelEvent>>(
        self,
        store: &EventStore<ChannelEvent, B>,
        key: SecretKey,
        fixed: &FixedPart,
    ) -> Result<Party<B>, PartyError> {
        if self.witnessed {
            return Err(refused(Refusal::NoProofs));
        }
        let view = store.reconstruct(Recent(fixed.channel_id()));
        let view = match (self.policy, self.repository) {
            (Some(policy), Some(repository)) => view.snapshots_in(repository, policy),
            (Some(policy), None) => view.snapshots(policy),
            (None, _) => view,
        };
        let keep_states = self.keep_states;
        let participants = fixed.participants.clone();
        let mut party = Party { key, view, log: None, keep_states, witnessed: false, participants };
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

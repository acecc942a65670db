//! A party's log with its proofs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use annals::{Backend, EventStore, Memory, Reconstructor};
use annals_proof::{Checkpoint, ConsistencyProof, LogKey, ProofError, Proofs};
use parking_lot::Mutex;

use super::known::{KnownLogs, KnownLogsState, Stated};
use super::refusal::{LogError, LogRefusal};
use crate::envelope::Envelope;
use crate::event::ChannelEvent;
use crate::hex::Address;
use crate::signing::SecretKey;
use crate::statement::KeyStatement;

/// The number of checkpoints for which a receipt may still come.
const SENT_MAX: usize = 16;

/// A party's log with its proofs, and what the party and its peers know of each other's logs. Clones share everything.
///
/// Each party is the witness of the others: it cosigns their checkpoints, and records that in its own log before the
/// cosignature leaves. After a restart, a peer shows the last checkpoint that it has of this log, so a log that was
/// restored from an old backup is noticed before it signs anything.
///
/// ```
/// use annals::EventStore;
/// use annals_channels::{KeyStatement, LogTaken, PartyLog, SecretKey};
/// use annals_proof::{LogKey, Proofs};
///
/// let open = |name: &str, seed: u8| {
///     let (account, log_key) = (SecretKey::from_bytes(&[seed; 32])?, LogKey::generate(name)?);
///     let store = EventStore::in_memory();
///     let proofs = Proofs::in_memory(&store, name)?;
///     Ok::<_, Box<dyn std::error::Error>>(PartyLog::open(&store, proofs, log_key, &account)?)
/// };
/// let (alice, bob) = (open("example.com/alice", 0x11)?, open("example.com/bob", 0x22)?);
/// // Each knows the other's account. The statement may come over any transport.
/// alice.know("bob", &KeyStatement::from_json(&bob.statement().to_json())?, bob.statement().address())?;
/// bob.know("alice", alice.statement(), alice.statement().address())?;
///
/// let message = alice.checkpoint("bob")?;
/// let LogTaken::Cosigned { reply, .. } = bob.take("alice", &message)? else { panic!("it is the first") };
/// assert!(matches!(alice.take("bob", &reply)?, LogTaken::Receipt { size: 2 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PartyLog<B: Backend<ChannelEvent> = Memory<ChannelEvent>> {
    pub(super) shared: Arc<Shared<B>>,
}

pub(super) struct Shared<B: Backend<ChannelEvent>> {
    pub(super) store: EventStore<ChannelEvent, B>,
    pub(super) proofs: Proofs<ChannelEvent, B>,
    pub(super) log_key: LogKey,
    pub(super) statement: KeyStatement,
    pub(super) known: Mutex<Reconstructor<KnownLogs, B>>,
    pub(super) talk: Mutex<Talk>,
}

/// The state of the exchange with peers since the log was opened.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// The accounts that showed their last checkpoint of this log.
    pub(super) confirmed: BTreeSet<Address>,
    /// How this log contradicts what a peer showed.
    pub(super) contradiction: Option<ProofError>,
    /// The last checkpoints that were sent to peers.
    pub(super) sent: VecDeque<Checkpoint>,
    /// The size that each peer says it cosigned last.
    pub(super) has: BTreeMap<String, u64>,
    /// The participants of each channel with a witnessed party on this log.
    pub(super) witnessed: BTreeSet<Vec<Address>>,
}

impl<B: Backend<ChannelEvent>> Clone for PartyLog<B> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<B: Backend<ChannelEvent>> std::fmt::Debug for PartyLog<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartyLog").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

impl<B: Backend<ChannelEvent>> PartyLog<B> {
    /// Opens a party's log with its proofs. `account` states that `log_key` is the key of the log. The statement is
    /// recorded once.
    ///
    /// # Errors
    /// [`LogRefusal::OtherKey`] if the log has a statement with another key for this name, and [`LogRefusal::Retired`] if
    /// the account stated newer keys in this log after these. Other errors of [`LogError`].
    pub fn open(
        store: &EventStore<ChannelEvent, B>,
        proofs: Proofs<ChannelEvent, B>,
        log_key: LogKey,
        account: &SecretKey,
    ) -> Result<Self, LogError> {
        let statement = KeyStatement::sign(account, &log_key)?;
        let known = Mutex::new(store.reconstruct(KnownLogs));
        let (store, talk) = (store.clone(), Mutex::default());
        let shared = Shared { store, proofs, log_key, statement: statement.clone(), known, talk };
        let log = Self { shared: Arc::new(shared) };
        log.record(&statement, None)?;
        // A process that was killed may have left a cosigned checkpoint that only a power cut would lose.
        log.shared.store.sync().map_err(ProofError::Sync)?;
        Ok(log)
    }

    /// Returns the log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.shared.proofs.origin()
    }

    /// Returns the statement of the log's keys, to send to peers.
    #[must_use]
    pub fn statement(&self) -> &KeyStatement {
        &self.shared.statement
    }

    /// Returns the log.
    #[must_use]
    pub fn store(&self) -> &EventStore<ChannelEvent, B> {
        &self.shared.store
    }

    /// Returns the proofs of the log.
    #[must_use]
    pub fn proofs(&self) -> &Proofs<ChannelEvent, B> {
        &self.shared.proofs
    }

    /// Records the keys that a peer stated for its log. `account` is the peer's account, which must come from elsewhere
    /// than the statement: it is a participant of a channel, for example. A newer statement of the same account
    /// replaces the older one: from then on only the newer log is cosigned. A statement has no time, so a statement
    /// that was replaced never counts again, not even if the account states the same keys again: an owner that wants to
    /// leave the newer log states a third one. The statement is durable when this returns.
    ///
    /// # Errors
    /// [`LogRefusal`] if the statement is of another account, the log was stated with another key before, or the account
    /// replaced these keys ([`LogRefusal::Retired`]).
    pub fn know(
        &self,
        peer_id: &str,
        statement: &KeyStatement,
        account: Address,
    ) -> Result<(), LogError> {
        if statement.address() != account {
            let (expected, found) = (account, statement.address());
            return Err(LogRefusal::OtherAccount { expected, found }.into());
        }
        self.record(statement, Some(peer_id))?;
        // A power cut must not revive a log that the statement replaced, whose key may be stolen. The statement may also
        // be there already, from a call whose sync failed.
        self.shared.store.sync().map_err(ProofError::Sync)?;
        Ok(())
    }

    /// Records a statement, unless it is in force already.
    fn record(&self, statement: &KeyStatement, peer_id: Option<&str>) -> Result<(), LogError> {
        let stated = Stated {
            origin: statement.origin().to_owned(),
            vkey: statement.vkey().to_string(),
            cosigner: statement.cosigner().to_string(),
        };
        let address = statement.address();
        self.shared.known.lock().decide(|known| {
            let is_current = known.current(&address) == Some(&stated);
            let is_of_peer = peer_id.is_none_or(|peer| known.peers.get(peer) == Some(&address));
            if is_current && is_of_peer {
                return Ok(vec![]);
            }
            let origin = stated.origin.clone();
            match (known.owner(&origin), known.current(&address)) {
                (Some((owner, keys, _)), _) if owner != address || *keys != stated => {
                    return Err(LogRefusal::OtherKey { origin });
                }
                // A statement has no time, so this may be a replay by a thief of the old key.
                (Some((_, _, false)), Some(current)) => {
                    return Err(LogRefusal::Retired { origin, current: current.origin.clone() });
                }
                _ => {}
            }
            Ok(vec![statement.event(peer_id, now_ms()).into()])
        })?;
        Ok(())
    }

    /// Signs a checkpoint of the log and returns the message that asks a peer to cosign it. The proof in it begins at
    /// the size that the peer cosigned last.
    ///
    /// # Errors
    /// [`LogError::Proof`] if the log contradicts what it signed, or what a peer showed. Nothing is signed then.
    pub fn checkpoint(&self, peer_id: &str) -> Result<Vec<u8>, LogError> {
        let checkpoint = self.signed()?;
        let receipt =
            self.known(|known| known.received.get(peer_id).map(|receipt| receipt.size))?;
        let mut talk = self.shared.talk.lock();
        let has = talk.has.get(peer_id).copied().or(receipt).unwrap_or(0);
        let request: ConsistencyProof = self.shared.proofs.prove_consistency(has, &checkpoint)?;
        talk.sent.retain(|sent| sent.size() != checkpoint.size());
        talk.sent.push_back(checkpoint);
        if talk.sent.len() > SENT_MAX {
            talk.sent.pop_front();
        }
        Ok(encoded(&Envelope::Checkpoint { request: request.to_string() }))
    }

    /// Returns the message that shows a peer the last checkpoint of its log that this party cosigned. Send it when a
    /// peer connects, so that the peer can compare it with its log. The record of the cosignature in the message is
    /// durable before the message is returned.
    ///
    /// # Errors
    /// [`LogError::Read`] if the log cannot be read, and [`LogError::Proof`] if it cannot be synced.
    pub fn seen(&self, peer_id: &str) -> Result<Vec<u8>, LogError> {
        let checkpoint = self.known(|known| {
            let origin = &known.current(known.peers.get(peer_id)?)?.origin;
            known.cosigned.get(origin).map(|cosigned| cosigned.checkpoint.clone())
        })?;
        // The sync of the call that cosigned it may have failed, or not be done yet.
        if checkpoint.is_some() {
            self.shared.store.sync().map_err(ProofError::Sync)?;
        }
        Ok(encoded(&Envelope::Seen { checkpoint }))
    }

    /// Signs the log as it is now.
    ///
    /// # Errors
    /// [`LogError::Proof`] if the log contradicts what it signed, or what a peer showed.
    pub fn signed(&self) -> Result<Checkpoint, LogError> {
        if let Some(found) = self.contradiction() {
            return Err(found.into());
        }
        Ok(self.shared.proofs.checkpoint(&self.shared.log_key)?)
    }

    /// Returns how the log contradicts what it signed, by its own memory or by what a peer showed since it was opened:
    /// [`ProofError::RolledBack`] or [`ProofError::Forked`].
    #[must_use]
    pub fn contradiction(&self) -> Option<ProofError> {
        self.shared.talk.lock().contradiction.clone().or_else(|| self.shared.proofs.contradiction())
    }

    /// Returns whether the peer with this account has shown its last checkpoint of this log since the log was opened,
    /// and the log agrees with it.
    #[must_use]
    pub fn is_confirmed_by(&self, account: &Address) -> bool {
        self.shared.talk.lock().confirmed.contains(account)
    }

    /// Lets this log cosign for the participants of a channel only after the others have confirmed this log.
    pub(crate) fn require_confirmation(&self, participants: &[Address]) {
        self.shared.talk.lock().witnessed.insert(participants.to_vec());
    }

    /// Folds what the log has about logs, and looks at it.
    pub(crate) fn known<T>(&self, look: impl FnOnce(&KnownLogsState) -> T) -> Result<T, LogError> {
        Ok(look(self.shared.known.lock().now()?))
    }
}

/// Returns the bytes of a message that is far below the largest size.
pub(super) fn encoded(envelope: &Envelope) -> Vec<u8> {
    envelope.to_bytes().unwrap_or_default()
}

/// Returns the milliseconds since 1970 UTC by the system's clock, or 0 before 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

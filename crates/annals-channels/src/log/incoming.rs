//! Takes the messages of peers about logs.

use annals::{AppendError, Backend};
use annals_proof::{CheckError, Checkpoint, ConsistencyProof, ProofError, TreeHash, VerifierKey};

use super::known::KnownLogsState;
use super::party_log::{PartyLog, encoded, now_ms};
use super::refusal::{LogError, LogRefusal};
use crate::check::backdated::SLACK_MS;
use crate::envelope::Envelope;
use crate::event::{ChannelEvent, CheckpointCosigned, ReceiptReceived};
use crate::fields::EventVersion;
use crate::hex::Hash;

/// The result of a message about a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogTaken {
    /// This party cosigned a peer's checkpoint, and recorded that.
    Cosigned {
        /// The number of events that it covers.
        size: u64,
        /// The receipt, to send to the peer.
        reply: Vec<u8>,
    },
    /// The proof does not begin at the size that this party cosigned last. This party cosigned nothing.
    Behind {
        /// The size that this party cosigned last.
        size: u64,
        /// The message that shows the peer this size. Its next checkpoint then begins there.
        reply: Vec<u8>,
    },
    /// A peer cosigned a checkpoint of this log, and this party recorded the receipt.
    Receipt {
        /// The number of events that it covers.
        size: u64,
    },
    /// A peer showed the last checkpoint of this log that it cosigned, and the log agrees with it.
    Confirmed {
        /// The number of events that it covers; 0 if the peer has none.
        size: u64,
    },
}

impl<B: Backend<ChannelEvent>> PartyLog<B> {
    /// Takes a message about a log from a peer: a checkpoint to cosign, a receipt, or what the peer has seen of this
    /// log. What it cosigns is durable before the call returns.
    ///
    /// A party cosigns nothing while its own log is known to be an old or a changed copy, because the copy may have
    /// forgotten what the party cosigned. Once a [witnessed](crate::PartyOptions::witnessed) party is open on the log,
    /// the checkpoint of a participant of its channel is cosigned only after the other participants of that channel
    /// have shown what they have seen.
    ///
    /// # Errors
    /// [`LogError::Refused`] with the reason. [`LogError::Proof`] with [`ProofError::RolledBack`] or
    /// [`ProofError::Forked`] if the peer shows a checkpoint with this log's own signature that contradicts the log.
    /// From then on the party signs and cosigns nothing, and a checkpoint to cosign has the same error.
    pub fn take(&self, peer_id: &str, bytes: &[u8]) -> Result<LogTaken, LogError> {
        let other = |problem: String| LogRefusal::OtherMessage { problem };
        let envelope = Envelope::from_bytes(bytes).map_err(|error| other(error.to_string()))?;
        self.take_envelope(peer_id, &envelope)
    }

    pub(crate) fn take_envelope(
        &self,
        peer_id: &str,
        envelope: &Envelope,
    ) -> Result<LogTaken, LogError> {
        match envelope {
            Envelope::Checkpoint { request } => {
                let request = request.parse().map_err(CheckError::Format)?;
                self.cosign(peer_id, &request)
            }
            Envelope::Receipt { line } => self.take_receipt(peer_id, line),
            Envelope::Seen { checkpoint } => {
                let parsed = checkpoint.as_deref().map(str::parse::<Checkpoint>).transpose();
                self.take_seen(peer_id, parsed.map_err(CheckError::Format)?.as_ref())
            }
            _ => {
                let problem = "it is a signed state or an acknowledgement".to_owned();
                Err(LogRefusal::OtherMessage { problem }.into())
            }
        }
    }

    /// Cosigns a peer's checkpoint, with the checks of a C2SP witness. This log is the witness's memory.
    fn cosign(&self, peer_id: &str, request: &ConsistencyProof) -> Result<LogTaken, LogError> {
        // An old copy of the log has forgotten what the party cosigned since, and would cosign a fork.
        self.check_own_log(peer_id)?;
        let checkpoint = request.checkpoint();
        let (origin, size) = (checkpoint.origin().to_owned(), checkpoint.size());
        let own_key = self.shared.log_key.witness_vkey();
        let mut line = checkpoint.cosign(&self.shared.log_key, now_ms() / 1_000);
        let mut cosigned = checkpoint.clone();
        cosigned.add_cosignature(&line, &own_key)?;
        let event = ChannelEvent::from(CheckpointCosigned {
            checkpoint: cosigned.to_string(),
            event_version: EventVersion,
            origin: origin.clone(),
            peer_id: peer_id.to_owned(),
            root_hash: Hash::new(*checkpoint.root().as_bytes()),
            timestamp_ms: now_ms(),
            tree_size: size,
        });
        let (mut behind, mut recorded) = (None, None);
        self.shared.known.lock().decide(|known| {
            (behind, recorded) = (None, None);
            may_cosign(known, peer_id, checkpoint)?;
            let last = known.cosigned.get(&origin);
            let (last_size, root) = last.map_or((0, TreeHash::of_nothing()), |last| {
                (last.size, TreeHash::new(*last.root.bytes()))
            });
            if request.old() != last_size {
                behind = Some(last_size);
                return Ok(vec![]);
            }
            match (request.check(&root), last) {
                (Ok(()), Some(last)) if last.size == size => {
                    // The peer asks once more. It gets the recorded line, so that the log does not grow.
                    let before = last.checkpoint.parse::<Checkpoint>().ok();
                    recorded = before.and_then(|before| before.signature_line(&own_key));
                    Ok(if recorded.is_some() { vec![] } else { vec![event.clone()] })
                }
                (Ok(()), _) => Ok(vec![event.clone()]),
                (Err(problem), None) => Err(problem.into()),
                (Err(problem), Some(last)) => Err(LogRefusal::Contradicts {
                    origin: origin.clone(),
                    size: last_size,
                    problem: Box::new(problem),
                    cosigned: last.checkpoint.clone(),
                    shown: checkpoint.to_string(),
                }),
            }
        })?;
        if let Some(size) = behind {
            return Ok(LogTaken::Behind { size, reply: self.seen(peer_id)? });
        }
        line = recorded.unwrap_or(line);
        // What was cosigned must not be forgotten in a power cut.
        self.shared.store.sync().map_err(|error: AppendError| ProofError::Sync(error))?;
        Ok(LogTaken::Cosigned { size, reply: encoded(&Envelope::Receipt { line }) })
    }

    /// Checks that this log is not known to be an old or a changed copy. If a witnessed party with the peer is open on
    /// the log, this also checks that the other participants have confirmed the log.
    fn check_own_log(&self, peer_id: &str) -> Result<(), LogError> {
        if let Some(found) = self.contradiction() {
            return Err(found.into());
        }
        let peer = self.known(|known| known.peers.get(peer_id).copied())?;
        let (talk, own) = (self.shared.talk.lock(), self.shared.statement.address());
        let channels = talk.witnessed.iter();
        let mut others = channels
            .filter(|accounts| peer.is_some_and(|peer| accounts.contains(&peer)))
            .flatten()
            .filter(|account| **account != own);
        match others.find(|account| !talk.confirmed.contains(*account)) {
            Some(participant) => Err(LogRefusal::Unconfirmed { participant: *participant }.into()),
            None => Ok(()),
        }
    }

    fn take_receipt(&self, peer_id: &str, line: &str) -> Result<LogTaken, LogError> {
        let key = self.known(|known| cosigner(known, peer_id))??;
        let sent: Vec<Checkpoint> = self.shared.talk.lock().sent.iter().cloned().collect();
        for mut checkpoint in sent.into_iter().rev() {
            if checkpoint.add_cosignature(line, &key).is_ok() {
                let size = checkpoint.size();
                if let Some(seconds) = time_ahead(&checkpoint, &key)? {
                    let peer_id = peer_id.to_owned();
                    return Err(LogRefusal::FromTheFuture { peer_id, seconds }.into());
                }
                self.record_receipt(peer_id, &checkpoint)?;
                match self.shared.proofs.add_receipt(line, &key) {
                    // A larger checkpoint was signed since then. The receipt of this one is in the log.
                    Ok(_) | Err(ProofError::Receipt { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                let mut talk = self.shared.talk.lock();
                let has = talk.has.entry(peer_id.to_owned()).or_default();
                *has = size.max(*has);
                return Ok(LogTaken::Receipt { size });
            }
        }
        Err(LogRefusal::NoSuchCheckpoint.into())
    }

    fn record_receipt(&self, peer_id: &str, checkpoint: &Checkpoint) -> Result<(), LogError> {
        let event = ChannelEvent::from(ReceiptReceived {
            checkpoint: checkpoint.to_string(),
            event_version: EventVersion,
            origin: self.origin().to_owned(),
            peer_id: peer_id.to_owned(),
            timestamp_ms: now_ms(),
            tree_size: checkpoint.size(),
        });
        self.shared.known.lock().decide(|known| {
            let last = known.received.get(peer_id);
            let has = last.is_some_and(|last| last.size >= checkpoint.size());
            Ok::<_, LogRefusal>(if has { vec![] } else { vec![event.clone()] })
        })?;
        // The peer must not be able to show less after a power cut.
        self.shared.store.sync().map_err(ProofError::Sync)?;
        Ok(())
    }

    fn take_seen(
        &self,
        peer_id: &str,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<LogTaken, LogError> {
        let (address, received) = self.known(|known| {
            let received = known.received.get(peer_id).map_or(0, |receipt| receipt.size);
            (known.peers.get(peer_id).copied(), received)
        })?;
        let address =
            address.ok_or_else(|| LogRefusal::OtherPeer { peer_id: peer_id.to_owned() })?;
        let size = checkpoint.map_or(0, Checkpoint::size);
        if let Some(checkpoint) = checkpoint {
            // Only our own signature binds us: a peer cannot invent that the log was longer.
            checkpoint.verify(&self.shared.log_key.vkey())?;
            if let Err(error) = self.shared.proofs.agrees_with(checkpoint) {
                let is_found =
                    matches!(error, ProofError::RolledBack { .. } | ProofError::Forked { .. });
                if is_found {
                    self.shared.talk.lock().contradiction.get_or_insert(error.clone());
                }
                return Err(error.into());
            }
            // A receipt that was lost on its way is in the checkpoint too. With a time in the future it is not
            // recorded, but it confirms the log: what the peer has seen does not depend on its clock.
            let key = self.known(|known| cosigner(known, peer_id))??;
            let is_cosigned = !checkpoint.signatures(std::slice::from_ref(&key))?.is_empty();
            if size > received && is_cosigned && time_ahead(checkpoint, &key)?.is_none() {
                self.record_receipt(peer_id, checkpoint)?;
            }
        }
        if size < received {
            let (peer_id, shown) = (peer_id.to_owned(), size);
            return Err(LogRefusal::ShowsLess { peer_id, shown, cosigned: received }.into());
        }
        let mut talk = self.shared.talk.lock();
        talk.confirmed.insert(address);
        talk.has.insert(peer_id.to_owned(), size);
        Ok(LogTaken::Confirmed { size })
    }
}

/// Checks that the checkpoint is of the peer's current log, and has its signature.
fn may_cosign(
    known: &KnownLogsState,
    peer_id: &str,
    checkpoint: &Checkpoint,
) -> Result<(), LogRefusal> {
    let origin = checkpoint.origin().to_owned();
    let Some((address, stated, is_current)) = known.owner(&origin) else {
        return Err(LogRefusal::UnknownLog { origin });
    };
    if known.peers.get(peer_id) != Some(&address) {
        return Err(LogRefusal::OtherPeer { peer_id: peer_id.to_owned() });
    }
    if !is_current {
        let current = known.current(&address).map_or("", |current| &current.origin).to_owned();
        return Err(LogRefusal::Retired { origin, current });
    }
    let vkey: VerifierKey = stated.vkey.parse().map_err(CheckError::Format)?;
    Ok(checkpoint.verify(&vkey)?)
}

/// Returns by how many seconds the time of a cosignature is ahead of this party's clock, if that is more than clocks
/// may differ. Such a receipt would make every later event of the log look backdated.
fn time_ahead(checkpoint: &Checkpoint, key: &VerifierKey) -> Result<Option<u64>, CheckError> {
    let signed = checkpoint.signatures(std::slice::from_ref(key))?;
    let time = signed.iter().filter_map(|signed| signed.time).max().unwrap_or(0);
    let now = now_ms();
    let is_ahead = time.saturating_mul(1_000) > now.saturating_add(SLACK_MS);
    Ok(is_ahead.then(|| time.saturating_sub(now / 1_000)))
}

/// Returns the key with which a peer cosigns.
fn cosigner(known: &KnownLogsState, peer_id: &str) -> Result<VerifierKey, LogRefusal> {
    let stated = known.peers.get(peer_id).and_then(|address| known.current(address));
    let stated = stated.ok_or_else(|| LogRefusal::OtherPeer { peer_id: peer_id.to_owned() })?;
    Ok(stated.cosigner.parse().map_err(CheckError::Format)?)
}

//! Evidence of a channel: one file that shows what was signed, to a party without access to the log.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds};

use annals::{Backend, DecideError, Query, QueryItem};
use annals_proof::{Checkpoint, Evidence, Member, ProofError};
use serde_json::value::{RawValue, to_raw_value};

use super::Party;
use super::refusal::{PartyError, Refusal, refused};
use crate::check::folded::FoldClaim;
use crate::check::signatures::MAX_STATES;
use crate::log::party_log::PartyLog;
use crate::log::refusal::LogError;
use crate::views::{Channel, signed_by};
use crate::{
    Address, ChannelCreated, ChannelEvent, Hash, LogKeyStated, State, StateKept, StateReceived,
    StateSigned,
};

/// Builds evidence of a channel. [`Party::evidence`] returns it.
#[derive(Debug)]
pub struct ChannelEvidence<'a, B: Backend<ChannelEvent>> {
    log: &'a PartyLog<B>,
    channel_id: Hash,
    participants: Vec<Address>,
    turns: (Bound<u64>, Bound<u64>),
    supplied: Vec<State>,
    whole: bool,
}

impl<B: Backend<ChannelEvent>> Party<B> {
    /// Returns a builder of evidence: one file that shows the signatures and the states of this channel, the receipts
    /// that this party and its peers gave each other, and the statement of the log's keys. `annals check` and
    /// [`check_evidence`](crate::check_evidence) check it without the log.
    ///
    /// # Errors
    /// [`Refusal::NoProofs`] if the party was opened without proofs.
    pub fn evidence(&self) -> Result<ChannelEvidence<'_, B>, PartyError> {
        let log = self.log.as_ref().ok_or_else(|| refused(Refusal::NoProofs))?;
        let turns = (Bound::Unbounded, Bound::Unbounded);
        let (channel_id, participants) = (self.channel_id(), self.participants.to_vec());
        let supplied = Vec::new();
        Ok(ChannelEvidence { log, channel_id, participants, turns, supplied, whole: false })
    }
}

/// The selected events, states and receipts of a log.
#[derive(Default)]
struct Selected {
    offsets: BTreeSet<u64>,
    /// The hashes of the states whose signatures are shown, and the whole states as far as they are known.
    states: BTreeMap<Hash, Option<State>>,
    /// The checkpoints that the peers cosigned.
    receipts: Vec<Checkpoint>,
}

impl<B: Backend<ChannelEvent>> ChannelEvidence<'_, B> {
    /// Shows only the signatures and states of these turns. By default those of all turns are shown.
    #[must_use]
    pub fn turns(mut self, turns: impl RangeBounds<u64>) -> Self {
        self.turns = (turns.start_bound().cloned(), turns.end_bound().cloned());
        self
    }

    /// Supplies a state that the log does not have, because the party did not
    /// [keep states](crate::PartyOptions::keep_states) when it was signed. Without it, the evidence has only its hash.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.supplied.push(state);
        self
    }

    /// Shows that nothing was left out: all events of the log, with the contents of those of the channel, and the hash
    /// of the channel's state that follows from them. This reveals type, tags, id and time of every event of the log.
    /// It is off by default.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Signs the log as it is now, and builds the evidence.
    ///
    /// # Errors
    /// [`Refusal::OtherState`] if a supplied state is not among the selected ones; [`Refusal::RolledBack`] and
    /// [`Refusal::Forked`] if the log contradicts what it signed; and others of [`PartyError`].
    pub fn build(self) -> Result<Evidence, PartyError> {
        let checkpoint = self.log.signed().map_err(of_log)?;
        let size = checkpoint.size();
        let mut selected = Selected::default();
        self.select_channel(size, &mut selected)?;
        self.select_logs(size, &mut selected)?;
        for state in &self.supplied {
            let state_hash = state.hash();
            let known = selected.states.get_mut(&state_hash);
            let known = known.ok_or_else(|| refused(Refusal::OtherState { state_hash }))?;
            *known = Some(state.clone());
        }
        let states: Vec<&State> = selected.states.values().flatten().collect();
        if states.len() > MAX_STATES {
            let text = format!(
                "evidence shows at most {MAX_STATES} states, and {} are selected; select fewer turns",
                states.len()
            );
            return Err(of_log(ProofError::OutOfRange(text).into()));
        }
        let key = RawValue::from_string(self.log.statement().to_json()).map_err(unwritable)?;
        let mut builder = self.log.proofs().evidence(&checkpoint).content();
        builder = builder.offsets(selected.offsets).member(Member::Key, key);
        if !states.is_empty() {
            builder = builder.member(Member::States, to_raw_value(&states).map_err(unwritable)?);
        }
        for receipt in selected.receipts {
            builder = builder.earlier(receipt);
        }
        if self.whole && size > 0 {
            let view = self.log.store().reconstruct(Channel(self.channel_id));
            let state = view.at(size - 1).map_err(DecideError::Read)?;
            let claim = FoldClaim::of(self.channel_id, size, &state);
            builder = builder
                .query(&Query::tag(format!("channel:{}", self.channel_id.lower())))
                .whole(0..size)
                .member(Member::State, to_raw_value(&claim).map_err(unwritable)?);
        }
        builder.build().map_err(|error| of_log(error.into()))
    }

    /// Selects the channel's creation, and the signatures and states of the turns.
    fn select_channel(&self, size: u64, selected: &mut Selected) -> Result<(), PartyError> {
        let types = [ChannelCreated::TYPE, StateSigned::TYPE, StateReceived::TYPE, StateKept::TYPE];
        let item = types.into_iter().fold(QueryItem::new(), QueryItem::event_type);
        let query = Query::item(item.tag(format!("channel:{}", self.channel_id.lower())));
        // The turn and the finality of each hash that is signed.
        let mut signed_as: BTreeMap<Hash, (u64, bool)> = BTreeMap::new();
        for found in self.log.store().query(&query).range(..size) {
            let found = found.map_err(DecideError::Read)?;
            match &found.event {
                ChannelEvent::StateKept(kept) => {
                    let Some((turn, is_final)) = signed_as.get(&kept.state_hash) else { continue };
                    let state = kept.state(*turn, *is_final);
                    if state.hash() == kept.state_hash {
                        selected.states.insert(kept.state_hash, Some(state));
                    }
                }
                event => {
                    if let Some((turn, signed)) = signed_by(event) {
                        if !self.turns.contains(&turn) {
                            continue;
                        }
                        signed_as.insert(signed.state_hash, (turn, signed.is_final));
                        selected.states.entry(signed.state_hash).or_default();
                    }
                }
            }
            selected.offsets.insert(found.offset);
        }
        Ok(())
    }

    /// Selects the statements of the participants' keys, the last cosigned checkpoints and the last receipts.
    fn select_logs(&self, size: u64, selected: &mut Selected) -> Result<(), PartyError> {
        let stated = Query::item(QueryItem::new().event_type(LogKeyStated::TYPE));
        for found in self.log.store().query(&stated).range(..size) {
            let found = found.map_err(DecideError::Read)?;
            match &found.event {
                ChannelEvent::LogKeyStated(stated)
                    if self.participants.contains(&stated.address) =>
                {
                    selected.offsets.insert(found.offset);
                }
                _ => {}
            }
        }
        let receipts = self.log.known(|known| {
            let mut receipts = Vec::new();
            let peers = known.peers.iter().filter(|(_, one)| self.participants.contains(*one));
            for (peer_id, address) in peers {
                let cosigned =
                    known.current(address).and_then(|stated| known.cosigned.get(&stated.origin));
                let received = known.received.get(peer_id);
                let offsets = [cosigned.map(|one| one.offset), received.map(|one| one.offset)];
                selected.offsets.extend(offsets.into_iter().flatten().filter(|at| *at < size));
                receipts.extend(received.map(|receipt| receipt.checkpoint.clone()));
            }
            receipts
        });
        for receipt in receipts.map_err(of_log)? {
            // It was parsed and verified before it was recorded.
            selected.receipts.extend(receipt.parse::<Checkpoint>());
        }
        Ok(())
    }
}

fn of_log(error: LogError) -> PartyError {
    refused(Refusal::of_log(error))
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
fn unwritable(error: serde_json::Error) -> PartyError {
    of_log(ProofError::OutOfRange(format!("the evidence cannot be written: {error}")).into())
}

//! The view of one channel: its signatures, its supported state, and its state on the chain.

use std::collections::{BTreeMap, BTreeSet};

use annals::{Projection, Query, Recorded};
use serde::{Deserialize, Serialize};

use crate::{Address, Amount, ChannelEvent, FixedPart, Hash, Signature};

/// The projection of one channel.
#[derive(Debug, Clone, Copy)]
pub struct Channel(pub Hash);

/// The status of a channel: the last of these that happened. A challenge counts only until it is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelStatus {
    /// The channel exists.
    Created,
    /// A state is supported.
    Open,
    /// A state was registered on the chain as a challenge, and the challenge is not cleared yet.
    Challenged,
    /// Every participant signed a final state.
    Finalized,
    /// The chain accepted the outcome as final.
    Concluded,
    /// Funds were paid out.
    Withdrawn,
}

/// The state of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// The status. `None` before the channel is created.
    pub status: Option<ChannelStatus>,
    /// The part that never changes. `None` before the channel is created.
    pub fixed: Option<FixedPart>,
    /// The last turn that this log's party signed.
    pub latest_signed_turn: Option<u64>,
    /// The last supported state.
    pub supported: Option<Supported>,
    /// All signatures by turn, those of this log's party and of others, in the order in which they were recorded. Of
    /// several signatures by one signer for one state, only the first is here.
    pub signatures: BTreeMap<u64, Vec<Signed>>,
    /// The amounts that the chain holds for the channel, by asset.
    pub holdings: BTreeMap<Address, Holding>,
    /// The challenge that is not cleared yet.
    pub challenge: Option<Challenge>,
    /// The final state that every participant signed.
    pub finalized: Option<FinalState>,
    /// Whether the chain accepted the outcome as final.
    pub concluded: bool,
    /// The payments out of the channel, in order.
    pub withdrawals: Vec<Withdrawal>,
    /// The evidence of signers that signed two states for one turn.
    pub equivocations: Vec<Equivocation>,
}

/// A signature of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The signer.
    pub signer: Address,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The signature.
    pub signature: Signature,
    /// Whether the state is final.
    pub is_final: bool,
    /// Whether this log's party signed it. True as well if the signature was received before the party signed.
    pub own: bool,
}

/// A state that is supported by every participant's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supported {
    /// The turn.
    pub turn_num: u64,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The number of signatures that support it.
    pub num_signatures: u32,
}

/// The amount of one asset that the chain holds for a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The amount, by the last event of the chain about this asset.
    pub amount: Amount,
    /// The deposits, by block number and index of the transaction.
    pub deposits: BTreeSet<(u64, u32)>,
}

/// A challenge on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The turn that is challenged.
    pub turn_num_record: u64,
    /// The time at which it ends, in seconds since 1970 UTC.
    pub finalization_time: u64,
    /// The challenger.
    pub challenger: Address,
}

/// A final state that every participant signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalState {
    /// The turn.
    pub turn_num: u64,
    /// The hash of the state.
    pub state_hash: Hash,
}

/// A payment out of the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// The recipient.
    pub recipient: Address,
    /// The asset.
    pub asset: Address,
    /// The amount.
    pub amount: Amount,
}

/// The evidence that a participant signed two states for one turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equivocation {
    /// The turn.
    pub turn_num: u64,
    /// The signature of the first state.
    pub first: Signed,
    /// The signature of the other state.
    pub second: Signed,
}

impl ChannelState {
    /// Returns the signatures of one turn.
    #[must_use]
    pub fn signatures_at(&self, turn_num: u64) -> &[Signed] {
        self.signatures.get(&turn_num).map_or(&[], Vec::as_slice)
    }

    /// Returns the evidence that `second` would give: that its signer has already signed another state for the turn.
    #[must_use]
    pub fn equivocation(&self, turn_num: u64, second: &Signed) -> Option<Equivocation> {
        second_state(self.signatures_at(turn_num), turn_num, second)
    }

    pub(super) fn apply(&mut self, event: &ChannelEvent) {
        if let Some((turn_num, signed)) = signed(event) {
            self.sign(turn_num, signed);
        }
        match event {
            ChannelEvent::ChannelCreated(event) => {
                self.fixed.get_or_insert_with(|| event.into());
            }
            ChannelEvent::StateSupportedUpdated(event) => {
                self.supported = Some(Supported {
                    turn_num: event.supported_turn,
                    state_hash: event.state_hash,
                    num_signatures: event.num_signatures.get(),
                });
            }
            ChannelEvent::ChannelFinalized(event) => {
                let (turn_num, state_hash) = (event.final_turn, event.final_state_hash);
                self.finalized = Some(FinalState { turn_num, state_hash });
            }
            other => self.apply_chain(other),
        }
        self.status = self.status_now();
    }

    fn apply_chain(&mut self, event: &ChannelEvent) {
        match event {
            ChannelEvent::DepositDetected(event) => {
                let holding = self.holdings.entry(event.asset).or_default();
                holding.amount = event.now_held;
                holding.deposits.insert((event.block_num, event.tx_index));
            }
            ChannelEvent::AllocationUpdated(event) => {
                self.holdings.entry(event.asset).or_default().amount = event.new_amount;
            }
            ChannelEvent::ChallengeRegistered(event) => {
                self.challenge = Some(Challenge {
                    turn_num_record: event.turn_num_record,
                    finalization_time: event.finalization_time,
                    challenger: event.challenger,
                });
            }
            ChannelEvent::ChallengeCleared(_) => self.challenge = None,
            ChannelEvent::ChannelConcluded(_) => self.concluded = true,
            ChannelEvent::WithdrawCompleted(event) => self.withdrawals.push(Withdrawal {
                recipient: event.recipient,
                asset: event.asset,
                amount: event.amount,
            }),
            _ => {}
        }
    }

    fn sign(&mut self, turn_num: u64, signed: Signed) {
        if signed.own {
            self.latest_signed_turn = self.latest_signed_turn.max(Some(turn_num));
        }
        self.equivocations.extend(self.equivocation(turn_num, &signed));
        let known = self.signatures.entry(turn_num).or_default();
        let same =
            |one: &&mut Signed| one.signer == signed.signer && one.state_hash == signed.state_hash;
        match known.iter_mut().find(same) {
            // A signature that was received before the party signed is the party's own as well.
            Some(one) => one.own |= signed.own,
            None => known.push(signed),
        }
    }

    fn status_now(&self) -> Option<ChannelStatus> {
        self.fixed.as_ref()?;
        Some(match self {
            _ if !self.withdrawals.is_empty() => ChannelStatus::Withdrawn,
            _ if self.concluded => ChannelStatus::Concluded,
            _ if self.finalized.is_some() => ChannelStatus::Finalized,
            _ if self.challenge.is_some() => ChannelStatus::Challenged,
            _ if self.supported.is_some() => ChannelStatus::Open,
            _ => ChannelStatus::Created,
        })
    }
}

/// Returns the evidence that `second` gives beside the known signatures of its turn: that its signer has already signed
/// another state.
pub(crate) fn second_state(
    known: &[Signed],
    turn_num: u64,
    second: &Signed,
) -> Option<Equivocation> {
    let of_signer = || known.iter().filter(|known| known.signer == second.signer);
    if of_signer().any(|known| known.state_hash == second.state_hash) {
        return None;
    }
    let first = of_signer().next()?.clone();
    Some(Equivocation { turn_num, first, second: second.clone() })
}

/// Returns the signature in an event, and its turn.
pub(crate) fn signed(event: &ChannelEvent) -> Option<(u64, Signed)> {
    match event {
        ChannelEvent::StateSigned(event) => Some((
            event.turn_num,
            Signed {
                signer: event.signer,
                state_hash: event.state_hash,
                signature: event.signature,
                is_final: event.is_final,
                own: true,
            },
        )),
        ChannelEvent::StateReceived(event) => Some((
            event.turn_num,
            Signed {
                signer: event.signer,
                state_hash: event.state_hash,
                signature: event.signature,
                is_final: event.is_final,
                own: false,
            },
        )),
        _ => None,
    }
}

/// Returns the channel that the event is about. Its rules are checked against that channel's state.
pub(crate) fn subject(event: &ChannelEvent) -> Option<Hash> {
    Some(match event {
        ChannelEvent::ChannelCreated(event) => event.channel_id,
        ChannelEvent::StateSigned(event) => event.channel_id,
        ChannelEvent::StateReceived(event) => event.channel_id,
        ChannelEvent::StateSupportedUpdated(event) => event.channel_id,
        ChannelEvent::ChannelFinalized(event) => event.channel_id,
        ChannelEvent::DepositDetected(event) => event.channel_id,
        ChannelEvent::AllocationUpdated(event) => event.channel_id,
        ChannelEvent::ChallengeRegistered(event) => event.channel_id,
        ChannelEvent::ChallengeCleared(event) => event.channel_id,
        ChannelEvent::ChannelConcluded(event) => event.channel_id,
        ChannelEvent::WithdrawCompleted(event) => event.channel_id,
        ChannelEvent::StateKept(event) => event.channel_id,
        _ => return None,
    })
}

impl Projection for Channel {
    type Event = ChannelEvent;
    type State = ChannelState;

    fn initial(&self) -> ChannelState {
        ChannelState::default()
    }

    fn query(&self) -> Query {
        Query::tag(format!("channel:{}", self.0.lower()))
    }

    fn apply(&self, state: &mut ChannelState, event: &Recorded<ChannelEvent>) {
        state.apply(&event.event);
    }
}

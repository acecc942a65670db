//! One channel: what was signed in it, what is supported, and what the chain says.

use std::collections::{BTreeMap, BTreeSet};

use annals::{Projection, Query, Recorded};
use serde::{Deserialize, Serialize};

use crate::{Address, Amount, ChannelEvent, FixedPart, Hash, Signature};

/// The projection of one channel.
#[derive(Debug, Clone, Copy)]
pub struct Channel(pub Hash);

/// How far a channel is: the last of these that happened, a challenge only until it is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelStatus {
    /// It exists.
    Created,
    /// A state is supported.
    Open,
    /// A state was taken to the chain, and is not answered yet.
    Challenged,
    /// Everyone signed a final state.
    Finalized,
    /// The chain took the outcome as final.
    Concluded,
    /// Funds were paid out.
    Withdrawn,
}

/// A channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// How far it is; `None` before it was created.
    pub status: Option<ChannelStatus>,
    /// What never changes; `None` before it was created.
    pub fixed: Option<FixedPart>,
    /// The last turn that we signed.
    pub latest_signed_turn: Option<u64>,
    /// The last supported state.
    pub supported: Option<Supported>,
    /// All signatures by turn, ours and others', in the order they were recorded; of one signer for one state the
    /// first.
    pub signatures: BTreeMap<u64, Vec<Signed>>,
    /// What the chain holds for it, by asset.
    pub holdings: BTreeMap<Address, Holding>,
    /// The challenge that is not answered yet.
    pub challenge: Option<Challenge>,
    /// The final state that everyone signed.
    pub finalized: Option<FinalState>,
    /// Whether the chain took the outcome as final.
    pub concluded: bool,
    /// What was paid out, in order.
    pub withdrawals: Vec<Withdrawal>,
    /// Who signed two states for one turn, with the evidence.
    pub equivocations: Vec<Equivocation>,
}

/// A signature of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Who signed.
    pub signer: Address,
    /// The hash of the state.
    pub state_hash: Hash,
    /// The signature.
    pub signature: Signature,
    /// Whether the state is final.
    pub is_final: bool,
    /// Whether it is ours: signed, even if it was received before.
    pub own: bool,
}

/// A state that has everyone's signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supported {
    /// Its turn.
    pub turn_num: u64,
    /// Its hash.
    pub state_hash: Hash,
    /// How many signatures support it.
    pub num_signatures: u32,
}

/// What the chain holds of one asset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// How much, as the chain said last.
    pub amount: Amount,
    /// The deposits, by block and place in it.
    pub deposits: BTreeSet<(u64, u32)>,
}

/// A challenge on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The turn that is challenged.
    pub turn_num_record: u64,
    /// When it ends, in seconds since 1970 UTC.
    pub finalization_time: u64,
    /// Who challenges.
    pub challenger: Address,
}

/// A final state that everyone signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalState {
    /// Its turn.
    pub turn_num: u64,
    /// Its hash.
    pub state_hash: Hash,
}

/// A payment out of the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// To whom.
    pub recipient: Address,
    /// The asset.
    pub asset: Address,
    /// How much.
    pub amount: Amount,
}

/// The evidence that somebody signed two states for one turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equivocation {
    /// The turn.
    pub turn_num: u64,
    /// What was signed first.
    pub first: Signed,
    /// What else was signed.
    pub second: Signed,
}

impl ChannelState {
    /// The signatures of one turn.
    #[must_use]
    pub fn signatures_at(&self, turn_num: u64) -> &[Signed] {
        self.signatures.get(&turn_num).map_or(&[], Vec::as_slice)
    }

    /// What this signature would prove: that its signer has signed another state for the turn before.
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
            // What came back from somebody before we signed it is ours all the same.
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

/// What a signature proves beside those of its turn: that its signer has signed another state for it before.
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

/// The signature that an event brings, and its turn.
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

/// The channel whose state an event changes.
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

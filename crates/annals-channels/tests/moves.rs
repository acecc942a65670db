//! Two parties and random moves: allowed or not, with messages that are lost, late, repeated or damaged, events of the
//! chain out of order, and parties that are reopened on their logs at any point.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use annals::{DecideError, Durability, EventStore, Journal, SnapshotPolicy};
use annals_channels::{
    Amount, Channel, ChannelEvent, ChannelState, DropCode, Hash, ObjectiveType, OnChain, Party,
    PartyError, SignedState, State, SupportProof, Taken, check_channel, recover,
};
use common::*;
use proptest::prelude::*;
use proptest::sample::Index;

type Durable = Journal<ChannelEvent>;

/// A random move of one party.
#[derive(Debug, Clone)]
enum Move {
    /// The party signs the next turn, and sends it. Every state that it signs is sent.
    Propose {
        is_final: bool,
    },
    /// The party signs the last state that the other one signed.
    Agree,
    /// The party is asked to sign any state.
    Sign {
        turn: u64,
        variant: u8,
        is_final: bool,
    },
    /// The first message that has not arrived yet arrives.
    Arrive,
    /// Any message that was ever sent to the party arrives, late or again.
    Deliver {
        message: Index,
    },
    /// A message arrives with a byte changed.
    Damage {
        message: Index,
        at: Index,
        by: u8,
    },
    /// A turn arrives with another signer or another state.
    Forge {
        turn: Index,
        state: bool,
    },
    /// The party records a deposit.
    Deposit {
        amount: u64,
    },
    /// The party challenges, clears, concludes or withdraws.
    Challenge,
    Clear,
    Conclude,
    Withdraw {
        amount: u64,
    },
    /// The party observes any event of the chain, late or again.
    Hear {
        event: Index,
    },
    /// The party is dropped and opened again on its log.
    Reopen,
}

fn moves() -> impl Strategy<Value = Vec<(usize, Move)>> {
    let one = prop_oneof![
        5 => prop::bool::weighted(0.15).prop_map(|is_final| Move::Propose { is_final }),
        5 => Just(Move::Agree),
        2 => (0..12_u64, 0..2_u8, prop::bool::weighted(0.2))
            .prop_map(|(turn, variant, is_final)| Move::Sign { turn, variant, is_final }),
        8 => Just(Move::Arrive),
        3 => any::<Index>().prop_map(|message| Move::Deliver { message }),
        1 => (any::<Index>(), any::<Index>(), 1..=255_u8)
            .prop_map(|(message, at, by)| Move::Damage { message, at, by }),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(turn, state)| Move::Forge { turn, state }),
        1 => (1..9_u64).prop_map(|amount| Move::Deposit { amount }),
        1 => Just(Move::Challenge),
        1 => Just(Move::Clear),
        2 => Just(Move::Conclude),
        2 => (1..9_u64).prop_map(|amount| Move::Withdraw { amount }),
        3 => any::<Index>().prop_map(|event| Move::Hear { event }),
        2 => Just(Move::Reopen),
    ];
    prop::collection::vec((0..2_usize, one), 1..100)
}

/// Returns a state whose turn number comes in pairs with gaps of 100, so that earlier turns become settled.
fn at(index: u64, variant: u8, is_final: bool) -> State {
    let turn_num = index / 2 * 100 + index % 2 + 1;
    State { channel_id: channel(), app_data: vec![variant], outcome: vec![], turn_num, is_final }
}

/// A party, its log, and what the test expects of both.
struct Side {
    store: EventStore<ChannelEvent, Durable>,
    party: Party<Durable>,
    /// The messages sent to the party, and how often each arrived.
    inbox: Vec<Vec<u8>>,
    arrived: BTreeMap<Vec<u8>, u64>,
    /// The states that the party signed.
    signed: BTreeMap<u64, Hash>,
    turns: Vec<SignedState>,
    /// The offsets at which the party recorded the events of the chain.
    heard: BTreeMap<usize, u64>,
}

struct World {
    directory: tempfile::TempDir,
    sides: Vec<Side>,
    /// The events of the chain.
    chain: Vec<ChannelEvent>,
    held: u64,
    block_num: u64,
    /// The next turn that no party has signed.
    next: u64,
}

fn open(
    directory: &tempfile::TempDir,
    who: usize,
) -> (EventStore<ChannelEvent, Durable>, Party<Durable>) {
    // The operating system keeps what a dropped party wrote; the test has no power failures.
    let options = Journal::options().segment_bytes(16 << 10).durability(Durability::Buffered);
    let store = EventStore::on(options.open(directory.path().join(who.to_string())).unwrap());
    let options = Party::options().snapshots(SnapshotPolicy::every(9).keep(2));
    let party = options.open(&store, parties()[who].clone(), &fixed(7)).unwrap();
    (store, party)
}

/// Returns the result, or `None` if the party refused. Fails if the log has an error.
fn done<T>(result: Result<T, PartyError>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(DecideError::Rejected(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let side = |who| {
            let (store, party) = open(&directory, who);
            let (inbox, turns) = (vec![], vec![]);
            let (arrived, signed, heard) = Default::default();
            Side { store, party, inbox, arrived, signed, turns, heard }
        };
        let sides = (0..2).map(side).collect();
        Self { directory, sides, chain: vec![], held: 0, block_num: 0, next: 0 }
    }

    fn make(&mut self, who: usize, one: &Move) -> Result<(), TestCaseError> {
        self.block_num += 1;
        let position = OnChain { block_num: self.block_num, tx_index: 0, tx_hash: None };
        let (before, begin) = self.state_of(who);
        match one {
            Move::Propose { .. }
            | Move::Agree
            | Move::Sign { .. }
            | Move::Arrive
            | Move::Deliver { .. }
            | Move::Damage { .. }
            | Move::Forge { .. } => self.exchange(who, one)?,
            Move::Deposit { .. }
            | Move::Challenge
            | Move::Clear
            | Move::Conclude
            | Move::Withdraw { .. } => self.act_on_chain(who, one, position, &before)?,
            // The party learns of an event that another one shared. It has nothing to share itself.
            Move::Hear { event } => return self.hear(who, *event),
            Move::Reopen => {
                self.reopen(who);
                prop_assert_eq!(self.sides[who].party.state().unwrap(), &before);
            }
        }
        self.share_chain_events(who, begin);
        Ok(())
    }

    /// Returns the state of a party, and the length of its log.
    fn state_of(&mut self, who: usize) -> (ChannelState, u64) {
        let side = &mut self.sides[who];
        (side.party.state().unwrap().clone(), side.store.len())
    }

    /// Makes a move with turns and messages. A move that needs a turn or message does nothing without one.
    fn exchange(&mut self, who: usize, one: &Move) -> Result<(), TestCaseError> {
        let theirs = &self.sides[1 - who].turns;
        let inbox = &self.sides[who].inbox;
        match *one {
            Move::Propose { is_final } => self.sign(who, &at(self.next, 0, is_final)),
            Move::Agree if !theirs.is_empty() => {
                let last = theirs.iter().max_by_key(|turn| turn.state.turn_num).unwrap();
                let state = last.state.clone();
                self.sign(who, &state)
            }
            Move::Sign { turn, variant, is_final } => {
                self.sign(who, &at(turn.min(self.next), variant, is_final))
            }
            Move::Arrive => {
                let arrived = &self.sides[who].arrived;
                let new = inbox.iter().find(|bytes| !arrived.contains_key(*bytes)).cloned();
                new.map_or(Ok(()), |bytes| self.deliver(who, &bytes))
            }
            Move::Deliver { ref message } if !inbox.is_empty() => {
                let bytes = message.get(inbox).clone();
                self.deliver(who, &bytes)
            }
            Move::Damage { ref message, ref at, by } if !inbox.is_empty() => {
                let mut bytes = message.get(inbox).clone();
                *at.get_mut(&mut bytes) ^= by;
                self.deliver(who, &bytes)
            }
            Move::Forge { ref turn, state } if !theirs.is_empty() => {
                let mut forged = turn.get(theirs).clone();
                if state {
                    forged.state.app_data.push(9);
                } else {
                    forged.signer = key(0x33).address();
                }
                prop_assert!(done(self.sides[who].party.receive(&forged)).is_none());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes a move on the chain, from the state `before`, and checks whether the party takes it.
    fn act_on_chain(
        &mut self,
        who: usize,
        one: &Move,
        position: OnChain,
        before: &ChannelState,
    ) -> Result<(), TestCaseError> {
        let [us, asset] = [parties()[who].address(), ETH.parse().unwrap()];
        let party = &mut self.sides[who].party;
        let supported = before.supported.as_ref().map(|supported| supported.turn_num);
        let challenged = before.challenge.as_ref().map(|challenge| challenge.turn_num_record);
        match *one {
            Move::Deposit { amount } => {
                self.held += amount;
                let (amount, now) = (amount.into(), self.held.into());
                prop_assert!(done(party.deposited(position, asset, amount, now)).is_some());
            }
            Move::Challenge => {
                let proof = done(party.challenge(position, 99));
                let may = supported.is_some() && challenged < supported && !before.concluded;
                prop_assert_eq!(proof.is_some(), may);
                check(proof, supported)?;
            }
            Move::Clear => {
                let proof = done(party.clear(position));
                let may = challenged.is_some() && challenged < supported && !before.concluded;
                prop_assert_eq!(proof.is_some(), may);
                check(proof, supported)?;
            }
            Move::Conclude => {
                let proof = done(party.conclude(position));
                prop_assert_eq!(proof.is_some(), before.finalized.is_some() && !before.concluded);
                check(proof, before.finalized.as_ref().map(|end| end.turn_num))?;
            }
            Move::Withdraw { amount } => {
                let amount = Amount::from(amount);
                let paid = done(party.withdraw(position, asset, us, amount)).is_some();
                let held =
                    before.holdings.get(&asset).map_or(Amount::default(), |held| held.amount);
                prop_assert_eq!(paid, before.concluded && amount <= held);
            }
            ref other => panic!("{other:?} is not a move on the chain"),
        }
        Ok(())
    }

    /// Tells a party of any event of the chain, if there is one. It may know the event already, or refuse it.
    fn hear(&mut self, who: usize, event: Index) -> Result<(), TestCaseError> {
        if self.chain.is_empty() {
            return Ok(());
        }
        let (side, index) = (&mut self.sides[who], event.index(self.chain.len()));
        match (side.party.observe(self.chain[index].clone()), side.heard.get(&index)) {
            (Ok(recorded), Some(&known)) => prop_assert_eq!(recorded.offset, known),
            (Ok(recorded), None) => drop(side.heard.insert(index, recorded.offset)),
            (Err(DecideError::Rejected(_)), None) => {}
            (Err(error), _) => panic!("{error}"),
        }
        Ok(())
    }

    fn sign(&mut self, who: usize, state: &State) -> Result<(), TestCaseError> {
        let side = &mut self.sides[who];
        let known = side.signed.get(&state.turn_num) == Some(&state.hash());
        let Some(turn) = done(side.party.sign(state)) else {
            prop_assert!(!known, "a party signs the same state again");
            return Ok(());
        };
        let first = *side.signed.entry(state.turn_num).or_insert(state.hash());
        prop_assert_eq!(first, state.hash(), "one state for a turn");
        while at(self.next, 0, false).turn_num <= state.turn_num {
            self.next += 1;
        }
        let objective = ObjectiveType::DirectFund.id(channel());
        let bytes = side.party.send("the other", objective, &turn).unwrap();
        let same = side.turns.iter().find(|one| one.state == turn.state);
        prop_assert!(same.is_none_or(|same| *same == turn), "with the same signature");
        side.turns.push(turn);
        self.sides[1 - who].inbox.push(bytes);
        Ok(())
    }

    fn deliver(&mut self, who: usize, bytes: &[u8]) -> Result<(), TestCaseError> {
        let side = &mut self.sides[who];
        let before = side.arrived.get(bytes).copied().unwrap_or(0);
        let answer = match side.party.take("the other", bytes).unwrap() {
            Taken::State { evidence, ack, .. } => {
                prop_assert_eq!(before, 0, "it is taken once");
                prop_assert_eq!(evidence, None, "an honest party never equivocates");
                Some(ack)
            }
            Taken::Acked { .. } => {
                prop_assert_eq!(before, 0, "it is taken once");
                None
            }
            Taken::Dropped { error_code: DropCode::ReplayAttack, ack, .. } => {
                prop_assert!(before > 0, "it came before");
                ack
            }
            Taken::Log(taken) => panic!("no message is about a log: {taken:?}"),
            Taken::Dropped { .. } => return Ok(()),
        };
        side.arrived.insert(bytes.to_vec(), before + 1);
        self.sides[1 - who].inbox.extend(answer);
        Ok(())
    }

    fn reopen(&mut self, who: usize) {
        let Side { store, party, inbox, arrived, signed, turns, heard } = self.sides.remove(who);
        let head = store.len();
        drop((store, party));
        let (store, party) = open(&self.directory, who);
        assert_eq!(store.len(), head, "a log that is opened is as it was");
        self.sides.insert(who, Side { store, party, inbox, arrived, signed, turns, heard });
    }

    /// Adds the party's actions on the chain since its log was at `head` to the events that the other party may
    /// observe.
    fn share_chain_events(&mut self, who: usize, head: u64) {
        let side = &mut self.sides[who];
        for event in side.store.read(head..) {
            let event = event.unwrap();
            if let ChannelEvent::DepositDetected(_)
            | ChannelEvent::AllocationUpdated(_)
            | ChannelEvent::ChallengeRegistered(_)
            | ChannelEvent::ChallengeCleared(_)
            | ChannelEvent::ChannelConcluded(_)
            | ChannelEvent::WithdrawCompleted(_) = event.event
            {
                side.heard.insert(self.chain.len(), event.offset);
                self.chain.push(event.event.clone());
            }
        }
    }

    /// Asserts that no party has signed two states for a turn, and that none has lost a signature.
    fn look(&mut self) -> Result<(), TestCaseError> {
        for side in &self.sides {
            let state = side.store.reconstruct(Channel(channel())).now().unwrap().clone();
            let own = |turn: &u64| -> Vec<Hash> {
                let own = state.signatures_at(*turn).iter().filter(|known| known.own);
                own.map(|known| known.state_hash).collect()
            };
            for turn in state.signatures.keys() {
                let signed: Vec<Hash> = side.signed.get(turn).copied().into_iter().collect();
                prop_assert_eq!(own(turn), signed);
            }
            prop_assert!(side.signed.keys().all(|turn| state.signatures.contains_key(turn)));
            prop_assert!(state.equivocations.is_empty());
        }
        Ok(())
    }
}

/// Asserts that a proof is of this turn, with a valid signature of each participant.
fn check(proof: Option<SupportProof>, turn_num: Option<u64>) -> Result<(), TestCaseError> {
    let Some(proof) = proof else { return Ok(()) };
    prop_assert_eq!(Some(proof.turn_num), turn_num);
    prop_assert_eq!(proof.signatures.len(), 2);
    for ((_, signed), participant) in proof.signatures.iter().zip(&*fixed(7).participants) {
        prop_assert_eq!(recover(signed.state_hash, signed.signature), Ok(*participant));
    }
    Ok(())
}

/// Asserts that every event of a log kept the rules when it was appended, and that no message is recorded twice.
fn keeps_the_rules(store: &EventStore<ChannelEvent, Durable>) -> Result<(), TestCaseError> {
    let view = store.reconstruct(Channel(channel()));
    let mut before = ChannelState::default();
    for step in view.steps(..).unwrap() {
        let step = step.unwrap();
        prop_assert_eq!(check_channel(&before, &step.event.event), Ok(()));
        before = step.state;
    }
    let mut once = BTreeSet::new();
    for event in store.read(..) {
        let id = match &event.unwrap().event {
            ChannelEvent::MessageSent(sent) => (0, sent.message_id),
            ChannelEvent::MessageReceived(received) => (1, received.message_id),
            ChannelEvent::MessageAcked(acked) => (2, acked.message_id),
            _ => continue,
        };
        prop_assert!(once.insert(id), "it is recorded once");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_party_signs_two_states_for_a_turn_or_forgets_one(moves in moves()) {
        let mut world = World::new();
        for (who, one) in moves {
            world.make(who, &one)?;
            world.look()?;
        }
        // Once every message has arrived, both agree on the same states.
        for who in [0, 1] {
            for bytes in world.sides[who].inbox.clone() {
                world.deliver(who, &bytes)?;
            }
        }
        world.look()?;
        let replays: Vec<bool> = world.sides.iter().map(|side| side.arrived.values().any(|&times| times > 1)).collect();
        for (side, replayed) in world.sides.iter().zip(replays) {
            keeps_the_rules(&side.store)?;
            let replay = |event: &ChannelEvent| {
                matches!(event, ChannelEvent::MessageDropped(dropped) if dropped.error_code == DropCode::ReplayAttack)
            };
            prop_assert_eq!(side.store.read(..).any(|event| replay(&event.unwrap().event)), replayed);
        }
        let [first, second] = [0, 1].map(|who| world.sides[who].party.state().unwrap().clone());
        prop_assert_eq!(first.supported, second.supported);
        prop_assert_eq!(first.finalized, second.finalized);
    }
}

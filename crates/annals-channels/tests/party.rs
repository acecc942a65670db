//! Two parties over real signatures: a channel's life, and whatever may happen to their messages and to themselves.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::BTreeMap;

use annals::{DecideError, Durability, EventStore, Journal};
use annals_channels::{
    ChannelEvent, ChannelStatus, Hash, Party, Refusal, Rule, SignedState, State,
};
use common::*;
use proptest::prelude::*;
use serde_json::json;

type Durable = Journal<ChannelEvent>;

fn open(directory: &tempfile::TempDir, party: usize) -> Party<Durable> {
    // A party that is dropped leaves what it wrote to the system; no power fails here.
    let options = Journal::options().durability(Durability::Buffered);
    let store = EventStore::on(options.open(directory.path().join(party.to_string())).unwrap());
    let [first, second] = parties();
    Party::open(&store, if party == 0 { first } else { second }, &fixed(7)).unwrap()
}

fn at(turn_num: u64, variant: u8, is_final: bool) -> State {
    State { channel_id: channel(), app_data: vec![variant], outcome: vec![], turn_num, is_final }
}

#[test]
fn two_parties_take_a_channel_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let [mut alice, mut bob] = [open(&directory, 0), open(&directory, 1)];
    for party in [&mut alice, &mut bob] {
        party.observe(deposit(1, ETH, "10")).unwrap();
    }
    for turn in 1..10 {
        let (mover, other) =
            if turn % 2 == 0 { (&mut alice, &mut bob) } else { (&mut bob, &mut alice) };
        let signed = mover.sign(&at(turn, 0, false)).unwrap();
        assert_eq!(other.receive(&signed).unwrap(), None);
    }
    assert_eq!(alice.state().unwrap().supported, bob.state().unwrap().supported);
    assert_eq!(alice.state().unwrap().supported.unwrap().turn_num, 9);
    for party in [&mut alice, &mut bob] {
        party.observe(challenge(2, 5)).unwrap();
        assert_eq!(party.answer_to_challenge().unwrap(), Some(9));
        party.observe(cleared(3, 9)).unwrap();
        assert_eq!(party.answer_to_challenge().unwrap(), None);
    }
    let last = at(10, 0, true);
    let (ours, theirs) = (alice.sign(&last).unwrap(), bob.sign(&last).unwrap());
    bob.receive(&ours).unwrap();
    alice.receive(&theirs).unwrap();
    let refused = alice.sign(&at(11, 0, true)).unwrap_err();
    let ended = Refusal::Ended { final_turn: 10, asked: 11 };
    assert!(matches!(refused, DecideError::Rejected(refusal) if *refusal == ended));
    for party in [&mut alice, &mut bob] {
        assert_eq!(party.state().unwrap().status, Some(ChannelStatus::Finalized));
        party.observe(chain("channel-concluded", 4, json!({ "finalized_at_turn": 10 }))).unwrap();
        party.observe(withdrawn(5)).unwrap();
    }
    let state = alice.state().unwrap().clone();
    drop(alice);
    assert_eq!(*open(&directory, 0).state().unwrap(), state, "reopened it knows everything");
    assert_eq!(state.status, Some(ChannelStatus::Withdrawn));
}

#[test]
fn a_party_signs_no_second_state_and_keeps_the_others_as_evidence() {
    let directory = tempfile::tempdir().unwrap();
    let mut alice = open(&directory, 0);
    let first = alice.sign(&at(1, 0, false)).unwrap();
    drop(alice);
    let mut alice = open(&directory, 0);
    let refused = alice.sign(&at(1, 1, false)).unwrap_err();
    assert!(
        matches!(refused, DecideError::Rejected(ref refusal) if matches!(**refusal, Refusal::SecondState { turn_num: 1, .. })),
        "{refused}"
    );
    assert_eq!(
        alice.sign(&at(1, 0, false)).unwrap(),
        first,
        "the same state has the same signature"
    );

    let [_, bob] = parties();
    let by_bob = |variant| {
        let state = at(1, variant, false);
        let signature = bob.sign(state.hash()).unwrap();
        SignedState { state, signer: bob.address(), signature }
    };
    assert_eq!(alice.receive(&by_bob(0)).unwrap(), None);
    assert!(alice.receive(&by_bob(1)).unwrap().is_some());
    assert!(alice.receive(&by_bob(1)).unwrap().is_none(), "it is reported once");
    assert_eq!(alice.state().unwrap().equivocations.len(), 1);
}

#[test]
fn of_two_states_for_a_turn_the_movers_is_supported_by_both() {
    let directory = tempfile::tempdir().unwrap();
    let [mut alice, mut bob] = [open(&directory, 0), open(&directory, 1)];
    let messages = [
        (alice.sign(&at(1, 0, false)).unwrap(), bob.sign(&at(1, 0, false)).unwrap()),
        // Turn 2 is Alice's to move.
        (alice.sign(&at(2, 0, false)).unwrap(), bob.sign(&at(2, 1, false)).unwrap()),
    ];
    for (from_alice, from_bob) in &messages {
        bob.receive(from_alice).unwrap();
        alice.receive(from_bob).unwrap();
    }
    let supported = alice.state().unwrap().supported.unwrap();
    assert_eq!((supported.turn_num, supported.state_hash), (2, at(2, 0, false).hash()));
    assert_eq!(bob.state().unwrap().supported, Some(supported));
}

#[test]
fn a_party_is_in_one_channel() {
    let directory = tempfile::tempdir().unwrap();
    let mut alice = open(&directory, 0);
    let other = State { channel_id: Hash::new([1; 32]), ..at(1, 0, false) };
    let refused = alice.sign(&other).unwrap_err().to_string();
    assert!(refused.contains("this party is in channel 0x"), "{refused}");
    let Err(DecideError::Rejected(broken)) = alice.observe(objective_created(OBJECTIVES[0])) else {
        panic!("it is about no channel")
    };
    assert!(matches!(*broken.rule, Rule::OwnChannel { found: None, .. }));
}

/// What may happen.
#[derive(Debug, Clone)]
enum Move {
    /// A party is asked to sign a state.
    Sign { party: usize, turn: u64, variant: u8, is_final: bool },
    /// A message, chosen from all that were ever sent, arrives: late, again, or never.
    Deliver { message: prop::sample::Index },
    /// A message arrives with another signer or another state.
    Forge { message: prop::sample::Index, state: bool },
    /// A party is dropped and opened again on its log.
    Reopen { party: usize },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        5 => (0..2_usize, 0..8_u64, 0..2_u8, prop::bool::weighted(0.1))
            .prop_map(|(party, turn, variant, is_final)| Move::Sign { party, turn, variant, is_final }),
        6 => any::<prop::sample::Index>().prop_map(|message| Move::Deliver { message }),
        1 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(message, state)| Move::Forge { message, state }),
        1 => (0..2_usize).prop_map(|party| Move::Reopen { party }),
    ];
    prop::collection::vec(one, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_party_signs_two_states_for_a_turn_or_forgets_one(moves in moves()) {
        let directory = tempfile::tempdir().unwrap();
        let mut all = [0, 1].map(|party| Some(open(&directory, party)));
        let mut sent: Vec<(usize, SignedState)> = Vec::new();
        let mut signed: [BTreeMap<u64, Hash>; 2] = Default::default();
        for one in moves {
            match one {
                Move::Sign { party, turn, variant, is_final } => {
                    let state = at(turn, variant, is_final);
                    if let Ok(message) = all[party].as_mut().unwrap().sign(&state) {
                        let first = *signed[party].entry(turn).or_insert(state.hash());
                        prop_assert_eq!(first, state.hash(), "one state for a turn");
                        sent.push((party, message));
                    }
                }
                Move::Deliver { message } if !sent.is_empty() => {
                    let (from, message) = message.get(&sent);
                    let evidence = all[1 - from].as_mut().unwrap().receive(message).unwrap();
                    prop_assert_eq!(evidence, None, "an honest party equivocates never");
                }
                Move::Forge { message, state } if !sent.is_empty() => {
                    let (from, message) = message.get(&sent);
                    let mut forged = message.clone();
                    if state {
                        forged.state.app_data.push(9);
                    } else {
                        forged.signer = key(0x33).address();
                    }
                    prop_assert!(all[1 - from].as_mut().unwrap().receive(&forged).is_err());
                }
                Move::Reopen { party } => {
                    all[party] = None;
                    all[party] = Some(open(&directory, party));
                }
                Move::Deliver { .. } | Move::Forge { .. } => {}
            }
            for (party, signed) in signed.iter().enumerate() {
                let state = all[party].as_mut().unwrap().state().unwrap();
                for (turn, hash) in signed {
                    let kept = state.signatures_at(*turn).iter().any(|known| known.own && known.state_hash == *hash);
                    prop_assert!(kept, "what was signed is known");
                }
            }
        }
        // Once every message has arrived, both have the same.
        for (from, message) in &sent {
            all[1 - from].as_mut().unwrap().receive(message).unwrap();
        }
        let [first, second] = all.map(|party| party.unwrap().state().unwrap().clone());
        prop_assert_eq!(first.supported, second.supported);
        prop_assert_eq!(first.finalized, second.finalized);
    }
}

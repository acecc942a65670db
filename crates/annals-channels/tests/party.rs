//! Two parties with real signatures: the life of a channel, and the actions that a party refuses.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::{DecideError, Durability, EventStore, Journal};
use annals_channels::{
    ChannelEvent, ChannelStatus, Hash, Party, Refusal, Rule, SignedState, State,
};
use common::*;
use serde_json::json;

type Durable = Journal<ChannelEvent>;

fn open(directory: &tempfile::TempDir, party: usize) -> Party<Durable> {
    // The operating system keeps what a dropped party wrote; the test has no power failures.
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
        // Alice is the mover of turn 2.
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
fn a_final_state_binds_its_signer_whoever_signs_after_it() {
    let store = common::Store::in_memory();
    let [mut alice, mut bob] = parties().map(|key| Party::open(&store, key, &fixed(7)).unwrap());
    alice.sign(&at(5, 0, true)).unwrap();
    bob.sign(&at(6, 0, false)).unwrap();
    let refused = alice.sign(&at(7, 0, false)).unwrap_err();
    let ended = Refusal::Ended { final_turn: 5, asked: 7 };
    assert!(matches!(refused, DecideError::Rejected(refusal) if *refusal == ended));
}

#[test]
fn a_party_is_in_one_channel() {
    let directory = tempfile::tempdir().unwrap();
    let mut alice = open(&directory, 0);
    let other = State { channel_id: Hash::new([1; 32]), ..at(1, 0, false) };
    let refused = alice.sign(&other).unwrap_err().to_string();
    assert!(refused.contains("the party is in channel 0x"), "{refused}");
    let Err(DecideError::Rejected(violation)) = alice.observe(objective_created(OBJECTIVES[0]))
    else {
        panic!("expected a refusal")
    };
    assert!(matches!(*violation.rule, Rule::OwnChannel { found: None, .. }));
    assert!(violation.to_string().contains("; the event is about no channel"), "{violation}");
}

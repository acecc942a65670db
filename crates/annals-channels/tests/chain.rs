//! A party's actions on the chain: each is recorded first, by the rules, and once.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::DecideError;
use annals_channels::{
    Address, ChannelStatus, ObjectiveStatus, ObjectiveType, Objectives, OnChain, Party, PartyError,
    Refusal, Rule, SignedState, State, SupportProof, recover,
};
use common::*;
use serde_json::json;

fn opened() -> (Store, Party) {
    let store = Store::in_memory();
    let [first, _] = parties();
    let party = Party::open(&store, first, &fixed(7)).unwrap();
    (store, party)
}

fn at(turn_num: u64, is_final: bool) -> State {
    State { channel_id: channel(), app_data: vec![], outcome: vec![], turn_num, is_final }
}

/// Lets both parties sign a turn.
fn agree(party: &mut Party, turn_num: u64, is_final: bool) {
    let [_, second] = parties();
    let state = at(turn_num, is_final);
    party.sign(&state).unwrap();
    let (signer, signature) = (second.address(), second.sign(state.hash()).unwrap());
    party.receive(&SignedState { state, signer, signature }).unwrap();
}

fn position(block_num: u64) -> OnChain {
    OnChain { block_num, tx_index: 0, tx_hash: None }
}

fn eth() -> Address {
    ETH.parse().unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, PartyError>) -> Refusal {
    match result {
        Err(DecideError::Rejected(refusal)) => *refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[track_caller]
fn violation<T: std::fmt::Debug>(result: Result<T, PartyError>) -> Rule {
    match refused(result) {
        Refusal::Violation(violation) => *violation.rule,
        other => panic!("expected a rule, found {other}"),
    }
}

/// Asserts that a proof has each participant's signature, and that the signatures support the state.
fn check(proof: &SupportProof) {
    let signers: Vec<Address> = proof.signatures.iter().map(|(_, signed)| signed.signer).collect();
    assert_eq!(signers, fixed(7).participants.to_vec());
    for (turn_num, signed) in &proof.signatures {
        assert_eq!(recover(signed.state_hash, signed.signature).unwrap(), signed.signer);
        assert!((proof.turn_num - 1..=proof.turn_num).contains(turn_num));
        assert!(*turn_num < proof.turn_num || signed.state_hash == proof.state_hash);
    }
}

#[test]
fn a_channel_goes_to_its_end() {
    let (store, mut party) = opened();
    let us = party.address();
    party.deposited(position(1), eth(), 10.into(), 10.into()).unwrap();
    agree(&mut party, 1, false);
    assert_eq!(party.challenge(position(2), 99).unwrap(), party.support().unwrap().unwrap());
    assert_eq!(party.state().unwrap().status, Some(ChannelStatus::Challenged));
    agree(&mut party, 2, false);
    let cleared = party.clear(position(3)).unwrap();
    assert_eq!((cleared.turn_num, cleared.state_hash), (2, at(2, false).hash()));
    check(&cleared);
    agree(&mut party, 3, true);
    let ended = party.conclude(position(4)).unwrap();
    assert!(ended.is_final && ended.turn_num == 3);
    check(&ended);
    party.withdraw(position(5), eth(), us, 4.into()).unwrap();
    assert_eq!(party.state().unwrap().holdings[&eth()].amount, 6.into());
    party.withdraw(position(6), eth(), us, 6.into()).unwrap();
    let types: Vec<String> = store
        .types()
        .unwrap()
        .into_iter()
        .map(|known| format!("{} {}", known.name, known.count))
        .collect();
    assert_eq!(
        types,
        [
            "allocation-updated 2",
            "challenge-cleared 1",
            "challenge-registered 1",
            "channel-concluded 1",
            "channel-created 1",
            "channel-finalized 1",
            "deposit-detected 1",
            "state-received 3",
            "state-signed 3",
            "state-supported-updated 3",
            "withdraw-completed 2",
        ]
    );
}

#[test]
fn what_was_done_is_not_done_again() {
    let (store, mut party) = opened();
    let us = party.address();
    let steps: [fn(&mut Party, Address); 5] = [
        |party, _| party.deposited(position(1), eth(), 10.into(), 10.into()).unwrap(),
        |party, _| drop(party.challenge(position(2), 99).unwrap()),
        |party, _| drop(party.clear(position(3)).unwrap()),
        |party, _| drop(party.conclude(position(4)).unwrap()),
        |party, us| party.withdraw(position(5), eth(), us, 4.into()).unwrap(),
    ];
    agree(&mut party, 1, false);
    for (done, step) in steps.iter().enumerate() {
        match done {
            2 => agree(&mut party, 2, false),
            3 => agree(&mut party, 3, true),
            _ => {}
        }
        step(&mut party, us);
        // The party was interrupted, and does not know whether the step was recorded.
        let [first, _] = parties();
        party = Party::open(&store, first, &fixed(7)).unwrap();
        let head = store.len();
        step(&mut party, us);
        assert_eq!(store.len(), head, "step {done}");
    }
    // The same amount once more, in another transaction.
    party.withdraw(position(6), eth(), us, 4.into()).unwrap();
    assert_eq!(party.state().unwrap().withdrawals.len(), 2);
}

#[test]
fn a_challenge_needs_a_later_state() {
    let (store, mut party) = opened();
    let head = store.len();
    assert_eq!(refused(party.challenge(position(1), 9)), Refusal::NothingSupported);
    assert_eq!(refused(party.clear(position(1))), Refusal::NothingSupported);
    assert_eq!(store.len(), head);
    agree(&mut party, 1, false);
    assert_eq!(
        violation(party.clear(position(1))),
        Rule::ChallengeExists { channel_id: channel() }
    );
    party.observe(challenge(2, 1)).unwrap();
    let (challenged, found) = (1, 1);
    assert_eq!(
        refused(party.challenge(position(3), 9)),
        Refusal::Challenged { challenged, supported: 1 }
    );
    assert_eq!(violation(party.clear(position(3))), Rule::ClearingBeats { challenged, found });
    agree(&mut party, 2, false);
    assert_eq!(party.challenge(position(3), 9).unwrap().turn_num, 2);
}

#[test]
fn a_channel_ends_with_a_final_state_of_all() {
    let (_, mut party) = opened();
    let us = party.address();
    party.deposited(position(1), eth(), 5.into(), 5.into()).unwrap();
    agree(&mut party, 1, false);
    assert_eq!(refused(party.conclude(position(2))), Refusal::NotFinal);
    let early = violation(party.withdraw(position(2), eth(), us, 1.into()));
    assert_eq!(early, Rule::ConcludedFirst { channel_id: channel() });
    agree(&mut party, 2, true);
    party.conclude(position(2)).unwrap();
    let concluded = Refusal::Concluded { channel_id: channel() };
    assert_eq!(refused(party.conclude(position(3))), concluded);
    assert_eq!(refused(party.challenge(position(3), 9)), concluded);
    assert_eq!(refused(party.clear(position(3))), concluded);
    for asset in [eth(), APP.parse().unwrap()] {
        let held = if asset == eth() { 5.into() } else { 0.into() };
        let refusal = refused(party.withdraw(position(4), asset, us, 6.into()));
        assert_eq!(refusal, Refusal::NotHeld { asset, held, asked: 6.into() });
    }
}

#[test]
fn a_deposit_is_counted_once() {
    let (_, mut party) = opened();
    party.deposited(position(1), eth(), 5.into(), 5.into()).unwrap();
    let again = violation(party.deposited(position(1), eth(), 6.into(), 11.into()));
    assert_eq!(again, Rule::DepositIsNew { block_num: 1, tx_index: 0, asset: eth() });
    let less = violation(party.deposited(position(2), eth(), 1.into(), 4.into()));
    assert_eq!(less, Rule::HoldingGrows { held: 5.into(), found: 4.into() });
}

#[test]
fn what_the_chain_said_is_heard_once_and_nothing_else_is() {
    let (store, mut party) = opened();
    let concluded = |time: u64| {
        chain("channel-concluded", 4, json!({ "finalized_at_turn": 1, "timestamp_ms": time }))
    };
    let first = party.observe(concluded(1)).unwrap();
    assert_eq!(party.observe(concluded(2)).unwrap(), first);
    let paid = party.observe(withdrawn(5)).unwrap();
    assert_eq!(party.observe(withdrawn(5)).unwrap(), paid);
    let head = store.len();
    for event in [signed(1, 0), supported(1, 0, 2), finalized(1)] {
        let Err(DecideError::Rejected(violation)) = party.observe(event) else {
            panic!("expected a refusal")
        };
        assert_eq!(*violation.rule, Rule::OfTheChain);
    }
    assert_eq!(store.len(), head);
}

#[test]
fn objectives_are_pursued_to_their_end() {
    use ObjectiveType::{DirectDefund, DirectFund, VirtualFund};
    let (store, mut party) = opened();
    let fund = party.pursue(DirectFund).unwrap();
    assert_eq!(fund, DirectFund.id(channel()));
    assert_eq!(party.pursue(DirectFund).unwrap(), fund);
    let Err(DecideError::Rejected(owned)) = party.pursue(DirectDefund) else {
        panic!("expected a refusal")
    };
    assert_eq!(*owned.rule, Rule::OneOwner { channel_id: channel(), owner: fund });
    assert!(!party.crank(DirectFund, 1).unwrap(), "nothing is supported");
    agree(&mut party, 1, false);
    assert!(party.crank(DirectFund, 0).unwrap());
    let head = store.len();
    assert!(party.crank(DirectFund, 0).unwrap(), "a completed objective stays completed");
    assert_eq!(store.len(), head);

    let defund = party.pursue(DirectDefund).unwrap();
    party.abandon(DirectDefund, "not yet").unwrap();
    assert!(party.pursue(DirectDefund).is_err(), "a rejected objective stays rejected");
    assert!(party.crank(VirtualFund, 0).is_err(), "there is no such objective");
    let all = store.reconstruct(Objectives).now().unwrap().clone();
    let (fund, defund) = (&all.objectives[&fund], &all.objectives[&defund]);
    assert_eq!((fund.status, fund.cranks, fund.waiting), (ObjectiveStatus::Completed, 2, false));
    assert_eq!(fund.final_channel_state, Some(at(1, false).hash()));
    assert_eq!(fund.approver, Some(party.address()));
    assert_eq!(defund.status, ObjectiveStatus::Rejected);
    assert!(all.owners.is_empty());
}

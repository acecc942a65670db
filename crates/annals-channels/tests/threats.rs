//! Attacks of the threat table of docs/PROOFS.md that the other party's log notices.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::EventStore;
use annals_channels::{
    EventVersion, LogTaken, Party, PartyLog, ReceiptReceived, SecretKey, SignedState, State, Trust,
    check_evidence, record,
};
use annals_proof::{LogKey, Proofs};
use common::*;

fn account(name: &str) -> SecretKey {
    let [alice, bob] = parties();
    if name == "alice" { alice } else { bob }
}

fn open(name: &str) -> (PartyLog, Party) {
    let seed = if name == "alice" { 0x33 } else { 0x44 };
    let key = LogKey::from_seed(&format!("annals.example/{name}"), &[seed; 32]).unwrap();
    let store = EventStore::in_memory();
    let proofs = Proofs::in_memory(&store, key.name()).unwrap();
    let log = PartyLog::open(&store, proofs, key, &account(name)).unwrap();
    let options = Party::options().keep_states();
    let party = options.open_proved(&log, account(name), &fixed(7)).unwrap();
    (log, party)
}

fn both() -> [(PartyLog, Party); 2] {
    let (alice, bob) = (open("alice"), open("bob"));
    alice.0.know("bob", bob.0.statement(), account("bob").address()).unwrap();
    bob.0.know("alice", alice.0.statement(), account("alice").address()).unwrap();
    [alice, bob]
}

fn cosigned((owner, name): (&PartyLog, &str), (witness, witness_name): (&PartyLog, &str)) {
    let request = owner.checkpoint(witness_name).unwrap();
    let LogTaken::Cosigned { reply, .. } = witness.take(name, &request).unwrap() else { panic!() };
    owner.take(witness_name, &reply).unwrap();
}

fn at(turn_num: u64, app_data: u8) -> State {
    let (app_data, outcome) = (vec![app_data], vec![]);
    State { app_data, channel_id: channel(), is_final: false, outcome, turn_num }
}

fn accounts() -> Trust {
    Trust::Accounts(vec![account("alice").address(), account("bob").address()])
}

#[test]
fn what_was_never_recorded_is_in_the_peers_log() {
    let [(alice, mut alices), (bob, mut bobs)] = both();
    bobs.receive(&alices.sign(&at(1, 0)).unwrap()).unwrap();
    cosigned((&alice, "alice"), (&bob, "bob"));
    // Alice signs another state for the turn with her key alone. Her log does not have it.
    let state = at(1, 1);
    let (signer, signature) =
        (account("alice").address(), account("alice").sign(state.hash()).unwrap());
    bobs.receive(&SignedState { state, signer, signature }).unwrap();
    let hers = alices.evidence().unwrap().whole().build().unwrap().to_json();
    let found = check_evidence(hers.as_bytes(), &accounts()).unwrap();
    assert_eq!(found.convicted, [], "her own log is whole, and shows nothing");
    let his = bobs.evidence().unwrap().build().unwrap().to_json();
    let found = check_evidence(his.as_bytes(), &accounts()).unwrap();
    assert_eq!(found.convicted.len(), 1);
    assert_eq!(found.convicted[0].signer, account("alice").address());
}

#[test]
fn a_backdated_event_contradicts_a_cosignature_before_it() {
    let [(alice, mut alices), (bob, _)] = both();
    alices.sign(&at(1, 0)).unwrap();
    cosigned((&alice, "alice"), (&bob, "bob"));
    let evidence = |party: &Party| party.evidence().unwrap().whole().build().unwrap().to_json();
    let found = check_evidence(evidence(&alices).as_bytes(), &accounts()).unwrap();
    assert_eq!(found.backdated, []);
    // Alice's clock is two hours behind Bob's, so that a late signature looks like an early one.
    let mut checkpoint = alice.signed().unwrap();
    let receipt = alice.store().len();
    let key = LogKey::from_seed("annals.example/bob", &[0x44; 32]).unwrap();
    let now = alice.store().get(receipt - 1).unwrap().unwrap().time_ms;
    let line = checkpoint.cosign(&key, now / 1_000 + 7_200);
    checkpoint.add_cosignature(&line, &key.witness_vkey()).unwrap();
    let event = ReceiptReceived {
        checkpoint: checkpoint.to_string(),
        event_version: EventVersion,
        origin: alice.origin().to_owned(),
        peer_id: "bob".into(),
        timestamp_ms: now,
        tree_size: checkpoint.size(),
    };
    record(alice.store(), event.into()).unwrap();
    alices.sign(&at(2, 0)).unwrap();
    let found = check_evidence(evidence(&alices).as_bytes(), &accounts()).unwrap();
    // The signature and the state.
    assert_eq!(found.backdated.len(), 2, "{:?}", found.backdated);
    assert!(found.backdated.iter().all(|one| one.receipt == receipt && one.offset > receipt));
    // Without Bob's account, nothing is known of his cosignature.
    let of_alice = Trust::Accounts(vec![account("alice").address()]);
    let found = check_evidence(evidence(&alices).as_bytes(), &of_alice).unwrap();
    assert_eq!(found.backdated, []);
}

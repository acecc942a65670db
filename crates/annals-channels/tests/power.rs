//! A power cut right after a party handed something out. The log is on a disk that keeps only what was synced, and the
//! journal syncs nothing by itself.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::sync::Arc;

use annals::{DecideError, Durability, EventStore, Journal, Query, QueryItem};
use annals_channels::{
    ChannelEvent, CheckpointCosigned, EventVersion, Hash, KeyStatement, LogError, LogRefusal,
    LogTaken, MessageSent, ObjectiveType, OnChain, Party, PartyError, PartyLog, ReceiptReceived,
    Refusal, SignedState, State, StateSigned, SupportProof, Taken, record,
};
use annals_conformance::fault::{FaultFileSystem, Loss, on_disk};
use annals_proof::{LogKey, Proofs};
use common::*;

type OnDisk = Journal<ChannelEvent>;

fn open(disk: &FaultFileSystem) -> (EventStore<ChannelEvent, OnDisk>, Party<OnDisk>) {
    let journal = Journal::options()
        .durability(Durability::Buffered)
        .file_system(Arc::new(disk.process()))
        .open(on_disk("log"))
        .unwrap();
    let (store, [alice, _]) = (EventStore::on(journal), parties());
    let party = Party::open(&store, alice, &fixed(7)).unwrap();
    (store, party)
}

fn at(turn_num: u64, app_data: u8) -> State {
    let (app_data, outcome) = (vec![app_data], vec![]);
    State { app_data, channel_id: channel(), is_final: false, outcome, turn_num }
}

#[track_caller]
fn signs_no_second_state(disk: &FaultFileSystem, signed: &SignedState) {
    let (_store, mut party) = open(disk);
    match party.sign(&at(signed.state.turn_num, 0xFF)) {
        Err(DecideError::Rejected(refusal)) => {
            assert!(matches!(*refusal, Refusal::SecondState { .. }), "{refusal}");
        }
        other => panic!("expected a refusal, found {other:?}"),
    }
    assert_eq!(party.sign(&signed.state).unwrap(), *signed);
}

#[test]
fn a_signature_that_was_handed_out_is_never_forgotten() {
    let disk = FaultFileSystem::new(1);
    let (_store, mut party) = open(&disk);
    let signed = party.sign(&at(1, 0)).unwrap();
    disk.restart(Loss::Everything);
    signs_no_second_state(&disk, &signed);
}

/// Records a signature of the party as another handle does that has not synced it yet.
fn record_unsynced(store: &EventStore<ChannelEvent, OnDisk>, state: &State) {
    let [alice, _] = parties();
    let event = StateSigned {
        app_data_hash: Some(state.app_data_hash()),
        channel_id: state.channel_id,
        event_version: EventVersion,
        is_final: state.is_final,
        signature: alice.sign(state.hash()).unwrap(),
        signer: alice.address(),
        state_hash: state.hash(),
        timestamp_ms: 1,
        turn_num: state.turn_num,
    };
    record(store, event.into()).unwrap();
}

#[test]
fn a_recorded_signature_that_is_handed_out_again_is_never_forgotten() {
    let disk = FaultFileSystem::new(1);
    let ((store, mut party), state) = (open(&disk), at(1, 0));
    record_unsynced(&store, &state);
    let events = store.len();
    let signed = party.sign(&state).unwrap();
    assert_eq!(store.len(), events, "it is the recorded one");
    disk.restart(Loss::Everything);
    signs_no_second_state(&disk, &signed);
}

#[test]
fn what_was_acknowledged_or_sent_is_never_forgotten() {
    let disk = FaultFileSystem::new(1);
    let (_store, mut alice) = open(&disk);
    let [_, bob] = parties();
    let mut bob = Party::open(&EventStore::in_memory(), bob, &fixed(7)).unwrap();
    let objective = bob.pursue(ObjectiveType::DirectFund).unwrap();
    let turn = bob.sign(&at(1, 0)).unwrap();
    let bytes = bob.send("alice", objective, &turn).unwrap();
    assert!(matches!(alice.take("bob", &bytes).unwrap(), Taken::State { .. }));
    disk.restart(Loss::Everything);
    let (store, mut alice) = open(&disk);
    assert_eq!(alice.state().unwrap().signatures_at(1).len(), 1);
    assert!(matches!(alice.take("bob", &bytes).unwrap(), Taken::Dropped { ack: Some(_), .. }));
    let answer = alice.sign(&at(1, 0)).unwrap();
    alice.send("bob", objective, &answer).unwrap();
    disk.restart(Loss::Everything);
    drop((store, alice));
    let (store, _) = open(&disk);
    let sent = Query::item(QueryItem::new().event_type(MessageSent::TYPE));
    assert_eq!(store.query(&sent).count(), 1);
}

#[test]
fn a_signature_that_is_handed_out_for_the_chain_is_never_forgotten() {
    type Act = fn(&mut Party<OnDisk>) -> Result<SupportProof, PartyError>;
    let acts: [Act; 3] = [
        |party| Ok(party.support()?.unwrap()),
        |party| party.challenge(OnChain { block_num: 1, tx_index: 0, tx_hash: None }, 99),
        |party| party.conclude(OnChain { block_num: 1, tx_index: 0, tx_hash: None }),
    ];
    for act in acts {
        let disk = FaultFileSystem::new(1);
        let ((store, mut party), state) = (open(&disk), State { is_final: true, ..at(1, 0) });
        record_unsynced(&store, &state);
        let [alice, bob] = parties();
        let signature = bob.sign(state.hash()).unwrap();
        let turn = SignedState { state: state.clone(), signer: bob.address(), signature };
        party.receive(&turn).unwrap();
        let proof = act(&mut party).unwrap();
        let (turn_num, own) = &proof.signatures[0];
        assert_eq!((*turn_num, own.signer), (1, alice.address()));
        let signed = SignedState { state, signer: own.signer, signature: own.signature };
        disk.restart(Loss::Everything);
        signs_no_second_state(&disk, &signed);
    }
}

#[test]
fn a_cosignature_that_was_shown_is_never_forgotten() {
    let disk = FaultFileSystem::new(1);
    let key = |name| LogKey::from_seed(name, &[7; 32]).unwrap();
    let [alice, bob] = parties();
    let store = EventStore::in_memory();
    let proofs = Proofs::in_memory(&store, "example.com/alice").unwrap();
    let alice = PartyLog::open(&store, proofs, key("example.com/alice"), &alice).unwrap();
    let open = || {
        let (store, _) = open(&disk);
        let proofs = Proofs::in_memory(&store, "example.com/bob").unwrap();
        PartyLog::open(&store, proofs, key("example.com/bob"), &bob).unwrap()
    };
    let log = open();
    log.know("alice", alice.statement(), alice.statement().address()).unwrap();
    let (mut cosigned, key) = (alice.signed().unwrap(), key("example.com/bob"));
    let line = cosigned.cosign(&key, 1_000);
    cosigned.add_cosignature(&line, &key.witness_vkey()).unwrap();
    let recorded = CheckpointCosigned {
        checkpoint: cosigned.to_string(),
        event_version: EventVersion,
        origin: alice.origin().to_owned(),
        peer_id: "alice".to_owned(),
        root_hash: Hash::new(*cosigned.root().as_bytes()),
        timestamp_ms: 1_000_000,
        tree_size: cosigned.size(),
    };
    // As another thread that has not synced it yet.
    log.store().append(recorded.into()).unwrap();
    let shown = log.seen("alice").unwrap();
    disk.restart(Loss::Everything);
    assert_eq!(open().seen("alice").unwrap(), shown);
}

/// Opens the log of alice on a disk, with proofs that forget everything.
fn party_log(disk: &FaultFileSystem) -> PartyLog<OnDisk> {
    let ((store, _), [alice, _]) = (open(disk), parties());
    let proofs = Proofs::in_memory(&store, "example.com/alice").unwrap();
    let key = LogKey::from_seed("example.com/alice", &[8; 32]).unwrap();
    PartyLog::open(&store, proofs, key, &alice).unwrap()
}

#[test]
fn a_statement_that_replaced_a_stolen_key_is_never_forgotten() {
    let disk = FaultFileSystem::new(1);
    let [_, bob] = parties();
    let stated =
        |name: &str| KeyStatement::sign(&bob, &LogKey::from_seed(name, &[9; 32]).unwrap()).unwrap();
    let (old, new) = (stated("example.com/old"), stated("example.com/new"));
    let log = party_log(&disk);
    log.know("bob", &old, bob.address()).unwrap();
    log.know("bob", &new, bob.address()).unwrap();
    disk.restart(Loss::Everything);
    let log = party_log(&disk);
    let events = log.store().len();
    let revived = log.know("bob", &old, bob.address());
    assert!(
        matches!(&revived, Err(LogError::Refused(refusal)) if matches!(**refusal, LogRefusal::Retired { .. })),
        "{revived:?}"
    );
    log.know("bob", &new, bob.address()).unwrap();
    assert_eq!(log.store().len(), events);
}

#[test]
fn a_receipt_is_never_forgotten() {
    let disk = FaultFileSystem::new(1);
    let [_, account] = parties();
    let store = EventStore::in_memory();
    let proofs = Proofs::in_memory(&store, "example.com/bob").unwrap();
    let key = LogKey::from_seed("example.com/bob", &[7; 32]).unwrap();
    let bob = PartyLog::open(&store, proofs, key, &account).unwrap();
    let alice = party_log(&disk);
    alice.know("bob", bob.statement(), account.address()).unwrap();
    bob.know("alice", alice.statement(), alice.statement().address()).unwrap();
    let taken = bob.take("alice", &alice.checkpoint("bob").unwrap()).unwrap();
    let LogTaken::Cosigned { reply, .. } = taken else { panic!("{taken:?}") };
    assert!(matches!(alice.take("bob", &reply).unwrap(), LogTaken::Receipt { .. }));
    disk.restart(Loss::Everything);
    let alice = party_log(&disk);
    let received = Query::item(QueryItem::new().event_type(ReceiptReceived::TYPE));
    assert_eq!(alice.store().query(&received).count(), 1);
}

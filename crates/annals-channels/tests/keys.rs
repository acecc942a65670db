//! Statements of keys that are replayed after the account stated newer keys.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::{EventStore, Query, QueryItem};
use annals_channels::{
    ChannelEvent, KeyStatement, LogError, LogKeyStated, LogRefusal, LogTaken, PartyLog, SecretKey,
};
use annals_proof::{LogKey, Proofs};
use common::*;

fn log_key(name: &str, seed: u8) -> LogKey {
    LogKey::from_seed(&format!("annals.example/{name}"), &[seed; 32]).unwrap()
}

fn open(
    store: &EventStore<ChannelEvent>,
    key: LogKey,
    account: &SecretKey,
) -> Result<PartyLog, LogError> {
    let proofs = Proofs::in_memory(store, key.name()).unwrap();
    PartyLog::open(store, proofs, key, account)
}

#[track_caller]
fn is_retired<T: std::fmt::Debug>(result: Result<T, LogError>) {
    let Err(LogError::Refused(refusal)) = result else { panic!("not refused: {result:?}") };
    let (origin, current) = ("annals.example/alice".into(), "annals.example/alice-2".into());
    assert_eq!(*refusal, LogRefusal::Retired { origin, current });
}

#[test]
fn a_replayed_statement_does_not_revive_a_retired_log() {
    let [account, bobs_account] = parties();
    let alice = open(&EventStore::in_memory(), log_key("alice", 0x33), &account).unwrap();
    let bob = open(&EventStore::in_memory(), log_key("bob", 0x44), &bobs_account).unwrap();
    let of_alice = account.address();
    bob.know("alice", alice.statement(), of_alice).unwrap();
    let new = KeyStatement::sign(&account, &log_key("alice-2", 0x55)).unwrap();
    bob.know("alice", &new, of_alice).unwrap();
    let events = bob.store().len();
    for peer in ["alice", "a thief"] {
        is_retired(bob.know(peer, alice.statement(), of_alice));
    }
    assert_eq!(bob.store().len(), events);
    is_retired(bob.take("alice", &alice.checkpoint("bob").unwrap()));
}

#[test]
fn a_replay_that_an_older_program_recorded_does_not_count() {
    let [account, bobs_account] = parties();
    let alice = open(&EventStore::in_memory(), log_key("alice", 0x33), &account).unwrap();
    let store = EventStore::in_memory();
    let bob = open(&store, log_key("bob", 0x44), &bobs_account).unwrap();
    bob.know("alice", alice.statement(), account.address()).unwrap();
    let stated = Query::item(QueryItem::new().event_type(LogKeyStated::TYPE));
    let first = store.query(&stated).map(Result::unwrap).last().unwrap();
    let new = log_key("alice-2", 0x55);
    let new = open(&EventStore::in_memory(), new, &account).unwrap();
    bob.know("alice", new.statement(), account.address()).unwrap();
    let ChannelEvent::LogKeyStated(mut replay) = first.event.clone() else { panic!() };
    replay.timestamp_ms += 1;
    store.append(replay.into()).unwrap();
    is_retired(bob.take("alice", &alice.checkpoint("bob").unwrap()));
    let taken = bob.take("alice", &new.checkpoint("bob").unwrap()).unwrap();
    assert!(matches!(taken, LogTaken::Cosigned { .. }), "{taken:?}");
}

#[test]
fn a_log_is_not_opened_with_its_own_replaced_keys() {
    let [account, _] = parties();
    let store = EventStore::in_memory();
    drop(open(&store, log_key("alice", 0x33), &account).unwrap());
    drop(open(&store, log_key("alice-2", 0x55), &account).unwrap());
    let events = store.len();
    is_retired(open(&store, log_key("alice", 0x33), &account));
    open(&store, log_key("alice-2", 0x55), &account).unwrap();
    assert_eq!(store.len(), events);
}

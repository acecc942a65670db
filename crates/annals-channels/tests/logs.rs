//! Parties that are each other's witnesses: receipts, old copies of a log, and new keys.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::path::Path;

use annals::{DecideError, Durability, EventStore, Journal, Query, QueryItem};
use annals_channels::{
    ChannelEvent, CheckpointCosigned, KeyStatement, LogError, LogRefusal, LogTaken, Party,
    PartyLog, ReceiptReceived, Refusal, SecretKey, State, Taken,
};
use annals_proof::{Checkpoint, Fork, LogKey, ProofError, ProofOptions, Proofs};
use common::*;

type FileLog = PartyLog<Journal<ChannelEvent>>;

fn log_key(name: &str) -> LogKey {
    let seed = if name == "alice" { 0x33 } else { 0x44 };
    LogKey::from_seed(&format!("annals.example/{name}"), &[seed; 32]).unwrap()
}

fn account(name: &str) -> SecretKey {
    let [alice, bob] = parties();
    if name == "alice" { alice } else { bob }
}

fn in_memory(name: &str) -> PartyLog {
    let store = EventStore::in_memory();
    let proofs = Proofs::in_memory(&store, log_key(name).name()).unwrap();
    PartyLog::open(&store, proofs, log_key(name), &account(name)).unwrap()
}

fn in_files(name: &str, path: &Path) -> FileLog {
    let journal = Journal::options().durability(Durability::Buffered).open(path).unwrap();
    let store = EventStore::on(journal);
    let proofs = ProofOptions::new().open(&store, log_key(name).name()).unwrap();
    PartyLog::open(&store, proofs, log_key(name), &account(name)).unwrap()
}

/// Tells each of the keys of the other.
fn introduce<A: annals::Backend<ChannelEvent>, B: annals::Backend<ChannelEvent>>(
    alice: &PartyLog<A>,
    bob: &PartyLog<B>,
) {
    alice.know("bob", bob.statement(), account("bob").address()).unwrap();
    bob.know("alice", alice.statement(), account("alice").address()).unwrap();
}

/// Lets `to` cosign the log of `from`. Returns the size.
fn exchange<A: annals::Backend<ChannelEvent>, B: annals::Backend<ChannelEvent>>(
    (from, from_id): (&PartyLog<A>, &str),
    (to, to_id): (&PartyLog<B>, &str),
) -> u64 {
    let LogTaken::Cosigned { reply, size } =
        to.take(from_id, &from.checkpoint(to_id).unwrap()).unwrap()
    else {
        panic!("it is cosigned")
    };
    assert_eq!(from.take(to_id, &reply).unwrap(), LogTaken::Receipt { size });
    size
}

fn state_at(turn_num: u64) -> State {
    State { channel_id: channel(), app_data: vec![1], outcome: vec![], turn_num, is_final: false }
}

fn count(store: &EventStore<ChannelEvent>, event_type: &str) -> usize {
    store.query(&Query::item(QueryItem::new().event_type(event_type))).count()
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, LogError>) -> LogRefusal {
    match result {
        Err(LogError::Refused(refusal)) => *refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn each_party_cosigns_the_other_and_records_it_first() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    let message = alice.checkpoint("bob").unwrap();
    assert_eq!(count(bob.store(), CheckpointCosigned::TYPE), 0);
    let LogTaken::Cosigned { reply, size } = bob.take("alice", &message).unwrap() else { panic!() };
    // The receipt is in no one's hands yet, and the event is in the log.
    assert_eq!(count(bob.store(), CheckpointCosigned::TYPE), 1);
    assert_eq!(alice.take("bob", &reply).unwrap(), LogTaken::Receipt { size });
    assert_eq!(count(alice.store(), ReceiptReceived::TYPE), 1);
    exchange((&bob, "bob"), (&alice, "alice"));
    // The logs bind each other: Alice's next checkpoint covers her cosignature of Bob's log, and so on.
    for _ in 0..3 {
        assert!(exchange((&alice, "alice"), (&bob, "bob")) > size);
        exchange((&bob, "bob"), (&alice, "alice"));
    }
    // The same receipt again changes nothing.
    let events = alice.store().len();
    assert_eq!(alice.take("bob", &reply).unwrap(), LogTaken::Receipt { size });
    assert_eq!(alice.store().len(), events);
}

#[test]
fn a_receipt_that_was_lost_is_repeated() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    bob.take("alice", &alice.checkpoint("bob").unwrap()).unwrap();
    // Alice does not know, and begins at 0 again. Bob shows where he is.
    let taken = bob.take("alice", &alice.checkpoint("bob").unwrap()).unwrap();
    let LogTaken::Behind { size: 2, reply } = taken else { panic!("{taken:?}") };
    assert_eq!(alice.take("bob", &reply).unwrap(), LogTaken::Confirmed { size: 2 });
    assert_eq!(count(alice.store(), ReceiptReceived::TYPE), 1, "the receipt was in the reply");
    exchange((&alice, "alice"), (&bob, "bob"));
}

#[test]
fn a_repeated_checkpoint_is_cosigned_once() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    let message = alice.checkpoint("bob").unwrap();
    // Bob cosigned it long ago.
    let (mut cosigned, key) = (alice.signed().unwrap(), log_key("bob"));
    let size = cosigned.size();
    let line = cosigned.cosign(&key, 1_000);
    cosigned.add_cosignature(&line, &key.witness_vkey()).unwrap();
    let recorded = CheckpointCosigned {
        checkpoint: cosigned.to_string(),
        event_version: annals_channels::EventVersion,
        origin: alice.origin().to_owned(),
        peer_id: "alice".to_owned(),
        root_hash: annals_channels::Hash::new(*cosigned.root().as_bytes()),
        timestamp_ms: 1_000_000,
        tree_size: size,
    };
    bob.store().append(recorded.into()).unwrap();
    let events = bob.store().len();
    // The proof begins and ends at the size that Bob cosigned last.
    let request = alice.proofs().prove_consistency(size, &alice.signed().unwrap()).unwrap();
    let again = serde_json::json!({ "type": "checkpoint", "request": request.to_string() });
    let mut replies = Vec::new();
    for _ in 0..3 {
        let taken = bob.take("alice", message_bytes(&again).as_bytes()).unwrap();
        let LogTaken::Cosigned { reply, size: found } = taken else { panic!("{taken:?}") };
        assert_eq!(found, size);
        let reply: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!(reply["line"], line.as_str(), "it is the recorded cosignature");
        replies.push(reply);
        assert!(matches!(bob.take("alice", &message).unwrap(), LogTaken::Behind { .. }));
    }
    assert_eq!(bob.store().len(), events);
    let line = &replies[0]["line"];
    let receipt = format!("{{\"type\":\"receipt\",\"line\":{line}}}");
    assert_eq!(alice.take("bob", receipt.as_bytes()).unwrap(), LogTaken::Receipt { size });
    assert_eq!(exchange((&alice, "alice"), (&bob, "bob")), size + 1);
}

#[test]
fn a_receipt_from_the_future_is_not_recorded() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    alice.checkpoint("bob").unwrap();
    let (mut checkpoint, key) = (alice.signed().unwrap(), log_key("bob"));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let receipt = |line: &str| {
        format!("{{\"type\":\"receipt\",\"line\":{}}}", serde_json::to_string(line).unwrap())
    };
    let line = checkpoint.cosign(&key, since.as_secs() + 3_600);
    let refused = refusal(alice.take("bob", receipt(&line).as_bytes()));
    assert!(matches!(refused, LogRefusal::FromTheFuture { .. }), "{refused}");
    let never = checkpoint.cosign(&key, i64::MAX as u64);
    let refused = refusal(alice.take("bob", receipt(&never).as_bytes()));
    assert!(matches!(refused, LogRefusal::FromTheFuture { .. }), "{refused}");
    // The checkpoint that a peer shows still confirms the log, so that a wrong clock does not stop the party.
    let size = checkpoint.size();
    checkpoint.add_cosignature(&line, &key.witness_vkey()).unwrap();
    let note = serde_json::to_string(&checkpoint.to_string()).unwrap();
    let seen = format!("{{\"type\":\"seen\",\"checkpoint\":{note}}}");
    assert_eq!(alice.take("bob", seen.as_bytes()).unwrap(), LogTaken::Confirmed { size });
    assert!(alice.is_confirmed_by(&account("bob").address()));
    assert_eq!(count(alice.store(), ReceiptReceived::TYPE), 0);
    // Two clocks may differ a little.
    let line = checkpoint.cosign(&key, since.as_secs() + 30);
    assert_eq!(alice.take("bob", receipt(&line).as_bytes()).unwrap(), LogTaken::Receipt { size });
    assert_eq!(count(alice.store(), ReceiptReceived::TYPE), 1);
}

#[test]
fn only_the_owner_of_a_known_log_is_cosigned() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    let message = alice.checkpoint("bob").unwrap();
    assert!(matches!(refusal(bob.take("alice", &message)), LogRefusal::UnknownLog { .. }));
    let wrong = bob.know("alice", alice.statement(), account("bob").address());
    assert!(matches!(refusal(wrong), LogRefusal::OtherAccount { .. }));
    introduce(&alice, &bob);
    assert!(matches!(refusal(bob.take("carol", &message)), LogRefusal::OtherPeer { .. }));
    let spoiled = String::from_utf8(message.clone()).unwrap().replace("nVpI", "nVpJ");
    assert!(matches!(refusal(bob.take("alice", spoiled.as_bytes())), LogRefusal::Check(_)));
    bob.take("alice", &message).unwrap();
    let events = bob.store().len();
    for junk in [&b"{}"[..], b"", br#"{"type":"receipt","line":"x"}"#] {
        refusal(bob.take("alice", junk));
    }
    assert_eq!(bob.store().len(), events);
}

#[test]
fn a_second_copy_that_went_on_is_told_so_by_the_peer() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    exchange((&alice, "alice"), (&bob, "bob"));
    // The same owner and key, with another history of the same length.
    let other = in_memory("alice");
    while other.store().len() < alice.store().len() + 1 {
        record_deposit(&other);
    }
    // The other copy is shown what Bob has seen of the first one, and signs nothing from then on.
    other.know("bob", bob.statement(), account("bob").address()).unwrap();
    let error = other.take("bob", &bob.seen("alice").unwrap()).unwrap_err();
    assert!(matches!(error, LogError::Proof(ProofError::Forked { .. })), "{error}");
    assert!(matches!(other.checkpoint("bob"), Err(LogError::Proof(ProofError::Forked { .. }))));
}

fn record_deposit<B: annals::Backend<ChannelEvent>>(log: &PartyLog<B>) {
    let block = log.store().len();
    log.store().append(deposit(block, ETH, "1")).unwrap();
}

#[test]
fn a_forged_continuation_is_not_cosigned() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    let size = exchange((&alice, "alice"), (&bob, "bob"));
    let other = in_memory("alice");
    while other.store().len() < size {
        record_deposit(&other);
    }
    // A party of a thief does not look at what Bob has seen. It asks for a cosignature of its own history.
    let forged = other.signed().unwrap();
    let request = other.proofs().prove_consistency(size, &forged).unwrap();
    let message = serde_json::json!({ "type": "checkpoint", "request": request.to_string() });
    let refused = refusal(bob.take("alice", message_bytes(&message).as_bytes()));
    let LogRefusal::Contradicts { cosigned, shown, .. } = refused else { panic!("{refused}") };
    let [a, b] = [cosigned, shown].map(|note| note.parse::<Checkpoint>().unwrap());
    let found = Fork::of_checkpoints(a, b).check(&log_key("alice").vkey()).unwrap();
    assert_eq!(found.sizes, [size; 2]);
}

/// A message has its type first.
fn message_bytes(message: &serde_json::Value) -> String {
    format!("{{\"type\":{},\"request\":{}}}", message["type"], message["request"])
}

#[test]
fn a_new_key_replaces_the_old_log_and_a_thief_gets_no_more_cosignatures() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    exchange((&alice, "alice"), (&bob, "bob"));
    // Bob refuses a new key under the old name: the key of a log never changes.
    let same_name = LogKey::from_seed("annals.example/alice", &[0x55; 32]).unwrap();
    let stated = KeyStatement::sign(&account("alice"), &same_name).unwrap();
    let refused = refusal(bob.know("alice", &stated, account("alice").address()));
    assert!(matches!(refused, LogRefusal::OtherKey { .. }), "{refused}");
    let new = LogKey::from_seed("annals.example/alice-2", &[0x55; 32]).unwrap();
    let stated = KeyStatement::sign(&account("alice"), &new).unwrap();
    bob.know("alice", &stated, account("alice").address()).unwrap();
    // A thief with the old key can sign the old log, but Bob does not cosign it.
    let refused = refusal(bob.take("alice", &alice.checkpoint("bob").unwrap()));
    assert!(matches!(refused, LogRefusal::Retired { .. }), "{refused}");
    // The new statement again changes nothing.
    bob.know("alice", &stated, account("alice").address()).unwrap();
    refusal(bob.take("alice", &alice.checkpoint("bob").unwrap()));
}

/// Copies the files of a directory, with those of its subdirectories.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn open_party(log: &FileLog) -> Party<Journal<ChannelEvent>> {
    Party::options().witnessed().open_proved(log, account("alice"), &fixed(7)).unwrap()
}

#[track_caller]
fn refuses(party: &mut Party<Journal<ChannelEvent>>, turn: u64) -> Refusal {
    match party.sign(&state_at(turn)) {
        Err(DecideError::Rejected(refusal)) => *refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn a_witnessed_party_signs_only_after_the_peer_has_shown_what_it_has_seen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("alice");
    let bob = in_memory("bob");
    let alice = in_files("alice", &path);
    introduce(&alice, &bob);
    let mut party = open_party(&alice);
    assert!(matches!(refuses(&mut party, 1), Refusal::Unconfirmed { .. }));
    // Bob has seen nothing yet, and says so.
    let Taken::Log(LogTaken::Confirmed { size: 0 }) =
        party.take("bob", &bob.seen("alice").unwrap()).unwrap()
    else {
        panic!()
    };
    party.sign(&state_at(1)).unwrap();
    exchange((&alice, "alice"), (&bob, "bob"));
    drop((party, alice));
    // A backup is made. Then Alice signs turn 2, which Bob learns by her next checkpoint.
    copy(&path, &directory.path().join("backup"));
    let alice = in_files("alice", &path);
    let mut party = open_party(&alice);
    assert!(matches!(refuses(&mut party, 2), Refusal::Unconfirmed { .. }));
    party.take("bob", &bob.seen("alice").unwrap()).unwrap();
    party.sign(&state_at(2)).unwrap();
    exchange((&alice, "alice"), (&bob, "bob"));
    drop((party, alice));
    // The whole directory is restored, with its memory of what was signed.
    std::fs::remove_dir_all(&path).unwrap();
    copy(&directory.path().join("backup"), &path);
    let alice = in_files("alice", &path);
    assert!(alice.contradiction().is_none(), "nothing on this machine knows");
    let mut party = open_party(&alice);
    assert!(matches!(refuses(&mut party, 2), Refusal::Unconfirmed { .. }));
    let shown = party.take("bob", &bob.seen("alice").unwrap()).unwrap_err();
    assert!(shown.to_string().contains("rolled back"), "{shown}");
    for turn in [2, 3] {
        let refusal = refuses(&mut party, turn);
        assert!(matches!(refusal, Refusal::RolledBack { .. }), "{refusal}");
    }
    assert!(matches!(alice.checkpoint("bob"), Err(LogError::Proof(ProofError::RolledBack { .. }))));
    // With new events of its own, the restored copy is a fork.
    while alice.store().len() < 100 {
        record_deposit(&alice);
    }
    drop((party, alice));
    let alice = in_files("alice", &path);
    let mut party = open_party(&alice);
    party.take("bob", &bob.seen("alice").unwrap()).unwrap_err();
    assert!(matches!(refuses(&mut party, 2), Refusal::Forked { .. }));
}

#[test]
fn an_old_copy_that_is_known_cosigns_nothing() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    exchange((&alice, "alice"), (&bob, "bob"));
    exchange((&bob, "bob"), (&alice, "alice"));
    // Bob's backup is from before he cosigned Alice's log. It would cosign another history of hers from the beginning.
    let old = in_memory("bob");
    old.know("alice", alice.statement(), account("alice").address()).unwrap();
    let fork = in_memory("alice");
    fork.know("bob", old.statement(), account("bob").address()).unwrap();
    record_deposit(&fork);
    let shown = old.take("alice", &alice.seen("bob").unwrap()).unwrap_err();
    assert!(matches!(shown, LogError::Proof(ProofError::RolledBack { .. })), "{shown}");
    let refused = old.take("alice", &fork.checkpoint("bob").unwrap()).unwrap_err();
    assert!(matches!(refused, LogError::Proof(ProofError::RolledBack { .. })), "{refused}");
    assert_eq!(count(old.store(), CheckpointCosigned::TYPE), 0);
    let mut party = Party::options().open_proved(&old, account("bob"), &fixed(7)).unwrap();
    let refused = party.take("alice", &fork.checkpoint("bob").unwrap()).unwrap_err();
    assert!(
        matches!(&refused, DecideError::Rejected(why) if matches!(**why, Refusal::RolledBack { .. }))
    );
    assert_eq!(count(old.store(), CheckpointCosigned::TYPE), 0);
}

#[test]
fn a_witnessed_party_cosigns_only_after_the_participants_have_shown_what_they_have_seen() {
    let (alice, bob) = (in_memory("alice"), in_memory("bob"));
    introduce(&alice, &bob);
    let options = Party::options().witnessed();
    let mut party = options.open_proved(&bob, account("bob"), &fixed(7)).unwrap();
    let message = alice.checkpoint("bob").unwrap();
    let refused = refusal(bob.take("alice", &message));
    let participant = account("alice").address();
    assert_eq!(refused, LogRefusal::Unconfirmed { participant });
    let dropped = party.take("alice", &message).unwrap();
    assert!(matches!(dropped, Taken::Dropped { reason, .. } if reason.contains("cosigns nothing")));
    assert_eq!(count(bob.store(), CheckpointCosigned::TYPE), 0);
    // A peer that takes part in no channel of a witnessed party waits for no other peer.
    let carol = LogKey::from_seed("annals.example/carol", &[0x66; 32]).unwrap();
    let (account_of_carol, store) = (key(0x77), EventStore::in_memory());
    let proofs = Proofs::in_memory(&store, carol.name()).unwrap();
    let carol = PartyLog::open(&store, proofs, carol, &account_of_carol).unwrap();
    bob.know("carol", carol.statement(), account_of_carol.address()).unwrap();
    let taken = bob.take("carol", &carol.checkpoint("bob").unwrap()).unwrap();
    assert!(matches!(taken, LogTaken::Cosigned { .. }), "{taken:?}");
    // Alice shows what she has seen, and is cosigned, even if the party is gone.
    drop(party);
    refusal(bob.take("alice", &message));
    bob.take("alice", &alice.seen("bob").unwrap()).unwrap();
    assert!(matches!(bob.take("alice", &message).unwrap(), LogTaken::Cosigned { .. }));
}

#[test]
fn a_peer_cannot_invent_a_rollback_or_forget_what_it_cosigned() {
    let directory = tempfile::tempdir().unwrap();
    let alice = in_files("alice", &directory.path().join("alice"));
    let bob = in_memory("bob");
    introduce(&alice, &bob);
    let mut party = open_party(&alice);
    // A larger checkpoint with Bob's own signature instead of Alice's.
    let forged = LogKey::from_seed("annals.example/alice", &[0x44; 32]).unwrap();
    let root = annals_proof::TreeHash::of_leaf(b"x");
    let note = Checkpoint::sign(&forged, 1_000, root).to_string();
    let text = serde_json::to_string(&note).unwrap();
    let message = format!("{{\"type\":\"seen\",\"checkpoint\":{text}}}");
    assert!(matches!(
        party.take("bob", message.as_bytes()).unwrap(),
        Taken::Dropped { reason, .. } if reason.contains("no known key")
    ));
    assert!(alice.contradiction().is_none());
    assert!(matches!(refuses(&mut party, 1), Refusal::Unconfirmed { .. }));
    exchange((&alice, "alice"), (&bob, "bob"));
    // Bob cosigned, and shows nothing: he lost his memory, or hides it.
    let refused = refusal(alice.take("bob", br#"{"type":"seen"}"#));
    assert!(matches!(refused, LogRefusal::ShowsLess { shown: 0, .. }), "{refused}");
    assert!(matches!(refuses(&mut party, 1), Refusal::Unconfirmed { .. }));
    party.take("bob", &bob.seen("alice").unwrap()).unwrap();
    party.sign(&state_at(1)).unwrap();
}

#[test]
fn a_party_without_proofs_says_so() {
    let store = EventStore::in_memory();
    let refused = Party::options().witnessed().open(&store, account("alice"), &fixed(7));
    assert!(refused.unwrap_err().to_string().contains("open_proved"));
    let mut party = Party::open(&store, account("alice"), &fixed(7)).unwrap();
    assert!(party.evidence().is_err());
    let taken = party.take("bob", br#"{"type":"seen"}"#).unwrap();
    assert!(matches!(taken, Taken::Dropped { .. }), "{taken:?}");
}

#[test]
fn a_rollback_that_a_peer_showed_binds_later_processes() {
    let directory = tempfile::tempdir().unwrap();
    let (path, backup) = (directory.path().join("log"), directory.path().join("backup"));
    let bob = in_memory("bob");
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to.join("proofs")).unwrap();
        for name in ["", "proofs"] {
            for entry in std::fs::read_dir(from.join(name)).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    std::fs::copy(entry.path(), to.join(name).join(entry.file_name())).unwrap();
                }
            }
        }
    };
    {
        let alice = in_files("alice", &path);
        introduce(&alice, &bob);
        alice.signed().unwrap();
    }
    // The backup has the proofs of its time.
    copy(&path, &backup);
    {
        let alice = in_files("alice", &path);
        exchange((&alice, "alice"), (&bob, "bob"));
        // The second checkpoint covers the first receipt.
        exchange((&alice, "alice"), (&bob, "bob"));
    }
    std::fs::remove_dir_all(&path).unwrap();
    copy(&backup, &path);
    let seen = bob.seen("alice").unwrap();
    {
        let alice = in_files("alice", &path);
        alice.signed().unwrap();
        let found = alice.take("bob", &seen).unwrap_err();
        assert!(matches!(found, LogError::Proof(ProofError::RolledBack { .. })), "{found}");
        assert!(alice.signed().is_err());
    }
    // A new process has not heard from Bob.
    let alice = in_files("alice", &path);
    let refused = alice.signed().unwrap_err();
    assert!(matches!(refused, LogError::Proof(ProofError::RolledBack { .. })), "{refused}");
}

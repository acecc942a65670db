//! Evidence of channels: what it shows, whom it convicts, and that no changed byte changes a finding.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;
#[path = "../../annals-proof/tests/python_verifier/mod.rs"]
mod python_verifier;

use annals::{EventStore, Query, QueryItem};
use annals_channels::{
    Allocation, AssetExit, Channel, ChannelEvent, ChannelFindings, EvidenceError, Hash, LogTaken,
    Party, PartyLog, SecretKey, SignedState, State, StateKept, Trust, check_evidence, record,
};
use annals_proof::{LogKey, Policy, Proofs};
use common::*;
use python_verifier::python;

fn account(name: &str) -> SecretKey {
    let [alice, bob] = parties();
    if name == "alice" { alice } else { bob }
}

fn log_key(name: &str) -> LogKey {
    let seed = if name == "alice" { 0x33 } else { 0x44 };
    LogKey::from_seed(&format!("annals.example/{name}"), &[seed; 32]).unwrap()
}

fn log(name: &str) -> PartyLog {
    let store = EventStore::in_memory();
    let proofs = Proofs::in_memory(&store, log_key(name).name()).unwrap();
    PartyLog::open(&store, proofs, log_key(name), &account(name)).unwrap()
}

/// A state with an outcome that has every field.
fn at(turn_num: u64, paid: u64) -> State {
    let allocation = |amount: u64| Allocation {
        destination: Hash::new([0xAB; 32]),
        amount: amount.into(),
        allocation_type: 1,
        metadata: vec![0xCD],
    };
    let outcome = AssetExit {
        asset: ETH.parse().unwrap(),
        asset_type: 0,
        asset_metadata: vec![0xEF],
        allocations: vec![allocation(paid), allocation(100 - paid)],
    };
    let (app_data, channel_id) = (vec![0xFE, 1], channel());
    State { app_data, channel_id, is_final: false, outcome: vec![outcome], turn_num }
}

fn by(name: &str, state: State) -> SignedState {
    let (signer, signature) = (account(name).address(), account(name).sign(state.hash()).unwrap());
    SignedState { state, signer, signature }
}

/// Alice's party, after two turns, mutual receipts, and a second state of turn 2 that Bob signed.
fn cheated(keep: bool) -> (PartyLog, Party) {
    let (alice, bob) = (log("alice"), log("bob"));
    alice.know("bob", bob.statement(), account("bob").address()).unwrap();
    bob.know("alice", alice.statement(), account("alice").address()).unwrap();
    let options = if keep { Party::options().keep_states() } else { Party::options() };
    let mut party = options.open_proved(&alice, account("alice"), &fixed(7)).unwrap();
    for turn in 1..=2 {
        party.sign(&at(turn, turn)).unwrap();
        party.receive(&by("bob", at(turn, turn))).unwrap();
    }
    let LogTaken::Cosigned { reply, .. } =
        bob.take("alice", &alice.checkpoint("bob").unwrap()).unwrap()
    else {
        panic!()
    };
    alice.take("bob", &reply).unwrap();
    let request = bob.checkpoint("alice").unwrap();
    assert!(matches!(alice.take("bob", &request).unwrap(), LogTaken::Cosigned { .. }));
    assert!(party.receive(&by("bob", at(2, 0))).unwrap().is_some());
    (alice, party)
}

fn accounts() -> Trust {
    Trust::Accounts(vec![account("alice").address(), account("bob").address()])
}

fn check(json: &str) -> Result<ChannelFindings, EvidenceError> {
    check_evidence(json.as_bytes(), &accounts())
}

fn kept(log: &PartyLog) -> usize {
    let query = Query::item(QueryItem::new().event_type(StateKept::TYPE));
    log.store().query(&query).count()
}

#[test]
fn one_file_convicts_the_party_that_signed_two_states() {
    let (log, party) = cheated(true);
    let json = party.evidence().unwrap().build().unwrap().to_json();
    drop((log, party));
    let found = check(&json).unwrap();
    let [convicted] = &found.convicted[..] else { panic!("{:?}", found.convicted) };
    assert_eq!((convicted.signer, convicted.turn_num), (account("bob").address(), 2));
    let mut hashes = [at(2, 2).hash(), at(2, 0).hash()];
    let mut shown = convicted.state_hashes;
    hashes.sort();
    shown.sort();
    assert_eq!(shown, hashes);
    assert_eq!(found.states.len(), 3);
    let full = found.states.iter().find(|shown| shown.state_hash == at(1, 1).hash()).unwrap();
    assert_eq!((&full.state, full.signatures.len()), (&at(1, 1), 2));
    // Bob's receipt: he had seen Alice's log before he cheated.
    assert_eq!(found.findings.earlier.len(), 1);
    assert_eq!(found.findings.earlier[0].cosignatures[0].key, log_key("bob").witness_vkey());
    // Her cosignature of his log is in the file too.
    let shown = |event_type: &str| {
        let is = |event: &&annals_proof::ShownEvent| event.entry.event().event_type() == event_type;
        found.findings.events.iter().filter(is).count()
    };
    assert_eq!((shown("checkpoint-cosigned"), shown("receipt-received")), (1, 1));
    assert_eq!((shown("log-key-stated"), shown("state-kept")), (2, 3));
    assert_eq!(found.findings.not_checked, Vec::<&str>::new());
}

#[test]
fn keys_come_from_elsewhere() {
    let (_log, party) = cheated(true);
    let json = party.evidence().unwrap().build().unwrap().to_json();
    let of = |names: &[&str]| {
        let accounts = names.iter().map(|name| account(name).address()).collect();
        check_evidence(json.as_bytes(), &Trust::Accounts(accounts))
    };
    // Without Bob's account, his cosignature is by an unknown key. The log's own signature still counts.
    assert_eq!(of(&["alice"]).unwrap().findings.earlier[0].cosignatures, []);
    assert!(matches!(of(&["bob"]), Err(EvidenceError::NotTrusted { found: Some(_) })));
    let keys = |key: &LogKey| Trust::Policy(Policy::of_keys([key.vkey()]));
    assert!(check_evidence(json.as_bytes(), &keys(&log_key("alice"))).is_ok());
    assert!(check_evidence(json.as_bytes(), &keys(&log_key("bob"))).is_err());
    // The statement of another log, properly signed.
    let other = LogKey::from_seed("annals.example/alice", &[0x55; 32]).unwrap();
    let other = annals_channels::KeyStatement::sign(&account("alice"), &other).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&json).unwrap();
    file["key"] = serde_json::from_str(&other.to_json()).unwrap();
    let refused = check_evidence(file.to_string().as_bytes(), &keys(&log_key("alice")));
    assert_eq!(refused.unwrap_err(), EvidenceError::OtherKey);
    assert!(check(&file.to_string()).is_err());
    file.as_object_mut().unwrap().remove("key");
    assert!(matches!(check(&file.to_string()), Err(EvidenceError::NotTrusted { found: None })));
    assert!(check_evidence(file.to_string().as_bytes(), &keys(&log_key("alice"))).is_ok());
}

#[test]
fn without_kept_states_the_caller_supplies_them() {
    let (log, party) = cheated(false);
    assert_eq!(kept(&log), 0);
    let json = party.evidence().unwrap().build().unwrap().to_json();
    let found = check(&json).unwrap();
    // Hashes alone convict nobody: the log's owner could have recorded the signature of another turn.
    assert_eq!((found.states.len(), found.convicted.len()), (0, 0));
    let evidence = party.evidence().unwrap().state(at(2, 2)).state(at(2, 0)).build().unwrap();
    assert_eq!(check(&evidence.to_json()).unwrap().convicted.len(), 1);
    let refused = party.evidence().unwrap().state(at(9, 9)).build().unwrap_err();
    assert!(refused.to_string().contains("no signature of the supplied state"), "{refused}");
    // Only some turns.
    let one = party.evidence().unwrap().turns(1..=1).state(at(1, 1)).build().unwrap();
    let found = check(&one.to_json()).unwrap();
    assert_eq!((found.states.len(), found.convicted.len()), (1, 0));
}

#[test]
fn an_owner_cannot_convict_with_the_signature_of_another_turn() {
    let log = log("alice");
    let mut party =
        Party::options().keep_states().open_proved(&log, account("alice"), &fixed(7)).unwrap();
    party.receive(&by("bob", at(3, 3))).unwrap();
    // Alice records Bob's signature of turn 4 as one of turn 3.
    let other = by("bob", at(4, 4));
    let lie = event(
        "state-received",
        serde_json::json!({ "channel_id": channel(), "turn_num": 3, "state_hash": at(4, 4).hash(), "signer": other.signer, "signature": other.signature, "is_final": false }),
    );
    record(log.store(), lie).unwrap();
    let evidence = party.evidence().unwrap().state(at(4, 4)).build().unwrap().to_json();
    let found = check(&evidence).unwrap();
    assert_eq!((found.states.len(), found.convicted.len()), (2, 0), "{:?}", found.convicted);
}

#[test]
fn all_events_give_the_same_state_again() {
    let (log, party) = cheated(true);
    let json = party.evidence().unwrap().whole().build().unwrap().to_json();
    let found = check(&json).unwrap();
    let folded = found.folded.unwrap();
    let expected = log.store().reconstruct(Channel(channel())).now().unwrap().clone();
    assert_eq!((folded.head, &folded.state), (log.store().len(), &expected));
    // Receipts without content are not compared with the times of events, and the findings say so.
    let compared = (found.compared_times.receipts, found.compared_times.hidden);
    assert_eq!(compared.0 + compared.1, 1, "{compared:?}");
    let signed = log.signed().unwrap();
    let headers = log.proofs().evidence(&signed).whole(0..signed.size()).build().unwrap();
    let keys = Trust::Policy(Policy::of_keys([log_key("alice").vkey()]));
    let hidden = check_evidence(headers.to_json().as_bytes(), &keys).unwrap().compared_times;
    assert_eq!((hidden.receipts, hidden.hidden), (0, 1));
    assert_eq!(expected.equivocations.len(), 1);
    let other = if folded.sha256.starts_with('0') { "1" } else { "0" };
    let wrong = json.replacen(&folded.sha256, &format!("{other}{}", &folded.sha256[1..]), 1);
    assert!(matches!(check(&wrong), Err(EvidenceError::State(_))));
    let mut file: serde_json::Value = serde_json::from_str(&json).unwrap();
    // The last event keeps a state, which changes nothing. The one before it is the second signature of a turn.
    file["state"]["head"] = (folded.head - 2).into();
    assert!(matches!(check(&file.to_string()), Err(EvidenceError::State(_))));
    file["state"]["head"] = (folded.head + 1).into();
    let refused = check(&file.to_string()).unwrap_err();
    assert!(refused.to_string().contains("not all events below"), "{refused}");
    file["state"]["projection"] = "other".into();
    assert!(matches!(check(&file.to_string()), Err(EvidenceError::State(_))));
}

#[test]
fn no_changed_byte_changes_a_finding() {
    let (_log, party) = cheated(true);
    let json = party.evidence().unwrap().turns(2..=2).build().unwrap().to_json();
    let expected = check(&json).unwrap();
    assert_eq!((expected.convicted.len(), expected.states.len()), (1, 2));
    let mut accepted = 0;
    for at in 0..json.len() {
        // Each byte is changed in one way, and the ways take turns.
        let byte = json.as_bytes()[at];
        let other = [byte ^ 1, byte ^ 0x20, b'0'][at % 3];
        let mut changed = json.clone().into_bytes();
        if std::mem::replace(&mut changed[at], other) == other {
            continue;
        }
        if let Ok(mut found) = check_evidence(&changed, &accounts()) {
            // Case of hex, white space, and the line of a key that is then no longer known.
            accepted += 1;
            found.findings.checkpoint = expected.findings.checkpoint.clone();
            let without = |found: &ChannelFindings| {
                let mut found = found.clone();
                found.findings.earlier.iter_mut().for_each(|one| one.cosignatures.clear());
                found
            };
            assert_eq!(without(&found), without(&expected), "byte {at} as {other}");
            let [earlier] = &found.findings.earlier[..] else { panic!() };
            let known = &expected.findings.earlier[0].cosignatures;
            assert!(earlier.cosignatures.is_empty() || earlier.cosignatures == *known);
        }
    }
    assert!(accepted < json.len() / 10, "{accepted} changes of {} bytes were accepted", json.len());
}

/// Another checker reads objects only. serde also reads a struct from a list of its fields.
#[test]
fn a_list_in_place_of_an_object_is_refused() {
    let (_log, party) = cheated(true);
    let json = party.evidence().unwrap().whole().build().unwrap().to_json();
    let file: serde_json::Value = serde_json::from_str(&json).unwrap();
    let listed = |value: &serde_json::Value, names: &[&str]| {
        assert_eq!(value.as_object().unwrap().len(), names.len(), "{value}");
        names.iter().map(|name| value[*name].clone()).collect::<serde_json::Value>()
    };
    let mut changed = vec![file.clone(); 5];
    changed[0]["key"] = listed(&file["key"], &["statement", "signature"]);
    let state = &file["states"][0];
    let names = ["app_data", "channel_id", "is_final", "outcome", "turn_num"];
    changed[1]["states"][0] = listed(state, &names);
    let (exit, names) =
        (&state["outcome"][0], ["asset", "asset_type", "asset_metadata", "allocations"]);
    changed[2]["states"][0]["outcome"][0] = listed(exit, &names);
    let names = ["destination", "amount", "allocation_type", "metadata"];
    let payment = &exit["allocations"][0];
    changed[3]["states"][0]["outcome"][0]["allocations"][0] = listed(payment, &names);
    let names = ["projection", "version", "channel_id", "head", "sha256"];
    changed[4]["state"] = listed(&file["state"], &names);
    check(&file.to_string()).unwrap();
    let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
    for (at, text) in changed.iter().enumerate() {
        assert!(check(text).is_err(), "{at}");
    }
    // The other checker does not look at the member `state`.
    let files: Vec<Vec<u8>> = changed[..4].iter().map(|text| text.clone().into_bytes()).collect();
    if let Some(found) = python(&files, &account("alice").address().to_string()) {
        assert_eq!(found, vec![None; 4]);
    }
}

#[test]
fn a_state_is_kept_once_with_its_first_signature() {
    let (log, _) = cheated(true);
    assert_eq!(kept(&log), 3, "two turns, and a second state of one of them");
    let mut last = None;
    for recorded in log.store().read(..) {
        let recorded = recorded.unwrap();
        if let ChannelEvent::StateKept(kept) = &recorded.event {
            let Some(ChannelEvent::StateSigned(_) | ChannelEvent::StateReceived(_)) = last else {
                panic!("{kept:?} is not after a signature")
            };
            assert!([at(1, 1), at(2, 2), at(2, 0)].iter().any(|one| one.hash() == kept.state_hash));
        }
        last = Some(recorded.event.clone());
    }
    // The views are those of a party that keeps no states.
    let view = |log: &PartyLog| {
        let mut state = log.store().reconstruct(Channel(channel())).now().unwrap().clone();
        state.equivocations.clear();
        state
    };
    assert_eq!(view(&log), view(&cheated(false).0));
}

#[test]
fn a_kept_state_must_be_the_signed_one() {
    let store = EventStore::<ChannelEvent>::in_memory();
    let mut party = Party::open(&store, account("alice"), &fixed(7)).unwrap();
    party.sign(&at(1, 1)).unwrap();
    let kept = |state: &State, state_hash: Hash| {
        let mut outcome = serde_json::to_value(&state.outcome).unwrap();
        outcome[0]["asset"] = ETH.into();
        event(
            "state-kept",
            serde_json::json!({ "channel_id": channel(), "state_hash": state_hash, "outcome": outcome, "app_data": "0xfe01" }),
        )
    };
    breaks(&store, kept(&at(1, 2), at(1, 1).hash()));
    breaks(&store, kept(&at(2, 2), at(2, 2).hash()));
    keeps(&store, kept(&at(1, 1), at(1, 1).hash()));
}

#[test]
fn more_receipts_than_are_compared_are_an_error() {
    let alice = log("alice");
    let first = alice.store().len();
    let receipt = |timestamp_ms| {
        ChannelEvent::from(annals_channels::ReceiptReceived {
            checkpoint: "not a checkpoint".to_owned(),
            event_version: annals_channels::EventVersion,
            origin: alice.origin().to_owned(),
            peer_id: "bob".to_owned(),
            timestamp_ms,
            tree_size: 1,
        })
    };
    alice.store().append_batch((0..4_097).map(receipt)).unwrap();
    let checkpoint = alice.signed().unwrap();
    let check = |first: u64| {
        let builder = alice.proofs().evidence(&checkpoint).content();
        let json = builder.offsets(first..alice.store().len()).build().unwrap().to_json();
        let keys = Policy::of_keys([log_key("alice").vkey()]);
        check_evidence(json.as_bytes(), &Trust::Policy(keys))
    };
    assert_eq!(check(first + 1).unwrap().compared_times.receipts, 4_096);
    let refused = check(first).unwrap_err();
    assert!(matches!(refused, EvidenceError::Receipts(_)), "{refused}");
    assert!(refused.to_string().contains("at most 4096 receipts"), "{refused}");
}

#[test]
fn a_verifier_in_another_language_checks_keys_and_states() {
    let (_log, party) = cheated(true);
    let json = party.evidence().unwrap().turns(2..=2).build().unwrap().to_json().into_bytes();
    let [alice, bob] = ["alice", "bob"].map(|name| account(name).address());
    let trust = || Trust::Accounts(vec![alice]);
    let one = std::slice::from_ref(&json);
    let Some(found) = python(one, &alice.to_string()) else { return };
    let expected = found[0].clone().unwrap();
    let has = |part: &str| expected.iter().any(|line| line.to_lowercase().contains(part));
    assert!(has(&format!("owner {} of annals.example/alice", alice.lower())), "{expected:?}");
    assert!(has(&format!("state {} turn 2", at(2, 2).hash())), "{expected:?}");
    let convicted = format!("convicted {} turn 2 channel {}", bob.lower(), channel().lower());
    assert!(has(&convicted), "{expected:?}");
    assert_eq!(python(one, &log_key("alice").vkey().to_string()).unwrap(), found);
    let strangers = [bob.to_string(), log_key("bob").vkey().to_string()];
    assert!(strangers.iter().all(|trusted| python(one, trusted).unwrap() == [None]));
    // Both accept and refuse the same files, each with one byte changed, and no change alters a finding.
    let (mut files, mut at) = (Vec::new(), Vec::new());
    for (position, &byte) in json.iter().enumerate() {
        let other = [byte ^ 1, byte ^ 0x20, b'0'][position % 3];
        if other != byte {
            let mut changed = json.clone();
            changed[position] = other;
            files.push(changed);
            at.push((position, other));
        }
    }
    let mut accepted = 0;
    for ((file, found), at) in files.iter().zip(python(&files, &alice.to_string()).unwrap()).zip(at)
    {
        let holds = check_evidence(file, &trust()).is_ok();
        assert_eq!(found.is_some(), holds, "{at:?}: {found:?}");
        if let Some(found) = found {
            accepted += 1;
            assert_eq!(found, expected, "{at:?}");
        }
    }
    assert!(accepted < files.len() / 4, "{accepted} of {} changes were accepted", files.len());
}

/// The number of signatures that are checked does not depend on how often a file has them.
#[test]
fn a_repeated_line_is_checked_once_and_all_lines_have_a_limit() {
    let (alice, bob) = (log("alice"), log_key("bob"));
    let mut checkpoint = alice.signed().unwrap();
    let line = checkpoint.cosign(&bob, 1_000);
    checkpoint.add_cosignature(&line, &bob.witness_vkey()).unwrap();
    let evidence = alice.proofs().evidence(&checkpoint).offsets([0]).build().unwrap().to_json();
    let keys = Policy::of_keys([log_key("alice").vkey(), bob.witness_vkey()]);
    let check = |note: &str| {
        let mut file: serde_json::Value = serde_json::from_str(&evidence).unwrap();
        let earlier = serde_json::json!({ "checkpoint": note, "proof": [] });
        file["earlier"] = vec![earlier; 1_024].into();
        check_evidence(file.to_string().as_bytes(), &Trust::Policy(keys.clone()))
    };
    // 1,024 checkpoints with one line 100 times: 100,000 lines of a known key.
    let own = checkpoint.signature_line(&log_key("alice").vkey()).unwrap();
    let found = check(&(checkpoint.to_string() + &own.repeat(98))).unwrap();
    assert_eq!(found.findings.earlier.len(), 1_024);
    // Each has 20 different lines of the witness.
    let others: String = (0..20).map(|time| checkpoint.cosign(&bob, time)).collect();
    let refused = check(&(checkpoint.to_string() + &others)).unwrap_err();
    assert!(
        matches!(refused, EvidenceError::Check(annals_proof::CheckError::TooManySignatures { .. })),
        "{refused}"
    );
}

#[test]
fn receipts_count_with_all_other_signatures() {
    let (alice, bob) = (log("alice"), log_key("bob"));
    let mut checkpoint = alice.signed().unwrap();
    let lines: String = (0..50).map(|time| checkpoint.cosign(&bob, time)).collect();
    checkpoint = (checkpoint.to_string() + &lines).parse().unwrap();
    let first = alice.store().len();
    let receipt = |timestamp_ms| {
        ChannelEvent::from(annals_channels::ReceiptReceived {
            checkpoint: checkpoint.to_string(),
            event_version: annals_channels::EventVersion,
            origin: alice.origin().to_owned(),
            peer_id: "bob".to_owned(),
            timestamp_ms,
            tree_size: checkpoint.size(),
        })
    };
    alice.store().append_batch((0..400).map(receipt)).unwrap();
    let mut signed = alice.signed().unwrap();
    let line = signed.cosign(&bob, 1_000);
    signed.add_cosignature(&line, &bob.witness_vkey()).unwrap();
    let check = |count: u64| {
        let builder = alice.proofs().evidence(&signed).content().offsets(first..first + count);
        let keys = Policy::of_keys([log_key("alice").vkey(), bob.witness_vkey()]);
        let json = builder.build().unwrap().to_json();
        check_evidence(json.as_bytes(), &Trust::Policy(keys))
    };
    check(100).unwrap();
    let refused = check(400).unwrap_err();
    assert!(matches!(refused, EvidenceError::Receipts(_)), "{refused}");
}

//! Messages: each one sent is in the log, a repeated one is recognized, and no bytes do harm.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use annals::Query;
use annals_channels::{
    Allocation, AssetExit, ChannelEvent, DropCode, Envelope, EnvelopeError, Hash,
    MAX_MESSAGE_BYTES, Message, ObjectiveType, Party, Refusal, SignedState, State, Taken,
};
use common::*;
use proptest::prelude::*;

fn two() -> [(Store, Party); 2] {
    parties().map(|key| {
        let store = Store::in_memory();
        let party = Party::open(&store, key, &fixed(7)).unwrap();
        (store, party)
    })
}

fn at(turn_num: u64) -> State {
    State { channel_id: channel(), app_data: vec![7], outcome: vec![], turn_num, is_final: false }
}

fn objective() -> Hash {
    ObjectiveType::DirectFund.id(channel())
}

fn of_type(store: &Store, event_type: &str) -> Vec<ChannelEvent> {
    let events = store.query(&Query::event_type(event_type));
    events.map(|event| event.unwrap().event.clone()).collect()
}

#[track_caller]
fn dropped(taken: Taken) -> (DropCode, String) {
    match taken {
        Taken::Dropped { error_code, reason, .. } => (error_code, reason),
        other => panic!("expected a dropped message, found {other:?}"),
    }
}

#[test]
fn a_message_is_sent_taken_and_acknowledged() {
    let [(from, mut alice), (to, mut bob)] = two();
    let turn = alice.sign(&at(1)).unwrap();
    let bytes = alice.send("bob", objective(), &turn).unwrap();
    let Taken::State { turn: taken, evidence: None, ack } = bob.take("alice", &bytes).unwrap()
    else {
        panic!("it is one")
    };
    assert_eq!(taken, turn);
    let Taken::Acked { message_id } = alice.take("bob", &ack).unwrap() else { panic!("it is one") };
    let state = from.reconstruct(Message(message_id)).now().unwrap().clone();
    assert!(state.sent_to.contains("bob") && state.acked_by.contains("bob"));
    let [ChannelEvent::StateReceived(received)] = &of_type(&to, "state-received")[..] else {
        panic!("one")
    };
    assert_eq!(received.peer_id.as_deref(), Some("alice"));
    let [ChannelEvent::MessageReceived(received)] = &of_type(&to, "message-received")[..] else {
        panic!("one")
    };
    assert_eq!((received.message_id, received.objective_id), (message_id, objective()));
    assert_eq!(usize::try_from(received.payload_size_bytes).unwrap(), bytes.len());
    let [ChannelEvent::StateSigned(signed)] = &of_type(&from, "state-signed")[..] else {
        panic!("one")
    };
    assert_eq!(signed.app_data_hash, Some(at(1).app_data_hash()));
}

#[test]
fn a_repeated_message_is_known() {
    let [(from, mut alice), (to, mut bob)] = two();
    let turn = alice.sign(&at(1)).unwrap();
    let bytes = alice.send("bob", objective(), &turn).unwrap();
    assert_eq!(alice.send("bob", objective(), &turn).unwrap(), bytes, "sent again it is the same");
    assert_eq!(of_type(&from, "message-sent").len(), 1);
    let Taken::State { ack, .. } = bob.take("alice", &bytes).unwrap() else { panic!("it is one") };
    let [_, second] = parties();
    for _ in 0..2 {
        let Taken::Dropped { error_code, ack: again, .. } = bob.take("alice", &bytes).unwrap()
        else {
            panic!("it was received")
        };
        assert_eq!((error_code, again.as_ref()), (DropCode::ReplayAttack, Some(&ack)));
        bob = Party::open(&to, second.clone(), &fixed(7)).unwrap();
    }
    assert_eq!(of_type(&to, "message-received").len(), 1);
    assert_eq!(of_type(&to, "state-received").len(), 1);
    assert!(!of_type(&to, "message-dropped").is_empty());
    assert!(matches!(alice.take("bob", &ack).unwrap(), Taken::Acked { .. }));
    assert_eq!(dropped(alice.take("bob", &ack).unwrap()).0, DropCode::ReplayAttack);
    assert_eq!(of_type(&from, "message-acked").len(), 1);
}

#[test]
fn what_is_wrong_with_a_message_is_told_and_kept() {
    let [(from, mut alice), (to, mut bob)] = two();
    let turn = alice.sign(&at(1)).unwrap();
    let envelope = |turn: &SignedState| {
        Envelope::SignedState { objective_id: objective(), turn: turn.clone() }.to_bytes().unwrap()
    };
    let foreign = State { channel_id: Hash::new([9; 32]), ..at(1) };
    let signature = parties()[0].sign(foreign.hash()).unwrap();
    let (stranger, other) = (key(0x33), at(2));
    let by_stranger = SignedState {
        signer: stranger.address(),
        signature: stranger.sign(other.hash()).unwrap(),
        state: other,
    };
    let cases = [
        (SignedState { state: foreign, signature, ..turn.clone() }, DropCode::ChannelUnknown),
        (SignedState { state: at(2), ..turn.clone() }, DropCode::SignatureInvalid),
        (by_stranger, DropCode::PayloadInvalid),
    ];
    for (turn, code) in &cases {
        let (found, reason) = dropped(bob.take("alice", &envelope(turn)).unwrap());
        assert_eq!(found, *code, "{reason}");
    }
    let (code, reason) = dropped(bob.take("alice", b"{\"type\":\"ack\"}").unwrap());
    assert_eq!(code, DropCode::DecodeFailed);
    assert!(reason.contains("message_id"), "{reason}");
    let never = Envelope::Ack { message_id: Hash::new([1; 32]) }.to_bytes().unwrap();
    assert_eq!(dropped(bob.take("alice", &never).unwrap()).0, DropCode::PayloadInvalid);
    let long = vec![b'"'; 300_000];
    assert!(dropped(bob.take("alice", &long).unwrap()).1.len() <= 200);
    assert_eq!(of_type(&to, "message-dropped").len(), 6);
    assert_eq!(of_type(&to, "message-received").len(), 0);
    let ids: Vec<bool> = of_type(&to, "message-dropped")
        .iter()
        .map(|event| match event {
            ChannelEvent::MessageDropped(dropped) => dropped.message_id.is_some(),
            _ => false,
        })
        .collect();
    assert_eq!(ids, [true, true, true, false, true, false], "of what can be read, its id");
    // A signature that is not in the log is not sent.
    let unsigned = SignedState { state: at(2), ..turn };
    let refused = alice.send("bob", objective(), &unsigned).unwrap_err();
    assert!(
        matches!(refused, annals::DecideError::Rejected(refusal) if *refusal == Refusal::Unrecorded { turn_num: 2 })
    );
    assert!(of_type(&from, "message-sent").is_empty());
}

#[test]
fn a_message_has_one_form() {
    let [(_, mut alice), _] = two();
    let turn = alice.sign(&at(1)).unwrap();
    let bytes = alice.send("bob", objective(), &turn).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with(r#"{"type":"signed-state","objective_id":"0x"#), "{text}");
    let error = |text: &str| Envelope::from_bytes(text.as_bytes()).unwrap_err();
    let other = |text: &str| match error(text) {
        EnvelopeError::OtherForm { at } => at,
        other => panic!("{other}"),
    };
    assert_eq!(other(&text.replacen(':', ": ", 1)), 8);
    other(
        &text.replacen("\"app_data\":\"0x07\",", "", 1).replace("}}", ",\"app_data\":\"0x07\"}}"),
    );
    let upper = parties()[0].address().to_string();
    other(&text.replace(&upper, &upper.to_uppercase().replace("0X", "0x")));
    assert_eq!(other(&format!("{text} ")), text.len());
    for (wrong, named) in [
        (text.replace("0x07", "0x7"), "data has 2 hex digits after 0x; found 1"),
        (text.replace("0x07", "7"), "data begins with 0x"),
        (text.replace("0x07", "0xgg"), "data has only hex digits after 0x; found 'g' at byte 2"),
        (text.replace("\"turn_num\":1", "\"turn_num\":-1"), "u64"),
        (text.replace("\"turn_num\":1", "\"turn_num\":1,\"turn\":1"), "unknown field `turn`"),
        (text.replace("signed-state", "signed"), "unknown variant"),
        (String::new(), "EOF"),
    ] {
        let found = error(&wrong).to_string();
        assert!(found.contains(named), "{named:?} in {found:?}");
    }
    let long = " ".repeat(MAX_MESSAGE_BYTES + 1);
    assert!(matches!(error(&long), EnvelopeError::TooLong { found } if found == long.len()));
    let large = State { app_data: vec![0; MAX_MESSAGE_BYTES], ..at(2) };
    let large = alice.sign(&large).unwrap();
    let refused = alice.send("bob", objective(), &large).unwrap_err().to_string();
    assert!(refused.contains("1 MiB"), "{refused}");
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let hash = || any::<[u8; 32]>().prop_map(Hash::new);
    let allocation = (hash(), any::<u64>(), any::<u8>(), bytes()).prop_map(
        |(destination, amount, allocation_type, metadata)| Allocation {
            destination,
            amount: amount.into(),
            allocation_type,
            metadata,
        },
    );
    let exit = (any::<u8>(), bytes(), prop::collection::vec(allocation, 0..3)).prop_map(
        |(asset_type, asset_metadata, allocations)| AssetExit {
            asset: APP.parse().unwrap(),
            asset_type,
            asset_metadata,
            allocations,
        },
    );
    let state = (hash(), bytes(), prop::collection::vec(exit, 0..3), any::<u64>(), any::<bool>())
        .prop_map(|(channel_id, app_data, outcome, turn_num, is_final)| State {
            channel_id,
            app_data,
            outcome,
            turn_num,
            is_final,
        });
    let signed = (hash(), state).prop_map(|(objective_id, state)| {
        let [first, _] = parties();
        let signature = first.sign(state.hash()).unwrap();
        Envelope::SignedState {
            objective_id,
            turn: SignedState { state, signer: first.address(), signature },
        }
    });
    prop_oneof![signed, hash().prop_map(|message_id| Envelope::Ack { message_id })]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_message_reads_back(envelope in envelopes()) {
        let bytes = envelope.to_bytes().unwrap();
        prop_assert_eq!(Envelope::from_bytes(&bytes).unwrap(), envelope);
    }

    #[test]
    fn changed_bytes_are_another_message_or_none(
        envelope in envelopes(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let bytes = envelope.to_bytes().unwrap();
        let mut changed = bytes.clone();
        for (at, byte) in changes {
            *at.get_mut(&mut changed) = byte;
        }
        if !whole {
            changed.truncate(cut.index(changed.len()));
        }
        if let Ok(read) = Envelope::from_bytes(&changed) {
            prop_assert_eq!(read.to_bytes().unwrap(), changed.clone(), "it has one form");
            prop_assert_eq!(read == envelope, changed == bytes);
        }
    }

    #[test]
    fn any_bytes_are_taken_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), json in ".{0,100}") {
        let [(store, mut alice), _] = two();
        for bytes in [&bytes[..], json.as_bytes()] {
            let (code, _) = dropped(alice.take("mallory", bytes).unwrap());
            prop_assert_eq!(code, DropCode::DecodeFailed);
        }
        prop_assert!(of_type(&store, "message-received").is_empty());
    }
}

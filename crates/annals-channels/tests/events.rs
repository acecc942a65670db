//! Every event is read from its JSON and written back, and JSON that is not an event is refused.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals::{Event, EventStore, Query, Tags};
use annals_channels::{Address, ChannelEvent, Hash};
use serde_json::{Value, json};

const CHANNEL: &str = "0xaA11111111111111111111111111111111111111111111111111111111111111";
const HASH: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";
const FIRST: &str = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A";
const SECOND: &str = "0x1563915e194d8cfba1943570603f7606a3115508";

/// Returns a payload of every type, with all optional fields.
fn all() -> Vec<(&'static str, Value)> {
    let signature = format!("0x{}", "3".repeat(130));
    let chain = json!({ "channel_id": CHANNEL, "block_num": 9, "tx_index": 1, "tx_hash": HASH });
    let with = |more: Value| {
        let mut object = chain.clone();
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let message = json!({ "message_id": HASH, "peer_id": "bob", "objective_id": HASH, "payload_type": "x", "payload_size_bytes": 1 });
    vec![
        ("objective-created", json!({ "objective_id": HASH, "objective_type": "DirectFund", "channel_id": CHANNEL, "participants": [FIRST, SECOND] })),
        ("objective-approved", json!({ "objective_id": HASH, "approver": FIRST })),
        ("objective-rejected", json!({ "objective_id": HASH, "reason": "ünwanted\u{7f}\u{2028}\t", "error_code": "no" })),
        ("objective-cranked", json!({ "objective_id": HASH, "side_effects_count": 2, "waiting": true })),
        ("objective-completed", json!({ "objective_id": HASH, "success": true, "final_channel_state": HASH })),
        ("channel-created", json!({ "channel_id": CHANNEL, "participants": [FIRST, SECOND], "channel_nonce": 7, "app_definition": SECOND, "challenge_duration": 1 })),
        ("state-signed", json!({ "channel_id": CHANNEL, "turn_num": 1, "state_hash": HASH, "signer": FIRST, "signature": signature, "is_final": false, "app_data_hash": HASH })),
        ("state-received", json!({ "channel_id": CHANNEL, "turn_num": 1, "state_hash": HASH, "signer": FIRST, "signature": signature, "is_final": false, "peer_id": "bob" })),
        ("state-supported-updated", json!({ "channel_id": CHANNEL, "supported_turn": 2, "state_hash": HASH, "num_signatures": 2, "prev_supported_turn": 1 })),
        ("channel-finalized", json!({ "channel_id": CHANNEL, "final_turn": 2, "final_state_hash": HASH })),
        ("deposit-detected", with(json!({ "asset": FIRST, "amount_deposited": "0", "now_held": "10" }))),
        ("allocation-updated", with(json!({ "asset": FIRST, "new_amount": "10" }))),
        ("challenge-registered", with(json!({ "turn_num_record": 1, "finalization_time": 2, "challenger": FIRST, "is_final": false, "candidate_state_hash": HASH }))),
        ("challenge-cleared", with(json!({ "new_turn_num_record": 2 }))),
        ("channel-concluded", with(json!({ "finalized_at_turn": 3 }))),
        ("withdraw-completed", with(json!({ "recipient": FIRST, "asset": FIRST, "amount": "1" }))),
        ("message-sent", message.clone()),
        ("message-received", message),
        ("message-acked", json!({ "message_id": HASH, "peer_id": "bob", "roundtrip_ms": 3 })),
        ("message-dropped", json!({ "message_id": HASH, "peer_id": "bob", "reason": "r", "error_code": "replay_attack", "payload_size_bytes": 1 })),
        ("log-key-stated", json!({ "address": FIRST, "origin": "example.com/bob", "vkey": "v", "cosigner": "c", "signature": signature, "peer_id": "bob" })),
        ("checkpoint-cosigned", json!({ "peer_id": "bob", "origin": "example.com/bob", "tree_size": 3, "root_hash": HASH, "checkpoint": "a\nb — c" })),
        ("receipt-received", json!({ "peer_id": "bob", "origin": "example.com/alice", "tree_size": 3, "checkpoint": "a" })),
        ("state-kept", json!({ "channel_id": CHANNEL, "state_hash": HASH, "app_data": "0xab", "outcome": [{ "asset": FIRST, "asset_type": 1, "asset_metadata": "0x", "allocations": [{ "destination": HASH, "amount": "9", "allocation_type": 2, "metadata": "0xcd" }] }] })),
    ]
    .into_iter()
    .map(|(event_type, mut payload)| {
        let object = payload.as_object_mut().unwrap();
        object.insert("event_version".into(), 1.into());
        object.insert("timestamp_ms".into(), 1_700_000_000_000_u64.into());
        (event_type, payload)
    })
    .collect()
}

fn read(event_type: &str, payload: &Value) -> ChannelEvent {
    ChannelEvent::from_json(event_type, &payload.to_string()).unwrap()
}

fn payload(event_type: &str) -> Value {
    all().into_iter().find(|(known, _)| *known == event_type).unwrap().1
}

/// Returns the error of reading a payload in which one field has another value.
fn error(event_type: &str, field: &str, value: Value) -> String {
    let mut payload = payload(event_type);
    payload[field] = value;
    ChannelEvent::from_json(event_type, &payload.to_string()).unwrap_err().to_string()
}

#[test]
fn every_event_writes_canonical_json_and_comes_back() {
    assert_eq!(all().len(), 24);
    for (event_type, payload) in all() {
        let event = read(event_type, &payload);
        assert_eq!(event.event_type(), event_type);
        let mut data = Vec::new();
        event.encode(&mut data).unwrap();
        let canonical = serde_json_canonicalizer::to_vec(&payload).unwrap();
        assert_eq!(String::from_utf8(data).unwrap(), String::from_utf8(canonical).unwrap());
    }
}

#[test]
fn addresses_in_any_case_are_decoded_and_come_back_in_it() {
    let swapped = |letter: char| match letter {
        'x' => letter,
        letter if letter.is_ascii_lowercase() => letter.to_ascii_uppercase(),
        letter => letter.to_ascii_lowercase(),
    };
    let odd: String = FIRST.chars().map(swapped).collect();
    let upper = FIRST.to_uppercase().replacen('X', "x", 1);
    for (event_type, payload) in all() {
        let checked = read(event_type, &payload);
        for other in [&odd, &upper] {
            let text = payload.to_string().replace(FIRST, other);
            let event = ChannelEvent::from_json(event_type, &text).unwrap();
            let (mut data, mut tags, mut expected) = (Vec::new(), Tags::default(), Tags::default());
            event.encode(&mut data).unwrap();
            let payload: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(data, serde_json_canonicalizer::to_vec(&payload).unwrap());
            assert_eq!(event, checked, "the same by its bytes");
            assert_eq!(event.id() == checked.id(), !text.contains(other.as_str()), "by its text");
            event.tags(&mut tags);
            checked.tags(&mut expected);
            assert_eq!(tags.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn only_an_address_that_a_person_gives_is_warned_of() {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let lines = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap().lines().count();
    let odd = FIRST.replacen("0x19E7", "0x19e7", 1);
    tracing::subscriber::with_default(subscriber, || {
        read("channel-created", &payload("channel-created"));
        let text = payload("channel-created").to_string().replace(FIRST, &odd);
        ChannelEvent::from_json("channel-created", &text).unwrap();
        FIRST.parse::<Address>().unwrap();
        odd.to_lowercase().parse::<Address>().unwrap();
        CHANNEL.parse::<Hash>().unwrap();
        assert_eq!(lines(), 0);
        assert_eq!(odd.parse::<Address>().unwrap(), FIRST.parse().unwrap());
        assert_eq!(lines(), 1);
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("EIP-55") && text.contains(FIRST), "{text}");
}

#[test]
fn what_may_be_absent_may_be_absent_but_not_null() {
    let optional = [
        "approver",
        "error_code",
        "final_channel_state",
        "app_data_hash",
        "tx_hash",
        "candidate_state_hash",
        "finalized_at_turn",
        "payload_type",
    ];
    for (event_type, payload) in all() {
        let mut without = payload.clone();
        without.as_object_mut().unwrap().retain(|field, _| {
            !(optional.contains(&field.as_str()) && (event_type != "message-dropped"))
        });
        let mut data = Vec::new();
        read(event_type, &without).encode(&mut data).unwrap();
        assert_eq!(data, serde_json_canonicalizer::to_vec(&without).unwrap());
    }
    let mut dropped = payload("message-dropped");
    dropped.as_object_mut().unwrap().remove("message_id");
    read("message-dropped", &dropped);
    assert!(
        error("objective-approved", "approver", Value::Null)
            .contains("approver: invalid type: null")
    );
}

#[test]
fn numbers_beyond_2_to_the_53_keep_their_digits() {
    let mut payload = payload("channel-created");
    payload["channel_nonce"] = u64::MAX.into();
    let (event, mut data) = (read("channel-created", &payload), Vec::new());
    event.encode(&mut data).unwrap();
    assert!(String::from_utf8(data).unwrap().contains(r#""channel_nonce":18446744073709551615,"#));
}

#[test]
fn tags_are_what_the_event_names() {
    let tags = |event_type: &str| {
        let mut tags = Tags::default();
        read(event_type, &payload(event_type)).tags(&mut tags);
        tags.iter().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let (first, channel) = (FIRST.to_lowercase(), CHANNEL.to_lowercase());
    assert_eq!(
        tags("objective-created"),
        format!("objective:{HASH} channel:{channel} participant:{first} participant:{SECOND}")
    );
    assert_eq!(tags("state-received"), format!("channel:{channel} peer:bob participant:{first}"));
    assert_eq!(tags("message-sent"), format!("objective:{HASH} message:{HASH} peer:bob"));
}

#[test]
fn a_channel_of_255_goes_into_the_log() {
    let mut payload = payload("objective-created");
    payload["participants"] = (0..255).map(|n| format!("0x{n:040x}")).collect();
    let store = EventStore::in_memory();
    store.append(read("objective-created", &payload)).unwrap();
    let by_channel = Query::tag(format!("channel:{}", CHANNEL.to_lowercase()));
    assert_eq!(store.query(&by_channel).count(), 1);
}

#[test]
fn the_same_event_is_in_the_log_once() {
    let store = EventStore::in_memory();
    let event = read("message-sent", &payload("message-sent"));
    assert_eq!(store.append(event.clone()).unwrap(), store.append(event).unwrap());
    assert_eq!(store.len(), 1);
}

#[test]
fn what_does_not_fit_names_field_and_rule() {
    for (event_type, field, value, expected) in [
        (
            "state-signed",
            "state_hash",
            json!("0x12"),
            "state_hash: a hash has 64 hex digits after 0x; found 2",
        ),
        ("state-signed", "signature", json!("12"), "signature: a signature begins with 0x"),
        (
            "state-signed",
            "turn_num",
            json!(-1),
            "turn_num: invalid value: integer `-1`, expected u64",
        ),
        (
            "state-signed",
            "event_version",
            json!(2),
            "event_version: event_version must be 1; found 2",
        ),
        ("state-signed", "colour", json!(2), "unknown field `colour`"),
        (
            "deposit-detected",
            "now_held",
            json!("1".repeat(79)),
            "now_held: an amount is at most 2^256 - 1",
        ),
        (
            "deposit-detected",
            "now_held",
            json!(7),
            "now_held: invalid type: integer `7`, expected a string",
        ),
        (
            "channel-created",
            "participants",
            json!([FIRST]),
            "participants: a channel has 2 to 255 participants; found 1",
        ),
        (
            "channel-created",
            "participants",
            json!([FIRST, "0xzz"]),
            "participants[1]: an address has only hex digits after 0x; found 'z' at byte 2",
        ),
        (
            "channel-created",
            "challenge_duration",
            json!(0),
            "challenge_duration: invalid value: integer `0`, expected a nonzero u32",
        ),
        (
            "state-supported-updated",
            "num_signatures",
            json!(0),
            "num_signatures: invalid value: integer `0`",
        ),
        ("message-dropped", "error_code", json!("tired"), "error_code: unknown variant `tired`"),
    ] {
        let found = error(event_type, field, value);
        assert!(found.contains(expected), "{found} says {expected}");
    }
    assert!(ChannelEvent::from_json("", "{}").is_err());
    assert!(
        ChannelEvent::from_json("channel-lost", "{}")
            .unwrap_err()
            .to_string()
            .contains("state-signed")
    );
}

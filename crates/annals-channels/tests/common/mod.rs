//! A channel of two parties, and events about it.

#![allow(dead_code, reason = "each test uses its part")]

use annals::{DecideError, EventStore};
use annals_channels::{
    ChannelEvent, FixedPart, Hash, Participants, RecordedEvent, Rule, SecretKey, record,
};
use serde_json::{Value, json};

pub(crate) type Store = EventStore<ChannelEvent>;

pub(crate) const OBJECTIVES: [&str; 2] = [
    "0x0000000000000000000000000000000000000000000000000000000000000001",
    "0x0000000000000000000000000000000000000000000000000000000000000002",
];
pub(crate) const ETH: &str = "0x0000000000000000000000000000000000000000";
pub(crate) const APP: &str = "0x5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f";

pub(crate) fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

/// Returns the keys of the two parties.
pub(crate) fn parties() -> [SecretKey; 2] {
    [key(0x11), key(0x22)]
}

pub(crate) fn fixed(nonce: u64) -> FixedPart {
    FixedPart {
        participants: Participants::new(parties().iter().map(SecretKey::address).collect())
            .unwrap(),
        channel_nonce: nonce,
        app_definition: APP.parse().unwrap(),
        challenge_duration: 60.try_into().unwrap(),
    }
}

pub(crate) fn channel() -> Hash {
    fixed(7).channel_id()
}

/// Returns an event of this type, with the fields that all events have.
pub(crate) fn event(event_type: &str, mut payload: Value) -> ChannelEvent {
    let object = payload.as_object_mut().unwrap();
    object.insert("event_version".into(), 1.into());
    object.entry("timestamp_ms").or_insert(1_700_000_000_000_u64.into());
    ChannelEvent::from_json(event_type, &payload.to_string()).unwrap()
}

pub(crate) fn created() -> ChannelEvent {
    let fixed = fixed(7);
    event(
        "channel-created",
        json!({ "channel_id": channel(), "participants": fixed.participants, "channel_nonce": 7, "app_definition": fixed.app_definition, "challenge_duration": 60 }),
    )
}

/// Returns a hash for a state that is identified by its turn and a variant.
pub(crate) fn state(turn: u64, variant: u8) -> Hash {
    let mut bytes = [variant; 32];
    bytes[..8].copy_from_slice(&turn.to_be_bytes());
    Hash::new(bytes)
}

fn signature_of(signer: &SecretKey, turn: u64, variant: u8, is_final: bool) -> Value {
    let hash = state(turn, variant);
    json!({ "channel_id": channel(), "turn_num": turn, "state_hash": hash, "signer": signer.address(), "signature": signer.sign(hash).unwrap(), "is_final": is_final })
}

pub(crate) fn signed(turn: u64, variant: u8) -> ChannelEvent {
    event("state-signed", signature_of(&parties()[0], turn, variant, false))
}

pub(crate) fn received(turn: u64, variant: u8) -> ChannelEvent {
    event("state-received", signature_of(&parties()[1], turn, variant, false))
}

pub(crate) fn final_state(turn: u64) -> [ChannelEvent; 2] {
    [
        event("state-signed", signature_of(&parties()[0], turn, 0, true)),
        event("state-received", signature_of(&parties()[1], turn, 0, true)),
    ]
}

pub(crate) fn supported(turn: u64, previous: u64, signatures: u32) -> ChannelEvent {
    event(
        "state-supported-updated",
        json!({ "channel_id": channel(), "supported_turn": turn, "state_hash": state(turn, 0), "num_signatures": signatures, "prev_supported_turn": previous }),
    )
}

pub(crate) fn finalized(turn: u64) -> ChannelEvent {
    event(
        "channel-finalized",
        json!({ "channel_id": channel(), "final_turn": turn, "final_state_hash": state(turn, 0) }),
    )
}

/// Returns an event of the chain about the channel.
pub(crate) fn chain(event_type: &str, block: u64, mut payload: Value) -> ChannelEvent {
    payload["channel_id"] = json!(channel());
    payload["block_num"] = json!(block);
    payload["tx_index"] = json!(0);
    event(event_type, payload)
}

pub(crate) fn deposit(block: u64, asset: &str, held: &str) -> ChannelEvent {
    chain(
        "deposit-detected",
        block,
        json!({ "asset": asset, "amount_deposited": "1", "now_held": held }),
    )
}

pub(crate) fn challenge(block: u64, turn: u64) -> ChannelEvent {
    chain(
        "challenge-registered",
        block,
        json!({ "turn_num_record": turn, "finalization_time": 9, "challenger": parties()[1].address(), "is_final": false }),
    )
}

pub(crate) fn cleared(block: u64, turn: u64) -> ChannelEvent {
    chain("challenge-cleared", block, json!({ "new_turn_num_record": turn }))
}

pub(crate) fn withdrawn(block: u64) -> ChannelEvent {
    chain(
        "withdraw-completed",
        block,
        json!({ "recipient": parties()[0].address(), "asset": ETH, "amount": "1" }),
    )
}

pub(crate) fn objective_created(objective: &str) -> ChannelEvent {
    event(
        "objective-created",
        json!({ "objective_id": objective, "objective_type": "DirectFund", "channel_id": channel(), "participants": fixed(7).participants }),
    )
}

/// Returns one of the four events that may follow the creation of an objective.
pub(crate) fn objective(kind: &str, objective: &str) -> ChannelEvent {
    let payload = match kind {
        "objective-rejected" => json!({ "objective_id": objective, "reason": "no" }),
        "objective-cranked" => {
            json!({ "objective_id": objective, "side_effects_count": 1, "waiting": true })
        }
        "objective-completed" => json!({ "objective_id": objective, "success": true }),
        _ => json!({ "objective_id": objective }),
    };
    event(kind, payload)
}

pub(crate) fn message(kind: &str, peer: &str) -> ChannelEvent {
    let payload = match kind {
        "message-acked" => {
            json!({ "message_id": OBJECTIVES[0], "peer_id": peer, "roundtrip_ms": 1 })
        }
        _ => {
            json!({ "message_id": OBJECTIVES[0], "peer_id": peer, "objective_id": OBJECTIVES[0], "payload_size_bytes": 1 })
        }
    };
    event(kind, payload)
}

/// Returns a store with these events, each recorded by the rules.
pub(crate) fn log(events: impl IntoIterator<Item = ChannelEvent>) -> Store {
    let store = Store::in_memory();
    for event in events {
        keeps(&store, event);
    }
    store
}

#[track_caller]
pub(crate) fn keeps(store: &Store, event: ChannelEvent) -> RecordedEvent {
    record(store, event).unwrap()
}

/// Returns the rule that an event breaks. Fails if anything is appended.
#[track_caller]
pub(crate) fn breaks(store: &Store, event: ChannelEvent) -> Rule {
    let head = store.len();
    match record(store, event) {
        Err(DecideError::Rejected(violation)) => {
            assert_eq!(store.len(), head, "nothing was appended");
            *violation.rule
        }
        other => panic!("expected a violation, found {other:?}"),
    }
}

//! Ids, hashes and signatures, compared with those that other programs compute.
//!
//! The expected values were computed with Python's eth-abi 6.0.0, eth-account 0.14.0 and rfc8785 0.1.4, from the keys
//! 0x11…11 and 0x22…22 and the inputs below.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals::Event;
use annals_channels::{
    Address, Allocation, AssetExit, ChannelEvent, FixedPart, Hash, Participants, SecretKey,
    Signature, SignatureError, State, recover,
};

const CHANNEL: &str = "0x3f392630c205a965b2bdd32da8919b9a675b4829f8ef59c3a1235e6ce07bdaba";
const STATE: &str = "0x2634ec2ae68c12ebecf332c8eeb472fec0163485422f9d1e2c2be1579784d425";
const SIGNATURES: [&str; 2] = [
    "0x6ffb922c7a592a3dabe409120001722c66df742bafc217ba0506790e39b317786ba8e44b055f28e0dddef105fa32d96d278ec24a9f2d07a7e4352e5bd85077b31c",
    "0x031880b9afca101901e2598c74cd2d4f51fede8701038b7c913f9ecb8dd7b5367cf4fdf4f87278af4108a251dbc42e9db6a7cc80565ae7c8e83e62afc8f93d041c",
];

fn keys() -> [SecretKey; 2] {
    [[0x11; 32], [0x22; 32]].map(|bytes| SecretKey::from_bytes(&bytes).unwrap())
}

fn fixed(channel_nonce: u64, challenge_duration: u32) -> FixedPart {
    FixedPart {
        participants: Participants::new(keys().iter().map(SecretKey::address).collect()).unwrap(),
        channel_nonce,
        app_definition: Address::new([0x5f; 20]),
        challenge_duration: challenge_duration.try_into().unwrap(),
    }
}

fn destination(key: &SecretKey) -> Hash {
    let mut bytes = [0; 32];
    bytes[12..].copy_from_slice(key.address().bytes());
    Hash::new(bytes)
}

fn full_state() -> State {
    let [first, second] = keys();
    let allocation = |key: &SecretKey, amount: &str, allocation_type, metadata: &[u8]| Allocation {
        destination: destination(key),
        amount: amount.parse().unwrap(),
        allocation_type,
        metadata: metadata.to_vec(),
    };
    let most = alloy_primitives::U256::MAX.to_string();
    let ether = AssetExit {
        asset: Address::new([0; 20]),
        asset_type: 0,
        asset_metadata: vec![],
        allocations: vec![
            allocation(&first, "5000000000000000000", 0, b""),
            allocation(&second, &most, 1, b"\xca\xfe"),
        ],
    };
    let other = AssetExit {
        asset: Address::new([0xee; 20]),
        asset_type: 1,
        asset_metadata: vec![1, 2],
        allocations: vec![],
    };
    State {
        channel_id: CHANNEL.parse().unwrap(),
        app_data: vec![0xde, 0xad, 0xbe, 0xef],
        outcome: vec![ether, other],
        turn_num: 3,
        is_final: true,
    }
}

#[test]
fn keys_have_their_addresses() {
    let found = keys().map(|key| key.address());
    let expected = [
        "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
        "0x1563915e194D8CfBA1943570603F7606A3115508",
    ];
    assert_eq!(found, expected.map(|text| text.parse().unwrap()));
}

#[test]
fn channel_ids() {
    assert_eq!(fixed(7, 86_400).channel_id().to_string(), CHANNEL);
    assert_eq!(
        fixed(u64::MAX, 1).channel_id().to_string(),
        "0xbfc832817072cd9209833308a5fcaf22be58f07d8441c67393dee36976ca0a28"
    );
}

#[test]
fn state_hashes() {
    assert_eq!(full_state().hash().to_string(), STATE);
    let empty =
        State { app_data: vec![], outcome: vec![], turn_num: 0, is_final: false, ..full_state() };
    assert_eq!(
        empty.hash().to_string(),
        "0x6b3b28f9fa5ee177c4703380229d9f5afe702d7828a4a55460719560e437d41a"
    );
}

#[test]
fn signatures() {
    for (key, expected) in keys().iter().zip(SIGNATURES) {
        let signature = key.sign(full_state().hash()).unwrap();
        assert_eq!(signature.to_string(), expected);
        assert_eq!(recover(full_state().hash(), signature).unwrap(), key.address());
        assert_ne!(recover(Hash::new([9; 32]), signature), Ok(key.address()));
    }
}

#[test]
fn signatures_that_are_none_are_refused_by_rule() {
    let hash = full_state().hash();
    let good: Signature = SIGNATURES[0].parse().unwrap();
    for found in [0, 1, 26, 29, 255] {
        let mut bytes = *good.bytes();
        bytes[64] = found;
        assert_eq!(recover(hash, Signature::new(bytes)), Err(SignatureError::V { found }));
    }
    // The second form of the signature: s is the curve's order minus s, and v is the other one.
    let order = alloy_primitives::uint!(
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256
    );
    let mut bytes = *good.bytes();
    let s = alloy_primitives::U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
    bytes[64] = 27 + 28 - bytes[64];
    let other = recover(hash, Signature::new(bytes));
    assert!(matches!(other, Err(SignatureError::HighS { .. })), "{other:?}");
    let mut zero = [0; 65];
    zero[64] = 27;
    assert_eq!(recover(hash, Signature::new(zero)), Err(SignatureError::Unrecoverable));
    assert_eq!(SecretKey::from_bytes(&[0; 32]).unwrap_err(), SignatureError::Key);
    assert!(!format!("{:?}", keys()[0]).contains("11111"), "a key does not show itself");
}

#[test]
fn event_ids() {
    let message = r#"{"event_version": 1, "timestamp_ms": 1700000000000, "message_id": "0xAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAbAb", "peer_id": "b\u00fc\"b\n\u0001", "objective_id": "0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", "payload_size_bytes": 12}"#;
    let deposit = r#"{"event_version": 1, "timestamp_ms": 1700000000000, "channel_id": "0x3f392630c205a965b2bdd32da8919b9a675b4829f8ef59c3a1235e6ce07bdaba", "block_num": 1, "tx_index": 2, "asset": "0x0ABc0abc0abc0aBc0ABC0abC0abc0Abc0AbC0ABc", "amount_deposited": "5", "now_held": "115792089237316195423570985008687907853269984665640564039457584007913129639935"}"#;
    // The same deposit with the address in another case, as other programs write it, is another event.
    let odd = deposit.replace(
        "0x0ABc0abc0abc0aBc0ABC0abC0abc0Abc0AbC0ABc",
        "0x0aBC0ABC0ABC0AbC0abc0ABc0ABC0aBC0aBc0abC",
    );
    for (event_type, payload, expected) in [
        (
            "deposit-detected",
            odd.as_str(),
            "0xaaa2793a1e0c59cf38d994cd7f9816684f8286cbd3445f58af0fff606dab65a9",
        ),
        (
            "message-sent",
            message,
            "0xb3580f079c9fa3018ff60c1c1cfe745d6059b3a884c434bf69e1342c98479bd9",
        ),
        (
            "deposit-detected",
            deposit,
            "0x4c4ed62d9501f08699d4b3cc18a77ac0efc3264f60576068488f271980b1d7ce",
        ),
    ] {
        let event = ChannelEvent::from_json(event_type, payload).unwrap();
        assert_eq!(event.id().as_deref(), Some(expected));
    }
}

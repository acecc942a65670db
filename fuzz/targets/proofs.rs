//! Notes, proofs, requests, policies, keys, evidence and forks: whatever is read is written again as it was, and nothing
//! that was changed is accepted as signed.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use annals_proof::{
    Checkpoint, ConsistencyProof, Entry, Evidence, Fork, InclusionProof, LogKey, Policy,
    VerifierKey,
};
use libfuzzer_sys::fuzz_target;

/// Reads text that has one form.
fn one_form<T: FromStr + Display>(text: &str) -> Option<T> {
    let read = text.parse::<T>().ok()?;
    assert_eq!(read.to_string(), text);
    Some(read)
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = Entry::parse(bytes) {
        assert_eq!(entry.as_bytes(), bytes);
        let _ = (entry.leaf(), entry.with_content(b""));
    }
    let policy = Policy::of_keys([LogKey::from_seed("annals.example/alice", &[0x33; 32])
        .expect("a key")
        .vkey()]);
    if let Ok(evidence) = Evidence::from_json(bytes) {
        let again = Evidence::from_json(evidence.to_json().as_bytes()).expect("it is read again");
        assert_eq!(again.check(&policy).ok(), evidence.check(&policy).ok());
    }
    if let Ok(fork) = Fork::from_json(bytes) {
        let _ = policy.logs().iter().map(|key| fork.check(key).is_ok()).count();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(checkpoint) = one_form::<Checkpoint>(text) {
        let _ = policy.verify(&checkpoint);
    }
    if let Some(proof) = one_form::<InclusionProof>(text) {
        let _ = proof.check(&policy);
    }
    if let Some(request) = one_form::<ConsistencyProof>(text) {
        let _ = request.check(request.checkpoint().root());
    }
    one_form::<VerifierKey>(text);
    let _ = (text.parse::<Policy>(), text.parse::<LogKey>());
});

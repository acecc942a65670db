//! Notes, proofs, requests, policies, keys, evidence (with the members about channels), forks, statements of keys and
//! messages about logs: whatever is read is written again as it was, and nothing that was changed is accepted as
//! signed.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use annals_channels::{Address, Envelope, KeyStatement, Signature, Trust, check_evidence};
use annals_proof::{
    Checkpoint, ConsistencyProof, Entry, Evidence, Fork, InclusionProof, LogKey, Policy,
    VerifierKey,
};
use libfuzzer_sys::fuzz_target;

/// The account of the key 0x1111…
const ACCOUNT: [u8; 20] = [
    0x19, 0xe7, 0xe3, 0x76, 0xe7, 0xc2, 0x13, 0xb7, 0xe7, 0xe7, 0xe4, 0x6c, 0xc7, 0x0a, 0x5d, 0xd0,
    0x86, 0xda, 0xff, 0x2a,
];

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
        let (found, again) = (evidence.check(&policy).ok(), again.check(&policy).ok());
        assert_eq!(again, found);
        let channels = check_evidence(bytes, &Trust::Policy(policy.clone()));
        assert!(
            found.is_some() || channels.is_err(),
            "what does not hold does not hold for channels"
        );
        let _ = check_evidence(bytes, &Trust::Accounts(vec![Address::new(ACCOUNT)]));
    }
    if let Ok(fork) = Fork::from_json(bytes) {
        let _ = policy.logs().iter().map(|key| fork.check(key).is_ok()).count();
    }
    if let Ok(message) = Envelope::from_bytes(bytes) {
        assert_eq!(message.to_bytes().expect("it was read"), bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(statement) = KeyStatement::from_json(text) {
        assert_eq!(KeyStatement::from_json(&statement.to_json()), Ok(statement));
    }
    if let Ok(statement) = KeyStatement::parse(text, Signature::new([27; 65])) {
        assert_eq!(statement.text(), text);
    }
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

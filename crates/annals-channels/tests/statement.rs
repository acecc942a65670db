//! The statement of a log's keys: its vector, its one form, and the verifier of other authors.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::Write;
use std::process::{Command, Stdio};

use annals::EventStore;
use annals_channels::{
    ChannelEvent, EventVersion, KeyStatement, LogKeyStated, SecretKey, Signature, StatementError,
    record,
};
use annals_proof::LogKey;

const TEXT: &str = "annals log key v1\n\
    address 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A\n\
    origin annals.example/alice\n\
    vkey annals.example/alice+9d5a48b4+ARfLefsrQSDysexl5BmNbgiyjoE/6wHkpACDm4XhgIDO\n\
    cosigner annals.example/alice+eda5a476+BBfLefsrQSDysexl5BmNbgiyjoE/6wHkpACDm4XhgIDO\n";

/// Made with `eth_account` 0.14.
const SIGNATURE: &str = "0x09d646278846ed1b2432283e5996402bd9b404cd4470131259864aa13b89b31346894e5d331c2c42a303cd9f741e1e237d95d23cc5132655ed0e6062c03974921b";
const HASH: &str = "4522678e5e74dddfd96b1ec0f1d447cc00127ad1f9e7875a08e7a1b0f6566df5";

fn account() -> SecretKey {
    SecretKey::from_bytes(&[0x11; 32]).unwrap()
}

fn log_key() -> LogKey {
    LogKey::from_seed("annals.example/alice", &[0x33; 32]).unwrap()
}

fn statement() -> KeyStatement {
    KeyStatement::sign(&account(), &log_key()).unwrap()
}

#[test]
fn the_vector() {
    let statement = statement();
    assert_eq!((statement.text().as_str(), TEXT.len()), (TEXT, 261));
    assert_eq!(statement.signature().to_string(), SIGNATURE);
    assert_eq!(KeyStatement::parse(TEXT, SIGNATURE.parse().unwrap()).unwrap(), statement);
    assert_eq!(KeyStatement::from_json(&statement.to_json()).unwrap(), statement);
    assert_eq!(statement.cosigner(), &log_key().witness_vkey());
}

#[test]
fn no_other_form_holds() {
    let signature: Signature = SIGNATURE.parse().unwrap();
    for at in 0..TEXT.len() {
        for other in [b'0', b'a', b' ', b'\n', TEXT.as_bytes()[at] ^ 0x20] {
            let mut bytes = TEXT.as_bytes().to_vec();
            if std::mem::replace(&mut bytes[at], other) != other
                && let Ok(text) = String::from_utf8(bytes)
            {
                assert!(KeyStatement::parse(&text, signature).is_err(), "byte {at}: {text}");
            }
        }
        assert!(KeyStatement::parse(&TEXT[..at], signature).is_err(), "cut at {at}");
    }
    assert!(KeyStatement::parse(&format!("{TEXT}more\n"), signature).is_err());
    // Another account's signature, and a signature with a high s.
    let other = SecretKey::from_bytes(&[0x22; 32]).unwrap();
    let theirs = KeyStatement::sign(&other, &log_key()).unwrap().signature();
    let refused = KeyStatement::parse(TEXT, theirs).unwrap_err();
    assert!(matches!(refused, StatementError::OtherSigner { .. }), "{refused}");
    for wrong in ["{}", "[]", r#"{"statement":"","signature":"0x"}"#] {
        assert!(KeyStatement::from_json(wrong).is_err(), "{wrong}");
    }
    let more = statement().to_json().replacen('{', "{\"more\":1,", 1);
    assert!(KeyStatement::from_json(&more).is_err());
}

#[test]
fn only_a_statement_that_was_signed_is_recorded() {
    let event = LogKeyStated {
        address: account().address(),
        cosigner: log_key().witness_vkey().to_string(),
        event_version: EventVersion,
        origin: "annals.example/alice".into(),
        peer_id: None,
        signature: SIGNATURE.parse().unwrap(),
        timestamp_ms: 1,
        vkey: log_key().vkey().to_string(),
    };
    let store = EventStore::<ChannelEvent>::in_memory();
    record(&store, event.clone().into()).unwrap();
    let others = [
        LogKeyStated { origin: "annals.example/bob".into(), ..event.clone() },
        LogKeyStated { vkey: log_key().witness_vkey().to_string(), ..event.clone() },
        LogKeyStated { address: annals_channels::Address::new([1; 20]), ..event },
    ];
    for other in others {
        let refused = record(&store, other.into()).unwrap_err().to_string();
        assert!(refused.contains("must be signed by its account"), "{refused}");
    }
    assert_eq!(store.len(), 1);
}

/// `./check` sets the variable to a Python that has the package eth-account.
#[test]
fn eth_account_agrees() {
    let Some(python) = std::env::var_os("ANNALS_ETH_ACCOUNT_PYTHON") else {
        let text = b"skipped: ANNALS_ETH_ACCOUNT_PYTHON names no Python with eth-account\n";
        std::io::stderr().write_all(text).unwrap();
        return;
    };
    let script = "tests/eth.py";
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(statement().to_json().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
    assert_eq!(lines[1], HASH);
    // The other account signed a text that names the first one.
    let refused = KeyStatement::parse(TEXT, lines[2].parse().unwrap()).unwrap_err();
    let StatementError::OtherSigner { found, .. } = refused else { panic!("{refused}") };
    assert_eq!(found, SecretKey::from_bytes(&[0x22; 32]).unwrap().address());
}

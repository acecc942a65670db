//! Evidence: what it proves, what it refuses, and a verifier in another language.

use annals::{Query, RawEvent};
use annals_proof::{CheckError, Evidence, Findings, Policy, Proofs};

use crate::common::{ORIGIN, alice, append, bob, log_of_seven, noted};
use crate::python_verifier::python;

fn policy() -> Policy {
    Policy::of_keys([alice().vkey()])
}

fn seven(witnessed: bool) -> String {
    let store = log_of_seven();
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    let line = checkpoint.cosign(&bob(), 1_700_000_010);
    let checkpoint = if witnessed {
        proofs.add_receipt(&line, &bob().witness_vkey()).unwrap()
    } else {
        checkpoint
    };
    let at_3 = annals_proof::Checkpoint::sign(
        &alice(),
        3,
        "3M1o3qnXreZvFfXf6Ewn+vtp7tW7n/Kgt2Y63zK1eOs=".parse().unwrap(),
    );
    let builder = proofs.evidence(&checkpoint).query(&Query::tag("seat:12Ä")).whole(1..4).content();
    builder.earlier(at_3).build().unwrap().to_json()
}

fn check(json: &[u8]) -> Result<Findings, CheckError> {
    Evidence::from_json(json)?.check(&policy())
}

#[test]
fn it_shows_what_was_asked_for() {
    let found = check(seven(false).as_bytes()).unwrap();
    let offsets: Vec<u64> = found.events.iter().map(annals_proof::ShownEvent::offset).collect();
    assert_eq!(
        (&offsets[..], &found.whole[..], found.earlier[0].size),
        (&[0, 1, 2, 3, 6][..], &[1..4][..], 3)
    );
    let shown: Vec<bool> = found.events.iter().map(|event| event.content.is_some()).collect();
    assert_eq!(shown, [true, true, false, false, true]);
    assert_eq!(found.events[4].event().unwrap().data_bytes(), br#"{"price":91}"#);
    let json = seven(true);
    assert_eq!(Evidence::from_json(json.as_bytes()).unwrap().to_json(), json);
    let both = Policy::of_keys([alice().vkey(), bob().witness_vkey()]);
    let found = Evidence::from_json(json.as_bytes()).unwrap().check(&both).unwrap();
    assert_eq!(found.verified.cosignatures[0].time, Some(1_700_000_010));
    assert!(Evidence::from_json(seven(false).as_bytes()).unwrap().check(&both).is_err());
}

#[test]
fn no_changed_byte_changes_a_finding() {
    let json = seven(true);
    let expected = check(json.as_bytes()).unwrap();
    let mut accepted = 0;
    for at in 0..json.len() {
        for other in [b'A', b'0', b' ', b'"', b'~', json.as_bytes()[at] ^ 1] {
            let mut changed = json.clone().into_bytes();
            if std::mem::replace(&mut changed[at], other) == other {
                continue;
            }
            if let Ok(mut found) = check(&changed) {
                // Only a line of a key that is not known, white space, and a range may differ.
                accepted += 1;
                found.checkpoint = expected.checkpoint.clone();
                // A range that was changed to another range of shown events is still true.
                let is_shown = |offset| found.events.iter().any(|event| event.offset() == offset);
                assert!(
                    found.whole.iter().cloned().flatten().all(is_shown),
                    "byte {at} as {other}"
                );
                found.whole.clone_from(&expected.whole);
                assert_eq!(found, expected, "byte {at} as {other}");
            }
        }
    }
    assert!(accepted < json.len(), "{accepted} changes of {} bytes were accepted", json.len());
}

#[test]
fn other_forms_are_refused() {
    let json = seven(false);
    let with = |from: &str, to: &str| json.replacen(from, to, 1);
    let refused = [
        with("{\"annals_evidence\":1", "{\"annals_evidence\":1,\"annals_evidence\":1"),
        with("{\"annals_evidence\":1", "{\"annals_evidence\":2"),
        with("{\"annals_evidence\":1", "{\"annals_evidence\":1.0"),
        with("{\"annals_evidence\":1", "{\"annals_evidence\":1,\"opened\":{}"),
        with("\"content\":", "\"Content\":"),
        with("\"whole\":[[1,4]]", "\"whole\":[[0,6]]"),
        with("\"whole\":[[1,4]]", "\"whole\":[[1,5]]"),
        with("\"whole\":[[1,4]]", "\"whole\":[[4,1]]"),
        with("\"whole\":[[1,4]]", "\"whole\":[[1,1]]"),
        with("\"whole\":[[1,4]]", "\"whole\":[[1,3],[2,4]]"),
        with("\"whole\":[[1,4]]", "\"whole\":null"),
        json.trim_end().to_owned() + "{}",
    ];
    for (index, text) in refused.iter().enumerate() {
        assert!(*text != json && check(text.as_bytes()).is_err(), "{index}: {text}");
    }
    let unchecked = with("{\"annals_evidence\":1", "{\"annals_evidence\":1,\"states\":[]");
    assert_eq!(check(unchecked.as_bytes()).unwrap().not_checked, ["states"]);
    assert!(check(with("[[1,4]]", "[[1,3],[3,4]]").as_bytes()).is_ok());
    assert!(Evidence::from_json(&vec![b' '; (64 << 20) + 1]).is_err());
    // Lists that would take much memory end at their limits.
    let many = "\"\",".repeat(1 << 22);
    assert!(Evidence::from_json(format!("{{\"hashes\":[{many}\"\"]}}").as_bytes()).is_err());
}

#[test]
fn an_omitted_event_is_noticed() {
    let store = noted(600);
    append(
        &store,
        [(RawEvent::builder("paid").tag("to:x").build().unwrap(), crate::common::T + 600)],
    );
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    let whole =
        proofs.evidence(&checkpoint).query(&Query::tag("to:x")).whole(0..601).build().unwrap();
    assert_eq!(check(whole.to_json().as_bytes()).unwrap().whole, [0..601]);
    let picked = proofs.evidence(&checkpoint).offsets(0..600).build().unwrap();
    let claimed = picked.to_json().replacen("\"hashes\"", "\"whole\":[[0,601]],\"hashes\"", 1);
    let refused = check(claimed.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("not all events"), "{refused}");
    assert_eq!(check(picked.to_json().as_bytes()).unwrap().whole, []);
    assert!(proofs.evidence(&checkpoint).build().is_err());
    assert!(proofs.evidence(&checkpoint).whole(0..602).build().is_err());
    assert!(proofs.evidence(&checkpoint).offsets([601]).build().is_err());
}

#[test]
fn a_verifier_in_another_language_agrees() {
    let (json, vkey) = (seven(true).into_bytes(), alice().vkey().to_string());
    let Some(found) = python(std::slice::from_ref(&json), &vkey) else { return };
    let expected = found[0].clone().unwrap();
    assert_eq!(
        expected.iter().filter(|line| line.starts_with("event ")).count(),
        5,
        "{expected:?}"
    );
    for line in ["whole [1, 4)", "continues size 3"] {
        assert!(expected.iter().any(|found| found == line), "{expected:?}");
    }
    let other = python(std::slice::from_ref(&json), &bob().vkey().to_string()).unwrap();
    assert_eq!(other, [None]);
    // Both accept and refuse the same files, each with one byte changed, and no change alters a finding.
    let (mut files, mut at) = (Vec::new(), Vec::new());
    for (position, &byte) in json.iter().enumerate() {
        for other in [byte ^ 1, [b'A', b'0', b' ', b'"', byte ^ 0x20][position % 5]] {
            if other != byte {
                let mut changed = json.clone();
                changed[position] = other;
                files.push(changed);
                at.push((position, other));
            }
        }
    }
    let of_whole = |line: &&String| !line.starts_with("whole ");
    let mut accepted = 0;
    for ((file, found), at) in files.iter().zip(python(&files, &vkey).unwrap()).zip(at) {
        assert_eq!(found.is_some(), check(file).is_ok(), "{at:?}: {found:?}");
        if let Some(found) = found {
            accepted += 1;
            // A range that was changed to another range of shown events is still true.
            let (found, expected) =
                (found.iter().filter(of_whole), expected.iter().filter(of_whole));
            assert!(found.eq(expected), "{at:?}");
        }
    }
    assert!(accepted < files.len() / 4, "{accepted} of {} changes were accepted", files.len());
}

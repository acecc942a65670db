//! Files beside a log, or given by a user, that were changed, swapped or taken from elsewhere. Each is a clear error or
//! counts as missing, and none makes a log sign what contradicts it, or accuses a party.

use std::fs;
use std::path::Path;

use annals::{EventStore, JournalStore, RawEvent};
use annals_proof::{
    CheckError, Checkpoint, LogKey, ProofError, ProofOptions, Proofs, Witness, WitnessError,
};

use crate::common::{ORIGIN, alice, bob, note, noted};

type StoreProofs = Proofs<RawEvent, annals::Journal<RawEvent>>;

fn open(path: &Path) -> (JournalStore<RawEvent>, StoreProofs) {
    let store = EventStore::open(path).unwrap();
    let proofs = ProofOptions::new().open(&store, ORIGIN).unwrap();
    (store, proofs)
}

/// Replaces a text in a file. The file must have it.
fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Returns the file of the only receipt.
fn receipt(proofs: &Path) -> std::path::PathBuf {
    fs::read_dir(proofs.join("receipts")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_stored_checkpoint_that_was_changed_is_not_taken_for_a_rollback() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (store, proofs) = open(&path);
    note(&store, 300);
    let line = proofs.checkpoint(&alice()).unwrap().cosign(&bob(), 1_700_000_010);
    let signed = proofs.add_receipt(&line, &bob().witness_vkey()).unwrap();
    drop((store, proofs));
    let files = path.join("proofs");
    for file in [files.join("checkpoint"), receipt(&files)] {
        let good = fs::read_to_string(&file).unwrap();
        replace(&file, "\n300\n", "\n900\n");
        let (_store, proofs) = open(&path);
        // The file counts as missing, and the other one has the same checkpoint.
        assert!(proofs.contradiction().is_none(), "{}", file.display());
        assert_eq!(proofs.last_checkpoint(), Some(signed.clone()));
        let report = proofs.verify(&[]).unwrap();
        assert_eq!((report.checkpoints, report.problems.len()), (1, 1), "{report:?}");
        assert!(report.problems[0].contains("valid signature"), "{report:?}");
        assert_eq!(proofs.checkpoint(&alice()).unwrap(), signed);
        fs::write(&file, good).unwrap();
        assert_eq!(proofs.verify(&[]).unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn a_changed_event_is_noticed_although_the_stored_root_was_changed_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (store, proofs) = open(&path);
    note(&store, 30);
    let signed = proofs.checkpoint(&alice()).unwrap();
    drop((store, proofs));
    // An outsider replaces the log, and writes the new root into the checkpoint. It cannot sign.
    let other = noted(29);
    other.append(RawEvent::builder("other").build().unwrap()).unwrap();
    let forged = Proofs::in_memory(&other, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    let (root, new) = (signed.root().to_string(), forged.root().to_string());
    replace(&path.join("proofs/checkpoint"), &root, &new);
    let (_store, proofs) = open(&path);
    let report = proofs.verify(&[]).unwrap();
    assert!(report.problems[0].contains("the file was changed"), "{report:?}");
}

#[test]
fn a_log_without_its_identity_signs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (store, proofs) = open(&path);
    note(&store, 30);
    proofs.checkpoint(&alice()).unwrap();
    drop(proofs);
    let identity = path.join("proofs/log.json");
    let text = fs::read_to_string(&identity).unwrap();
    let refused = |problem: &str| {
        let options = ProofOptions::new();
        for opened in [options.clone().open(&store, ORIGIN), options.clone().open_existing(&store)]
        {
            let error = opened.unwrap_err();
            assert!(matches!(error, ProofError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(problem), "{error}");
        }
    };
    fs::remove_file(&identity).unwrap();
    refused("it is missing, and `checkpoint` is there");
    for (changed, problem) in [
        (text.replacen('{', "{\"origin\":\"x\",", 1), "duplicate field"),
        (text.replacen('{', "{\"more\":1,", 1), "unknown field"),
        (text.replacen(":1,", ":2,", 1), "version 2"),
        (String::new(), "EOF"),
    ] {
        fs::write(&identity, changed).unwrap();
        refused(problem);
    }
    fs::write(&identity, text).unwrap();
    ProofOptions::new().open(&store, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
}

#[test]
fn a_receipt_that_is_newer_than_the_checkpoint_binds_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (store, proofs) = open(&path);
    note(&store, 30);
    let first = proofs.checkpoint(&alice()).unwrap();
    let old_line = first.cosign(&bob(), 1_700_000_010);
    note(&store, 30);
    let line = proofs.checkpoint(&alice()).unwrap().cosign(&bob(), 1_700_000_020);
    let second = proofs.add_receipt(&line, &bob().witness_vkey()).unwrap();
    drop(proofs);
    // Only the file of the checkpoint is put back.
    let file = path.join("proofs/checkpoint");
    fs::write(&file, first.to_string()).unwrap();
    let reopened = ProofOptions::new().open(&store, ORIGIN).unwrap();
    assert_eq!(reopened.last_checkpoint(), Some(second.clone()));
    let refused = reopened.add_receipt(&old_line, &bob().witness_vkey()).unwrap_err();
    assert!(matches!(refused, ProofError::Receipt { size: 60, .. }), "{refused}");
    // Neither does a party that still has the older one replace the receipt.
    fs::rename(path.join("proofs/receipts"), path.join("kept")).unwrap();
    let stale = ProofOptions::new().open(&store, ORIGIN).unwrap();
    fs::rename(path.join("kept"), path.join("proofs/receipts")).unwrap();
    stale.add_receipt(&old_line, &bob().witness_vkey()).unwrap();
    let stored: Checkpoint =
        fs::read_to_string(receipt(&path.join("proofs"))).unwrap().parse().unwrap();
    assert_eq!(stored, second);
}

#[test]
fn a_line_for_an_older_checkpoint_does_not_replace_a_larger_one() {
    let directory = tempfile::tempdir().unwrap();
    let (store, proofs) = open(directory.path());
    note(&store, 30);
    let line = proofs.checkpoint(&alice()).unwrap().cosign(&bob(), 1_700_000_010);
    let stale = ProofOptions::new().open(&store, ORIGIN).unwrap();
    note(&store, 30);
    let second = proofs.checkpoint(&alice()).unwrap();
    let cosigned = stale.add_receipt(&line, &bob().witness_vkey()).unwrap();
    assert_eq!(cosigned.size(), 30);
    let path = directory.path().join("proofs");
    assert_eq!(fs::read_to_string(receipt(&path)).unwrap(), cosigned.to_string());
    assert_eq!(fs::read_to_string(path.join("checkpoint")).unwrap(), second.to_string());
    let reopened = ProofOptions::new().open(&store, ORIGIN).unwrap();
    assert_eq!(reopened.last_checkpoint(), Some(second));
}

#[test]
fn a_line_that_is_not_a_cosignature_of_the_last_checkpoint_is_refused() {
    let store = noted(10);
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let first = proofs.checkpoint(&alice()).unwrap();
    note(&store, 10);
    let last = proofs.checkpoint(&alice()).unwrap();
    let refused = |line: &str, key| match proofs.add_receipt(line, &key).unwrap_err() {
        ProofError::Receipt { size: 20, problem } => problem,
        error => panic!("{error}"),
    };
    let line = last.cosign(&bob(), 9);
    let bad = refused(&first.cosign(&bob(), 9), bob().witness_vkey());
    assert!(matches!(bad, CheckError::BadSignature { .. }), "{bad}");
    // The keys are swapped: the log's key, the key with which bob signs his own log, another witness.
    let own = last.signature_line(&alice().vkey()).unwrap();
    for (line, key) in [(&own, alice().vkey()), (&line, bob().vkey())] {
        let problem = refused(line, key);
        assert!(matches!(problem, CheckError::NotAWitness { .. }), "{problem}");
    }
    let problem = refused(&line, alice().witness_vkey());
    assert!(matches!(problem, CheckError::OtherCosigner { .. }), "{problem}");
    let late = last.cosign(&bob(), u64::MAX);
    for other in ["", "x", &format!("{line}{line}"), &format!("{line}more\n"), &late] {
        refused(other, bob().witness_vkey());
    }
    assert_eq!(proofs.last_checkpoint(), Some(last));
    proofs.add_receipt(&line, &bob().witness_vkey()).unwrap();
}

#[test]
fn a_checkpoint_of_another_log_is_named() {
    let (store, other) = (noted(10), noted(10));
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    proofs.checkpoint(&alice()).unwrap();
    let others = Proofs::in_memory(&other, bob().name()).unwrap();
    let signed = others.checkpoint(&bob()).unwrap();
    let errors = [
        proofs.prove(3, &signed).unwrap_err(),
        proofs.prove_consistency(3, &signed).unwrap_err(),
        proofs.evidence(&signed).offsets([3]).build().unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(&error, ProofError::OtherLog { found, .. } if found == bob().name()),
            "{error}"
        );
    }
}

#[test]
fn a_key_file_of_any_size_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.key");
    let mut line = Vec::from(b"PRIVATE+KEY+");
    line.resize(64 << 20, b'a');
    fs::write(&path, line).unwrap();
    let error = LogKey::read(&path).unwrap_err();
    assert!(matches!(error, ProofError::KeyFile { .. }), "{error}");
    assert!(error.to_string().contains("large.key") && error.to_string().len() < 1_000);
    // A file of two keys is not one.
    fs::remove_file(&path).unwrap();
    alice().write_new(&path).unwrap();
    let key = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{key}{key}")).unwrap();
    assert!(matches!(LogKey::read(&path), Err(ProofError::KeyFile { .. })));
    #[cfg(unix)]
    {
        // A new key is not written through a link.
        let (alias, target) = (directory.path().join("link.key"), directory.path().join("target"));
        std::os::unix::fs::symlink(&target, &alias).unwrap();
        assert!(matches!(alice().write_new(&alias), Err(ProofError::Io { .. })));
        assert!(!target.exists());
    }
}

/// A witness that cosigned a log of 20 events, at 1,700,000,000.
fn cosigned(directory: &Path) -> Witness {
    let witness = Witness::open(directory, bob(), [alice().vkey()]).unwrap();
    witness.cosign_at(&request(20, 0), 1_700_000_000).unwrap();
    witness
}

fn request(size: u64, old: u64) -> annals_proof::ConsistencyProof {
    let store = noted(size);
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    proofs.prove_consistency(old, &proofs.checkpoint(&alice()).unwrap()).unwrap()
}

#[test]
fn a_witness_whose_memory_was_changed_accuses_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let witness = cosigned(directory.path());
    let file = witness.file(ORIGIN);
    let good = fs::read_to_string(&file).unwrap();
    let root = good.lines().nth(2).unwrap();
    let changes =
        [("\n20\n", "\n21\n"), (root, &root.replacen(&root[..1], "_", 1)), ("nVpI", "nVpJ")];
    for (from, to) in changes {
        replace(&file, from, &to.replace('_', if root.starts_with('A') { "B" } else { "A" }));
        for old in [20, 21] {
            let refused = witness.cosign(&request(30, old)).unwrap_err();
            assert!(
                matches!(refused, WitnessError::Memory(ProofError::Damaged { .. })),
                "{refused}"
            );
        }
        fs::write(&file, &good).unwrap();
    }
    witness.cosign(&request(30, 20)).unwrap();
}

#[test]
fn a_request_to_a_smaller_size_contradicts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let witness = cosigned(directory.path());
    let smaller = request(10, 10).to_string().replacen("old 10", "old 20", 1).parse().unwrap();
    let refused = witness.cosign(&smaller).unwrap_err();
    assert!(matches!(refused, WitnessError::Check(CheckError::WrongShape { .. })), "{refused}");
    assert!(matches!(witness.cosign(&request(10, 0)), Err(WitnessError::Stale { size: 20 })));
    let more = request(30, 20).to_string().replacen(
        "\n\n",
        "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n",
        1,
    );
    let refused = witness.cosign(&more.parse().unwrap()).unwrap_err();
    assert!(matches!(refused, WitnessError::Contradiction { size: 20, .. }), "{refused}");
    witness.cosign(&request(30, 20)).unwrap();
}

#[test]
fn a_witness_whose_clock_went_back_cosigns_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let witness = cosigned(directory.path());
    let back = witness.cosign_at(&request(30, 20), 1_699_999_999).unwrap_err();
    assert!(matches!(back, WitnessError::ClockWentBack { cosigned: 1_700_000_000, .. }), "{back}");
    // Two cosignatures may have one time.
    witness.cosign_at(&request(30, 20), 1_700_000_000).unwrap();
    witness.cosign_at(&request(31, 30), 1_700_000_001).unwrap();
}

#[test]
fn a_witness_is_not_opened_with_the_key_of_a_witness_as_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let refused = Witness::open(directory.path(), bob(), [alice().witness_vkey()]).unwrap_err();
    assert!(refused.to_string().contains("is the key of a witness"), "{refused}");
}

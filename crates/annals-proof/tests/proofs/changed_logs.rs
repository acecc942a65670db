//! Logs whose events were changed, with all checksums, or put back from a backup, after they were signed. Whatever
//! notices it, nothing is signed from then on that contradicts what was signed: neither by this process nor by later
//! ones.

use std::fs;
use std::path::Path;

use annals::{Backend as _, Memory, RawEvent};
use annals_proof::{Anchor, Checkpoint, Leaves, ProofError, ProofOptions, Proofs};

use crate::common::{Log, ORIGIN, T, alice, append, bob, note, noted, noted_but};

type LogProofs = Proofs<RawEvent, Memory<RawEvent>>;

/// Opens the proofs in `path` on a log. The log gets the id of the log that they are of, which a changed file and a
/// backup have too.
fn open(log: &Log, path: &Path) -> LogProofs {
    open_with(ProofOptions::new(), log, path)
}

fn open_with(options: ProofOptions, log: &Log, path: &Path) -> LogProofs {
    let file = path.join("log.json");
    if let Ok(text) = fs::read_to_string(&file) {
        let mut identity: serde_json::Value = serde_json::from_str(&text).unwrap();
        let id = log.backend().store_id().unwrap();
        identity["store"] = uuid::Uuid::from_bytes(id).to_string().into();
        fs::write(&file, identity.to_string()).unwrap();
    }
    options.path(path).open(log, ORIGIN).unwrap()
}

/// Signs a log of `noted` events, and returns the checkpoint.
fn signed(count: u64, path: &Path) -> Checkpoint {
    open(&noted(count), path).checkpoint(&alice()).unwrap()
}

/// Appends other events than the signed log had.
fn go_on(log: &Log, count: u64) {
    let start = log.len();
    let other = |n| (RawEvent::builder("other").build().unwrap(), T + n);
    append(log, (start..start + count).map(other));
}

/// Checks that nothing is signed: by these proofs, by others that are opened now, and after further events.
fn signs_nothing(log: &Log, proofs: &LogProofs, path: &Path, what: &str) {
    let refused = |proofs: &LogProofs| {
        let error = proofs.checkpoint(&alice()).unwrap_err();
        let is_found = matches!(error, ProofError::Forked { .. } | ProofError::RolledBack { .. });
        assert!(is_found, "{what}: {error}");
    };
    refused(proofs);
    go_on(log, 500);
    refused(proofs);
    refused(&open(log, path));
}

#[test]
fn whatever_notices_a_changed_event_the_log_signs_nothing_more() {
    type Act = fn(&LogProofs, &Checkpoint, &Path) -> bool;
    let acts: [(&str, Act); 5] = [
        ("prove", |proofs, last, _| proofs.prove(7, last).is_err()),
        ("evidence", |proofs, last, _| {
            proofs.evidence(last).offsets([7]).content().build().is_err()
        }),
        ("publish", |proofs, last, site| proofs.publish(last, site, true).is_err()),
        ("verify", |proofs, _, _| !proofs.verify(&[]).unwrap().problems.is_empty()),
        ("consistency", |proofs, last, _| proofs.prove_consistency(100, last).is_err()),
    ];
    for (what, notices) in acts {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proofs");
        let last = signed(700, &path);
        let log = noted_but(700, 7);
        let proofs = open(&log, &path);
        assert!(notices(&proofs, &last, &directory.path().join("site")), "{what}");
        assert!(matches!(proofs.contradiction(), Some(ProofError::Forked { .. })), "{what}");
        signs_nothing(&log, &proofs, &path, what);
    }
}

#[test]
fn a_signature_continues_what_was_signed_although_an_early_event_was_changed() {
    let directory = tempfile::tempdir().unwrap();
    let first = signed(300, directory.path());
    let log = noted_but(300, 7);
    let proofs = open(&log, directory.path());
    // Neither opening nor signing hashes all events again. What is signed is what was signed before, and new events.
    assert_eq!(proofs.checkpoint(&alice()).unwrap(), first);
    note(&log, 1);
    let second = proofs.checkpoint(&alice()).unwrap();
    assert_eq!(
        second,
        Proofs::in_memory(&noted(301), ORIGIN).unwrap().checkpoint(&alice()).unwrap()
    );
    // A proof of an event that was not changed is true, and none shows the changed event.
    proofs.prove(299, &second).unwrap();
    let shown = proofs.evidence(&second).offsets([7]).content().build();
    assert!(matches!(shown, Err(ProofError::Forked { signed: 301 })), "{shown:?}");
}

#[test]
fn stored_leaves_do_not_vouch_for_a_changed_event() {
    let directory = tempfile::tempdir().unwrap();
    let options = ProofOptions::new().leaves(Leaves::Kept);
    let first = open_with(options.clone(), &noted(700), directory.path());
    let last = first.checkpoint(&alice()).unwrap();
    let log = noted_but(700, 7);
    let proofs = open_with(options, &log, directory.path());
    // The proof of its neighbour reads stored leaves only. It is true.
    proofs.prove(8, &last).unwrap();
    let shown = proofs.evidence(&last).offsets([7]).build();
    assert!(matches!(shown, Err(ProofError::Forked { signed: 700 })), "{shown:?}");
    signs_nothing(&log, &proofs, directory.path(), "kept leaves");
}

#[test]
fn a_backup_with_new_events_is_noticed_at_every_signed_size() {
    for size in [1, 255, 256, 257, 511, 512, 513, 768, 2_048] {
        let directory = tempfile::tempdir().unwrap();
        signed(size, directory.path());
        // The backup has fewer events, and the log went on from it.
        let log = noted(size / 2);
        go_on(&log, size);
        let proofs = open(&log, directory.path());
        let found = proofs.contradiction();
        assert!(matches!(found, Some(ProofError::Forked { .. })), "{size}: {found:?}");
        signs_nothing(&log, &proofs, directory.path(), &size.to_string());
    }
}

#[test]
fn a_rollback_that_a_party_showed_is_not_forgotten() {
    for anchor in [Anchor::Buffered, Anchor::Durable] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proofs");
        let first = signed(300, &path);
        // The log went on, and its backup was put back with its proofs.
        let shown = Proofs::in_memory(&noted(700), ORIGIN).unwrap().checkpoint(&alice()).unwrap();
        let log = noted(300);
        let running = open_with(ProofOptions::new().anchor(anchor), &log, &path);
        // What another key signed, and what nobody signed, is not remembered.
        let forged = shown.to_string().replacen("\n700\n", "\n800\n", 1).parse().unwrap();
        let proofs = open(&log, &path);
        let refused = proofs.verify(std::slice::from_ref(&forged)).unwrap_err();
        assert!(matches!(refused, ProofError::NotOwn { size: 800, .. }), "{refused}");
        proofs.agrees_with(&forged).unwrap_err();
        assert_eq!(proofs.checkpoint(&alice()).unwrap(), first);
        assert_eq!(proofs.verify(std::slice::from_ref(&shown)).unwrap().problems.len(), 1);
        // Other proofs that were opened before learn of it too.
        assert!(matches!(running.checkpoint(&alice()), Err(ProofError::RolledBack { .. })));
        signs_nothing(&log, &proofs, &path, "verify");
        assert_eq!(open(&noted(800), &path).contradiction().map(|found| found.to_string()), None);
        // The whole log is put back. It signs again, and the memory is cleared.
        let log = noted(800);
        let next = open(&log, &path).checkpoint(&alice()).unwrap();
        assert!(!path.join("shown").exists());
        assert_eq!(open(&log, &path).last_checkpoint(), Some(next));
    }
}

#[test]
fn the_largest_checkpoint_that_a_party_showed_is_remembered() {
    for order in [[0, 1], [1, 0]] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proofs");
        signed(200, &path);
        // The log went on to 300 and to 700 events, and its backup was put back with its proofs.
        let sign =
            |count| Proofs::in_memory(&noted(count), ORIGIN).unwrap().checkpoint(&alice()).unwrap();
        let [small, large] = [sign(300), sign(700)];
        let shown = order.map(|at| [&small, &large][at].clone());
        assert_eq!(open(&noted(200), &path).verify(&shown).unwrap().problems.len(), 2);
        // A backup that has the smaller one only is not enough.
        let log = noted(400);
        let refused = open(&log, &path).checkpoint(&alice()).unwrap_err();
        assert!(matches!(refused, ProofError::RolledBack { signed: 700, .. }), "{refused}");
        open(&noted(700), &path).checkpoint(&alice()).unwrap();
    }
}

#[test]
fn a_changed_event_that_was_noticed_is_not_forgotten_when_only_nodes_are_right() {
    let directory = tempfile::tempdir().unwrap();
    let last = signed(700, directory.path());
    let nodes = fs::read(directory.path().join("nodes.8")).unwrap();
    let log = noted_but(700, 7);
    open(&log, directory.path()).prove(7, &last).unwrap_err();
    // A process that only reads leaves the nodes as they were, which lead to the signed root.
    fs::write(directory.path().join("nodes.8"), nodes).unwrap();
    let found = open(&log, directory.path()).contradiction();
    assert!(matches!(found, Some(ProofError::Forked { signed: 700 })), "{found:?}");
    // With the right log, the same directory signs.
    open(&noted(700), directory.path()).checkpoint(&alice()).unwrap();
}

#[test]
fn a_checkpoint_of_another_key_is_not_remembered() {
    let directory = tempfile::tempdir().unwrap();
    signed(300, directory.path());
    let log = noted(300);
    let proofs = open(&log, directory.path());
    let others = Proofs::in_memory(&noted(10), bob().name()).unwrap().checkpoint(&bob()).unwrap();
    let refused = proofs.verify(&[others]).unwrap_err();
    assert!(matches!(refused, ProofError::OtherLog { .. }), "{refused}");
    proofs.checkpoint(&alice()).unwrap();
    assert!(!directory.path().join("shown").exists());
}

//! Two `Proofs` of one log that sign at the same time, in one process. The tests force the interleavings.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use annals::{Memory, RawEvent};
use annals_proof::{Checkpoint, LogKey, ProofError, ProofOptions, Proofs};
use parking_lot::Mutex;

use crate::common::{Log, ORIGIN, alice, bob, note, noted};
use crate::hooked::Hooked;

type LogProofs = Proofs<RawEvent, Memory<RawEvent>>;
type Signed = Result<Checkpoint, ProofError>;

fn open(store: &Log, path: &Path) -> LogProofs {
    Proofs::open(store, path, ORIGIN).unwrap()
}

fn carol() -> LogKey {
    LogKey::from_seed("annals.example/carol", &[0x55; 32]).unwrap()
}

fn stored(path: &Path) -> Checkpoint {
    fs::read_to_string(path.join("checkpoint")).unwrap().parse().unwrap()
}

/// Lets the first signer begin to put the file `name` in its place. Then another one signs ten more events with `key`.
/// The first signer goes on when the other has signed, or waits for it. Returns what both returned.
fn sign_during(
    (store, path): (&Log, &Path),
    name: &'static str,
    first: impl FnOnce(&LogProofs) -> Signed,
    key: LogKey,
) -> [Signed; 2] {
    let (send, reached) = channel::<()>();
    let other = open_and_report(store, path, send.clone());
    let (started, joined) = (AtomicBool::new(false), Arc::new(Mutex::new(None)));
    let (reached, handle, log) = (Mutex::new(reached), Arc::clone(&joined), store.clone());
    let state = Mutex::new(Some((other, key, send)));
    let files = Hooked::new(move |call, renamed| {
        if (call, renamed) == ("rename", name) && !started.swap(true, Ordering::SeqCst) {
            let (other, key, send) = state.lock().take().unwrap();
            note(&log, 10);
            let signs = move || {
                let signed = other.checkpoint(&key);
                let _ = send.send(());
                signed
            };
            *handle.lock() = Some(thread::spawn(signs));
            reached.lock().recv().unwrap();
        }
    });
    let proofs = ProofOptions::new().path(path).file_system(files).open(store, ORIGIN).unwrap();
    let signed = first(&proofs);
    let thread: Option<JoinHandle<Signed>> = joined.lock().take();
    [signed, thread.unwrap().join().unwrap()]
}

/// Opens proofs that send a message when they want the lock.
fn open_and_report(store: &Log, path: &Path, send: Sender<()>) -> LogProofs {
    let files = Hooked::new(move |call, name| {
        if (call, name) == ("open", "checkpoint.lock") {
            let _ = send.send(());
        }
    });
    ProofOptions::new().path(path).file_system(files).open(store, ORIGIN).unwrap()
}

#[test]
fn a_smaller_checkpoint_never_replaces_a_larger_one() {
    let directory = tempfile::tempdir().unwrap();
    let (store, path) = (noted(10), directory.path().join("proofs"));
    open(&store, &path).checkpoint(&alice()).unwrap();
    note(&store, 10);
    let signs = |proofs: &LogProofs| proofs.checkpoint(&alice());
    let [first, second] = sign_during((&store, &path), "checkpoint", signs, alice());
    assert_eq!((first.unwrap().size(), second.unwrap().size()), (20, 30));
    assert_eq!(stored(&path).size(), 30);
}

#[test]
fn a_receipt_of_a_smaller_checkpoint_does_not_replace_a_larger_one() {
    let directory = tempfile::tempdir().unwrap();
    let (store, path) = (noted(10), directory.path().join("proofs"));
    let line = open(&store, &path).checkpoint(&alice()).unwrap().cosign(&bob(), 1_700_000_010);
    let adds = |proofs: &LogProofs| proofs.add_receipt(&line, &bob().witness_vkey());
    let [cosigned, second] = sign_during((&store, &path), "checkpoint", adds, alice());
    assert_eq!((cosigned.unwrap().size(), second.unwrap().size()), (10, 20));
    assert_eq!(stored(&path).size(), 20);
}

#[test]
fn of_two_keys_one_signs_the_first_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let (store, path) = (noted(10), directory.path().join("proofs"));
    let other_key = LogKey::from_seed(ORIGIN, &[1; 32]).unwrap();
    let signs = |proofs: &LogProofs| proofs.checkpoint(&alice());
    let [first, second] = sign_during((&store, &path), "log.json", signs, other_key);
    let first = first.unwrap();
    assert!(matches!(second, Err(ProofError::OtherIdentity { what: "the key", .. })), "{second:?}");
    assert_eq!(stored(&path), first);
    first.verify(&alice().vkey()).unwrap();
}

#[test]
fn receipts_that_two_proofs_add_are_both_stored() {
    let directory = tempfile::tempdir().unwrap();
    let (store, path) = (noted(10), directory.path().join("proofs"));
    let [first, second] = [open(&store, &path), open(&store, &path)];
    let checkpoint = first.checkpoint(&alice()).unwrap();
    assert_eq!(second.checkpoint(&alice()).unwrap(), checkpoint);
    for (proofs, key) in [(&first, bob()), (&second, carol())] {
        let line = checkpoint.cosign(&key, 1_700_000_010);
        proofs.add_receipt(&line, &key.witness_vkey()).unwrap();
    }
    let cosigned = stored(&path);
    for key in [bob(), carol()] {
        assert!(cosigned.signature_line(&key.witness_vkey()).is_some(), "{cosigned}");
    }
    for proofs in [&first, &second] {
        assert_eq!(proofs.checkpoint(&alice()).unwrap().size(), 10);
        let again = stored(&path);
        for key in [bob(), carol()] {
            assert!(again.signature_line(&key.witness_vkey()).is_some(), "{again}");
        }
    }
}

#[test]
fn what_other_proofs_signed_binds_the_log() {
    let directory = tempfile::tempdir().unwrap();
    for (others, name) in [(30, "rolled back"), (20, "forked")] {
        let (store, path) = (noted(10), directory.path().join(name));
        let proofs = open(&store, &path);
        proofs.checkpoint(&alice()).unwrap();
        note(&store, 10);
        // Another process signed for the same key, from a copy that went on.
        let copy = noted(others - 1);
        copy.append(RawEvent::builder("other").build().unwrap()).unwrap();
        let signed = Proofs::in_memory(&copy, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
        fs::write(path.join("checkpoint"), signed.to_string()).unwrap();
        for _ in 0..2 {
            let refused = proofs.checkpoint(&alice()).unwrap_err();
            match (others, &refused) {
                (30, ProofError::RolledBack { events: 20, signed: 30 })
                | (20, ProofError::Forked { signed: 20 }) => {}
                _ => panic!("{refused}"),
            }
        }
        assert_eq!(stored(&path), signed);
    }
}

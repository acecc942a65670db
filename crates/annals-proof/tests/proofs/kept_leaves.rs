//! Leaves that are stored: the same roots and proofs, and no trust in the file.

use annals::{EventStore, RawEvent};
use annals_proof::{Leaves, ProofOptions, Proofs};

use crate::common::{ORIGIN, alice, note, noted};

fn kept() -> ProofOptions {
    ProofOptions::new().leaves(Leaves::Kept).threads(2)
}

#[test]
fn they_change_no_root_and_no_proof() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    for count in [1_000, 300, 1, 35_000, 35_000] {
        let event = || RawEvent::builder("noted").build().unwrap();
        store.append_batch((0..count).map(|_| event())).unwrap();
        let proofs = kept().open(&store, ORIGIN).unwrap();
        let checkpoint = proofs.checkpoint(&alice()).unwrap();
        let plain = Proofs::in_memory(&store, ORIGIN).unwrap();
        assert_eq!(checkpoint, plain.checkpoint(&alice()).unwrap());
        let last = store.len() - 1;
        for offset in [0, 255, 256, last / 2, last] {
            let proof = proofs.prove(offset, &checkpoint).unwrap();
            assert_eq!(proof, plain.prove(offset, &checkpoint).unwrap(), "{offset}");
        }
        proofs.prove_consistency(777, &checkpoint).unwrap();
        let size = std::fs::metadata(path.join("proofs/nodes.0")).unwrap().len();
        assert_eq!(size, 32 * store.len(), "32 bytes an event");
        let report = proofs.verify(&[]).unwrap();
        assert_eq!((&report.problems[..], &report.notes[..]), (&[][..], &[][..]));
    }
    let small: u64 = std::fs::read_dir(path.join("proofs"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with("nodes.") && name != "nodes.0"
        })
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(small * 5 < store.len(), "less than 0.2 bytes an event: {small} bytes of nodes");
}

#[test]
fn a_wrong_leaf_is_neither_signed_nor_proved() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<RawEvent>::open(directory.path().join("log")).unwrap();
    note(&store, 2_000);
    let proofs = kept().open(&store, ORIGIN).unwrap();
    let first = proofs.checkpoint(&alice()).unwrap();
    let file = directory.path().join("log/proofs/nodes.0");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[32 * 300] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(proofs.verify(&[]).unwrap().notes.len(), 1);
    note(&store, 500);
    let second = proofs.checkpoint(&alice()).unwrap();
    let honest = noted(2_500);
    let expected = Proofs::in_memory(&honest, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    assert_eq!(second, expected);
    proofs.prove(301, &second).unwrap();
    proofs.prove_consistency(2_000, &second).unwrap().check(first.root()).unwrap();
    assert_eq!(proofs.verify(&[]).unwrap().notes, Vec::<String>::new(), "the leaf is repaired");
}

#[test]
fn they_can_be_switched_on_and_off() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<RawEvent>::open(directory.path().join("log")).unwrap();
    note(&store, 600);
    let first = ProofOptions::new().open(&store, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    let file = directory.path().join("log/proofs/nodes.0");
    assert!(!file.exists());
    let proofs = kept().open(&store, ORIGIN).unwrap();
    assert_eq!(proofs.checkpoint(&alice()).unwrap(), first);
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 600 * 32);
    drop(proofs);
    // Without them, the log goes on. The file is then too short, and is made whole when it is wanted again.
    note(&store, 600);
    let plain = ProofOptions::new().open(&store, ORIGIN).unwrap();
    let second = plain.checkpoint(&alice()).unwrap();
    drop(plain);
    let proofs = kept().open(&store, ORIGIN).unwrap();
    proofs.prove(1_199, &second).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 1_200 * 32);
    assert_eq!(proofs.verify(&[first, second]).unwrap().notes, Vec::<String>::new());
}

//! A disk that is full at any call. The call is an error that names the file, nothing contradicts what was signed
//! before, and the next attempt succeeds.

use std::io::ErrorKind;
use std::sync::Arc;

use annals::{Memory, RawEvent};
use annals_conformance::fault::{FaultFileSystem, on_disk};
use annals_proof::{Anchor, Checkpoint, ProofError, ProofOptions, Proofs, Witness, WitnessError};

use crate::common::{Log, ORIGIN, alice, bob, note, noted};

fn open(store: &Log, disk: &FaultFileSystem) -> Proofs<RawEvent, Memory<RawEvent>> {
    let options = ProofOptions::new().path(on_disk("proofs")).anchor(Anchor::Durable);
    options.file_system(Arc::new(disk.process())).open(store, ORIGIN).unwrap()
}

/// Runs `attempt` once for each of its calls of the disk. That call, whose number it gets, fails.
fn at_each_call<T>(
    prepare: impl Fn(&FaultFileSystem) -> T,
    attempt: impl Fn(&mut T) -> Option<ProofError>,
    then: impl Fn(T, &FaultFileSystem),
) {
    let mut failures = 0;
    for nth in 1.. {
        let disk = FaultFileSystem::new(nth);
        let mut prepared = prepare(&disk);
        let before = disk.calls();
        disk.fail_any(nth, ErrorKind::StorageFull);
        let failed = attempt(&mut prepared);
        if disk.calls() - before < nth {
            break;
        }
        if let Some(error) = failed {
            is_full(&error);
            failures += 1;
        }
        then(prepared, &disk);
    }
    assert!(failures > 5, "{failures} calls fail");
}

#[track_caller]
fn is_full(error: &ProofError) {
    let ProofError::Io { source, path, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), ErrorKind::StorageFull);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

fn expected(store: &Log) -> Checkpoint {
    Proofs::in_memory(store, ORIGIN).unwrap().checkpoint(&alice()).unwrap()
}

#[test]
fn the_first_checkpoint_succeeds_later() {
    let store = noted(300);
    at_each_call(
        |disk| open(&store, disk),
        |proofs| proofs.checkpoint(&alice()).err(),
        |proofs, disk| {
            // In the same process, and for another one.
            assert_eq!(proofs.checkpoint(&alice()).unwrap(), expected(&store));
            assert_eq!(open(&store, disk).last_checkpoint(), Some(expected(&store)));
        },
    );
}

#[test]
fn the_next_checkpoint_leaves_the_old_one_or_the_new_one() {
    let first = expected(&noted(300));
    at_each_call(
        |disk| {
            let store = noted(300);
            let proofs = open(&store, disk);
            assert_eq!(proofs.checkpoint(&alice()).unwrap(), first);
            note(&store, 700);
            (store, proofs)
        },
        |(_, proofs)| proofs.checkpoint(&alice()).err(),
        |(store, _), disk| {
            let (reopened, new) = (open(&store, disk), expected(&store));
            let left = reopened.last_checkpoint().unwrap();
            assert!(left == first || left == new, "{left}");
            assert!(reopened.contradiction().is_none());
            assert_eq!(reopened.checkpoint(&alice()).unwrap(), new);
            let against = std::slice::from_ref(&first);
            assert_eq!(reopened.verify(against).unwrap().problems, Vec::<String>::new());
        },
    );
}

#[test]
fn a_receipt_is_stored_whole_or_not() {
    let store = noted(300);
    let key = bob().witness_vkey();
    let line = expected(&store).cosign(&bob(), 1_700_000_010);
    at_each_call(
        |disk| {
            let proofs = open(&store, disk);
            proofs.checkpoint(&alice()).unwrap();
            proofs
        },
        |proofs| proofs.add_receipt(&line, &key).err(),
        |_, disk| {
            let reopened = open(&store, disk);
            assert_eq!(reopened.last_checkpoint().unwrap().size(), 300);
            let cosigned = reopened.add_receipt(&line, &key).unwrap();
            assert!(cosigned.signature_line(&key).is_some());
            assert_eq!(open(&store, disk).last_checkpoint(), Some(cosigned));
        },
    );
}

#[test]
fn a_witness_remembers_what_it_may_have_cosigned() {
    let store = noted(20);
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    let cosign = |witness: &Witness, old| {
        let request = proofs.prove_consistency(old, &checkpoint).unwrap();
        witness.cosign_at(&request, 1_700_000_010)
    };
    at_each_call(
        |disk| {
            Witness::open_on(&disk.process(), on_disk("memory"), bob(), [alice().vkey()]).unwrap()
        },
        |witness| match cosign(witness, 0) {
            Ok(_) => None,
            Err(WitnessError::Memory(error)) => Some(error),
            Err(error) => panic!("{error}"),
        },
        |witness, _| match cosign(&witness, 0) {
            Ok(_) => {}
            Err(WitnessError::Stale { size: 20 }) => {
                cosign(&witness, 20).unwrap();
            }
            Err(error) => panic!("{error}"),
        },
    );
}

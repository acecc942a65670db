//! Witnesses and policies.

use std::sync::Barrier;
use std::thread;

use annals_proof::{
    Checkpoint, ConsistencyProof, Fork, LogKey, Policy, Proofs, Witness, WitnessError,
};

use crate::common::{Log, ORIGIN, alice, bob, note, noted};

fn request(store: &Log, old: u64) -> ConsistencyProof {
    let proofs = Proofs::in_memory(store, ORIGIN).unwrap();
    proofs.prove_consistency(old, &proofs.checkpoint(&alice()).unwrap()).unwrap()
}

#[test]
fn a_witness_follows_one_history() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Witness::open(directory.path(), bob(), [alice().vkey()]);
    let witness = open().unwrap();
    let store = noted(10);
    let first = request(&store, 0);
    let line = witness.cosign_at(&first, 1_700_000_000).unwrap();
    let mut cosigned = first.checkpoint().clone();
    cosigned.add_cosignature(&line, &bob().witness_vkey()).unwrap();
    assert_eq!(std::fs::read_to_string(witness.file(ORIGIN)).unwrap(), cosigned.to_string());
    // Again from 0: the witness says where it is. The same size again: another cosignature, at another time.
    assert!(matches!(witness.cosign(&first), Err(WitnessError::Stale { size: 10 })));
    assert_ne!(witness.cosign_at(&request(&store, 10), 1_700_000_001).unwrap(), line);
    note(&store, 5);
    let next = request(&store, 10);
    // A second process does not cosign from the same memory.
    assert!(open().unwrap_err().to_string().contains("another process"));
    drop(witness);
    let witness = open().unwrap();
    witness.cosign(&next).unwrap();
    // Another history, of the same length, and a longer one.
    let other = noted(0);
    other.append(annals::RawEvent::builder("other").build().unwrap()).unwrap();
    for _ in 1..15 {
        other.append(annals::RawEvent::builder("noted").build().unwrap()).unwrap();
    }
    assert!(matches!(
        witness.cosign(&request(&other, 15)),
        Err(WitnessError::Contradiction { size: 15, .. })
    ));
    note(&store, 1);
    other.append(annals::RawEvent::builder("noted").build().unwrap()).unwrap();
    let refused = witness.cosign(&request(&other, 15)).unwrap_err();
    assert!(matches!(refused, WitnessError::Contradiction { size: 15, .. }), "{refused}");
    witness.cosign(&request(&store, 15)).unwrap();
}

#[test]
fn a_witness_that_threads_share_cosigns_one_of_two_histories() {
    let other = noted(0);
    for _ in 0..5 {
        other.append(annals::RawEvent::builder("other").build().unwrap()).unwrap();
    }
    let forks = [request(&noted(5), 0), request(&other, 0)];
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let witness = Witness::open(directory.path(), bob(), [alice().vkey()]).unwrap();
        let (barrier, witness) = (Barrier::new(forks.len()), &witness);
        let cosigned = thread::scope(|scope| {
            let cosign = |request| {
                barrier.wait();
                witness.cosign(request)
            };
            let threads = forks.each_ref().map(|request| scope.spawn(move || cosign(request)));
            threads.map(|thread| thread.join().unwrap())
        });
        let lines = cosigned.iter().filter(|line| line.is_ok()).count();
        assert_eq!(lines, 1, "{cosigned:?}");
    }
}

#[test]
fn a_witness_cosigns_only_logs_that_it_knows() {
    let directory = tempfile::tempdir().unwrap();
    let carol = LogKey::from_seed("annals.example/carol", &[5; 32]).unwrap();
    let witness = Witness::open(directory.path(), bob(), [carol.vkey()]).unwrap();
    let refused = witness.cosign(&request(&noted(1), 0)).unwrap_err();
    assert!(matches!(refused, WitnessError::UnknownLog { .. }), "{refused}");
    drop(witness);
    // A memory that is damaged is not forgotten.
    let witness = Witness::open(directory.path(), bob(), [alice().vkey()]).unwrap();
    witness.cosign(&request(&noted(1), 0)).unwrap();
    std::fs::write(witness.file(ORIGIN), "torn").unwrap();
    assert!(matches!(witness.cosign(&request(&noted(1), 0)), Err(WitnessError::Memory(_))));
}

#[test]
fn a_witness_does_not_cosign_a_log_of_its_own_key() {
    let directory = tempfile::tempdir().unwrap();
    // Also under another name.
    let renamed = LogKey::from_seed("annals.example/log", &[0x44; 32]).unwrap();
    for key in [bob(), renamed] {
        let refused = Witness::open(directory.path(), bob(), [alice().vkey(), key.vkey()]);
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("the witness's own key"), "{refused}");
    }
}

#[test]
fn a_policy_asks_for_its_quorum() {
    let store = noted(3);
    let mut checkpoint = Proofs::in_memory(&store, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    let carol = LogKey::from_seed("annals.example/carol", &[5; 32]).unwrap();
    let policy = |quorum: &str| -> Policy {
        let text = format!(
            "# the test\nlog {}\nwitness bob {} https://example.com\nwitness carol {}\ngroup one any bob carol\n\
             group both all bob carol\ngroup nested 2 one both\nquorum {quorum}\n",
            alice().vkey(),
            bob().witness_vkey(),
            carol.witness_vkey()
        );
        text.parse().unwrap()
    };
    let holds = |checkpoint: &Checkpoint| {
        ["none", "one", "both", "nested", "bob", "carol"]
            .map(|quorum| policy(quorum).verify(checkpoint).is_ok())
    };
    assert_eq!(holds(&checkpoint), [true, false, false, false, false, false]);
    let line = checkpoint.cosign(&bob(), 9);
    checkpoint.add_cosignature(&line, &bob().witness_vkey()).unwrap();
    assert_eq!(holds(&checkpoint), [true, true, false, false, true, false]);
    let line = checkpoint.cosign(&carol, 9);
    checkpoint.add_cosignature(&line, &carol.witness_vkey()).unwrap();
    assert_eq!(holds(&checkpoint), [true; 6]);
    let other = Policy::of_keys([bob().vkey()]);
    assert!(matches!(other.verify(&checkpoint), Err(annals_proof::CheckError::NotSigned { .. })));
    for bad in ["", "quorum x", "log x", "group g 3 a", "witness none x"] {
        assert!(bad.parse::<Policy>().is_err(), "{bad:?}");
    }
    // One bad signature of a known key spoils the whole note.
    let text = checkpoint.to_string();
    let (head, line) = text.trim_end().rsplit_once(' ').unwrap();
    let spoiled: String =
        line.chars().rev().collect::<String>().replacen('A', "B", 1).chars().rev().collect();
    if spoiled != line
        && let Ok(spoiled) = format!("{head} {spoiled}\n").parse::<Checkpoint>()
    {
        assert!(policy("none").verify(&spoiled).is_err());
    }
}

#[test]
fn a_fork_convicts_by_the_logs_key_alone() {
    let (store, other) = (noted(4), noted(2));
    other.append(annals::RawEvent::builder("other").build().unwrap()).unwrap();
    other.append(annals::RawEvent::builder("other").build().unwrap()).unwrap();
    let sign = |store: &Log| {
        let proofs = Proofs::in_memory(store, ORIGIN).unwrap();
        let checkpoint = proofs.checkpoint(&alice()).unwrap();
        (proofs, checkpoint)
    };
    let ((proofs, a), (other_proofs, b)) = (sign(&store), sign(&other));
    let fork = Fork::of_checkpoints(a.clone(), b.clone());
    let read = Fork::from_json(fork.to_json().as_bytes()).unwrap();
    assert_eq!(read.check(&alice().vkey()).unwrap().sizes, [4, 4]);
    assert!(read.check(&bob().vkey()).is_err());
    assert!(Fork::of_checkpoints(a.clone(), a.clone()).check(&alice().vkey()).is_err());
    // Of different sizes, it takes the two events.
    note(&store, 3);
    let longer = proofs.checkpoint(&alice()).unwrap();
    assert!(Fork::of_checkpoints(longer.clone(), b.clone()).check(&alice().vkey()).is_err());
    let proof =
        |proofs: &Proofs<_, _>, checkpoint, offset| proofs.prove(offset, checkpoint).unwrap();
    let fork = Fork::of_proofs(&proof(&proofs, &longer, 2), &proof(&other_proofs, &b, 2));
    let read = Fork::from_json(fork.to_json().as_bytes()).unwrap();
    assert_eq!(read.check(&alice().vkey()).unwrap().offset, Some(2));
    let same = Fork::of_proofs(&proof(&proofs, &longer, 1), &proof(&other_proofs, &b, 1));
    assert!(same.check(&alice().vkey()).is_err());
}

#[test]
fn a_checkpoint_with_more_cosignatures_than_are_read_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = noted(10);
    let open = || Proofs::open(&store, directory.path().join("proofs"), ORIGIN).unwrap();
    let proofs = open();
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    let add = |n: u8| {
        let witness = LogKey::from_seed(&format!("w{n}.example"), &[n; 32]).unwrap();
        proofs.add_receipt(&checkpoint.cosign(&witness, 1_700_000_010), &witness.witness_vkey())
    };
    // One line is the log's own.
    for n in 1..100 {
        add(n).unwrap();
    }
    let refused = add(100).unwrap_err();
    assert!(refused.to_string().contains("100 signature lines"), "{refused}");
    // A newer line of a witness replaces the older one.
    let last = add(99).unwrap();
    assert_eq!(open().last_checkpoint(), Some(last));
}

//! Attacks of the threat table of docs/PROOFS.md that need more than one party. In each test the attack is made and
//! noticed.

use annals::RawEvent;
use annals_proof::{
    CheckError, Checkpoint, Evidence, Fork, LogKey, Policy, Proofs, Witness, WitnessError,
};

use crate::common::{Log, ORIGIN, T, alice, append, note, noted};

fn sign(store: &Log) -> (Proofs<RawEvent, annals::Memory<RawEvent>>, Checkpoint) {
    let proofs = Proofs::in_memory(store, ORIGIN).unwrap();
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    (proofs, checkpoint)
}

/// A log of `noted` events, of which the one at offset 100 is left out, changed, or has another before it.
fn altered(how: &str) -> Log {
    let store = noted(100);
    if how != "removed" {
        append(&store, [(RawEvent::builder("other").build().unwrap(), T + 100)]);
    }
    if how == "inserted" {
        append(&store, [(RawEvent::builder("noted").build().unwrap(), T + 100)]);
    }
    let rest = (101..400).map(|n| (RawEvent::builder("noted").build().unwrap(), T + n));
    append(&store, rest);
    store
}

#[test]
fn rewritten_inserted_and_removed_events_have_no_proof() {
    let (honest_proofs, held) = sign(&noted(300));
    for how in ["rewritten", "inserted", "removed"] {
        let (proofs, new) = sign(&altered(how));
        // The holder asks for a proof that the log continues what it holds. What the owner can make does not hold.
        let made = proofs.prove_consistency(held.size(), &new).unwrap();
        assert!(matches!(made.check(held.root()), Err(CheckError::WrongRoot { .. })), "{how}");
        assert!(proofs.evidence(&new).offsets([0]).earlier(held.clone()).build().is_err(), "{how}");
        // It can only be silent, or be convicted by two proofs of one offset.
        let [a, b] = [honest_proofs.prove(100, &held), proofs.prove(100, &new)].map(Result::unwrap);
        let fork = Fork::of_proofs(&a, &b).to_json();
        let found = Fork::from_json(fork.as_bytes()).unwrap().check(&alice().vkey()).unwrap();
        assert_eq!(found.offset, Some(100), "{how}");
    }
}

fn witness_key(name: &str) -> LogKey {
    let mut seed = [9; 32];
    seed[0] = name.as_bytes()[0];
    LogKey::from_seed(&format!("annals.example/{name}"), &seed).unwrap()
}

#[test]
fn two_logs_never_get_a_quorum() {
    let names = ["carol", "dave", "erin"];
    let directory = tempfile::tempdir().unwrap();
    let witnesses = names.map(|name| {
        Witness::open(directory.path().join(name), witness_key(name), [alice().vkey()]).unwrap()
    });
    let policy = |quorum: &str| -> Policy {
        let mut text = vec![format!("log {}", alice().vkey())];
        let line = |name: &str| format!("witness {name} {}", witness_key(name).witness_vkey());
        text.extend(names.map(line));
        text.push(format!("group two 2 carol dave erin\nquorum {quorum}\n"));
        text.join("\n").parse().unwrap()
    };
    // The owner shows one history to two witnesses, and the other to the third; then it asks everyone for everything.
    let shown = [[true, false, true], [false, true, false]];
    let stores = [noted(300), altered("rewritten")];
    let mut cosigned = Vec::new();
    for (store, first) in stores.iter().zip(shown) {
        let (proofs, mut checkpoint) = sign(store);
        let request = proofs.prove_consistency(0, &checkpoint).unwrap();
        for (at, witness) in witnesses.iter().enumerate().filter(|(at, _)| first[*at]) {
            let line = witness.cosign(&request).unwrap();
            let key = witness_key(names[at]).witness_vkey();
            checkpoint.add_cosignature(&line, &key).unwrap();
        }
        cosigned.push(checkpoint);
    }
    for store in &stores {
        let (proofs, checkpoint) = sign(store);
        for witness in &witnesses {
            for old in [0, 300, checkpoint.size()] {
                let request = proofs.prove_consistency(old, &checkpoint).unwrap();
                match witness.cosign(&request) {
                    Ok(_) | Err(WitnessError::Stale { .. }) => {}
                    Err(WitnessError::Contradiction { .. }) => {
                        assert_ne!(checkpoint.root(), cosigned[0].root());
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
    let accepted = |checkpoint: &Checkpoint| policy("two").verify(checkpoint).is_ok();
    assert_eq!([&cosigned[0], &cosigned[1]].map(accepted), [true, false]);
    assert!(policy("none").verify(&cosigned[1]).is_ok(), "without a quorum, both are accepted");
}

#[test]
fn an_old_head_is_noticed_by_a_later_receipt() {
    let store = noted(10);
    let (proofs, old_head) = sign(&store);
    note(&store, 10);
    let mut receipt = proofs.checkpoint(&alice()).unwrap();
    let carol = witness_key("carol");
    let line = receipt.cosign(&carol, 1_700_000_010);
    receipt.add_cosignature(&line, &carol.witness_vkey()).unwrap();
    // The owner shows the older one as if it were all. Who has the receipt compares the two.
    let shown = proofs.evidence(&old_head).whole(0..10).build().unwrap();
    assert!(shown.checkpoint().size() < receipt.size());
    // An old head cannot be shown together with the receipt.
    let both = proofs.evidence(&old_head).whole(0..10).earlier(receipt.clone()).build();
    assert!(both.is_err());
    let mut file: serde_json::Value = serde_json::from_str(&shown.to_json()).unwrap();
    file["earlier"] = serde_json::json!([{ "checkpoint": receipt.to_string(), "proof": [] }]);
    let forged = Evidence::from_json(file.to_string().as_bytes()).unwrap();
    assert!(forged.check(&Policy::of_keys([alice().vkey()])).is_err());
    // A checker that asks for the witness sees that nobody has cosigned the old head.
    let policy = Policy::of_keys([alice().vkey(), carol.witness_vkey()]);
    assert!(matches!(policy.verify(&old_head), Err(CheckError::NoQuorum { .. })));
    assert_eq!(policy.verify(&receipt).unwrap().cosignatures[0].time, Some(1_700_000_010));
}

#[test]
fn a_third_witness_remembers() {
    let directory = tempfile::tempdir().unwrap();
    let carol = Witness::open(directory.path(), witness_key("carol"), [alice().vkey()]).unwrap();
    let (proofs, checkpoint) = sign(&noted(20));
    carol.cosign(&proofs.prove_consistency(0, &checkpoint).unwrap()).unwrap();
    // The log is rolled back to 10 events, with all that is beside it, and the peer says nothing.
    let restored = noted(10);
    let (proofs, smaller) = sign(&restored);
    let request = proofs.prove_consistency(0, &smaller).unwrap();
    assert!(matches!(carol.cosign(&request), Err(WitnessError::Stale { size: 20 })));
    // It shows the checkpoint that it has, and the log sees what it signed.
    let text = std::fs::read_to_string(carol.file(ORIGIN)).unwrap();
    let found = proofs.agrees_with(&text.parse().unwrap()).unwrap_err();
    assert!(found.to_string().contains("rolled back"), "{found}");
    assert!(proofs.checkpoint(&alice()).is_err());
}

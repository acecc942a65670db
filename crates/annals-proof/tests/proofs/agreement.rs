//! A log that is compared with a checkpoint that another party kept.

use annals::RawEvent;
use annals_proof::{Checkpoint, LogKey, ProofError, Proofs, TreeHash};

use crate::common::{ORIGIN, T, alice, append, bob, note, noted};

#[test]
fn a_log_that_contradicts_its_own_signature_signs_nothing_more() {
    let store = noted(10);
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let signed = proofs.checkpoint(&alice()).unwrap();
    note(&store, 300);
    proofs.agrees_with(&signed).unwrap();
    assert!(proofs.contradiction().is_none());
    // What another key signed under the same name contradicts, and binds nobody.
    let thief = LogKey::from_seed(ORIGIN, &[9; 32]).unwrap();
    let root = TreeHash::of_leaf(b"x");
    for size in [5, 1_000] {
        let forged = Checkpoint::sign(&thief, size, root);
        proofs.agrees_with(&forged).unwrap_err();
    }
    proofs.checkpoint(&alice()).unwrap();
    assert!(matches!(
        proofs.agrees_with(&Checkpoint::sign(&bob(), 1, root)),
        Err(ProofError::OtherIdentity { .. })
    ));
    let longer = Checkpoint::sign(&alice(), 1_000, root);
    let found = proofs.agrees_with(&longer).unwrap_err();
    assert!(matches!(found, ProofError::RolledBack { events: 310, signed: 1_000 }), "{found}");
    assert!(matches!(proofs.checkpoint(&alice()), Err(ProofError::RolledBack { .. })));
    assert!(matches!(proofs.contradiction(), Some(ProofError::RolledBack { .. })));
    let other = noted(9);
    append(&other, [(RawEvent::builder("other").build().unwrap(), T + 9)]);
    let proofs = Proofs::in_memory(&other, ORIGIN).unwrap();
    note(&other, 10);
    proofs.checkpoint(&alice()).unwrap();
    let found = proofs.agrees_with(&signed).unwrap_err();
    assert!(matches!(found, ProofError::Forked { signed: 10 }), "{found}");
    assert!(matches!(proofs.checkpoint(&alice()), Err(ProofError::Forked { signed: 10 })));
}

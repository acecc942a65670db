//! Every backend has one root for the same events.

use annals::{Backend, Event, EventStore, Journal, Memory, RawEvent};
use annals_proof::{Checkpoint, LogKey, ProofError, ProofFollower, ProofOptions, Proofs};
use std::sync::Arc;

use crate::common::{ORIGIN, alice, append, log_of_seven, note, noted, seven};

fn signed<E: Event, B: Backend<E>>(store: &EventStore<E, B>) -> Checkpoint {
    Proofs::in_memory(store, ORIGIN).unwrap().checkpoint(&alice()).unwrap()
}

#[test]
fn memory_journal_and_a_boxed_backend_agree() {
    let expected = signed(&log_of_seven());
    let directory = tempfile::tempdir().unwrap();
    let journal = EventStore::<RawEvent>::open(directory.path().join("a")).unwrap();
    append(&journal, seven());
    assert_eq!(signed(&journal), expected);
    let backends: [Box<dyn Backend<RawEvent>>; 2] = [
        Box::new(Memory::new()),
        Box::new(Journal::options().open(directory.path().join("b")).unwrap()),
    ];
    for backend in backends {
        let store = EventStore::on(backend);
        append(&store, seven());
        assert_eq!(signed(&store), expected);
    }
}

mod before {
    #[derive(annals::Event, Debug)]
    pub(super) enum Booking {
        SeatSold { seat: u32 },
    }
}

mod after {
    #[derive(annals::Event, Debug)]
    pub(super) enum Booking {
        #[event(alias = "seat-sold")]
        SeatTaken {
            seat: u32,
            #[serde(default)]
            price: u32,
        },
    }
}

#[test]
fn a_renamed_and_changed_type_changes_no_root() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::open(directory.path()).unwrap();
    store.append(before::Booking::SeatSold { seat: 1 }).unwrap();
    let expected = signed(&store);
    drop(store);
    let store = EventStore::<after::Booking>::open(directory.path()).unwrap();
    assert!(matches!(
        store.get(0).unwrap().unwrap().event,
        after::Booking::SeatTaken { seat: 1, price: 0 }
    ));
    assert_eq!(signed(&store), expected);
    drop(store);
    let journal: Journal<after::Booking> = Journal::options().open(directory.path()).unwrap();
    let boxed: Box<dyn Backend<after::Booking>> = Box::new(journal);
    assert_eq!(signed(&EventStore::on(boxed)), expected);
}

#[test]
fn a_follower_and_threads_change_no_root() {
    let expected = signed(&noted(3_000));
    let store = noted(0);
    let proofs = Arc::new(ProofOptions::new().in_memory().threads(3).open(&store, ORIGIN).unwrap());
    let follower = ProofFollower::start(&proofs).unwrap();
    note(&store, 1_500);
    let middle = proofs.checkpoint(&alice()).unwrap();
    note(&store, 1_500);
    let last = proofs.checkpoint(&alice()).unwrap();
    assert_eq!(last, expected);
    proofs.prove_consistency(1_500, &last).unwrap().check(middle.root()).unwrap();
    drop(follower);
    drop(proofs);
    // A thread that is never woken again ends when the log is closed.
    let proofs = Arc::new(Proofs::in_memory(&store, ORIGIN).unwrap());
    let follower = ProofFollower::start(&proofs).unwrap();
    store.close().unwrap();
    drop(follower);
}

#[test]
fn a_follower_ends_once_the_log_contradicts_what_it_signed() {
    let store = noted(2);
    let proofs = Arc::new(Proofs::in_memory(&store, ORIGIN).unwrap());
    proofs.checkpoint(&alice()).unwrap();
    proofs.agrees_with(&signed(&noted(9))).unwrap_err();
    note(&store, 1);
    let follower = ProofFollower::start(&proofs).unwrap();
    // The thread has a handle until it ends. It would never end.
    while Arc::strong_count(&proofs) > 1 {
        std::thread::yield_now();
    }
    drop(follower);
}

#[test]
fn a_reader_proves_and_does_not_sign() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<RawEvent>::open(directory.path()).unwrap();
    note(&store, 700);
    let writer = ProofOptions::new().open(&store, ORIGIN).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(directory.path()).unwrap();
    let missing = ProofOptions::new().open_existing(&reader).unwrap_err();
    assert!(matches!(missing, annals_proof::ProofError::NoProofs { .. }), "{missing}");
    let first = writer.checkpoint(&alice()).unwrap();
    let proofs = ProofOptions::new().open_existing(&reader).unwrap();
    assert_eq!(proofs.last_checkpoint(), Some(first.clone()));
    proofs.prove(650, &first).unwrap();
    note(&store, 700);
    let second = writer.checkpoint(&alice()).unwrap();
    // How a reader waits for signed events is shown in `beside_a_writer`. This one has seen them.
    assert_eq!(reader.backend().head().wait_beyond(1_399, None), 1_400);
    let report = proofs.verify(&[]).unwrap();
    assert_eq!((report.events, report.checkpoints, &report.problems[..]), (1_400, 1, &[][..]));
    assert_eq!(proofs.last_checkpoint(), Some(second.clone()));
    proofs.prove(1_399, &second).unwrap();
    let behind = EventStore::<RawEvent>::open_read_only(directory.path()).unwrap();
    note(&store, 700);
    writer.checkpoint(&alice()).unwrap();
    assert_eq!(behind.backend().head().wait_beyond(2_099, None), 2_100);
    let other = ProofOptions::new().open_existing(&behind).unwrap();
    assert!(other.contradiction().is_none());
    proofs.prove_consistency(700, &second).unwrap().check(first.root()).unwrap();
    let refused = proofs.checkpoint(&alice()).unwrap_err();
    assert!(matches!(refused, annals_proof::ProofError::NotTheWriter), "{refused}");
}

#[test]
fn a_reader_learns_the_key_of_the_first_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let store = EventStore::<RawEvent>::open(directory.path()).unwrap();
    note(&store, 7);
    let writer = ProofOptions::new().open(&store, ORIGIN).unwrap();
    let reader = EventStore::<RawEvent>::open_read_only(directory.path()).unwrap();
    let [proofs, other] =
        [ORIGIN, "annals.example/other"].map(|origin| ProofOptions::new().open(&reader, origin));
    let (proofs, other) = (proofs.unwrap(), other.unwrap());
    assert_eq!((proofs.vkey(), proofs.last_checkpoint()), (None, None));
    let second = ProofOptions::new().open(&store, ORIGIN).unwrap();
    let first = writer.checkpoint(&alice()).unwrap();
    let report = proofs.verify(&[]).unwrap();
    assert_eq!((report.checkpoints, &report.problems[..]), (1, &[][..]));
    assert_eq!((proofs.vkey(), proofs.last_checkpoint()), (Some(alice().vkey()), Some(first)));
    // Proofs under another name are not those of this log.
    assert_eq!((other.vkey(), other.last_checkpoint()), (None, None));
    let refused = other.verify(&[]).unwrap_err();
    assert!(matches!(refused, ProofError::OtherIdentity { what: "the origin", .. }), "{refused}");
    // The key of a second handle does not replace it.
    let key = LogKey::from_seed(ORIGIN, &[1; 32]).unwrap();
    let refused = second.checkpoint(&key).unwrap_err();
    assert!(matches!(refused, ProofError::OtherIdentity { what: "the key", .. }), "{refused}");
}

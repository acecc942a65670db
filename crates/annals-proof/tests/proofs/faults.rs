//! Faults that the threat table of docs/PROOFS.md lists as noticed. Each test fails if its fault is not noticed.

use std::fs;
use std::path::Path;

use annals::{EventStore, JournalStore, RawEvent};
use annals_proof::{Checkpoint, LogKey, ProofError, ProofOptions, Proofs};

use crate::common::{ORIGIN, T, alice, append, bob, note, noted};

type Store = JournalStore<RawEvent>;
type StoreProofs = Proofs<RawEvent, annals::Journal<RawEvent>>;

fn open(path: &Path) -> (Store, StoreProofs) {
    let store = EventStore::open(path).unwrap();
    let proofs = ProofOptions::new().open(&store, ORIGIN).unwrap();
    (store, proofs)
}

fn bulk(store: &Store, count: u64) {
    store.append_batch((0..count).map(|_| RawEvent::builder("noted").build().unwrap())).unwrap();
}

/// Copies the files of a directory, without its subdirectories.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Removes the log's own files, and puts back those of the backup. What is in subdirectories stays.
fn restore(backup: &Path, store: &Path) {
    for entry in fs::read_dir(store).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    copy(backup, store);
}

/// A log that signed 700 events, and a backup of its first 300.
fn with_backup(directory: &Path) -> Checkpoint {
    let path = directory.join("log");
    let (store, proofs) = open(&path);
    note(&store, 300);
    drop((store, proofs));
    copy(&path, &directory.join("backup"));
    let (store, proofs) = open(&path);
    note(&store, 400);
    proofs.checkpoint(&alice()).unwrap()
}

#[test]
fn a_restored_backup_is_noticed_and_nothing_is_signed() {
    let directory = tempfile::tempdir().unwrap();
    let signed = with_backup(directory.path());
    let path = directory.path().join("log");
    restore(&directory.path().join("backup"), &path);
    let (store, proofs) = open(&path);
    let refused = proofs.checkpoint(&alice()).unwrap_err();
    assert!(matches!(refused, ProofError::RolledBack { events: 300, signed: 700 }), "{refused}");
    assert!(refused.to_string().contains("new origin"), "{refused}");
    // It still proves, under a checkpoint that fits.
    let smaller = Proofs::in_memory(&store, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    proofs.prove(299, &smaller).unwrap();
    assert!(matches!(proofs.prove(299, &signed), Err(ProofError::OutOfRange(_))));
    let report = proofs.verify(&[]).unwrap();
    assert_eq!(report.problems.len(), 1, "{report:?}");
    // The stored checkpoint did not change, also when the proofs are opened again.
    drop((store, proofs));
    assert_eq!(open(&path).1.last_checkpoint(), Some(signed));
}

#[test]
fn a_restored_backup_with_new_events_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    with_backup(directory.path());
    let path = directory.path().join("log");
    restore(&directory.path().join("backup"), &path);
    let store: Store = EventStore::open(&path).unwrap();
    append(&store, (0..500).map(|n| (RawEvent::builder("other").build().unwrap(), T + 1_000 + n)));
    let proofs = ProofOptions::new().open(&store, ORIGIN).unwrap();
    let refused = proofs.checkpoint(&alice()).unwrap_err();
    assert!(matches!(refused, ProofError::Forked { signed: 700 }), "{refused}");
    let report = proofs.verify(&[]).unwrap();
    assert!(report.problems[0].contains("events were changed"), "{report:?}");
}

#[test]
fn a_receipt_remembers_when_the_checkpoint_is_restored_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (store, proofs) = open(&path);
    note(&store, 300);
    proofs.checkpoint(&alice()).unwrap();
    copy(&path.join("proofs"), &directory.path().join("old proofs"));
    drop((store, proofs));
    copy(&path, &directory.path().join("backup"));
    let (store, proofs) = open(&path);
    note(&store, 100);
    let line = proofs.checkpoint(&alice()).unwrap().cosign(&bob(), 1_700_000_010);
    proofs.add_receipt(&line, &bob().witness_vkey()).unwrap();
    drop((store, proofs));
    restore(&directory.path().join("backup"), &path);
    copy(&directory.path().join("old proofs"), &path.join("proofs"));
    let (_store, proofs) = open(&path);
    let refused = proofs.checkpoint(&alice()).unwrap_err();
    assert!(matches!(refused, ProofError::RolledBack { events: 300, signed: 400 }), "{refused}");
}

#[test]
fn a_changed_node_is_never_signed_and_is_repaired_when_it_is_needed() {
    for name in ["nodes.8", "nodes.16"] {
        let directory = tempfile::tempdir().unwrap();
        let (store, proofs) = open(directory.path());
        bulk(&store, 60_000);
        bulk(&store, 6_000);
        let expected = proofs.checkpoint(&alice()).unwrap();
        drop((store, proofs));
        let file = directory.path().join("proofs").join(name);
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, bytes).unwrap();
        let (store, proofs) = open(directory.path());
        assert_eq!(proofs.checkpoint(&alice()).unwrap(), expected, "{name}");
        for offset in [0, 255, 65_536, 65_999] {
            proofs.prove(offset, &expected).unwrap();
        }
        bulk(&store, 1_000);
        let next = proofs.checkpoint(&alice()).unwrap();
        assert_eq!(next, Proofs::in_memory(&store, ORIGIN).unwrap().checkpoint(&alice()).unwrap());
        proofs.prove_consistency(expected.size(), &next).unwrap().check(expected.root()).unwrap();
        let report = proofs.verify(&[expected]).unwrap();
        assert_eq!((&report.problems[..], &report.notes[..]), (&[][..], &[][..]), "{name}");
    }
}

#[test]
fn a_node_that_changes_while_the_log_is_open_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let (store, proofs) = open(directory.path());
    note(&store, 3_000);
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    fs::write(directory.path().join("proofs/nodes.8"), vec![7; 11 * 32]).unwrap();
    assert_eq!(proofs.verify(&[]).unwrap().notes.len(), 1);
    proofs.prove(17, &checkpoint).unwrap();
    assert_eq!(proofs.verify(&[]).unwrap().notes, Vec::<String>::new());
}

#[test]
fn a_swapped_log_is_noticed() {
    // The same number of events, and one of them differs, as after a change of the files and all their checksums.
    let directory = tempfile::tempdir().unwrap();
    let proofs_path = directory.path().join("proofs");
    let store = noted(600);
    let signed = {
        let store = EventStore::<RawEvent>::open(directory.path().join("a")).unwrap();
        note(&store, 600);
        ProofOptions::new()
            .path(&proofs_path)
            .open(&store, ORIGIN)
            .unwrap()
            .checkpoint(&alice())
            .unwrap()
    };
    let changed = EventStore::<RawEvent>::open(directory.path().join("b")).unwrap();
    note(&changed, 599);
    append(&changed, [(RawEvent::builder("noted").data("!").build().unwrap(), T + 599)]);
    let options = ProofOptions::new().path(&proofs_path);
    let other = options.clone().open(&changed, ORIGIN).unwrap_err();
    assert!(matches!(other, ProofError::OtherStore { .. }), "{other}");
    let forked = options.adopt(&changed, &alice().vkey()).unwrap_err();
    assert!(matches!(forked, ProofError::Forked { signed: 600 }), "{forked}");
    // A party with the old checkpoint sees it too, without the files.
    let fresh = Proofs::in_memory(&changed, ORIGIN).unwrap();
    assert_eq!(fresh.verify(std::slice::from_ref(&signed)).unwrap().problems.len(), 1);
    let honest = Proofs::in_memory(&store, ORIGIN).unwrap();
    assert_eq!(honest.verify(&[signed]).unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_log_that_was_swapped_after_its_proofs_were_made_signs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other] = ["log", "other"].map(|name| directory.path().join(name));
    let (store, proofs) = open(&path);
    note(&store, 512);
    let signed = proofs.checkpoint(&alice()).unwrap();
    drop((store, proofs));
    let store: Store = EventStore::open(&other).unwrap();
    append(&store, (0..600).map(|n| (RawEvent::builder("other").build().unwrap(), T + n)));
    drop(store);
    restore(&other, &path);
    let store: Store = EventStore::open(&path).unwrap();
    let refused = ProofOptions::new().open(&store, ORIGIN).unwrap_err();
    assert!(matches!(refused, ProofError::OtherStore { .. }), "{refused}");
    assert!(refused.to_string().contains("annals checkpoint --adopt"), "{refused}");
    let refused = ProofOptions::new().adopt(&store, &alice().vkey()).unwrap_err();
    assert!(matches!(refused, ProofError::Forked { signed: 512 }), "{refused}");
    let advice = "Restore the signed log";
    assert!(refused.to_string().contains(advice), "{refused}");
    let stored = fs::read_to_string(path.join("proofs/checkpoint")).unwrap();
    assert_eq!(stored, signed.to_string());
}

/// The files of another log in place of the signed one, under its id. The stored nodes lead to the signed root, and no
/// event is after the last whole tile.
#[test]
fn a_swapped_log_with_the_same_id_signs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other] = ["proofs", "other"].map(|name| directory.path().join(name));
    let signed = Proofs::open(&noted(512), &path, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    let store = EventStore::in_memory();
    append(&store, (0..600).map(|n| (RawEvent::builder("other").build().unwrap(), T + n)));
    Proofs::open(&store, &other, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    fs::copy(other.join("log.json"), path.join("log.json")).unwrap();
    let proofs = Proofs::open(&store, &path, ORIGIN).unwrap();
    assert!(matches!(proofs.contradiction(), Some(ProofError::Forked { signed: 512 })));
    let refused = proofs.checkpoint(&alice()).unwrap_err();
    assert!(matches!(refused, ProofError::Forked { signed: 512 }), "{refused}");
    assert_eq!(proofs.last_checkpoint(), Some(signed));
}

#[test]
fn proofs_are_adopted_by_the_same_key_and_events_only() {
    let directory = tempfile::tempdir().unwrap();
    let store_of = |name: &str, time| {
        let store = EventStore::<RawEvent>::open(directory.path().join(name)).unwrap();
        append(&store, [(RawEvent::builder("noted").build().unwrap(), time)]);
        note(&store, 599);
        store
    };
    let options = ProofOptions::new().path(directory.path().join("proofs"));
    let missing = options.adopt(&store_of("empty", T), &alice().vkey()).unwrap_err();
    assert!(matches!(missing, ProofError::NoProofs { .. }), "{missing}");
    let store = store_of("old", T);
    let signed = options.clone().open(&store, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    let identity = directory.path().join("proofs/log.json");
    let before = fs::read_to_string(&identity).unwrap();
    let copy = store_of("copy", T);
    let other = options.adopt(&copy, &bob().vkey()).unwrap_err();
    assert!(matches!(other, ProofError::OtherIdentity { what: "the key", .. }), "{other}");
    // The stored nodes are those of the log that was signed. They do not vouch for the first event.
    let forked = options.adopt(&store_of("changed", T - 1), &alice().vkey()).unwrap_err();
    assert!(matches!(forked, ProofError::Forked { signed: 600 }), "{forked}");
    let short = EventStore::<RawEvent>::open(directory.path().join("short")).unwrap();
    let rolled_back = options.adopt(&short, &alice().vkey()).unwrap_err();
    assert!(matches!(rolled_back, ProofError::RolledBack { events: 0, .. }), "{rolled_back}");
    assert_eq!(fs::read_to_string(&identity).unwrap(), before);
    options.adopt(&copy, &alice().vkey()).unwrap();
    let adopted = options.open(&copy, ORIGIN).unwrap();
    assert_eq!(adopted.checkpoint(&alice()).unwrap(), signed);
}

#[test]
fn other_names_keys_and_stores_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, proofs) = open(directory.path());
    let other_key = LogKey::from_seed(ORIGIN, &[1; 32]).unwrap();
    proofs.checkpoint(&alice()).unwrap();
    assert!(matches!(
        proofs.checkpoint(&other_key),
        Err(ProofError::OtherIdentity { what: "the key", .. })
    ));
    assert!(matches!(
        proofs.checkpoint(&bob()),
        Err(ProofError::OtherIdentity { what: "the origin", .. })
    ));
    let other_origin = ProofOptions::new().open(&store, "annals.example/other").unwrap_err();
    assert!(matches!(other_origin, ProofError::OtherIdentity { .. }), "{other_origin}");
    assert!(matches!(ProofOptions::new().open(&store, "two words"), Err(ProofError::Format(_))));
    assert!(matches!(ProofOptions::new().open(&noted(0), ORIGIN), Err(ProofError::NoDirectory)));
}

#[test]
fn a_key_file_is_for_its_owner_only_and_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    alice().write_new(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(bob().write_new(&path), Err(ProofError::Io { .. })));
    assert_eq!(LogKey::read(&path).unwrap().vkey(), alice().vkey());
    assert!(!format!("{:?}", alice()).contains("PRIVATE"));
}

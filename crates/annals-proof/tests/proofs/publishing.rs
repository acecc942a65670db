//! Publishing: a directory never has a checkpoint without its tiles, whatever the disk loses. Damage in it is found.

use std::io::ErrorKind;
use std::sync::Arc;

use annals::{EventStore, FileSystem as _, Memory, RawEvent};
use annals_conformance::Random;
use annals_conformance::fault::{Call, FaultFileSystem, Loss, on_disk};
use annals_proof::{CheckError, Checkpoint, ProofError, ProofOptions, Proofs, TreeHash, Witness};

use crate::common::{Log, ORIGIN, alice, bob, note, noted};

fn proofs(store: &Log, disk: &FaultFileSystem) -> Proofs<RawEvent, Memory<RawEvent>> {
    let files = Arc::new(disk.process());
    ProofOptions::new().in_memory().file_system(files).open(store, ORIGIN).unwrap()
}

/// Returns the name of a tile of a log of fewer than 256,000 events.
fn tile(level: &str, number: u64, width: u64) -> String {
    let partial = if width == 256 { String::new() } else { format!(".p/{width}") };
    format!("tile/{level}/{number:03}{partial}")
}

/// Returns all files that a directory must have for its checkpoint, with their bytes, computed from the events alone.
fn files(store: &Log, size: u64, entries: bool) -> Vec<(String, Vec<u8>)> {
    let entry = |offset| annals_proof::Entry::of(&store.get(offset).unwrap().unwrap().into_owned());
    let shown: Vec<_> = (0..size).map(entry).collect();
    let mut files = Vec::new();
    let mut hashes: Vec<TreeHash> = shown.iter().map(annals_proof::Entry::leaf).collect();
    for level in ["0", "1", "2"] {
        for (number, part) in hashes.chunks(256).enumerate() {
            let bytes = part.iter().flat_map(|hash| *hash.as_bytes()).collect();
            files.push((tile(level, number as u64, part.len() as u64), bytes));
        }
        for _ in 0..8 {
            let above = hashes.as_chunks::<2>().0.iter();
            hashes = above.map(|[left, right]| TreeHash::of_node(left, right)).collect();
        }
    }
    for (number, part) in shown.chunks(256).enumerate().filter(|_| entries) {
        let sized = |entry: &annals_proof::Entry| {
            let size = u16::try_from(entry.as_bytes().len()).unwrap();
            [&size.to_be_bytes(), entry.as_bytes()].concat()
        };
        files.push((
            tile("entries", number as u64, part.len() as u64),
            part.iter().flat_map(sized).collect(),
        ));
    }
    files
}

fn read(disk: &FaultFileSystem, name: &str) -> Option<Vec<u8>> {
    disk.contents(on_disk("site").join(name)).ok()
}

/// Checks that the directory has all tiles of its checkpoint, and returns the checkpoint.
fn check(disk: &FaultFileSystem, store: &Log, entries: bool, when: &str) -> Option<Checkpoint> {
    let text = String::from_utf8(read(disk, "checkpoint")?).unwrap();
    let published: Checkpoint = text.parse().unwrap_or_else(|error| panic!("{when}: {error}"));
    for (name, bytes) in files(store, published.size(), entries) {
        let found = read(disk, &name).map(|found| found == bytes);
        let size = published.size();
        assert_eq!(found, Some(true), "{when}: {name} of the checkpoint at {size}");
    }
    Some(published)
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let disk = FaultFileSystem::new(random.number());
    let (store, entries) = (noted(0), random.once_in(2));
    let mut signed = Vec::new();
    for life in 0..3 + random.below(4) {
        let proofs = proofs(&store, &disk);
        disk.cut_power_at(1 + random.below(80));
        for _ in 0..=random.below(3) {
            note(&store, 1 + random.below(600));
            let checkpoint = proofs.checkpoint(&alice()).unwrap();
            signed.push(checkpoint.clone());
            if proofs.publish(&checkpoint, on_disk("site"), entries).is_err() {
                break;
            }
            let found = check(&disk, &store, entries, "published");
            assert_eq!(found, Some(checkpoint), "life {life}");
        }
        match random.below(4) {
            // A killed process leaves names that are not durable.
            0 => disk.kill(),
            1 => disk.restart(Loss::Everything),
            2 => disk.restart(Loss::Pages(random.number())),
            _ => disk.restart(Loss::Sectors(random.number())),
        }
        let found = check(&disk, &store, entries, "after a crash");
        assert!(found.is_none_or(|found| signed.contains(&found)), "life {life}");
    }
    let last = proofs(&store, &disk).checkpoint(&alice()).unwrap();
    proofs(&store, &disk).publish(&last, on_disk("site"), entries).unwrap();
    disk.restart(Loss::Everything);
    assert_eq!(check(&disk, &store, entries, "after the last power cut"), Some(last));
}

#[test]
fn no_power_cut_leaves_a_checkpoint_without_its_tiles() {
    let only = std::env::var("ANNALS_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..150, |seed: u64| seed..seed + 1) {
        let run = std::panic::catch_unwind(|| run(seed));
        assert!(run.is_ok(), "schedule {seed} failed: ANNALS_CRASH_SEED={seed} runs it again");
    }
}

#[test]
fn what_a_disk_that_loses_syncs_took_is_written_again() {
    for seed in 0..40 {
        let disk = FaultFileSystem::new(seed);
        let store = noted(700);
        let first = proofs(&store, &disk).checkpoint(&alice()).unwrap();
        proofs(&store, &disk).publish(&first, on_disk("site"), true).unwrap();
        disk.restart(Loss::Nothing);
        disk.ignore_syncs();
        note(&store, 900);
        let second = proofs(&store, &disk).checkpoint(&alice()).unwrap();
        proofs(&store, &disk).publish(&second, on_disk("site"), true).unwrap();
        disk.restart(Loss::Sectors(seed));
        // The checkpoint may be old, new or torn, and any tile beyond the first checkpoint missing or short.
        proofs(&store, &disk).publish(&second, on_disk("site"), true).unwrap();
        assert_eq!(check(&disk, &store, true, &format!("seed {seed}")), Some(second));
    }
}

#[test]
fn a_damaged_file_is_found_and_written_again() {
    let (disk, store) = (FaultFileSystem::new(1), noted(66_000));
    let proofs = proofs(&store, &disk);
    let first = proofs.checkpoint(&alice()).unwrap();
    let publish = |checkpoint: &Checkpoint| {
        let done = proofs.publish(checkpoint, on_disk("site"), true).unwrap();
        (done.written, done.damaged)
    };
    let all = files(&store, 66_000, true);
    assert_eq!(publish(&first), (all.len() as u64, 0));
    assert_eq!(publish(&first), (0, 0), "nothing is written again");
    let names = ["tile/0/000", "tile/0/255", "tile/0/257.p/208", "tile/1/000", "tile/1/001.p/1"];
    let entries = ["tile/2/000.p/1", "tile/entries/003", "tile/entries/257.p/208"];
    for name in names.into_iter().chain(entries) {
        let bytes = read(&disk, name).unwrap();
        let path = on_disk("site").join(name);
        // A flipped bit, somewhere in each file.
        for at in [0, bytes.len() / 3, bytes.len() - 1] {
            assert!(disk.flip(&path, at as u64, 4));
            assert_eq!(publish(&first), (1, 1), "{name}, byte {at}");
            assert_eq!(read(&disk, name).as_ref(), Some(&bytes), "{name}, byte {at}");
        }
        for other in [Vec::new(), bytes[..bytes.len() - 1].to_vec(), [&bytes[..], &[0]].concat()] {
            disk.put(&path, &other);
            assert_eq!(publish(&first), (1, 1), "{name} with {} bytes", other.len());
            assert_eq!(read(&disk, name).as_ref(), Some(&bytes), "{name}");
        }
        assert!(disk.take_away(&path));
        assert_eq!(publish(&first), (1, 0), "{name} is missing");
        assert_eq!(read(&disk, name).as_ref(), Some(&bytes), "{name}");
    }
    // So are the partial tiles of the published checkpoint, when the next one is published.
    note(&store, 100);
    let second = proofs.checkpoint(&alice()).unwrap();
    assert!(disk.flip(on_disk("site").join("tile/0/257.p/208"), 9, 1));
    assert_eq!(publish(&second).1, 1);
    assert_eq!(check(&disk, &store, true, "second"), Some(second.clone()));
    for (name, bytes) in all {
        assert_eq!(read(&disk, &name), Some(bytes), "{name} of the first checkpoint");
    }
    // A torn checkpoint counts as missing.
    disk.put(on_disk("site").join("checkpoint"), b"");
    assert_eq!(publish(&second), (files(&store, 66_100, true).len() as u64, 0));
    assert_eq!(check(&disk, &store, true, "again"), Some(second));
}

#[test]
fn a_damaged_node_is_not_published() {
    let directory = tempfile::tempdir().unwrap();
    let (log, site) = (directory.path().join("log"), directory.path().join("www/example/site"));
    let store = EventStore::<RawEvent>::open(&log).unwrap();
    for _ in 0..66 {
        let events = (0..1_000).map(|_| RawEvent::builder("noted").build().unwrap());
        store.append_batch(events).unwrap();
    }
    let proofs = ProofOptions::new().open(&store, ORIGIN).unwrap();
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    // The root of the tree does not need this node: it is below one of `nodes.16`.
    let nodes = log.join("proofs/nodes.8");
    let good = std::fs::read(&nodes).unwrap();
    let mut bytes = good.clone();
    bytes[32 * 77] ^= 1;
    std::fs::write(&nodes, bytes).unwrap();
    proofs.publish(&checkpoint, &site, false).unwrap();
    assert!(std::fs::read(site.join("tile/1/000")).unwrap() == good[..32 * 256]);
    assert!(std::fs::read(&nodes).unwrap() == good, "the nodes are rebuilt");
}

#[test]
fn a_directory_that_cannot_be_written_keeps_its_checkpoint() {
    let (disk, store) = (FaultFileSystem::new(1), noted(300));
    let proofs = proofs(&store, &disk);
    let first = proofs.checkpoint(&alice()).unwrap();
    proofs.publish(&first, on_disk("site"), false).unwrap();
    note(&store, 300);
    let second = proofs.checkpoint(&alice()).unwrap();
    for call in [Call::Create, Call::Write, Call::Sync, Call::Rename, Call::SyncDirectory] {
        disk.fail(call, 1, ErrorKind::StorageFull);
        let failed = proofs.publish(&second, on_disk("site"), false).unwrap_err();
        assert!(matches!(failed, ProofError::Io { .. }), "{failed}");
        assert_eq!(check(&disk, &store, false, "failed"), Some(first.clone()));
    }
    proofs.publish(&second, on_disk("site"), false).unwrap();
    assert_eq!(check(&disk, &store, false, "published"), Some(second.clone()));
    // Neither an older checkpoint nor another log replaces it.
    let older = proofs.publish(&first, on_disk("site"), false).unwrap_err();
    assert!(matches!(older, ProofError::OutOfRange(_)), "{older}");
    let longer = noted(900);
    let options = ProofOptions::new().in_memory().file_system(Arc::new(disk.process()));
    let others = options.open(&longer, "annals.example/bob").unwrap();
    let signed = others.checkpoint(&bob()).unwrap();
    let refused = others.publish(&signed, on_disk("site"), false).unwrap_err();
    assert!(matches!(refused, ProofError::Check(CheckError::OtherLog { .. })), "{refused}");
    assert_eq!(check(&disk, &store, false, "kept"), Some(second));
}

#[test]
fn a_checkpoint_whose_name_is_not_durable_is_there_and_becomes_durable() {
    let (disk, store) = (FaultFileSystem::new(1), noted(300));
    let proofs = proofs(&store, &disk);
    let first = proofs.checkpoint(&alice()).unwrap();
    proofs.publish(&first, on_disk("site"), true).unwrap();
    note(&store, 300);
    let second = proofs.checkpoint(&alice()).unwrap();
    // Each sync of a directory fails once. Only the last of them is after the new checkpoint.
    let mut failures = 0;
    let found = loop {
        failures += 1;
        disk.fail(Call::SyncDirectory, failures, ErrorKind::StorageFull);
        let failed = proofs.publish(&second, on_disk("site"), true).unwrap_err();
        assert!(matches!(failed, ProofError::Io { .. }), "{failed}");
        let found = check(&disk, &store, true, "failed");
        if found.as_ref() != Some(&first) {
            break found;
        }
    };
    assert_eq!(found.as_ref(), Some(&second));
    assert!(failures > 2, "the syncs of the tiles fail too");
    let again = proofs.publish(&second, on_disk("site"), true).unwrap();
    assert_eq!(again.written, 0);
    disk.restart(Loss::Everything);
    assert_eq!(check(&disk, &store, true, "after a power cut"), Some(second));
}

#[test]
fn a_directory_above_that_cannot_be_synced_is_left_out() {
    let store = noted(300);
    for error in [ErrorKind::InvalidInput, ErrorKind::Unsupported, ErrorKind::ReadOnlyFilesystem] {
        let disk = FaultFileSystem::new(1);
        let proofs = proofs(&store, &disk);
        let checkpoint = proofs.checkpoint(&alice()).unwrap();
        let publish = || proofs.publish(&checkpoint, on_disk("site"), false);
        disk.process().create_directory(&on_disk("site")).unwrap();
        // Another fault of the directory above is an error.
        disk.fail(Call::SyncDirectory, 1, ErrorKind::StorageFull);
        assert!(matches!(publish(), Err(ProofError::Io { .. })));
        assert_eq!(check(&disk, &store, false, "failed"), None);
        // The directory above is synced first. The second sync is of a directory that has tiles.
        disk.fail(Call::SyncDirectory, 1, error);
        disk.fail(Call::SyncDirectory, 2, error);
        assert!(matches!(publish(), Err(ProofError::Io { .. })), "{error}");
        assert_eq!(check(&disk, &store, false, "failed"), None);
        disk.fail(Call::SyncDirectory, 1, error);
        publish().unwrap();
        assert_eq!(check(&disk, &store, false, "published"), Some(checkpoint));
    }
}

#[test]
fn a_witness_opens_below_a_directory_that_cannot_be_synced() {
    let disk = FaultFileSystem::new(1);
    let open = || Witness::open_on(&disk.process(), on_disk("memory"), bob(), [alice().vkey()]);
    drop(open().unwrap());
    // The second sync is of the directory above.
    for error in [ErrorKind::InvalidInput, ErrorKind::PermissionDenied] {
        disk.fail(Call::SyncDirectory, 2, error);
        drop(open().unwrap());
    }
    disk.fail(Call::SyncDirectory, 2, ErrorKind::StorageFull);
    assert!(matches!(open(), Err(ProofError::Io { .. })));
}

#[test]
fn a_directory_in_which_publishing_creates_another_one_must_be_synced() {
    let (disk, store) = (FaultFileSystem::new(1), noted(300));
    let proofs = proofs(&store, &disk);
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    disk.fail(Call::SyncDirectory, 1, ErrorKind::InvalidInput);
    let failed = proofs.publish(&checkpoint, on_disk("site"), false).unwrap_err();
    assert!(matches!(failed, ProofError::Io { .. }), "{failed}");
}

#[test]
fn a_log_is_not_published_into_a_store_nor_beside_a_store_or_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let store = EventStore::<RawEvent>::open(at("my.store")).unwrap();
    note(&store, 3);
    let proofs = ProofOptions::new().open(&store, ORIGIN).unwrap();
    let checkpoint = proofs.checkpoint(&alice()).unwrap();
    let witness = Witness::open(at("seen"), bob(), [alice().vkey()]).unwrap();
    witness.cosign(&proofs.prove_consistency(0, &checkpoint).unwrap()).unwrap();
    let memory = witness.file(ORIGIN).parent().unwrap().to_owned();
    std::fs::create_dir(at("home")).unwrap();
    alice().write_new(at("home/ledger.key")).unwrap();
    for (path, reason) in [
        (at("my.store"), "store.json is there"),
        (at("my.store/public/site"), "store.json is there"),
        (at("my.store/proofs"), "log.json is there"),
        (memory, "LOCK is there"),
        (at(""), "has the store"),
        (at("home"), "has the secret key"),
    ] {
        let before = std::fs::read_dir(&path).map_or(0, Iterator::count);
        let refused = proofs.publish(&checkpoint, &path, true).unwrap_err();
        assert!(matches!(refused, ProofError::Misplaced { .. }), "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
        assert_eq!(std::fs::read_dir(&path).map_or(0, Iterator::count), before, "{path:?}");
    }
    for path in [at("my.store/../public"), at("home/public"), at("home/public")] {
        proofs.publish(&checkpoint, path, true).unwrap();
    }
}

#[test]
fn a_key_and_the_memory_of_a_witness_are_not_in_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("my.store");
    let store = EventStore::<RawEvent>::open(&path).unwrap();
    ProofOptions::new().open(&store, ORIGIN).unwrap().checkpoint(&alice()).unwrap();
    for path in [path.clone(), path.join("proofs")] {
        let refused = alice().write_new(path.join("ledger.key")).unwrap_err();
        assert!(matches!(refused, ProofError::Misplaced { .. }), "{refused}");
        for path in [path.clone(), path.join("seen")] {
            let refused = Witness::open(path, bob(), [alice().vkey()]).unwrap_err();
            assert!(matches!(refused, ProofError::Misplaced { .. }), "{refused}");
        }
        assert!(!path.join("ledger.key").exists() && !path.join("seen").exists());
    }
}

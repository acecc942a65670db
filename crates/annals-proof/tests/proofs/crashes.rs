//! Simulated crashes of a log with proofs. The disk loses power at a random call. Whatever is left, the log never signs
//! two checkpoints that contradict each other, and proves what it signed. A failure names its seed.

use std::sync::Arc;

use annals::{EventStore, Journal, RawEvent};
use annals_conformance::Random;
use annals_conformance::fault::{FaultFileSystem, Loss, on_disk};
use annals_proof::{Anchor, Checkpoint, ProofOptions, Proofs, Witness, WitnessError};

use crate::common::{ORIGIN, alice, bob, note, noted};

fn loss(random: &mut Random) -> Loss {
    match random.below(4) {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        2 => Loss::Pages(random.number()),
        _ => Loss::Sectors(random.number()),
    }
}

/// Runs one life of the log, in which the power may go off at any call. Adds the checkpoints that were returned.
fn live(disk: &FaultFileSystem, random: &mut Random, signed: &mut Vec<Checkpoint>) -> Option<()> {
    let journal =
        Journal::options().file_system(Arc::new(disk.clone())).open(on_disk("log")).ok()?;
    let store = EventStore::<RawEvent, _>::on(journal);
    let anchor = if random.once_in(2) { Anchor::Durable } else { Anchor::Buffered };
    let proofs = ProofOptions::new()
        .file_system(Arc::new(disk.clone()))
        .anchor(anchor)
        .open(&store, ORIGIN)
        .ok()?;
    for step in 0..=random.below(6) {
        // At a whole number of tiles, no event is beside them.
        let to_whole = 256 - store.len() % 256;
        let count = if random.once_in(3) { to_whole } else { 1 + random.below(400) };
        let event =
            |n: u64| RawEvent::builder(format!("event-{n}-{step}")).build().expect("an event");
        store.append_batch((0..count).map(event)).ok()?;
        if random.once_in(2) {
            let checkpoint = proofs.checkpoint(&alice()).ok()?;
            if let Some(before) = signed.last() {
                let proof = proofs.prove_consistency(before.size(), &checkpoint).ok()?;
                proof.check(before.root()).expect("no checkpoint contradicts an earlier one");
            }
            signed.push(checkpoint);
        }
    }
    Some(())
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let disk = FaultFileSystem::new(random.number());
    let mut signed = Vec::new();
    for _ in 0..2 + random.below(4) {
        disk.cut_power_at(1 + random.below(120));
        let _ = live(&disk, &mut random, &mut signed);
        if random.once_in(4) {
            disk.kill();
        } else {
            let loss = loss(&mut random);
            disk.restart(loss);
        }
    }
    disk.restart(Loss::Nothing);
    let journal =
        Journal::options().file_system(Arc::new(disk.clone())).open(on_disk("log")).unwrap();
    let store = EventStore::<RawEvent, _>::on(journal);
    let proofs =
        ProofOptions::new().file_system(Arc::new(disk.clone())).open(&store, ORIGIN).unwrap();
    let last = proofs.checkpoint(&alice()).unwrap();
    for before in &signed {
        assert!(before.size() <= last.size());
        proofs.prove_consistency(before.size(), &last).unwrap().check(before.root()).unwrap();
    }
    let report = proofs.verify(&signed).unwrap();
    assert_eq!((&report.problems[..], &report.notes[..]), (&[][..], &[][..]));
}

#[test]
fn no_signature_contradicts_an_earlier_one() {
    let only = std::env::var("ANNALS_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..100, |seed: u64| seed..seed + 1) {
        let run = std::panic::catch_unwind(|| run(seed));
        assert!(run.is_ok(), "schedule {seed} failed: ANNALS_CRASH_SEED={seed} runs it again");
    }
}

#[test]
fn what_was_signed_durably_survives_a_power_cut_right_after_it() {
    let disk = FaultFileSystem::new(1);
    let open = || {
        let files = Arc::new(disk.process());
        let journal = Journal::options().file_system(files.clone()).open(on_disk("log")).unwrap();
        let store = EventStore::<RawEvent, _>::on(journal);
        let options = ProofOptions::new().file_system(files).anchor(Anchor::Durable);
        (options.open(&store, ORIGIN).unwrap(), store)
    };
    let (proofs, store) = open();
    store.append(RawEvent::builder("noted").build().unwrap()).unwrap();
    let signed = proofs.checkpoint(&alice()).unwrap();
    disk.restart(Loss::Everything);
    let (proofs, _store) = open();
    assert_eq!(proofs.last_checkpoint(), Some(signed));
    assert_eq!(proofs.vkey(), Some(alice().vkey()));
}

/// Lets a witness cosign growing checkpoints while the power may go off at any call. Whatever is left, it remembers the
/// last checkpoint whose cosignature it returned.
fn witness(seed: u64) {
    let mut random = Random::new(seed);
    let disk = FaultFileSystem::new(random.number());
    let store = noted(0);
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let mut returned = 0;
    for _ in 0..2 + random.below(6) {
        disk.cut_power_at(1 + random.below(14));
        let open = || {
            let files = disk.process();
            Witness::open_on(&files, on_disk("memory"), bob(), [alice().vkey()])
        };
        if let Ok(witness) = open() {
            for _ in 0..=random.below(3) {
                note(&store, 1);
                let checkpoint = proofs.checkpoint(&alice()).unwrap();
                let mut old = returned;
                // The witness may remember one whose cosignature was not returned.
                let request = |old| proofs.prove_consistency(old, &checkpoint).unwrap();
                let mut cosigned = witness.cosign(&request(old));
                if let Err(WitnessError::Stale { size }) = cosigned {
                    assert!(size > old, "{size} is remembered, and {old} was cosigned");
                    old = size;
                    cosigned = witness.cosign(&request(old));
                }
                if cosigned.is_err() {
                    break;
                }
                returned = checkpoint.size();
            }
        }
        if random.once_in(3) {
            disk.kill();
        } else {
            let loss = loss(&mut random);
            disk.restart(loss);
        }
    }
    disk.restart(Loss::Everything);
    let witness =
        Witness::open_on(&disk.process(), on_disk("memory"), bob(), [alice().vkey()]).unwrap();
    // Another history from the beginning is cosigned only if nothing was.
    let other = noted(0);
    other.append(RawEvent::builder("other").build().unwrap()).unwrap();
    let proofs = Proofs::in_memory(&other, ORIGIN).unwrap();
    let request = proofs.prove_consistency(0, &proofs.checkpoint(&alice()).unwrap()).unwrap();
    match witness.cosign(&request) {
        Err(WitnessError::Stale { size }) => assert!(size >= returned, "{size} of {returned}"),
        cosigned => assert!(cosigned.is_ok() && returned == 0, "{cosigned:?}, {returned}"),
    }
}

#[test]
fn a_witness_forgets_nothing_that_it_cosigned() {
    let only = std::env::var("ANNALS_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..300, |seed: u64| seed..seed + 1) {
        let run = std::panic::catch_unwind(|| witness(seed));
        assert!(run.is_ok(), "schedule {seed} failed: ANNALS_CRASH_SEED={seed} runs it again");
    }
}

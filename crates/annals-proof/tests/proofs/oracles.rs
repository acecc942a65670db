//! Compares trees and notes with implementations of other authors.

use annals_proof::{
    Checkpoint, ConsistencyProof, InclusionProof, LogKey, Proofs, TreeHash, check_consistency,
    check_inclusion, check_subset,
};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use std::sync::LazyLock;

use crate::common::{Log, ORIGIN, alice, noted};

const MOST: u64 = 3_000;

type OtherTree = MemoryBackedTree<Sha256, Vec<u8>>;

static LOG: LazyLock<(Log, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let store = noted(MOST);
    let raw = |offset: u64| store.get(offset).unwrap().unwrap().into_owned();
    let entries =
        (0..MOST).map(|offset| annals_proof::Entry::of(&raw(offset)).as_bytes().to_vec()).collect();
    (store, entries)
});

/// The tree of another author, over the first `size` entries.
fn other_tree(size: u64) -> OtherTree {
    let mut tree = OtherTree::new();
    LOG.1.iter().take(usize::try_from(size).unwrap()).for_each(|entry| tree.push(entry.clone()));
    tree
}

fn root_of(size: u64) -> TreeHash {
    let root = other_tree(size).root();
    TreeHash::new(root.as_bytes().as_slice().try_into().unwrap())
}

fn at(size: u64) -> Checkpoint {
    Checkpoint::sign(&alice(), size, root_of(size))
}

fn proofs() -> Proofs<annals::RawEvent, annals::Memory<annals::RawEvent>> {
    Proofs::in_memory(&LOG.0, ORIGIN).unwrap()
}

/// Every list of hashes with one dropped, added or swapped.
fn spoiled(hashes: &[TreeHash]) -> Vec<Vec<TreeHash>> {
    let mut all = Vec::new();
    for index in 0..hashes.len() {
        let mut dropped = hashes.to_vec();
        dropped.remove(index);
        let mut swapped = hashes.to_vec();
        swapped.swap(index, 0);
        let mut added = hashes.to_vec();
        added.insert(index, TreeHash::of_nothing());
        all.extend([dropped, swapped, added]);
    }
    all.push([hashes, &[TreeHash::of_nothing()]].concat());
    all.retain(|spoiled| spoiled != hashes);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn inclusion_proofs_are_those_of_others(size in 1..=MOST, index in any::<u64>()) {
        let index = index % size;
        let checkpoint = at(size);
        // The proof holds under the root of the other tree, so the two agree.
        let proof: InclusionProof = proofs().prove(index, &checkpoint).unwrap();
        let other = other_tree(size).prove_inclusion(usize::try_from(index).unwrap());
        let bytes: Vec<u8> = proof.hashes().iter().flat_map(|hash| *hash.as_bytes()).collect();
        prop_assert_eq!(other.as_bytes(), &bytes[..]);
        let (leaf, root) = (proof.entry().leaf(), checkpoint.root());
        for spoiled in spoiled(proof.hashes()) {
            prop_assert!(check_inclusion(&leaf, index, size, &spoiled, root).is_err());
        }
        for other in [0, index + 1, size, size + 1, u64::MAX].into_iter().filter(|other| *other != index) {
            prop_assert!(check_inclusion(&leaf, other, size, proof.hashes(), root).is_err());
        }
        let hashes: Vec<tlog_tiles::Hash> = proof.hashes().iter().map(|hash| tlog_tiles::Hash(*hash.as_bytes())).collect();
        let [leaf, root] = [leaf, *root].map(|hash| tlog_tiles::Hash(*hash.as_bytes()));
        tlog_tiles::check_record(&hashes, size, root, index, leaf).unwrap();
    }

    #[test]
    fn consistency_proofs_are_those_of_others(size in 1..=MOST, old in any::<u64>()) {
        let old = 1 + old % size;
        let (checkpoint, old_root) = (at(size), root_of(old));
        let proof: ConsistencyProof = proofs().prove_consistency(old, &checkpoint).unwrap();
        proof.check(&old_root).unwrap();
        let root = checkpoint.root();
        for spoiled in spoiled(proof.hashes()) {
            prop_assert!(check_consistency(old, &old_root, size, root, &spoiled).is_err());
        }
        if old < size {
            prop_assert!(check_consistency(old, root, size, &old_root, proof.hashes()).is_err());
        }
        // A root does not say its size. So a proof may also hold for another size, where the path has the same turns.
        let of_another_size = check_consistency(old, &old_root, size + 1, root, proof.hashes()).is_ok();
        let hashes: Vec<tlog_tiles::Hash> = proof.hashes().iter().map(|hash| tlog_tiles::Hash(*hash.as_bytes())).collect();
        let [root, old_root] = [*root, old_root].map(|hash| tlog_tiles::Hash(*hash.as_bytes()));
        tlog_tiles::check_tree(&hashes, size, root, old, old_root).unwrap();
        let others = tlog_tiles::check_tree(&hashes, size + 1, root, old, old_root).is_ok();
        prop_assert_eq!(of_another_size, others);
    }

    #[test]
    fn any_set_of_leaves_is_shown(size in 1..=MOST, picked in prop::collection::btree_set(any::<u64>(), 1..40)) {
        let shown: std::collections::BTreeSet<u64> = picked.into_iter().map(|offset| offset % size).collect();
        let checkpoint = at(size);
        let evidence = proofs().evidence(&checkpoint).offsets(shown.clone()).build().unwrap();
        let file: serde_json::Value = serde_json::from_str(&evidence.to_json()).unwrap();
        let hashes: Vec<TreeHash> =
            file["hashes"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect();
        let leaf = |offset: u64| (offset, TreeHash::of_leaf(&LOG.1[usize::try_from(offset).unwrap()]));
        let leaves: Vec<_> = shown.iter().copied().map(leaf).collect();
        check_subset(&leaves, size, &hashes, checkpoint.root()).unwrap();
        for spoiled in spoiled(&hashes).into_iter().take(30) {
            prop_assert!(check_subset(&leaves, size, &spoiled, checkpoint.root()).is_err());
        }
        prop_assert!(check_subset(&leaves[1..], size, &hashes, checkpoint.root()).is_err());
    }

    #[test]
    fn notes_are_verified_by_others(seed in any::<[u8; 32]>(), size in 0..MOST) {
        use signed_note::{Note, StandardVerifier, VerifierList};
        let key = LogKey::from_seed("example.com/log", &seed).unwrap();
        let checkpoint = Checkpoint::sign(&key, size, root_of(size));
        let note = Note::from_bytes(checkpoint.to_string().as_bytes()).unwrap();
        let verifier = StandardVerifier::new(&key.vkey().to_string()).unwrap();
        let (verified, _) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
        prop_assert_eq!(verified.len(), 1);
    }
}

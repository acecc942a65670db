//! The vectors of docs/PROOFS.md, to the byte.

use std::sync::LazyLock;

use annals_proof::{
    Checkpoint, Entry, Policy, ProofOptions, Proofs, TreeHash, VerifierKey, check_consistency,
    check_inclusion,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::{ORIGIN, alice, bob, log_of_seven, noted, seven};

static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../vectors.json")).unwrap());

const LEAVES: [&str; 7] = [
    "cf2468656eb4531a953cfe9ee2ade7f79b755083b8484c2001e2b9663c4d5769",
    "1181fcf959c235add93344012dcd66e2fb0db21ccd34cc871a9be5952758d644",
    "08f8561385613dd176ada869f22565082d9a5d4772ba993baf797c451fd9a7fa",
    "ab1dd047436d4104d43636dcdbe33253cd8fcea3937c1d243f903b1402fef1e0",
    "1f63747fdfcf9783f440c8f39dfb834aa5033b873186cd849989bde65fe76dc3",
    "927b57937f08c166dc467344d92cf39a88875dd3ffca3367226f0dc97bf815ac",
    "37ba3eddc635087d1096187864e81d9c6bf94943f323f3f8b3e66157df08a4a7",
];

fn text(name: &str) -> &str {
    VECTORS[name].as_str().unwrap()
}

fn hashes(value: &Value) -> Vec<TreeHash> {
    value.as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn entries() -> Vec<Entry> {
    let recorded = (0..).zip(seven()).map(|(offset, (event, time_ms))| annals::Recorded {
        offset,
        time_ms,
        event,
    });
    recorded.map(|recorded| Entry::of(&recorded)).collect()
}

#[test]
fn entries_and_leaves() {
    let expected: Vec<&str> = VECTORS["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry.as_str().unwrap())
        .collect();
    let entries = entries();
    assert_eq!(entries.iter().map(|entry| hex(entry.as_bytes())).collect::<Vec<_>>(), expected);
    assert_eq!(
        entries.iter().map(|entry| hex(entry.leaf().as_bytes())).collect::<Vec<_>>(),
        LEAVES
    );
    for (entry, (event, _)) in entries.iter().zip(seven()) {
        assert_eq!(Entry::parse(entry.as_bytes()).unwrap(), *entry);
        assert_eq!(entry.with_content(event.content()).unwrap().event, event);
        for cut in 0..entry.as_bytes().len() {
            assert!(Entry::parse(&entry.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Entry::parse(&[entry.as_bytes(), &[0]].concat()).is_err());
    }
}

#[test]
fn keys_and_checkpoints() {
    assert_eq!(alice().vkey().to_string(), text("vkey"));
    assert_eq!(bob().witness_vkey().to_string(), text("wkey"));
    let store = log_of_seven();
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let mut checkpoint = proofs.checkpoint(&alice()).unwrap();
    assert_eq!(checkpoint.to_string(), text("note"));
    let line = checkpoint.cosign(&bob(), 1_700_000_010);
    checkpoint.add_cosignature(&line, &bob().witness_vkey()).unwrap();
    assert_eq!(checkpoint.to_string(), text("cosigned"));
    let keys = [text("vkey"), text("wkey")].map(|key| key.parse::<VerifierKey>().unwrap());
    let verified =
        Policy::of_keys(keys).verify(&text("cosigned").parse::<Checkpoint>().unwrap()).unwrap();
    assert_eq!(verified.cosignatures[0].time, Some(1_700_000_010));
    let at_3 = "nVpItBT9qKTmRc556HE2ULkQ4K7IBvtVOmJkupe+wcPvKbAfEO3a9lsLseX85gQw2xRTf5uHBV+Jk9kQAkoQeGng7gI=";
    let root = hashes(&VECTORS["roots"])[3];
    assert!(Checkpoint::sign(&alice(), 3, root).to_string().ends_with(&format!("{at_3}\n")));
}

#[test]
fn roots_and_all_proofs() {
    let roots = hashes(&VECTORS["roots"]);
    let store = log_of_seven();
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let at = |size: u64| Checkpoint::sign(&alice(), size, roots[usize::try_from(size).unwrap()]);
    let number = |value: &Value| value.as_u64().unwrap();
    let leaves: Vec<TreeHash> = entries().iter().map(Entry::leaf).collect();
    for vector in VECTORS["incl"].as_array().unwrap() {
        let (size, index, expected) = (number(&vector[0]), number(&vector[1]), hashes(&vector[2]));
        let proof = proofs.prove(index, &at(size)).unwrap();
        assert_eq!(proof.hashes(), expected, "{index} of {size}");
        let (leaf, root) =
            (leaves[usize::try_from(index).unwrap()], roots[usize::try_from(size).unwrap()]);
        check_inclusion(&leaf, index, size, &expected, &root).unwrap();
    }
    for vector in VECTORS["cons"].as_array().unwrap() {
        let (old, size, expected) = (number(&vector[0]), number(&vector[1]), hashes(&vector[2]));
        let proof = proofs.prove_consistency(old, &at(size)).unwrap();
        assert_eq!(proof.hashes(), expected, "{old} to {size}");
        let [old_root, root] = [old, size].map(|size| roots[usize::try_from(size).unwrap()]);
        check_consistency(old, &old_root, size, &root, &expected).unwrap();
    }
}

#[test]
fn tlog_proof_request_and_subset() {
    let store = log_of_seven();
    let proofs = Proofs::in_memory(&store, ORIGIN).unwrap();
    let cosigned: Checkpoint = text("cosigned").parse().unwrap();
    let proof = proofs.prove(3, &cosigned).unwrap();
    assert_eq!(proof.to_string().len(), 589);
    assert_eq!(
        digest(&proof.to_string()),
        "d06105bb835a0092534023c3a2e262c6674c7aac0b345061638f4c9aafb243de"
    );
    assert_eq!(proof.to_string().parse::<annals_proof::InclusionProof>().unwrap(), proof);
    let request = proofs.prove_consistency(3, &text("note").parse().unwrap()).unwrap();
    assert_eq!(
        digest(&request.to_string()),
        "ddb6387891a241d3f52755f3d9220c7e7eee8f2ce8286cd96a4625458492f3c4"
    );
    assert_eq!(request.to_string().parse::<annals_proof::ConsistencyProof>().unwrap(), request);
    let evidence = proofs.evidence(&cosigned).offsets([0, 3, 6]).build().unwrap();
    let file: Value = serde_json::from_str(&evidence.to_json()).unwrap();
    let subset = [
        "EYH8+VnCNa3ZM0QBLc1m4vsNshzNNMyHGpvllSdY1kQ=",
        "CPhWE4VhPdF2rahp8iVlCC2aXUdyupk7r3l8RR/Zp/o=",
        "iCia9lbT7/UdcqptTO36XI/h7nf82xpciZRRC8/59xk=",
    ];
    assert_eq!(file["hashes"], serde_json::json!(subset));
}

#[test]
fn roots_of_many_events() {
    let store = noted(0);
    let proofs = ProofOptions::new().in_memory().threads(2).open(&store, ORIGIN).unwrap();
    let vectors = [
        (255, "IQntguJa0OyU/PaIPEl2NbuINrQ9x9GU5gwpdDHbdW0="),
        (256, "k29C1azWhDJDQyz0uxHnPAY+vT2uejlOa8aCylN/b1Q="),
        (257, "TJEaRnmufRcQm2SGOJIWZOU9beiCnKpJKsWObMKJ8nE="),
        (65_536, "Py5DN1hevzwUHZOjHBrhT6xAzGcCD6C4RKIz/M8UYO8="),
        (70_000, "PQnXuaVJOYVKBLX4DBfhW6ChMfHsyNdLZZwjN6Xpn7Q="),
        (1_000_000, "rhYl3ocRdOB3FZ55Nf5EeL499exlfcSRN2IqUsTsVWI="),
    ];
    for (size, root) in vectors {
        crate::common::note(&store, size - store.len());
        let checkpoint = proofs.checkpoint(&alice()).unwrap();
        assert_eq!((checkpoint.size(), checkpoint.root().to_string().as_str()), (size, root));
        proofs.prove(size / 2, &checkpoint).unwrap();
        proofs.prove_consistency(200, &checkpoint).unwrap();
    }
}

/// Sealed fields are specified, and not built. Their vector is kept, so that what is built later has the same bytes.
#[test]
fn a_sealed_field() {
    let script = "tests/seal.py";
    let Ok(output) = std::process::Command::new("python3").arg(script).output() else {
        let text = b"skipped: there is no python3\n";
        std::io::Write::write_all(&mut std::io::stderr(), text).unwrap();
        return;
    };
    let expected = "field key 55d2066a209254373d9f88f2d81dc805fb1c230c4c1c1ad54330d57fcab572b3\n\
        bytes 117\n\
        sha256 133d21d5577290ab9fd40e1a2a8185e4a2fa60b09af404470ada718602a50708\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

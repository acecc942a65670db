//! The bytes of `record.tail` are those of docs/RECORD.md, for good: `tests/record.py` writes the golden file from that
//! page alone.

use annals::{FileSystem as _, RealFileSystem};
use uuid::Uuid;

use super::place::Place;
use super::tail::Tail;
use crate::chain::chain::{Chain, Position, Step};
use crate::chain::slot::Slot;
use crate::format::commit::Commit;

const STORE: Uuid = Uuid::from_u128(0x4d8e_6469_f017_4b46_9d4f_7128_d3fd_4ec6);
const RECORD: &str = include_str!("../../tests/golden/record-1.txt");
const TAIL: &str = include_str!("../../tests/golden/tail-2.txt");
/// The number of events in the golden record.
const HEAD: u64 = 4;

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// Returns the commits of the golden record, each with its position.
fn commits() -> Vec<(Position, Commit)> {
    let (mut chain, mut commits) = (Chain::new(Some(STORE)), Vec::new());
    let entries = RECORD.lines().flat_map(|line| line.split(' ').skip(2));
    for (entry, slot) in entries.zip(1..) {
        match chain.push(Slot(slot), &from_hex(entry).into()) {
            Step::Valid(commit) => {
                commits.push((*chain.position().expect("behind a commit"), commit));
            }
            Step::Part => {}
            other => panic!("slot {slot}: {other:?}"),
        }
    }
    commits
}

/// Returns the golden file.
fn golden() -> Vec<u8> {
    let mut file = Vec::new();
    for line in TAIL.lines() {
        let (position, bytes) = line.split_once(' ').expect("a position and bytes");
        file.resize(position.parse().expect("a position"), 0);
        file.extend(from_hex(bytes));
    }
    file
}

#[test]
fn the_bytes_are_those_of_the_golden_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let files = RealFileSystem.open_directory(directory.path()).expect("a directory");
    let (mut tail, places) = Tail::open(&files, STORE, HEAD).expect("a file");
    assert_eq!(places, []);
    for (position, commit) in commits() {
        tail.put(position, &commit).expect("writes");
    }
    drop(tail);
    let written = std::fs::read(directory.path().join("record.tail")).expect("a file");
    assert!(written == golden(), "the file differs from the golden one");
}

#[test]
fn the_golden_file_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("record.tail"), golden()).expect("writes");
    let commits = commits();
    let positions: Vec<Position> = commits.iter().map(|(position, _)| *position).collect();
    assert_eq!(Tail::positions(directory.path(), STORE, HEAD), positions);
    let files = RealFileSystem.open_directory(directory.path()).expect("a directory");
    let (tail, places) = Tail::open(&files, STORE, HEAD).expect("a file");
    assert!(!tail.has_diverged());
    assert_eq!(places.iter().map(|place| place.position).collect::<Vec<_>>(), positions);
    for (Place { header, .. }, (_, commit)) in places.iter().zip(&commits) {
        let header = header.expect("a header");
        let of_commit = commit.header();
        assert_eq!((header.kind, header.writer_id), (of_commit.kind, of_commit.writer_id));
        assert_eq!(header.events, of_commit.events);
        let sizes = tail.batches(&header).expect("reads");
        if of_commit.batches > 0 {
            assert_eq!(sizes.iter().sum::<u32>(), of_commit.events);
            assert_eq!(sizes.len(), of_commit.batches as usize);
        }
    }
}

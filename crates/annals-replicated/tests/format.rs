//! The bytes of commits are those of docs/RECORD.md, for good.

use std::path::{Path, PathBuf};
use std::process::Command;

use annals::RawEvent;
use annals_replicated::{
    Chain, Commit, CommitBatch, CommitHash, Content, Entry, EntryError, Epoch, Genesis, Kind, Slot,
    Step, Tip, Void,
};
use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

const TIME_MS: u64 = 1_700_000_000_000;
const STORE: Uuid = Uuid::from_u128(0x4d8e_6469_f017_4b46_9d4f_7128_d3fd_4ec6);
const WRITER: Uuid = Uuid::from_u128(0x0a0b_0c0d_0e0f_4001_8002_0304_0506_0708);

fn here(name: &str) -> PathBuf {
    Path::new("tests").join(name)
}

fn sold() -> RawEvent {
    let event = RawEvent::builder("seat-sold").tag("seat:12Ä").tag("show:7").id("request-1");
    event.data(r#"{"price":90}"#).build().expect("an event")
}

fn freed() -> RawEvent {
    RawEvent::builder("seat-freed").tag("seat:12Ä").build().expect("an event")
}

fn photo() -> RawEvent {
    let data: Vec<u8> = (0..=250).cycle().take(5_000).collect();
    RawEvent::builder("photo-taken").data(data).build().expect("an event")
}

fn batch(time_ms: u64, events: Vec<RawEvent>) -> CommitBatch {
    CommitBatch { time_ms, events }
}

/// The commits of the golden file, with the largest size of their entries.
fn commits() -> Vec<(&'static str, Commit, usize)> {
    let genesis =
        Tip::genesis(STORE, WRITER, Genesis { time_ms: TIME_MS, made_by: "annals 0.2.0".into() });
    let mut chain = Chain::new(Some(STORE));
    let mut slot = Slot(0);
    let mut commits = Vec::new();
    let mut add = |name, commit: Commit, entry_bytes| {
        for entry in commit.entries(entry_bytes) {
            slot = slot.next();
            chain.push(slot, &entry);
        }
        let tip = *chain.tip().expect("a tip");
        assert_eq!(tip.hash, commit.hash(), "{name} is valid");
        commits.push((name, commit, entry_bytes));
        tip
    };
    let tip = add("genesis", genesis.clone(), 1 << 20);
    let events = vec![batch(TIME_MS + 1, vec![sold(), freed()]), batch(TIME_MS + 1, vec![freed()])];
    let tip = add("events", tip.next(WRITER, Content::Events(events)), 1 << 20);
    let tip = add("barrier", tip.next(WRITER, Content::Barrier), 1 << 20);
    let large = Content::Events(vec![batch(TIME_MS + 2, vec![photo()])]);
    let tip = add("in-parts", tip.next(WRITER, large), 2_048);
    let epoch = Epoch {
        time_ms: TIME_MS + 3,
        cut: 0,
        cut_hash: genesis.hash(),
        reason: "a backup was restored".into(),
    };
    add("epoch", tip.next(WRITER, Content::Epoch(epoch)), 1 << 20);
    commits
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[test]
fn the_bytes_are_those_of_the_golden_file() {
    let golden = std::fs::read_to_string(here("golden/record-1.txt")).expect("the golden file");
    let mut lines = golden.lines();
    for (name, commit, entry_bytes) in commits() {
        let entries = commit.entries(entry_bytes);
        let entries: Vec<String> = entries.iter().map(|entry| hex(entry)).collect();
        let line = format!("{name} {} {}", commit.hash(), entries.join(" "));
        assert_eq!(lines.next(), Some(line.as_str()), "{name}");
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn the_golden_files_are_what_the_page_says() {
    // A unit test compares the second file with what the program writes.
    for (argument, name) in [("entries", "golden/record-1.txt"), ("tail", "golden/tail-2.txt")] {
        let script = Command::new("python3").arg(here("record.py")).arg(argument).output();
        let output = script.expect("python3 runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let golden = std::fs::read(here(name)).expect("the golden file");
        assert!(output.stdout == golden, "record.py writes {name}");
    }
}

#[test]
fn the_golden_file_reads_back() {
    for (name, commit, entry_bytes) in commits() {
        let entries: Result<Vec<Entry>, EntryError> =
            commit.entries(entry_bytes).iter().map(Entry::decode).collect();
        let read = Commit::from_parts(&entries.expect(name)).expect(name);
        assert_eq!(read, commit, "{name}");
        assert_eq!(read.header().kind, commit.content().kind(), "{name}");
    }
}

#[test]
fn a_hash_does_not_depend_on_the_parts() {
    let tip = Tip { store_id: STORE, number: 0, hash: CommitHash([1; 32]), head: 0, time_ms: 0 };
    let commit = tip.next(WRITER, Content::Events(vec![batch(1, vec![photo(), photo()])]));
    let mut sizes = Vec::new();
    for entry_bytes in [1, 2_048, 3_000, 1 << 20] {
        let entries = commit.entries(entry_bytes);
        sizes.push(entries.len());
        let entries: Vec<Entry> =
            entries.iter().map(|entry| Entry::decode(entry).expect("whole")).collect();
        assert_eq!(Commit::from_parts(&entries).expect("a commit").hash(), commit.hash());
    }
    assert_eq!(sizes, [6, 6, 4, 1]);
}

#[test]
fn every_changed_byte_is_noticed() {
    for (name, commit, entry_bytes) in commits() {
        for entry in commit.entries(entry_bytes) {
            for at in 0..entry.len() {
                let mut changed = entry.to_vec();
                changed[at] ^= 1 << (at % 8);
                let error = Entry::decode(&Bytes::from(changed)).expect_err(name);
                if at < 4 {
                    assert_eq!(error, EntryError::Foreign, "{name}, byte {at}");
                } else {
                    assert!(matches!(error, EntryError::Damaged(_)), "{name}, byte {at}");
                }
            }
            for length in 0..entry.len() {
                let error = Entry::decode(&entry.slice(..length)).expect_err(name);
                assert!(!matches!(error, EntryError::Newer(_)), "{name}, {length} bytes");
            }
        }
    }
}

/// Sets bytes of an entry, and its checksum to fit.
fn with(entry: &Bytes, changes: &[(usize, u8)]) -> Bytes {
    let mut entry = entry.to_vec();
    for &(at, byte) in changes {
        entry[at] = byte;
    }
    let checksum = crc_fast::checksum(
        crc_fast::CrcAlgorithm::Crc32Iscsi,
        &[&entry[..8], &entry[12..]].concat(),
    );
    entry[8..12].copy_from_slice(&checksum.to_le_bytes()[..4]);
    entry.into()
}

/// Where the body of an entry begins.
const BODY: usize = 256;

/// The expected fault, the number of a commit of the golden file, and the bytes that cause the fault.
type Case = (&'static str, usize, &'static [(usize, u8)]);

#[test]
fn fields_that_contradict_each_other_are_refused() {
    let golden = commits();
    let entry = |at: usize| golden[at].1.entries(golden[at].2)[0].clone();
    let cases: [Case; 15] = [
        ("a format that never was", 1, &[(4, 0)]),
        ("another header size", 1, &[(6, 8)]),
        ("an unknown kind", 1, &[(24, 4)]),
        ("a reserved byte", 1, &[(25, 1)]),
        ("a byte where a signature may be one day", 1, &[(160, 1)]),
        ("no parts", 1, &[(14, 0)]),
        ("more parts than the body needs", 1, &[(14, 2)]),
        ("a part that starts late", 1, &[(16, 1)]),
        ("a part with another size", 1, &[(20, 1)]),
        ("a body of 4 GiB", 1, &[(123, 255)]),
        ("events without batches", 1, &[(116, 0)]),
        ("a barrier with events", 2, &[(112, 1)]),
        ("a genesis with a number", 0, &[(32, 1)]),
        ("a genesis with a predecessor", 0, &[(40, 1)]),
        ("a barrier with the number of a genesis", 2, &[(32, 0)]),
    ];
    for (what, commit, changes) in cases {
        let error = Entry::decode(&with(&entry(commit), changes)).expect_err(what);
        assert!(matches!(error, EntryError::Damaged(_)), "{what}: {error:?}");
    }
    // These show only in the body.
    let bodies: [Case; 9] = [
        ("a batch without events", 1, &[(BODY + 8, 0)]),
        ("a batch with fewer events", 1, &[(BODY + 8, 1)]),
        ("a batch that is too long", 1, &[(BODY + 15, 1)]),
        ("a record with another checksum", 1, &[(BODY + 16, 0)]),
        ("a record that is too small", 1, &[(BODY + 20, 15)]),
        ("a record with a local offset", 1, &[(BODY + 24, 1)]),
        ("an event that is not valid", 1, &[(BODY + 36, 0)]),
        ("other numbers of events", 1, &[(112, 4)]),
        ("a text that is not UTF-8", 0, &[(BODY + 8, 255)]),
    ];
    for (what, commit, changes) in bodies {
        let entry = Entry::decode(&with(&entry(commit), changes)).expect(what);
        assert!(Commit::from_parts(&[entry]).is_err(), "{what}");
    }
}

#[test]
fn a_newer_format_stops_a_reader_only_where_it_may_be_valid() {
    let golden = commits();
    let (genesis, events) = (golden[0].1.entries(1 << 20), golden[1].1.entries(1 << 20));
    let newer = with(&events[0], &[(4, 2)]);
    let mut chain = Chain::new(None);
    assert!(matches!(chain.push(Slot(1), &genesis[0]), Step::Valid(_)));
    let mut other = chain.clone();
    assert!(matches!(chain.push(Slot(2), &newer), Step::Newer(any) if any.format == 2));
    // The same number, but decided on another commit.
    let elsewhere = with(&newer, &[(40, events[0][40] ^ 1)]);
    assert_eq!(other.push(Slot(2), &elsewhere), Step::Void(Void::NotNext));
    assert!(matches!(other.push(Slot(3), &events[0]), Step::Valid(_)));
    assert_eq!(golden[1].1.header().kind, Kind::Events);
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Entry::decode(&Bytes::from(bytes));
    }

    #[test]
    fn batches_read_back(
        sizes in proptest::collection::vec(proptest::collection::vec(0_usize..3_000, 1..5), 1..6),
        entry_bytes in 2_048_usize..20_000,
    ) {
        let event = |size: &usize| RawEvent::builder("e").data(vec![7; *size]).build().expect("an event");
        let batches = sizes.iter().zip(1_u64..);
        let batches = batches.map(|(sizes, time)| batch(time, sizes.iter().map(event).collect()));
        let tip = Tip { store_id: STORE, number: 7, hash: CommitHash([1; 32]), head: 5, time_ms: 0 };
        let commit = tip.next(WRITER, Content::Events(batches.collect()));
        let entries = commit.entries(entry_bytes);
        prop_assert!(entries.iter().all(|entry| entry.len() <= entry_bytes));
        let entries: Vec<Entry> = entries.iter().map(|entry| Entry::decode(entry).expect("whole")).collect();
        prop_assert_eq!(&Commit::from_parts(&entries).expect("a commit"), &commit);
        let sizes: usize = commit.content().batches().iter().map(annals_replicated::encoded_bytes).sum();
        prop_assert_eq!(sizes, commit.body_bytes());
        prop_assert!(tip.after(&commit).is_ok());
    }
}

//! Every reader takes the same commits for valid, and skips the same entries.

use annals::RawEvent;
use annals_replicated::{
    Chain, Commit, CommitBatch, CommitHash, Content, Epoch, Genesis, Slot, Step, Tip, Void,
};
use bytes::Bytes;
use uuid::Uuid;

const STORE: Uuid = Uuid::from_u128(1);
const WRITER: Uuid = Uuid::from_u128(2);
const ENTRY_BYTES: usize = 2_048;

fn genesis() -> Commit {
    Tip::genesis(STORE, WRITER, Genesis { time_ms: 1, made_by: "a test".into() })
}

/// A commit of one event with a payload of this size.
fn event(tip: &Tip, time_ms: u64, bytes: usize) -> Commit {
    let event = RawEvent::builder("e").data(vec![1; bytes]).build().expect("an event");
    tip.next(WRITER, Content::Events(vec![CommitBatch { time_ms, events: vec![event] }]))
}

/// A record, and the reader at its end.
struct Record {
    chain: Chain,
    entries: Vec<Bytes>,
}

impl Record {
    fn new() -> Self {
        let mut record = Self { chain: Chain::new(Some(STORE)), entries: Vec::new() };
        assert!(matches!(record.push_all(&genesis())[..], [Step::Valid(_)]));
        record
    }

    fn tip(&self) -> Tip {
        *self.chain.tip().expect("a tip")
    }

    fn push(&mut self, entry: Bytes) -> Step {
        let step = self.chain.push(self.chain.read_to().next(), &entry);
        self.entries.push(entry);
        step
    }

    fn push_all(&mut self, commit: &Commit) -> Vec<Step> {
        commit.entries(ENTRY_BYTES).into_iter().map(|entry| self.push(entry)).collect()
    }

    /// Checks that a reader from the beginning, and one from each position on the way, come to the same tip.
    fn check(&self) {
        let mut reader = Chain::new(None);
        let mut positions = Vec::new();
        for (entry, slot) in self.entries.iter().zip(1..) {
            reader.push(Slot(slot), entry);
            positions.extend(reader.position().copied());
        }
        assert_eq!(reader.tip(), self.chain.tip());
        for position in positions {
            let mut reader = Chain::resume(position);
            for (entry, slot) in
                self.entries.iter().zip(1..).filter(|(_, slot)| *slot > position.slot.0)
            {
                reader.push(Slot(slot), entry);
            }
            assert_eq!(reader.position(), self.chain.position());
        }
    }
}

fn is_valid(steps: &[Step]) -> bool {
    let (last, others) = steps.split_last().expect("an entry");
    matches!(last, Step::Valid(_)) && others.iter().all(|step| *step == Step::Part)
}

#[test]
fn a_copy_a_lost_race_and_a_stranger_are_void() {
    let mut record = Record::new();
    let before = record.tip();
    let (first, rival) = (event(&before, 5, 1), event(&before, 5, 2));
    assert!(is_valid(&record.push_all(&first)));
    assert_eq!(record.push_all(&rival), [Step::Void(Void::NotNext)]);
    assert_eq!(record.push_all(&first), [Step::Void(Void::NotNext)]);
    assert_eq!(record.push(Bytes::from_static(b"hello")), Step::Void(Void::Foreign));
    let other = Tip { store_id: Uuid::from_u128(9), ..record.tip() };
    assert_eq!(record.push_all(&event(&other, 6, 1)), [Step::Void(Void::OtherStore)]);
    assert_eq!(record.push_all(&genesis()), [Step::Void(Void::NotNext)]);
    assert_eq!((record.tip().number, record.tip().head, record.chain.voids()), (1, 1, 5));
    let next = event(&record.tip(), 6, 1);
    assert!(is_valid(&record.push_all(&next)));
    assert_eq!((record.tip().number, record.tip().head, record.chain.voids()), (2, 2, 0));
    record.check();
}

#[test]
fn parts_are_valid_together_and_void_with_anything_between() {
    let mut record = Record::new();
    let large = event(&record.tip(), 5, 4_000);
    let parts = large.entries(ENTRY_BYTES);
    assert_eq!(parts.len(), 3);
    let small = event(&record.tip(), 5, 1).entries(ENTRY_BYTES).remove(0);
    // Something between, a part twice, a part that is missing, and the first part again.
    for disturbed in [
        vec![&parts[0], &small.slice(..9), &parts[1], &parts[2]],
        vec![&parts[0], &parts[1], &parts[1], &parts[2]],
        vec![&parts[0], &parts[2]],
        vec![&parts[0], &parts[1], &parts[0]],
    ] {
        for entry in disturbed {
            assert!(!matches!(record.push(entry.clone()), Step::Valid(_)));
        }
    }
    // The last entry above was a first part, and the rest follows now.
    assert_eq!(record.push(parts[1].clone()), Step::Part);
    assert!(matches!(record.push(parts[2].clone()), Step::Valid(_)));
    let position = *record.chain.position().expect("a position");
    assert_eq!((position.entries, position.slot.0 - position.before().0), (3, 3));
    record.check();
}

#[test]
fn another_valid_commit_ends_unfinished_parts() {
    let mut record = Record::new();
    let large = event(&record.tip(), 5, 4_000).entries(ENTRY_BYTES);
    let small = event(&record.tip(), 5, 1);
    assert_eq!(record.push(large[0].clone()), Step::Part);
    assert!(is_valid(&record.push_all(&small)));
    assert_eq!(record.push(large[1].clone()), Step::Void(Void::StrayPart));
    assert_eq!(record.push(large[2].clone()), Step::Void(Void::StrayPart));
    assert_eq!(record.push(large[0].clone()), Step::Void(Void::NotNext));
    record.check();
}

#[test]
fn parts_of_differently_split_copies_do_not_mix() {
    let mut record = Record::new();
    let large = event(&record.tip(), 5, 4_000);
    let (thirds, halves) = (large.entries(ENTRY_BYTES), large.entries(2_400));
    assert_eq!(record.push(thirds[0].clone()), Step::Part);
    assert_eq!(record.push(halves[1].clone()), Step::Void(Void::StrayPart));
    for half in &halves[..1] {
        assert_eq!(record.push(half.clone()), Step::Part);
    }
    assert!(matches!(record.push(halves[1].clone()), Step::Valid(commit) if commit == large));
    record.check();
}

#[test]
fn offsets_and_times_must_follow() {
    let mut record = Record::new();
    let first = event(&record.tip(), 5, 1);
    record.push_all(&first);
    let tip = record.tip();
    let late = Tip { head: tip.head + 1, ..tip };
    assert_eq!(record.push_all(&event(&late, 6, 1)), [Step::Void(Void::Misfit)]);
    assert_eq!(record.push_all(&event(&tip, 4, 1)), [Step::Void(Void::Misfit)]);
    assert!(is_valid(&record.push_all(&event(&tip, 5, 1))));
    record.check();
}

#[test]
fn an_epoch_cuts_at_a_commit_before_it() {
    let mut record = Record::new();
    let next = event(&record.tip(), 5, 1);
    record.push_all(&next);
    let tip = record.tip();
    let epoch = |cut, cut_hash| {
        tip.next(WRITER, Content::Epoch(Epoch { time_ms: 6, cut, cut_hash, reason: "why".into() }))
    };
    assert_eq!(record.push_all(&epoch(2, tip.hash)), [Step::Void(Void::Misfit)]);
    assert_eq!(record.push_all(&epoch(1, CommitHash([7; 32]))), [Step::Void(Void::Misfit)]);
    assert!(is_valid(&record.push_all(&epoch(1, tip.hash))));
    assert_eq!((record.tip().number, record.tip().head), (2, 1));
    record.check();
}

#[test]
fn a_record_begins_with_its_genesis() {
    let mut chain = Chain::new(Some(STORE));
    let other = Tip::genesis(WRITER, WRITER, Genesis { time_ms: 1, made_by: String::new() });
    let before = Tip { store_id: STORE, number: 0, hash: genesis().hash(), head: 0, time_ms: 0 };
    let entry = |commit: &Commit| commit.entries(ENTRY_BYTES).remove(0);
    assert_eq!(chain.push(Slot(1), &entry(&event(&before, 5, 1))), Step::Void(Void::NotNext));
    assert_eq!(chain.push(Slot(2), &entry(&other)), Step::Void(Void::OtherStore));
    assert!(chain.tip().is_none());
    assert!(matches!(chain.push(Slot(3), &entry(&genesis())), Step::Valid(_)));
    assert!(matches!(chain.push(Slot(4), &entry(&event(&before, 5, 1))), Step::Valid(_)));
}

#[test]
fn a_commit_that_landed_is_as_one_that_was_read() {
    let mut record = Record::new();
    let mut writer = record.chain.clone();
    let commit = event(&record.tip(), 5, 4_000);
    record.push_all(&commit);
    writer.landed(&commit, 3);
    assert_eq!(writer.position(), record.chain.position());
    assert_eq!(writer.read_to(), record.chain.read_to());
}

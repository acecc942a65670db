//! A record that lost its end, with a replica that has it: healing, epochs, and replicas that are set aside.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annals::{EventStore, Health, Journal, RawEvent};
use annals_replicated::repair::{Patience, Repair, RepairError};
use annals_replicated::sim::{Faults, SimLog, SimRecord};
use annals_replicated::{
    AppendAnswer, AppendOutcome, Cause, Chain, CheckError, CommitHash, CommitLog, Content,
    Divergence, Done, Fitness, LogError, LogLimits, NewEntry, Page, ReadLimit, Slot, Step, status,
};
use bytes::Bytes;

use crate::tools::{Store, event, event_with_id, log, numbers, open, open_impatient};

const TAIL: &str = "record.tail";

fn repair() -> Repair {
    let end = Duration::from_millis(50);
    Repair::new().patience(Patience { end, ..Patience::default() })
}

/// Returns the hashes of the valid commits of a record.
fn hashes(log: &SimLog) -> Vec<CommitHash> {
    let mut chain = Chain::new(None);
    let mut hashes = Vec::new();
    log.change(|record| {
        for (entry, slot) in record.entries().iter().zip(1..) {
            if let Step::Valid(commit) = chain.push(Slot(slot), entry) {
                hashes.push(commit.hash());
            }
        }
    });
    hashes
}

/// Puts an entry that nobody reads into the record.
fn stranger(log: &SimLog) {
    log.change(|record| record.arrive(record.last(), &Bytes::from_static(b"stray"), true));
}

/// Appends a commit of each kind and form, after the first event: one batch, several batches, a barrier, many events.
fn append_all(log: &SimLog, store: &Store) {
    store.append(event(1)).expect("an offset");
    // While the engine does not answer, one commit is under way, and the other batches wait for the next one.
    let append = |batch: Range<u64>| store.append_batch_async(batch.map(event));
    let several = log.change(|_| [2..4, 4..5, 5..8].map(append));
    for batch in several {
        futures_executor::block_on(batch).expect("offsets");
    }
    store.backend().barrier().expect("a head");
    store.append_batch((8..60).map(event)).expect("offsets");
}

/// A record that lost what `append_all` appended, the replica that has it, and the record as it was.
struct Loss {
    directory: tempfile::TempDir,
    log: SimLog,
    path: PathBuf,
    whole: Vec<CommitHash>,
    before: SimRecord,
}

impl Loss {
    fn new(log: SimLog) -> Self {
        let log = log.with_limits(LogLimits { entry_bytes: 1 << 20, under_way: 1 });
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("replica");
        let store = open(&log, &path);
        store.append(event(0)).expect("an offset");
        let before = log.change(|record| record.clone());
        append_all(&log, &store);
        drop(store);
        let whole = hashes(&log);
        let lost = before.clone();
        log.change(|record| *record = lost);
        Self { directory, log, path, whole, before }
    }

    fn other(&self) -> PathBuf {
        self.directory.path().join("other")
    }

    /// Another process appends to what is left of the record.
    fn overtake(&self) {
        let other = open(&self.log, &self.other());
        other.append(event_with_id(77)).expect("an offset");
    }
}

/// Returns how the record differs from a replica that is not open, as an operator sees it.
fn reported(log: &SimLog, path: &Path) -> Option<Divergence> {
    status(log, Some(path)).expect("a report").replica.expect("a replica").divergence
}

fn is_open(store: &Store) -> Vec<u64> {
    assert!(matches!(store.health(), Health::Open), "{:?}", store.health());
    numbers(store)
}

#[test]
fn lost_commits_are_appended_again_verbatim() {
    let loss = Loss::new(log());
    let found = repair().dry_run(true).heal(&loss.log, &loss.path).expect("a dry run");
    assert_eq!((found.lost.events.clone(), found.appended), (1..60, 0));
    assert_eq!(hashes(&loss.log).len(), 2, "a dry run appends nothing");
    let healed = repair().heal(&loss.log, &loss.path).expect("healed");
    assert_eq!((healed.lost, healed.appended), (found.lost, loss.whole.len() as u64 - 2));
    assert_eq!(hashes(&loss.log), loss.whole);
    // The second batch may join the first one, if the thread of the store is late.
    assert!((6..=7).contains(&loss.whole.len()), "a commit has several batches");
    let again = repair().heal(&loss.log, &loss.path).expect("nothing to do");
    assert!(again.lost.is_empty() && again.appended == 0, "{again:?}");
    let numbers = (0..60).collect::<Vec<_>>();
    for path in [&loss.path, &loss.other()] {
        let store = open(&loss.log, path);
        assert_eq!(is_open(&store), numbers);
        store.append_batch([]).expect("a barrier");
    }
}

/// Lost answers, entries that are refused wrongly, old reads: only the record decides.
#[test]
fn an_unreliable_engine_is_healed_too() {
    for seed in 0..5 {
        let faults = Faults {
            lost_answers: 20,
            lost_entries: 20,
            doubled: 10,
            wrong_refusals: 10,
            stale_reads: 20,
            failed_reads: 10,
            not_sent: 10,
            other_slots: 10,
            strangers: 10,
            ..Faults::none()
        };
        let loss = Loss::new(SimLog::new(Faults::none(), seed));
        loss.log.set_faults(faults);
        repair().heal(&loss.log, &loss.path).expect("healed");
        loss.log.set_faults(Faults::none());
        assert_eq!(hashes(&loss.log), loss.whole, "seed {seed}");
        assert_eq!(is_open(&open(&loss.log, &loss.path)).len(), 60, "seed {seed}");
    }
}

/// Void entries lay between the lost commits, and the record lost them too: the commits move to other slots. So they
/// do if the engine takes smaller entries now.
#[test]
fn replicas_find_healed_commits_at_other_slots() {
    for entry_bytes in [1 << 20, 2 << 10] {
        let directory = tempfile::tempdir().expect("a directory");
        let (log, path) = (log(), directory.path().join("replica"));
        let other = directory.path().join("other");
        let store = open(&log, &path);
        store.append(event(0)).expect("an offset");
        let before = log.change(|record| record.clone());
        for n in 0..4 {
            stranger(&log);
            store.append_batch((0..100).map(|m| event(1 + n * 100 + m))).expect("offsets");
        }
        drop(store);
        drop(open(&log, &other));
        let whole = hashes(&log);
        log.change(|record| *record = before);
        let log = log.with_limits(LogLimits { entry_bytes, under_way: 1 });
        repair().heal(&log, &path).expect("healed");
        assert_eq!(hashes(&log), whole);
        for path in [&path, &other] {
            assert_eq!(reported(&log, path), None);
            let store = open(&log, path);
            assert_eq!(is_open(&store).len(), 401);
            let position = store.backend().record().position.expect("a position");
            assert_eq!(Some(position.tip.hash), hashes(&log).last().copied());
        }
    }
}

#[test]
fn after_another_writer_appended_nothing_is_healed() {
    let loss = Loss::new(log());
    loss.overtake();
    let before = hashes(&loss.log);
    for dry_run in [true, false] {
        let refused = repair().dry_run(dry_run).heal(&loss.log, &loss.path);
        let Err(error @ RepairError::Overtaken(_)) = refused else { panic!("{refused:?}") };
        assert!(error.to_string().contains("another writer appended"), "{error}");
        let RepairError::Overtaken(standing) = error else { unreachable!() };
        assert_eq!((standing.shared.tip.number, standing.lost.events.clone()), (1, 1..60));
        assert_eq!(standing.other.map(|other| other.number), Some(2));
    }
    assert_eq!(hashes(&loss.log), before);
}

/// The operator decides for the record. The replica that has the lost events is told so, is set aside, and is made
/// anew; the other ones go on.
#[test]
fn an_epoch_gives_up_what_only_a_replica_has() {
    let loss = Loss::new(log());
    loss.overtake();
    let refused = repair().set_aside(&loss.log, &loss.path);
    assert!(matches!(refused, Err(RepairError::NotGivenUp(_))), "{refused:?}");
    assert!(matches!(reported(&loss.log, &loss.path), Some(Divergence::Lost { .. })));
    let dry = repair().dry_run(true).append_epoch(&loss.log, &loss.path, "restored");
    let dry = dry.expect("a dry run");
    assert_eq!((dry.number, dry.lost.events), (None, 1..60));
    let made = repair().append_epoch(&loss.log, &loss.path, "restored").expect("an epoch");
    assert_eq!((made.number, made.is_old, made.epoch.cut), (Some(3), false, 1));
    let again = repair().append_epoch(&loss.log, &loss.path, "again").expect("the same");
    assert_eq!((again.number, again.is_old, &*again.epoch.reason), (Some(3), true, "restored"));
    let cut = Some(Divergence::Cut { cut: 1, epoch: 3 });
    assert_eq!(reported(&loss.log, &loss.path), cut);
    assert_eq!(reported(&loss.log, &loss.other()), None, "it has nothing else");
    let store = open_impatient(&loss.log, &loss.path);
    let told = store.backend().record().divergence;
    assert_eq!(told, cut);
    assert!(matches!(store.health(), Health::Diverged { .. }));
    drop(store);
    let aside = repair().set_aside(&loss.log, &loss.path).expect("set aside");
    assert_eq!(aside.lost.events, 1..60);
    assert!(!loss.path.exists());
    let old: EventStore<RawEvent, Journal<RawEvent>> =
        EventStore::open_read_only(&aside.path).expect("the old replica");
    assert_eq!(old.len(), 60, "it keeps what the log gave up");
    for path in [&loss.path, &loss.other()] {
        let store = open(&loss.log, path);
        assert_eq!(is_open(&store), [0, 77]);
        let nothing = {
            drop(store);
            repair().append_epoch(&loss.log, path, "why")
        };
        assert!(matches!(nothing, Err(RepairError::NothingLost)), "{nothing:?}");
    }
}

/// A restore that is intended: nobody has appended since. After the epoch, the lost commits cannot come back.
#[test]
fn an_epoch_behind_the_cut_ends_healing() {
    let loss = Loss::new(log());
    let made = repair().append_epoch(&loss.log, &loss.path, "intended").expect("an epoch");
    assert_eq!((made.number, made.epoch.cut), (Some(2), 1));
    // The record goes on until the replica's last commit is at the slot of another one.
    let cut = Some(Divergence::Cut { cut: 1, epoch: 2 });
    assert_eq!(reported(&loss.log, &loss.path), cut);
    let refused = repair().heal(&loss.log, &loss.path);
    assert!(matches!(refused, Err(RepairError::Overtaken(_))), "{refused:?}");
    let store = open_impatient(&loss.log, &loss.path);
    let told = store.backend().record().divergence;
    assert_eq!(told, Some(Divergence::Cut { cut: 1, epoch: 2 }));
    drop(store);
    let other = open(&loss.log, &loss.other());
    assert_eq!(is_open(&other), [0], "a replica before the cut takes the epoch");
    for n in 1..9 {
        other.append(event(n)).expect("an offset");
    }
    assert_eq!(reported(&loss.log, &loss.path), cut);
}

#[test]
fn an_epoch_needs_a_reason() {
    let loss = Loss::new(log());
    for reason in ["", "  ", &"x".repeat(1_025)] {
        let refused = repair().append_epoch(&loss.log, &loss.path, reason);
        assert!(matches!(refused, Err(RepairError::Reason)), "{refused:?}");
    }
    assert_eq!(hashes(&loss.log).len(), 2);
}

/// An epoch that was lost is appended again too, with its reason.
#[test]
fn a_lost_epoch_is_healed() {
    let loss = Loss::new(log());
    repair().append_epoch(&loss.log, &loss.path, "the first loss").expect("an epoch");
    let store = open(&loss.log, &loss.other());
    store.append(event(1)).expect("an offset");
    drop(store);
    let whole = hashes(&loss.log);
    loss.log.change(|record| *record = loss.before.clone());
    repair().heal(&loss.log, loss.other()).expect("healed");
    assert_eq!(hashes(&loss.log), whole);
    let reasons = loss.log.change(|record| {
        let mut chain = Chain::new(None);
        let entries = record.entries().iter().zip(1..);
        let steps = entries.map(|(entry, slot)| chain.push(Slot(slot), entry));
        let reason = |step| match step {
            Step::Valid(commit) => match commit.content() {
                Content::Epoch(epoch) => Some(epoch.reason.clone()),
                _ => None,
            },
            _ => None,
        };
        steps.filter_map(reason).collect::<Vec<_>>()
    });
    assert_eq!(reasons, ["the first loss"]);
}

/// The error names the commit that a replica cannot build, and nothing is appended.
#[test]
fn a_replica_without_its_positions_heals_nothing() {
    let loss = Loss::new(log());
    let tail = fs::read(loss.path.join(TAIL)).expect("the file");
    // The place of commit 3; what the commit with several batches needs; the whole file; another file; the file of
    // another store.
    let place = 64 + (1 << 20) + 3 * 104;
    let mut damaged = tail.clone();
    damaged[place] ^= 1;
    let mut foreign = tail.clone();
    foreign[8] ^= 1;
    let mut sizes = tail.clone();
    sizes[64..128].fill(9);
    let cut = tail[..place].to_vec();
    let cases = [damaged, foreign, sizes, cut, Vec::new(), b"not a tail".to_vec()];
    for (case, bytes) in cases.into_iter().enumerate() {
        fs::write(loss.path.join(TAIL), bytes).expect("a file");
        let refused = repair().heal(&loss.log, &loss.path);
        let is_refused = matches!(
            refused,
            Err(RepairError::NotBuilt { .. } | RepairError::CommitsUnknown { .. })
        );
        assert!(is_refused, "case {case}: {refused:?}");
        assert_eq!(hashes(&loss.log).len(), 2, "case {case}");
    }
    fs::write(loss.path.join(TAIL), tail).expect("a file");
    repair().heal(&loss.log, &loss.path).expect("healed");
    assert_eq!(hashes(&loss.log), loss.whole);
}

/// Returns a file of version 1 with the places of a file of version 2.
fn version_1(tail: &[u8]) -> Vec<u8> {
    let mut old = tail[..64].to_vec();
    old[..8].copy_from_slice(b"ANtail1\0");
    for place in tail[64 + (1 << 20)..].chunks_exact(104) {
        let mut place = [&place[..72], &[0; 8]].concat();
        place[6] = 0;
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &place[4..]);
        place[..4].copy_from_slice(&sum.to_le_bytes()[..4]);
        old.extend(place);
    }
    old
}

#[test]
fn a_position_file_of_version_1_is_read() {
    let loss = Loss::new(log());
    let tail = loss.path.join(TAIL);
    let old = version_1(&fs::read(&tail).expect("the file"));
    fs::write(&tail, &old).expect("a file");
    let refused = repair().heal(&loss.log, &loss.path);
    let Err(RepairError::NotBuilt { number: 2, cause }) = &refused else { panic!("{refused:?}") };
    assert!(cause.to_string().contains("older version"), "{cause}");
    // The positions count: the replica goes on behind the last one.
    let other = Loss::new(log());
    other.log.change(|record| *record = other.before.clone());
    fs::write(&tail, &old).expect("a file");
    let standing = repair().compare(&loss.log, &loss.path).expect("a comparison");
    assert_eq!(standing.lost.commits(), loss.whole.len() as u64 - 2);
    assert!(fs::read(&tail).expect("the file").starts_with(b"ANtail2\0"));
}

#[test]
fn a_replica_in_use_and_one_of_another_record_are_refused() {
    let loss = Loss::new(log());
    let used = open(&loss.log, &loss.other());
    let refused = repair().heal(&loss.log, loss.other());
    assert!(matches!(refused, Err(RepairError::Replica(_))), "{refused:?}");
    drop(used);
    let another = SimLog::new(Faults::none(), 8);
    let refused = repair().heal(&another, &loss.path);
    assert!(matches!(refused, Err(RepairError::OtherRecord { .. })), "{refused:?}");
    let empty = SimLog::with_record(SimRecord::default(), Faults::none(), 3);
    let refused = repair().heal(&empty, &loss.path);
    assert!(matches!(refused, Err(RepairError::NoRecord)), "{refused:?}");
    let nowhere = loss.directory.path().join("nowhere");
    let refused = repair().heal(&loss.log, &nowhere);
    assert!(matches!(refused, Err(RepairError::NoReplica { .. })), "{refused:?}");
    assert!(!Path::new(&nowhere).exists(), "nothing was created");
}

/// The record lost its end, and the replica has no positions: its events are compared.
#[test]
fn a_replica_that_is_behind_the_record_has_nothing_to_heal() {
    let loss = Loss::new(log());
    drop(open(&loss.log, &loss.other()));
    repair().heal(&loss.log, &loss.path).expect("healed");
    for tail in [true, false] {
        if !tail {
            fs::remove_file(loss.other().join(TAIL)).expect("the file");
        }
        let healed = repair().heal(&loss.log, loss.other()).expect("nothing to do");
        assert!(healed.lost.is_empty(), "{healed:?}");
    }
}

/// An engine that loses the second part of a commit, once.
struct LosesAPart {
    log: SimLog,
    has_lost: AtomicBool,
}

impl CommitLog for LosesAPart {
    fn append(&self, after: Slot, entry: NewEntry, done: Done) {
        if entry.part.0 == 1 && !self.has_lost.swap(true, Ordering::SeqCst) {
            let outcome = AppendOutcome::Unknown(Cause::new("lost"));
            return done(AppendAnswer { outcome, time_ms: None });
        }
        self.log.append(after, entry, done);
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        self.log.read(after, limit)
    }

    fn ends(&self) -> Result<(Slot, Slot), LogError> {
        self.log.ends()
    }

    fn wait(&self, after: Slot, until: Instant) {
        self.log.wait(after, until);
    }

    fn check(&self) -> Result<Fitness, CheckError> {
        self.log.check()
    }

    fn limits(&self) -> LogLimits {
        LogLimits { entry_bytes: 2_048, under_way: 1 }
    }
}

/// All parts are sent again, behind the first part of the attempt before.
#[test]
fn a_commit_that_is_sent_again_in_parts_is_healed_where_it_landed() {
    let loss = Loss::new(log());
    let engine = LosesAPart { log: loss.log.clone(), has_lost: false.into() };
    let healed = repair().heal(&engine, &loss.path).expect("healed");
    assert!(engine.has_lost.load(Ordering::SeqCst));
    assert_eq!(hashes(&loss.log), loss.whole);
    assert_eq!(healed.record.slot, loss.log.change(|record| record.last()));
}

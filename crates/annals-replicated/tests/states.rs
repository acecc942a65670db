//! Each row of the table "What becomes of a commit" in docs/RECORD.md is reached, by a test with its name.

mod common;

use annals::RawEvent;
use annals_replicated::sim::SimRecord;
use annals_replicated::{
    AppendOutcome, Asked, Cause, Chain, Commit, CommitBatch, CommitHash, Content, Core,
    CoreSettings, Divergence, Epoch, Input, LogLimits, NewBatch, NewEntry, Now, Output, Position,
    ReadKind, ReadLimit, Refusal, RequestId, SendId, Slot, Start, Tip,
};
use bytes::Bytes;
use uuid::Uuid;

use common::Count;

const REQUEST: RequestId = RequestId(1);
const OTHER: Uuid = Uuid::from_u128(2);

fn events(number: u8) -> Vec<RawEvent> {
    vec![RawEvent::builder("counted").data(vec![number]).build().expect("an event")]
}

/// The requests of a core that were not answered yet.
#[derive(Default)]
struct Wanted {
    appends: Vec<(SendId, Slot, NewEntry)>,
    reads: Vec<Slot>,
    anchors: Vec<(Slot, usize, Asked)>,
}

/// A core at the end of a record.
struct Run {
    core: Core,
    replica: Count,
    record: SimRecord,
    now_ms: u64,
    asked: Wanted,
    reply: Option<Result<u64, Refusal>>,
    applied: Vec<u64>,
}

impl Run {
    /// Returns a core that has read a new record to its end.
    fn new() -> Self {
        let mut run = Self::start(SimRecord::new(Uuid::from_u128(7)), Vec::new(), 0);
        run.read_all();
        assert!(run.core.is_caught_up());
        // So that no commit waits for a check, unless time passes.
        run.step(Input::Reconnected);
        run.read_all();
        // So that the core watches the record on this connection.
        run.watched(Slot(1), Vec::new());
        run
    }

    /// Returns such a core, on an engine that takes entries of at most this size.
    fn with_entries_of(entry_bytes: usize) -> Self {
        let record = SimRecord::new(Uuid::from_u128(7));
        let mut run = Self::start_with(record, Vec::new(), 0, entry_bytes);
        run.read_all();
        run.step(Input::Reconnected);
        run.read_all();
        // So that the core watches the record on this connection.
        run.watched(Slot(1), Vec::new());
        run
    }

    fn start(record: SimRecord, positions: Vec<Position>, replica_head: u64) -> Self {
        Self::start_with(record, positions, replica_head, 1 << 20)
    }

    fn start_with(
        record: SimRecord,
        positions: Vec<Position>,
        replica_head: u64,
        entry_bytes: usize,
    ) -> Self {
        let limits = LogLimits { entry_bytes, under_way: 8 };
        let settings = CoreSettings::new(Uuid::from_u128(1), limits);
        let start = Start { positions, replica_head, ..Start::default() };
        let core = Core::new(settings, start, Now::default());
        let (asked, replica) = (Wanted::default(), Count(replica_head));
        let (reply, applied) = (None, Vec::new());
        let mut run = Self { core, replica, record, now_ms: 0, asked, reply, applied };
        run.step(Input::Ticked);
        run
    }

    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let now = Now { steady_ms: self.now_ms, wall_ms: 1_000 };
            for output in self.core.step(now, input, &self.replica) {
                match output {
                    Output::Append { send, after, entry } => {
                        self.asked.appends.push((send, after, entry));
                    }
                    Output::Read { kind: ReadKind::Now, after } => self.asked.reads.push(after),
                    Output::Anchor { after, count, asked, .. } => {
                        self.asked.anchors.push((after, count, asked));
                    }
                    Output::Apply { position, .. } => {
                        self.replica.0 = self.replica.0.max(position.tip.head);
                        self.applied.push(position.tip.number);
                        inputs.push(Input::Applied { number: position.tip.number });
                    }
                    Output::Answer { request, reply } => {
                        assert_eq!(request, REQUEST);
                        self.reply = Some(reply.map(|appended| appended.offsets.start));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Returns the answer to the last check that was asked for.
    fn anchored(&mut self) -> Option<Input> {
        let (after, count, asked) = self.asked.anchors.pop()?;
        let from = usize::try_from(after.0).expect("in memory");
        let entries = self.record.entries().iter().skip(from).take(count);
        Some(Input::Anchored { after, count, asked, entries: Ok(entries.cloned().collect()) })
    }

    /// Answers all reads, until the core asks for no more.
    fn read_all(&mut self) {
        loop {
            if let Some(answer) = self.anchored() {
                self.step(answer);
            } else if let Some(after) = self.asked.reads.pop() {
                let from = usize::try_from(after.0).expect("in memory");
                let entries = Ok(self.record.entries().iter().skip(from).cloned().collect());
                let kind = ReadKind::Now;
                self.step(Input::Entries { kind, after, entries, time_ms: None });
            } else {
                return;
            }
        }
    }

    fn submit(&mut self) -> (SendId, Slot, NewEntry) {
        let batch = NewBatch { events: events(1), ..NewBatch::default() };
        self.step(Input::Submitted { request: REQUEST, batch, deadline_ms: None });
        self.asked.appends.pop().expect("an append")
    }

    /// Submits an event with a payload of `bytes` bytes. Returns the appends of its commit.
    fn submit_large(
        &mut self,
        number: u8,
        bytes: usize,
        deadline_ms: Option<u64>,
    ) -> Vec<(SendId, Slot, NewEntry)> {
        let data = vec![number; bytes];
        let event = RawEvent::builder("counted").data(data).build().expect("an event");
        let batch = NewBatch { events: vec![event], ..NewBatch::default() };
        self.step(Input::Submitted { request: REQUEST, batch, deadline_ms });
        std::mem::take(&mut self.asked.appends)
    }

    /// Lets an entry arrive at the engine.
    fn arrive(&mut self, append: &(SendId, Slot, NewEntry)) -> AppendOutcome {
        self.record.arrive(append.1, &append.2.bytes, false)
    }

    /// Checks that no caller was told that a commit landed, unless the record has a valid commit.
    fn has_landed_truly(&self) {
        let acknowledged = matches!(self.reply, Some(Ok(_)));
        assert!(!acknowledged || self.tip().number > 0, "{:?}", self.reply);
    }

    fn answer(&mut self, send: SendId, outcome: AppendOutcome) {
        self.step(Input::Answered { send, outcome, time_ms: None });
    }

    /// Passes entries that the core waited for.
    fn watched(&mut self, after: Slot, entries: Vec<Bytes>) {
        let (kind, entries) = (ReadKind::Watch, Ok(entries));
        self.step(Input::Entries { kind, after, entries, time_ms: None });
    }

    /// Answers all that the core has asked for, after this time.
    fn round_trip(&mut self, time_ms: u64) {
        let Wanted { appends, reads, anchors } = std::mem::take(&mut self.asked);
        let mut answers = Vec::new();
        for (send, after, entry) in appends {
            let outcome = self.record.arrive(after, &entry.bytes, false);
            answers.push(Input::Answered { send, outcome, time_ms: None });
        }
        for (after, count, asked) in anchors {
            let limit = ReadLimit { entries: count, ..ReadLimit::default() };
            let entries = self.record.read(after, limit, 0);
            answers.push(Input::Anchored { after, count, asked, entries });
        }
        for after in reads {
            let entries = self.record.read(after, ReadLimit::default(), 0);
            answers.push(Input::Entries { kind: ReadKind::Now, after, entries, time_ms: None });
        }
        self.now_ms += time_ms;
        for answer in answers {
            self.step(answer);
        }
    }

    /// Lets the time pass until the core wants to do something, and reads what it asks for.
    fn wake(&mut self) {
        self.now_ms = self.core.next_wakeup().expect("a time");
        self.step(Input::Ticked);
        self.read_all();
    }

    fn tip(&self) -> Tip {
        let mut chain = Chain::new(None);
        for (entry, slot) in self.record.entries().iter().zip(1..) {
            chain.push(Slot(slot), entry);
        }
        *chain.tip().expect("a genesis")
    }

    /// Adds a commit of another writer to the record.
    fn other(&mut self, content: Content) -> Commit {
        let commit = self.tip().next(OTHER, content);
        self.store(&commit);
        commit
    }

    fn store(&mut self, commit: &Commit) {
        for entry in commit.entries(usize::MAX) {
            self.record.arrive(self.record.last(), &entry, true);
        }
    }

    /// Checks that the append has not returned, and that reading the record shows the change.
    fn is_in_doubt_and_then_diverged(&mut self) {
        assert!(self.reply.is_none(), "{:?}", self.reply);
        self.read_all();
        assert!(matches!(self.reply, Some(Err(Refusal::InDoubt))), "{:?}", self.reply);
        assert_eq!(self.core.divergence(), Some(Divergence::Changed { slot: Slot(2) }));
    }
}

fn batch(number: u8) -> Content {
    Content::Events(vec![CommitBatch { time_ms: 2_000, events: events(number) }])
}

#[test]
fn lands_at_the_expected_slot() {
    let mut run = Run::new();
    let (send, after, _) = run.submit();
    run.answer(send, AppendOutcome::At(after.next()));
    assert!(matches!(run.reply, Some(Ok(0))));
}

/// Each commit of another process takes the slot of one that the record lost. The engine compares slots only.
#[test]
fn lands_only_while_the_record_still_has_the_commit_before_it() {
    for (is_lost, waits) in [(false, false), (false, true), (true, true)] {
        let mut run = Run::new();
        let (send, after, entry) = run.submit();
        run.record.arrive(after, &entry.bytes, false);
        run.answer(send, AppendOutcome::At(Slot(2)));
        assert!(matches!(run.reply.take(), Some(Ok(0))));
        if is_lost {
            run.record = SimRecord::new(Uuid::from_u128(7));
            run.other(batch(2));
        }
        run.now_ms += if waits { 1_000 } else { 100 };
        let (send, after, entry) = run.submit();
        run.record.arrive(after, &entry.bytes, false);
        assert_eq!(!run.asked.anchors.is_empty(), waits, "the check does not wait for the answer");
        run.answer(send, AppendOutcome::At(Slot(3)));
        assert_eq!(run.reply.is_some(), !waits);
        run.read_all();
        match (is_lost, run.reply) {
            (true, Some(Err(Refusal::InDoubt))) | (false, Some(Ok(1))) => {}
            (is_lost, reply) => panic!("{is_lost}: {reply:?}"),
        }
        let changed = Divergence::Changed { slot: Slot(2) };
        assert_eq!(run.core.divergence(), is_lost.then_some(changed));
        assert_eq!(run.applied.contains(&2), !is_lost, "{:?}", run.applied);
    }
}

/// Lets a commit land, and sends another one a second later. Returns the other one, and the answer to the check of the
/// first one, which is under way. Then the record loses the first one, and stores the other behind another commit.
fn overtaken_during_a_check() -> (Run, SendId, Input) {
    let mut run = Run::new();
    let (send, after, entry) = run.submit();
    run.record.arrive(after, &entry.bytes, false);
    run.answer(send, AppendOutcome::At(Slot(2)));
    assert!(matches!(run.reply.take(), Some(Ok(0))));
    run.now_ms += 1_000;
    let (send, after, entry) = run.submit();
    let early = run.anchored().expect("a check");
    run.record = SimRecord::new(Uuid::from_u128(7));
    run.other(batch(2));
    run.record.arrive(after, &entry.bytes, false);
    (run, send, early)
}

/// The process or the engine may be paused while a check is under way.
#[test]
fn does_not_land_after_a_check_that_was_asked_for_long_before() {
    let (mut run, send, early) = overtaken_during_a_check();
    run.now_ms += 3_000;
    run.step(early);
    run.answer(send, AppendOutcome::At(Slot(3)));
    run.is_in_doubt_and_then_diverged();
}

/// An answer that comes late counts if it was asked for late enough: an engine may be slow for good.
#[test]
fn lands_after_a_check_that_was_asked_for_later_than_it_was_stored() {
    let mut run = Run::new();
    run.now_ms += 1_000;
    let (send, after, entry) = run.submit();
    run.record.arrive(after, &entry.bytes, false);
    run.answer(send, AppendOutcome::At(Slot(2)));
    let check = run.anchored().expect("a check");
    run.now_ms += 3_000;
    run.step(check);
    assert!(matches!(run.reply, Some(Ok(0))), "{:?}", run.reply);
}

#[test]
fn does_not_land_after_a_check_on_another_connection() {
    let (mut run, send, early) = overtaken_during_a_check();
    run.step(Input::Reconnected);
    run.step(early);
    run.answer(send, AppendOutcome::At(Slot(3)));
    run.is_in_doubt_and_then_diverged();
}

/// Two commits are under way. The engine stores the first one, loses it, and stores the second one behind another
/// commit. The record still has the commit before both.
#[test]
fn does_not_land_behind_an_own_commit_that_was_sent_long_before() {
    let mut run = Run::new();
    let (first, ..) = run.submit();
    let (second, after, entry) = run.submit();
    run.other(batch(2));
    run.record.arrive(after, &entry.bytes, false);
    run.now_ms += 3_000;
    run.answer(first, AppendOutcome::At(Slot(2)));
    run.answer(second, AppendOutcome::At(Slot(3)));
    let check = run.anchored().expect("a check");
    run.step(check);
    assert!(matches!(run.reply, Some(Ok(0))), "the first: {:?}", run.reply);
    run.asked.reads.clear();
    run.read_all();
    assert!(matches!(run.reply, Some(Err(Refusal::InDoubt))), "{:?}", run.reply);
    assert_eq!(run.core.divergence(), Some(Divergence::Changed { slot: Slot(2) }));
}

/// The answer to a read is as old as the commit that it shows.
#[test]
fn does_not_land_behind_a_commit_of_another_that_was_read_long_before() {
    let mut run = Run::new();
    let lost = run.other(batch(2)).entries(usize::MAX);
    run.record = SimRecord::new(Uuid::from_u128(7));
    run.now_ms += 3_000;
    run.read_all();
    run.watched(Slot(1), lost);
    run.read_all();
    assert_eq!(run.core.position().map(|position| position.slot), Some(Slot(2)));
    run.other(batch(3));
    let (send, after, entry) = run.submit();
    run.record.arrive(after, &entry.bytes, false);
    run.answer(send, AppendOutcome::At(Slot(3)));
    run.is_in_doubt_and_then_diverged();
}

/// A void entry is behind the last valid commit. The record loses it, and a valid commit takes its slot. The engine
/// compares slots only, and stores the process's commit behind that one. The record still has the commit before both.
#[test]
fn does_not_land_behind_void_entries_that_the_record_lost() {
    for is_seen_by_a_read in [false, true] {
        let mut run = Run::new();
        run.record.arrive(Slot(1), &Bytes::from_static(b"stray"), false);
        run.watched(Slot(1), run.record.entries()[1..].to_vec());
        run.read_all();
        run.record = SimRecord::new(Uuid::from_u128(7));
        run.other(batch(2));
        run.now_ms += 1_000;
        let (send, after, entry) = run.submit();
        let outcome = run.record.arrive(after, &entry.bytes, false);
        assert!(matches!(outcome, AppendOutcome::At(Slot(3))), "{outcome:?}");
        if is_seen_by_a_read {
            run.watched(Slot(2), vec![entry.bytes]);
        } else {
            run.answer(send, AppendOutcome::At(Slot(3)));
        }
        run.read_all();
        assert!(run.reply.is_none(), "{:?}", run.reply);
        assert_eq!((run.core.divergence(), &run.applied[..]), (None, &[0, 1][..]));
        let (_, after, entry) = run.asked.appends.pop().expect("its batch is admitted anew");
        assert_eq!((after, entry.number, entry.first_offset), (Slot(3), 2, 1));
    }
}

/// The engine stores the second of two commits, answers, and loses it. The first one is stored after that.
#[test]
fn does_not_land_by_an_answer_from_before_a_loss() {
    let mut run = Run::new();
    let (first, ..) = run.submit();
    let (second, ..) = run.submit();
    run.answer(second, AppendOutcome::At(Slot(3)));
    run.now_ms += 1_000;
    run.answer(first, AppendOutcome::Unknown(Cause::new("lost")));
    run.read_all();
    run.wake();
    for expected in [0, 1] {
        let (send, after, entry) = run.asked.appends.pop().expect("it is sent again");
        run.record.arrive(after, &entry.bytes, false);
        run.answer(send, AppendOutcome::At(after.next()));
        run.read_all();
        assert!(matches!(run.reply, Some(Ok(offset)) if offset == expected), "{:?}", run.reply);
    }
}

/// The same, if the loss is short and ends the connection. Then a void entry, which the record lost, was before the
/// second entry, which is a commit or the second part of one.
#[test]
fn does_not_land_by_an_answer_on_another_connection() {
    let mut run = Run::new();
    let (first, ..) = run.submit();
    let (second, ..) = run.submit();
    run.answer(second, AppendOutcome::At(Slot(3)));
    run.step(Input::Reconnected);
    run.answer(first, AppendOutcome::Unknown(Cause::new("lost")));
    run.read_all();
    run.wake();
    let again = run.asked.appends.pop().expect("it is sent again");
    let outcome = run.arrive(&again);
    run.answer(again.0, outcome);
    run.read_all();
    let slot = run.core.position().map(|position| position.slot);
    assert_eq!(slot, Some(Slot(2)), "the record has two entries");

    let mut run = Run::with_entries_of(2_048);
    let parts = run.submit_large(1, 3_000, None);
    run.record.arrive(Slot(1), &Bytes::from_static(b"stray"), false);
    let outcome = run.arrive(&parts[1]);
    run.answer(parts[1].0, outcome);
    run.record = SimRecord::new(Uuid::from_u128(7));
    run.step(Input::Reconnected);
    run.answer(parts[0].0, AppendOutcome::Unknown(Cause::new("lost")));
    run.read_all();
    run.wake();
    let again = run.asked.appends.pop().expect("it is sent again");
    let outcome = run.arrive(&again);
    run.answer(again.0, outcome);
    run.read_all();
    run.has_landed_truly();
}

/// A commit that nobody waits for any more has as many parts as the next one, and its first part arrives late. The engine
/// keeps its promises.
#[test]
fn does_not_land_behind_a_part_of_an_abandoned_commit() {
    let mut run = Run::with_entries_of(2_048);
    let abandoned = run.submit_large(1, 3_000, Some(100));
    run.now_ms = 100;
    let mut sent = run.submit_large(2, 3_000, None);
    assert!(matches!(run.reply.take(), Some(Err(Refusal::InDoubt))));
    run.arrive(&abandoned[0]);
    run.watched(Slot(1), run.record.entries()[1..].to_vec());
    for append in sent.drain(..) {
        let outcome = run.arrive(&append);
        run.answer(append.0, outcome);
    }
    while let Some(check) = run.anchored() {
        run.step(check);
    }
    run.has_landed_truly();
}

/// Another server takes smaller entries only. The first part in the old size was on its way to the server before.
#[test]
fn does_not_land_behind_a_part_of_another_size() {
    let mut run = Run::with_entries_of(2_800);
    let old = run.submit_large(1, 3_000, None);
    let behind = run.submit_large(2, 2_000, None);
    run.answer(behind[0].0, AppendOutcome::TooLarge);
    let new = std::mem::take(&mut run.asked.appends);
    assert_eq!((new[0].2.part, new[0].2.hash), (old[0].2.part, old[0].2.hash));
    assert_ne!(new[0].2.bytes, old[0].2.bytes);
    run.arrive(&old[0]);
    assert!(matches!(run.arrive(&new[0]), AppendOutcome::Refused));
    run.watched(Slot(1), run.record.entries()[1..].to_vec());
    let outcome = run.arrive(&new[1]);
    assert!(matches!(outcome, AppendOutcome::At(Slot(3))), "{outcome:?}");
    run.answer(new[1].0, outcome);
    while let Some(check) = run.anchored() {
        run.step(check);
    }
    run.has_landed_truly();
}

/// A newer version of annals appended a commit in the place of a void entry that the record lost.
#[test]
fn does_not_land_behind_an_entry_of_a_newer_format() {
    let mut run = Run::new();
    run.record.arrive(Slot(1), &Bytes::from_static(b"stray"), false);
    run.watched(Slot(1), run.record.entries()[1..].to_vec());
    run.read_all();
    run.record = SimRecord::new(Uuid::from_u128(7));
    let mut newer = run.tip().next(OTHER, batch(2)).entries(usize::MAX)[0].to_vec();
    newer[4] = 2;
    let summed = [&newer[..8], &newer[12..]].concat();
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &summed);
    newer[8..12].copy_from_slice(&u32::try_from(sum).expect("32 bits").to_le_bytes());
    run.record.arrive(Slot(1), &newer.into(), false);
    run.now_ms += 1_000;
    let (send, after, entry) = run.submit();
    let outcome = run.record.arrive(after, &entry.bytes, false);
    run.answer(send, outcome);
    run.read_all();
    assert!(!matches!(run.reply, Some(Ok(_))), "{:?}", run.reply);
    assert!(matches!(run.core.divergence(), Some(Divergence::Newer(_))));
}

/// The engine returns what it had long ago.
#[test]
fn is_not_taken_from_a_read_from_before_a_loss() {
    let mut run = Run::new();
    run.now_ms += 1_000;
    let (send, after, entry) = run.submit();
    run.record.arrive(after, &entry.bytes, false);
    run.answer(send, AppendOutcome::At(Slot(2)));
    run.read_all();
    assert!(matches!(run.reply, Some(Ok(0))), "{:?}", run.reply);
    run.other(batch(2));
    run.watched(Slot(1), run.record.entries()[1..].to_vec());
    assert_eq!(run.applied, [0, 1], "it is read again");
    run.read_all();
    assert_eq!(run.applied, [0, 1, 2]);
}

/// Two processes had read a commit, and the record lost it. A third one filled its slot, and the first one appended
/// behind it. The second one, which has nothing under way, reads that.
#[test]
fn is_taken_only_while_the_record_has_the_commit_before_it() {
    for (is_lost, waits) in [(false, false), (false, true), (true, true)] {
        let mut run = Run::new();
        run.other(batch(2));
        run.watched(Slot(1), run.record.entries()[1..].to_vec());
        run.step(Input::Reconnected);
        run.read_all();
        // The next read is asked for on this connection.
        run.watched(Slot(2), Vec::new());
        assert_eq!(run.applied, [0, 1]);
        let next = run.tip().next(OTHER, batch(3));
        if is_lost {
            run.record = SimRecord::new(Uuid::from_u128(7));
            run.other(batch(4));
        }
        run.now_ms += if waits { 1_000 } else { 100 };
        run.store(&next);
        run.watched(Slot(2), next.entries(usize::MAX));
        assert_eq!(run.applied.contains(&2), !waits, "it waits for a check: {:?}", run.applied);
        run.read_all();
        assert_eq!(run.applied.contains(&2), !is_lost, "{:?}", run.applied);
        let changed = Divergence::Changed { slot: Slot(2) };
        assert_eq!(run.core.divergence(), is_lost.then_some(changed));
    }
}

/// Each answer of the engine takes longer than a check holds.
#[test]
fn lands_with_those_behind_it_after_one_check_if_answers_are_slow() {
    let mut run = Run::new();
    let submit = |run: &mut Run| {
        let batch = NewBatch { events: events(1), ..NewBatch::default() };
        run.step(Input::Submitted { request: REQUEST, batch, deadline_ms: None });
    };
    (0..8).for_each(|_| submit(&mut run));
    assert_eq!(run.asked.appends.len(), 8, "as many as may be under way");
    (0..3).for_each(|_| run.round_trip(800));
    assert_eq!(run.replica.0, 8, "the commits do not wait for each other");
    for _ in 0..100 {
        submit(&mut run);
        run.round_trip(800);
    }
    (0..4).for_each(|_| run.round_trip(800));
    assert_eq!(run.replica.0, 108);
    assert!(matches!(run.reply, Some(Ok(_))), "{:?}", run.reply);
}

/// A read may show a process its own commit before the engine's answer arrives.
#[test]
fn is_not_taken_from_a_read_unless_the_record_has_the_commit_before_it() {
    for kind in [ReadKind::Watch, ReadKind::Now] {
        let mut run = Run::new();
        let (send, after, entry) = run.submit();
        run.record.arrive(after, &entry.bytes, false);
        run.answer(send, AppendOutcome::At(Slot(2)));
        run.reply = None;
        run.record = SimRecord::new(Uuid::from_u128(7));
        run.other(batch(2));
        run.now_ms += 1_000;
        let (_, after, entry) = run.submit();
        run.record.arrive(after, &entry.bytes, false);
        let entries = Ok(vec![entry.bytes]);
        run.step(Input::Entries { kind, after: Slot(2), entries, time_ms: None });
        assert!(run.reply.is_none() && !run.applied.contains(&2), "{:?}", run.applied);
        run.read_all();
        assert!(matches!(run.reply, Some(Err(Refusal::InDoubt))), "{:?}", run.reply);
        assert_eq!(run.core.divergence(), Some(Divergence::Changed { slot: Slot(2) }));
    }
}

#[test]
fn settles_after_any_other_answer() {
    let unknown = AppendOutcome::Unknown(Cause::new("lost"));
    for outcome in [AppendOutcome::Refused, unknown, AppendOutcome::At(Slot(1))] {
        let mut run = Run::new();
        let (send, after, _) = run.submit();
        run.answer(send, outcome);
        assert_eq!((run.core.doubts(), &run.asked.reads[..]), (1, &[after][..]));
        assert!(run.reply.is_none());
    }
}

#[test]
fn lands_where_the_record_shows_it() {
    let mut run = Run::new();
    let (send, _, entry) = run.submit();
    run.answer(send, AppendOutcome::Refused);
    let stranger = Bytes::from_static(b"stray");
    run.record.arrive(run.record.last(), &stranger, true);
    run.record.arrive(run.record.last(), &entry.bytes, true);
    run.read_all();
    assert!(matches!(run.reply, Some(Ok(0))));
    assert_eq!(run.core.position().map(|position| position.slot), Some(Slot(3)));
}

#[test]
fn dies_behind_another_commit() {
    let mut run = Run::new();
    let (send, _, dead) = run.submit();
    run.other(batch(2));
    run.answer(send, AppendOutcome::Refused);
    run.read_all();
    let (_, after, entry) = run.asked.appends.pop().expect("its batch is admitted anew");
    assert_eq!((after, entry.number, entry.first_offset), (Slot(2), 2, 1));
    assert_ne!(entry.hash, dead.hash);
}

#[test]
fn is_sent_again_unchanged() {
    let mut run = Run::new();
    let (send, _, first) = run.submit();
    run.answer(send, AppendOutcome::Refused);
    let stranger = Bytes::from_static(b"stray");
    run.record.arrive(run.record.last(), &stranger, true);
    run.read_all();
    assert!(run.asked.appends.is_empty(), "after a pause");
    run.wake();
    let (_, after, again) = run.asked.appends.pop().expect("the same entry");
    assert_eq!((after, again), (Slot(2), first));
}

#[test]
fn is_dead_if_it_was_not_sent() {
    let mut run = Run::new();
    let (send, ..) = run.submit();
    run.answer(send, AppendOutcome::NotSent(Cause::new("away")));
    assert_eq!(run.core.doubts(), 0);
    run.wake();
    assert!(run.asked.appends.pop().is_some(), "its batch is tried again");
    let mut run = Run::new();
    let (send, ..) = run.submit();
    run.answer(send, AppendOutcome::Full);
    assert!(matches!(run.reply, Some(Err(Refusal::Full))));
}

/// The engine does not send the first of two commits, and does not answer about the second one. No other writer appends.
#[test]
fn is_sent_again_unchanged_if_one_behind_it_may_be_stored() {
    for outcome in [AppendOutcome::NotSent(Cause::new("away")), AppendOutcome::Full] {
        let mut run = Run::new();
        let (first, _, entry) = run.submit();
        let (_, _, behind) = run.submit();
        run.answer(first, outcome);
        assert!(run.reply.is_none(), "{:?}", run.reply);
        for (expected, offset) in [(entry, 0), (behind, 1)] {
            run.read_all();
            if run.asked.appends.is_empty() {
                run.wake();
            }
            let (send, after, again) = run.asked.appends.pop().expect("the same entry");
            assert_eq!(again, expected);
            run.record.arrive(after, &again.bytes, false);
            run.answer(send, AppendOutcome::At(after.next()));
            assert_eq!(run.reply.take().map(|reply| reply.expect("it lands")), Some(offset));
        }
    }
}

/// Both commits were not sent, and the engine says so in the order of their answers.
#[test]
fn is_dead_once_those_behind_it_were_not_sent() {
    let mut run = Run::new();
    let (first, ..) = run.submit();
    let (second, ..) = run.submit();
    for send in [first, second] {
        run.answer(send, AppendOutcome::NotSent(Cause::new("away")));
    }
    assert_eq!(run.core.doubts(), 0);
    run.now_ms = 40_000;
    run.step(Input::Ticked);
    assert!(matches!(run.reply, Some(Err(Refusal::Unavailable))), "{:?}", run.reply);
}

#[test]
fn is_split_if_it_is_too_large() {
    let mut run = Run::new();
    let batch = NewBatch {
        events: vec![RawEvent::builder("e").data(vec![1; 5_000]).build().expect("an event")],
        ..NewBatch::default()
    };
    run.step(Input::Submitted { request: REQUEST, batch, deadline_ms: None });
    let (send, _, whole) = run.asked.appends.pop().expect("an append");
    run.answer(send, AppendOutcome::TooLarge);
    let parts: Vec<_> = run.asked.appends.iter().map(|(.., part)| part).collect();
    assert!(parts.len() > 1 && parts.iter().all(|part| part.hash == whole.hash));
}

#[test]
fn is_unavailable_if_it_waits_too_long() {
    let mut run = Run::new();
    let (send, ..) = run.submit();
    run.answer(send, AppendOutcome::NotSent(Cause::new("away")));
    run.now_ms = 30_000;
    run.step(Input::Ticked);
    assert!(matches!(run.reply, Some(Err(Refusal::Unavailable))));
}

#[test]
fn is_in_doubt_if_its_outcome_takes_too_long() {
    let mut run = Run::new();
    run.submit();
    run.now_ms = 30_000;
    run.step(Input::Ticked);
    assert!(matches!(run.reply, Some(Err(Refusal::InDoubt))));
    assert_eq!(run.core.doubts(), 1, "settling goes on");
}

#[test]
fn is_ended_by_a_barrier() {
    let mut run = Run::new();
    let (.., entry) = run.submit();
    run.now_ms = 30_000;
    run.step(Input::Ticked);
    run.read_all();
    let (send, after, barrier) = run.asked.appends.pop().expect("a barrier");
    assert_eq!((barrier.events, barrier.number), (0, entry.number));
    run.answer(send, AppendOutcome::At(after.next()));
    assert_eq!(run.core.doubts(), 0);
}

/// Of two commits that were given up, the record shows the first one. The second one is decided on that, and may land.
#[test]
fn is_ended_by_another_barrier_if_one_behind_it_was_given_up() {
    let mut run = Run::new();
    let first = run.submit_large(1, 10, Some(100)).remove(0);
    let second = run.submit_large(2, 10, Some(100)).remove(0).2;
    run.arrive(&first);
    run.now_ms = 100;
    run.step(Input::Ticked);
    assert!(matches!(run.reply, Some(Err(Refusal::InDoubt))));
    run.read_all();
    assert_eq!(run.core.doubts(), 1, "the second one may land");
    let barrier = run.asked.appends.pop().expect("a barrier");
    assert_eq!((barrier.2.events, barrier.2.number), (0, second.number));
    // The writer id. Parts of two commits with the same header might make a third one.
    assert_ne!(barrier.2.bytes[88..104], second.bytes[88..104]);
    let outcome = run.arrive(&barrier);
    run.answer(barrier.0, outcome);
    run.read_all();
    assert_eq!(run.core.doubts(), 0);
}

#[test]
fn diverges_if_the_record_changed() {
    let mut run = Run::new();
    let (send, after, _) = run.submit();
    run.answer(send, AppendOutcome::At(after.next()));
    run.record = SimRecord::new(Uuid::from_u128(7));
    run.other(batch(9));
    run.step(Input::Reconnected);
    run.read_all();
    assert_eq!(run.core.divergence(), Some(Divergence::Changed { slot: Slot(2) }));
}

#[test]
fn diverges_if_the_record_lost_its_end() {
    let mut run = Run::new();
    let (send, after, _) = run.submit();
    run.answer(send, AppendOutcome::At(after.next()));
    run.record = SimRecord::new(Uuid::from_u128(7));
    run.step(Input::Reconnected);
    run.read_all();
    while run.core.divergence().is_none() {
        run.now_ms += 1_000;
        run.step(Input::Ticked);
        run.read_all();
    }
    assert_eq!(run.core.divergence(), Some(Divergence::Lost { slot: Slot(2) }));
}

/// Returns an epoch that cuts behind a commit.
fn epoch(cut: Tip) -> Content {
    let (cut, cut_hash) = (cut.number, cut.hash);
    Content::Epoch(Epoch { time_ms: 6, cut, cut_hash, reason: "a restore".into() })
}

/// A record in which the commit 1 was lost and another writer went on; and what a replica with the lost one has.
fn overtaken() -> (Run, Vec<Position>, Tip) {
    let mut run = Run::new();
    let genesis = run.tip();
    let mut positions = vec![*run.core.position().expect("a genesis")];
    let lost = run.other(batch(1));
    run.step(Input::Reconnected);
    run.read_all();
    let position = *run.core.position().expect("the commit");
    assert_eq!(position.tip.hash, lost.hash());
    positions.push(position);
    run.record = SimRecord::new(Uuid::from_u128(7));
    run.other(batch(2));
    (run, positions, genesis)
}

#[test]
fn an_epoch_is_applied_at_or_before_its_cut() {
    let (mut run, positions, genesis) = overtaken();
    run.other(epoch(genesis));
    for known in [vec![], positions[..1].to_vec()] {
        let mut run = Run::start(run.record.clone(), known.clone(), 0);
        run.read_all();
        assert!(run.core.is_caught_up() && run.core.divergence().is_none());
        assert_eq!(run.applied.last(), Some(&2), "the epoch");
    }
}

#[test]
fn an_epoch_cuts_a_replica_beyond_it() {
    let (mut run, positions, genesis) = overtaken();
    let open = |run: &Run| {
        let mut run = Run::start(run.record.clone(), positions.clone(), 1);
        run.read_all();
        assert!(run.applied.is_empty(), "nothing is applied: {:?}", run.applied);
        run.core.divergence()
    };
    let changed = Some(Divergence::Changed { slot: Slot(2) });
    assert_eq!(open(&run), changed, "without an epoch");
    let elsewhere = Tip { hash: CommitHash([7; 32]), ..genesis };
    run.other(epoch(elsewhere));
    assert_eq!(open(&run), changed, "an epoch with another cut");
    run.other(epoch(genesis));
    assert_eq!(open(&run), Some(Divergence::Cut { cut: 0, epoch: 3 }));
}

/// The names in the table, and those of the tests.
#[test]
fn each_row_of_the_table_has_a_test() {
    let page = include_str!("../../../docs/RECORD.md");
    let table = page.split("## What becomes of a commit").nth(1).expect("the section");
    let table = table.split("\n## ").next().expect("its end");
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let mut named: Vec<&str> = rows.filter_map(|row| row.rsplit('`').nth(1)).collect();
    let source = include_str!("states.rs");
    let tests = source.split("#[test]\nfn ").skip(1);
    let mut tests: Vec<&str> = tests.filter_map(|test| test.split('(').next()).collect();
    tests.retain(|name| *name != "each_row_of_the_table_has_a_test");
    named.sort_unstable();
    tests.sort_unstable();
    assert_eq!(named, tests);
}

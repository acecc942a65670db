//! The protocol's state machine, step by step.

mod common;

use annals::{AppendError, Condition, Query, RawEvent};
use annals_replicated::sim::SimRecord;
use annals_replicated::{
    AppendOutcome, Cause, Commit, CommitBatch, Content, Core, CoreSettings, Divergence, Input,
    LogLimits, NewBatch, NewEntry, Now, Output, ReadKind, Refusal, RequestId, SendId, Slot, Start,
    Tip,
};
use uuid::Uuid;

use common::Count;

fn event(bytes: usize) -> RawEvent {
    RawEvent::builder("counted").data("x".repeat(bytes)).build().expect("an event")
}

/// Returns the settings for an engine that compares hashes.
fn settings() -> CoreSettings {
    let limits = LogLimits { entry_bytes: 1 << 20, under_way: 8 };
    CoreSettings { confirm_ms: None, ..CoreSettings::new(Uuid::from_u128(1), limits) }
}

/// A core with a replica, and the last slot of its record.
struct Run {
    core: Core,
    replica: Count,
    record: SimRecord,
    tip: Tip,
    now: Now,
}

impl Run {
    fn new(settings: CoreSettings, events: u64) -> Self {
        let record = SimRecord::new(Uuid::from_u128(7));
        let mut chain = annals_replicated::Chain::new(None);
        chain.push(record.last(), &record.entries()[0]);
        let tip = *chain.tip().expect("a genesis");
        let start = Start { replica_head: events, ..Start::default() };
        let core = Core::new(settings, start, Now::default());
        Self { core, replica: Count(events), record, tip, now: Now::default() }
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        self.core.step(self.now, input, &self.replica)
    }

    /// Adds a commit of another writer with one event to the record.
    fn other_commit(&mut self, event: RawEvent) -> Commit {
        let batches = vec![CommitBatch { time_ms: 1, events: vec![event] }];
        let commit = self.tip.next(Uuid::from_u128(2), Content::Events(batches));
        self.tip = self.tip.after(&commit).expect("it follows");
        let entries = commit.entries(usize::MAX);
        self.record.arrive(self.record.last(), &entries[0], false);
        commit
    }

    /// Passes the entries behind `after` to the core.
    fn entries(&mut self, after: Slot) -> Vec<Output> {
        let from = usize::try_from(after.0).expect("a slot in memory");
        let entries = Ok(self.record.entries()[from..].to_vec());
        self.step(Input::Entries { kind: ReadKind::Now, after, entries, time_ms: None })
    }

    /// Lets the core read the record to its end.
    fn catch_up(&mut self) {
        self.step(Input::Ticked);
        self.entries(Slot(0));
        self.entries(self.record.last());
        assert!(self.core.is_caught_up());
    }
}

/// Returns the first append that the core wants, and the slot where it expects the entry.
fn appended(outputs: &[Output]) -> Option<(SendId, Slot, &NewEntry)> {
    outputs.iter().find_map(|output| match output {
        Output::Append { send, after, entry } => Some((*send, after.next(), entry)),
        _ => None,
    })
}

fn answers(outputs: &[Output]) -> Vec<(RequestId, Option<&Refusal>)> {
    let answer = |output| match output {
        &Output::Answer { request, ref reply } => Some((request, reply.as_ref().err())),
        _ => None,
    };
    outputs.iter().filter_map(answer).collect()
}

/// A commit of this process has landed behind a commit that differs from the replica. Neither is applied, and the
/// caller gets its answer all the same.
#[test]
fn a_caller_whose_commit_landed_behind_one_that_differs_is_answered() {
    let mut run = Run::new(settings(), 1);
    run.other_commit(event(1));
    run.step(Input::Ticked);
    run.entries(Slot(0));
    run.entries(run.record.last());
    let batch = NewBatch { events: vec![event(1)], ..NewBatch::default() };
    let request = RequestId(1);
    let outputs = run.step(Input::Submitted { request, batch, deadline_ms: None });
    let append = outputs.iter().find_map(|output| match output {
        Output::Append { send, after, .. } => Some((*send, after.next())),
        _ => None,
    });
    let (send, slot) = append.expect("an append");
    let outcome = AppendOutcome::At(slot);
    let landed = run.step(Input::Answered { send, outcome, time_ms: None });
    assert!(landed.iter().any(|output| matches!(output, Output::Apply { .. })), "{landed:?}");
    assert!(answers(&landed).is_empty(), "it is not applied yet");
    let ended = run.step(Input::ApplyDiffers { slot: Slot(2) });
    let [(answered, Some(Refusal::InDoubt))] = answers(&ended)[..] else { panic!("{ended:?}") };
    assert_eq!(answered, request);
    let changed = Divergence::Changed { slot: Slot(2) };
    assert_eq!(run.core.divergence(), Some(changed));
    let again = run.step(Input::ApplyDiffers { slot: Slot(3) });
    assert!(again.is_empty(), "a divergence is reported once: {again:?}");
    assert_eq!(run.core.divergence(), Some(changed));
}

/// Returns whether the core wants to read.
fn reads(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Read { .. }))
}

#[test]
fn reading_pauses_while_large_commits_wait_to_be_applied() {
    let mut run = Run::new(CoreSettings { unapplied_bytes: 10_000, ..settings() }, 0);
    let mut goes_on = Vec::new();
    run.step(Input::Ticked);
    // The first read shows the genesis too. None of them shows the end of the record, so the core wants to go on.
    let mut after = Slot(0);
    for bytes in [6_000, 6_000, 1_000, 10_001] {
        run.other_commit(event(bytes));
        goes_on.push(reads(&run.entries(after)));
        after = run.record.last();
    }
    assert_eq!(goes_on, [true, false, false, false]);
    // The last commit alone exceeds the limit.
    let applied = (0..5).map(|number| {
        run.replica.0 = number;
        reads(&run.step(Input::Applied { number }))
    });
    assert_eq!(applied.collect::<Vec<_>>(), [false, false, false, false, true]);
}

/// The callbacks of a commit append, so it is reported as applied behind many others.
#[test]
fn commits_that_are_applied_do_not_pause_reading() {
    let mut run = Run::new(settings(), 0);
    run.step(Input::Ticked);
    let mut after = Slot(0);
    for number in 1..600 {
        run.other_commit(event(1));
        assert!(reads(&run.entries(after)), "commit {number}");
        after = run.record.last();
        run.replica.0 = number;
        if number > 1 {
            run.step(Input::Applied { number });
        }
    }
}

/// Reading needs no clock, and events do.
#[test]
fn a_clock_that_is_ahead_refuses_events_and_no_barrier() {
    let mut run = Run::new(settings(), 0);
    run.now.wall_ms = 100_000;
    run.catch_up();
    let (kind, after, entries) = (ReadKind::Now, run.record.last(), Ok(Vec::new()));
    let outputs = run.step(Input::Reconnected);
    let asked = outputs.iter().find_map(|output| match output {
        Output::Anchor { asked, .. } => Some(*asked),
        _ => None,
    });
    let (asked, all) = (asked.expect("a check"), Ok(run.record.entries().to_vec()));
    run.step(Input::Anchored { after: Slot(0), count: 1, asked, entries: all });
    run.step(Input::Entries { kind, after, entries, time_ms: Some(89_000) });
    let batch = NewBatch { events: vec![event(1)], ..NewBatch::default() };
    let outputs = run.step(Input::Submitted { request: RequestId(1), batch, deadline_ms: None });
    let [(_, Some(Refusal::ClockAhead { ahead_ms: 11_000 }))] = answers(&outputs)[..] else {
        panic!("{outputs:?}")
    };
    let (request, batch) = (RequestId(2), NewBatch::default());
    let outputs = run.step(Input::Submitted { request, batch, deadline_ms: None });
    let (send, slot, _) = appended(&outputs).expect("a barrier");
    let outcome = AppendOutcome::At(slot);
    run.step(Input::Answered { send, outcome, time_ms: Some(89_000) });
    let outputs = run.step(Input::Applied { number: 1 });
    assert_eq!(answers(&outputs).len(), 1);
    assert!(answers(&outputs)[0].1.is_none(), "{outputs:?}");
}

/// The engine is away when the barrier is to be sent that ends a doubt.
#[test]
fn a_doubt_lasts_until_its_barrier_has_landed() {
    let mut run = Run::new(settings(), 0);
    run.catch_up();
    let batch = NewBatch { events: vec![event(1)], ..NewBatch::default() };
    let deadline_ms = Some(1_000);
    let outputs = run.step(Input::Submitted { request: RequestId(1), batch, deadline_ms });
    let (send, ..) = appended(&outputs).expect("an append");
    let away = || Cause::new("away");
    let outcome = AppendOutcome::Unknown(away());
    run.step(Input::Answered { send, outcome, time_ms: None });
    assert_eq!(run.core.doubts(), 1);
    run.now.steady_ms = 1_000;
    let mut outputs = run.step(Input::Ticked);
    assert!(matches!(answers(&outputs)[..], [(RequestId(1), Some(Refusal::InDoubt))]));
    for _ in 0..3 {
        let (send, _, entry) = appended(&outputs).expect("a barrier");
        assert_eq!((run.core.doubts(), entry.events), (1, 0));
        let outcome = AppendOutcome::NotSent(away());
        run.step(Input::Answered { send, outcome, time_ms: None });
        assert_eq!(run.core.doubts(), 1);
        run.now.steady_ms = run.core.next_wakeup().expect("another attempt");
        outputs = run.step(Input::Ticked);
    }
    let (send, slot, _) = appended(&outputs).expect("a barrier");
    let outcome = AppendOutcome::At(slot);
    run.step(Input::Answered { send, outcome, time_ms: None });
    assert_eq!(run.core.doubts(), 0);
}

/// A caller has a head that another process has reached, and this one has not read yet.
#[test]
fn a_condition_from_another_process_is_refused_only_if_the_record_has_no_such_head() {
    let mut run = Run::new(settings(), 0);
    run.catch_up();
    run.other_commit(event(1));
    let conditional = |after| NewBatch {
        events: vec![event(1)],
        conditions: vec![Condition::fail_if(Query::event_type("counted")).after(after)],
        ..NewBatch::default()
    };
    let batch = conditional(1);
    let outputs = run.step(Input::Submitted { request: RequestId(1), batch, deadline_ms: None });
    let (send, _, barrier) = appended(&outputs).expect("a barrier");
    assert!(barrier.events == 0 && answers(&outputs).is_empty(), "{outputs:?}");
    run.step(Input::Answered { send, outcome: AppendOutcome::Refused, time_ms: None });
    let outputs = run.entries(Slot(1));
    let (send, slot, entry) = appended(&outputs).expect("the batch");
    assert_eq!((slot, entry.first_offset, entry.events), (Slot(3), 1, 1));
    let outcome = AppendOutcome::At(slot);
    run.step(Input::Answered { send, outcome, time_ms: None });
    run.replica.0 = 2;
    let outputs = run.step(Input::Applied { number: 2 });
    assert!(matches!(answers(&outputs)[..], [(RequestId(1), None)]), "{outputs:?}");
    // No process has reached this head.
    let batch = conditional(3);
    let outputs = run.step(Input::Submitted { request: RequestId(2), batch, deadline_ms: None });
    let (send, slot, _) = appended(&outputs).expect("a barrier");
    let outcome = AppendOutcome::At(slot);
    run.step(Input::Answered { send, outcome, time_ms: None });
    let outputs = run.step(Input::Applied { number: 3 });
    let [(RequestId(2), Some(refusal))] = answers(&outputs)[..] else { panic!("{outputs:?}") };
    let beyond = |error: &AppendError| {
        matches!(error, AppendError::ConditionBeyondHead { after: 3, head: 2 })
    };
    assert!(matches!(refusal, Refusal::Append(error) if beyond(error)), "{refusal:?}");
}

#[test]
fn every_own_commit_that_lost_is_counted() {
    let mut run = Run::new(settings(), 0);
    run.catch_up();
    for request in [1, 2].map(RequestId) {
        let batch = NewBatch { events: vec![event(1)], ..NewBatch::default() };
        let outputs = run.step(Input::Submitted { request, batch, deadline_ms: None });
        assert!(appended(&outputs).is_some(), "{outputs:?}");
    }
    run.other_commit(event(1));
    let after = run.record.last();
    run.entries(Slot(after.0 - 1));
    assert_eq!(run.core.counts().lost_races, 2);
}

/// Each read shows another commit. The core has caught up once it has read what the record had when the core began.
#[test]
fn a_core_catches_up_although_no_read_shows_the_end() {
    let mut run = Run::new(settings(), 0);
    let start = Start { last: Some(Slot(3)), ..Start::default() };
    run.core = Core::new(settings(), start, Now::default());
    run.step(Input::Ticked);
    for last in 1..=3 {
        assert!(!run.core.is_caught_up());
        run.entries(Slot(last - 1));
        run.other_commit(event(1));
    }
    assert!(run.core.is_caught_up());
}

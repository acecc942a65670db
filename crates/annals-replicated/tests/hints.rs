//! Writers take turns: one that lost a race says so, and one that hears it gives way after its next commit. Time is
//! that of the test.

mod common;

use annals::RawEvent;
use annals_replicated::sim::SimRecord;
use annals_replicated::{
    AppendOutcome, Chain, CommitBatch, Content, Core, CoreSettings, Input, LogLimits, NewBatch,
    Now, Output, ReadKind, RequestId, SendId, Slot, Start, Tip,
};
use uuid::Uuid;

use common::Count;

/// The shortest time for which a writer gives way, in ms.
const SHORTEST_MS: u64 = 20;

fn event() -> RawEvent {
    RawEvent::builder("counted").build().expect("an event")
}

/// A core that has read a new record, on an engine that compares hashes.
struct Run {
    core: Core,
    replica: Count,
    record: SimRecord,
    now_ms: u64,
    requests: u64,
}

impl Run {
    fn new() -> Self {
        let limits = LogLimits { entry_bytes: 1 << 20, under_way: 8 };
        let settings = CoreSettings::new(Uuid::from_u128(1), limits);
        let settings = CoreSettings { confirm_ms: None, ..settings };
        let core = Core::new(settings, Start::default(), Now::default());
        let record = SimRecord::new(Uuid::from_u128(7));
        let mut run = Self { core, replica: Count(0), record, now_ms: 0, requests: 0 };
        run.step(Input::Ticked);
        run.read(Slot(0));
        run.read(Slot(1));
        assert!(run.core.is_caught_up());
        run
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let now = Now { steady_ms: self.now_ms, wall_ms: 1_000 };
        self.core.step(now, input, &self.replica)
    }

    /// Lets time pass.
    fn pass(&mut self, time_ms: u64) -> Vec<Output> {
        self.now_ms += time_ms;
        self.step(Input::Ticked)
    }

    fn submit(&mut self) -> Vec<Output> {
        self.requests += 1;
        let (request, batch) =
            (RequestId(self.requests), NewBatch { events: vec![event()], ..NewBatch::default() });
        self.step(Input::Submitted { request, batch, deadline_ms: None })
    }

    /// Lets the engine store an append, which took so long.
    fn land(&mut self, append: (SendId, Slot), outputs: &[Output], time_ms: u64) -> Vec<Output> {
        let (send, after) = append;
        let entry = outputs.iter().find_map(|output| match output {
            Output::Append { send, entry, .. } if *send == append.0 => Some(entry.bytes.clone()),
            _ => None,
        });
        let outcome = self.record.arrive(after, &entry.expect("the append"), false);
        assert!(matches!(outcome, AppendOutcome::At(_)), "{outcome:?}");
        self.now_ms += time_ms;
        self.step(Input::Answered { send, outcome, time_ms: None })
    }

    /// Appends an event that the engine stores at once. Panics if the core does not send it.
    fn append(&mut self, time_ms: u64) -> Vec<Output> {
        let sent = self.submit();
        self.land(appended(&sent).expect("an append"), &sent, time_ms)
    }

    /// Adds a commit of another writer to the record.
    fn other(&mut self) {
        let mut chain = Chain::new(None);
        for (entry, slot) in self.record.entries().iter().zip(1..) {
            chain.push(Slot(slot), entry);
        }
        let tip: &Tip = chain.tip().expect("a genesis");
        let batch = CommitBatch { time_ms: 2_000, events: vec![event()] };
        let commit = tip.next(Uuid::from_u128(2), Content::Events(vec![batch]));
        let entry = &commit.entries(usize::MAX)[0];
        self.record.arrive(self.record.last(), entry, false);
    }

    /// Passes the entries behind `after` to the core.
    fn read(&mut self, after: Slot) -> Vec<Output> {
        let from = usize::try_from(after.0).expect("a slot in memory");
        let entries = Ok(self.record.entries()[from..].to_vec());
        self.step(Input::Entries { kind: ReadKind::Now, after, entries, time_ms: None })
    }
}

/// Returns the append that the core wants, and the slot behind which.
fn appended(outputs: &[Output]) -> Option<(SendId, Slot)> {
    outputs.iter().find_map(|output| match output {
        Output::Append { send, after, .. } => Some((*send, *after)),
        _ => None,
    })
}

fn hints(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::Hint)).count()
}

#[test]
fn a_writer_that_hears_no_hint_appends_without_a_pause() {
    let mut run = Run::new();
    run.append(30);
    assert!(appended(&run.submit()).is_some());
}

#[test]
fn a_writer_that_hears_a_hint_gives_way_for_four_round_trips() {
    for (round_trip_ms, pause_ms) in [(30, 120), (0, SHORTEST_MS), (4, SHORTEST_MS)] {
        let mut run = Run::new();
        let sent = run.submit();
        // It comes before the commit lands, or before it is sent.
        run.step(Input::Hinted);
        run.land(appended(&sent).expect("an append"), &sent, round_trip_ms);
        assert_eq!(appended(&run.submit()), None, "{round_trip_ms} ms");
        assert_eq!(run.core.next_wakeup(), Some(run.now_ms + pause_ms));
        assert_eq!(appended(&run.pass(pause_ms - 1)), None, "{round_trip_ms} ms");
        let sent = run.pass(1);
        let next = appended(&sent).expect("an append after the pause");
        // One hint is one turn.
        run.land(next, &sent, round_trip_ms);
        assert!(appended(&run.submit()).is_some(), "{round_trip_ms} ms");
    }
}

#[test]
fn the_commit_of_another_writer_ends_the_pause() {
    let mut run = Run::new();
    run.step(Input::Hinted);
    run.append(30);
    assert_eq!(appended(&run.submit()), None);
    run.other();
    let (_, after) = appended(&run.read(Slot(2))).expect("an append");
    assert_eq!(after, Slot(3));
}

#[test]
fn a_writer_that_loses_a_race_sends_a_hint_and_appends_again() {
    let mut run = Run::new();
    let (send, _) = appended(&run.submit()).expect("an append");
    run.other();
    let refused =
        run.step(Input::Answered { send, outcome: AppendOutcome::Refused, time_ms: None });
    assert_eq!(hints(&refused), 0, "a refusal may be wrong");
    let lost = run.read(Slot(1));
    assert_eq!(hints(&lost), 1);
    assert_eq!(run.core.counts().lost_races, 1);
    let (_, after) = appended(&lost).expect("an append");
    assert_eq!(after, Slot(2));
}

#[test]
fn a_writer_that_only_reads_sends_no_hint() {
    let mut run = Run::new();
    run.other();
    assert_eq!(hints(&run.read(Slot(1))), 0);
}

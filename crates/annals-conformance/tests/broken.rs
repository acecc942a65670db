//! The suite catches what it is for: backends that each break one thing, and the invariant that tells.

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use annals::{
    AppendError, AppendFuture, Backend, Batch, Condition, Durability, Event, EventDigest, EventRef,
    Head, Memory, NameCount, NameKind, ReadError, Recorded, Selection, Stats,
    backend::{HeadPublisher, Published},
};
use annals_conformance::fault::{FaultFileSystem, Hold, Loss, on_disk};
use annals_conformance::{
    Fault, Fixture, JournalSubject, MemorySubject, Outcome, Sample, Subject, Violation,
};
use parking_lot::{Condvar, Mutex};

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    Nothing,
    ReversesBatches,
    TearsBatches,
    LeavesGaps,
    LeavesWhatFailed,
    ChecksThenAppends,
    ForgetsIds,
    ChangesEvents,
    SkipsAnEvent,
    RepeatsAnEvent,
    PublishesEarly,
    LocksReadersOut,
    BlocksWhoMustNot,
    WaitsForReaders,
    ForgetsItsPoison,
    PassesOverDamage,
    MissesAMatch,
    HidesTheHead,
    ForgetsNames,
    ConfusesEvents,
    MisplacesErrors,
    RefusesRetries,
    KnowsByTheIdAlone,
    GuardsNothing,
    EndsEarly,
    TakesAnyTime,
}

/// A backend that does what another does, but for its defect.
struct Broken {
    inner: Box<dyn Backend<Sample>>,
    defect: Defect,
    /// For those who publish in their own way.
    head: HeadPublisher<Sample>,
    lock: Mutex<()>,
    /// How many looked at a condition.
    looked: AtomicUsize,
    /// Whether somebody asked for the head since events were last read.
    idle: (Mutex<bool>, Condvar),
    fails: Arc<AtomicBool>,
}

impl Broken {
    fn new(inner: Box<dyn Backend<Sample>>, defect: Defect, fails: Arc<AtomicBool>) -> Self {
        let head = HeadPublisher::new(inner.head().get());
        let told = head.clone();
        let publishes = matches!(
            defect,
            Defect::SkipsAnEvent
                | Defect::RepeatsAnEvent
                | Defect::PublishesEarly
                | Defect::EndsEarly
        );
        let tell = move |event: &Recorded<Sample>| {
            let events = match (defect, event.offset) {
                (Defect::SkipsAnEvent, 150) => vec![],
                (Defect::RepeatsAnEvent, 150) => vec![event.clone(), event.clone()],
                _ => vec![event.clone()],
            };
            told.publish(told.get().max(event.offset + 1), Published::events(events));
        };
        if publishes {
            inner.head().subscribe(tell);
        }
        Self {
            inner,
            defect,
            head,
            lock: Mutex::default(),
            looked: AtomicUsize::new(0),
            idle: (Mutex::new(true), Condvar::new()),
            fails,
        }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// Notes that somebody reads, or asks for the head.
    fn note(&self, idle: bool) {
        if self.is(Defect::WaitsForReaders) {
            *self.idle.0.lock() = idle;
            self.idle.1.notify_all();
        }
    }

    /// The event that has the id of the first of these.
    fn known(&self, events: &[Sample]) -> Result<Option<Recorded<Sample>>, AppendError> {
        let Some(id) = events.first().and_then(Event::id) else { return Ok(None) };
        for offset in 0..self.inner.head().get() {
            let known = self.inner.get(offset)?.map(EventRef::into_owned);
            if known.as_ref().is_some_and(|known| Event::id(&known.event).as_deref() == Some(&*id))
            {
                return Ok(known);
            }
        }
        Ok(None)
    }

    /// Looks, and waits until another has looked, before it appends.
    fn check(&self, condition: Option<Condition>) -> Result<(), AppendError> {
        let Some(condition) = condition else { return Ok(()) };
        let range = condition.head()..self.inner.head().get();
        let mut page = Vec::new();
        if !range.is_empty() {
            self.inner.read(
                Selection { query: condition.query(), range, reverse: false, limit: 1 },
                &mut page,
            )?;
        }
        self.looked.fetch_add(1, Ordering::SeqCst);
        while self.looked.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        page.first().map_or(Ok(()), |found| Err(AppendError::Conflict { offset: found.offset }))
    }
}

impl Backend<Sample> for Broken {
    fn append(&self, mut batch: Batch<Sample>) -> Result<Range<u64>, AppendError> {
        match self.defect {
            Defect::ReversesBatches => batch.events.reverse(),
            Defect::TearsBatches if batch.events.len() > 1 => {
                let first = self.inner.head().get();
                for event in batch.events {
                    self.inner.append(Batch::new(vec![event]))?;
                }
                return Ok(first..self.inner.head().get());
            }
            Defect::LeavesGaps => {
                let range = self.inner.append(batch)?;
                return Ok(if range.start < 5 { range } else { range.start + 1..range.end + 1 });
            }
            Defect::LeavesWhatFailed => {
                let events = batch.events.clone();
                return self.inner.append(batch).inspect_err(|_| {
                    let _ = self.inner.append(Batch::new(events));
                });
            }
            Defect::ChecksThenAppends => self.check(batch.condition.take())?,
            Defect::ForgetsIds => {
                let nameless = |event: Sample| {
                    let tags = event.tag_list().iter();
                    tags.fold(Sample::new("nameless"), annals_conformance::Sample::tag)
                        .data(event.payload())
                };
                batch.events = batch.events.into_iter().map(nameless).collect();
            }
            Defect::RefusesRetries => {
                let known = self.known(&batch.events)?;
                if let Some(known) = known.filter(|known| known.event != batch.events[0]) {
                    let id = Event::id(&batch.events[0]).unwrap_or_default().into_owned();
                    let how = "with other content".into();
                    return Err(AppendError::IdConflict { id, offset: known.offset, how });
                }
            }
            Defect::KnowsByTheIdAlone => {
                if let Some(known) = self.known(&batch.events)? {
                    return Ok(known.offset..known.offset + batch.events.len() as u64);
                }
            }
            Defect::TakesAnyTime => batch.allow_future_time = true,
            Defect::GuardsNothing => {
                let head = self.inner.head().get();
                batch.condition = batch.condition.filter(|condition| condition.head() <= head);
            }
            Defect::PublishesEarly => {
                let _alone = self.lock.lock();
                let head = self.inner.head().get() + batch.events.len() as u64;
                self.head.publish(head.max(self.head.get()), Published::events(Vec::new()));
            }
            Defect::LocksReadersOut => {
                let _locked = self.lock.lock();
                return self.inner.append(batch);
            }
            Defect::WaitsForReaders => {
                // As if the readers that were there had to go first.
                self.idle.1.wait_while(&mut self.idle.0.lock(), |idle| !*idle);
            }
            Defect::ForgetsItsPoison if self.fails.swap(false, Ordering::SeqCst) => {
                return Err(AppendError::Failed {
                    source: Arc::new(std::io::Error::other("as planned")),
                });
            }
            _ => {}
        }
        self.inner.append(batch)
    }

    fn submit(&self, batch: Batch<Sample>) -> AppendFuture {
        match self.defect {
            Defect::Nothing | Defect::EndsEarly => self.inner.submit(batch),
            _ => Box::pin(std::future::ready(self.append(batch))),
        }
    }

    fn head(&self) -> &Head<Sample> {
        self.note(true);
        match self.defect {
            Defect::SkipsAnEvent
            | Defect::RepeatsAnEvent
            | Defect::PublishesEarly
            | Defect::EndsEarly => &self.head,
            _ => self.inner.head(),
        }
    }

    fn get(&self, offset: u64) -> Result<Option<EventRef<'_, Sample>>, ReadError> {
        self.note(false);
        match self.defect {
            Defect::LocksReadersOut => {
                let _locked = self.lock.lock();
                self.inner.get(offset)
            }
            Defect::ChangesEvents if offset == 7 && self.inner.head().get() > 1_000 => {
                let was = self.inner.get(offset)?.map(EventRef::into_owned);
                Ok(was.map(|was| {
                    EventRef::Owned(Recorded { event: was.event.data("changed"), ..was })
                }))
            }
            Defect::PassesOverDamage => Ok(self.inner.get(offset).unwrap_or(None)),
            Defect::HidesTheHead => {
                self.inner.get(offset.min(self.inner.head().get().saturating_sub(1)))
            }
            _ => self.inner.get(offset),
        }
    }

    fn read<'a>(
        &'a self,
        mut selection: Selection<'_>,
        page: &mut Vec<EventRef<'a, Sample>>,
    ) -> Result<Range<u64>, ReadError> {
        self.note(false);
        let _locked = self.is(Defect::LocksReadersOut).then(|| self.lock.lock());
        if self.is(Defect::PassesOverDamage) {
            loop {
                match self.inner.read(selection.clone(), page) {
                    Err(_) if selection.reverse => selection.range.end -= 1,
                    Err(_) => selection.range.start += 1,
                    read => return read,
                }
                if selection.range.is_empty() {
                    return Ok(selection.range);
                }
            }
        }
        let before = page.len();
        let last = selection.range.end.saturating_sub(1);
        let left = match self.inner.read(selection.clone(), page) {
            Err(ReadError::Decode { event_type, source, .. })
                if self.is(Defect::MisplacesErrors) =>
            {
                return Err(ReadError::Decode { offset: last, event_type, source });
            }
            read => read?,
        };
        if self.is(Defect::MissesAMatch) && !selection.query.is_all() {
            let kept = page.drain(before..).filter(|event| event.offset != 77).collect::<Vec<_>>();
            page.extend(kept);
        }
        Ok(left)
    }

    fn names(&self, kind: NameKind, prefix: &str) -> Result<Vec<NameCount>, ReadError> {
        let _locked = self.is(Defect::LocksReadersOut).then(|| self.lock.lock());
        let mut names = self.inner.names(kind, prefix)?;
        if self.is(Defect::ForgetsNames) {
            names.pop();
        }
        Ok(names)
    }

    fn digest(&self, offset: u64) -> Result<Option<EventDigest>, ReadError> {
        let digest = self.inner.digest(offset)?;
        let of_offset = || EventDigest::of(&offset.to_le_bytes());
        Ok(digest.map(|digest| if self.is(Defect::ConfusesEvents) { of_offset() } else { digest }))
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.inner.sync()
    }

    fn close(&self) -> Result<(), AppendError> {
        let early = self.is(Defect::EndsEarly).then(|| self.head.close());
        let closed = self.inner.close();
        early.unwrap_or_else(|| self.head.close());
        closed
    }
}

/// A defect, on the backend in memory or in files.
struct With {
    defect: Defect,
    files: bool,
    disk_lies: bool,
}

impl With {
    fn memory(defect: Defect) -> Self {
        Self { defect, files: false, disk_lies: false }
    }

    fn files(defect: Defect) -> Self {
        Self { defect, files: true, disk_lies: false }
    }
}

impl Subject for With {
    type Backend = Broken;

    fn fixture(&self) -> Arc<dyn Fixture<Broken>> {
        let fails = Arc::default();
        if self.disk_lies {
            let disk = FaultFileSystem::new(1);
            disk.ignore_syncs();
            return Arc::new(LyingFixture { disk });
        }
        if self.files {
            let fixture = JournalSubject::new(Durability::Sync).fixture();
            return Arc::new(BrokenFixture { defect: self.defect, fixture, fails });
        }
        let fixture = MemorySubject.fixture();
        Arc::new(BrokenFixture { defect: self.defect, fixture, fails })
    }

    fn encodes(&self) -> bool {
        self.files
    }

    /// Short where something waits for ever: that shows whenever one looks.
    fn patience(&self) -> Duration {
        match self.defect {
            Defect::LocksReadersOut | Defect::BlocksWhoMustNot | Defect::WaitsForReaders => {
                Duration::from_millis(300)
            }
            _ => Duration::from_mins(2),
        }
    }
}

struct BrokenFixture<B> {
    defect: Defect,
    fixture: Arc<dyn Fixture<B>>,
    fails: Arc<AtomicBool>,
}

impl<B: Backend<Sample> + 'static> Fixture<Broken> for BrokenFixture<B> {
    fn open(&self) -> Result<Broken, Box<dyn Error + Send + Sync>> {
        Ok(Broken::new(Box::new(self.fixture.open()?), self.defect, Arc::clone(&self.fails)))
    }

    fn keeps(&self) -> bool {
        self.fixture.keeps()
    }

    fn is_exclusive(&self) -> bool {
        // Memory opens as often as one likes: so it breaks this, if it is asked.
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        self.fixture.crash(loss)
    }

    fn fail(&self, fault: Fault) -> bool {
        if self.defect == Defect::ForgetsItsPoison {
            self.fails.store(true, Ordering::SeqCst);
            return true;
        }
        self.fixture.fail(fault)
    }

    fn heal(&self) {
        self.fixture.heal();
    }

    fn hold(&self) -> Option<Hold> {
        self.fixture.hold()
    }

    fn damage(&self, needle: &[u8]) -> bool {
        self.fixture.damage(needle)
    }
}

/// A Journal on a disk whose syncs do nothing.
struct LyingFixture {
    disk: FaultFileSystem,
}

impl Fixture<Broken> for LyingFixture {
    fn open(&self) -> Result<Broken, Box<dyn Error + Send + Sync>> {
        let journal =
            JournalSubject::new(Durability::Sync).options(&self.disk).open(on_disk("store"))?;
        Ok(Broken::new(Box::new(journal), Defect::Nothing, Arc::default()))
    }

    fn keeps(&self) -> bool {
        true
    }

    fn crash(&self, loss: Loss) -> bool {
        self.disk.restart(loss);
        true
    }
}

type Check = fn(&With) -> Result<Outcome, Violation>;

fn catches(subject: &With, name: &str, check: Check, words: &str) {
    match check(subject) {
        Err(violation) => {
            assert_eq!(violation.invariant, name);
            assert!(
                violation.message.contains(words),
                "caught, but for another reason: {violation}"
            );
        }
        Ok(outcome) => panic!("{:?} gets by {name}: {outcome:?}", subject.defect),
    }
}

macro_rules! caught {
    ($($test:ident: $subject:expr => $invariant:ident, $words:literal;)+) => {
        $(#[test]
        fn $test() {
            catches(&$subject, stringify!($invariant), annals_conformance::$invariant, $words);
        })+
    };
}

caught! {
    offsets_with_a_gap: With::memory(Defect::LeavesGaps) => offsets_are_gapless, "head";
    a_batch_in_another_order: With::memory(Defect::ReversesBatches) => batches_are_atomic, "and not event 0";
    a_batch_that_comes_in_pieces: With::memory(Defect::TearsBatches) => batches_are_atomic, "";
    a_failed_append_that_leaves_something: With::memory(Defect::LeavesWhatFailed) => a_failed_append_leaves_nothing, "the head is";
    a_condition_that_is_looked_at_before: With::memory(Defect::ChecksThenAppends) => condition_and_append_are_one_step, "";
    ids_that_are_forgotten: With::memory(Defect::ForgetsIds) => ids_are_recorded_once, "where an id is";
    an_event_that_changes: With::memory(Defect::ChangesEvents) => references_stay, "changed";
    an_event_that_a_subscriber_does_not_see:
        With::memory(Defect::SkipsAnEvent) => every_subscriber_sees_each_event_once_in_order, "callback saw";
    an_event_that_a_subscriber_sees_twice:
        With::memory(Defect::RepeatsAnEvent) => every_subscriber_sees_each_event_once_in_order, "callback saw";
    an_asynchronous_append_that_blocks:
        With::files(Defect::BlocksWhoMustNot) => an_append_arrives_whether_awaited_or_not, "must not block waits";
    a_head_before_what_is_below_it_is_durable: With::files(Defect::PublishesEarly) => published_is_durable, "the head";
    readers_that_wait_for_a_writer: With::files(Defect::LocksReadersOut) => readers_do_not_wait, "waits";
    a_writer_that_waits_for_readers: With::memory(Defect::WaitsForReaders) => writers_do_not_wait_for_readers, "waits";
    a_failure_that_is_forgotten: With::memory(Defect::ForgetsItsPoison) => a_failed_sync_poisons, "an append after";
    damage_that_is_passed_over: With::files(Defect::PassesOverDamage) => corruption_is_reported_never_skipped, "nothing at 0";
    a_match_that_is_missed: With::memory(Defect::MissesAMatch) => queries_answer_what_matches, "expected";
    something_beyond_the_head: With::memory(Defect::HidesTheHead) => past_the_head_is_none, "something at";
    a_name_that_is_forgotten: With::memory(Defect::ForgetsNames) => names_are_counted, "types";
    events_that_have_the_same_digest: With::memory(Defect::ConfusesEvents) => digests_tell_events_apart, "how many digests";
    an_error_that_is_told_of_another_event:
        With::files(Defect::MisplacesErrors) => what_cannot_be_decoded_is_one_error, "what is read";
    a_retry_that_is_refused: With::memory(Defect::RefusesRetries) => ids_are_recorded_once, "where an id is, with";
    another_event_that_is_taken_for_a_retry: With::memory(Defect::KnowsByTheIdAlone) => ids_are_recorded_once, "went in";
    a_condition_that_guards_nothing: With::memory(Defect::GuardsNothing) => conditions_see_what_they_say, "beyond the head";
    a_time_that_is_far_too_late: With::memory(Defect::TakesAnyTime) => times_never_go_back, "far in the future";
    cursors_that_end_too_early: With::memory(Defect::EndsEarly) => closing_ends_cursors, "a cursor ended";
    a_log_that_opens_twice: With::memory(Defect::Nothing) => a_second_writer_is_refused, "second writer";
    a_disk_that_lies_about_recovery:
        With { disk_lies: true, ..With::files(Defect::Nothing) } => recovery_keeps_every_acknowledged_event, "acknowledged";
    a_disk_that_lies_to_subscribers:
        With { disk_lies: true, ..With::files(Defect::Nothing) } => published_is_durable, "gone after a crash";
}

#[test]
fn nothing_is_found_wrong_with_a_backend_that_is_right() {
    struct Patient;

    impl Subject for Patient {
        type Backend = Broken;
        fn fixture(&self) -> Arc<dyn Fixture<Broken>> {
            With::files(Defect::Nothing).fixture()
        }
    }

    let report = annals_conformance::run(&Patient);
    assert_eq!(report.violations().collect::<Vec<_>>(), Vec::<&Violation>::new(), "{report}");
    assert_eq!(report.skipped().count(), 0, "{report}");
    assert_eq!(report.held().count(), annals_conformance::INVARIANTS.len());
}

#[test]
fn a_panic_is_a_violation() {
    struct Panics;

    impl Subject for Panics {
        type Backend = Memory<Sample>;
        fn fixture(&self) -> Arc<dyn Fixture<Self::Backend>> {
            std::panic::resume_unwind(Box::new("no fixture".to_owned()));
        }
    }

    let violation = annals_conformance::past_the_head_is_none(&Panics).expect_err("a violation");
    assert_eq!(violation.to_string(), "past_the_head_is_none does not hold: a panic: no fixture");
}

//! A backend with a defect.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use annals::backend::{HeadPublisher, Published};
use annals::{
    AppendError, AppendFuture, Appended, Backend, Batch, Condition, Event, EventDigest, EventRef,
    Head, Health, NameCount, NameKind, RawEvent, ReadError, Recorded, Selection, Stats,
};
use annals_conformance::Sample;
use parking_lot::{Condvar, Mutex};

/// The one thing that is wrong with a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
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
    ChecksOneCondition,
    TellsNothingApart,
    FindsWhatIsNotThere,
    EndsEarly,
    TakesAnyTime,
    Miscounts,
    ForgetsTimes,
    ForgetsIdsOfBytes,
    LooksHealthy,
}

/// A backend that behaves like the inner one, except for its defect.
pub(super) struct Defective {
    inner: Box<dyn Backend<Sample>>,
    defect: Defect,
    /// The head of defects that publish in their own way.
    head: HeadPublisher<Sample>,
    lock: Mutex<()>,
    /// The number of checked conditions.
    checked: AtomicUsize,
    /// Whether a caller asked for the head since events were last read.
    idle: (Mutex<bool>, Condvar),
    fails: Arc<AtomicBool>,
}

impl Defective {
    pub(super) fn new(
        inner: Box<dyn Backend<Sample>>,
        defect: Defect,
        fails: Arc<AtomicBool>,
    ) -> Self {
        let head = HeadPublisher::new(inner.head().get());
        let other_head = head.clone();
        let publishes = matches!(
            defect,
            Defect::SkipsAnEvent
                | Defect::RepeatsAnEvent
                | Defect::PublishesEarly
                | Defect::EndsEarly
        );
        let publish = move |event: &Recorded<Sample>| {
            let events = match (defect, event.offset) {
                (Defect::SkipsAnEvent, 150) => vec![],
                (Defect::RepeatsAnEvent, 150) => vec![event.clone(), event.clone()],
                _ => vec![event.clone()],
            };
            other_head.publish(other_head.get().max(event.offset + 1), Published::events(events));
        };
        if publishes {
            inner.head().subscribe(publish);
        }
        Self {
            inner,
            defect,
            head,
            lock: Mutex::default(),
            checked: AtomicUsize::new(0),
            idle: (Mutex::new(true), Condvar::new()),
            fails,
        }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// Records that a caller reads (`idle` is false) or asks for the head.
    fn note(&self, idle: bool) {
        if self.is(Defect::WaitsForReaders) {
            *self.idle.0.lock() = idle;
            self.idle.1.notify_all();
        }
    }

    /// Returns the recorded event with the id of the first of these events.
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

    /// Checks a condition, and waits until another append has checked its condition too.
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
        self.checked.fetch_add(1, Ordering::SeqCst);
        while self.checked.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        page.first().map_or(Ok(()), |found| {
            Err(AppendError::Conflict { offset: found.offset, condition: 0 })
        })
    }
}

impl Defective {
    fn one_by_one(&self, batch: Batch<Sample>) -> Result<Appended, AppendError> {
        let first = self.inner.head().get();
        for event in batch.events {
            self.inner.append(Batch::new(vec![event]))?;
        }
        Ok(Appended::new(first..self.inner.head().get()))
    }
}

impl Backend<Sample> for Defective {
    fn append(&self, mut batch: Batch<Sample>) -> Result<Appended, AppendError> {
        match self.defect {
            Defect::ReversesBatches => batch.events.reverse(),
            Defect::TearsBatches if batch.events.len() > 1 => return self.one_by_one(batch),
            Defect::LeavesGaps => {
                let Appended { offsets, .. } = self.inner.append(batch)?;
                let gap = u64::from(offsets.start >= 5);
                return Ok(Appended::new(offsets.start + gap..offsets.end + gap));
            }
            Defect::LeavesWhatFailed => {
                let events = batch.events.clone();
                return self.inner.append(batch).inspect_err(|_| {
                    let _ = self.inner.append(Batch::new(events));
                });
            }
            Defect::ChecksThenAppends => self.check(batch.conditions.pop())?,
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
                    let end = known.offset + batch.events.len() as u64;
                    return Ok(Appended::known(known.offset..end));
                }
            }
            Defect::ChecksOneCondition => batch.conditions.truncate(1),
            Defect::TellsNothingApart => {
                return self.inner.append(batch).map(|appended| Appended::new(appended.offsets));
            }
            Defect::TakesAnyTime => batch.allow_future_time = true,
            Defect::GuardsNothing => {
                let head = self.inner.head().get();
                batch.conditions.retain(|condition| condition.head() <= head);
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
                // As if all current readers had to finish first.
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

    fn read_raw(
        &self,
        range: Range<u64>,
        limit: usize,
        page: &mut Vec<Recorded<RawEvent>>,
    ) -> Result<Range<u64>, ReadError> {
        let rest = self.inner.read_raw(range, limit, page)?;
        if self.is(Defect::ForgetsIdsOfBytes) {
            for recorded in page {
                let event = RawEvent::builder(recorded.event.event_type()).build();
                recorded.event = event.expect("an event");
            }
        }
        Ok(rest)
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

    fn find_id(&self, id: &str) -> Result<Option<u64>, ReadError> {
        let missing = self.is(Defect::FindsWhatIsNotThere).then(|| self.inner.head().get());
        Ok(self.inner.find_id(id)?.or(missing))
    }

    fn time_ms(&self, offset: u64) -> Result<Option<u64>, ReadError> {
        let time_ms = self.inner.time_ms(offset)?;
        Ok(if self.is(Defect::ForgetsTimes) { time_ms.map(|_| 0) } else { time_ms })
    }

    fn nth(&self, kind: NameKind, name: &str, n: u64) -> Result<Option<u64>, ReadError> {
        let n = if self.is(Defect::Miscounts) { n.saturating_add(1) } else { n };
        self.inner.nth(kind, name, n)
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }

    fn sync(&self) -> Result<(), AppendError> {
        self.inner.sync()
    }

    fn health(&self) -> Health {
        if self.is(Defect::LooksHealthy) { Health::Open } else { self.inner.health() }
    }

    fn close(&self) -> Result<(), AppendError> {
        let early = self.is(Defect::EndsEarly).then(|| self.head.close());
        let closed = self.inner.close();
        early.unwrap_or_else(|| self.head.close());
        closed
    }
}

//! The measuring: of a log, and in turn with it of a plain file on the same disk.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals::{Condition, Query, RawEvent};
use indicatif::ProgressBar;

use super::events::{event, tag};
use super::row::Row;
use super::timed::{Timed, median};
use crate::args::Bench;
use crate::failure::Failure;
use crate::store::Store;

/// Calls after which a kind of work has been measured enough, whatever time is left.
const MOST_CALLS: usize = 1_000_000;
/// Turns that a log and the plain file take: a disk's speed changes within seconds. Odd, so that one is in the middle.
const TURNS: u32 = 5;

/// Events of a long read after which it looks whether to stop.
const EVENTS_BETWEEN_LOOKS: u64 = 1024;

pub(super) struct Measure {
    payload: usize,
    batch: u64,
    most_bulk: u64,
    writers: Vec<usize>,
    slice: Duration,
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
    next: AtomicU64,
    rows: Vec<Row>,
}

impl Measure {
    pub(super) fn new(
        args: &Bench,
        slice: Duration,
        stop: Arc<AtomicBool>,
        bar: ProgressBar,
    ) -> Self {
        Self {
            payload: args.payload,
            batch: args.batch as u64,
            most_bulk: args.events,
            writers: args.writers.clone(),
            slice,
            stop,
            bar,
            next: AtomicU64::new(0),
            rows: Vec::new(),
        }
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// An error if it was told to stop.
    fn go_on(&self) -> Result<(), Failure> {
        // Relaxed: the flag carries nothing else.
        let stop = self.stop.load(Ordering::Relaxed);
        if stop { Err(Failure::BenchInterrupted) } else { Ok(()) }
    }

    /// Does it until the time is over, but at least once.
    fn repeat(
        &self,
        time: Duration,
        mut work: impl FnMut() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        for _ in 0..MOST_CALLS {
            self.go_on()?;
            if !work()? || start.elapsed() >= time {
                break;
            }
        }
        Ok(())
    }

    /// Measures everything of a log, and writing next to the plain file at this path.
    pub(super) fn log(
        &mut self,
        target: &'static str,
        store: &Store,
        file: Option<&Path>,
    ) -> Result<(), Failure> {
        let disk = |source| {
            let path = file.unwrap_or(Path::new("")).to_owned();
            Failure::BenchDisk { path, source }
        };
        let mut file = file.map(File::create).transpose().map_err(disk)?;
        let mut write = |bytes: &[u8]| match &mut file {
            Some(file) => file.write_all(bytes).and_then(|()| file.sync_data()).map_err(disk),
            None => Ok(()),
        };
        // The tags that are asked for are those of a log that begins with the bulk.
        self.next = AtomicU64::new(0);
        let is_on_disk = target != "memory";
        let bulk = self.write(target, "bulk", store, is_on_disk, self.batch, &mut write)?;
        let disk = self.write(target, "append", store, is_on_disk, 1, &mut write)?.1;
        for writers in self.writers.clone() {
            self.together(target, store, writers, disk)?;
        }
        self.conditional(target, store, disk)?;
        self.read(target, store, bulk.0)
    }

    /// Appends so many events a call, in turn with writing the same bytes to the plain file. Answers the events
    /// appended, and the disk's events a second: the median of its turns'.
    fn write(
        &mut self,
        target: &'static str,
        test: &'static str,
        store: &Store,
        is_on_disk: bool,
        batch: u64,
        write: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(u64, Option<f64>), Failure> {
        self.bar.set_message(format!("measuring {target}: {test}"));
        let (mut own, mut plain) = (Timed::default(), Timed::default());
        let (mut rates, mut ratios) = (Vec::new(), Vec::new());
        let most = if test == "bulk" { self.most_bulk } else { u64::MAX };
        let time = self.slice / (TURNS * if is_on_disk { 2 } else { 1 });
        for turn in 1..=u64::from(TURNS) {
            let share = (most / u64::from(TURNS)).saturating_mul(turn);
            let (mut appended, mut written) = (Timed::default(), Timed::default());
            let mut bytes = Vec::new();
            self.repeat(time, || {
                let events = self.events(batch)?;
                if is_on_disk {
                    bytes = events.iter().flat_map(|event| event.body().iter().copied()).collect();
                }
                let size = events.iter().map(|event| event.body().len() as u64).sum();
                appended.call(|| {
                    store.append_batch(events).map(|_| (batch, size)).map_err(Failure::from)
                })?;
                Ok(own.events + appended.events < share)
            })?;
            if is_on_disk {
                self.repeat(time, || {
                    written.call(|| write(&bytes).map(|()| (batch, bytes.len() as u64)))?;
                    Ok(plain.events + written.events < share)
                })?;
                rates.push(written.rate());
                ratios.push(appended.rate() / written.rate());
            }
            own.add(appended);
            plain.add(written);
            if own.events >= most {
                break;
            }
        }
        let appended = own.events;
        if is_on_disk {
            self.rows.push(plain.row("plain file", test, None));
        }
        self.rows.push(own.row(target, test, median(ratios)));
        Ok((appended, median(rates)))
    }

    /// The next events.
    fn events(&self, count: u64) -> Result<Vec<RawEvent>, Failure> {
        // Relaxed: only that no number is given twice matters.
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        (first..first + count).map(|n| event(n, &tag(n), self.payload)).collect()
    }

    /// Several writers, each appending one event at a time.
    fn together(
        &mut self,
        target: &'static str,
        store: &Store,
        writers: usize,
        disk: Option<f64>,
    ) -> Result<(), Failure> {
        self.bar.set_message(format!("measuring {target}: {writers} writers"));
        let this = &*self;
        let one = || -> Result<Timed, Failure> {
            let mut timed = Timed::default();
            this.repeat(this.slice, || this.append_one(store, &mut timed, None).map(|()| true))?;
            Ok(timed)
        };
        let parts: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..writers).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let mut all = Timed::default();
        for part in parts {
            all.add(part.unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        // They appended at once; to make the events is no part of it.
        all.took /= u32::try_from(writers).unwrap_or(u32::MAX);
        let ratio = disk.map(|disk| all.rate() / disk);
        self.rows.push(Row { writers, ..all.row(target, "append", ratio) });
        Ok(())
    }

    fn append_one(
        &self,
        store: &Store,
        timed: &mut Timed,
        condition: Option<&dyn Fn(&str) -> Condition>,
    ) -> Result<(), Failure> {
        // Relaxed: only that no number is given twice matters.
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let tag = format!("one:{n}");
        let event: RawEvent = event(n, &tag, self.payload)?;
        let bytes = event.body().len() as u64;
        let condition = condition.map(|condition| condition(&tag));
        timed.call(|| {
            let _range = match condition {
                Some(condition) => store.append_if([event], &condition)?,
                None => store.append_batch([event])?,
            };
            Ok((1, bytes))
        })
    }

    /// Appends on the condition that no event has the tag.
    fn conditional(
        &mut self,
        target: &'static str,
        store: &Store,
        disk: Option<f64>,
    ) -> Result<(), Failure> {
        self.bar.set_message(format!("measuring {target}: conditional appends"));
        let mut timed = Timed::default();
        let unused = |tag: &str| Condition::fail_if(Query::tag(tag));
        self.repeat(self.slice, || {
            self.append_one(store, &mut timed, Some(&unused)).map(|()| true)
        })?;
        let ratio = disk.map(|disk| timed.rate() / disk);
        self.rows.push(timed.row(target, "append-if", ratio));
        Ok(())
    }

    fn read(&mut self, target: &'static str, store: &Store, bulk: u64) -> Result<(), Failure> {
        self.bar.set_message(format!("measuring {target}: reads"));
        let len = store.len();
        let at_random = |n: u64, below: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % below.max(1);
        let (mut scan, mut get, mut of_tag) =
            (Timed::default(), Timed::default(), Timed::default());
        let all = |events: annals::Events<'_, RawEvent, _>| -> Result<(u64, u64), Failure> {
            let mut sum = (0, 0);
            for event in events {
                if sum.0 % EVENTS_BETWEEN_LOOKS == 0 {
                    self.go_on()?;
                }
                // A byte of each is looked at, so that what is mapped is read.
                sum = (sum.0 + 1, sum.1 + black_box(event?.event.body()).len() as u64);
            }
            Ok(sum)
        };
        self.repeat(self.slice, || scan.call(|| all(store.read(..))).map(|()| true))?;
        let mut n = 0;
        self.repeat(self.slice, || {
            n += 1;
            get.call(|| {
                let event = store.get(at_random(n, len))?;
                Ok((1, event.map_or(0, |event| black_box(event.event.body()).len() as u64)))
            })?;
            Ok(true)
        })?;
        self.repeat(self.slice, || {
            n += 1;
            let query = Query::tag(tag(at_random(n, bulk)));
            of_tag.call(|| all(store.query(&query))).map(|()| true)
        })?;
        let rows = [(scan, "scan"), (get, "get"), (of_tag, "tag")];
        self.rows.extend(rows.map(|(timed, test)| timed.row(target, test, None)));
        Ok(())
    }
}

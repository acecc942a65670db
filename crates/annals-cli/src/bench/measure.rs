//! Measures a log, and in turn with it a plain file on the same disk.

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
use crate::args::bench::Bench;
use crate::failure::Failure;
use crate::store::Store;

/// The maximum number of calls per test. A test ends after it even if time is left.
const MAX_CALLS: usize = 1_000_000;
/// The number of turns in which a log and the plain file are measured alternately, because a disk's speed changes
/// within seconds. It is odd, so that the median is one of the turns.
const TURNS: u32 = 5;

/// The number of events of a scan after which the stop flag is checked.
const EVENTS_PER_STOP_CHECK: u64 = 1024;

/// Runs the tests and collects their results.
pub(super) struct Measure {
    payload: usize,
    batch: u64,
    max_bulk_events: u64,
    writers: Vec<usize>,
    /// The time per test.
    slice: Duration,
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
    /// The number of the next event.
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
            max_bulk_events: args.events,
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

    /// Fails if a signal has requested to stop.
    fn check_stop(&self) -> Result<(), Failure> {
        // Relaxed: pairs with the swap in `stop_on_signal`; the flag publishes no other data.
        let stop = self.stop.load(Ordering::Relaxed);
        if stop { Err(Failure::BenchInterrupted) } else { Ok(()) }
    }

    /// Calls `work` until the time is over or it returns false, but at least once.
    fn repeat(
        &self,
        time: Duration,
        mut work: impl FnMut() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        for _ in 0..MAX_CALLS {
            self.check_stop()?;
            if !work()? || start.elapsed() >= time {
                break;
            }
        }
        Ok(())
    }

    /// Runs all tests on a log, and writes to the plain file at this path for comparison.
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
        // The test `tag` queries the tags of the bulk events, which must be the first of the log.
        self.next = AtomicU64::new(0);
        let is_on_disk = target != "memory";
        let bulk = self.write(target, "bulk", store, is_on_disk, self.batch, &mut write)?;
        let disk = self.write(target, "append", store, is_on_disk, 1, &mut write)?.1;
        for writers in self.writers.clone() {
            self.concurrent(target, store, writers, disk)?;
        }
        self.conditional(target, store, disk)?;
        self.read(target, store, bulk.0)
    }

    /// Appends `batch` events per call, in turn with writing the same bytes to the plain file. Returns the number of
    /// appended events, and the median rate of the plain file's turns, in events per second.
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
        let max_events = if test == "bulk" { self.max_bulk_events } else { u64::MAX };
        let time = self.slice / (TURNS * if is_on_disk { 2 } else { 1 });
        for turn in 1..=u64::from(TURNS) {
            let share = (max_events / u64::from(TURNS)).saturating_mul(turn);
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
            if own.events >= max_events {
                break;
            }
        }
        let appended = own.events;
        if is_on_disk {
            self.rows.push(Row::new("plain file", test, plain, None));
        }
        self.rows.push(Row::new(target, test, own, median(ratios)));
        Ok((appended, median(rates)))
    }

    /// Returns the next events.
    fn events(&self, count: u64) -> Result<Vec<RawEvent>, Failure> {
        // Relaxed: only the atomicity of the increment matters, so that each number is used once; no other data is
        // published.
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        (first..first + count).map(|n| event(n, &tag(n), self.payload)).collect()
    }

    /// Measures several concurrent writers, each appending one event per call.
    fn concurrent(
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
        // The writers ran concurrently, so the elapsed time is the average of theirs. Creating the events is not
        // included.
        all.took /= u32::try_from(writers).unwrap_or(u32::MAX);
        let ratio = disk.map(|disk| all.rate() / disk);
        self.rows.push(Row { writers, ..Row::new(target, "append", all, ratio) });
        Ok(())
    }

    /// Appends one event, on the condition for its tag if there is one, and times the call.
    fn append_one(
        &self,
        store: &Store,
        timed: &mut Timed,
        condition: Option<&dyn Fn(&str) -> Condition>,
    ) -> Result<(), Failure> {
        // Relaxed: only the atomicity of the increment matters, so that each number is used once; no other data is
        // published.
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

    /// Measures appends on the condition that no event has the tag.
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
        self.rows.push(Row::new(target, "append-if", timed, ratio));
        Ok(())
    }

    /// Measures a scan, reads of single events, and queries for a tag.
    fn read(&mut self, target: &'static str, store: &Store, bulk: u64) -> Result<(), Failure> {
        self.bar.set_message(format!("measuring {target}: reads"));
        let len = store.len();
        let pseudo_random =
            |n: u64, below: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % below.max(1);
        let (mut scan, mut get, mut of_tag) =
            (Timed::default(), Timed::default(), Timed::default());
        let all = |events: annals::Events<'_, RawEvent, _>| -> Result<(u64, u64), Failure> {
            let mut sum = (0, 0);
            for event in events {
                if sum.0 % EVENTS_PER_STOP_CHECK == 0 {
                    self.check_stop()?;
                }
                // The payload is used, so that the compiler does not remove the read.
                sum = (sum.0 + 1, sum.1 + black_box(event?.event.body()).len() as u64);
            }
            Ok(sum)
        };
        self.repeat(self.slice, || scan.call(|| all(store.read(..))).map(|()| true))?;
        let mut n = 0;
        self.repeat(self.slice, || {
            n += 1;
            get.call(|| {
                let event = store.get(pseudo_random(n, len))?;
                Ok((1, event.map_or(0, |event| black_box(event.event.body()).len() as u64)))
            })?;
            Ok(true)
        })?;
        self.repeat(self.slice, || {
            n += 1;
            let query = Query::tag(tag(pseudo_random(n, bulk)));
            of_tag.call(|| all(store.query(&query))).map(|()| true)
        })?;
        let rows = [(scan, "scan"), (get, "get"), (of_tag, "tag")];
        self.rows.extend(rows.map(|(timed, test)| Row::new(target, test, timed, None)));
        Ok(())
    }
}

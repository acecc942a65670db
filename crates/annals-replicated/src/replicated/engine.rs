//! The threads that call the engine: one appends, one reads, and one waits for entries of other writers. Each may block
//! for as long as the engine does. They end by themselves once the driver has ended.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::inbox::Inbox;
use super::status::Progress;
use crate::chain::slot::Slot;
use crate::core::messages::{Asked, Input, ReadKind, SendId};
use crate::log::commit_log::{
    AppendAnswer, AppendOutcome, Cause, CommitLog, LogError, NewEntry, Page, ReadLimit,
};

/// How long the engine is asked to wait for an entry before it is read anyway.
const WATCH: Duration = Duration::from_millis(500);
/// The pause before the record is watched again after the engine failed.
const PAUSE: Duration = Duration::from_millis(50);
/// The pause before the core looks again at a record that seems to end before what was read. A look takes about 10 s.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The largest size of the entries of one commit, in bytes, with room for their heads.
const COMMIT_BYTES: usize = 128 << 20;

/// Work for the thread that appends.
pub(super) enum SendJob {
    Append { send: SendId, after: Slot, entry: NewEntry },
    Hint,
}

/// Work for the thread that reads.
enum ReadJob {
    Now { after: Slot },
    Anchor { after: Slot, to_commit: usize, count: usize, asked: Asked },
}

/// The handles of the threads. They end when these are dropped.
pub(super) struct Engine {
    sends: Sender<SendJob>,
    reads: Sender<ReadJob>,
    watches: Sender<Slot>,
}

/// The state that each of the threads has.
#[derive(Clone)]
struct Worker {
    log: Arc<dyn CommitLog>,
    inbox: Arc<Inbox>,
    progress: Arc<Progress>,
    /// Whether the engine has not answered since it last did not answer.
    is_away: Arc<AtomicBool>,
    /// The number of the engine's connection that the core knows.
    connection: Arc<Mutex<u64>>,
}

impl Engine {
    pub(super) fn start(
        log: Arc<dyn CommitLog>,
        inbox: Arc<Inbox>,
        progress: Arc<Progress>,
    ) -> io::Result<Self> {
        let connection = Arc::new(Mutex::new(log.connection()));
        let worker = Worker { log, inbox, progress, is_away: Arc::default(), connection };
        let (sends, send_jobs) = channel();
        let (reads, read_jobs) = channel();
        let (watches, watch_jobs) = channel();
        let (appending, reading) = (worker.clone(), worker.clone());
        let named = |name: &str| thread::Builder::new().name(name.into());
        named("annals-append").spawn(move || appending.append_all(&send_jobs))?;
        named("annals-read").spawn(move || reading.read_all(&read_jobs))?;
        named("annals-watch").spawn(move || worker.watch_all(&watch_jobs))?;
        Ok(Self { sends, reads, watches })
    }

    pub(super) fn send(&self, job: SendJob) {
        drop(self.sends.send(job));
    }

    pub(super) fn read(&self, kind: ReadKind, after: Slot) {
        match kind {
            ReadKind::Now => drop(self.reads.send(ReadJob::Now { after })),
            ReadKind::Watch => drop(self.watches.send(after)),
        }
    }

    pub(super) fn anchor(&self, after: Slot, to_commit: usize, count: usize, asked: Asked) {
        drop(self.reads.send(ReadJob::Anchor { after, to_commit, count, asked }));
    }
}

impl Worker {
    fn append_all(&self, jobs: &Receiver<SendJob>) {
        while let Ok(job) = jobs.recv() {
            match job {
                SendJob::Append { send, after, entry } => {
                    // The engine has the function until it answers, so the function does not keep the engine.
                    let (log, known) = (Arc::downgrade(&self.log), Arc::clone(&self.connection));
                    let inbox = Arc::clone(&self.inbox);
                    let done = Box::new(move |answer: AppendAnswer| {
                        if let Some(log) = log.upgrade() {
                            note_connection(&*log, &known, &inbox);
                        }
                        let (outcome, time_ms) = (answer.outcome, answer.time_ms);
                        inbox.push(Input::Answered { send, outcome, time_ms });
                    });
                    if let Err(cause) = guarded(|| self.log.append(after, entry, done)) {
                        let outcome = AppendOutcome::Unknown(cause);
                        self.inbox.push(Input::Answered { send, outcome, time_ms: None });
                    }
                }
                // A hint may be lost.
                SendJob::Hint => drop(guarded(|| self.log.hint())),
            }
        }
    }

    fn read_all(&self, jobs: &Receiver<ReadJob>) {
        while let Ok(job) = jobs.recv() {
            match job {
                ReadJob::Now { after } => {
                    let page = self.read(after, ReadLimit::default());
                    self.entries(ReadKind::Now, after, page);
                }
                ReadJob::Anchor { after, to_commit, count, asked } => {
                    let entries = self.read_around(after, to_commit, count);
                    self.inbox.push(Input::Anchored { after, count, asked, entries });
                }
            }
        }
    }

    fn watch_all(&self, jobs: &Receiver<Slot>) {
        let (mut asked, mut looked) = (Instant::now(), None);
        while let Ok(after) = jobs.recv() {
            let waited = guarded(|| self.log.wait(after, Instant::now() + WATCH));
            let page = self.read(after, ReadLimit::default());
            if page.is_err() || waited.is_err() {
                // An engine that is away may return from its wait at once.
                thread::sleep(PAUSE);
            }
            if asked.elapsed() >= WATCH {
                asked = Instant::now();
                if let Ok(Ok((_, last))) = guarded(|| self.log.ends()) {
                    // Relaxed: a number for the metrics and for people, which orders nothing.
                    self.progress.last_slot.store(last.0, Ordering::Relaxed);
                    self.look_at_end(after, last, &mut looked);
                }
            }
            self.entries(ReadKind::Watch, after, page);
        }
    }

    /// Compares the end of the record with the slot up to which the core has read. If the record ends before it, the
    /// core reads its last commit again, as after a new connection: a process that appends nothing, while no process
    /// does, would not notice a lost record otherwise. The end may be out of date, so it decides nothing by itself.
    fn look_at_end(&self, after: Slot, last: Slot, looked: &mut Option<Instant>) {
        if last >= after {
            *looked = None;
        } else if looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
            *looked = Some(Instant::now());
            self.inbox.push(Input::Reconnected);
        }
    }

    fn entries(&self, kind: ReadKind, after: Slot, page: Result<Page, LogError>) {
        let (entries, time_ms) = match page {
            Ok(page) => {
                (Ok(page.entries.into_iter().map(|(_, entry)| entry).collect()), page.time_ms)
            }
            Err(error) => (Err(error), None),
        };
        self.inbox.push(Input::Entries { kind, after, entries, time_ms });
    }

    fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        self.page(after, || self.log.read(after, limit))
    }

    /// Reads a page. Before the function returns, the core learns of a new connection, and of an engine that answers again.
    fn page(
        &self,
        after: Slot,
        read: impl FnOnce() -> Result<Page, LogError>,
    ) -> Result<Page, LogError> {
        let read = guarded(read).map_err(LogError::Unavailable).flatten();
        note_connection(&*self.log, &self.connection, &self.inbox);
        let page = read.and_then(|page| page.check(after).map(|()| page));
        match &page {
            Err(LogError::Unavailable(cause)) => {
                self.progress.note_cause(cause);
                // Relaxed: pairs with the swap below. The flag guards no other data.
                self.is_away.store(true, Ordering::Relaxed);
            }
            // Relaxed: pairs with the store above.
            Ok(_) if self.is_away.swap(false, Ordering::Relaxed) => {
                self.inbox.push(Input::Reconnected);
            }
            _ => {}
        }
        page
    }

    /// Reads `count` entries again, or fewer if the engine shows no more: first those up to a commit, and then the
    /// others. The engine takes more care with the last entries of a read.
    fn read_around(
        &self,
        after: Slot,
        to_commit: usize,
        count: usize,
    ) -> Result<Vec<Bytes>, LogError> {
        let mut entries = self.read_whole(after, to_commit)?;
        if entries.len() == to_commit {
            let after = Slot(after.0 + to_commit as u64);
            entries.extend(self.read_whole(after, count - to_commit)?);
        }
        Ok(entries)
    }

    /// Reads `count` entries again, or fewer if the engine shows no more.
    fn read_whole(&self, after: Slot, count: usize) -> Result<Vec<Bytes>, LogError> {
        let mut entries: Vec<Bytes> = Vec::new();
        while entries.len() < count {
            let limit = ReadLimit { entries: count - entries.len(), bytes: COMMIT_BYTES };
            let after = Slot(after.0 + entries.len() as u64);
            let page = self.page(after, || self.log.read_again(after, limit))?;
            if page.entries.is_empty() {
                break;
            }
            entries.extend(page.entries.into_iter().map(|(_, entry)| entry));
        }
        Ok(entries)
    }
}

/// Sends [`Input::Reconnected`] to the core if the engine has a new connection since the last call.
fn note_connection(log: &dyn CommitLog, known: &Mutex<u64>, inbox: &Inbox) {
    // Locked until the core is told: then no answer of another thread on this connection comes before that.
    let mut known = known.lock();
    let Ok(connection) = guarded(|| log.connection()) else { return };
    if *known != connection {
        *known = connection;
        inbox.push(Input::Reconnected);
    }
}

/// Calls the engine. An engine is code of others: a call that panics must not end the thread, since the core waits for
/// its answers.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Cause> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| {
        tracing::error!("a call of the engine panicked");
        Cause::new("a call of the engine panicked")
    })
}

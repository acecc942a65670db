//! Makes room ahead of the frames between commits, in a thread beside the log.
//!
//! ```text
//!   the leader                                   the thread
//!   Idle ──ask──▶ Asked ───────────────────────▶ Filling ──▶ Made(end), or Idle if it failed
//!    ▲              └─ take_or_wait: withdrawn       │            │
//!    └───────────── take, take_or_wait ◀─────────────┴────────────┘ take_or_wait waits for it
//! ```
//! The thread writes only behind the room that the leader has, and the leader writes nothing there until it has taken
//! the room. So the two never write the same bytes.

use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use annals_base::{Condvar, Mutex};

use crate::journal::fs::StoreFile;

/// The thread that makes room, and the room that it has made. The thread starts when it is first asked.
#[derive(Default)]
pub(super) struct RoomAhead {
    thread: Thread,
}

#[derive(Default)]
enum Thread {
    #[default]
    NotStarted,
    Started(Arc<Shared>),
    /// The system has no thread for it, so each commit makes its room itself.
    Refused,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Default)]
enum Work {
    #[default]
    Idle,
    Asked(Arc<dyn StoreFile>, Range<usize>),
    Filling,
    /// The thread has made room up to this position.
    Made(usize),
    End,
}

impl RoomAhead {
    /// Asks the thread to make room at these positions of `file`. Does nothing while the thread is at work, or has made
    /// room that was not taken yet.
    pub(super) fn ask(&mut self, file: &Arc<dyn StoreFile>, range: Range<usize>) {
        if matches!(self.thread, Thread::NotStarted) {
            self.thread = start();
        }
        let Thread::Started(shared) = &self.thread else { return };
        let mut work = shared.work.lock();
        if matches!(*work, Work::Idle) {
            *work = Work::Asked(Arc::clone(file), range);
            shared.changed.notify_all();
        }
    }

    /// Returns the end of the room that the thread has made, if it has made some.
    pub(super) fn take(&self) -> Option<usize> {
        let Thread::Started(shared) = &self.thread else { return None };
        take(&mut shared.work.lock())
    }

    /// Waits until the thread writes nothing, and returns the end of the room that it has made. A request
    /// that the thread has not begun is withdrawn.
    pub(super) fn take_or_wait(&self) -> Option<usize> {
        let Thread::Started(shared) = &self.thread else { return None };
        let mut work = shared.work.lock();
        if matches!(*work, Work::Asked(..)) {
            *work = Work::Idle;
        }
        let mut work = shared.changed.wait_while(work, |work| matches!(work, Work::Filling));
        take(&mut work)
    }
}

impl Drop for RoomAhead {
    /// Ends the thread. Does not wait for it: a writer that lets go of its files has waited before.
    fn drop(&mut self) {
        if let Thread::Started(shared) = &self.thread {
            *shared.work.lock() = Work::End;
            shared.changed.notify_all();
        }
    }
}

fn take(work: &mut Work) -> Option<usize> {
    let Work::Made(end) = *work else { return None };
    *work = Work::Idle;
    Some(end)
}

fn start() -> Thread {
    let shared = Arc::new(Shared::default());
    let its = Arc::clone(&shared);
    match thread::Builder::new().name("annals-room".into()).spawn(move || its.run()) {
        Ok(_) => Thread::Started(shared),
        Err(error) => {
            tracing::warn!(%error, "no thread to make room ahead; commits make it, and some take longer");
            Thread::Refused
        }
    }
}

impl Shared {
    fn run(&self) {
        while let Some((file, range)) = self.next() {
            let end = range.end;
            // A failure needs no report: the commit that needs the room tries again, and reports its own failure.
            let filled = catch_unwind(AssertUnwindSafe(|| fill(&*file, range)));
            // Before the leader goes on, so that it has the only handle when it closes the file.
            drop(file);
            let mut work = self.work.lock();
            if matches!(*work, Work::Filling) {
                *work = if matches!(filled, Ok(Ok(()))) { Work::Made(end) } else { Work::Idle };
                self.changed.notify_all();
            }
        }
    }

    /// Waits for work. Returns `None` at the end.
    fn next(&self) -> Option<(Arc<dyn StoreFile>, Range<usize>)> {
        let mut work = self.work.lock();
        loop {
            match std::mem::replace(&mut *work, Work::Filling) {
                Work::Asked(file, range) => return Some((file, range)),
                Work::End => return None,
                other => {
                    *work = other;
                    work = self.changed.wait(work);
                }
            }
        }
    }
}

/// Allocates room at these positions and fills it with zeroes.
pub(super) fn fill(file: &dyn StoreFile, range: Range<usize>) -> io::Result<()> {
    let (position, size) = (range.start as u64, range.len());
    file.allocate(position, size as u64)?;
    file.write_at(&vec![0; size], position)
}

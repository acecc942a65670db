//! The thread that applies: commits go to the replica, and their events to the callbacks.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use annals::{AppendError, Event};

use super::same::lacking;
use super::shared::{Job, Shared};
use crate::chain::chain::Position;
use crate::core::messages::Input;
use crate::format::commit::Commit;

/// Does the jobs until the end.
pub(super) fn run<E: Event>(shared: &Arc<Shared<E>>) {
    shared.applier.get_or_init(|| thread::current().id());
    while let Some(job) = shared.jobs.next() {
        let closes = matches!(job, Job::Close);
        if catch_unwind(AssertUnwindSafe(|| do_job(shared, job))).is_err() {
            let what = if closes { "the store was closed" } else { "a commit was applied" };
            failed(shared, &format!("a panic while {what}"));
            if closes {
                let cause = shared.progress.failure().unwrap_or_default();
                end_closing(shared, Err(AppendError::Poisoned { cause }));
            }
        }
    }
}

/// Does one job. A callback that appends calls this while it waits.
pub(super) fn do_job<E: Event>(shared: &Shared<E>, job: Job) {
    match job {
        Job::Apply { commit, position } => apply(shared, &commit, &position),
        // Cursors end behind the last event.
        Job::Diverged => shared.replica.head().close(),
        Job::Close => close(shared),
    }
}

fn apply<E: Event>(shared: &Shared<E>, commit: &Commit, position: &Position) {
    // Relaxed: pairs with the store below. Jobs are done one after the other, and the flag guards no other data.
    let differs = shared.differs.load(Ordering::Relaxed);
    if differs || shared.progress.failure().is_some() || shared.replica.head().is_closed() {
        return;
    }
    let applied = catch_unwind(AssertUnwindSafe(|| apply_batches(shared, commit, position)));
    match applied {
        Ok(Ok(true)) => {
            shared.progress.applied(position);
            shared.inbox.push(Input::Applied { number: position.tip.number });
        }
        Ok(Ok(false)) => {
            // Commits may be queued behind this one. Relaxed: pairs with the load above.
            shared.differs.store(true, Ordering::Relaxed);
            shared.inbox.push(Input::ApplyDiffers { slot: position.slot });
        }
        Ok(Err(error)) => failed(shared, &error.to_string()),
        Err(_) => failed(shared, "a panic while a commit was applied"),
    }
}

fn failed<E: Event>(shared: &Shared<E>, failure: &str) {
    shared.fail(failure);
    shared.inbox.push(Input::ApplyFailed);
}

/// Applies the batches that the replica lacks, and compares the others with it. Returns `false` and applies nothing if
/// the others differ, or if events are missing between the replica's end and the first batch that it lacks.
fn apply_batches<E: Event>(
    shared: &Shared<E>,
    commit: &Commit,
    position: &Position,
) -> io::Result<bool> {
    let Some(lacking) = lacking(&shared.replica, commit)? else { return Ok(false) };
    // Before the events: a process that ends between the two leaves no event whose commit is unknown.
    put_place(shared, commit, position);
    let batches = lacking.iter().map(|batch| (batch.time_ms, &batch.events[..]));
    shared.replica.apply(batches)?;
    Ok(true)
}

/// Notes the place of a commit in `record.tail`. Without it, the next opening reads more of the record.
fn put_place<E: Event>(shared: &Shared<E>, commit: &Commit, position: &Position) {
    let mut tail = shared.tail.lock();
    if let Some(Err(error)) = tail.as_mut().map(|tail| tail.put(*position, commit)) {
        tracing::warn!(%error, "cannot write record.tail; the next opening reads more of the record");
        *tail = None;
    }
}

fn close<E: Event>(shared: &Shared<E>) {
    let closed = shared.replica.close();
    let closed = match shared.progress.failure() {
        Some(cause) => Err(AppendError::Poisoned { cause }),
        None => closed,
    };
    if shared.closing.lock().release {
        shared.replica.release();
    }
    end_closing(shared, closed);
}

/// Ends the thread that drives the core, and this one if the backend was dropped.
fn end_closing<E: Event>(shared: &Shared<E>, closed: Result<(), AppendError>) {
    let mut closing = shared.closing.lock();
    if closing.release {
        shared.jobs.end();
    }
    shared.inbox.stop();
    closing.result = Some(closed);
    drop(closing);
    shared.closed.notify_all();
}

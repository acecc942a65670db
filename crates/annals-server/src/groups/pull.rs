//! A pull at work: what it was given, and the worker that waits for more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use annals::{Backend, Query};
use annals_consumer::WorkerStream;
use futures_core::Stream as _;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::pulled::Pulled;
use super::registry::InUse;
use crate::event::WireEvent;
use crate::fault::Fault;

/// What a worker asks for.
#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) worker: String,
    pub(crate) max: u32,
    pub(crate) wait: Duration,
    pub(crate) deadline: Option<Duration>,
}

/// A pull at work.
///
/// A thread holds the lock of a group while it reads the log or writes the group's. So a task never takes that lock:
/// all methods are called on threads for blocking work, except for [`into_body`](Self::into_body), and what takes the
/// lock when it is dropped is dropped on one.
pub(crate) struct PullAtWork {
    parts: Option<Parts>,
}

/// The parts of a pull, in the order in which they are dropped: the group stays in use until the others are gone.
struct Parts {
    pulled: Pulled,
    /// The worker while it waits.
    worker: Option<WorkerStream<WireEvent, Box<dyn Backend<WireEvent>>>>,
    group: InUse,
}

/// What a pull starts with.
pub(crate) struct Begun {
    pub(crate) pull: PullAtWork,
    pub(crate) query: Query,
    pub(crate) position: u64,
}

impl PullAtWork {
    /// Pulls what is there.
    pub(crate) fn begin(group: InUse, wanted: &Pull) -> Result<Begun, Fault> {
        let query = group.settings().query();
        let mut pulled = Pulled::default();
        pulled.pull(&group, &wanted.worker, wanted.max, wanted.deadline)?;
        let position = group.status().position;
        let parts = Some(Parts { pulled, worker: None, group });
        Ok(Begun { pull: Self { parts }, query, position })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.as_ref().is_none_or(|parts| parts.pulled.is_empty())
    }

    /// Pulls again, or lets the worker wait: `waker` is then called when there may be something. Returns whether the
    /// pull is done: with events, or because the group ends.
    pub(crate) fn poll(&mut self, wanted: &Pull, waker: &Waker) -> Result<bool, Fault> {
        let Some(Parts { pulled, worker, group }) = &mut self.parts else { return Ok(true) };
        loop {
            let stream = worker.get_or_insert_with(|| {
                let worker = group.worker(&wanted.worker);
                wanted.deadline.into_iter().fold(worker, annals_consumer::Worker::deadline).stream()
            });
            let polled = Pin::new(stream).poll_next(&mut Context::from_waker(waker));
            let Poll::Ready(next) = polled else { return Ok(false) };
            *worker = None;
            let Some(first) = next else { return Ok(true) };
            let left = wanted.max - u32::from(pulled.push(first?)?);
            pulled.pull(group, &wanted.worker, left, wanted.deadline)?;
            // All events may have been parked: then the worker waits on.
            if !pulled.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Returns the body of the response. From now on only an answer or the deadline ends the leases.
    pub(crate) fn into_body(mut self) -> Vec<u8> {
        let pulled = self.parts.as_mut().map(|parts| std::mem::take(&mut parts.pulled));
        pulled.unwrap_or_default().sent()
    }
}

impl Drop for PullAtWork {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        if parts.worker.is_none() && parts.pulled.is_empty() {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(parts))),
            Err(_) => drop(parts),
        }
    }
}

/// Wakes the task of a pull. A call that comes before the task waits is not lost.
#[derive(Debug, Default)]
pub(crate) struct Bell(Notify);

impl Bell {
    /// Waits for the next call.
    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

//! A worker: waits for deliveries of its group, as a thread or as a task.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use annals::{Backend, Event, HeadWaiter};
use futures_core::Stream;

use super::delivery::GroupDelivery;
use super::group::Group;
use crate::error::ConsumerError;
use crate::wake::{Alarm, park_until, thread_waker};

/// The most bytes of a worker's name.
const MAX_NAME_BYTES: usize = 255;

/// The number of deliveries after which a task yields to other tasks.
const DELIVERIES_PER_TURN: usize = 64;

/// Returns the deliveries for one worker of a [`Group`], and waits for them. It costs nothing while it waits: an
/// append, the answer of another worker, or the end of a deadline or a pause wakes it.
///
/// * **As an `Iterator`** it blocks the thread. **As a `futures` `Stream`** ([`stream`](Self::stream)), it does not,
///   and
///   needs no runtime.
/// * **It ends** when the store is closed and every event is handled or parked, or when [`Group::stop`] was called.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::{Consumers as _, Nack};
/// use futures_executor::block_on;
/// use futures_util::StreamExt as _;
///
/// let store = EventStore::in_memory();
/// store.append_batch([1, 2].map(|_| RawEvent::builder("order-placed").build().expect("it is valid")))?;
/// store.close()?; // so that the worker ends
///
/// let group = store.group("billing").open()?;
/// let mut deliveries = group.worker("a").prefetch(10).stream();
/// block_on(async {
///     while let Some(delivery) = deliveries.next().await {
///         let delivery = delivery?;
///         if delivery.offset == 0 { delivery.ack()? } else { delivery.nack(Nack::Park, "no such customer")? }
///     }
///     Ok::<_, annals_consumer::ConsumerError>(())
/// })?;
/// assert_eq!((group.status().position, group.status().parked), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a worker does nothing until it is used"]
pub struct Worker<'g, E: Event, B: Backend<E>> {
    group: &'g Group<E, B>,
    name: Arc<str>,
    deadline: Option<Duration>,
    prefetch: u32,
    ready: VecDeque<GroupDelivery<'g, E, B>>,
    head: HeadWaiter,
    /// The place among the waiting workers, while it waits.
    ticket: Option<u64>,
}

/// The end of a wait at most, if the group knows one.
type Until = Option<Instant>;

type Next<'g, E, B> = Option<Result<GroupDelivery<'g, E, B>, ConsumerError>>;

impl<E: Event, B: Backend<E>> Group<E, B> {
    /// Returns a worker, which waits for deliveries. The name is used for its limit of events in flight: workers of one
    /// name share it. A name has at most 255 bytes; more are cut off.
    pub fn worker(&self, name: impl AsRef<str>) -> Worker<'_, E, B> {
        Worker::new(self, name.as_ref())
    }
}

impl<'g, E: Event, B: Backend<E>> Worker<'g, E, B> {
    fn new(group: &'g Group<E, B>, name: &str) -> Self {
        let mut end = name.len().min(MAX_NAME_BYTES);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let head = group.store().backend().head().waiter();
        let (name, ready) = (name[..end].into(), VecDeque::new());
        Self { group, name, deadline: None, prefetch: 1, ready, head, ticket: None }
    }

    /// Sets the time until a delivery to this worker is made again. By default it is that of the group.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the number of deliveries that are fetched at once: 1 by default. More are faster, but their deadlines begin
    /// together, and other workers do not get them. Events of one key are never fetched together. Deliveries that were
    /// not returned yet when the worker is dropped go to other workers at once, and do not count as attempts.
    pub fn prefetch(mut self, deliveries: u32) -> Self {
        self.prefetch = deliveries.max(1);
        self
    }

    /// Returns the next delivery, and waits for it up to `timeout`. Returns `None` if there was none, or if the worker
    /// has ended.
    pub fn next_timeout(&mut self, timeout: Duration) -> Next<'g, E, B> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Returns the next delivery, without blocking the thread. `None` if the worker has ended.
    pub async fn next_async(&mut self) -> Next<'g, E, B> {
        let mut alarm = None;
        poll_fn(|context| self.poll(context, &mut alarm)).await
    }

    /// Turns the worker into a `futures` `Stream`.
    pub fn stream(self) -> WorkerStream<'g, E, B> {
        WorkerStream { worker: self, returned: 0, alarm: None }
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Next<'g, E, B> {
        let waker = thread_waker();
        loop {
            let until = match self.poll_delivery(&waker) {
                Poll::Ready(next) => return next,
                Poll::Pending => self.until(),
            };
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.withdraw();
                return None;
            }
            park_until([deadline, until].into_iter().flatten().min());
        }
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        alarm: &mut Option<Alarm>,
    ) -> Poll<Next<'g, E, B>> {
        let polled = self.poll_delivery(context.waker());
        *alarm = match self.until().filter(|_| polled.is_pending()) {
            Some(until) => Some(self.group.shared.timer.wake_at(until, context.waker())),
            None => None,
        };
        polled
    }

    /// Returns the next time at which a deadline or a pause of the group ends.
    fn until(&self) -> Until {
        let shared = &self.group.shared;
        shared.clock.instant(shared.core.lock().machine.next_time()?)
    }

    /// Returns the next delivery, or registers `waker` and is pending. The caller polls again at
    /// [`until`](Self::until).
    fn poll_delivery(&mut self, waker: &Waker) -> Poll<Next<'g, E, B>> {
        if let Some(delivery) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(delivery)));
        }
        let shared = &self.group.shared;
        loop {
            // Before anything is looked at: a change from now on wakes it.
            self.leave();
            self.ticket = Some(shared.waiting.add(&self.name, waker));
            if self.group.is_stopped() {
                self.leave();
                return Poll::Ready(None);
            }
            let pulled = match self.group.pull_as(&self.name, self.prefetch, self.deadline) {
                Ok(pulled) => pulled,
                Err(error) => {
                    self.withdraw();
                    return Poll::Ready(Some(Err(error)));
                }
            };
            self.ready.extend(pulled.deliveries);
            if let Some(delivery) = self.ready.pop_front() {
                self.withdraw();
                return Poll::Ready(Some(Ok(delivery)));
            }
            let Some(seen) = pulled.beyond else { return Poll::Pending };
            match self.head.poll_beyond(seen, waker) {
                Poll::Ready(head) if head > seen => {}
                Poll::Ready(_) if pulled.is_idle => {
                    self.leave();
                    return Poll::Ready(None);
                }
                // The log is closed. Events that are with other workers may still come back.
                Poll::Ready(_) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Leaves the waiting workers. Returns whether this one was woken.
    fn leave(&mut self) -> bool {
        self.ticket.take().is_some_and(|ticket| !self.group.shared.waiting.remove(ticket))
    }

    /// Leaves the waiting workers. If this one was woken and does not use that, another is woken.
    fn withdraw(&mut self) {
        if self.leave() {
            let shared = &self.group.shared;
            shared.after(shared.core.lock());
        }
    }
}

impl<'g, E: Event, B: Backend<E>> Iterator for Worker<'g, E, B> {
    type Item = Result<GroupDelivery<'g, E, B>, ConsumerError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None)
    }
}

impl<E: Event, B: Backend<E>> Drop for Worker<'_, E, B> {
    fn drop(&mut self) {
        let unused: Vec<_> = self.ready.drain(..).map(GroupDelivery::into_lease).collect();
        self.group.give_back(&unused);
        self.withdraw();
    }
}

impl<E: Event, B: Backend<E>> fmt::Debug for Worker<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("group", &self.group)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A [`Worker`] as a `futures` `Stream`. After every 64 deliveries that were ready, it yields to other tasks.
#[must_use = "a stream does nothing until it is polled"]
pub struct WorkerStream<'g, E: Event, B: Backend<E>> {
    worker: Worker<'g, E, B>,
    returned: usize,
    alarm: Option<Alarm>,
}

impl<'g, E: Event, B: Backend<E>> Stream for WorkerStream<'g, E, B> {
    type Item = Result<GroupDelivery<'g, E, B>, ConsumerError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if stream.returned >= DELIVERIES_PER_TURN {
            stream.returned = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = stream.worker.poll(context, &mut stream.alarm);
        stream.returned = if polled.is_pending() { 0 } else { stream.returned + 1 };
        polled
    }
}

impl<E: Event, B: Backend<E>> Unpin for WorkerStream<'_, E, B> {}

impl<E: Event, B: Backend<E>> fmt::Debug for WorkerStream<'_, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerStream").field("worker", &self.worker).finish_non_exhaustive()
    }
}

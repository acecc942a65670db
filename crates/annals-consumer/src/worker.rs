//! A worker: waits for deliveries, as a thread or as a task.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use annals::{Backend, Event, HeadWaiter, ReadError, Waited};
use futures_core::Stream;

use crate::delivery::Delivery;
use crate::engine::shared::{Handle, cut_name};
use crate::error::ConsumerError;
use crate::wake::{Alarm, Parker};

/// The number of deliveries after which a task yields to other tasks.
const DELIVERIES_PER_TURN: usize = 64;

/// Returns the deliveries for one worker of a [`Group`](crate::Group), and waits for them. It costs nothing while it
/// waits: an append, the answer of another worker, or the end of a deadline or a pause wakes it.
///
/// * **As an `Iterator`** it blocks the thread. **As a `futures` `Stream`** ([`stream`](Self::stream)), it does not,
///   and needs no runtime.
/// * **It is `'static` and `Send`**, as its deliveries are: a thread or a task may own it.
/// * **It ends** when the store is closed and every event is handled or parked, or when
///   [`Group::stop`](crate::Group::stop) was called.
///
/// **Errors.** A log that cannot be read or a state that cannot be written is an error. The next attempt comes after
/// the first pause of the settings, so a loop that continues after errors does not use up a processor. While other
/// events are ready, they are delivered before the error of an event that cannot be read.
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
pub struct Worker<E: Event, B: Backend<E>> {
    pub(crate) shared: Handle<E, B>,
    name: Arc<str>,
    deadline: Option<Duration>,
    prefetch: u32,
    ready: VecDeque<Delivery<E, B>>,
    /// When the deadline of the ready deliveries ends.
    ready_until_ms: u64,
    head: HeadWaiter,
    /// The place among the waiting workers, while it waits.
    ticket: Option<u64>,
    /// The end of the pause after an error.
    pause_ms: Option<u64>,
    ended: bool,
}

/// A delivery or an error. `None`: the worker has ended, or a call that does not wait found nothing.
pub(crate) type Next<E, B> = Option<Result<Delivery<E, B>, ConsumerError>>;

impl<E: Event, B: Backend<E>> Worker<E, B> {
    pub(crate) fn new(shared: &Handle<E, B>, name: &str) -> Self {
        let head = shared.store.backend().head().waiter();
        Self {
            shared: Arc::clone(shared),
            name: cut_name(name).into(),
            deadline: None,
            prefetch: 1,
            ready: VecDeque::new(),
            ready_until_ms: 0,
            head,
            ticket: None,
            pause_ms: None,
            ended: false,
        }
    }

    /// Sets the time until a delivery to this worker is made again. By default it is that of the group. It begins when
    /// the event is leased: the time that the worker waited for the event does not count.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the number of deliveries that are fetched at once: 1 by default. More are faster, but their deadlines begin
    /// together, other workers do not get them, and their events are in memory at the same time, whatever their size.
    /// Events of one key are never fetched together. Deliveries that were not returned yet when the worker is dropped
    /// go to other workers at once, and do not count as attempts.
    pub fn prefetch(mut self, deliveries: u32) -> Self {
        self.prefetch = deliveries.max(1);
        self
    }

    /// Returns whether the worker has ended: the group or the store is closed.
    ///
    /// ```
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::Consumers as _;
    ///
    /// let store = EventStore::<RawEvent>::in_memory();
    /// let mut worker = store.group("billing").open()?.worker("a");
    /// assert!(!worker.is_ended());
    /// store.close()?;
    /// assert!(worker.next().is_none() && worker.is_ended());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Leaves the waiting workers. What would have woken this one may have to wake another.
    fn withdraw(&mut self) {
        if let Some(ticket) = self.ticket.take()
            && self.shared.waiting.remove(ticket)
        {
            self.shared.after(self.shared.core.lock());
        }
    }

    /// Gives back what was fetched and not returned.
    fn give_back(&mut self) {
        let unused: Vec<_> = self.ready.drain(..).map(Delivery::into_lease).collect();
        self.shared.give_back(&unused);
    }
}

impl<E: Event, B: Backend<E> + 'static> Worker<E, B> {
    /// Returns the next delivery if one is ready, without waiting. After `None`, [`is_ended`](Self::is_ended) returns
    /// whether the worker has ended.
    pub fn try_next(&mut self) -> Next<E, B> {
        match self.poll_delivery(Waker::noop()) {
            Polled::Ready(next) => next,
            Polled::Pending(_) => {
                self.withdraw();
                None
            }
        }
    }

    /// Returns the next delivery, and waits for it up to `timeout`. Distinguishes a time without a delivery from the end
    /// of the worker. After [`Waited::TimedOut`], other workers may still have deliveries that come back.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use annals::{EventStore, RawEvent, Waited};
    /// use annals_consumer::Consumers as _;
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("order-placed").build()?)?;
    /// let group = store.group("billing").open()?;
    /// let mut worker = group.worker("a");
    /// loop {
    ///     match worker.next_timeout(Duration::from_millis(1))? {
    ///         Waited::Event(delivery) => delivery.ack()?,
    ///         Waited::TimedOut => group.stop(), // time for other work
    ///         Waited::Ended => break,
    ///     }
    /// }
    /// assert_eq!(group.status().position, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ConsumerError`], as the iterator returns it. [`Worker`] says how the worker continues.
    pub fn next_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Waited<Delivery<E, B>>, ConsumerError> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Returns the next delivery, without blocking the thread. `None` if the worker has ended. The future may be
    /// dropped before it is ready: no delivery is lost.
    ///
    /// ```
    /// use annals::{EventStore, RawEvent};
    /// use annals_consumer::Consumers as _;
    /// use futures_executor::block_on;
    ///
    /// let store = EventStore::in_memory();
    /// store.append(RawEvent::builder("order-placed").build()?)?;
    /// store.close()?; // so that the worker ends
    /// let group = store.group("billing").open()?;
    /// let task = async move {
    ///     let mut worker = group.worker("a");
    ///     while let Some(delivery) = worker.next_async().await {
    ///         delivery?.ack()?;
    ///     }
    ///     Ok::<_, annals_consumer::ConsumerError>(group.status().position)
    /// };
    /// assert_eq!(block_on(task)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn next_async(&mut self) -> Next<E, B> {
        let mut cancels = Cancels { worker: self, alarm: None };
        poll_fn(|context| {
            let Cancels { worker, alarm } = &mut cancels;
            worker.poll(context, alarm)
        })
        .await
    }

    /// Turns the worker into a `futures` `Stream`.
    pub fn stream(self) -> WorkerStream<E, B> {
        WorkerStream { worker: self, returned: 0, alarm: None }
    }

    fn next_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Waited<Delivery<E, B>>, ConsumerError> {
        if let Some(delivery) = self.take_ready() {
            return Ok(Waited::Event(delivery));
        }
        let parker = Parker::new();
        let waker = parker.waker();
        loop {
            let until = match self.poll_delivery(&waker) {
                Polled::Ready(Some(delivery)) => return delivery.map(Waited::Event),
                Polled::Ready(None) => return Ok(Waited::Ended),
                Polled::Pending(until) => until,
            };
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.withdraw();
                return Ok(Waited::TimedOut);
            }
            parker.park_until([deadline, until].into_iter().flatten().min());
        }
    }

    fn poll(&mut self, context: &Context<'_>, alarm: &mut Option<Alarm>) -> Poll<Next<E, B>> {
        let polled = self.poll_delivery(context.waker());
        *alarm = None;
        match polled {
            Polled::Ready(next) => Poll::Ready(next),
            Polled::Pending(until) => {
                *alarm = until.map(|until| self.shared.timer.wake_at(until, context.waker()));
                Poll::Pending
            }
        }
    }

    /// Returns the next delivery, or registers `waker` and is pending.
    fn poll_delivery(&mut self, waker: &Waker) -> Polled<E, B> {
        if let Some(delivery) = self.take_ready() {
            return Polled::Ready(Some(Ok(delivery)));
        }
        // Before anything is looked at: a change from now on wakes it.
        if let Some(ticket) = self.ticket.take() {
            self.shared.waiting.remove(ticket);
        }
        let polled = self.poll_shared(waker);
        if let Polled::Ready(next) = &polled {
            self.withdraw();
            self.ended = next.is_none();
        }
        polled
    }

    /// Returns the next delivery if it was fetched or read already.
    fn take_ready(&mut self) -> Option<Delivery<E, B>> {
        if !self.ready.is_empty() && self.shared.clock.now_ms() >= self.ready_until_ms {
            // Their events are delivered again, perhaps to another worker.
            self.give_back();
        }
        if let Some(delivery) = self.ready.pop_front() {
            return Some(delivery);
        }
        let (event, lease, attempt) = self.shared.take_next()?;
        Some(Delivery::new(&self.shared, event, lease, attempt, u64::MAX))
    }

    fn poll_shared(&mut self, waker: &Waker) -> Polled<E, B> {
        let shared = Arc::clone(&self.shared);
        if let Some(pause_ms) = self.pause_ms.filter(|&pause_ms| pause_ms > shared.clock.now_ms()) {
            return Polled::Pending(shared.clock.instant(pause_ms));
        }
        self.pause_ms = None;
        let ticket = shared.waiting.add(&self.name, waker);
        self.ticket = Some(ticket);
        loop {
            if shared.is_stopped() {
                return Polled::Ready(None);
            }
            let (name, prefetch, deadline) = (&*self.name, self.prefetch, self.deadline);
            let pulled = match shared.pull(name, prefetch, deadline, Some(ticket), |_| true) {
                Ok(pulled) => pulled,
                Err(error) => {
                    self.pause_after(&error);
                    return Polled::Ready(Some(Err(error)));
                }
            };
            self.ready_until_ms = pulled.deadline_ms;
            self.ready.extend(Delivery::all(&shared, pulled.events, pulled.deadline_ms));
            if let Some(delivery) = self.ready.pop_front() {
                return Polled::Ready(Some(Ok(delivery)));
            }
            let pending = Polled::Pending(pulled.until_ms.and_then(|at| shared.clock.instant(at)));
            let Some(seen) = pulled.beyond else { return pending };
            match self.head.poll_beyond(seen, waker) {
                Poll::Ready(head) if head > seen => {}
                Poll::Ready(_) if pulled.is_idle => return Polled::Ready(None),
                // The log is closed. Events that are with other workers may still come back.
                Poll::Ready(_) | Poll::Pending => return pending,
            }
        }
    }

    /// Begins a pause after an error that the next attempt would meet again.
    fn pause_after(&mut self, error: &ConsumerError) {
        let is_over = matches!(
            error,
            // The next call continues with the next event; a position has a pause of its own.
            ConsumerError::Read(ReadError::Decode { .. }) | ConsumerError::Position { .. }
        );
        if !is_over {
            let pause_ms = self.shared.core.lock().machine.state().settings.first_pause_ms;
            self.pause_ms = Some(self.shared.clock.now_ms().saturating_add(pause_ms));
        }
    }
}

/// A [`Poll`] that says until when it is pending at most.
enum Polled<E: Event, B: Backend<E>> {
    Ready(Next<E, B>),
    Pending(Option<Instant>),
}

/// A call of `next_async`: a worker that leaves the waiting ones when the call is cancelled.
struct Cancels<'w, E: Event, B: Backend<E>> {
    worker: &'w mut Worker<E, B>,
    alarm: Option<Alarm>,
}

impl<E: Event, B: Backend<E>> Drop for Cancels<'_, E, B> {
    fn drop(&mut self) {
        self.worker.withdraw();
    }
}

impl<E: Event, B: Backend<E> + 'static> Iterator for Worker<E, B> {
    type Item = Result<Delivery<E, B>, ConsumerError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_until(None) {
            Ok(Waited::Event(delivery)) => Some(Ok(delivery)),
            Ok(Waited::TimedOut | Waited::Ended) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<E: Event, B: Backend<E>> Drop for Worker<E, B> {
    fn drop(&mut self) {
        self.give_back();
        self.withdraw();
    }
}

impl<E: Event, B: Backend<E>> fmt::Debug for Worker<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("of", &self.shared.name)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A [`Worker`] or a [`Consumer`](crate::Consumer) as a `futures` `Stream`. It needs no runtime. After every 64
/// deliveries that were ready, it yields to other tasks. Saving the position of a consumer blocks the task for the time
/// of a sync, once in a batch.
///
/// A worker that waits keeps its place among the waiting ones, also if the program stops polling it. So drop the
/// stream, or poll it again; [`Worker::next_async`] can be cancelled. [`Worker`] and
/// [`Consumer::stream`](crate::Consumer::stream) have examples.
#[must_use = "a stream does nothing until it is polled"]
pub struct WorkerStream<E: Event, B: Backend<E>> {
    worker: Worker<E, B>,
    returned: usize,
    alarm: Option<Alarm>,
}

impl<E: Event, B: Backend<E> + 'static> Stream for WorkerStream<E, B> {
    type Item = Result<Delivery<E, B>, ConsumerError>;

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

impl<E: Event, B: Backend<E>> Unpin for WorkerStream<E, B> {}

impl<E: Event, B: Backend<E>> fmt::Debug for WorkerStream<E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerStream").field("worker", &self.worker).finish_non_exhaustive()
    }
}

//! The consumer for asynchronous code.

use std::pin::Pin;
use std::task::{Context, Poll};

use annals::{Backend, Event};
use futures_core::Stream;

use super::consumer::Consumer;
use super::delivery::Delivery;
use crate::error::ConsumerError;
use crate::wake::{Alarm, Timer};

/// The number of deliveries after which the stream yields to other tasks.
const DELIVERIES_PER_TURN: usize = 64;

/// A [`Consumer`] as a `futures` `Stream`. It needs no runtime.
///
/// After every 64 deliveries that were ready, the stream yields to other tasks. Saving a position blocks the task for
/// the time of a sync, once in a batch.
///
/// ```
/// use annals::{EventStore, RawEvent};
/// use annals_consumer::Consumers as _;
/// use futures_executor::block_on;
/// use futures_util::StreamExt as _;
///
/// let store = EventStore::in_memory();
/// store.append(RawEvent::builder("order-placed").build()?)?;
/// let mut deliveries = store.consumer("mailer").start()?.stream();
/// let delivery = block_on(deliveries.next()).expect("the store is open")?;
/// delivery.ack()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a stream does nothing until it is polled"]
pub struct ConsumerStream<'a, E: Event, B: Backend<E>> {
    consumer: Consumer<'a, E, B>,
    returned: usize,
    timer: Timer,
    alarm: Option<Alarm>,
}

impl<'a, E: Event, B: Backend<E>> Consumer<'a, E, B> {
    /// Turns the consumer into a `futures` `Stream`.
    pub fn stream(self) -> ConsumerStream<'a, E, B> {
        let timer = Timer::default();
        ConsumerStream { consumer: self, returned: 0, timer, alarm: None }
    }
}

impl<'a, E: Event, B: Backend<E>> ConsumerStream<'a, E, B> {
    /// Returns the consumer.
    #[must_use]
    pub fn into_consumer(self) -> Consumer<'a, E, B> {
        self.consumer
    }
}

impl<'a, E: Event, B: Backend<E>> Stream for ConsumerStream<'a, E, B> {
    type Item = Result<Delivery<'a, E, B>, ConsumerError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        if stream.returned >= DELIVERIES_PER_TURN {
            stream.returned = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = stream.consumer.poll_delivery(context.waker());
        stream.alarm = None;
        if polled.is_pending() {
            stream.returned = 0;
            let at = stream.consumer.pause_end();
            stream.alarm = at.map(|at| stream.timer.wake_at(at, context.waker()));
        } else {
            stream.returned += 1;
        }
        polled
    }
}

impl<E: Event, B: Backend<E>> Unpin for ConsumerStream<'_, E, B> {}

impl<E: Event, B: Backend<E>> std::fmt::Debug for ConsumerStream<'_, E, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsumerStream").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

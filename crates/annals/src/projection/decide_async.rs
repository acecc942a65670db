//! Decisions in asynchronous code: the append is awaited, and no thread waits for it.

use std::task::Poll;

use super::Projection;
use super::decide::{DecideError, Decision, RETRIES};
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::backend::batch::{Appended, Batch};
use crate::error::AppendError;
use crate::event::event::Event;
use crate::query::Condition;
use crate::store::store::EventStore;

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Makes a decision as [`decide`](Self::decide) does, in asynchronous code: the append is awaited, and no thread
    /// waits for it.
    ///
    /// The decision itself is an ordinary function of the state. It is called again after each conflict, so it must not
    /// wait for anything or change anything. A program fetches what else it needs, for example a price, before it
    /// decides.
    ///
    /// Folding reads the log on the calling thread. For a state of many events, keep a [`Reconstructor`] with
    /// [`snapshots`](Reconstructor::snapshots) and call its [`decide_async`](Reconstructor::decide_async).
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded, Rejection};
    /// # struct Count;
    /// # impl Projection for Count {
    /// #     type Event = RawEvent;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::all() }
    /// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// # }
    /// # fn is_send<T: Send>(value: T) -> T { value }
    /// # let store = EventStore::in_memory();
    /// # let counted = RawEvent::builder("counted").build()?;
    /// let decision = store.decide_async(&Count, |count| match count {
    ///     0 => Ok(vec![counted.clone()]),
    ///     _ => Err(Rejection::new("it was counted already")),
    /// });
    /// # let decision = is_send(decision);
    /// assert_eq!(futures_executor::block_on(decision)?.offsets, 0..1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// If the future is dropped while it is polled for the append, the events may be appended or not, as with
    /// [`append_batch_async`](Self::append_batch_async).
    ///
    /// It does not take part in the turns that [`decide`](Self::decide) gives to slow decisions. So where many
    /// decisions race for the same events, it may be [`Contended`](DecideError::Contended) when `decide` would not be.
    ///
    /// # Errors
    /// Those of [`decide`](Self::decide).
    pub async fn decide_async<P: Projection<Event = E>, R>(
        &self,
        projection: &P,
        decision: impl FnMut(&P::State) -> Result<Vec<E>, R>,
    ) -> Result<Decision, DecideError<R>> {
        self.reconstruct(projection).decide_async(decision).await
    }
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Makes a decision as [`EventStore::decide_async`] does, on the state that this reconstructor keeps. Folds only
    /// new events.
    ///
    /// # Errors
    /// Those of [`EventStore::decide`].
    pub async fn decide_async<R>(
        &mut self,
        mut decision: impl FnMut(&P::State) -> Result<Vec<P::Event>, R>,
    ) -> Result<Decision, DecideError<R>> {
        let mut retries = 0;
        loop {
            let state = self.now().map_err(DecideError::Read)?;
            let events = decision(state).map_err(DecideError::Rejected)?;
            let head = self.head();
            if events.is_empty() {
                return Ok(Decision { offsets: head..head, retries, known: false });
            }
            let unchanged = Condition::fail_if(self.query().clone()).after(head);
            let appended = self.store().append_as_async(Batch::new(events).condition(unchanged));
            match appended.await {
                Ok(Appended { offsets, known }) => {
                    return Ok(Decision { offsets, retries, known });
                }
                Err(AppendError::Conflict { offset, .. }) if retries == RETRIES => {
                    return Err(DecideError::Contended { retries, offset });
                }
                Err(AppendError::Conflict { .. }) => retries += 1,
                Err(error) => return Err(DecideError::Append(error)),
            }
            yield_now().await;
        }
    }
}

/// Lets the other tasks of the executor run once.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

//! Subscriptions: what is in the log, and then what is appended.

use std::future::poll_fn;
use std::sync::Arc;

use annals::{HeadWaiter, Query};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::cursors::Watch;
use crate::fault::Fault;
use crate::pages::{Cursor, Page, Room};
use crate::shared::{Phase, Shared, draining};

/// A subscription: reads what is there, and waits for the head.
pub(crate) struct Following {
    shared: Arc<Shared>,
    cursor: Cursor,
    room: Room,
    waiter: HeadWaiter,
    phase: watch::Receiver<Phase>,
    watch: Watch,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Following {
    /// Returns a subscription to the events that match a query, from an offset on.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        face: &'static str,
        client: String,
        query: Arc<Query>,
        from: u64,
        room: Room,
    ) -> Result<Self, Fault> {
        Ok(Self {
            _permit: shared.subscription_permit()?,
            watch: shared.cursors.watch(face, client, Arc::clone(&query), from),
            cursor: Cursor::new(query, from..from),
            room,
            waiter: shared.head().waiter(),
            phase: shared.phase(),
            ended: false,
            shared: Arc::clone(shared),
        })
    }

    /// Ends the subscription before its beginning, if `ended`.
    pub(crate) fn ended_if(self, ended: bool) -> Self {
        Self { ended, ..self }
    }

    /// Returns the next events; `None` once the server ends. It takes all that is there, and waits only for more. A
    /// call that is dropped before its end loses no event.
    pub(crate) async fn next(&mut self) -> Option<Result<Page, Fault>> {
        loop {
            if self.ended || *self.phase.borrow() == Phase::Draining {
                return None;
            }
            let head = self.shared.head().get();
            self.cursor.range.end = head.max(self.cursor.range.start);
            if self.cursor.is_done() {
                self.watch.set(self.cursor.range.start);
                self.wait().await?;
                continue;
            }
            match self.shared.read_page(&mut self.cursor, self.room).await {
                Ok(page) => {
                    if self.cursor.range.is_empty() {
                        // An exhausted range may be anything empty; the next one begins at the head that was read.
                        self.cursor.range = head..head;
                    }
                    self.watch.set(self.cursor.range.start);
                    if !page.is_empty() {
                        return Some(Ok(page));
                    }
                }
                Err(fault) => {
                    self.ended = true;
                    return Some(Err(fault));
                }
            }
        }
    }

    /// Returns the offset that is read next.
    pub(crate) fn position(&self) -> u64 {
        self.cursor.range.start
    }

    /// Returns whether everything up to the head was returned.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.cursor.range.start >= self.shared.head().get()
    }

    /// Waits for the head to move. Returns `None` once the server drains or the store is closed.
    async fn wait(&mut self) -> Option<()> {
        let (seen, waiter, phase) = (self.cursor.range.start, &mut self.waiter, &mut self.phase);
        tokio::select! {
            head = poll_fn(|context| waiter.poll_beyond(seen, context.waker())) => {
                // The head of a closed log does not move.
                (head > seen).then_some(())
            }
            () = draining(phase) => None,
        }
    }
}

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
            let page = self.present().await?;
            if !matches!(&page, Ok(page) if page.is_empty()) {
                return Some(page);
            }
            self.wait().await?;
        }
    }

    /// Returns the next events that the log has, without waiting for more: an empty page if everything up to the head
    /// was returned, and `None` once the server ends. A call that is dropped before its end loses no event.
    pub(crate) async fn present(&mut self) -> Option<Result<Page, Fault>> {
        loop {
            if self.ended || *self.phase.borrow() == Phase::Draining {
                return None;
            }
            let head = self.shared.head().get();
            self.cursor.range.end = head.max(self.cursor.range.start);
            if self.cursor.is_done() {
                self.watch.set(self.cursor.range.start);
                return Some(Ok(Page::new()));
            }
            match self.shared.read_page(&mut self.cursor, self.room).await {
                Ok(page) => {
                    let is_last = self.cursor.range.is_empty();
                    if is_last {
                        // An exhausted range may be anything empty; the next one begins at the head that was read.
                        self.cursor.range = head..head;
                    }
                    self.watch.set(self.cursor.range.start);
                    // A log whose head moves without pause does not keep the caller from its empty page.
                    if is_last || !page.is_empty() {
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

    /// Returns the head that the subscription has reached: the offset that is read next, and never one beyond the
    /// head of the log.
    pub(crate) fn reached(&self) -> u64 {
        self.cursor.range.start.min(self.shared.head().get())
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

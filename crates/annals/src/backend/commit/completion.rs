//! The ticket: delivers the result of an append to the caller that waits for it.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use annals_base::Told;

use crate::backend::head::wakers::{thread_waker, wake};
use crate::error::AppendError;
use crate::metrics::meters::{Meters, Timed};

/// The result of an append: the offsets of the batch.
pub(crate) type AppendResult = Result<Range<u64>, AppendError>;

/// A caller waits on it for its result, or for the lead.
pub(crate) struct Ticket {
    pub(crate) may_lead: bool,
    /// The instruments that count the result, and the start of the append: for a caller that does not wait, and so
    /// cannot count the result itself.
    meters: Option<(Arc<Meters>, Option<Instant>)>,
    state: annals_base::Ticket<AppendResult>,
}

impl Ticket {
    /// Creates a ticket for a caller that waits, and may lead meanwhile.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { may_lead: true, meters: None, state: annals_base::Ticket::default() })
    }

    /// Creates a ticket for a caller that must not block, and so may not lead.
    pub(crate) fn for_future(meters: &Arc<Meters>) -> Arc<Self> {
        let meters = Some((Arc::clone(meters), meters.start(Timed::Append)));
        Arc::new(Self { may_lead: false, meters, state: annals_base::Ticket::default() })
    }

    /// Delivers the result.
    pub(crate) fn complete(&self, result: AppendResult) {
        if let Some((meters, started)) = &self.meters {
            meters.appended(*started, &result);
        }
        if let Some(waker) = self.state.answer(result) {
            wake(waker);
        }
    }

    /// Passes the lead to the caller.
    pub(crate) fn lead(&self) {
        if let Some(waker) = self.state.lead() {
            wake(waker);
        }
    }

    /// Blocks until the result is delivered. Returns `None` if the caller gets the lead instead.
    pub(crate) fn wait(&self) -> Option<AppendResult> {
        let waker = thread_waker();
        loop {
            match self.state.poll(&waker) {
                Poll::Ready(Told::Answer(result)) => return Some(result),
                Poll::Ready(Told::Lead) => return None,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// The future of a batch in the queue.
pub(crate) struct Pending(pub(crate) Arc<Ticket>);

impl Future for Pending {
    type Output = AppendResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AppendResult> {
        match self.0.state.poll(context.waker()) {
            Poll::Ready(Told::Answer(result)) => Poll::Ready(result),
            // This ticket may not lead, so it never gets the lead.
            Poll::Ready(Told::Lead) | Poll::Pending => Poll::Pending,
        }
    }
}

//! The completion of an append: delivers the result of an append to the caller that waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use annals_base::{Waiter, Wakeup};

use crate::backend::batch::Appended;
use crate::backend::head::wakers::{thread_waker, wake};
use crate::error::AppendError;
use crate::metrics::meters::{Meters, Timed};

/// The result of an append.
pub(crate) type AppendResult = Result<Appended, AppendError>;

/// The completion of one append. Its caller waits for the result, or for the lead.
pub(crate) struct Completion {
    pub(crate) may_lead: bool,
    /// The instruments that count the result, and the start of the append: for a caller that does not wait, and so
    /// cannot count the result itself.
    meters: Option<(Arc<Meters>, Option<Instant>)>,
    waiter: Waiter<AppendResult>,
}

impl Completion {
    /// Creates a completion for a caller that waits, and may lead meanwhile.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { may_lead: true, meters: None, waiter: Waiter::default() })
    }

    /// Creates a completion for a caller that must not block, and so may not lead.
    pub(crate) fn for_future(meters: &Arc<Meters>) -> Arc<Self> {
        let meters = Some((Arc::clone(meters), meters.start(Timed::Append)));
        Arc::new(Self { may_lead: false, meters, waiter: Waiter::default() })
    }

    /// Delivers the result.
    pub(crate) fn complete(&self, result: AppendResult) {
        if let Some((meters, started)) = &self.meters {
            meters.appended(*started, &result);
        }
        if let Some(waker) = self.waiter.complete(result) {
            wake(waker);
        }
    }

    /// Passes the lead to the caller.
    pub(crate) fn lead(&self) {
        if let Some(waker) = self.waiter.lead() {
            wake(waker);
        }
    }

    /// Blocks until the result is delivered. Returns `None` if the caller gets the lead instead.
    pub(crate) fn wait(&self) -> Option<AppendResult> {
        let waker = thread_waker();
        loop {
            match self.waiter.poll(&waker) {
                Poll::Ready(Wakeup::Done(result)) => return Some(result),
                Poll::Ready(Wakeup::Lead) => return None,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// The future of a batch in the queue.
pub(crate) struct Pending(pub(crate) Arc<Completion>);

impl Future for Pending {
    type Output = AppendResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AppendResult> {
        match self.0.waiter.poll(context.waker()) {
            Poll::Ready(Wakeup::Done(result)) => Poll::Ready(result),
            // This completion may not lead, so it never gets the lead.
            Poll::Ready(Wakeup::Lead) | Poll::Pending => Poll::Pending,
        }
    }
}

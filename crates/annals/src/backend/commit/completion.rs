//! The completion of an append: delivers the result of an append to the caller that waits for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use annals_base::{Bell, Waiter};

use crate::backend::batch::Appended;
use crate::backend::head::wakers::wake;
use crate::error::AppendError;
use crate::metrics::meters::{Meters, Timed};

/// The result of an append.
pub(crate) type AppendResult = Result<Appended, AppendError>;

/// The completion of one append. Its caller waits for the result, or for the lead.
pub(crate) struct Completion {
    /// The bell that a waiting caller hears, which the callers of a group share. `None` for a caller that does not
    /// block, and so may not lead.
    bell: Option<Arc<Bell>>,
    /// The instruments that count the result, and the start of the append: for a caller that does not wait, and so
    /// cannot count the result itself.
    meters: Option<(Arc<Meters>, Option<Instant>)>,
    waiter: Waiter<AppendResult>,
}

impl Completion {
    /// Creates a completion for a caller that waits for `bell`, and may lead meanwhile.
    pub(crate) fn new(bell: &Arc<Bell>) -> Arc<Self> {
        Arc::new(Self { bell: Some(Arc::clone(bell)), meters: None, waiter: Waiter::default() })
    }

    /// Creates a completion for a caller that must not block, and so may not lead.
    pub(crate) fn for_future(meters: &Arc<Meters>) -> Arc<Self> {
        let meters = Some((Arc::clone(meters), meters.start(Timed::Append)));
        Arc::new(Self { bell: None, meters, waiter: Waiter::default() })
    }

    /// Delivers the result, and wakes its caller.
    pub(crate) fn complete(&self, result: AppendResult) {
        if let Some(bell) = self.deliver(result) {
            bell.ring();
        }
    }

    /// Delivers the result. Returns the bell of a caller that blocks, which must be rung. The callers of a group have
    /// the same bell, and are woken by one ring.
    #[must_use = "a caller whose bell is not rung sleeps on"]
    pub(crate) fn deliver(&self, result: AppendResult) -> Option<&Arc<Bell>> {
        if let Some((meters, started)) = &self.meters {
            meters.appended(*started, &result);
        }
        if let Some(waker) = self.waiter.complete(result) {
            wake(waker);
        }
        self.bell.as_ref()
    }

    /// Offers the lead to the callers that have the same bell. Returns false if this caller does not block, and so may
    /// not lead.
    pub(crate) fn offer_lead(&self) -> bool {
        self.bell.as_ref().inspect(|bell| bell.offer_lead()).is_some()
    }

    /// Blocks until the result is delivered. Returns `None` if the caller gets the lead instead.
    pub(crate) fn wait(&self) -> Option<AppendResult> {
        let bell = self.bell.as_ref().expect("a caller that waits has a bell");
        loop {
            let rings = bell.rings();
            if let Some(result) = self.waiter.take() {
                return Some(result);
            }
            if bell.take_lead() {
                return None;
            }
            bell.wait(rings);
        }
    }
}

/// The future of a batch in the queue.
pub(crate) struct Pending(pub(crate) Arc<Completion>);

impl Future for Pending {
    type Output = AppendResult;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<AppendResult> {
        self.0.waiter.poll(context.waker())
    }
}

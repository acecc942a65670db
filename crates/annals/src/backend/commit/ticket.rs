//! How a caller waits for its answer.

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

pub(crate) type Answer = Result<Range<u64>, AppendError>;

/// On this a caller waits for its answer, or for the lead.
pub(crate) struct Ticket {
    pub(crate) may_lead: bool,
    /// For a caller that does not wait, and so does not count the answer itself; and since when it is awaited.
    meters: Option<(Arc<Meters>, Option<Instant>)>,
    state: annals_base::Ticket<Answer>,
}

impl Ticket {
    /// Makes one for a caller that waits, and may lead meanwhile.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { may_lead: true, meters: None, state: annals_base::Ticket::default() })
    }

    /// Makes one for a caller that must not block, and so may not lead.
    pub(crate) fn for_future(meters: &Arc<Meters>) -> Arc<Self> {
        let meters = Some((Arc::clone(meters), meters.start(Timed::Append)));
        Arc::new(Self { may_lead: false, meters, state: annals_base::Ticket::default() })
    }

    pub(crate) fn answer(&self, answer: Answer) {
        if let Some((meters, started)) = &self.meters {
            meters.appended(*started, &answer);
        }
        if let Some(waker) = self.state.answer(answer) {
            wake(waker);
        }
    }

    pub(crate) fn lead(&self) {
        if let Some(waker) = self.state.lead() {
            wake(waker);
        }
    }

    /// Blocks until there is an answer, or the lead (`None`).
    pub(crate) fn wait(&self) -> Option<Answer> {
        let waker = thread_waker();
        loop {
            match self.state.poll(&waker) {
                Poll::Ready(Told::Answer(answer)) => return Some(answer),
                Poll::Ready(Told::Lead) => return None,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// The future of a batch in the line.
pub(crate) struct Pending(pub(crate) Arc<Ticket>);

impl Future for Pending {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        match self.0.state.poll(context.waker()) {
            Poll::Ready(Told::Answer(answer)) => Poll::Ready(answer),
            // Only tickets that may lead are told to.
            Poll::Ready(Told::Lead) | Poll::Pending => Poll::Pending,
        }
    }
}

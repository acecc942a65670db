//! How those who wait for a commit are answered, and how the one thread is called that commits for those who must
//! not block.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::AppendError;
use crate::head::thread_waker;
use crate::meters::{Meters, Timed};

pub(super) type Answer = Result<Range<u64>, AppendError>;

/// Where a caller that waits finds its answer, or the leadership.
pub(super) struct Ticket {
    pub(super) may_lead: bool,
    /// Whom the answer is told too, for a caller that does not wait to tell it, and since when it is awaited.
    meters: Option<(Arc<Meters>, Option<Instant>)>,
    state: Mutex<TicketState>,
}

pub(super) enum TicketState {
    Waiting(Option<Waker>),
    Lead,
    Done(Answer),
}

impl Ticket {
    /// For a caller that waits, and may lead meanwhile.
    pub(super) fn new() -> Arc<Self> {
        let state = Mutex::new(TicketState::Waiting(None));
        Arc::new(Self { may_lead: true, meters: None, state })
    }

    /// For a caller that must not block, and so may not lead.
    pub(super) fn for_future(meters: &Arc<Meters>) -> Arc<Self> {
        let meters = Some((Arc::clone(meters), meters.start(Timed::Append)));
        let state = Mutex::new(TicketState::Waiting(None));
        Arc::new(Self { may_lead: false, meters, state })
    }

    pub(super) fn set(&self, state: TicketState) {
        if let (TicketState::Done(answer), Some((meters, started))) = (&state, &self.meters) {
            meters.appended(*started, answer);
        }
        let before = std::mem::replace(&mut *self.state.lock(), state);
        if let TicketState::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    /// The answer, `None` for the leadership, or pending.
    fn poll(&self, waker: &Waker) -> Poll<Option<Answer>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, TicketState::Waiting(Some(waker.clone()))) {
            TicketState::Waiting(_) => Poll::Pending,
            TicketState::Lead => Poll::Ready(None),
            TicketState::Done(answer) => Poll::Ready(Some(answer)),
        }
    }

    /// Blocks until there is an answer, or the leadership (`None`).
    pub(super) fn wait(&self) -> Option<Answer> {
        let waker = thread_waker();
        loop {
            if let Poll::Ready(outcome) = self.poll(&waker) {
                return outcome;
            }
            std::thread::park();
        }
    }
}

/// The future of a batch in the queue.
pub(super) struct Pending(pub(super) Arc<Ticket>);

impl Future for Pending {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        match self.0.poll(context.waker()) {
            Poll::Ready(Some(answer)) => Poll::Ready(answer),
            // Only tickets that may lead are told to.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Wakes the thread that leads for those who must not block.
#[derive(Default)]
pub(super) struct Helper {
    call: Mutex<HelperCall>,
    called: Condvar,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum HelperCall {
    #[default]
    None,
    Lead,
    End,
}

impl Helper {
    pub(super) fn set(&self, call: HelperCall) {
        *self.call.lock() = call;
        self.called.notify_one();
    }

    pub(super) fn wait(&self) -> HelperCall {
        let mut call = self.call.lock();
        self.called.wait_while(&mut call, |call| *call == HelperCall::None);
        std::mem::take(&mut *call)
    }
}

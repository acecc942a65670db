//! Decisions: read, fold, ask, and append under the condition that nothing the decision saw has changed.
//!
//! ```text
//!   fold to the head ─▶ ask: events, or a rejection ─▶ append if nothing of the query came since
//!         ▲                                                      │ something did
//!         └──────── fold only that, and ask again ───────────────┘
//! ```
//! The consistency boundary is the projection's query and nothing else: decisions about other things do not meet.
//!
//! Whoever is slower than all others would lose for ever, so who lost several times asks the other deciders of this
//! process to wait, once. Nothing depends on that but fairness; the wait is bounded, so that a decision inside a
//! decision or a callback never hangs.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Projection;
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::error::{AppendError, ReadError};
use crate::event::event::Event;
use crate::query::Condition;
use crate::store::store::EventStore;

/// How often a decision is taken anew by default when others come between.
const RETRIES: u32 = 100;

/// How often somebody loses before he asks the others to wait, and how long he, and they, wait at most.
const PATIENCE: u32 = 8;
const WAIT_MAX: Duration = Duration::from_millis(50);

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The offsets of its events; empty if it was to do nothing.
    pub offsets: Range<u64>,
    /// How often it was taken anew because something came between.
    pub retries: u32,
}

/// A reason not to do what was asked, for those who need no type of their own for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    reason: String,
}

impl Rejection {
    /// For this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Why nothing was decided. The log holds nothing of it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError<R> {
    /// The decision was not to.
    #[error("rejected: {0}")]
    Rejected(R),
    /// Others came between again and again.
    #[error(
        "other events came between {retries} times, last at offset {offset}; ask again, or allow more retries"
    )]
    Contended {
        /// How often it was taken anew.
        retries: u32,
        /// The event that came between last.
        offset: u64,
    },
    /// The events cannot be appended.
    #[error("the decision's events were not appended: {0}")]
    Append(#[source] AppendError),
    /// The log cannot be read.
    #[error("the log could not be read for a decision: {0}")]
    Read(#[source] ReadError),
}

/// What is held while one decides, if it could be had.
enum Turn<'a> {
    Shared(#[expect(dead_code, reason = "held, not read")] Option<RwLockReadGuard<'a, ()>>),
    Alone(#[expect(dead_code, reason = "held, not read")] Option<RwLockWriteGuard<'a, ()>>),
}

impl<'a> Turn<'a> {
    fn take(turns: &'a RwLock<()>, retries: u32) -> Self {
        if retries < PATIENCE {
            Self::Shared(turns.try_read_for(WAIT_MAX))
        } else {
            Self::Alone(turns.try_write_for(WAIT_MAX))
        }
    }
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Decides on the state of a projection as it is now: `decision` answers the events to append, or a reason not
    /// to. They are appended only if nothing that the projection reads was appended since; if something was, the
    /// decision is taken anew on the state with it, at most 100 times.
    ///
    /// ```
    /// # use annals::{DecideError, Event, EventStore, Projection, Query, Recorded, Rejection};
    /// # #[derive(Event)]
    /// # enum Booking { SeatSold { #[event(tag = "seat")] seat: String } }
    /// # struct Sold(&'static str);
    /// # impl Projection for Sold {
    /// #     type Event = Booking;
    /// #     type State = bool;
    /// #     fn initial(&self) -> bool { false }
    /// #     fn query(&self) -> Query { Query::tag(format!("seat:{}", self.0)) }
    /// #     fn apply(&self, sold: &mut bool, _: &Recorded<Booking>) { *sold = true; }
    /// # }
    /// let store = EventStore::in_memory();
    /// let sell = |sold: &bool| match sold {
    ///     false => Ok(vec![Booking::SeatSold { seat: "12A".into() }]),
    ///     true => Err(Rejection::new("12A is sold already")),
    /// };
    /// assert_eq!(store.decide(&Sold("12A"), sell)?.offsets, 0..1);
    /// assert!(matches!(store.decide(&Sold("12A"), sell), Err(DecideError::Rejected(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Who decides often on the same projection keeps a [`Reconstructor`] and calls its
    /// [`decide`](Reconstructor::decide), which folds only what is new.
    ///
    /// # Errors
    /// [`DecideError`]; then the log holds nothing of it.
    pub fn decide<P: Projection<Event = E>, R>(
        &self,
        projection: &P,
        decision: impl FnMut(&P::State) -> Result<Vec<E>, R>,
    ) -> Result<Decision, DecideError<R>> {
        self.reconstruct(projection).decide(decision)
    }
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// As [`EventStore::decide`], on the state that this keeps.
    ///
    /// # Errors
    /// [`DecideError`]; then the log holds nothing of it.
    pub fn decide<R>(
        &mut self,
        decision: impl FnMut(&P::State) -> Result<Vec<P::Event>, R>,
    ) -> Result<Decision, DecideError<R>> {
        self.decide_within(RETRIES, decision)
    }

    /// As [`decide`](Self::decide), taken anew at most so often.
    ///
    /// # Errors
    /// [`DecideError`]; then the log holds nothing of it.
    pub fn decide_within<R>(
        &mut self,
        retries_max: u32,
        mut decision: impl FnMut(&P::State) -> Result<Vec<P::Event>, R>,
    ) -> Result<Decision, DecideError<R>> {
        let mut retries = 0;
        let turns = Arc::clone(self.store().fairness());
        loop {
            let _turn = Turn::take(&turns, retries);
            let state = self.now().map_err(DecideError::Read)?;
            let events = decision(state).map_err(DecideError::Rejected)?;
            let head = self.head();
            if events.is_empty() {
                return Ok(Decision { offsets: head..head, retries });
            }
            let unchanged = Condition::fail_if(self.query().clone()).after(head);
            match self.store().append_if(events, &unchanged) {
                Ok(offsets) => return Ok(Decision { offsets, retries }),
                Err(AppendError::Conflict { offset }) if retries == retries_max => {
                    return Err(DecideError::Contended { retries, offset });
                }
                Err(AppendError::Conflict { .. }) => retries += 1,
                Err(error) => return Err(DecideError::Append(error)),
            }
        }
    }
}

//! Decisions: fold to the head, call the decision, and append its events, unless an event that it depends on was
//! appended meanwhile.
//!
//! ```text
//!   fold to the head ─▶ call the decision: events, or a rejection ─▶ append, if no event of the query came since
//!         ▲                                                             │ conflict
//!         └──────── fold only the new events, and call it again ────────┘
//! ```
//! The consistency boundary is the projection's query and nothing else, so decisions about other things do not
//! conflict.
//!
//! A decision that is slower than all others would lose every race. So after eight lost attempts, a decision takes the
//! store's `fairness` lock alone and keeps it; all other decisions on that store share the lock. Only
//! fairness depends on it, not correctness. Every wait for it is bounded, so a decision inside another decision or a
//! callback cannot hang.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Projection;
use super::reconstructor::Reconstructor;
use crate::backend::backend::Backend;
use crate::backend::batch::{Appended, Batch};
use crate::error::{AppendError, ReadError};
use crate::event::event::Event;
use crate::query::Condition;
use crate::store::store::EventStore;

/// The default for the largest number of retries of a decision.
pub(super) const RETRIES: u32 = 100;

/// The number of lost attempts after which a decision takes the fairness lock for itself.
const SHARED_ATTEMPTS: u32 = 8;

/// The longest wait for the fairness lock.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// A decision that was made. [`EventStore::decide`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The offsets of its events; empty if the decision was to append nothing.
    pub offsets: Range<u64>,
    /// The number of retries after a conflict.
    pub retries: u32,
    /// Whether the log had the decision's events already, by their [ids](Event::id), so that nothing was appended.
    pub known: bool,
}

/// A rejection that consists of a text, for decisions that need no rejection type of their own. [`EventStore::decide`]
/// has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    reason: String,
}

impl Rejection {
    /// Returns a rejection with this reason.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Rejection {}

/// Why a decision appended nothing. The log shows none of its events. [`EventStore::decide`] has an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DecideError<R> {
    /// The decision was a rejection.
    Rejected(R),
    /// Every attempt lost: each time, an event that the decision depends on was appended meanwhile.
    Contended {
        /// The number of retries.
        retries: u32,
        /// The offset of the event that caused the last conflict.
        offset: u64,
    },
    /// The events could not be appended.
    Append(AppendError),
    /// The log could not be read.
    Read(ReadError),
}

impl<R: fmt::Display> fmt::Display for DecideError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(error) => write!(f, "rejected: {error}"),
            Self::Contended { retries, offset } => write!(
                f,
                "the decision lost to other events in {retries} retries, last to the event at offset \
                     {offset}; try again, or allow more retries"
            ),
            Self::Append(error) => write!(f, "the decision's events were not appended: {error}"),
            Self::Read(error) => write!(f, "the log could not be read for a decision: {error}"),
        }
    }
}

impl<R: fmt::Debug + fmt::Display> Error for DecideError<R> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Append(error) => Some(error),
            Self::Read(error) => Some(error),
            _ => None,
        }
    }
}

impl<E: Event, B: Backend<E>> EventStore<E, B> {
    /// Makes a decision on the current state of a projection. The decision returns the events to append, or a
    /// rejection.
    ///
    /// The events are appended only if no event that the projection reads was appended since the state was computed.
    /// Otherwise the decision is called again with the new state, up to 100 times.
    ///
    /// ```
    /// use annals::{DecideError, Event, EventStore, Projection, Query, Recorded, Rejection};
    ///
    /// #[derive(Event)]
    /// enum Booking {
    ///     SeatSold { #[event(tag = "seat")] seat: String },
    /// }
    ///
    /// /// Whether a seat is sold.
    /// struct Sold(&'static str);
    ///
    /// impl Projection for Sold {
    ///     type Event = Booking;
    ///     type State = bool;
    ///     fn initial(&self) -> bool { false }
    ///     fn query(&self) -> Query { Query::tag(format!("seat:{}", self.0)) }
    ///     fn apply(&self, sold: &mut bool, _: &Recorded<Booking>) { *sold = true }
    /// }
    ///
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
    /// **Each call folds all events of the projection**, which is fast for tens or hundreds of events. For more, there
    /// are two ways to fold less:
    /// * Snapshots, if the projection is another one each time (one for each account, for example):
    ///   `store.reconstruct(projection).snapshots(SnapshotPolicy::default()).decide(decision)`. The state must have
    ///   serde's traits. See [`Reconstructor::snapshots`].
    /// * A [`Reconstructor`] that the program keeps, if it decides often on the same projection. Its
    ///   [`decide`](Reconstructor::decide) folds only new events.
    ///
    /// # Errors
    /// * [`DecideError::Rejected`]: the decision was a rejection.
    /// * [`DecideError::Contended`]: every attempt lost to another event.
    /// * [`DecideError::Append`] and [`DecideError::Read`]: the log could not be written or read.
    ///
    /// The log then shows none of the decision's events.
    pub fn decide<P: Projection<Event = E>, R>(
        &self,
        projection: &P,
        decision: impl FnMut(&P::State) -> Result<Vec<E>, R>,
    ) -> Result<Decision, DecideError<R>> {
        self.reconstruct(projection).decide(decision)
    }
}

impl<P: Projection, B: Backend<P::Event>> Reconstructor<P, B> {
    /// Makes a decision as [`EventStore::decide`] does, on the state that this reconstructor keeps. Folds only new
    /// events. The first call folds from the newest [snapshot](Self::snapshots) on, and the policy says when it takes
    /// another:
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded, Rejection, SnapshotPolicy};
    /// # struct Count;
    /// # impl Projection for Count {
    /// #     type Event = RawEvent;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::all() }
    /// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// # }
    /// # let store = EventStore::in_memory();
    /// # let counted = || RawEvent::builder("counted").build().unwrap();
    /// store.append_batch((0..5_000).map(|_| counted()))?;
    /// let one_more = |count: &u64| match count {
    ///     0..10_000 => Ok(vec![counted()]),
    ///     _ => Err(Rejection::new("10,000 is enough")),
    /// };
    /// let policy = SnapshotPolicy::every(1_000);
    /// store.reconstruct(Count).snapshots(policy).decide(one_more)?; // folds 5,000 events and takes snapshots
    /// store.reconstruct(Count).snapshots(policy).decide(one_more)?; // folds at most 1,000
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`EventStore::decide`].
    pub fn decide<R>(
        &mut self,
        decision: impl FnMut(&P::State) -> Result<Vec<P::Event>, R>,
    ) -> Result<Decision, DecideError<R>> {
        self.decide_within(RETRIES, decision)
    }

    /// Makes a decision as [`decide`](Self::decide) does, with at most `retries_max` retries after a conflict.
    ///
    /// ```
    /// # use annals::{EventStore, Projection, Query, RawEvent, Recorded};
    /// use annals::{DecideError, Decision, Rejection};
    /// # struct Count;
    /// # impl Projection for Count {
    /// #     type Event = RawEvent;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::all() }
    /// #     fn apply(&self, count: &mut u64, _: &Recorded<RawEvent>) { *count += 1 }
    /// # }
    ///
    /// let store = EventStore::in_memory();
    /// let mut count = store.reconstruct(Count);
    /// let counted = || RawEvent::builder("counted").build().unwrap();
    /// let decision: Decision = count.decide_within(0, |_| Ok::<_, Rejection>(vec![counted()]))?;
    /// assert_eq!(decision.offsets, 0..1);
    /// // Another append between the fold and the append of the decision: without retries, the decision fails.
    /// let contended = count.decide_within(0, |_| {
    ///     store.append(counted()).unwrap();
    ///     Ok::<_, Rejection>(vec![counted()])
    /// });
    /// assert!(matches!(contended, Err(DecideError::Contended { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`EventStore::decide`].
    pub fn decide_within<R>(
        &mut self,
        retries_max: u32,
        mut decision: impl FnMut(&P::State) -> Result<Vec<P::Event>, R>,
    ) -> Result<Decision, DecideError<R>> {
        let mut retries = 0;
        let fairness = Arc::clone(self.store().fairness());
        // Kept for all further attempts: if it were released in between, each attempt could lose to the same thread.
        let mut alone = None;
        loop {
            // Both are `None` if the wait for the lock timed out: only fairness depends on it.
            let _shared = (retries < SHARED_ATTEMPTS).then(|| fairness.share(WAIT_MAX));
            if retries >= SHARED_ATTEMPTS && alone.is_none() {
                alone = fairness.take(WAIT_MAX);
            }
            let state = self.now().map_err(DecideError::Read)?;
            let events = decision(state).map_err(DecideError::Rejected)?;
            let head = self.head();
            if events.is_empty() {
                return Ok(Decision { offsets: head..head, retries, known: false });
            }
            let unchanged = Condition::fail_if(self.query().clone()).after(head);
            match self.store().append_as(Batch::new(events).condition(unchanged)) {
                Ok(Appended { offsets, known }) => {
                    return Ok(Decision { offsets, retries, known });
                }
                Err(AppendError::Conflict { offset, .. }) if retries == retries_max => {
                    return Err(DecideError::Contended { retries, offset });
                }
                Err(AppendError::Conflict { .. }) => retries += 1,
                Err(error) => return Err(DecideError::Append(error)),
            }
        }
    }
}

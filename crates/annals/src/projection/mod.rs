//! Projections: a fold of events into state, and everything that is done with one.
//!
//! ```text
//!   reconstructor   the state now, and at any time before
//!   steps           the state after each event
//!   live            the state kept up to date by a thread
//!   decide          fold, call the decision, append if unchanged
//!   decide_async    the same, without a thread that waits
//!   tuple           several projections as one
//!   snapshots       where a reconstructor stores snapshots, and folds that begin at one
//!   repository      the snapshots of one projection
//!   pending         the states of a fold that may become snapshots
//!   check           compares snapshots with a fold from offset 0
//!   folded          the state of a fold, and its progress
//!   testing         given, when, then; and the round trip of an event
//! ```

#[cfg(feature = "snapshots")]
pub(crate) mod check;
pub(crate) mod decide;
mod decide_async;
pub(crate) mod folded;
pub(crate) mod live;
#[cfg(feature = "snapshots")]
pub(crate) mod pending;
pub(crate) mod reconstructor;
#[cfg(feature = "snapshots")]
pub(crate) mod repository;
#[cfg(feature = "snapshots")]
mod snapshots;
pub(crate) mod steps;
pub mod testing;
mod tuple;

use std::borrow::Cow;

use crate::event::event::{Event, Recorded};
use crate::query::Query;

/// A fold of events into state: the initial state, the query that selects the events, and the change that each event
/// makes.
///
/// A projection must depend on nothing but these events: no clock, no randomness, no state of its own. Then folding the
/// same events always gives the same state.
///
/// ```
/// use annals::{Event, EventStore, Projection, Query, Recorded};
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold { #[event(tag = "seat")] seat: String, price: u32 },
///     SeatFreed { #[event(tag = "seat")] seat: String },
/// }
///
/// /// Whether a seat is sold.
/// struct Sold(&'static str);
///
/// impl Projection for Sold {
///     type Event = Booking;
///     type State = bool;
///
///     fn initial(&self) -> bool {
///         false
///     }
///
///     fn query(&self) -> Query {
///         Query::tag(format!("seat:{}", self.0))
///     }
///
///     fn apply(&self, sold: &mut bool, event: &Recorded<Booking>) {
///         *sold = matches!(event.event, Booking::SeatSold { .. });
///     }
/// }
///
/// let store = EventStore::in_memory();
/// store.append(Booking::SeatSold { seat: "12A".into(), price: 90 })?;
/// assert!(*store.reconstruct(Sold("12A")).now()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **A tuple of projections is a projection**, with 2 to 8 parts. Its state is the tuple of the parts' states, its
/// query is all their queries together, and each part sees only the events of its own query. A part's query is compared
/// with the type and the tags that the program gives an event today. A decision that depends on several things needs no
/// projection of its own:
///
/// ```
/// # use annals::{Event, EventStore, Projection, Query, Recorded, Rejection};
/// # #[derive(Event)]
/// # enum Course {
/// #     Subscribed { #[event(tag = "course")] course: u32, #[event(tag = "student")] student: u32 },
/// # }
/// /// The number of subscriptions with a tag.
/// struct Subscriptions(String);
///
/// impl Projection for Subscriptions {
///     type Event = Course;
///     type State = u32;
///     fn initial(&self) -> u32 { 0 }
///     fn query(&self) -> Query { Query::tag(&self.0) }
///     fn apply(&self, count: &mut u32, _: &Recorded<Course>) { *count += 1 }
/// }
///
/// let store = EventStore::in_memory();
/// let (course, student) = (7, 12);
/// let both = (Subscriptions(format!("course:{course}")), Subscriptions(format!("student:{student}")));
/// store.decide(&both, |&(of_course, of_student)| match (of_course, of_student) {
///     (30.., _) => Err(Rejection::new("the course is full")),
///     (_, 5..) => Err(Rejection::new("the student has five courses")),
///     _ => Ok(vec![Course::Subscribed { course, student }]),
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Projection {
    /// The type of the events.
    type Event: Event;

    /// The state that the events are folded into.
    type State: Clone;

    /// Returns the state before the first event.
    fn initial(&self) -> Self::State;

    /// Returns the query that selects the events. It is also the consistency boundary of decisions: a decision on the
    /// state is retried if another matching event is appended meanwhile.
    fn query(&self) -> Query;

    /// Applies an event to the state. It is called with each event that matches the query, in order, once each.
    fn apply(&self, state: &mut Self::State, event: &Recorded<Self::Event>);

    /// Returns the projection's name, by default that of its Rust type. Snapshots are bound to it.
    ///
    /// Return a name of your own if the type may be renamed or moved. If `apply` depends on a value other than the
    /// events and the query, make that value a part of the name.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(std::any::type_name::<Self>())
    }

    /// Returns the projection's version, 1 by default. Raise it whenever `apply`, `initial` or the shape of the state
    /// changes. Snapshots of other versions are not used.
    fn version(&self) -> u32 {
        1
    }

    /// Returns the queries of the parts of a tuple, which a fold computes once.
    #[doc(hidden)]
    fn parts(&self) -> Parts {
        Parts::default()
    }

    /// Applies an event to the parts whose queries match it. `parts` is the result of [`parts`](Self::parts).
    #[doc(hidden)]
    fn apply_parts(&self, parts: &Parts, state: &mut Self::State, event: &Recorded<Self::Event>) {
        let _ = parts;
        self.apply(state, event);
    }
}

/// The queries of the parts of a tuple of projections, and those of their own parts. Empty for any other projection.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Parts(Vec<(Query, Parts)>);

impl<P: Projection + ?Sized> Projection for &P {
    type Event = P::Event;
    type State = P::State;

    fn initial(&self) -> P::State {
        (**self).initial()
    }

    fn query(&self) -> Query {
        (**self).query()
    }

    fn apply(&self, state: &mut P::State, event: &Recorded<P::Event>) {
        (**self).apply(state, event);
    }

    fn name(&self) -> Cow<'_, str> {
        (**self).name()
    }

    fn version(&self) -> u32 {
        (**self).version()
    }

    fn parts(&self) -> Parts {
        (**self).parts()
    }

    fn apply_parts(&self, parts: &Parts, state: &mut P::State, event: &Recorded<P::Event>) {
        (**self).apply_parts(parts, state, event);
    }
}

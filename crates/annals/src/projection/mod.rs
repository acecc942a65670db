//! Projections: a fold of events into state, and everything that is done with one.
//!
//! ```text
//!   reconstructor   the state now, and at any time before
//!   steps           the state after each event
//!   live            the state kept up to date by a thread
//!   decide          fold, call the decision, append if unchanged
//!   repository      the snapshots of one projection
//!   pending         the states of a fold that may become snapshots
//!   check           compares snapshots with a fold from offset 0
//!   folded          the state of a fold, and its progress
//!   testing         given, when, then; and the round trip of an event
//! ```

pub(crate) mod check;
pub(crate) mod decide;
pub(crate) mod folded;
pub(crate) mod live;
pub(crate) mod pending;
pub(crate) mod reconstructor;
pub(crate) mod repository;
pub(crate) mod steps;
pub mod testing;

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
}

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
}

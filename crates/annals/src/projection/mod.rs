//! Folding the log into state: what a projection is, and everything that is done with one.
//!
//! ```text
//!   reconstructor   the state now, and at any time before
//!   steps           the state after each event
//!   live            the state kept up to date in a thread
//!   decide          fold, ask, append if unchanged
//!   repository      the snapshots of one projection
//!   pending         the states of a fold that may become snapshots
//!   check           snapshots against a fold from 0
//!   folded          a state on its way through the log
//!   testing         given, when, then; whether an event comes back
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

/// A fold of events into state: where it begins, which events it reads, and what each does.
///
/// It must depend on nothing but these events: no clock, no randomness, no state of its own. Then it gives the same
/// state whenever the same events are folded.
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
    /// The events it reads.
    type Event: Event;

    /// What they are folded into.
    type State: Clone;

    /// The state before anything happened.
    fn initial(&self) -> Self::State;

    /// The events that matter to it. A decision taken on its state fails if another such event comes between.
    fn query(&self) -> Query;

    /// Changes the state as the event says. It sees the events of its query in order, once each.
    fn apply(&self, state: &mut Self::State, event: &Recorded<Self::Event>);

    /// Its name, to which its snapshots are bound: by default that of its Rust type. Give one that stays if the type
    /// may move, and make what else `apply` depends on, beside the events and the query, a part of it.
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(std::any::type_name::<Self>())
    }

    /// To be raised whenever `apply`, `initial` or the state's shape changes: snapshots of other versions are not
    /// used. 1 by default.
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

//! Helpers for the tests of programs that use annals.
//!
//! * [`given`] tests a decision: given these events, when this is decided, then these events or this rejection.
//! * [`assert_round_trip`] tests an event type: a log in files returns the event unchanged.
//! * [`TestClock`] gives events the times that a test wants.
//!
//! A test that needs a log uses [`EventStore::in_memory_encoded`], a log in memory that refuses everything that files
//! refuse.

use std::fmt::{Debug, Display, Write as _};

use super::Projection;
pub use crate::backend::commit::clock::TestClock;
use crate::backend::encode::Encoded;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::event::name::Hasher;
use crate::query::Query;
use crate::store::store::EventStore;

/// Asserts that a log in files would take `event` and return it unchanged: the event has an encoding within all limits,
/// and decoding it gives the same event, in everything that serde serializes.
///
/// Call it with one event of each type, and with edge values: `None`, an empty `Vec`, the largest number.
///
/// ```
/// use annals::Event;
/// use annals::testing::assert_round_trip;
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold { seat: String, price: u32, note: Option<String> },
/// }
///
/// assert_round_trip(&Booking::SeatSold { seat: "12A".into(), price: u32::MAX, note: None });
/// ```
///
/// It panics for a type whose `Serialize` and `Deserialize` do not fit each other:
///
/// ```should_panic
/// use annals::Event;
/// use annals::testing::assert_round_trip;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Seat {
///     #[serde(skip_serializing_if = "Vec::is_empty")] // without `default`
///     labels: Vec<String>,
/// }
///
/// #[derive(Event)]
/// enum Booking {
///     SeatSold { seat: Seat },
/// }
///
/// assert_round_trip(&Booking::SeatSold { seat: Seat { labels: vec![] } });
/// ```
///
/// # Panics
/// When the log would refuse the event, or return another one. The message has the field and the way to correct it.
#[track_caller]
pub fn assert_round_trip<E: Event>(event: &E) {
    match Encoded::read_back(std::slice::from_ref(event), &Hasher::new(&[0; 16])) {
        Ok(_) => {}
        Err(AppendError::Invalid { source, .. }) => panic!("{source}"),
        Err(error) => panic!("{error}"),
    }
}

/// Begins a test of a decision: these events are in the log, in this order.
///
/// ```
/// use annals::{Event, Projection, Query, Recorded, Rejection};
/// use annals::given;
///
/// #[derive(Event, Debug, PartialEq)]
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
/// fn sell(sold: &bool, seat: &str) -> Result<Vec<Booking>, Rejection> {
///     if *sold {
///         return Err(Rejection::new(format!("{seat} is sold already")));
///     }
///     Ok(vec![Booking::SeatSold { seat: seat.into() }])
/// }
///
/// let sold = |seat: &str| Booking::SeatSold { seat: seat.into() };
/// given([sold("12B")]).when(&Sold("12A"), |state| sell(state, "12A")).then([sold("12A")]);
/// given([sold("12A")]).when(&Sold("12A"), |state| sell(state, "12A")).then_rejected("12A is sold already");
/// ```
#[must_use = "a test without `when` and `then` tests nothing"]
pub fn given<E: Event>(events: impl IntoIterator<Item = E>) -> Given<E> {
    Given { events: events.into_iter().collect() }
}

/// The events that are in the log before a decision. [`given`] returns it. Tests that begin alike share a function that
/// returns one:
///
/// ```
/// # use annals::{Event, Projection, Query, Recorded, Rejection};
/// use annals::{Given, given};
/// # #[derive(Event, Debug, PartialEq)]
/// # enum Booking { SeatSold { seat: u32 } }
/// # struct Sold;
/// # impl Projection for Sold {
/// #     type Event = Booking;
/// #     type State = u64;
/// #     fn initial(&self) -> u64 { 0 }
/// #     fn query(&self) -> Query { Query::all() }
/// #     fn apply(&self, sold: &mut u64, _: &Recorded<Booking>) { *sold += 1 }
/// # }
/// # fn sell(sold: &u64) -> Result<Vec<Booking>, Rejection> {
/// #     if *sold < 100 { Ok(vec![Booking::SeatSold { seat: 99 }]) } else { Err(Rejection::new("sold out")) }
/// # }
///
/// fn sold(seats: u32) -> Given<Booking> {
///     given((0..seats).map(|seat| Booking::SeatSold { seat }))
/// }
///
/// sold(99).when(&Sold, sell).then([Booking::SeatSold { seat: 99 }]);
/// sold(100).when(&Sold, sell).then_rejected("sold out");
/// ```
#[derive(Debug)]
#[must_use = "a test without `when` and `then` tests nothing"]
pub struct Given<E> {
    events: Vec<E>,
}

impl<E: Event> Given<E> {
    /// Calls the decision on the state of `projection`, which reads the given events that match its query.
    ///
    /// # Panics
    /// When a log does not take the given events, or cannot read them.
    #[track_caller]
    pub fn when<P: Projection<Event = E>, R>(
        self,
        projection: &P,
        decision: impl FnOnce(&P::State) -> Result<Vec<E>, R>,
    ) -> Outcome<E, R> {
        let store = EventStore::<E>::in_memory();
        for (index, event) in self.events.into_iter().enumerate() {
            if let Err(error) = store.append(event) {
                panic!("given event {index} cannot be appended: {error}");
            }
        }
        let mut reconstructor = store.reconstruct(projection);
        let decided = match reconstructor.now() {
            Ok(state) => decision(state),
            Err(error) => panic!("the given events cannot be read: {error}"),
        };
        Outcome { store, query: projection.query(), decided }
    }
}

/// The outcome of a decision, to compare with the expected one. [`Given::when`] returns it, and [`given`] has an
/// example.
#[derive(Debug)]
#[must_use = "a test without `then` tests nothing"]
pub struct Outcome<E: Event, R> {
    store: EventStore<E>,
    query: Query,
    decided: Result<Vec<E>, R>,
}

impl<E: Event + Debug + PartialEq, R: Debug> Outcome<E, R> {
    /// Asserts that the decision returned these events and no others.
    ///
    /// # Panics
    /// When it did not. The message has the given events, the expected and the found outcome.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = E>) {
        let expected: Vec<E> = expected.into_iter().collect();
        let decided = self.decided.as_ref().is_ok_and(|found| *found == expected);
        assert!(decided, "{}", self.report(&list(&expected)));
    }

    /// Asserts that the decision returned no events.
    ///
    /// ```
    /// # use annals::{Event, Projection, Query, Recorded};
    /// use annals::given;
    /// # #[derive(Event, Debug, PartialEq)]
    /// # enum Booking { SeatSold { seat: u32 } }
    /// # struct Sold;
    /// # impl Projection for Sold {
    /// #     type Event = Booking;
    /// #     type State = u64;
    /// #     fn initial(&self) -> u64 { 0 }
    /// #     fn query(&self) -> Query { Query::all() }
    /// #     fn apply(&self, sold: &mut u64, _: &Recorded<Booking>) { *sold += 1 }
    /// # }
    /// #[derive(Debug, PartialEq)]
    /// struct SoldOut;
    ///
    /// let sell = |sold: &u64| match sold {
    ///     0 => Ok(vec![Booking::SeatSold { seat: 1 }]),
    ///     1 => Ok(vec![]),
    ///     _ => Err(SoldOut),
    /// };
    /// given([Booking::SeatSold { seat: 1 }]).when(&Sold, sell).then_nothing();
    /// given([1, 2].map(|seat| Booking::SeatSold { seat })).when(&Sold, sell).then_rejected_with(&SoldOut);
    /// ```
    ///
    /// # Panics
    /// When it did not. The message has the given events and the found outcome.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// Asserts that the decision was a rejection that displays as `reason`.
    ///
    /// # Panics
    /// When it was not. The message has the given events, the expected and the found outcome.
    #[track_caller]
    pub fn then_rejected(self, reason: impl Display)
    where
        R: Display,
    {
        let reason = reason.to_string();
        let rejected = self.decided.as_ref().is_err_and(|found| found.to_string() == reason);
        assert!(rejected, "{}", self.report(&format!("  rejected: {reason}\n")));
    }

    /// Asserts that the decision was this rejection. Meant for rejection types of your own.
    /// [`then_nothing`](Self::then_nothing) has an example.
    ///
    /// # Panics
    /// When it was not. The message has the given events, the expected and the found outcome.
    #[track_caller]
    pub fn then_rejected_with(self, expected: &R)
    where
        R: PartialEq,
    {
        let rejected = self.decided.as_ref().is_err_and(|found| found == expected);
        assert!(rejected, "{}", self.report(&format!("  rejected: {expected:?}\n")));
    }

    /// Returns the message: the given events, the expected and the found outcome, each with a heading.
    fn report(&self, expected: &str) -> String {
        let mut report = "the decision differs\ngiven\n".to_owned();
        let read: Vec<u64> =
            self.store.query(&self.query).flatten().map(|event| event.offset).collect();
        for event in self.store.read(..).flatten() {
            let unread = if read.contains(&event.offset) { "" } else { "   (not in the query)" };
            // Writing to a String does not fail.
            let _ = writeln!(report, "  {:?}{unread}", event.event);
        }
        let found = match &self.decided {
            Ok(events) => list(events),
            Err(rejection) => format!("  rejected: {rejection:?}\n"),
        };
        format!("{report}expected\n{expected}found\n{found}")
    }
}

fn list<E: Debug>(events: &[E]) -> String {
    if events.is_empty() {
        return "  nothing\n".to_owned();
    }
    events.iter().fold(String::new(), |mut lines, event| {
        let _ = writeln!(lines, "  {event:?}");
        lines
    })
}

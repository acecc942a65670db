//! For the tests of programs that use annals.
//!
//! * [`given`]: given these events, when this is decided, then these events or this rejection.
//! * [`assert_round_trip`]: this event comes back from a log in files as it was.
//!
//! For tests that need a log, [`EventStore::in_memory_encoded`] is one in memory that takes what files take.

use std::fmt::{Debug, Display, Write as _};

use super::Projection;
use crate::backend::encode::Encoded;
use crate::error::AppendError;
use crate::event::event::Event;
use crate::event::name::Hasher;
use crate::query::Query;
use crate::store::store::EventStore;

/// Asserts that a log in files would take `event` and give it back as it was, in whatever serde sees of it: that it has
/// an encoding within all limits, and that the event decoded from this is the same.
///
/// Call it with one event of each type, and with values at the edges: `None`, an empty `Vec`, the largest number.
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
/// A type whose `Serialize` and `Deserialize` do not fit each other is found:
///
/// ```should_panic
/// # use annals::Event;
/// # use annals::testing::assert_round_trip;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Seat {
///     #[serde(skip_serializing_if = "Vec::is_empty")] // and no `default`
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
/// When the log would not take it, or give back another event, with the field and what would be right.
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
/// # use annals::{Event, Projection, Query, Recorded, Rejection};
/// # #[derive(Event, Debug, PartialEq)]
/// # enum Booking { SeatSold { #[event(tag = "seat")] seat: String } }
/// # struct Sold(&'static str);
/// # impl Projection for Sold {
/// #     type Event = Booking;
/// #     type State = bool;
/// #     fn initial(&self) -> bool { false }
/// #     fn query(&self) -> Query { Query::tag(format!("seat:{}", self.0)) }
/// #     fn apply(&self, sold: &mut bool, _: &Recorded<Booking>) { *sold = true; }
/// # }
/// # fn sell(sold: &bool, seat: &str) -> Result<Vec<Booking>, Rejection> {
/// #     if *sold { return Err(Rejection::new(format!("{seat} is sold already"))) }
/// #     Ok(vec![Booking::SeatSold { seat: seat.into() }])
/// # }
/// use annals::given;
///
/// let sold = |seat: &str| Booking::SeatSold { seat: seat.into() };
/// given([sold("12B")]).when(&Sold("12A"), |state| sell(state, "12A")).then([sold("12A")]);
/// given([sold("12A")]).when(&Sold("12A"), |state| sell(state, "12A")).then_rejected("12A is sold already");
/// ```
#[must_use = "a test without `when` and `then` tests nothing"]
pub fn given<E: Event>(events: impl IntoIterator<Item = E>) -> Given<E> {
    Given { events: events.into_iter().collect() }
}

/// What happened before: made by [`given`].
#[derive(Debug)]
#[must_use = "a test without `when` and `then` tests nothing"]
pub struct Given<E> {
    events: Vec<E>,
}

impl<E: Event> Given<E> {
    /// What is decided on the state of `projection`, which sees those of the events that its query finds.
    ///
    /// # Panics
    /// When the given events cannot be in a log.
    #[track_caller]
    pub fn when<P: Projection<Event = E>, R>(
        self,
        projection: &P,
        decision: impl FnOnce(&P::State) -> Result<Vec<E>, R>,
    ) -> Outcome<E, R> {
        let store = EventStore::<E>::in_memory();
        for (index, event) in self.events.into_iter().enumerate() {
            if let Err(error) = store.append(event) {
                panic!("given event {index} cannot be in a log: {error}");
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

/// What was decided, to be compared with what should have been.
#[derive(Debug)]
#[must_use = "a test without `then` tests nothing"]
pub struct Outcome<E: Event, R> {
    store: EventStore<E>,
    query: Query,
    decided: Result<Vec<E>, R>,
}

impl<E: Event + Debug + PartialEq, R: Debug> Outcome<E, R> {
    /// These events were decided on, and no others.
    ///
    /// # Panics
    /// When they were not, with what was given, expected and found.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = E>) {
        let expected: Vec<E> = expected.into_iter().collect();
        let decided = self.decided.as_ref().is_ok_and(|found| *found == expected);
        assert!(decided, "{}", self.report(&list(&expected)));
    }

    /// Nothing was to be done.
    ///
    /// # Panics
    /// When something was, with what was given and found.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// It was rejected, and the reason reads so.
    ///
    /// # Panics
    /// When it was not, or for another reason, with what was given, expected and found.
    #[track_caller]
    pub fn then_rejected(self, reason: impl Display)
    where
        R: Display,
    {
        let reason = reason.to_string();
        let rejected = self.decided.as_ref().is_err_and(|found| found.to_string() == reason);
        assert!(rejected, "{}", self.report(&format!("  rejected: {reason}\n")));
    }

    /// It was rejected with this, of a type of your own.
    ///
    /// # Panics
    /// When it was not, or with another, with what was given, expected and found.
    #[track_caller]
    pub fn then_rejected_with(self, expected: &R)
    where
        R: PartialEq,
    {
        let rejected = self.decided.as_ref().is_err_and(|found| found == expected);
        assert!(rejected, "{}", self.report(&format!("  rejected: {expected:?}\n")));
    }

    /// What was given, expected and found, a line each.
    fn report(&self, expected: &str) -> String {
        let mut report = "the decision is another\ngiven\n".to_owned();
        let read: Vec<u64> =
            self.store.query(&self.query).flatten().map(|event| event.offset).collect();
        for event in self.store.read(..).flatten() {
            let unread = if read.contains(&event.offset) { "" } else { "   (not in its query)" };
            // Writing into a String does not fail.
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

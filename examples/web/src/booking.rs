//! The events of the service, and the states that it computes from them.

use std::collections::{BTreeMap, HashMap};

use annals::{Event, Projection, Query, Recorded};
use serde::Serialize;

/// What happens to the seats of a show.
#[derive(Event, Serialize, Debug, Clone, PartialEq)]
pub(crate) enum Booking {
    /// A guest bought a seat.
    SeatSold {
        /// The show.
        #[event(tag = "show")]
        show: String,
        /// The seat, with its show, as in `hamlet/12A`: the same seat of another show is another tag.
        #[event(tag = "seat")]
        seat: String,
        /// The guest.
        guest: String,
        /// The client's name for its request. It makes a retry safe.
        #[event(id = "request")]
        request: String,
    },
    /// A guest gave a seat back.
    SeatFreed {
        /// The show.
        #[event(tag = "show")]
        show: String,
        /// The seat, with its show.
        #[event(tag = "seat")]
        seat: String,
        /// The client's name for its request.
        #[event(id = "request")]
        request: String,
    },
}

/// The guest who has one seat. The service decides on this state whether the seat can be sold.
pub(crate) struct Holder {
    /// The seat, with its show.
    pub(crate) seat: String,
}

impl Projection for Holder {
    type Event = Booking;
    type State = Option<String>;

    fn initial(&self) -> Option<String> {
        None
    }

    fn query(&self) -> Query {
        Query::tag(format!("seat:{}", self.seat))
    }

    fn apply(&self, holder: &mut Option<String>, event: &Recorded<Booking>) {
        *holder = match &event.event {
            Booking::SeatSold { guest, .. } => Some(guest.clone()),
            Booking::SeatFreed { .. } => None,
        };
    }
}

/// The seats of every show with their guests: the read model, which a thread keeps up to date.
pub(crate) struct Shows;

impl Projection for Shows {
    type Event = Booking;
    type State = HashMap<String, BTreeMap<String, String>>;

    fn initial(&self) -> Self::State {
        HashMap::new()
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, shows: &mut Self::State, event: &Recorded<Booking>) {
        match &event.event {
            Booking::SeatSold { show, seat, guest, .. } => {
                shows.entry(show.clone()).or_default().insert(seat.clone(), guest.clone());
            }
            Booking::SeatFreed { show, seat, .. } => {
                shows.entry(show.clone()).or_default().remove(seat);
            }
        }
    }
}

//! A seat is sold once: events with tags, a condition that refuses, and replay.
//!
//! ```sh
//! cargo run --release -p annals --example seats                  # writes ./seats.store; run it twice
//! cargo run --release -p annals --example seats -- other.store   # another path
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};

use annals::{AppendError, Condition, Event, EventStore, Journal, Projection, Query, Recorded};

/// The events of seats.
#[derive(Event, Debug, Clone, PartialEq)]
enum Booking {
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
        #[event(tag = "guest")]
        guest: String,
        price: u32,
    },
    SeatFreed {
        #[event(tag = "seat")]
        seat: String,
    },
}

type Bookings = EventStore<Booking, Journal<Booking>>;

/// Which guest has which seat.
struct Taken;

impl Projection for Taken {
    type Event = Booking;
    type State = BTreeMap<String, String>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, taken: &mut Self::State, event: &Recorded<Booking>) {
        match &event.event {
            Booking::SeatSold { seat, guest, .. } => {
                taken.insert(seat.clone(), guest.clone());
            }
            Booking::SeatFreed { seat } => {
                taken.remove(seat);
            }
        }
    }
}

/// Sells a seat, unless anything happened to it since the log had `seen` events.
fn sell(store: &Bookings, seat: &str, guest: &str, seen: u64) -> Result<String, Box<dyn Error>> {
    let sold = Booking::SeatSold { seat: seat.into(), guest: guest.into(), price: 90 };
    let condition = Condition::fail_if(Query::tag(format!("seat:{seat}"))).after(seen);
    match store.append_if([sold], &condition) {
        Ok(offsets) => Ok(format!("{seat} sold to {guest}, at offset {}", offsets.start)),
        Err(refused @ AppendError::Conflict { .. }) => {
            Ok(format!("{seat} not sold to {guest}: {refused}"))
        }
        Err(error) => Err(error.into()),
    }
}

fn run(path: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let store: Bookings = EventStore::open(path)?;
    if store.is_empty() {
        writeln!(out, "{path} is new.")?;
        writeln!(out, "Ada and Ben both look at the empty log, and both buy seat 12A:")?;
        writeln!(out, "  {}", sell(&store, "12A", "ada", 0)?)?;
        writeln!(out, "  {}", sell(&store, "12A", "ben", 0)?)?;
        writeln!(out, "Ada gives the seat back and buys 14C. Ben looks again, and buys 12A:")?;
        store.append(Booking::SeatFreed { seat: "12A".into() })?;
        writeln!(out, "  {}", sell(&store, "14C", "ada", store.len())?)?;
        writeln!(out, "  {}", sell(&store, "12A", "ben", store.len())?)?;
    } else {
        writeln!(out, "{path} has {} events, written by an earlier run:", store.len())?;
    }

    writeln!(out, "\nThe events with the tag seat:12A:")?;
    for event in store.query(&Query::tag("seat:12A")) {
        let event = event?;
        writeln!(out, "  {}  {:?}", event.offset, event.event)?;
    }

    writeln!(out, "\nThe log replayed: which guest had which seat after each event:")?;
    for step in store.reconstruct(Taken).steps(..)? {
        let step = step?;
        writeln!(out, "  {}  {:?}", step.event.offset, step.state)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "seats.store".to_owned());
    run(&path, &mut io::stdout().lock())
}

//! One program for any backend: it sells seats, runs a few queries and folds a projection. The output is the same on
//! every backend.
//!
//! ```sh
//! cargo run --release -p annals-rocksdb --example any_backend -- memory:             # or PATH, or rocksdb:PATH
//! ```

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, Write};

use annals::{Backend, Event, EventStore, Journal, Memory, Projection, Query};
use annals_rocksdb::RocksDb;

/// The events of seats.
#[derive(Event, Debug, Clone, PartialEq)]
pub(crate) enum Booking {
    SeatSold {
        #[event(tag = "seat")]
        seat: String,
        price: u32,
    },
    SeatFreed {
        #[event(tag = "seat")]
        seat: String,
    },
}

/// The price of a seat, if it is sold.
pub(crate) struct Seat(String);

impl Projection for Seat {
    type Event = Booking;
    type State = Option<u32>;

    fn initial(&self) -> Option<u32> {
        None
    }

    fn query(&self) -> Query {
        Query::tag(format!("seat:{}", self.0))
    }

    fn apply(&self, sold: &mut Option<u32>, event: &annals::Recorded<Booking>) {
        match &event.event {
            Booking::SeatSold { price, .. } => *sold = Some(*price),
            Booking::SeatFreed { .. } => *sold = None,
        }
    }

    fn name(&self) -> Cow<'_, str> {
        "seat".into()
    }
}

/// Opens the backend that `store` names. Only this function depends on the backend.
fn open(store: &str) -> Result<Box<dyn Backend<Booking>>, Box<dyn Error>> {
    Ok(match store.strip_prefix("rocksdb:") {
        Some(path) => Box::new(RocksDb::open(path)?),
        None if store == "memory:" => Box::new(Memory::new()),
        None => Box::new(Journal::options().open(store)?),
    })
}

/// Sells seats in the log that `store` names, and writes the results to `out`.
pub(crate) fn run(store: &str, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let store = EventStore::<Booking, _>::on(open(store)?);
    let sell = |seat: &str, price| {
        store.decide(&Seat(seat.into()), |sold| match sold {
            Some(price) => Err(format!("{seat} is sold already, for {price}")),
            None => Ok(vec![Booking::SeatSold { seat: seat.into(), price }]),
        })
    };
    for (seat, price) in [("12A", 90), ("12B", 80), ("12A", 95)] {
        match sell(seat, price) {
            Ok(decision) => writeln!(out, "sold {seat} at offset {}", decision.offsets.start)?,
            Err(refused) => writeln!(out, "not sold: {refused}")?,
        }
    }
    store.append(Booking::SeatFreed { seat: "12A".into() })?;
    for event in store.query(&Query::tag("seat:12A")).rev() {
        let event = event?;
        writeln!(out, "{}: {:?}", event.offset, event.event)?;
    }
    let mut seat = store.reconstruct(Seat("12A".into()));
    writeln!(out, "12A after its sale: {:?}; now: {:?}", seat.at(0)?, seat.now()?)?;
    writeln!(out, "{} events, {} tags", store.len(), store.tags("")?.len())?;
    store.close()?;
    Ok(())
}

#[allow(dead_code, reason = "the test of this example calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    let store = std::env::args().nth(1).ok_or("give a store: memory:, PATH or rocksdb:PATH")?;
    run(&store, &mut io::stdout())
}

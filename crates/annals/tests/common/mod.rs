//! A small shop for tests: events that sell and free seats, and projections of one seat and of all seats.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use annals::{Event, Projection, Query, Recorded};

#[derive(Event, Debug, Clone, PartialEq)]
pub(crate) enum Booking {
    SeatSold {
        #[event(tag = "seat")]
        seat: u32,
        price: u64,
    },
    SeatFreed {
        #[event(tag = "seat")]
        seat: u32,
    },
}

/// Returns the time that is `ms` milliseconds after the beginning of 1970.
pub(crate) fn ms(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// Returns a time after that of every event.
pub(crate) fn end_of_time() -> SystemTime {
    ms(1 << 60)
}

pub(crate) fn sold(seat: u32, price: u64) -> Booking {
    Booking::SeatSold { seat, price }
}

pub(crate) fn freed(seat: u32) -> Booking {
    Booking::SeatFreed { seat }
}

/// The prices of the sold seats, and the number of events.
pub(crate) type Sales = (BTreeMap<u32, u64>, u64);

/// The projection of all seats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AllSales {
    pub(crate) version: u32,
}

pub(crate) const SALES: AllSales = AllSales { version: 1 };

impl Projection for AllSales {
    type Event = Booking;
    type State = Sales;

    fn initial(&self) -> Sales {
        Sales::default()
    }

    fn query(&self) -> Query {
        Query::all()
    }

    fn apply(&self, (sales, count): &mut Sales, event: &Recorded<Booking>) {
        *count += 1;
        match event.event {
            Booking::SeatSold { seat, price } => sales.insert(seat, price),
            Booking::SeatFreed { seat } => sales.remove(&seat),
        };
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        "sales".into()
    }

    fn version(&self) -> u32 {
        self.version
    }
}

/// The projection of one seat: the price at which it is sold, if it is sold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat(pub(crate) u32);

impl Projection for Seat {
    type Event = Booking;
    type State = Option<u64>;

    fn initial(&self) -> Option<u64> {
        None
    }

    fn query(&self) -> Query {
        Query::tag(format!("seat:{}", self.0))
    }

    fn apply(&self, price: &mut Option<u64>, event: &Recorded<Booking>) {
        *price = match event.event {
            Booking::SeatSold { price, .. } => Some(price),
            Booking::SeatFreed { .. } => None,
        };
    }
}

/// A plain fold, the model for all projections.
pub(crate) fn model(events: &[Booking]) -> Sales {
    let mut sales = Sales::default();
    for (offset, event) in (0..).zip(events) {
        SALES.apply(&mut sales, &Recorded { offset, time_ms: 0, event: event.clone() });
    }
    sales
}

/// Returns event `n` of a log that is always the same.
pub(crate) fn nth(n: u64) -> Booking {
    let seat = u32::try_from(n * 7 % 13).unwrap_or_default();
    if n % 5 == 4 { freed(seat) } else { sold(seat, n) }
}

/// Runs `work`, and returns what this thread logs during it.
pub(crate) fn logged(work: impl FnOnce()) -> String {
    /// A log output that all its clones share.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8_lossy(&bytes).into_owned()
}

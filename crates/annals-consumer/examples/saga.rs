//! A saga and an outbox, killed by nothing but safe against it: an order is paid, then shipped, and the customer gets
//! one mail.
//!
//! ```text
//!   OrderPlaced ──saga──▶ PaymentRequested ──payments──▶ PaymentTaken │ PaymentRefused
//!                  saga ◀── both ──▶ OrderConfirmed │ OrderCancelled ──outbox──▶ a mail
//! ```
//! The saga decides what comes next; each of its events has an id that is derived from the event that it answers, so a
//! repeated delivery appends nothing. The payments and the outbox talk to the outside, and may do so twice.
//!
//! ```sh
//! cargo run -p annals-consumer --example saga
//! ```

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Mutex;
use std::thread;

use annals::{Event, EventStore, JournalStore, Query, QueryItem};
use annals_consumer::{Consumers as _, Nack};

#[derive(Event, Debug, Clone)]
enum Shop {
    OrderPlaced {
        #[event(tag = "order")]
        order: u32,
        cents: u64,
    },
    PaymentRequested {
        #[event(id)]
        id: String,
        #[event(tag = "order")]
        order: u32,
        cents: u64,
    },
    PaymentTaken {
        #[event(id)]
        id: String,
        #[event(tag = "order")]
        order: u32,
    },
    PaymentRefused {
        #[event(id)]
        id: String,
        #[event(tag = "order")]
        order: u32,
    },
    OrderConfirmed {
        #[event(id)]
        id: String,
        #[event(tag = "order")]
        order: u32,
    },
    OrderCancelled {
        #[event(id)]
        id: String,
        #[event(tag = "order")]
        order: u32,
    },
}

type Store = JournalStore<Shop>;
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Returns the query for events of any of these types.
fn any_of(types: &[&str]) -> Query {
    Query::item(types.iter().fold(QueryItem::new(), |item, name| item.event_type(*name)))
}

/// Decides what follows an event. The id names the event that it answers, so this event is appended once.
fn saga(store: &Store) -> Outcome {
    let query = any_of(&["order-placed", "payment-taken", "payment-refused"]);
    let group = store.group("saga").query(query).key("order:").open()?;
    for delivery in group.worker("saga-1") {
        let delivery = delivery?;
        let id = format!("saga-{}", delivery.offset);
        let next = match &delivery.event {
            Shop::OrderPlaced { order, cents } => {
                Shop::PaymentRequested { id, order: *order, cents: *cents }
            }
            Shop::PaymentTaken { order, .. } => Shop::OrderConfirmed { id, order: *order },
            Shop::PaymentRefused { order, .. } => Shop::OrderCancelled { id, order: *order },
            other => unreachable!("{other:?} is not in the query"),
        };
        store.append(next)?;
        delivery.ack()?;
    }
    Ok(())
}

/// Takes payments with two workers. The provider gets a key that is the same for each attempt.
fn payments(store: &Store) -> Outcome {
    let query = any_of(&["payment-requested"]);
    let group = store.group("payments").query(query).key("order:").open()?;
    let work = |name: &str| -> Outcome {
        for delivery in group.worker(name) {
            let delivery = delivery?;
            let Shop::PaymentRequested { order, cents, .. } = delivery.event.clone() else {
                unreachable!("the query has no other type");
            };
            let id = format!("payment-{}", delivery.offset);
            // Here a program calls its provider with `id` as the idempotency key. If the provider cannot be reached, it
            // answers `delivery.nack(Nack::Retry, …)`.
            if cents == 0 {
                delivery.nack(Nack::Park, "an order of nothing")?;
                continue;
            }
            store.append(if cents < 10_000 {
                Shop::PaymentTaken { id, order }
            } else {
                Shop::PaymentRefused { id, order }
            })?;
            delivery.ack()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let second = scope.spawn(|| work("payments-2"));
        work("payments-1")?;
        second.join().expect("the worker does not panic")
    })
}

/// Sends a mail for each order that ended. The last mail may be sent twice after a crash.
fn outbox(store: &Store, mails: &Mutex<BTreeSet<String>>, wanted: usize) -> Outcome {
    let query = any_of(&["order-confirmed", "order-cancelled"]);
    for delivery in store.consumer("outbox").query(query).save_every(1).start()? {
        let delivery = delivery?;
        let mail = match &delivery.event {
            Shop::OrderConfirmed { order, .. } => format!("order {order} is on its way"),
            Shop::OrderCancelled { order, .. } => format!("order {order} was not paid"),
            other => unreachable!("{other:?} is not in the query"),
        };
        let mut mails = mails.lock().expect("no worker panicked");
        mails.insert(mail);
        delivery.ack()?;
        if mails.len() == wanted {
            store.close()?; // ends all workers once they have handled everything
        }
    }
    Ok(())
}

pub(crate) fn main() -> Outcome {
    let directory = std::env::temp_dir().join(format!("annals-saga-{}", std::process::id()));
    let store: Store = EventStore::open(&directory)?;
    let mails = Mutex::new(BTreeSet::new());
    for (order, cents) in [(1, 4_200), (2, 99_000), (3, 0), (4, 10)] {
        store.append(Shop::OrderPlaced { order, cents })?;
    }
    thread::scope(|scope| {
        let workers = [
            scope.spawn(|| saga(&store)),
            scope.spawn(|| payments(&store)),
            scope.spawn(|| outbox(&store, &mails, 3)),
        ];
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;

    let mails = mails.into_inner().expect("no worker panicked");
    let expected = ["order 1 is on its way", "order 2 was not paid", "order 4 is on its way"];
    assert!(mails.iter().eq(expected), "{mails:?}");
    let parked = store.group("payments").query(any_of(&["payment-requested"])).key("order:");
    let parked = parked.open()?.parked(0, 10);
    assert_eq!((parked.len(), parked[0].reason.as_str()), (1, "an order of nothing"));
    let mut out = std::io::stdout().lock();
    for mail in &mails {
        std::io::Write::write_all(&mut out, format!("mail: {mail}\n").as_bytes())?;
    }
    drop(store);
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

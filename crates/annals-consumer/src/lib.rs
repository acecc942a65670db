//! Durable consumers for the event store annals: a named position that survives the process, and groups of workers.
//!
//! ```
//! use annals::{EventStore, RawEvent};
//! use annals_consumer::Consumers as _;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = EventStore::<RawEvent>::in_memory(); // or EventStore::<RawEvent>::open("orders.store")?
//!     store.append(RawEvent::builder("order-placed").tag("order:17").build()?)?;
//!     store.close()?; // so that the loops end
//!
//!     // One reader, in order. Its position survives the process.
//!     for delivery in store.consumer("mailer").start()? {
//!         let delivery = delivery?;
//!         println!("mail for {}", delivery.event.event_type());
//!         delivery.ack()?;
//!     }
//!
//!     // Many workers. Events of one order are handled in order, different orders in parallel.
//!     let group = store.group("billing").key("order:").open()?;
//!     for delivery in group.worker("worker-1") {
//!         delivery?.ack()?;
//!     }
//!     Ok(())
//! }
//! ```
//!
//! | you want to | use |
//! |---|---|
//! | handle events one after the other | [`Consumer`] |
//! | share the work among threads, tasks or processes; retry; park what fails | [`Group`] |
//! | only remember a position | [`Checkpoint`] |
//! | list, reset, delete; replay parked events | [`ConsumerAdmin`] |
//! | keep a read model in memory | `LiveProjection` of `annals`, which needs no position |
//!
//! # What you can rely on
//!
//! * **At least once.** An event is delivered until it is acknowledged, skipped or parked, whatever ends the process.
//! * **In order:** a consumer in the order of the log, a group in the order of the log for each key.
//! * **A position belongs to one log.** If the log was restored from an older copy, the start is refused and the error
//!   says so.
//! * **A consumer that is caught up costs nothing:** no polling, no thread.
//!
//! Effects in the log itself can be made exactly once, by ids that are derived from the event that is handled. The page
//! docs/CONSUMERS.md of the project has the recipe, a saga and an outbox worker.
//!
//! ```text
//!   admin      lists consumers and groups      engine/      what is delivered next    meters   metrics
//!   consumer   one reader in order             checkpoint   a durable position        clock    the time
//!   group      many workers                    binding      position and log          wake     waiting
//!   worker, delivery: what both return         storage/     where both are stored
//! ```

#![forbid(unsafe_code)]

mod admin;
mod binding;
mod checkpoint;
mod clock;
mod consumer;
mod consumer_builder;
mod delivery;
mod engine;
mod error;
mod group;
mod group_builder;
mod meters;
mod storage;
mod wake;
mod worker;

use annals::{Backend, Event, EventStore};

pub use admin::{ConsumerAdmin, ConsumerInfo, ConsumerKind};
pub use checkpoint::Checkpoint;
pub use consumer::Consumer;
pub use consumer_builder::ConsumerBuilder;
pub use delivery::Delivery;
pub use engine::answer::{Nack, ParkedEvents, Settled};
pub use engine::lease_id::{InvalidLeaseId, LeaseId};
pub use engine::settings::{GroupSettings, SettingsItem};
pub use error::{ConsumerError, Holder};
pub use group::{Group, GroupStatus, ParkedEvent};
pub use group_builder::GroupBuilder;
pub use storage::checkpoint_store::{CheckpointStore, MemoryCheckpoints};
pub use storage::position_files::FileCheckpoints;
pub use worker::{Worker, WorkerStream};

/// Consumers and groups of an [`EventStore`].
pub trait Consumers<E: Event, B: Backend<E>> {
    /// Returns the settings of the consumer `name`, which [`start`](ConsumerBuilder::start) starts.
    ///
    /// A name has 1 to 200 bytes and is one file name on every system.
    fn consumer(&self, name: impl Into<String>) -> ConsumerBuilder<'_, E, B>;

    /// Returns the settings of the group `name`, which [`open`](GroupBuilder::open) opens.
    ///
    /// A name has 1 to 200 bytes and is one file name on every system.
    fn group(&self, name: impl Into<String>) -> GroupBuilder<'_, E, B>;
}

impl<E: Event, B: Backend<E>> Consumers<E, B> for EventStore<E, B> {
    fn consumer(&self, name: impl Into<String>) -> ConsumerBuilder<'_, E, B> {
        ConsumerBuilder::new(self, name.into())
    }

    fn group(&self, name: impl Into<String>) -> GroupBuilder<'_, E, B> {
        GroupBuilder::new(self, name.into())
    }
}

/// The code of the page on consumers is compiled and run like any example.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/CONSUMERS.md")]
mod consumers_page {}

//! Where positions and state logs are stored.
//!
//! ```text
//!   my.store/consumers/          beside a log in files; a log in memory has the same in memory
//!     mailer.position            the position of the consumer `mailer`        checkpoint_store, position_files
//!     mailer.lock                locked while it runs; notes a saved position lock
//!     billing.group/00000001/    the state log of the group `billing`         storage
//!     billing.lock               locked while it runs; notes that the name is that of a group
//! ```

pub(crate) mod checkpoint_store;
pub(crate) mod lock;
pub(crate) mod position_files;
#[expect(clippy::module_inception, reason = "the storage that the folder is named after")]
pub(crate) mod storage;

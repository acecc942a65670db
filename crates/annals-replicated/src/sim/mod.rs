//! A simulated engine: a record in memory, with faults by a seed. For tests.
//!
//! ```text
//!   faults   what goes wrong, and which promises are broken
//!   engine   the record
//!   sim_log  the engine behind the seam
//! ```

mod engine;
mod faults;
mod sim_log;

pub use crate::random::Random;
pub use engine::SimRecord;
pub use faults::{Broken, Faults};
pub use sim_log::SimLog;

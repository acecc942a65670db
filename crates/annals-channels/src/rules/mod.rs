//! The rules of events. They are checked before an event is appended, and never when the log is folded.
//!
//! ```text
//!   record(store, event) ─▶ fold the state that it is about ─▶ check ─▶ append, unless that state has changed
//! ```

mod channel;
mod message;
mod objective;
mod record;
mod violation;

pub(crate) use channel::check as channel_rule;
pub use channel::check_channel;
pub use message::check_message;
pub use objective::check_objective;
pub use record::{RecordError, RecordedEvent, record};
pub use violation::{Rule, Violation};

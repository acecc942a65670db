//! Checks evidence of channels: what `annals-proof` checks, and on top of that the statement of keys, the states, and
//! what the shown events give when they are folded.
//!
//! ```text
//!   evidence   `check_evidence`: the whole check        signatures   signatures, states, and second states
//!   folded     the state that follows from the events      backdated    events that are older than they can be
//! ```

pub(crate) mod backdated;
pub(crate) mod evidence;
pub(crate) mod folded;
pub(crate) mod signatures;

//! A party's log as its peers see it: the keys of logs, receipts, and what a peer has seen.
//!
//! ```text
//!   party_log   `PartyLog`: signs and cosigns checkpoints      known     what the log has about logs, folded
//!   incoming    takes the messages of peers                    refusal   the reasons to refuse one
//! ```
//! Each party is the witness of the others. It records what it cosigned in its own log before it hands the cosignature
//! out, so the logs bind each other.

pub(crate) mod incoming;
pub(crate) mod known;
pub(crate) mod party_log;
pub(crate) mod refusal;

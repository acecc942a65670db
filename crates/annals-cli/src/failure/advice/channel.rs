//! Advice about channels that are not in the store.

use super::super::{ChannelFailure, Failure};

/// Returns what the user can do.
pub(super) fn advice(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Channel(ChannelFailure::NoChannel { first, count: count @ 1.., .. }) => {
            let others = if first.len() < *count { ", among others," } else { "" };
            let first = first.join(", ");
            Some(format!(
                "the store has{others} {first}; `annals tags STORE --prefix channel:` lists all channels"
            ))
        }
        Failure::Channel(ChannelFailure::NoChannelYet { first, .. }) => {
            Some(format!("`--at {first}` shows the channel after its first event"))
        }
        _ => None,
    }
}

//! How workers and operators answer: for deliveries, and for parked events.

use super::lease_id::LeaseId;

/// How a worker answers a delivery that it did not handle. [`Delivery`](crate::Delivery) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nack {
    /// Deliver the event again after a pause. After the last attempt it is parked.
    Retry,
    /// Park the event: it is delivered again only when an operator replays it.
    Park,
    /// Pass over the event: it counts as handled.
    Skip,
}

/// The answer to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    Ack,
    Nack(Nack, &'a str),
    /// The worker has not looked at the event: it is to be delivered again, and this was no attempt.
    Return,
    /// The log could not be read, so no worker got the event: it is to be delivered after a pause, and this was no
    /// attempt.
    Unread(&'a str),
}

/// The results of the answers to some leases. [`Group::pull`](crate::Group::pull) has an example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// The leases whose events are answered: by this call, or by an earlier one.
    pub done: Vec<LeaseId>,
    /// The leases that are lost: the event was delivered again, was parked, or the group was reset.
    pub lost: Vec<LeaseId>,
}

/// A selection of parked events. [`ParkedEvent`](crate::ParkedEvent) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedEvents<'a> {
    /// All parked events.
    All,
    /// The parked events at these offsets.
    At(&'a [u64]),
}

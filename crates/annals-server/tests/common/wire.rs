//! Messages of UmaDB's contract that several tests send.

use prost::Message;

/// A metadata entry of an event.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

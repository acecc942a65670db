//! The messages of `umadb.v1`, as `proto/umadb/v1/umadb.proto` has them. A test compares the two.

#![expect(clippy::struct_field_names, reason = "the names are those of the contract")]

use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Event {
    #[prost(string, tag = "1")]
    pub(crate) event_type: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) tags: Vec<String>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) data: Bytes,
    #[prost(string, tag = "4")]
    pub(crate) uuid: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) metadata: Vec<MetadataEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetadataEntry {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueryItem {
    #[prost(string, repeated, tag = "1")]
    pub(crate) types: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Query {
    #[prost(message, repeated, tag = "1")]
    pub(crate) items: Vec<QueryItem>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppendCondition {
    #[prost(message, optional, tag = "1")]
    pub(crate) fail_if_events_match: Option<Query>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) after: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TrackingInfo {
    #[prost(string, tag = "1")]
    pub(crate) source: String,
    #[prost(uint64, tag = "2")]
    pub(crate) position: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppendRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) events: Vec<Event>,
    #[prost(message, optional, tag = "2")]
    pub(crate) condition: Option<AppendCondition>,
    #[prost(message, optional, tag = "3")]
    pub(crate) tracking_info: Option<TrackingInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AppendResponse {
    #[prost(uint64, tag = "1")]
    pub(crate) position: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) query: Option<Query>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) start: Option<u64>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) backwards: Option<bool>,
    #[prost(uint32, optional, tag = "4")]
    pub(crate) limit: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) subscribe: Option<bool>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) batch_size: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SubscribeRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) query: Option<Query>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) after: Option<u64>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) batch_size: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeadRequest {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeadResponse {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) position: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TrackingRequest {
    #[prost(string, tag = "1")]
    pub(crate) source: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TrackingResponse {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) position: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorResponse {
    #[prost(string, tag = "1")]
    pub(crate) message: String,
    #[prost(int32, tag = "2")]
    pub(crate) error_type: i32,
}

/// A message of `Read` and of `Subscribe`, as a client decodes it. The server writes it without building it.
#[cfg(any(test, fuzzing))]
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) events: Vec<SequencedEvent>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) head: Option<u64>,
}

#[cfg(any(test, fuzzing))]
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SequencedEvent {
    #[prost(uint64, tag = "1")]
    pub(crate) position: u64,
    #[prost(message, optional, tag = "2")]
    pub(crate) event: Option<Event>,
    #[prost(message, optional, tag = "3")]
    pub(crate) tracking_info: Option<TrackingInfo>,
}

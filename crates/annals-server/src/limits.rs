//! The limits of a server. `http_face/body`, `listen/connection`, `memory`, `shared` and
//! `timed_body` enforce them.

use std::time::Duration;

/// What one server takes at once. Every limit has a default.
///
/// ```
/// use annals_server::Limits;
/// let limits = Limits::default().connections(64).subscriptions(100);
/// assert_eq!(limits, Limits::default().subscriptions(100).connections(64));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub(crate) connections: usize,
    pub(crate) streams: u32,
    pub(crate) reads: usize,
    pub(crate) subscriptions: usize,
    pub(crate) request_memory: usize,
    pub(crate) header_time: Duration,
    pub(crate) body_time: Duration,
    pub(crate) drain_time: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) unread_time: Option<Duration>,
}

/// The largest request, in bytes: 33 MiB. A batch of 32 MiB and its framing fit into it.
pub(crate) const MAX_REQUEST_BYTES: usize = 33 << 20;

/// The least memory for requests, in bytes: 40 MiB. The largest request fits into seven eighths of it.
const MIN_REQUEST_MEMORY: usize = 40 << 20;
const _: () = assert!(MIN_REQUEST_MEMORY - MIN_REQUEST_MEMORY / 8 >= MAX_REQUEST_BYTES);

/// The largest list of headers of a request, in bytes.
pub(crate) const MAX_HEADER_BYTES: u32 = 64 << 10;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            streams: 256,
            reads: 64,
            subscriptions: 10_000,
            request_memory: 256 << 20,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            drain_time: Duration::from_secs(10),
            keep_alive: Duration::from_secs(20),
            unread_time: None,
        }
    }
}

impl Limits {
    /// Sets the largest number of connections at once: 1,024 by default, at least 1. The server accepts a further
    /// connection once another ends.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// Sets the largest number of requests at once in one HTTP/2 connection: 256 by default, at least 1.
    #[must_use]
    pub fn streams(self, streams: u32) -> Self {
        Self { streams: streams.max(1), ..self }
    }

    /// Sets the largest number of threads that read for requests at once: 64 by default, at least 1. Further reads
    /// wait.
    #[must_use]
    pub fn reads(self, reads: usize) -> Self {
        Self { reads: reads.max(1), ..self }
    }

    /// Sets the largest number of subscriptions at once: 10,000 by default. A further one is refused as busy.
    #[must_use]
    pub fn subscriptions(self, subscriptions: usize) -> Self {
        Self { subscriptions, ..self }
    }

    /// Sets the memory that the bodies of all requests, and the appends that wait, may take together, in bytes: 256 MiB
    /// by default, at least 40 MiB. A request beyond it is refused as overloaded. Requests above 64 KiB share seven
    /// eighths of the memory; the last eighth is for smaller ones. An append is counted until it has ended, also if its
    /// client is gone.
    #[must_use]
    pub fn request_memory(self, bytes: usize) -> Self {
        Self { request_memory: bytes.max(MIN_REQUEST_MEMORY), ..self }
    }

    /// Sets the time in which a client must finish its TLS handshake, the beginning of its connection, and the headers
    /// of each HTTP/1.1 request: 10 seconds by default.
    #[must_use]
    pub fn header_time(self, time: Duration) -> Self {
        Self { header_time: time, ..self }
    }

    /// Sets the time in which a client must send the body of a request: 10 seconds by default, and 1 second more for
    /// each KiB that has come. So a large body may take long, but a client that sends less than 1 KiB/s is refused. It
    /// is the same over HTTP/1.1, HTTP/2 and gRPC.
    #[must_use]
    pub fn body_time(self, time: Duration) -> Self {
        Self { body_time: time, ..self }
    }

    /// Sets the longest time that requests at work get to finish when the server ends: 10 seconds by default.
    #[must_use]
    pub fn drain_time(self, time: Duration) -> Self {
        Self { drain_time: time, ..self }
    }

    /// Sets the time after which the server sends a ping over an idle HTTP/2 connection, and in which the client must
    /// answer it: 20 seconds by default. A connection whose client is gone without a word ends so.
    #[must_use]
    pub fn keep_alive(self, time: Duration) -> Self {
        Self { keep_alive: time, ..self }
    }

    /// Ends a connection whose client has taken nothing of what the server sent for this time: because the client is
    /// gone without a word, or because it is there and does not read. Without it, which is the default, the system gives
    /// up a client that is gone after about 15 minutes, and a client that does not read keeps its connection. It is
    /// `TCP_USER_TIMEOUT`, and has an effect on Linux and Android only. There it also replaces the two minutes
    /// after which a silent client that is gone is noticed over HTTP/1.1.
    #[must_use]
    pub fn unread_time(self, time: Duration) -> Self {
        Self { unread_time: Some(time), ..self }
    }
}

//! What the rows have in common: their names, and how a figure comes about.

use std::fmt;
use std::time::{Duration, Instant};

use crate::server::Server;
use crate::{Asked, Figure};

/// A row of appends.
#[derive(Debug, Clone, Copy)]
pub struct Append {
    /// The number of clients, each with a connection of its own.
    pub clients: usize,
    /// The number of events of a request.
    pub in_batch: u64,
    /// Whether each request has a condition, which holds.
    pub condition: bool,
}

impl fmt::Display for Append {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, in_batch, condition } = self;
        let condition = if *condition { ", with a condition" } else { "" };
        let plural = if *clients == 1 { "" } else { "s" };
        write!(f, "append {in_batch} a request{condition}, {clients} client{plural}, events/s")
    }
}

/// Returns the rows of appends: 1 and 100 events a request, without and with a condition, by 1 to 64 clients.
pub fn appends(asked: &Asked) -> impl Iterator<Item = Append> {
    let kinds = [(1, false), (1, true), (100, false), (100, true)];
    let rows = kinds.into_iter().flat_map(|(in_batch, condition)| {
        [1, 4, 16, 64].map(|clients| Append { clients, in_batch, condition })
    });
    rows.filter(move |row| asked.rows.as_deref().is_none_or(|text| row.to_string().contains(text)))
}

pub const READ: &str = "read all, events/s";
pub const TAG: &str = "read the 10 events of a tag, 1 client, reads/s";
pub const LATENCY: [&str; 2] = [
    "from append to receipt by 8 subscribers, p50, µs",
    "from append to receipt by 8 subscribers, p99, µs",
];

/// The number of events of a request that fills the log of the reads, and of the events of a tag.
pub const FILL: u64 = 1_000;
pub const IN_TAG: u64 = 10;

/// Measures the rate of something, and the processor time of a server meanwhile.
pub struct Measured {
    begin: Instant,
    cpu: f64,
}

impl Measured {
    pub fn begin(server: Option<&Server>) -> Self {
        Self { cpu: server.map_or(0.0, Server::cpu), begin: Instant::now() }
    }

    /// Returns the figure for so many events or reads.
    pub fn end(self, server: Option<&Server>, count: u64) -> Figure {
        let seconds = self.begin.elapsed().as_secs_f64();
        let millions = count as f64 / 1e6;
        let cpu = server.map(|server| (server.cpu() - self.cpu) / millions);
        Figure { value: count as f64 / seconds, cpu }
    }
}

/// Returns a percentile in microseconds.
pub fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

//! What the rows have in common: their names, and how a figure comes about.

use std::time::{Duration, Instant};

use crate::Figure;
use crate::server::Server;

pub const APPEND: [(usize, &str); 3] = [
    (1, "append, 1 client, events/s"),
    (16, "append, 16 clients, events/s"),
    (64, "append, 64 clients, events/s"),
];
pub const CONDITION: (usize, &str) = (16, "append with a condition, 16 clients, events/s");
pub const BATCH: (usize, &str) = (1, "append 1,000 a request, 1 client, events/s");
pub const BATCHES: (usize, &str) = (4, "append 1,000 a request, 4 clients, events/s");
pub const READ: &str = "read all, events/s";
pub const TAG: &str = "read the 10 events of a tag, 1 client, reads/s";
pub const LATENCY: [&str; 2] = [
    "from append to receipt by 8 subscribers, p50, µs",
    "from append to receipt by 8 subscribers, p99, µs",
];

/// The number of events of a batch, and of the events of a tag.
pub const IN_BATCH: u64 = 1_000;
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

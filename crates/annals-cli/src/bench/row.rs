//! The result of one test: percentiles of its samples, and how it is printed.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people: positive, and far below 2^52"
)]

use std::time::Duration;

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::timed::{Timed, per_second};
use crate::args::Format;
use crate::failure::Failure;
use crate::out::Out;

/// The result of one test.
pub(super) struct Row {
    pub(super) target: &'static str,
    pub(super) test: &'static str,
    pub(super) writers: usize,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
    /// The duration of each call, sorted.
    pub(super) samples: Vec<Duration>,
    /// The rate in events per second, divided by that of the plain file on the same disk.
    pub(super) ratio: Option<f64>,
}

impl Row {
    /// Returns the result of a test with one writer.
    pub(super) fn new(
        target: &'static str,
        test: &'static str,
        timed: Timed,
        ratio: Option<f64>,
    ) -> Self {
        let Timed { mut samples, events, bytes, took } = timed;
        samples.sort_unstable();
        Self { target, test, writers: 1, events, bytes, took, samples, ratio }
    }

    fn rate(&self) -> f64 {
        per_second(self.events, self.took)
    }

    fn megabytes(&self) -> f64 {
        per_second(self.bytes, self.took) / 1e6
    }

    /// Returns p50, p95, p99 and the maximum of the samples, in microseconds.
    fn percentiles(&self) -> Option<[f64; 4]> {
        let last = self.samples.len().checked_sub(1)?;
        Some([50, 95, 99, 100].map(|percent| {
            // The nearest-rank method.
            let rank = (self.samples.len() * percent).div_ceil(100).saturating_sub(1).min(last);
            self.samples[rank].as_secs_f64() * 1e6
        }))
    }
}

/// Prints all rows.
pub(super) fn show(rows: &[Row], out: &mut Out) -> Result<(), Failure> {
    if out.format() == Format::Table {
        let titles = ["p50 µs", "p95 µs", "p99 µs", "max µs"].map(|title| format!("{title:>10}"));
        let titles = titles.concat();
        let start = format!("{:<12}{:<24}", "WHERE", "WHAT");
        out.text(format_args!("{start}{titles}{:>13}{:>10}{:>10}", "events/s", "MB/s", "of disk"))?;
    }
    for row in rows {
        let percentiles = row.percentiles();
        if out.format() == Format::Jsonl {
            let micros = |at: usize| -> Value { json!(percentiles.map(|of| of[at])) };
            out.object([
                ("target", json!(row.target)),
                ("test", json!(row.test)),
                ("writers", json!(row.writers)),
                ("events", json!(row.events)),
                ("p50_us", micros(0)),
                ("p95_us", micros(1)),
                ("p99_us", micros(2)),
                ("max_us", micros(3)),
                ("events_per_second", json!(row.rate())),
                ("mb_per_second", json!(row.megabytes())),
                ("ratio_to_disk", json!(row.ratio)),
            ])?;
            continue;
        }
        let cells = percentiles.map_or_else(
            || format!("{:>10}", "-").repeat(4),
            |of| of.map(|micros| format!("{micros:>10.1}")).concat(),
        );
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let test = match row.writers {
            0 | 1 => row.test.to_owned(),
            writers => format!("{}, {writers} writers", row.test),
        };
        // Rates are positive and far below 2^64.
        let rate = HumanCount(row.rate() as u64).to_string();
        let line = format!(
            "{:<12}{test:<24}{cells}{rate:>13}{:>10.1}{ratio:>10}",
            row.target,
            row.megabytes()
        );
        out.text(format_args!("{}", line.trim_end()))?;
    }
    Ok(())
}

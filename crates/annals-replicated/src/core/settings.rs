//! What a core is set to.

use uuid::Uuid;

use crate::format::entry::MIN_ENTRY_BYTES;
use crate::log::commit_log::LogLimits;

/// The settings of a core.
#[derive(Debug, Clone)]
pub struct CoreSettings {
    /// The id of this writer, new at every opening. The core takes another one when it gives up commits that may still
    /// land.
    pub writer_id: Uuid,
    /// The limits of the engine.
    pub limits: LogLimits,
    /// How long an append may take until its commit has landed, in ms. Default: 30,000.
    pub append_timeout_ms: u64,
    /// How long an entry may be under way before its outcome counts as unknown, in ms. Default: 5,000.
    pub answer_timeout_ms: u64,
    /// How long the record may end before the replica's position, in ms, before the replica counts as diverged: a read
    /// may be stale. Default: 10,000.
    pub absence_limit_ms: u64,
    /// How long a check that the record still has what was read holds, in ms: within this time after it, commits are
    /// taken without another check. `None`: no check is needed, since the engine compares hashes. Default: 500.
    pub confirm_ms: Option<u64>,
    /// The size of the commits that may wait to be applied before reading pauses, in bytes. What a read under way
    /// returns is still taken. Default: 256 MiB.
    pub unapplied_bytes: usize,
    /// The seed of the jitter of pauses.
    pub seed: u64,
}

impl CoreSettings {
    /// Returns the default settings for a writer on an engine with these limits.
    #[must_use]
    pub fn new(writer_id: Uuid, limits: LogLimits) -> Self {
        let limits = LogLimits {
            entry_bytes: limits.entry_bytes.max(MIN_ENTRY_BYTES),
            under_way: limits.under_way.max(1),
        };
        let seed = writer_id.as_u64_pair().1;
        Self {
            writer_id,
            limits,
            append_timeout_ms: 30_000,
            answer_timeout_ms: 5_000,
            absence_limit_ms: 10_000,
            confirm_ms: Some(500),
            unapplied_bytes: 256 << 20,
            seed,
        }
    }
}

/// How far this machine's clock may be ahead of the engine's, in ms.
pub(super) const MAX_CLOCK_AHEAD_MS: u64 = 10_000;
/// The first pause before the same bytes are sent again, in ms.
pub(super) const FIRST_PAUSE_MS: u64 = 50;
/// The longest pause, in ms.
pub(super) const LONGEST_PAUSE_MS: u64 = 1_000;
/// The shortest time for which a winner lets others go first, in ms.
pub(super) const SHORTEST_YIELD_MS: u64 = 20;
/// The largest size of the batches of one commit, in bytes. A single batch may be larger.
pub(super) const MAX_GATHERED_BYTES: usize = 32 << 20;
/// The number of commits that may wait to be applied before reading pauses.
pub(super) const MAX_UNAPPLIED: usize = 256;
/// The largest number of entries between two commits that a check of the second one reads again.
pub(super) const MOST_BETWEEN: u64 = 1_024;
/// The number of reads without the last position of a replica after which a core that begins looks for an earlier one.
pub(super) const SHORT_READS: u32 = 3;
/// The least number of reads that must show that the record ends before the replica's position.
pub(super) const LEAST_ABSENT_READS: u32 = 20;

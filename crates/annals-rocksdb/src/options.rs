//! The settings of a log in RocksDB, and RocksDB's own options that follow from them, each with its reason.

use annals::{Clock, Durability, OpenError};
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options, SliceTransform,
};

use crate::keys;

/// The compression of events and their index on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// No compression.
    None,
    /// LZ4: fast to read. The default.
    #[default]
    Lz4,
    /// Zstandard: smaller files, slower to read and write.
    Zstd,
}

/// The settings of a log in RocksDB. The defaults suit most programs.
///
/// ```no_run
/// use annals::{EventStore, RawEvent};
/// use annals_rocksdb::{Compression, RocksDb};
/// let options = RocksDb::options().compression(Compression::Zstd).block_bytes(16 << 10);
/// let rocks = options.cache_bytes(1 << 30).memtable_bytes(128 << 20).open("data/rocks")?;
/// let store = EventStore::<RawEvent, _>::on(rocks);
/// # Ok::<(), annals::OpenError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RocksDbOptions {
    pub(crate) durability: Durability,
    pub(crate) compression: Compression,
    pub(crate) cache_bytes: usize,
    pub(crate) memtable_bytes: usize,
    pub(crate) block_bytes: usize,
    pub(crate) clock: Clock,
}

/// The bounds of each setting in bytes.
const CACHE_BYTES: std::ops::RangeInclusive<usize> = 1 << 20..=1 << 40;
const MEMTABLE_BYTES: std::ops::RangeInclusive<usize> = 1 << 20..=1 << 34;
const BLOCK_BYTES: std::ops::RangeInclusive<usize> = 1..=1 << 20;

impl Default for RocksDbOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Sync,
            compression: Compression::Lz4,
            cache_bytes: 128 << 20,
            memtable_bytes: 64 << 20,
            block_bytes: 4 << 10,
            clock: Clock::default(),
        }
    }
}

impl RocksDbOptions {
    /// Sets how durable an event is when its append returns: [`Durability::Sync`] by default. With
    /// [`Durability::Buffered`] it is in RocksDB's write-ahead log in the page cache, which is synced by
    /// [`sync`](annals::EventStore::sync) and when the store is closed.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the compression of new files: [`Compression::Lz4`] by default. Existing files keep theirs until RocksDB
    /// compacts them.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets the bytes of memory for the cache of file blocks, with their indexes and Bloom filters: 128 MiB by default,
    /// from 1 MiB to 1 TiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets the bytes of memory for writes that are in no file yet: 64 MiB by default, from 1 MiB to 16 GiB. A second
    /// such amount may be filled while the first is being written to a file.
    #[must_use]
    pub fn memtable_bytes(mut self, bytes: usize) -> Self {
        self.memtable_bytes = bytes;
        self
    }

    /// Sets the bytes of consecutive events that are stored as one value, a block: 4 KiB by default, from 1 byte
    /// (every event is a block) to 1 MiB. Larger blocks compress better and are faster to scan, but reading a single
    /// event reads its whole block.
    #[must_use]
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes;
        self
    }

    /// Sets the clock that gives events their times: the system's by default. A test passes a
    /// [`TestClock`](annals::testing::TestClock).
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let bounds = [
            ("cache_bytes", self.cache_bytes, CACHE_BYTES),
            ("memtable_bytes", self.memtable_bytes, MEMTABLE_BYTES),
            ("block_bytes", self.block_bytes, BLOCK_BYTES),
        ];
        match bounds.into_iter().find(|(_, value, range)| !range.contains(value)) {
            None => Ok(()),
            Some((name, value, range)) => Err(OpenError::BadOption {
                name,
                value: value.to_string(),
                expected: format!("{} to {} bytes", range.start(), range.end()),
            }),
        }
    }

    /// Returns the options of the database as a whole.
    pub(crate) fn database(&self, create: bool) -> Options {
        let mut options = Options::default();
        options.create_if_missing(create);
        options.create_missing_column_families(create);
        // A crash leaves a torn end of the write-ahead log, whose events were not acknowledged. The manifest records
        // how far each log was synced, so that RocksDB detects a log that lost more than its torn end.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_paranoid_checks(true);
        // One thread for flushes and one for compactions: an append-only log needs few compactions.
        options.set_max_background_jobs(2);
        // A bound for all column families together, so that the setting bounds the memory. It also bounds the
        // write-ahead logs to be replayed after a crash.
        options.set_db_write_buffer_size(2 * self.memtable_bytes);
        options.set_max_total_wal_size(4 * self.memtable_bytes as u64);
        // Files are synced bit by bit: a large sync at their end would delay the syncs of the write-ahead log.
        options.set_bytes_per_sync(1 << 20);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(4 << 20);
        options.set_log_level(LogLevel::Warn);
        options.set_stats_dump_period_sec(0);
        options
    }

    /// Returns the options of each column family, and the cache that they share.
    pub(crate) fn families(&self) -> Families {
        let cache = Cache::new_hyper_clock_cache(self.cache_bytes, 0);
        let mut events = self.family(&cache, |_| {});
        // Keys are appended in ascending order: files do not overlap, so they are moved down the levels and never
        // merged.
        events.set_target_file_size_base(64 << 20);
        // Move files out of level 0 at once: every seek searches every file of level 0.
        events.set_level_zero_file_num_compaction_trigger(1);
        let mut index = self.family(&cache, bloom_filter);
        // A Bloom filter of names, not of keys: it shows whether a file has any key of a name.
        let name_part = SliceTransform::create("annals.name", keys::name_part, None);
        index.set_prefix_extractor(name_part);
        index.set_memtable_prefix_bloom_ratio(0.02);
        let ids = self.family(&cache, bloom_filter);
        let snapshots = self.family(&cache, |_| {});
        Families { events, index, ids, snapshots, cache }
    }

    fn family(&self, cache: &Cache, table: impl FnOnce(&mut BlockBasedOptions)) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        // Otherwise their memory would not count towards the cache, and would grow with the log.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // The size of one block of events. Twice the size makes a scan 5 % faster, but reads of single events or tags
        // read twice as many bytes, and take twice as long if the cache does not hold all blocks.
        blocks.set_block_size(4 << 10);
        blocks.set_format_version(6);
        table(&mut blocks);
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_size(self.memtable_bytes);
        options.set_max_write_buffer_number(3);
        options.set_compression_type(match self.compression {
            Compression::None => DBCompressionType::None,
            Compression::Lz4 => DBCompressionType::Lz4,
            Compression::Zstd => DBCompressionType::Zstd,
        });
        options
    }
}

/// Adds a Bloom filter of 10 bits a key: one file in a hundred is searched in vain.
fn bloom_filter(blocks: &mut BlockBasedOptions) {
    blocks.set_bloom_filter(10.0, false);
}

/// The options of each column family, and the cache that they share.
pub(crate) struct Families {
    pub(crate) events: Options,
    pub(crate) index: Options,
    pub(crate) ids: Options,
    pub(crate) snapshots: Options,
    pub(crate) cache: Cache,
}

//! How a log in RocksDB is opened, and what of RocksDB's own settings follows from that, each with its reason.

use annals::{Durability, OpenError};
use rocksdb::{
    BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options, SliceTransform,
};

use crate::keys;

/// How events and their index are compressed on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: quick to read. The default.
    #[default]
    Lz4,
    /// Zstandard: smaller, slower to read and write.
    Zstd,
}

/// Settings of a log in RocksDB; each is fine as it is.
///
/// ```no_run
/// use annals::{EventStore, RawEvent};
/// use annals_rocksdb::{Compression, RocksDb};
/// let rocks = RocksDb::options().compression(Compression::Zstd).cache_bytes(1 << 30).open("data/rocks")?;
/// let store = EventStore::<RawEvent>::on(rocks);
/// # Ok::<(), annals::OpenError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RocksDbOptions {
    pub(crate) durability: Durability,
    pub(crate) compression: Compression,
    pub(crate) cache_bytes: usize,
    pub(crate) memtable_bytes: usize,
    pub(crate) block_bytes: usize,
}

/// The least and most bytes of each.
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
        }
    }
}

impl RocksDbOptions {
    /// When an append returns: [`Durability::Sync`] by default. What is only buffered is in RocksDB's write-ahead log
    /// in the page cache, and synced by [`sync`](annals::EventStore::sync) and on close.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How files are compressed from now on: [`Compression::Lz4`] by default. Those that are there stay as they are
    /// until RocksDB compacts them.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Bytes of memory for blocks of files that were read, with their indexes and filters: 128 MiB by default, 1 MiB
    /// to 1 TiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Bytes of memory for what was written and is in no file yet: 64 MiB by default, 1 MiB to 16 GiB. While such an
    /// amount is being written to a file, another may be filled.
    #[must_use]
    pub fn memtable_bytes(mut self, bytes: usize) -> Self {
        self.memtable_bytes = bytes;
        self
    }

    /// Bytes at which neighbouring events are one value of RocksDB's: 4 KiB by default, 1 byte (each event for itself) to 1 MiB.
    /// Larger ones compress better and are quicker to scan; reading a single event reads all of its block.
    #[must_use]
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes;
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

    /// Of the database as a whole.
    pub(crate) fn database(&self, create: bool) -> Options {
        let mut options = Options::default();
        options.create_if_missing(create);
        options.create_missing_column_families(create);
        // A torn end of the write-ahead log is what a crash leaves, and nobody was told of what was in it. What was
        // synced before is told of in the manifest, so that a log that lost more than that is found out.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_paranoid_checks(true);
        // One thread for flushes and one for compactions: an append-only log needs little of the latter.
        options.set_max_background_jobs(2);
        // Of all column families together, so that memory is bounded by what was asked for; and the write-ahead
        // logs that a crash leaves to be replayed are bounded with it.
        options.set_db_write_buffer_size(2 * self.memtable_bytes);
        options.set_max_total_wal_size(4 * self.memtable_bytes as u64);
        // Files are written out bit by bit, or the sync at their end would hold up those of the write-ahead log.
        options.set_bytes_per_sync(1 << 20);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(4 << 20);
        options.set_log_level(LogLevel::Warn);
        options.set_stats_dump_period_sec(0);
        options
    }

    /// Of each column family, with one cache for all.
    pub(crate) fn families(&self) -> Families {
        let cache = Cache::new_hyper_clock_cache(self.cache_bytes, 0);
        let mut events = self.family(&cache, |_| {});
        // Appended in the order of the keys: files do not overlap, are moved down the levels and never merged.
        events.set_target_file_size_base(64 << 20);
        // At once: every file of level 0 is looked into by every seek.
        events.set_level_zero_file_num_compaction_trigger(1);
        let mut index = self.family(&cache, filter);
        // A bloom filter of names, not of keys: whether a name is in a file at all is what is asked.
        let name_part = SliceTransform::create("annals.name", keys::name_part, None);
        index.set_prefix_extractor(name_part);
        index.set_memtable_prefix_bloom_ratio(0.02);
        let ids = self.family(&cache, filter);
        let snapshots = self.family(&cache, |_| {});
        Families { events, index, ids, snapshots, cache }
    }

    fn family(&self, cache: &Cache, table: impl FnOnce(&mut BlockBasedOptions)) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        // Else they would be held beside the cache, and grow with the log.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // One block of events. Two of them make a scan a twentieth quicker, but who reads single events or tags reads twice as
        // much for each, and where the cache has not room for all takes twice as long.
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

/// A filter of 10 bits a key: one in a hundred files is looked into for nothing.
fn filter(blocks: &mut BlockBasedOptions) {
    blocks.set_bloom_filter(10.0, false);
}

/// Options of each column family, and the cache that they share.
pub(crate) struct Families {
    pub(crate) events: Options,
    pub(crate) index: Options,
    pub(crate) ids: Options,
    pub(crate) snapshots: Options,
    pub(crate) cache: Cache,
}

//! The arguments of `annals verify`, `annals copy` and `annals salvage`.

use clap::Args;

use super::creation::Waiting;
use crate::store_path::StorePath;

/// Check every byte of a store: all checksums, and all index entries against their events
///
/// Nothing is changed, and another process may append meanwhile. Each problem is damage, and the exit code is then 1.
/// If all problems are in the index files of a Journal (*.idx), no event is lost: remove these files, and they are
/// rebuilt from the log when the store is next opened for appending. Notes are not damage. For example, a note
/// reports a commit that a crash interrupted; it is repaired when the store is next opened for appending.
///
/// Checksums find accidents. If checkpoints of the store were signed (`annals checkpoint`), the command also compares
/// every event with the last of them, and with the receipts of witnesses. The comparison finds a change that was
/// made on purpose, with the right checksums.
///
/// With --against, the events are also compared with a checkpoint that you or another party has. It must have the
/// signature of the store's key: otherwise it says nothing about the store, and the exit code is 2. If the store was
/// never signed, its key is not known, and the command says that it did not check the signature.
///
/// If the store contradicts a checkpoint of its own key, that is remembered beside the store, and nothing is signed until
/// the whole log is there again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals verify my.store\n  annals verify my.store --against kept-elsewhere.checkpoint"
)]
pub(crate) struct Verify {
    /// The store: PATH, rocksdb:PATH, postgres://… or nats://…
    #[arg(env = "ANNALS_STORE", hide_env_values = true)]
    pub(crate) store: StorePath,

    /// Also compare the events with this checkpoint, which you kept outside of the store; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<std::path::PathBuf>,
}

/// Copy a store to another store of any kind, with the same offsets and times
///
/// If the copy already has some of the events, the command continues from there: run it again after an interruption,
/// or to bring the copy up to date. At the end the copy is synced to the disk and compared with the source, event by
/// event. Of a damaged store, the events before the damage are copied. The copy must not be the store itself or in
/// its directory.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  annals copy my.store backup.store\n  annals copy my.store rocksdb:my.rocks"
)]
pub(crate) struct Copy {
    /// The store to copy: PATH, rocksdb:PATH, postgres://… or nats://…
    pub(crate) from: StorePath,

    /// The copy: PATH, rocksdb:PATH, postgres://… or nats://…; a path is created if nothing exists there
    pub(crate) to: StorePath,

    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// Save every whole event of a damaged store to a new store
///
/// `annals copy` stops at the first damage; `annals salvage` continues after it. Each event has its own checksum, which
/// shows whether the event is whole. Stop every process that writes to the store first. The damaged store is only read,
/// never changed.
///
/// The new store has no gaps, so events after the damage get lower offsets. The output lists the missing offsets, what
/// was found in their place, and the new offset of each event. Content, ids, tags, metadata, times and order are kept.
/// If the time of an event is damaged, the event gets the time of the nearest event.
///
/// The exit code is 1 if an event is missing that is known to have been durable, and 0 otherwise. All whole events are
/// saved in both cases. A commit that a crash left unfinished does not count as missing.
///
/// Only a Journal can be salvaged. For a damaged `rocksdb:PATH`, `annals copy` saves the events before the damage.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  annals salvage my.store saved.store")]
pub(crate) struct Salvage {
    /// The damaged store: PATH
    pub(crate) from: StorePath,

    /// The new store: PATH, where nothing exists yet
    pub(crate) to: StorePath,
}

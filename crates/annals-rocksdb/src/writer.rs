//! The writer's side: fills blocks with events, and writes each commit to RocksDB as one write batch.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use annals::backend::{CommitTarget, Encoded, Name, Published};
use annals::{Condition, Durability, Event, ReadError, Recorded};
use rocksdb::{WriteBatch, WriteOptions};

use crate::block::BlocksWriter;
use crate::chunk::{ChunkWriter, MemChunk};
use crate::family::Put;
use crate::keys;
use crate::log::Log;
use crate::options::RocksDbOptions;
use crate::rollback::FailedCommit;
use crate::status::io_error;

/// The target of the commit path: a log in RocksDB.
pub(crate) struct RocksDbTarget<E> {
    /// `None` once it is released, so that a leftover handle of this target does not keep the database open.
    log: Option<Arc<Log>>,
    write: WriteOptions,
    durability: Durability,
    block_bytes: usize,
    chunk: ChunkWriter,
    next_offset: u64,
    last_time_ms: u64,
    /// Whether the write-ahead log has bytes that are not synced.
    unsynced: bool,
    staged: Staged<E>,
}

/// The commit that is being prepared.
struct Staged<E> {
    blocks: BlocksWriter,
    /// The time of the block that is being filled; `None` if the next event begins a new block.
    block_time_ms: Option<u64>,
    /// The chunks that this commit fills, and then the growing one.
    chunks: Vec<MemChunk>,
    events: Vec<Recorded<E>>,
}

impl<E: Event> RocksDbTarget<E> {
    pub(crate) fn new(
        log: Arc<Log>,
        options: &RocksDbOptions,
        chunk: ChunkWriter,
        next_offset: u64,
        last_time_ms: u64,
    ) -> Self {
        let mut write = WriteOptions::default();
        write.set_sync(options.durability == Durability::Sync);
        let chunks = vec![chunk.reader()];
        Self {
            log: Some(log),
            write,
            durability: options.durability,
            block_bytes: options.block_bytes,
            chunk,
            next_offset,
            last_time_ms,
            unsynced: false,
            staged: Staged {
                blocks: BlocksWriter::default(),
                block_time_ms: None,
                chunks,
                events: Vec::new(),
            },
        }
    }

    fn log(&self) -> io::Result<&Arc<Log>> {
        self.log.as_ref().ok_or_else(|| io::Error::other("the store is closed"))
    }

    /// Passes every key that the commit writes to `put`.
    fn put_all(&self, log: &Log, put: &mut Put<'_>) {
        let database = &log.database;
        for (first, block) in self.staged.blocks.iter() {
            put(database.events(), &first.to_be_bytes(), block);
        }
        let growing = self.staged.chunks.len() - 1;
        self.staged.chunks[..growing].iter().for_each(|full| full.seal(database, put));
    }

    /// Begins a new chunk if the growing one is full.
    fn roll_chunk(&mut self) {
        if !self.chunk.covers(self.next_offset) {
            self.staged.block_time_ms = None;
            self.chunk = ChunkWriter::new(keys::chunk_of(self.next_offset));
            self.staged.chunks.push(self.chunk.reader());
        }
    }

    /// Begins a new block unless the next event fits into the last one.
    fn roll_block(&mut self, time_ms: u64) {
        let Self { chunk, staged, next_offset, .. } = self;
        let has_room = staged.blocks.last_size().is_some_and(|size| size < self.block_bytes);
        if staged.block_time_ms != Some(time_ms) || !has_room {
            chunk.add_block(*next_offset);
            staged.blocks.begin(*next_offset, time_ms);
            staged.block_time_ms = Some(time_ms);
        }
    }
}

impl<E: Event> CommitTarget<E> for RocksDbTarget<E> {
    fn next_offset(&self) -> u64 {
        self.next_offset
    }

    fn last_time_ms(&self) -> u64 {
        self.last_time_ms
    }

    fn reserve(&mut self, _bytes: usize, _labels: usize) -> io::Result<()> {
        Ok(())
    }

    fn conflict(&mut self, condition: &Condition) -> Result<Option<u64>, ReadError> {
        self.log().map_err(closed)?.conflict(condition, self.next_offset, &self.staged.chunks)
    }

    fn find_id(&mut self, id: Name<'_>) -> Result<Option<u64>, ReadError> {
        self.log().map_err(closed)?.find_id(id, &self.staged.chunks)
    }

    fn event_type(&self, offset: u64) -> Result<Cow<'_, str>, ReadError> {
        let committed = self.next_offset - self.staged.events.len() as u64;
        let Some(staged) = offset.checked_sub(committed) else {
            let (event, _) = self.log().map_err(closed)?.get_raw(offset)?;
            return Ok(event.event_type().to_owned().into());
        };
        let staged = usize::try_from(staged).ok().and_then(|staged| self.staged.events.get(staged));
        Ok(staged.expect("an id is found only where an event is").event.event_type().into())
    }

    fn stage(&mut self, events: Vec<E>, batch: Encoded, time_ms: u64) {
        for (index, event) in events.into_iter().enumerate() {
            self.roll_chunk();
            let offset = self.next_offset;
            self.roll_block(time_ms);
            self.staged.blocks.push(batch.body(index));
            self.chunk.index().add_event(keys::local_offset(offset), &batch.names(index));
            self.staged.events.push(Recorded { offset, time_ms, event });
            self.next_offset += 1;
        }
        self.last_time_ms = time_ms;
    }

    fn commit(&mut self) -> io::Result<Published<E>> {
        self.staged.block_time_ms = None;
        let log = Arc::clone(self.log()?);
        log.database.check()?;
        let mut batch = WriteBatch::with_capacity_bytes(self.staged.blocks.batch_bytes());
        self.put_all(&log, &mut |family, key, value| family.put(&mut batch, key, value));
        if let Err(error) = log.database.db().write_opt(batch, &self.write) {
            let mut keys = Vec::new();
            self.put_all(&log, &mut |family, key, _| keys.push((family.name, key.to_vec())));
            let first = self.next_offset - self.staged.events.len() as u64;
            log.commit_failed(FailedCommit { offsets: first..self.next_offset, keys });
            // If the store was moved or removed, that is the better error message.
            log.database.check()?;
            return Err(io_error(error));
        }
        self.staged.blocks.clear();
        self.unsynced = self.durability == Durability::Buffered;
        let growing = self.staged.chunks.len() - 1;
        if growing > 0 {
            self.staged.chunks.drain(..growing);
            log.set_growing(self.chunk.reader());
        }
        Ok(Published::events(std::mem::take(&mut self.staged.events)))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.log()?.database.check()?;
        if std::mem::take(&mut self.unsynced) {
            self.log()?.database.db().flush_wal(true).map_err(io_error)?;
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        self.log()?.database.close(self.next_offset)
    }

    /// Releases the database.
    fn release(&mut self) {
        self.log = None;
    }
}

/// Converts the error of a closed store. The commit path does not read from a closed store.
fn closed(error: io::Error) -> ReadError {
    ReadError::Io { path: PathBuf::new(), source: Arc::new(error) }
}

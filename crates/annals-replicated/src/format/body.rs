//! The body of a commit: batches of events, the program that made the record, or the decision of an operator.

use annals::{MAX_BATCH_EVENTS, RawEvent};
use bytes::{BufMut, Bytes, BytesMut};

use super::entry::{crc32c, narrow};
use super::hash::CommitHash;
use super::header::{Header, Kind};

/// The size of a batch's head, in bytes: time, events, bytes.
const BATCH_HEAD: usize = 16;
/// The size of an event record's head, in bytes.
const RECORD_HEAD: usize = 16;
/// The longest text of a genesis or an epoch, in bytes.
pub const MAX_TEXT_BYTES: usize = 1_024;

/// A batch of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBatch {
    /// The time at which the events were recorded, in ms since 1970 UTC.
    pub time_ms: u64,
    /// The events, at least one.
    pub events: Vec<RawEvent>,
}

/// The content of a genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The time at which the record was made, in ms since 1970 UTC.
    pub time_ms: u64,
    /// The program that made it, for people. At most 1,024 bytes.
    pub made_by: String,
}

/// The decision of an operator to go on after the record lost commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// The time of the decision, in ms since 1970 UTC.
    pub time_ms: u64,
    /// The number of the last commit that the record still shares with the replicas that are beyond it.
    pub cut: u64,
    /// The hash of that commit.
    pub cut_hash: CommitHash,
    /// The reason, for people. At most 1,024 bytes.
    pub reason: String,
}

/// The content of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The record's beginning.
    Genesis(Genesis),
    /// Batches of events, at least one.
    Events(Vec<CommitBatch>),
    /// Nothing.
    Barrier,
    /// The decision of an operator.
    Epoch(Epoch),
}

impl Content {
    /// Returns the kind of a commit with this content.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Genesis(_) => Kind::Genesis,
            Self::Events(_) => Kind::Events,
            Self::Barrier => Kind::Barrier,
            Self::Epoch(_) => Kind::Epoch,
        }
    }

    /// Returns the batches; none if the commit has no events.
    #[must_use]
    pub fn batches(&self) -> &[CommitBatch] {
        match self {
            Self::Events(batches) => batches,
            _ => &[],
        }
    }

    /// Writes the body.
    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Genesis(Genesis { time_ms, made_by }) => {
                out.put_u64_le(*time_ms);
                out.put_slice(made_by.as_bytes());
            }
            Self::Events(batches) => {
                out.reserve(batches.iter().map(encoded_bytes).sum());
                for batch in batches {
                    encode_batch(batch, &mut out);
                }
            }
            Self::Barrier => {}
            Self::Epoch(Epoch { time_ms, cut, cut_hash, reason }) => {
                out.put_u64_le(*time_ms);
                out.put_u64_le(*cut);
                out.put_slice(&cut_hash.0);
                out.put_slice(reason.as_bytes());
            }
        }
        out.freeze()
    }

    /// Reads the body of a commit, and checks that it is what the header says.
    pub(super) fn decode(header: &Header, body: &Bytes) -> Result<Self, &'static str> {
        let mut rest = Reader(body.clone());
        let content = match header.kind {
            Kind::Genesis => Self::Genesis(Genesis { time_ms: rest.u64()?, made_by: rest.text()? }),
            Kind::Events => Self::Events(decode_batches(header, &mut rest)?),
            Kind::Barrier => Self::Barrier,
            Kind::Epoch => Self::Epoch(Epoch {
                time_ms: rest.u64()?,
                cut: rest.u64()?,
                cut_hash: CommitHash(rest.array()?),
                reason: rest.text()?,
            }),
        };
        if rest.0.is_empty() { Ok(content) } else { Err("its body is too long") }
    }
}

/// Returns the number of bytes that a batch takes in a body.
#[must_use]
pub fn encoded_bytes(batch: &CommitBatch) -> usize {
    let records = batch.events.iter().map(|event| record_bytes(event).next_multiple_of(8));
    BATCH_HEAD + records.sum::<usize>()
}

fn record_bytes(event: &RawEvent) -> usize {
    RECORD_HEAD + event.body().len()
}

fn encode_batch(batch: &CommitBatch, out: &mut BytesMut) {
    out.put_u64_le(batch.time_ms);
    out.put_u32_le(narrow(batch.events.len()));
    out.put_u32_le(narrow(encoded_bytes(batch) - BATCH_HEAD));
    for event in &batch.events {
        out.put_u32_le(crc32c(event.body()));
        out.put_u32_le(narrow(record_bytes(event)));
        // The local offset and the distance are those of a segment file. A replica fills them in.
        out.put_u64_le(0);
        out.put_slice(event.body());
        out.put_bytes(0, out.len().next_multiple_of(8) - out.len());
    }
}

fn decode_batches(header: &Header, rest: &mut Reader) -> Result<Vec<CommitBatch>, &'static str> {
    let (mut batches, mut events, mut last_time) = (Vec::new(), 0_u64, 0);
    for _ in 0..header.batches {
        let batch = decode_batch(rest)?;
        if batch.time_ms < last_time {
            return Err("its times go back");
        }
        last_time = batch.time_ms;
        events += batch.events.len() as u64;
        batches.push(batch);
    }
    if events == u64::from(header.events) {
        Ok(batches)
    } else {
        Err("its number of events differs")
    }
}

fn decode_batch(rest: &mut Reader) -> Result<CommitBatch, &'static str> {
    let time_ms = rest.u64()?;
    let (count, bytes) = (rest.u32()? as usize, rest.u32()? as usize);
    if count == 0 || count > MAX_BATCH_EVENTS {
        return Err("a batch has no events or too many");
    }
    let mut records = Reader(rest.take(bytes)?);
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(decode_record(&mut records)?);
    }
    if !records.0.is_empty() {
        return Err("a batch is longer than its events");
    }
    Ok(CommitBatch { time_ms, events })
}

fn decode_record(records: &mut Reader) -> Result<RawEvent, &'static str> {
    let sum = records.u32()?;
    let size = (records.u32()? as usize).checked_sub(RECORD_HEAD).ok_or("a record is too small")?;
    if records.u64()? != 0 {
        return Err("a record has a local offset or a distance");
    }
    let body = records.take(size)?;
    if crc32c(&body) != sum {
        return Err("the checksum of a record differs");
    }
    let padding = records.take(size.next_multiple_of(8) - size)?;
    if padding.iter().any(|&byte| byte != 0) {
        return Err("the padding of a record is not 0");
    }
    RawEvent::from_body(body)
}

/// The bytes that are still to be read.
struct Reader(Bytes);

impl Reader {
    fn take(&mut self, bytes: usize) -> Result<Bytes, &'static str> {
        if bytes > self.0.len() {
            return Err("its body is too short");
        }
        Ok(self.0.split_to(bytes))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let mut array = [0; N];
        array.copy_from_slice(&self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads the text that is the rest of the body.
    fn text(&mut self) -> Result<String, &'static str> {
        if self.0.len() > MAX_TEXT_BYTES {
            return Err("its text is too long");
        }
        let text = self.take(self.0.len())?;
        String::from_utf8(text.to_vec()).map_err(|_| "its text is not valid UTF-8")
    }
}

//! Reads, checks and news.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use annals_replicated::{Cause, CheckError, Fitness, LogError, LogLimits, Page, ReadLimit, Slot};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::appends::HEADERS_BYTES;
use crate::engine::Engine;
use crate::stream::Stream;

/// News are sent this far apart.
const NEWS_EVERY: Duration = Duration::from_millis(1);
/// The largest entry that is written, in bytes. A server may take larger ones, which hold up the others.
const MAX_ENTRY_BYTES: usize = 8 << 20;
/// How many entries are read again from the leader: the last ones. It returns one for each request.
const MOST_OF_LEADER: usize = 16;
/// How many appends may be under way.
const UNDER_WAY: usize = 32;

/// A call that is not an append. Each is answered once; the caller may have gone.
pub(crate) enum Query {
    Read {
        after: Slot,
        limit: ReadLimit,
        answer: SyncSender<Result<Page, LogError>>,
    },
    /// Reads entries that were read before.
    ReadAgain {
        after: Slot,
        limit: ReadLimit,
        answer: SyncSender<Result<Page, LogError>>,
    },
    Ends {
        answer: SyncSender<Result<(Slot, Slot), LogError>>,
    },
    Check {
        answer: SyncSender<Result<Fitness, CheckError>>,
    },
    Limits {
        answer: SyncSender<LogLimits>,
    },
    /// Looks for the last slot, for those that wait.
    Poll,
    /// Sends a hint to the other writers: this writer waits for its turn.
    Hint,
}

/// Takes calls until the engine is dropped. Each has a task of its own, so that none waits for another.
pub(crate) async fn run(engine: Arc<Engine>, mut calls: UnboundedReceiver<Query>) {
    let news = engine.connection.client().subscribe(engine.address.news()).await;
    let Ok(mut news) = news else { return };
    let (mut is_due, mut due) = (false, Instant::now());
    loop {
        tokio::select! {
            call = calls.recv() => match call {
                Some(call) => drop(tokio::spawn(take(Arc::clone(&engine), call))),
                None => return,
            },
            text = news.next() => match text {
                Some(text) => engine.shared.news.heard(&String::from_utf8_lossy(&text.payload)),
                None => return,
            },
            () = engine.shared.landed.notified(), if !is_due => is_due = true,
            () = tokio::time::sleep_until(due), if is_due => {
                engine.tell(engine.shared.news.slot_text()).await;
                (is_due, due) = (false, Instant::now() + NEWS_EVERY);
            }
        }
    }
}

async fn take(engine: Arc<Engine>, call: Query) {
    // The caller may have gone. Its answer is then dropped.
    match call {
        Query::Read { after, limit, answer } => {
            drop(answer.send(engine.read(after, limit).await));
        }
        Query::ReadAgain { after, limit, answer } => {
            drop(answer.send(engine.read_again(after, limit).await));
        }
        Query::Ends { answer } => drop(answer.send(engine.ends().await)),
        Query::Check { answer } => drop(answer.send(engine.check().await)),
        Query::Limits { answer } => drop(answer.send(engine.limits().await)),
        Query::Poll => {
            if let Ok((_, last)) = engine.ends().await {
                engine.shared.news.found_end(last);
            }
            engine.shared.news.poll_ended();
        }
        Query::Hint => engine.tell(engine.shared.news.hint_text()).await,
    }
}

impl Engine {
    /// Sends a text to the other writers. A writer that misses it polls.
    async fn tell(&self, text: String) {
        if self.connection.is_connected() {
            // It may be lost.
            let _ = self.connection.client().publish(self.address.news(), text.into()).await;
        }
    }

    async fn limits(&self) -> LogLimits {
        // Without a server, the client has the default of the servers.
        let _ = self.connection.connected().await;
        let max_payload = self.connection.client().max_payload();
        let entry_bytes = max_payload.saturating_sub(HEADERS_BYTES).min(MAX_ENTRY_BYTES);
        LogLimits { entry_bytes, under_way: UNDER_WAY }
    }

    async fn stream(&self) -> Result<Option<Stream>, LogError> {
        let found = Stream::find(&self.connection, &self.address.name, &self.shared).await;
        found.map_err(|error| LogError::Unavailable(error.cause()))
    }

    async fn ends(&self) -> Result<(Slot, Slot), LogError> {
        let stream = self.stream().await?;
        Ok(stream.map_or((Slot(1), Slot(0)), |stream| (stream.first, stream.last)))
    }

    /// Reads entries from any server that stores the stream. Such a server may be behind the leader: only the leader
    /// says that there are none.
    async fn read(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        let unavailable = |cause: Cause| LogError::Unavailable(cause);
        let mut entries = self.read_any(after, limit).await.map_err(unavailable)?;
        if entries.is_empty() {
            let Some(stream) = self.stream().await? else {
                self.shared.news.found_end(Slot(0));
                return Ok(Page { entries, time_ms: self.shared.clock.now_ms() });
            };
            if stream.first > after.next() {
                return Err(LogError::Trimmed { first: stream.first });
            }
            if stream.last > after {
                let found = self.read_leader(after.next()).await.map_err(unavailable)?;
                match found {
                    Some((slot, _)) if slot != after.next() => {
                        return Err(LogError::Trimmed { first: slot });
                    }
                    found => entries.extend(found),
                }
            } else {
                self.shared.news.found_end(stream.last);
            }
        }
        Ok(Page { entries, time_ms: self.shared.clock.now_ms() })
    }

    /// Reads entries again: the last ones from the leader, which decides about appends, and those before them from any
    /// server. Then the page ends before the last ones, and the caller asks again behind it. So it does if the entries are
    /// larger than the limit.
    async fn read_again(&self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        if limit.entries > MOST_OF_LEADER {
            let limit = ReadLimit { entries: limit.entries - MOST_OF_LEADER, ..limit };
            return self.read(after, limit).await;
        }
        let (mut entries, mut bytes): (Vec<(Slot, Bytes)>, usize) = (Vec::new(), 0);
        while entries.len() < limit.entries && bytes < limit.bytes {
            let slot = Slot(after.0 + entries.len() as u64).next();
            match self.read_leader(slot).await.map_err(LogError::Unavailable)? {
                Some((found, entry)) if found == slot => {
                    bytes += entry.len();
                    entries.push((found, entry));
                }
                Some((first, _)) if entries.is_empty() => return Err(LogError::Trimmed { first }),
                _ => break,
            }
        }
        if entries.is_empty()
            && let Some(Stream { first, .. }) = self.stream().await?
            && first > after.next()
        {
            return Err(LogError::Trimmed { first });
        }
        Ok(Page { entries, time_ms: self.shared.clock.now_ms() })
    }
}

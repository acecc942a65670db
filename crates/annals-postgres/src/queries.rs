//! Reads and notifications, on another connection than appends.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use annals_replicated::{Cause, CheckError, Fitness, LogError, Page, ReadLimit, Slot};
use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::appends::{WAITS, is_missing_table};
use crate::causes::cause_of;
use crate::session::{Connector, Link, Session, SessionError};
use crate::shared::Shared;
use crate::statements::{ENDS, FENCE, NOTIFY, READ};

/// Notifications are sent this far apart: each is a transaction.
const NOTIFY_EVERY: Duration = Duration::from_millis(1);

/// A call that is not an append. Each is answered once; the caller may have gone.
pub(crate) enum Query {
    Read {
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
    /// Looks for the last slot, for those that wait.
    Poll,
    /// Sends a hint to the other writers: this writer waits for its turn.
    Hint,
}

/// Takes calls until the engine is dropped.
pub(crate) async fn run(
    connector: Arc<Connector>,
    shared: Arc<Shared>,
    mut calls: UnboundedReceiver<Query>,
) {
    let notified = {
        let shared = Arc::clone(&shared);
        move |text: &str| shared.news.heard(text)
    };
    let mut queries = Queries {
        link: Link::new(connector, true, notified),
        shared: Arc::clone(&shared),
        is_fenced: false,
    };
    let (mut is_due, mut due) = (false, Instant::now());
    loop {
        tokio::select! {
            call = calls.recv() => match call {
                Some(call) => queries.take(call).await,
                None => return,
            },
            () = shared.landed.notified(), if !is_due => is_due = true,
            () = tokio::time::sleep_until(due), if is_due => {
                let text = shared.news.slot_text();
                queries.notify(&text).await;
                (is_due, due) = (false, Instant::now() + NOTIFY_EVERY);
            }
        }
    }
}

struct Queries<N> {
    link: Link<N>,
    shared: Arc<Shared>,
    /// Whether every row that the session shows is as durable as a commit that was acknowledged.
    is_fenced: bool,
}

impl<N: Fn(&str) + Clone + Send + 'static> Queries<N> {
    async fn take(&mut self, call: Query) {
        // If the caller has gone, nobody reads the answer.
        match call {
            Query::Read { after, limit, answer } => {
                drop(answer.send(self.read(after, limit).await));
            }
            Query::Ends { answer } => drop(answer.send(self.ends().await)),
            Query::Check { answer } => drop(answer.send(self.check().await)),
            Query::Poll => {
                if let Ok((_, last)) = self.ends().await {
                    self.shared.news.found_end(last);
                }
                self.shared.news.poll_ended();
            }
            Query::Hint => {
                let text = self.shared.news.hint_text();
                self.notify(&text).await;
            }
        }
    }

    async fn session(&mut self) -> Result<&mut Session, SessionError> {
        let (session, is_new) = self.link.session().await?;
        self.is_fenced &= !is_new;
        Ok(session)
    }

    /// Waits until everything that the server shows is as durable as a commit that was acknowledged. A server that was
    /// started again, or a wait for a standby that was cancelled, shows rows that are not.
    async fn fence(&mut self) -> Result<(), Cause> {
        self.session().await.map_err(Cause::from)?;
        self.is_fenced &= !self.shared.take_doubt();
        if self.is_fenced {
            return Ok(());
        }
        if self.link.is_waiting().await {
            return Err(Cause::new(WAITS));
        }
        let timeout = self.link.connector().timeout;
        let session = self.session().await.map_err(Cause::from)?;
        let warnings = session.warnings();
        let written = tokio::time::timeout(timeout, session.client.query_one(FENCE, &[])).await;
        let has_warned = session.warnings() != warnings;
        let failure = match written {
            Ok(Ok(_)) if !has_warned => {
                self.is_fenced = true;
                return Ok(());
            }
            Ok(Ok(_)) => Cause::new("the wait for a standby was cancelled"),
            Ok(Err(error)) => {
                self.link.close();
                cause_of(&error)
            }
            Err(_) => {
                self.link.leave();
                Cause::new(WAITS)
            }
        };
        // The next read fences again.
        self.is_fenced = false;
        Err(failure)
    }

    /// Sends a notification. A writer that misses it polls.
    async fn notify(&mut self, text: &str) {
        let channel = self.link.connector().address.channel();
        let timeout = self.link.connector().timeout;
        let Ok(session) = self.session().await else { return };
        let sent = limited(timeout, async {
            let statement = session.statement(NOTIFY).await?;
            session.client.query(&statement, &[&channel, &text]).await
        });
        if sent.await.is_err() {
            self.link.close();
        }
    }

    async fn read(&mut self, after: Slot, limit: ReadLimit) -> Result<Page, LogError> {
        let (numbered, time_ms) = loop {
            self.fence().await.map_err(LogError::Unavailable)?;
            let found = self.try_read(after, limit).await;
            if found.is_err() {
                self.link.close();
            }
            let found = found.map_err(LogError::Unavailable)?;
            // The session may have been lost behind the fence, and another one was read. Also, an append that ended
            // meanwhile without a known outcome may be among the rows.
            if self.is_fenced && !self.shared.is_doubtful() {
                break found;
            }
        };
        if let Some((number, _)) = numbered.first()
            && *number != after.0
        {
            return Err(LogError::Trimmed { first: Slot(number + 1) });
        }
        if numbered.is_empty() {
            self.shared.news.found_end(after);
        }
        // Rows that an operator deleted leave a gap. The next read begins at it, and reports it.
        let entries = numbered.into_iter().zip(after.0..);
        let entries = entries.take_while(|((number, _), expected)| number == expected);
        let entries = entries.map(|((number, body), _)| (Slot(number + 1), body)).collect();
        Ok(Page { entries, time_ms })
    }

    async fn try_read(
        &mut self,
        after: Slot,
        limit: ReadLimit,
    ) -> Result<(Vec<(u64, Bytes)>, Option<u64>), Cause> {
        // A number beyond this one cannot be stored.
        let Ok(from) = i64::try_from(after.0) else { return Ok((Vec::new(), None)) };
        let store = self.link.connector().address.store.clone();
        let timeout = self.link.connector().timeout;
        let entries = i64::try_from(limit.entries.max(1)).unwrap_or(i64::MAX);
        let bytes = i64::try_from(limit.bytes).unwrap_or(i64::MAX);
        let session = self.session().await.map_err(Cause::from)?;
        let rows = limited(timeout, async {
            let statement = session.statement(READ).await?;
            session.client.query(&statement, &[&store, &from, &entries, &bytes]).await
        });
        let rows = rows.await?.unwrap_or_default();
        if rows.first().is_some_and(|row| row.get(2)) {
            return Err(Cause::new(BECAME_STANDBY));
        }
        let time_ms = rows.first().and_then(|row| u64::try_from(row.get::<_, i64>(3)).ok());
        let entry = |row: tokio_postgres::Row| {
            let stored = row.get::<_, Option<i64>>(0)?;
            Some((number(stored), Bytes::from(row.get::<_, Vec<u8>>(1))))
        };
        Ok((rows.into_iter().filter_map(entry).collect(), time_ms))
    }

    async fn ends(&mut self) -> Result<(Slot, Slot), LogError> {
        let found = self.try_ends().await;
        if found.is_err() {
            self.link.close();
        }
        found.map_err(LogError::Unavailable)
    }

    async fn try_ends(&mut self) -> Result<(Slot, Slot), Cause> {
        let store = self.link.connector().address.store.clone();
        let timeout = self.link.connector().timeout;
        let session = self.session().await.map_err(Cause::from)?;
        let row = limited(timeout, async {
            let statement = session.statement(ENDS).await?;
            session.client.query_one(&statement, &[&store]).await
        });
        let Some(row) = row.await? else { return Ok((Slot(1), Slot(0))) };
        if row.get(2) {
            return Err(Cause::new(BECAME_STANDBY));
        }
        let ends = row.get::<_, Option<i64>>(0).zip(row.get::<_, Option<i64>>(1));
        let slot = |stored| Slot(number(stored) + 1);
        Ok(ends.map_or((Slot(1), Slot(0)), |(first, last)| (slot(first), slot(last))))
    }

    /// Checks a server anew: its settings may have changed since the session began.
    async fn check(&mut self) -> Result<Fitness, CheckError> {
        self.link.close();
        match self.session().await {
            Ok(session) => Ok(session.fitness.clone()),
            Err(SessionError::Unfit(unfit)) => Err(unfit.into()),
            Err(SessionError::Unreachable(cause)) => Err(CheckError::Unavailable(cause)),
        }
    }
}

const BECAME_STANDBY: &str = "the server became a standby";

/// Waits for a call at most this long. Returns none if the table is missing, which it is before the first record.
async fn limited<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<Option<T>, Cause> {
    match tokio::time::timeout(timeout, call).await {
        Ok(Ok(value)) => Ok(Some(value)),
        Ok(Err(error)) if is_missing_table(&error) => Ok(None),
        Ok(Err(error)) => Err(cause_of(&error)),
        Err(_) => Err(Cause::new(format!("no answer within {timeout:?}"))),
    }
}

/// Returns a number as the table has it, which is never below 0.
fn number(stored: i64) -> u64 {
    u64::try_from(stored).expect("the table allows no negative number")
}

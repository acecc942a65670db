//! Appends, in turn, on a connection of their own. An append whose outcome is not known is reported as such;
//! annals-replicated settles it (`core/landing.rs`, `core/sending.rs`).

use std::sync::Arc;

use annals_replicated::{AppendAnswer, AppendOutcome, Cause, Done, NewEntry, Slot};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::ToSql;

use crate::causes::cause_of;
use crate::session::{Connector, Link, Session};
use crate::shared::Shared;
use crate::statements::{APPEND, CREATE_TABLE, HAS_TABLE, INSERT_GENESIS, LOCK_TABLE};

/// The reason for which nothing is sent.
pub(crate) const WAITS: &str = "an earlier call still waits for a standby; look at the servers in \
                                synchronous_standby_names";

/// A call of `append`.
pub(crate) struct Append {
    pub(crate) after: Slot,
    pub(crate) entry: NewEntry,
    pub(crate) done: Done,
}

/// Takes appends until the engine is dropped.
pub(crate) async fn run(
    connector: Arc<Connector>,
    shared: Arc<Shared>,
    mut calls: UnboundedReceiver<Append>,
) {
    let mut link = Link::new(connector, false, |_: &str| {});
    while let Some(Append { after, entry, done }) = calls.recv().await {
        let answer = append(&mut link, after, &entry).await;
        let landed = match &answer.outcome {
            AppendOutcome::At(slot) => Some(*slot),
            _ => None,
        };
        if matches!(answer.outcome, AppendOutcome::Unknown(_)) {
            shared.note_doubt();
        }
        done(answer);
        if let Some(slot) = landed {
            shared.news.saw(slot);
            shared.landed.notify_one();
        }
    }
}

async fn append<N>(link: &mut Link<N>, after: Slot, entry: &NewEntry) -> AppendAnswer
where
    N: Fn(&str) + Clone + Send + 'static,
{
    let without_time = |outcome| AppendAnswer { outcome, time_ms: None };
    // A row's place is its number, so an entry of another number has no place behind `after`.
    if entry.number != after.0 || entry.part != (0, 1) {
        return without_time(AppendOutcome::Refused);
    }
    let store = link.connector().address.store.clone();
    let timeout = link.connector().timeout;
    if let Err(error) = link.session().await {
        return without_time(AppendOutcome::NotSent(error.into()));
    }
    if link.is_waiting().await {
        return without_time(AppendOutcome::NotSent(Cause::new(WAITS)));
    }
    let session = match link.session().await {
        Ok((session, _)) => session,
        Err(error) => return without_time(AppendOutcome::NotSent(error.into())),
    };
    let warnings = session.warnings();
    let stored = async {
        if entry.number == 0 {
            create(session, &store, entry).await
        } else {
            store_commit(session, &store, entry).await
        }
    };
    let stored = tokio::time::timeout(timeout, stored).await;
    let has_warned = link.has_warned_since(warnings);
    let answer = match stored {
        // A wait for a standby that was cancelled ends with success and a warning.
        Ok(Ok(_)) if has_warned => without_time(AppendOutcome::Unknown(Cause::new(
            "the server warned while it stored the commit: the wait for a standby may have been cancelled",
        ))),
        Ok(Ok((is_stored, time_ms))) => {
            let outcome =
                if is_stored { AppendOutcome::At(after.next()) } else { AppendOutcome::Refused };
            AppendAnswer { outcome, time_ms: u64::try_from(time_ms).ok() }
        }
        Ok(Err(error)) => without_time(outcome_of(&error)),
        Err(_) => {
            // No cancel is sent: a cancelled wait would count as success.
            link.leave();
            without_time(AppendOutcome::Unknown(Cause::new(format!(
                "no answer within {timeout:?}"
            ))))
        }
    };
    if !matches!(answer.outcome, AppendOutcome::At(_) | AppendOutcome::Refused) {
        link.close();
    }
    answer
}

/// Whether the entry was stored, and the server's clock in ms.
type Stored = Result<(bool, i64), tokio_postgres::Error>;

async fn store_commit(session: &mut Session, store: &str, entry: &NewEntry) -> Stored {
    let statement = session.statement(APPEND).await?;
    // A record does not reach the number at which these would differ.
    let (number, first) = (entry.number.cast_signed(), entry.first_offset.cast_signed());
    let (previous, hash): (&[u8], &[u8]) = (&entry.previous.0, &entry.hash.0);
    let parameters: [&(dyn ToSql + Sync); 6] =
        [&store, &number, &previous, &hash, &first, &&entry.bytes[..]];
    let row = session.client.query_one(&statement, &parameters).await?;
    Ok((row.get(0), row.get(1)))
}

/// Makes the table if it is absent, and stores a genesis if the record has no commit.
async fn create(session: &mut Session, store: &str, genesis: &NewEntry) -> Stored {
    let transaction = session.client.transaction().await?;
    transaction.execute(LOCK_TABLE, &[]).await?;
    // A user without the right to make tables can make a record where the table is there.
    let has_table: bool = transaction.query_one(HAS_TABLE, &[]).await?.get(0);
    if !has_table {
        transaction.batch_execute(CREATE_TABLE).await?;
    }
    let (previous, hash): (&[u8], &[u8]) = (&genesis.previous.0, &genesis.hash.0);
    let parameters: [&(dyn ToSql + Sync); 4] = [&store, &previous, &hash, &&genesis.bytes[..]];
    let row = transaction.query_one(INSERT_GENESIS, &parameters).await?;
    transaction.commit().await?;
    Ok((row.get(0), row.get(1)))
}

pub(crate) fn is_missing_table(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_TABLE)
}

/// Returns what became of an append that ended with an error. An answer of severity ERROR means that the transaction
/// was rolled back, unless it is about the connection: a pooler may send that after the commit. After anything else
/// the transaction may have been committed.
fn outcome_of(error: &tokio_postgres::Error) -> AppendOutcome {
    let cause = cause_of(error);
    match error.as_db_error() {
        Some(answer) if answer.parsed_severity() == Some(Severity::Error) => {
            let code = answer.code().code();
            if code.starts_with("08") || code.starts_with("57P") {
                AppendOutcome::Unknown(cause)
            } else if *answer.code() == SqlState::DISK_FULL {
                AppendOutcome::Full
            } else {
                AppendOutcome::NotSent(cause)
            }
        }
        _ => AppendOutcome::Unknown(cause),
    }
}

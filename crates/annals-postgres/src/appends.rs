//! Appends, in turn, on a connection of their own.

use std::sync::Arc;

use annals_replicated::{AppendAnswer, AppendOutcome, Cause, Done, NewEntry, Slot};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::error::{Severity, SqlState};

use crate::postgres::Shared;
use crate::session::{Connector, Link, text_of};
use crate::statements::APPEND;

/// The answer where the record was never created.
pub(crate) const NO_TABLE: &str =
    "the database has no table annals_commits: `annals record create URL` makes a record";

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
    let mut link = Link::new(connector, |_: &str| {});
    while let Some(Append { after, entry, done }) = calls.recv().await {
        let answer = append(&mut link, after, &entry).await;
        let landed = match &answer.outcome {
            AppendOutcome::At(slot) => Some(*slot),
            _ => None,
        };
        done(answer);
        if let Some(slot) = landed {
            shared.saw(slot);
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
    let session = match link.session().await {
        Ok((session, _)) => session,
        Err(error) => return without_time(AppendOutcome::NotSent(Cause::new(error))),
    };
    let statement = match session.statement(APPEND).await {
        Ok(statement) => statement,
        Err(error) => {
            let reason =
                if is_missing_table(&error) { NO_TABLE.to_owned() } else { text_of(&error) };
            link.close();
            return without_time(AppendOutcome::NotSent(Cause::new(reason)));
        }
    };
    let (Ok(number), Ok(first)) = (i64::try_from(entry.number), i64::try_from(entry.first_offset))
    else {
        return without_time(AppendOutcome::TooLarge);
    };
    let warnings = session.warnings();
    let (previous, hash): (&[u8], &[u8]) = (&entry.previous.0, &entry.hash.0);
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&store, &number, &previous, &hash, &first, &&entry.bytes[..]];
    let stored = session.client.query_one(&statement, &parameters);
    let stored = tokio::time::timeout(timeout, stored).await;
    let has_warned = session.warnings() != warnings;
    let answer = match stored {
        // A wait for a standby that was cancelled ends with success and a warning.
        Ok(Ok(_)) if has_warned => without_time(AppendOutcome::Unknown(Cause::new(
            "the server warned while it stored the commit: the wait for a standby may have been cancelled",
        ))),
        Ok(Ok(row)) => {
            let outcome =
                if row.get(0) { AppendOutcome::At(after.next()) } else { AppendOutcome::Refused };
            AppendAnswer { outcome, time_ms: u64::try_from(row.get::<_, i64>(1)).ok() }
        }
        Ok(Err(error)) => without_time(outcome_of(&error)),
        Err(_) => without_time(AppendOutcome::Unknown(Cause::new(format!(
            "no answer within {timeout:?}"
        )))),
    };
    if !matches!(answer.outcome, AppendOutcome::At(_) | AppendOutcome::Refused) {
        // The connection is dropped and no cancel is sent: a cancelled wait would count as success.
        link.close();
    }
    answer
}

pub(crate) fn is_missing_table(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_TABLE)
}

/// Returns what became of an append that ended with an error. An answer of severity ERROR means that the transaction
/// was rolled back. After anything else it may have been committed.
fn outcome_of(error: &tokio_postgres::Error) -> AppendOutcome {
    let cause = Cause::new(text_of(error));
    match error.as_db_error() {
        Some(answer) if answer.parsed_severity() == Some(Severity::Error) => {
            if *answer.code() == SqlState::DISK_FULL {
                AppendOutcome::Full
            } else if *answer.code() == SqlState::PROGRAM_LIMIT_EXCEEDED {
                AppendOutcome::TooLarge
            } else {
                AppendOutcome::NotSent(cause)
            }
        }
        _ => AppendOutcome::Unknown(cause),
    }
}

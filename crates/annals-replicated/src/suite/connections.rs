//! Checks of the number of a connection, and of hints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::reader::pause;
use super::subject::{Found, LogSubject, TRIES};
use super::writer::Writer;
use crate::log::commit_log::{AppendOutcome, CommitLog as _, NewEntry};

/// How often a hint is sent until the engine counts as one without hints.
const HINTS: u32 = 50;

/// On a new connection, a process reads its last commit again before it takes an answer. It learns of the connection
/// from the number, or from a call that fails. An engine that compares hashes needs neither.
pub(super) fn numbers<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let mut writer = Writer::new(&log);
    writer.put(1)?;
    if (0..TRIES).all(|_| log.connection() != log.connection()) {
        return Err("the number changes from call to call".into());
    }
    if log.compares_hashes() {
        return Ok(());
    }
    let commit = writer.next(1)?;
    let entry = NewEntry::whole(&commit);
    let before = log.connection();
    if !subject.reconnect(&log) {
        return Ok(());
    }
    let outcomes = writer.send(writer.reader.chain.read_to(), &[entry], 1)?;
    let is_answered = matches!(outcomes[..], [AppendOutcome::At(_) | AppendOutcome::Refused]);
    if is_answered && log.connection() == before {
        return Err(
            "a new connection answered an append, no call failed, and the number is the same"
                .into(),
        );
    }
    // It works on the new connection, too.
    writer.put(1).map(drop)
}

/// A writer that waits for a turn must not give way to itself. Hints may be lost, and an engine need not have them.
pub(super) fn hints<S: LogSubject>(subject: &S) -> Found {
    let log = subject.create();
    let other = subject.connect(&log);
    let count = || Arc::new(AtomicU64::new(0));
    let (own, others) = (count(), count());
    for (log, count) in [(&log, &own), (&other, &others)] {
        let count = Arc::clone(count);
        log.on_hint(Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        }));
    }
    for _ in 0..HINTS {
        log.hint();
        pause(&log);
        if others.load(Ordering::SeqCst) > 0 {
            break;
        }
    }
    match own.load(Ordering::SeqCst) {
        0 => Ok(()),
        heard => Err(format!("a writer heard {heard} of its own hints")),
    }
}

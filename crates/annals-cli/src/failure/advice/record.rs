//! Advice about records in an engine, and about their replicas.

use annals::AppendError;
use annals_replicated::{CheckError, CreateError, InspectError, OpenReplicatedError};

use super::super::{Failure, RecordFailure};

/// Returns what the user can do.
pub(super) fn advice(problem: &RecordFailure) -> Option<String> {
    let advice = match problem {
        RecordFailure::Check { address, problem: CheckError::Unavailable(_) }
        | RecordFailure::Open { address, problem: OpenReplicatedError::Unavailable(_) }
            if address.replica().exists() =>
        {
            let replica = address.replica().display();
            return Some(format!(
                "check the address, the servers and the password (PGPASSWORD)\n\
                 meanwhile `annals read {replica}` reads what the replica has"
            ));
        }
        RecordFailure::Check { problem: CheckError::Unavailable(_), .. }
        | RecordFailure::Open { problem: OpenReplicatedError::Unavailable(_), .. }
        | RecordFailure::Inspect { problem: InspectError::Unavailable(_), .. }
        | RecordFailure::Create { problem: CreateError::Unavailable(_), .. } => {
            "check the address, the servers and the password (PGPASSWORD)"
        }
        RecordFailure::Open { address, problem: OpenReplicatedError::NoRecord }
        | RecordFailure::Inspect { address, problem: InspectError::NoRecord }
        | RecordFailure::NoRecord { address } => {
            return Some(format!(
                "for a new log, create the record, once: `annals record create {address}`\n\
                 if there was a record, it was lost: restore it at the engine"
            ));
        }
        RecordFailure::Open { problem: OpenReplicatedError::OtherRecord { .. }, .. }
        | RecordFailure::OtherRecord { .. } => {
            "give --replica a directory of this record, or one where nothing exists yet"
        }
        RecordFailure::Open { problem: OpenReplicatedError::Failed(_), .. } => {
            "check the disk of the replica, and run the command again"
        }
        RecordFailure::Create { problem: CreateError::Exists { .. }, .. } => {
            "use the record as it is, or give another ?store=NAME for a new log"
        }
        RecordFailure::InUse { replica, .. } => {
            return Some(format!(
                "each process has a replica of its own: give another --replica, or wait with --wait\n\
                 `annals read {}` reads this one meanwhile",
                replica.display()
            ));
        }
        RecordFailure::Damaged { replica, .. } => {
            return Some(format!(
                "the record has every event: remove {}, and the next command builds it anew",
                replica.display()
            ));
        }
        RecordFailure::Diverged { .. } | RecordFailure::Contradicts { .. } => {
            "stop all processes that append to the log, and keep copies of all replicas\n\
             \"When a store has diverged\" in docs/REPLICATION.md says how to decide which of the two is right"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Returns what the user can do about an append that a replicated log did not take.
pub(super) fn about_append(failure: &Failure) -> Option<String> {
    let (Failure::Append(problem) | Failure::EventOfLine { problem, .. }) = failure else {
        return None;
    };
    let advice = match problem {
        AppendError::InDoubt { .. } => {
            "events with ids: append the same input again, and each event is in the log once\n\
             without ids: read the log first, and append only what is not there"
        }
        AppendError::Unavailable { .. } => "append the same input again, now or later",
        AppendError::ClockAhead { .. } => "correct the clock of this machine, then append again",
        AppendError::Diverged { .. } => {
            "\"When a store has diverged\" in docs/REPLICATION.md says what to do"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

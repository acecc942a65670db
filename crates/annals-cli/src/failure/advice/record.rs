//! Advice about records in an engine, and about their replicas.

use annals::AppendError;
use annals_replicated::repair::RepairError;
use annals_replicated::{CheckError, CreateError, InspectError, OpenReplicatedError};

use super::super::{Failure, RecordFailure};
use crate::record_address::RecordAddress;

/// Returns what the user can do.
pub(super) fn advice(problem: &RecordFailure) -> Option<String> {
    if let Some(advice) = about_unavailable(problem) {
        return Some(advice);
    }
    let advice = match problem {
        RecordFailure::Repair { address, problem } => return about_repair(address, problem),
        RecordFailure::Open { address, problem: OpenReplicatedError::NoRecord }
        | RecordFailure::Inspect { address, problem: InspectError::NoRecord }
        | RecordFailure::NoRecord { address } => {
            return Some(format!(
                "for a new log, create the record, once: `annals record create {}`\n\
                 if there was a record, it was lost: restore it at the engine",
                address.argument()
            ));
        }
        RecordFailure::Open { problem: OpenReplicatedError::OtherRecord { .. }, .. }
        | RecordFailure::OtherRecord { .. } => {
            "give --replica a directory of this record, or one where nothing exists yet"
        }
        RecordFailure::Open { problem: OpenReplicatedError::Failed(_), .. } => {
            "check the disk of the replica, and run the command again"
        }
        RecordFailure::Create { problem: CreateError::Exists { .. }, address } => {
            let other = address.how_to_name_another();
            return Some(format!("use the record as it is, or give {other} for a new log"));
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
        RecordFailure::CutOff { address, .. } => {
            return Some(format!(
                "rename the replica: `annals record set-aside {} --replica {}`\n\
                 its events stay readable, and the next command with this --replica builds a new one",
                address.argument(),
                address.replica().display()
            ));
        }
        RecordFailure::Diverged { .. } | RecordFailure::Contradicts { .. } => {
            "stop all processes that append to the log, and keep copies of all replicas\n\
             compare: `annals record heal RECORD --replica DIR --dry-run`; \"When a store has diverged\" in \
             docs/REPLICATION.md says how to decide which of the two is right"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Returns what the user can do about an engine that does not answer.
fn about_unavailable(problem: &RecordFailure) -> Option<String> {
    let (RecordFailure::Check { address, problem: CheckError::Unavailable(_) }
    | RecordFailure::Open { address, problem: OpenReplicatedError::Unavailable(_) }
    | RecordFailure::Inspect { address, problem: InspectError::Unavailable(_) }
    | RecordFailure::Repair { address, problem: RepairError::Unavailable(_) }
    | RecordFailure::Create { address, problem: CreateError::Unavailable(_) }) = problem
    else {
        return None;
    };
    let variable = address.engine().password_variable();
    let advice = format!("check the address, the servers and the password ({variable})");
    let opens = matches!(problem, RecordFailure::Check { .. } | RecordFailure::Open { .. });
    if !opens || !address.replica().exists() {
        return Some(advice);
    }
    let replica = address.replica().display();
    Some(format!("{advice}\nmeanwhile `annals read {replica}` reads what the replica has"))
}

/// Returns what the user can do about a repair that failed.
fn about_repair(address: &RecordAddress, problem: &RepairError) -> Option<String> {
    let replica = address.replica().display();
    let address = address.argument();
    let advice = match problem {
        RepairError::Overtaken(standing) => {
            let from = standing.lost.events.start;
            format!(
                "save the lost events: `annals export {replica} --from {from}`\n\
                 then give them up: `annals record epoch {address} --replica {replica} --reason TEXT`\n\
                 then, for each replica that has them: `annals record set-aside {address} --replica DIR`"
            )
        }
        RepairError::NotBuilt { .. } | RepairError::CommitsUnknown { .. } => {
            "run the command with another replica that has the lost commits".to_owned()
        }
        RepairError::NotGivenUp(_) => format!(
            "to append the lost commits again: `annals record heal {address} --replica {replica}`\n\
             to give them up: `annals record epoch {address} --replica {replica} --reason TEXT`"
        ),
        RepairError::NoReplica { .. } => {
            "give --replica the directory of a replica that has the lost commits".to_owned()
        }
        _ => return None,
    };
    Some(advice)
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

//! Appends an epoch: the decision of an operator to go on without the commits that a record lost.

use std::time::SystemTime;

use uuid::Uuid;

use super::compare::compare;
use super::error::RepairError;
use super::held::Held;
use super::reading::Patience;
use super::standing::EpochMade;
use super::writing::{Writer, Written};
use crate::format::body::{Content, Epoch, MAX_TEXT_BYTES};
use crate::log::commit_log::CommitLog;

/// Appends an epoch that gives up what only this replica has. Its cut is the last commit that the record shares with
/// the replica. Does nothing if the record has such an epoch already. In a dry run, appends nothing.
///
/// # Errors
/// [`RepairError::NothingLost`] if the record has everything that the replica has, [`RepairError::Reason`] if the reason
/// is empty or too long, and others of [`RepairError`].
pub fn append_epoch(
    log: &dyn CommitLog,
    held: &dyn Held,
    reason: &str,
    patience: Patience,
    dry_run: bool,
) -> Result<EpochMade, RepairError> {
    if reason.trim().is_empty() || reason.len() > MAX_TEXT_BYTES {
        return Err(RepairError::Reason);
    }
    let standing = compare(log, held, patience)?;
    let lost = standing.lost;
    if let Some((number, epoch)) = standing.epoch {
        return Ok(EpochMade { lost, epoch, number: Some(number), is_old: true });
    }
    if lost.is_empty() {
        return Err(RepairError::NothingLost);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let epoch = Epoch {
        time_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        cut: standing.shared.tip.number,
        cut_hash: standing.shared.tip.hash,
        reason: reason.to_owned(),
    };
    let mut made = EpochMade { lost, epoch: epoch.clone(), number: None, is_old: false };
    if dry_run {
        return Ok(made);
    }
    let writer_id = Uuid::new_v4();
    let mut writer = Writer::new(log, standing.record, patience);
    loop {
        let content = Content::Epoch(epoch.clone());
        let commit = writer.position().tip.next(writer_id, content);
        // Another writer may append meanwhile. Then the epoch is decided on the commit of that one.
        if let Written::At(position) = writer.write(&commit)? {
            made.number = Some(position.tip.number);
            return Ok(made);
        }
    }
}

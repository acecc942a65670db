//! Appends the commits that a record lost, verbatim.

use super::compare::compare;
use super::error::RepairError;
use super::held::Held;
use super::reading::Patience;
use super::standing::{Healed, Standing};
use super::writing::{Writer, Written};
use crate::chain::tip::Tip;
use crate::format::commit::Commit;
use crate::log::commit_log::{Cause, CommitLog};

/// Appends the commits that the record lost and the replica has, verbatim, so that they follow each other as before. In
/// a dry run, builds them and appends nothing.
///
/// # Errors
/// [`RepairError::Overtaken`] if another writer has appended since. [`RepairError::NotBuilt`] and
/// [`RepairError::CommitsUnknown`] if the replica does not have all of it; nothing was appended then. Others of
/// [`RepairError`].
pub fn heal(
    log: &dyn CommitLog,
    held: &mut dyn Held,
    patience: Patience,
    dry_run: bool,
) -> Result<Healed, RepairError> {
    let standing = compare(log, held, patience)?;
    let Standing { shared, lost, record, .. } = standing.clone();
    let mut healed = Healed { lost, appended: 0, record };
    if healed.lost.is_empty() {
        return Ok(healed);
    }
    if standing.other.is_some() {
        return Err(RepairError::Overtaken(Box::new(standing)));
    }
    // Everything is built before anything is appended.
    let mut tip = shared.tip;
    for number in healed.lost.numbers.clone() {
        (_, tip) = build(held, number, &tip)?;
    }
    if tip.head < healed.lost.events.end {
        return Err(RepairError::CommitsUnknown { from: tip.head });
    }
    if dry_run {
        return Ok(healed);
    }
    let mut writer = Writer::new(log, shared, patience);
    for number in healed.lost.numbers.clone() {
        let (commit, _) = build(held, number, &writer.position().tip)?;
        let Written::At(position) = writer.write(&commit)? else {
            // A process that was not stopped.
            return Err(RepairError::Overtaken(Box::new(compare(log, held, patience)?)));
        };
        held.moved(&commit, position);
        healed.appended += 1;
        healed.record = position;
    }
    Ok(healed)
}

/// Builds a commit that follows `tip`, and returns it with the tip after it.
fn build(held: &dyn Held, number: u64, tip: &Tip) -> Result<(Commit, Tip), RepairError> {
    let not_built = |cause| RepairError::NotBuilt { number, cause };
    let commit = held.commit(number, tip.hash).map_err(not_built)?;
    let after = tip.after(&commit).map_err(|void| not_built(Cause::new(void)))?;
    Ok((commit, after))
}

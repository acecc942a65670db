//! `annals record heal`, `epoch` and `set-aside`: what an operator does about a record that lost commits.

use std::sync::Arc;

use annals::OpenError;
use annals_replicated::CommitLog;
use annals_replicated::repair::{Lost, Repair, RepairError};
use serde_json::json;

use crate::args::Format;
use crate::args::record::{Epoch, Heal, SetAside};
use crate::failure::{Failure, RecordFailure};
use crate::human::counted;
use crate::out::Out;
use crate::record_address::RecordAddress;
use crate::replicated::engine;
use crate::signals::Interrupt;

/// Appends the lost commits again, and prints what was lost.
pub(super) fn heal(
    address: &RecordAddress,
    args: &Heal,
    format: Option<Format>,
) -> Result<(), Failure> {
    let (log, repair) = begin(address, args.dry_run)?;
    let healed =
        repair.heal(&*log, address.replica()).map_err(|problem| failed(address, problem))?;
    let mut out = Out::for_reports(format);
    if out.format() == Format::Table {
        show_lost(&healed.lost, &mut out)?;
        let appended = counted(healed.appended, "commit");
        if !healed.lost.is_empty() {
            if args.dry_run {
                out.text(format_args!("without --dry-run, they are appended again"))?;
            } else {
                out.text(format_args!("appended {appended} again"))?;
            }
        }
    } else {
        out.object([
            ("lost_commits", json!(healed.lost.commits())),
            ("lost_from", json!(healed.lost.events.start)),
            ("lost_to", json!(healed.lost.events.end)),
            ("appended_commits", json!(healed.appended)),
            ("record_events", json!(healed.record.tip.head)),
        ])?;
    }
    out.flush()
}

/// Appends an epoch, and prints what it gives up.
pub(super) fn epoch(
    address: &RecordAddress,
    args: &Epoch,
    format: Option<Format>,
) -> Result<(), Failure> {
    let (log, repair) = begin(address, args.dry_run)?;
    let made = repair.append_epoch(&*log, address.replica(), &args.reason);
    let made = made.map_err(|problem| failed(address, problem))?;
    let mut out = Out::for_reports(format);
    if out.format() == Format::Table {
        show_lost(&made.lost, &mut out)?;
        match made.number {
            Some(number) if made.is_old => {
                out.text(format_args!(
                    "commit {number} gives them up already: {}",
                    made.epoch.reason
                ))?;
            }
            Some(number) => out.text(format_args!("commit {number}, an epoch, gives them up"))?,
            None => out.text(format_args!("without --dry-run, an epoch gives them up for good"))?,
        }
    } else {
        out.object([
            ("lost_commits", json!(made.lost.commits())),
            ("lost_from", json!(made.lost.events.start)),
            ("lost_to", json!(made.lost.events.end)),
            ("cut", json!(made.epoch.cut)),
            ("epoch", json!(made.number)),
            ("is_old", json!(made.is_old)),
        ])?;
    }
    out.flush()
}

/// Renames the directory of the replica, and prints its new name.
pub(super) fn set_aside(
    address: &RecordAddress,
    args: &SetAside,
    format: Option<Format>,
) -> Result<(), Failure> {
    let (log, repair) = begin(address, args.dry_run)?;
    let aside = repair.set_aside(&*log, address.replica());
    let aside = aside.map_err(|problem| failed(address, problem))?;
    let mut out = Out::for_reports(format);
    let path = aside.path.display();
    if out.format() == Format::Table {
        show_lost(&aside.lost, &mut out)?;
        if args.dry_run {
            out.text(format_args!("without --dry-run, the replica is moved to {path}"))?;
        } else {
            out.text(format_args!("moved the replica to {path}"))?;
        }
    } else {
        out.object([
            ("path", json!(aside.path)),
            ("lost_from", json!(aside.lost.events.start)),
            ("lost_to", json!(aside.lost.events.end)),
            ("epoch", json!(aside.epoch.0)),
        ])?;
    }
    out.flush()
}

/// Connects to the engine, and waits until it answers.
fn begin(address: &RecordAddress, dry_run: bool) -> Result<(Arc<dyn CommitLog>, Repair), Failure> {
    let log = engine::connect(address)?;
    engine::ready(&*log, address, &Interrupt::default())?;
    Ok((log, Repair::new().dry_run(dry_run)))
}

fn show_lost(lost: &Lost, out: &mut Out) -> Result<(), Failure> {
    if lost.is_empty() {
        return out.text(format_args!("the record has everything that the replica has"));
    }
    let events = counted(lost.events.end.saturating_sub(lost.events.start), "event");
    let commits = counted(lost.commits(), "commit");
    let (from, to) = (lost.events.start, lost.events.end.saturating_sub(1));
    if lost.events.is_empty() {
        return out.text(format_args!("only the replica has {commits}, without events"));
    }
    out.text(format_args!("only the replica has {commits} with {events}: offsets {from} to {to}"))
}

fn failed(address: &RecordAddress, problem: RepairError) -> Failure {
    match problem {
        RepairError::Replica(OpenError::Locked { path, holder }) => {
            RecordFailure::InUse { replica: path, holder }.into()
        }
        problem => RecordFailure::Repair { address: address.clone(), problem }.into(),
    }
}

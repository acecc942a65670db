//! `annals record status` prints what the engine is, what the record has, and where a replica is in it.

use annals_replicated::{Divergence, Origin, ReplicaReport, StatusReport};
use indicatif::HumanCount;
use serde_json::{Value, json};

use crate::args::Format;
use crate::failure::{Failure, RecordFailure};
use crate::human::{counted, time};
use crate::out::Out;
use crate::record_address::RecordAddress;
use crate::replicated::engine;
use crate::signals::Interrupt;

/// Prints the status. Fails if the address has no record, or if the replica belongs to another record or has diverged.
pub(super) fn run(address: &RecordAddress, format: Option<Format>) -> Result<(), Failure> {
    let log = engine::connect(address)?;
    engine::ready(&*log, address, &Interrupt::default())?;
    let directory = address.replica();
    let replica = (!directory.as_os_str().is_empty()).then_some(directory);
    let report = annals_replicated::status(&*log, replica)
        .map_err(|problem| RecordFailure::Inspect { address: address.clone(), problem })?;
    // The exit code states whether all is well, so a closed pipe must not end the command with 0.
    let mut out = Out::for_reports(format);
    match out.format() {
        Format::Table => show_text(&report, address, &mut out)?,
        _ => out.object(fields(&report))?,
    }
    out.flush()?;
    judge(&report, address)
}

/// Fails if something is wrong.
fn judge(report: &StatusReport, address: &RecordAddress) -> Result<(), Failure> {
    let address = address.clone();
    let directory = address.replica().to_owned();
    if report.origin.is_none() && report.first.0 == 1 {
        return Err(RecordFailure::NoRecord { address }.into());
    }
    let Some(replica) = &report.replica else { return Ok(()) };
    if let (true, Some(origin)) = (replica.is_of_another_record, &report.origin) {
        let (own, record) = (replica.store_id, origin.store_id);
        return Err(RecordFailure::OtherRecord { replica: directory, own, record }.into());
    }
    if let Some(cause @ Divergence::Cut { .. }) = replica.divergence {
        return Err(RecordFailure::CutOff { address, cause }.into());
    }
    if let Some(divergence) = replica.divergence {
        let cause = divergence.to_string().into();
        return Err(RecordFailure::Diverged { replica: directory, cause }.into());
    }
    match &replica.damage {
        Some(damage) => {
            Err(RecordFailure::Damaged { replica: directory, damage: damage.clone() }.into())
        }
        None => Ok(()),
    }
}

fn fields(report: &StatusReport) -> Vec<(&'static str, Value)> {
    let StatusReport { fitness, first, last, origin, replica, .. } = report;
    let mut fields = vec![
        ("engine", json!(fitness.engine)),
        ("warnings", json!(fitness.warnings)),
        ("first_slot", json!(first.0)),
        ("last_slot", json!(last.0)),
    ];
    if let Some(Origin { store_id, hash, time_ms, made_by, .. }) = origin {
        fields.extend([
            ("store_id", json!(store_id)),
            ("genesis", json!(hash.to_string())),
            ("created", json!(time(*time_ms))),
            ("created_by", json!(made_by)),
        ]);
    }
    let Some(replica) = replica else { return fields };
    let position = replica.position.as_ref();
    fields.extend([
        ("replica_events", json!(replica.head)),
        ("replica_slot", json!(position.map(|position| position.slot.0))),
        ("replica_commit", json!(position.map(|position| position.tip.number))),
        ("replica_hash", json!(position.map(|position| position.tip.hash.to_string()))),
        ("lag_slots", json!(replica.lag_slots)),
        ("recent_commits", json!(replica.recent_commits)),
        ("recent_voids", json!(replica.recent_voids)),
        ("diverged", json!(replica.divergence.map(|divergence| divergence.to_string()))),
        ("of_another_record", json!(replica.is_of_another_record)),
        ("damage", json!(replica.damage.as_ref().map(ToString::to_string))),
    ]);
    fields
}

fn show_text(report: &StatusReport, address: &RecordAddress, out: &mut Out) -> Result<(), Failure> {
    let StatusReport { fitness, first, last, origin, replica, .. } = report;
    let mut row = |name: &str, value: &str| out.text(format_args!("{name:<12}{value}"));
    row("record", &address.to_string())?;
    row("engine", &fitness.engine)?;
    for warning in &fitness.warnings {
        row("warning", warning)?;
    }
    match origin {
        Some(Origin { store_id, hash, time_ms, made_by, .. }) => {
            row("store", &store_id.to_string())?;
            row("created", &format!("{} by {made_by}", time(*time_ms)))?;
            row("genesis", &hash.to_string())?;
        }
        None if first.0 > 1 => row("store", "unknown: the record lost its beginning")?,
        None => row("store", "none: the address has no record")?,
    }
    let slots = match (first.0, last.0) {
        (first, last) if last < first => "none".to_owned(),
        (first, last) => format!("{first} to {last}"),
    };
    row("slots", &slots)?;
    let directory = address.replica();
    match replica {
        Some(replica) => show_replica(replica, &directory.display().to_string(), &mut row),
        None if directory.as_os_str().is_empty() => Ok(()),
        None => row("replica", &format!("{}: nothing is there yet", directory.display())),
    }
}

fn show_replica(
    replica: &ReplicaReport,
    directory: &str,
    row: &mut impl FnMut(&str, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    row("replica", &format!("{directory}, {}", counted(replica.head, "event")))?;
    match &replica.position {
        Some(position) => {
            let number = HumanCount(position.tip.number);
            row("position", &format!("commit {number}, at slot {}", position.slot))?;
            row("hash", &position.tip.hash.to_string())?;
        }
        None => row("position", "unknown: the next opening compares it with the whole record")?,
    }
    row("lag", &counted(replica.lag_slots, "slot"))?;
    let (voids, commits) = (replica.recent_voids, counted(replica.recent_commits, "commit"));
    row("voids", &format!("{} among the last {commits}", HumanCount(voids)))?;
    // Only the process that has the replica open knows which of its appends are in doubt.
    row("doubts", "see the metric annals_record_doubts of the process that has the replica open")?;
    let agreement = match (&replica.divergence, replica.is_of_another_record, &replica.position) {
        (Some(divergence), ..) => format!("diverged: {divergence}"),
        (None, true, _) => "not compared: the replica is of another record".to_owned(),
        (None, false, None) => "not compared: the position is unknown".to_owned(),
        (None, false, Some(_)) => "the record has the replica's last commit".to_owned(),
    };
    row("agreement", &agreement)
}

//! `annals record verify` reads the whole record, and compares it with a replica.

use annals_replicated::VerifyReport;
use indicatif::HumanCount;
use serde_json::json;

use crate::args::Format;
use crate::console::say;
use crate::failure::{Failure, RecordFailure};
use crate::human::counted;
use crate::out::Out;
use crate::progress;
use crate::record_address::RecordAddress;
use crate::replicated::engine;
use crate::signals::Interrupt;

/// Verifies the record, and prints the report. Fails if the record and the replica contradict each other.
pub(super) fn run(address: &RecordAddress, format: Option<Format>) -> Result<(), Failure> {
    let log = engine::connect(address)?;
    engine::ready(&*log, address, &Interrupt::default())?;
    let directory = address.replica();
    let replica = (!directory.as_os_str().is_empty()).then_some(directory);
    let bar = progress::checking_entries();
    let report = annals_replicated::verify(&*log, replica, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report =
        report.map_err(|problem| RecordFailure::Inspect { address: address.clone(), problem })?;
    match (replica, report.compared) {
        (None, _) => say::note("give --replica to compare the record with a replica"),
        (Some(replica), None) => {
            say::note(&format!("no replica is at {}, so nothing was compared", replica.display()));
        }
        _ => {}
    }
    // The exit code states whether there are problems, so a closed pipe must not end the command with 0.
    let mut out = Out::for_reports(format);
    match out.format() {
        Format::Table => show_text(&report, &mut out)?,
        _ => show_lines(&report, &mut out)?,
    }
    out.flush()?;
    if report.problems.is_empty() {
        return Ok(());
    }
    let problems = counted(report.problems.len() as u64, "problem");
    Err(RecordFailure::Contradicts { replica: directory.to_owned(), problems }.into())
}

fn show_lines(report: &VerifyReport, out: &mut Out) -> Result<(), Failure> {
    for problem in &report.problems {
        out.object([("problem", json!(problem.to_string()))])?;
    }
    out.object([
        ("store_id", json!(report.store_id)),
        ("slots", json!(report.last.0)),
        ("commits", json!(report.commits)),
        ("events", json!(report.events)),
        ("epochs", json!(report.epochs)),
        ("voids", json!(report.voids)),
        ("voids_at_end", json!(report.voids_at_end)),
        ("compared", json!(report.compared)),
        ("problems", json!(report.problems.len())),
    ])
}

fn show_text(report: &VerifyReport, out: &mut Out) -> Result<(), Failure> {
    for problem in &report.problems {
        out.text(format_args!("problem: {problem}"))?;
    }
    if report.voids_at_end > 0 {
        let voids = HumanCount(report.voids_at_end);
        out.text(format_args!(
            "note: {voids} void behind the last valid commit; if they are many, the record may have lost or changed a \
             commit before them"
        ))?;
    }
    let (events, commits) = (counted(report.events, "event"), counted(report.commits, "commit"));
    let (slots, voids) = (counted(report.last.0, "slot"), HumanCount(report.voids));
    out.text(format_args!("read: {events} in {commits}, {slots}, {voids} void"))?;
    match report.compared {
        Some(compared) if report.problems.is_empty() => out.text(format_args!(
            "the replica has the same events as far as it goes: {} compared",
            counted(compared, "event")
        )),
        Some(compared) => {
            out.text(format_args!("{} compared without a difference", counted(compared, "event")))
        }
        None => Ok(()),
    }
}

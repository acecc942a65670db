//! `annals verify` checks a store and prints all problems.

use std::path::Path;

use annals::{Corruption, VerifyReport};
use annals_proof::{Checkpoint, ProofError, ProofOptions, ProofReport};
use indicatif::HumanBytes;
use serde_json::json;

use crate::args::Format;
use crate::args::maintain::Verify;
use crate::commands::proof::files;
use crate::console::say;
use crate::failure::Failure;
use crate::human::counted;
use crate::out::Out;
use crate::store::Store;
use crate::store_path::StorePath;
use crate::{progress, store};

/// Checks a store and prints the report.
pub(crate) fn run(args: &Verify, format: Option<Format>) -> Result<(), Failure> {
    if let StorePath::Record(address) = &args.store {
        let (replica, store) = (address.replica().display(), &args.store);
        say::note(&format!(
            "checks the files of the replica {replica}; `annals record verify {store}` compares them with the record"
        ));
        let store = StorePath::Journal(address.replica().to_owned());
        return run(&Verify { store, against: args.against.clone() }, format);
    }
    let bar = match &args.store {
        StorePath::Journal(_) | StorePath::Record(_) => progress::checking_bytes(),
        StorePath::RocksDb(_) => progress::checking_events(),
    };
    let report = store::verify(&args.store, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report?;
    // The exit code states whether the store is damaged, so a closed pipe must not end the command with 0.
    let mut out = Out::for_reports(format);
    match out.format() {
        Format::Jsonl | Format::Csv => show_lines(&report, &mut out)?,
        Format::Table => show_text(&report, &args.store, &mut out)?,
    }
    out.flush()?;
    if report.problems.is_empty() {
        return compare(args, &mut out);
    }
    let (store, problems) = (args.store.clone(), counted(report.problems.len() as u64, "problem"));
    Err(if is_in_indexes_only(&report) {
        Failure::DamagedIndex { store, problems }
    } else {
        Failure::Damaged { store, problems }
    })
}

/// Compares the events with the checkpoints that were signed, if any were, and with those that were given.
fn compare(args: &Verify, out: &mut Out) -> Result<(), Failure> {
    let against: Vec<Checkpoint> =
        args.against.iter().map(|path| files::parse(path)).collect::<Result<_, _>>()?;
    store::reading(&args.store, |store: &Store| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let options = ProofOptions::new().threads(threads);
        let proofs = match (options.clone().open_existing(store), against.first()) {
            (Err(ProofError::NoProofs { .. } | ProofError::NoPlace), None) => return Ok(()),
            (Err(ProofError::NoProofs { .. } | ProofError::NoPlace), Some(first)) => {
                options.in_memory().open(store, first.origin())?
            }
            (opened, _) => opened?,
        };
        let ProofReport { events, checkpoints, problems, notes, .. } = proofs.verify(&against)?;
        for note in notes {
            say::note(&note);
        }
        if !problems.is_empty() {
            return Err(Failure::Contradicted { problems });
        }
        if out.format() == Format::Table {
            let (events, checkpoints) =
                (counted(events, "event"), counted(checkpoints, "checkpoint"));
            out.text(format_args!("no event was changed: {events} compared with {checkpoints}"))?;
        } else {
            out.object([("proved_events", json!(events)), ("checkpoints", json!(checkpoints))])?;
        }
        out.flush()
    })
}

/// Returns whether all problems are in index files, which are derived from the events.
fn is_in_indexes_only(report: &VerifyReport) -> bool {
    let is_index = |file: &Path| file.extension().is_some_and(|end| end == "idx");
    report.problems.iter().all(|problem| is_index(&problem.file))
}

fn show_lines(report: &VerifyReport, out: &mut Out) -> Result<(), Failure> {
    for problem in &report.problems {
        let Corruption { file, position, offset, expected, found } = problem;
        out.object([
            ("problem", json!(problem.to_string())),
            ("file", json!(file.display().to_string())),
            ("position", json!(position)),
            ("offset", json!(offset)),
            ("expected", json!(expected)),
            ("found", json!(found)),
        ])?;
    }
    for note in &report.notes {
        out.object([("note", json!(note))])?;
    }
    out.object([
        ("events", json!(report.events)),
        ("segments", json!(report.segments)),
        ("bytes", json!(report.bytes)),
        ("problems", json!(report.problems.len())),
    ])
}

fn show_text(report: &VerifyReport, store: &StorePath, out: &mut Out) -> Result<(), Failure> {
    for problem in &report.problems {
        out.text(format_args!("problem: {problem}"))?;
    }
    for note in &report.notes {
        out.text(format_args!("note: {note}"))?;
    }
    let whole = if report.problems.is_empty() {
        "everything is whole"
    } else if is_in_indexes_only(report) {
        "every event is whole"
    } else {
        "whole before the damage"
    };
    let (events, bytes) = (counted(report.events, "event"), HumanBytes(report.bytes));
    let files = counted(report.segments, store.files());
    out.text(format_args!("{whole}: {events}, {bytes}, in {files}"))
}

//! `annals verify` checks a store and prints all problems.

use std::path::{Path, PathBuf};

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
    let against = given(&args.against)?;
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
    let is_whole = report.problems.is_empty();
    // The events of a damaged store are compared with nothing.
    let compared = if is_whole { compare(args, &against) } else { Ok(None) };
    let (compared, failure) = match compared {
        Ok(compared) => (compared, None),
        Err(failure) => (None, Some(failure)),
    };
    let contradicted: &[String] = match &compared {
        Some(compared) => &compared.problems,
        None => &[],
    };
    // The exit code states whether the store is damaged, so a closed pipe must not end the command with 0.
    let mut out = Out::for_reports(format);
    match out.format() {
        Format::Jsonl | Format::Csv => show_lines(&report, contradicted, &mut out)?,
        Format::Table => show_text(&report, contradicted, &args.store, &mut out)?,
    }
    if let Some(compared) = &compared {
        show_compared(compared, &mut out)?;
    }
    out.flush()?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if !contradicted.is_empty() {
        return Err(Failure::Contradicted { problems: contradicted.to_vec() });
    }
    if is_whole {
        return Ok(());
    }
    let (store, problems) = (args.store.clone(), counted(report.problems.len() as u64, "problem"));
    Err(if is_in_indexes_only(&report) {
        Failure::DamagedIndex { store, problems }
    } else {
        Failure::Damaged { store, problems }
    })
}

/// Reads the checkpoints that were given. What is not a checkpoint says nothing about the store.
fn given(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Checkpoint)>, Failure> {
    let read = |path: &PathBuf| match files::parse(path) {
        Err(problem @ Failure::OtherFile { .. }) => {
            Err(Failure::Against { problem: Box::new(problem) })
        }
        parsed => Ok((path.clone(), parsed?)),
    };
    paths.iter().map(read).collect()
}

/// Compares the events with the checkpoints that were signed, if any were, and with those that were given.
fn compare(
    args: &Verify,
    against: &[(PathBuf, Checkpoint)],
) -> Result<Option<ProofReport>, Failure> {
    let mut report = None;
    store::reading(&args.store, |store: &Store| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let options = ProofOptions::new().threads(threads);
        let proofs = match (options.clone().open_existing(store), against.first()) {
            (Err(ProofError::NoProofs { .. } | ProofError::NoDirectory), None) => return Ok(()),
            (Err(ProofError::NoProofs { .. } | ProofError::NoDirectory), Some((_, first))) => {
                say::note(
                    "the store was never signed, so its key is not known: the signature of what it is compared with is \
                     not checked",
                );
                options.in_memory().open(store, first.origin())?
            }
            (opened, _) => opened?,
        };
        for (path, checkpoint) in against {
            proofs.check_own(checkpoint).map_err(|problem| {
                let problem = Failure::NotOwn { path: path.clone(), problem: Box::new(problem) };
                Failure::Against { problem: Box::new(problem) }
            })?;
        }
        let given: Vec<Checkpoint> =
            against.iter().map(|(_, checkpoint)| checkpoint.clone()).collect();
        report = Some(proofs.verify(&given)?);
        Ok(())
    })?;
    Ok(report)
}

fn show_compared(compared: &ProofReport, out: &mut Out) -> Result<(), Failure> {
    compared.notes.iter().for_each(|note| say::note(note));
    if !compared.problems.is_empty() {
        return Ok(());
    }
    let (events, checkpoints) = (compared.events, compared.checkpoints);
    if out.format() == Format::Table {
        let (events, checkpoints) = (counted(events, "event"), counted(checkpoints, "checkpoint"));
        out.text(format_args!("no event was changed: {events} compared with {checkpoints}"))
    } else {
        out.object([("proved_events", json!(events)), ("checkpoints", json!(checkpoints))])
    }
}

/// Returns whether all problems are in index files, which are derived from the events.
fn is_in_indexes_only(report: &VerifyReport) -> bool {
    let is_index = |file: &Path| file.extension().is_some_and(|end| end == "idx");
    report.problems.iter().all(|problem| is_index(&problem.file))
}

fn show_lines(
    report: &VerifyReport,
    contradicted: &[String],
    out: &mut Out,
) -> Result<(), Failure> {
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
    for problem in contradicted {
        out.object([("problem", json!(problem))])?;
    }
    for note in &report.notes {
        out.object([("note", json!(note))])?;
    }
    out.object([
        ("events", json!(report.events)),
        ("segments", json!(report.segments)),
        ("bytes", json!(report.bytes)),
        ("problems", json!(report.problems.len() + contradicted.len())),
    ])
}

fn show_text(
    report: &VerifyReport,
    contradicted: &[String],
    store: &StorePath,
    out: &mut Out,
) -> Result<(), Failure> {
    for problem in &report.problems {
        out.text(format_args!("problem: {problem}"))?;
    }
    for problem in contradicted {
        out.text(format_args!("problem: {problem}"))?;
    }
    for note in &report.notes {
        out.text(format_args!("note: {note}"))?;
    }
    let whole = if !contradicted.is_empty() {
        "every checksum is right, but this is not the log that was signed"
    } else if report.problems.is_empty() {
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

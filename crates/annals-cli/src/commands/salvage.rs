//! `annals salvage` saves every whole event of a damaged store to a new store.

use std::ops::Range;

use annals::{SalvageGap, SalvageReport};
use indicatif::HumanCount;
use serde_json::json;

use crate::args::Format;
use crate::args::maintain::Salvage;
use crate::failure::Failure;
use crate::human::counted;
use crate::out::Out;
use crate::progress;
use crate::store_path::StorePath;

/// Saves the whole events, and prints which are missing.
pub(crate) fn run(args: &Salvage, format: Option<Format>) -> Result<(), Failure> {
    for store in [&args.from, &args.to] {
        if let StorePath::Record(_) = store {
            return Err(Failure::NotOnRecord { command: "salvage", store: store.clone() });
        }
    }
    let (StorePath::Journal(from), StorePath::Journal(to)) = (&args.from, &args.to) else {
        return Err(Failure::SalvageOfFilesOnly);
    };
    let spinner = progress::spinner("salvaging");
    let report = annals::salvage(from, to);
    spinner.finish_and_clear();
    let report = report?;
    // The exit code states whether events are missing, so a closed pipe must not end the command with 0.
    let mut out = Out::for_reports(format);
    match out.format() {
        Format::Jsonl | Format::Csv => show_lines(&report, &mut out)?,
        Format::Table => show_text(&report, &mut out)?,
    }
    out.flush()?;
    if report.is_complete() {
        return Ok(());
    }
    let saved = counted(report.events, "event");
    let missing = counted(report.lost_events(), "event");
    Err(Failure::SalvagedInPart { from: args.from.clone(), saved, missing })
}

fn show_lines(report: &SalvageReport, out: &mut Out) -> Result<(), Failure> {
    for gap in &report.gaps {
        out.object([
            ("missing_from", json!(gap.from)),
            ("missing_to", json!(gap.to)),
            ("was_durable", json!(gap.was_durable)),
            ("file", json!(gap.file.display().to_string())),
            ("position", json!(gap.bytes.start)),
            ("end", json!(gap.bytes.end)),
            ("found", json!(gap.found)),
        ])?;
    }
    for range in &report.ranges {
        out.object([
            ("saved", json!(range.count)),
            ("old_from", json!(range.old)),
            ("new_from", json!(range.new)),
        ])?;
    }
    for Range { start, end } in &report.without_time {
        out.object([("without_time_from", json!(start)), ("without_time_to", json!(end))])?;
    }
    for note in &report.notes {
        out.object([("note", json!(note))])?;
    }
    out.object([
        ("events", json!(report.events)),
        ("lost", json!(report.lost_events())),
        ("gaps", json!(report.gaps.len())),
        ("without_time", json!(without_time(report))),
        ("never_durable", json!(report.never_durable)),
    ])
}

fn show_text(report: &SalvageReport, out: &mut Out) -> Result<(), Failure> {
    if !report.gaps.is_empty() {
        let rows = report.gaps.iter().map(|gap| {
            let bytes = format!("{} to {}", gap.bytes.start, gap.bytes.end);
            let file = gap.file.file_name().unwrap_or(gap.file.as_os_str());
            [missing(gap), file.to_string_lossy().into_owned(), bytes, gap.found.clone()]
        });
        columns(["MISSING", "FILE", "BYTES", "FOUND"], rows.collect(), out)?;
        out.text(format_args!(""))?;
    }
    let rows = report.ranges.iter().map(|range| {
        let offsets = |first: u64| offsets(first, first + range.count);
        [offsets(range.old), offsets(range.new), HumanCount(range.count).to_string(), String::new()]
    });
    columns(["OFFSETS", "IN THE NEW STORE", "EVENTS", ""], rows.collect(), out)?;
    for note in &report.notes {
        out.text(format_args!("note: {note}"))?;
    }
    let without_time = without_time(report);
    if without_time > 0 {
        let events = counted(without_time, "event");
        out.text(format_args!(
            "note: the time of {events} is lost; each got the time of the nearest event"
        ))?;
    }
    if report.never_durable > 0 {
        let events = counted(report.never_durable, "event");
        out.text(format_args!(
            "note: {events} after an unfinished commit may never have been acknowledged"
        ))?;
    }
    let (saved, lost) = (counted(report.events, "event"), report.lost_events());
    match lost {
        0 if report.is_complete() => out.text(format_args!("{saved} saved; none is missing")),
        lost => out.text(format_args!("{saved} saved; {} missing", HumanCount(lost))),
    }
}

/// Returns the missing offsets as text for people.
fn missing(gap: &SalvageGap) -> String {
    let offsets = match gap.to {
        Some(to) => offsets(gap.from, to),
        None => format!("{} to ?", gap.from),
    };
    if gap.was_durable { offsets } else { format!("{offsets} (unfinished)") }
}

fn offsets(first: u64, end: u64) -> String {
    if end == first + 1 { first.to_string() } else { format!("{first} to {}", end - 1) }
}

fn without_time(report: &SalvageReport) -> u64 {
    report.without_time.iter().map(|range| range.end - range.start).sum()
}

/// Prints rows in columns as wide as their longest value; the last column is not padded.
fn columns(names: [&str; 4], rows: Vec<[String; 4]>, out: &mut Out) -> Result<(), Failure> {
    let rows = [names.map(str::to_owned)].into_iter().chain(rows).collect::<Vec<_>>();
    let width = |at: usize| rows.iter().map(|row| row[at].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [a, b, c, d] in &rows {
        let [first, second, third] = widths;
        let line = format!("{a:<first$}  {b:<second$}  {c:<third$}  {d}");
        out.text(format_args!("{}", line.trim_end()))?;
    }
    Ok(())
}

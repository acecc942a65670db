//! The page that verifies the store: one run at a time, its progress, and its findings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use annals::VerifyReport;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::failure::Failed;
use super::layout::Html;
use super::text::{counted, grouped, milliseconds, shown_up_to, size, time};
use crate::fault::{Fault, Kind};
use crate::shared::Shared;

/// The largest number of findings that are shown.
const MAX_FINDINGS: usize = 200;

/// The last run, or the one that is under way.
#[derive(Debug, Default, Clone)]
pub(super) struct Verification(Arc<Mutex<Option<Run>>>);

#[derive(Debug, Clone)]
struct Run {
    since: SystemTime,
    /// The bytes that are checked, and all bytes.
    progress: (u64, u64),
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone)]
struct Outcome {
    at: SystemTime,
    report: Result<Arc<VerifyReport>, String>,
}

impl Verification {
    /// Returns the number of problems that the last run found, if it ended and did not fail.
    fn problems(&self) -> Option<usize> {
        let run = self.0.lock();
        let outcome = run.as_ref()?.outcome.as_ref()?;
        outcome.report.as_ref().ok().map(|report| report.problems.len())
    }
}

/// Returns the page.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Extension(verification): Extension<Verification>,
) -> Html {
    let run = verification.0.lock().clone();
    let is_running = run.as_ref().is_some_and(|run| run.outcome.is_none());
    let body = html! {
        h1 { "Verify" }
        @if shared.path.is_none() {
            p.empty { "Only a store in files can be verified." }
        } @else {
            p {
                "Checks every byte of the store's files: frames, checksums, indexes, and that they agree. "
                "Reads and appends go on."
            }
            @if is_running {
                noscript { p.note { "Reload the page to see the progress." } }
                div hx-get="/ui/verify/progress" hx-trigger="every 1s" hx-swap="outerHTML" { (progress(run.as_ref())) }
            } @else {
                form method="post" action="/ui/verify" { button.main
                    { @if run.is_some() { "Verify again" } @else { "Verify the store" } } }
                (progress(run.as_ref()))
            }
        }
    };
    Html::page("Verify", "/ui/verify", &body)
}

/// Returns the progress as a part of the page, which asks again while the run is under way.
pub(super) async fn part(Extension(verification): Extension<Verification>) -> Html {
    let run = verification.0.lock().clone();
    let is_running = run.as_ref().is_some_and(|run| run.outcome.is_none());
    Html::part(html! {
        @if is_running {
            div hx-get="/ui/verify/progress" hx-trigger="every 1s" hx-swap="outerHTML" { (progress(run.as_ref())) }
        } @else {
            div {
                form method="post" action="/ui/verify" { button.main { "Verify again" } }
                (progress(run.as_ref()))
            }
        }
    })
}

/// Starts a run, unless one is under way.
pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    Extension(verification): Extension<Verification>,
) -> Result<Response, Failed> {
    let Some(path) = shared.path.clone() else {
        let message = "only a store in files can be verified while it is served";
        return Err(Failed(Fault::new(Kind::NotFound, message)));
    };
    // Without the permit, another request verifies the store already. The page shows it if that is the inspector's.
    if let Ok(permit) = Arc::clone(&shared.verification).try_acquire_owned() {
        let run = Run { since: SystemTime::now(), progress: (0, 0), outcome: None };
        *verification.0.lock() = Some(run);
        tokio::task::spawn_blocking(move || {
            verify(&path, &verification, permit);
            shared.keep_verified(verification.problems());
        });
    }
    Ok(Redirect::to("/ui/verify").into_response())
}

fn verify(path: &PathBuf, verification: &Verification, permit: OwnedSemaphorePermit) {
    run(verification, permit, |progress| {
        annals::verify_watched(path, progress).map_err(|error| error.to_string())
    });
}

/// Runs a check to its end and keeps its outcome, also if it panics.
fn run(
    verification: &Verification,
    permit: OwnedSemaphorePermit,
    check: impl FnOnce(&mut dyn FnMut(u64, u64)) -> Result<VerifyReport, String>,
) {
    // Dropped last: no further run begins before the outcome is there.
    let _permit = permit;
    let mut ending = Ending { verification, report: Err("the check panicked".to_owned()) };
    let report = check(&mut |checked, of| {
        if let Some(run) = verification.0.lock().as_mut() {
            run.progress = (checked, of);
        }
    });
    ending.report = report.map(Arc::new);
}

/// Writes the outcome of a run when it is dropped.
struct Ending<'v> {
    verification: &'v Verification,
    report: Result<Arc<VerifyReport>, String>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.verification.0.lock().as_mut() {
            run.outcome = Some(Outcome { at: SystemTime::now(), report: self.report.clone() });
        }
    }
}

fn moment(at: SystemTime) -> String {
    time(milliseconds(at))
}

fn progress(run: Option<&Run>) -> Markup {
    let Some(run) = run else {
        return html! { p.dim { "The store was not verified since the server started." } };
    };
    let (checked, of) = run.progress;
    html! {
        @match &run.outcome {
            None => {
                p { "Checked " (size(checked)) " of " (size(of)) ", since " (moment(run.since)) }
                progress max=(of.max(1)) value=(checked) { (size(checked)) }
            }
            Some(Outcome { at, report: Err(error) }) => {
                p.bad { "The run ended at " (moment(*at)) ": " (shown_up_to(error, 2_000)) }
            }
            Some(Outcome { at, report: Ok(report) }) => { (outcome(*at, report)) }
        }
    }
}

fn outcome(at: SystemTime, report: &VerifyReport) -> Markup {
    html! {
        @if report.problems.is_empty() {
            p { span.good { "✓ No damage" } ", verified at " (moment(at)) }
        } @else {
            p.bad { (counted(report.problems.len() as u64, "problem")) ", found at " (moment(at))
                ". docs/OPERATING.md says what to do." }
        }
        dl.facts {
            div { dt { "Events" } dd { (grouped(report.events)) } }
            div { dt { "Segments" } dd { (grouped(report.segments)) } }
            div { dt { "Bytes" } dd { (size(report.bytes)) } }
        }
        @if !report.problems.is_empty() {
            h2 { "Damage" }
            ul { @for problem in report.problems.iter().take(MAX_FINDINGS) { li
                { (shown_up_to(&problem.to_string(), 1_000)) } } }
        }
        @if !report.notes.is_empty() {
            h2 { "Notes" }
            ul { @for note in report.notes.iter().take(MAX_FINDINGS) { li { (shown_up_to(note, 1_000)) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn a_check_that_panics_has_an_outcome() {
        let started = Run { since: SystemTime::now(), progress: (0, 0), outcome: None };
        let verification = Verification(Arc::new(Mutex::new(Some(started))));
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            run(&verification, permit, |progress| {
                progress(1, 2);
                panic!("a check that panics");
            });
        }));
        assert!(ended.is_err());
        let run = verification.0.lock().clone().unwrap();
        assert_eq!(run.progress, (1, 2));
        assert_eq!(run.outcome.unwrap().report.unwrap_err(), "the check panicked");
        assert_eq!(permits.available_permits(), 1);
    }
}

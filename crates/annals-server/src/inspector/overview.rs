//! The first page: the head, the rates, the sizes, and the names in the log.

use std::sync::Arc;
use std::time::SystemTime;

use annals::{Backend, Distribution, Stats};
use axum::Extension;
use axum::extract::State;
use maud::{Markup, html};

use super::builder::events_url;
use super::chart::{bars, ranking};
use super::clock::boundaries;
use super::failure::Failed;
use super::layout::Html;
use super::name_counts::NAMES;
use super::scans::Scans;
use super::text::{counted, duration, grouped, milliseconds, moment, shown_up_to, size, time, url};
use crate::event::WireEvent;
use crate::fault::Fault;
use crate::shared::{Shared, Verified};

/// The seconds of the live chart.
const SECONDS: u64 = 60;
/// The parts of the chart of the whole log.
const PARTS: u64 = 80;

/// Returns the page.
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Extension(scans): Extension<Scans>,
) -> Result<Html, Failed> {
    let live = live(&shared).await?;
    let names = scans.overview(&shared).await?;
    let reader = Arc::clone(&shared);
    let facts = shared.blocking(move || facts(&reader)).await?;
    let body = html! {
        h1 { "Overview" }
        section.live-panel hx-ext="sse" sse-connect="/ui/pulse" sse-swap="pulse" { (live) }
        @if facts.head == 0 {
            p.empty { "The log is empty. Append an event, and it shows here. docs/SERVER.md has the requests." }
        } @else {
            section.history { (history(&facts)) }
            div.columns {
                section { h2 { "Types" } (ranking(&names.types, "Type", |name| events_url(&[name], &[])))
                    (more(names.all_types, "type")) }
                section { h2 { "Tags by prefix" }
                    (ranking(&names.prefixes, "Prefix", |name| url("/ui/tags", &[("prefix", name)])))
                        (more(names.all_prefixes, "prefix")) }
            }
        }
    };
    Ok(Html::page("Overview", "/ui", &body))
}

fn more(all: usize, word: &str) -> Markup {
    let word = if word == "prefix" { "prefixe" } else { word };
    html! { @if all > NAMES { p.dim { "the first " (NAMES) " of " (grouped(all as u64)) " " (word) "s" } } }
}

/// What the page shows besides the live part.
struct Facts {
    head: u64,
    times_ms: Option<(u64, u64)>,
    over_time: Vec<u64>,
}

fn facts(shared: &Shared) -> Result<Facts, Fault> {
    let backend = shared.backend();
    let head = backend.head().get();
    let times_ms = match (backend.time_ms(0)?, head.checked_sub(1)) {
        (Some(first), Some(last)) => backend.time_ms(last)?.map(|last| (first, last)),
        _ => None,
    };
    let over_time = match times_ms {
        Some((first, last)) => {
            let times = first..last.saturating_add(1);
            steps(&boundaries(backend, times, PARTS, 0..head)?)
        }
        None => Vec::new(),
    };
    Ok(Facts { head, times_ms, over_time })
}

/// Returns the differences between neighbours.
pub(super) fn steps(offsets: &[u64]) -> Vec<u64> {
    offsets.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn history(facts: &Facts) -> Markup {
    let Some((first, last)) = facts.times_ms else { return html! {} };
    let span = last - first;
    let at = |index: usize| first + span / PARTS * index as u64;
    html! {
        h2 { "All events by time" }
        (bars(&facts.over_time, "events recorded in each of 80 equal parts of the time", |index| time(at(index))))
        p.dim.ends { span { (time(first)) } span { (time(last)) } }
    }
}

/// Returns the live part: head, rate, latencies, sizes.
pub(super) async fn live(shared: &Arc<Shared>) -> Result<Markup, Fault> {
    let reader = Arc::clone(shared);
    let (stats, recent) =
        shared.blocking(move || Ok((reader.store.stats(), recent(reader.backend())?))).await?;
    let head = shared.head().get();
    let health = shared.store.health().to_string();
    let subscriptions = shared.cursors.list().len() as u64;
    let last: u64 = recent.iter().rev().take(5).sum();
    Ok(html! {
        dl.facts {
            (fact("Head", &grouped(head)))
            (fact("Events per second", &rate(last)))
            (fact("Health", &health))
            (fact("Connections", &grouped(shared.connections() as u64)))
            (fact("Subscriptions", &grouped(subscriptions)))
            (fact("Appends, p50 / p99", &times(&stats.append_ns)))
            (fact("Syncs, p50 / p99", &times(&stats.sync_ns)))
            (fact("Events", &size(stats.event_bytes)))
            (fact("Index", &size(stats.index_bytes)))
            (fact("Segments", &grouped(stats.segments)))
            (fact("Conflicts", &grouped(stats.conflicts)))
        }
        (errors(&stats))
        @if shared.path.is_some() { (verified(*shared.verified.lock())) }
        (bars(&recent, "events in each of the last 60 seconds", |index| {
            format!("{} s ago", SECONDS - index as u64)
        }))
    })
}

/// Returns when the store was verified, and with what outcome.
fn verified(last: Option<Verified>) -> Markup {
    let Some(Verified { at, problems }) = last else {
        return html! {
            p.dim { "Not verified since the server started. " a href="/ui/verify" { "Verify the store" } }
        };
    };
    html! {
        @match problems {
            Some(0) => p.dim { span.good { "✓ No damage" } ", " a href="/ui/verify" { "verified" } " at " (moment(at)) },
            Some(problems) => p.bad { (counted(problems as u64, "problem")) ", found at " (moment(at)) ". "
                a href="/ui/verify" { "Show the findings" } },
            None => p.bad { "The verification at " (moment(at)) " failed. " a href="/ui/verify" { "Show why" } },
        }
    }
}

fn errors(stats: &Stats) -> Markup {
    html! {
        @if stats.append_errors + stats.read_errors > 0 {
            p.bad { (counted(stats.append_errors, "append")) " and " (counted(stats.read_errors, "read"))
                " failed since the server started" }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (shown_up_to(value, 300)) } } }
}

/// Returns the rate of five seconds per second.
fn rate(events: u64) -> String {
    if events.is_multiple_of(5) || events >= 500 {
        grouped(events / 5)
    } else {
        format!("{}.{}", events / 5, events % 5 * 2)
    }
}

fn times(times: &Distribution) -> String {
    match times.count {
        0 => "–".to_owned(),
        _ => format!("{} / {}", duration(times.p50), duration(times.p99)),
    }
}

/// Returns the number of events that were recorded in each of the last seconds, the last one up to now.
fn recent(backend: &dyn Backend<WireEvent>) -> Result<Vec<u64>, Fault> {
    let now = milliseconds(SystemTime::now());
    let head = backend.head().get();
    let from = now.saturating_sub(SECONDS * 1_000);
    let mut offsets = boundaries(backend, from..now, SECONDS, 0..head)?;
    // The clock of events may be ahead of this one: they never go back in time.
    if let Some(last) = offsets.last_mut() {
        *last = head;
    }
    Ok(steps(&offsets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!([0, 5, 7, 4_999].map(rate), ["0", "1", "1.4", "999"].map(str::to_owned));
    }
}
